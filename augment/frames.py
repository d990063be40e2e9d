"""Verb frames: whether "her" is an object on the evidence of the verb before it and the words behind it.

Words before (nearest first) and after in, the name of the frame that makes it an object out, or None. Each frame is
about what a possessive cannot stand before: an adverb or adjective that ends its clause, a price, a bare second object.
"""

from augment.context import PARAGRAPH, word_set
from augment.model import VERB_FRAMES

_ENDS = word_set(
    ". , ; : ! ? ) ” » … — – and or but as to in on at by for from with when while if because until after"
) | {PARAGRAPH, ""}
_PLACES = word_set(
    """inside outside upstairs downstairs indoors outdoors abroad aside ashore aboard forward forwards backward
    backwards overseas alone alive asleep awake apart away sometimes often twice speechless"""
)
_NOUNS_IN_LY = word_set(
    """family reply ally belly folly jelly lily bully assembly butterfly monopoly supply melancholy anomaly homily
    daily elderly fly rally only gully bodily tally trolley doily panoply"""
)
_GIVING = word_set("give send bring offer lend show buy wish owe cost grant")
_THINGS = word_set(
    """water tea coffee food luck hope courage time advice permission flowers information strength comfort pleasure
    pain trouble peace joy homework help credit pictures photographs headaches presents gifts peanuts sweets
    medicine gas solace confidence shelter warmth instructions directions tickets cash nightmares lessons
    something nothing"""
)
_LANGUAGES = word_set(
    """french english latin greek german italian spanish russian chinese japanese arabic hebrew welsh irish
    mathematics algebra chess manners music"""
)
_NAMING = word_set("crown elect appoint name make proclaim declare vote call")
_ROLES = word_set(
    """king president captain chairman chair director leader mayor governor secretary head regent bishop editor
    manager speaker treasurer guardian champion dictator emperor sheriff prime senator"""
)
_ALL_BUT = word_set("one nobody everyone everybody anyone anybody else")


def object_frame(before: list[str], after: list[str]) -> str | None:
    """The frame in which the pronoun is an object, or None when the words around do not settle it."""
    nearest, second = after[0], after[1]
    frame, verb = VERB_FRAMES.get(before[0]) or ("", before[0])
    if before[0] == "but" and before[1] in _ALL_BUT:
        return "all but"
    if second in _ENDS:
        if nearest in _PLACES and second not in ("and", "or"):
            return "adverb ends the clause"
        if nearest[-2:] == "ly" and nearest not in _NOUNS_IN_LY:
            return "adverb ends the clause"
        if nearest[-4:] == "less" and frame in ("becomes", "infinitive"):
            return "object complement"
        if verb in _NAMING and nearest in _ROLES:
            return "object complement"
        if verb in _GIVING and nearest in _THINGS:
            return "second object"
    if frame == "two objects" and (nearest in ("$", "£", "€") or (nearest[:1].isdigit() and second in _PRICES)):
        return "second object"
    if verb == "teach" and nearest in _LANGUAGES:
        return "second object"
    return None


_PRICES = word_set("dollars pounds euros cents pence francs percent million thousand")
