"""Sentences about children, who dream of an occupation, and about nobody in particular.

`CHILD_RULES` are added to the shared rules and replace some of them; `NEUTRAL_RULES` hold no person at all.
"""

from __future__ import annotations

from distill.smallworld.clauses import Rules

CHILD_RULES: Rules = {
    "intro": (
        "{who} wants to become {an_occ}",
        "{who} dreams of being {an_occ}",
        "{who} said that {he} wanted to be {an_occ}",
        "one day {who} will be {an_occ}",
        "{who} drew a picture of {an_occ}",
        "{who} would like to work {at_place} as {an_occ}",
    ),
    "body": (
        "after school {he} likes {act}",
        "{his} favourite hobby is {act}",
        "[they] say that {he} is {adj}",
        "{he} plays with {his} [relative] in the garden",
        "{his} [relative] helped {him} with {his} homework",
        "{he} is {adj} and has many friends",
        "{he} taught {himself} to swim",
        "the [object] on the floor is {hers}",
        "for {his} birthday {he} wants a [object]",
        "{he} has to be home at [hour] o'clock",
        "{he} drew {himself} with a [object]",
        "{his} [relative] gave {him} a new [object]",
        "{he} asked if {an_occ} has to {task}",
        "[they] like to play with {him}",
    ),
    "trouble": (
        "had forgotten {his} [object]",
        "could not find {his} [object]",
        "had hurt {himself}",
        "had missed the school bus",
        "missed {his} [relative]",
        "wanted a new [object]",
    ),
    "did": (
        "was {adj}",
        "liked {act}",
        "had started {act}",
        "wanted to become {an_occ}",
        "had done {his} homework",
        "[trouble]",
        "[trouble]",
    ),
    "did_also": ("needed help", "missed {his} [relative]", "wanted to play outside", "was looking for {his} [object]"),
    "whether_he": (
        "{he} liked {act}",
        "{he} had found {his} [object]",
        "{he} needed a new [object]",
        "{he} wanted to play outside",
    ),
    "before_he": ("{he} had finished {his} lunch", "{he} could find {his} [object]", "{he} heard that [fact]"),
    "thanks_he": (
        "{he} was {adj}",
        "{he} was so {adj}",
        "{he} had found the [object]",
        "{he} shared {his} lunch with [they]",
    ),
    "and_he": ("{he} told me that {he} [did]", "{he} showed us {his} [object]", "{he} asked me about {his} [relative]"),
    "left": ("ran home", "left early", "stopped", "opened the door", "sat down"),
    "relative": ("brother", "sister", "mother", "father", "cousins", "parents", "friends", "neighbours"),
    "we": ("we", "I", "the neighbours", "the other children"),
    "reported": ("said", "explained", "told us", "remembered"),
}

NEUTRAL_RULES: Rules = {
    "neutral": (
        "it was a [sky] [daytime] in [town]",
        "[fact]",
        "[time] [fact]",
        "[they] waited for the [transport] and talked",
        "the [building] in [town] opens at [hour] o'clock",
        "[they] took the [transport] because [fact]",
        "the [event] lasted for [number] hours",
        "[number] [things] were sold at the [building]",
        "the [object] cost [number] coins",
        "the [transport] from [town] arrives on [weekday]",
        "[they] said that [fact]",
        "[time] [they] met at the [building]",
        "after the [event] they went home by bus",
        "the [weather] came early this year",
        "somebody lost a [object]",
        "the [building] sells [things]",
        "[they] asked whether [fact]",
        "the road to [town] is long and quiet",
    ),
    "sky": ("cold", "sunny", "grey", "windy", "busy", "quiet", "hot", "dark", "rainy"),
    "daytime": ("morning", "evening", "day", "afternoon", "[weekday]", "night"),
}
