"""Verb frames: decide from the verb before "her" and the words after it whether "her" is an object.

Functions take the words before (nearest first) and after the pronoun. They return whether it is an object and the name
of the frame that decides, or None if no frame does. Most frames rest on what cannot follow a possessive: an adverb or
adjective that ends its clause, a price, a second object without an article.
"""

import re

from augment.lexicon import given_names
from augment.rules.tables import word_lists, word_set
from augment.rules.tokens import PARAGRAPH
from augment.rules.verbs import VERB_FRAMES

Reading = tuple[bool, str] | None  # whether the pronoun is an object, and the frame

_WORDS = word_lists("frames")
_CLAUSE_ENDS = _WORDS.clause_ends | {PARAGRAPH, ""}
_ENDS = _CLAUSE_ENDS | {",", "and", "or"}
_ENDS_OR_TO = _ENDS | {"to"}
_LETTING = word_set("let make help")
_FREE_AFTER = _CLAUSE_ENDS | _WORDS.free_after
_DAYS = _WORDS.days | _WORDS.holidays
_COUNTING = _DAYS.union(_WORDS.several, _WORDS.spans, _WORDS.quantities, _WORDS.some, ("every", "all", "then", "last"))
_BRINGING = _WORDS.bringing_only | _WORDS.bringing
_QUOTES = frozenset("\"“”‘’'")
_SINGLE_QUOTES = frozenset("‘'")  # of headlines; in double ones speech may follow "to her"
_CURRENCIES = frozenset("$£€")
_CLOSED = word_lists("pronouns").closed
_NO_NOUN = _WORDS.predicative | _CLOSED
_SCORE = re.compile(r"\d+-\d+")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)")
_COMPOUND_ENDINGS = ("ing", "ted", "ned", "sed", "red", "led", "old")
# Besides the verbs of VERB_FRAMES, a frame can begin with these words before the pronoun.
_OTHER_VERBS = frozenset().union(
    *(_BRINGING, _WORDS.calling, _WORDS.awarding, _WORDS.meted, _WORDS.appointing, _WORDS.pronouncing),
    *(_WORDS.catching, _WORDS.showing, _WORDS.enjoying, _WORDS.taking, _WORDS.giving, _WORDS.naming),
    _WORDS.other_verbs,
)
# A frame decides only behind one of these words, or before one of `CONTINUATIONS`, an -ing form or an adverb in -ly.
BEGINNINGS = _OTHER_VERBS.union(VERB_FRAMES, _WORDS.making, _WORDS.having, _WORDS.wishing, _WORDS.parting).union(
    _WORDS.phoning, ("but", "placed", "ranked", "rated")
)
CONTINUATIONS = _COUNTING.union(_WORDS.frequency, _WORDS.adverbs, _WORDS.places, _WORDS.infinitives).union(
    _WORDS.numbers, _WORDS.degrees, ("back", "home", "right")
)


def her_frame(before: list[str], after: list[str]) -> Reading:
    """The reading of "her"; None if no frame decides."""
    frame, verb = VERB_FRAMES.get(before[0]) or ("", before[0])
    if before[0] == "but" and before[1] in _WORDS.all_but and (after[0] in _WORDS.verbs or after[0][-2:] == "ed"):
        return True, "all but"
    if after[0] in _QUOTES and verb in _WORDS.making:  # makes her 'nervous'
        after = [*("" if word in _QUOTES else word for word in after[1:]), ""]
    nearest = after[0]
    if nearest == "back" and (after[1] in _WORDS.of_the_back or before[0] in _WORDS.rubbing):
        return False, "a part of the body"
    reading = None
    if nearest in _COUNTING or nearest[:1].isdigit():
        reading = _quantified(before[0], verb, after)
    if nearest in _WORDS.frequency and (after[1][-1:] == "s" or after[1] in _WORDS.verbs):
        return True, "a finite verb follows"  # my love for her never fades
    reading = reading or _ended(frame, before[0], verb, after) or _wanted(before[0], after) or _seen(before, after)
    if reading or not (frame or before[0] in _OTHER_VERBS):
        return reading
    if before[1] == "she" and verb in _WORDS.giving and nearest in _WORDS.things and after[1] in ("to", "away"):
        return False, "the giver's own"
    # "She gave her money to charity", "was given her first command": the owner is the giver or the subject.
    passive = before[1] in _WORDS.be and before[0][-3:] != "ing"
    if passive and frame == "two objects" and nearest in _WORDS.ordinals and after[1] not in _ENDS:
        return False, "the receiver's own"
    if before[1] != "she" and before[2] != "what" and not passive:
        reading = _second_object(frame, verb, before, after) or _given(before[0], verb, after)
    return reading or _action(before[0], verb, after)


def _quantified(before: str, verb: str, after: list[str]) -> Reading:
    """Read "her" before every, all, then, last, a day or a quantity: can it own what follows?"""
    nearest, second, _ = after
    if nearest == "every":
        of_time = second in _WORDS.times or verb in _WORDS.with_every
        return (True, "every with an adverb") if of_time else (False, "every with a noun")
    if nearest == "all" and (verb in ("give", "put") or before == "it") and (second in _ENDS_OR_TO or second == "into"):
        return False, "her all"
    if nearest == "then" and second in _WORDS.once:
        return False, "then with a noun"
    if nearest in _DAYS and before not in _WORDS.in_her_last:
        of_day = second in _WORDS.parts_of_day and after[2] in _ENDS
        named = nearest in _WORDS.days and second in _ENDS_OR_TO
        return (True, "adverb of time") if of_day or named else None
    if nearest in _WORDS.some and second in _CLAUSE_ENDS | {","}:
        return True, "second object"
    if (nearest == "one" and second == "day" and after[2] in _CLOSED) or (nearest == "1st" and second == "thing"):
        return True, "adverb of time"
    if nearest == "last" and before not in _WORDS.in_her_last and second in _WORDS.last:
        return True, "adverb of time"
    if nearest[:1].isdigit() and second in _WORDS.spans and after[2] == "of" and before in _WORDS.of_her_years:
        return False, "years of something"
    if nearest in _WORDS.several and (second == "times" or after[2] == "ago"):
        return True, "adverb of time"
    if nearest in _WORDS.spans and before in _WORDS.taking and second in _ENDS_OR_TO:
        return True, "second object"
    if nearest in _WORDS.quantities and verb in _WORDS.paid and (second in _ENDS_OR_TO or second == "of"):
        return True, "second object"
    if before in _WORDS.beating and (_SCORE.fullmatch(nearest) or second in ("-", "–", "to")):
        return True, "a score follows"
    return None


def _ended(frame: str, before: str, verb: str, after: list[str]) -> Reading:
    """Read "her" before an adverb or an object complement that ends the clause."""
    nearest, second = after[0], after[1]
    if nearest == "right" and second in _WORDS.after_right:
        return True, "adverb ends the clause"
    if "-" in nearest and nearest.endswith(_COMPOUND_ENDINGS) and second not in _ENDS_OR_TO:
        return False, "compound adjective"
    if nearest in _WORDS.adverbs and second not in ("and", "or"):
        return True, "adverb ends the clause"
    if verb in _WORDS.making and nearest == "pretty" and second in _WORDS.predicative:
        return True, "object complement"
    if second not in _ENDS_OR_TO:
        return None
    goes_home = nearest == "home" and before in _WORDS.homeward
    is_adverb = nearest[-2:] == "ly" and nearest not in _WORDS.in_ly
    if goes_home or is_adverb or (nearest in _WORDS.places and second not in ("and", "or")):
        return True, "adverb ends the clause"
    if nearest[-4:] == "less" and frame in ("becomes", "infinitive"):
        return True, "object complement"
    joined = second in (",", "and", "or") and not (verb in ("make", "drive", "render") or after[2] in _NO_NOUN)
    if verb in _WORDS.making and not joined and (nearest in _WORDS.predicative or _has_adjective_ending(nearest)):
        return True, "object complement"
    if before in _WORDS.parting and nearest in _WORDS.farewells:
        return True, "farewell"
    if verb in _WORDS.taking and nearest in _WORDS.taken:
        return True, "object complement"
    if (verb in _WORDS.naming and nearest in _WORDS.roles) or (
        verb in ("placed", "ranked", "rated") and nearest in _WORDS.ordinals
    ):
        return True, "object complement"
    return None


def _wanted(before: str, after: list[str]) -> Reading:
    """Read "her" before a participle, after a verb of wish: "want her painted blue"; not "want her painted vase"."""
    if before not in _WORDS.wishing:
        return None
    nearest, second = after[0], after[1]
    regular = nearest[-2:] == "ed" and len(nearest) > 4 and nearest not in _WORDS.not_participles
    is_participle = regular or nearest in _WORDS.participles
    if nearest[-3:] == "ing" and nearest not in _WORDS.no_participles and second in _WORDS.free_after:
        return True, "participle"
    ends = second in _FREE_AFTER or second in _ENDS_OR_TO or second in _WORDS.result or second[-2:] == "ly"
    return (True, "object complement") if is_participle and ends else None


def _seen(before: list[str], after: list[str]) -> Reading:
    """Read "her" before a verb, behind a picture or a look: "a picture of her dancing", "listen to her sing"."""
    heard = before[0] == "to" and before[1] in _WORDS.listening
    if heard and after[0] in _WORDS.infinitives:
        return True, "bare infinitive"
    seen = (before[0] == "of" and before[1] in _WORDS.images) or (before[0] == "at" and before[1] in _WORDS.looking)
    acts = (seen or heard) and after[0][-3:] == "ing" and len(after[0]) > 5 and after[0] not in _WORDS.no_participles
    free = acts and (after[1] in _FREE_AFTER or after[1] in (_CLAUSE_ENDS if heard else _ENDS_OR_TO))
    return (True, "participle") if free else None


def _has_adjective_ending(word: str) -> bool:
    return (word[-3:] in ("ous", "ful") or word[-4:] in ("able", "ible")) and word not in _WORDS.not_adjectives


def _given(before: str, verb: str, after: list[str]) -> Reading:
    """Read "her" before what she is brought, granted or appointed ("brought her fame"), or before a number of units."""
    nearest, second, third = after
    if nearest in _WORDS.gains and (before in _BRINGING or verb in ("give", "grant", "promise")):
        return True, "second object"
    if nearest in _WORDS.much and before in _WORDS.bringing_only:
        return True, "second object"
    if before in _WORDS.awarding and nearest not in _WORDS.determined:
        return True, "second object"
    measured = second in _WORDS.units and third != "'" and (verb in _WORDS.paid or before in _WORDS.meted)
    if (nearest in _WORDS.numbers or nearest.isdigit()) and (measured or before in ("bore", "borne", "bears")):
        return True, "second object"
    if (
        before in _WORDS.appointing
        and second in _WORDS.after_office
        and nearest not in _WORDS.kin_and_aides
        and nearest[-1:] != "s"
    ):
        return True, "object complement"
    if before in _WORDS.pronouncing and (nearest in _WORDS.predicative or nearest in _WORDS.verdicts):
        return True, "object complement"
    return None


def _second_object(frame: str, verb: str, before: list[str], after: list[str]) -> Reading:
    """Read "her" before a second object without an article ("gave her water"), or between with and an object."""
    nearest, second = after[0], after[1]
    meal = after[1:] if nearest in _WORDS.dishes else after
    if verb in _WORDS.serving and meal[0] in _WORDS.meals and (meal[1] in _ENDS or meal[1] in _WORDS.when_served):
        return True, "second object"
    if second in _ENDS:
        given = (verb in _WORDS.giving and nearest in _WORDS.things) or (verb == "do" and nearest in _WORDS.done)
        if given or (verb in ("tell", "ask", "call") and nearest in _WORDS.told):
            return True, "second object"
    if verb in ("give", "grant", "deny", "refuse") and nearest in _WORDS.things_to and second == "to":
        return True, "second object"
    if verb in ("show", "send") and nearest in _WORDS.drawn_things and second == "of":
        return True, "second object"
    if verb in ("ask", "tell") and nearest in _WORDS.told and second in ("about", "of"):
        return True, "second object"
    if verb in ("wish", "bid") and nearest in _WORDS.wishes:
        return True, "second object"
    title = nearest in _WORDS.roles or (verb not in ("make", "call", "vote") and nearest not in _WORDS.kin_and_aides)
    if verb in _WORDS.naming and title and second == "of":
        return True, "object complement"
    if frame == "two objects" and (nearest in ("$", "£", "€") or (nearest[:1].isdigit() and second in _WORDS.prices)):
        return True, "second object"
    if verb == "teach" and nearest in _WORDS.subjects and (second in _ENDS or nearest in _WORDS.languages):
        return True, "second object"
    if before[0] in _WORDS.calling and nearest in _QUOTES:
        return True, "object complement"
    if before[0] == "with" and before[1] in _WORDS.carried and nearest not in _WORDS.held_with:
        return True, "object of with"
    return None


def _action(before: str, verb: str, after: list[str]) -> Reading:
    """Read "her" between a verb of perception or causation and a verb that could be a noun ("saw her dance")."""
    if before in _WORDS.catching and after[0][-3:] == "ing" and len(after[0]) > 5:
        return True, "participle"
    free_after = _FREE_AFTER if before in _WORDS.showing else _WORDS.free_after
    if (before in _WORDS.showing or before in _WORDS.enjoying) and after[0][-3:] == "ing" and after[1] in free_after:
        return True, "participle"
    free = after[1] in _FREE_AFTER or (verb in _LETTING and after[1] in _WORDS.joins)
    if (verb == "watch" or before in _WORDS.enjoying) and after[0] in _WORDS.shown:
        return False, "noun"
    if (
        verb == "watch"
        and (after[0] in _WORDS.watched or after[0] in _WORDS.actions)
        and (free or after[1][-2:] == "ed")
    ):
        return True, "bare infinitive"
    acts = after[0] in _WORDS.infinitives or (after[0] in _WORDS.actions and free)
    lets = verb in _WORDS.seeing or verb in _LETTING or (verb == "tell" and after[0] in _WORDS.moves)
    return (True, "bare infinitive") if acts and lets else None


def name_frame(before: list[str], after: list[str]) -> Reading:
    """The reading of "her" before a capitalised word: "Tell her Tom called", "They called her Maggie."."""
    frame, verb = VERB_FRAMES.get(before[0]) or ("", before[0])
    name, owns, _ = after[0].partition("'")
    if name in _WORDS.not_names or name[-3:] in ("ish", "ese", "ian", "can"):
        return None
    if (
        frame == "two objects"
        and before[1] not in _WORDS.be
        and (owns or (name in given_names() and after[1] in _ENDS))
    ):
        return True, "second object"
    if owns:
        return None
    if verb in ("tell", "remind", "reminded", "assure", "assured", "inform", "informed", "convince", "convinced"):
        return (True, "a clause follows") if after[1][-2:] == "ed" or after[1] in _WORDS.verbs else None
    if verb in ("make", "crown") and not _WORDS.appearances & set(after):
        return True, "object complement"
    if before[0] in _WORDS.appointing or (before[0] in _WORDS.calling and after[1] in _ENDS):
        return True, "object complement"
    return None


def phone_frame(before: list[str], after: list[str]) -> Reading:
    """The reading of "her" between a call and whom it reaches: "Call her mom." (not "Call her Mom.")."""
    phoned = before[0] in _WORDS.phoning and after[0] in _WORDS.phoned
    return (False, "whom a call reaches") if phoned and after[1] in _ENDS_OR_TO else None


def owner_frame(before: list[str], after: list[str]) -> Reading:
    """The reading of "her" before what only an owner can have there; None if this does not decide."""
    verb, nearest, second = before[0], after[0], after[1]
    if _ORDINAL.fullmatch(nearest) and second.isalpha() and second not in _CLOSED:
        return False, "an ordinal number"
    if nearest in _WORDS.phoned and VERB_FRAMES.get(verb, ("", ""))[1] in _WORDS.telling:
        return False, "whom somebody tells"
    alone = verb == "with" and before[1] not in _WORDS.carried
    if (verb in VERB_FRAMES or verb in _OTHER_VERBS) and not (alone or verb in _WORDS.with_clause):
        return None
    if verb in _WORDS.having and nearest[:1].isalpha() and nearest[-2:] != "ly" and nearest not in _WORDS.no_nouns:
        return False, "what is shown"
    if nearest in _CURRENCIES and verb not in _WORDS.costing:
        return False, "a price follows"
    if not second[:1].isalpha() or second in _CLOSED:
        return None
    if nearest in _SINGLE_QUOTES and before[1] not in _WORDS.saying and second not in _WORDS.clipped:
        return False, "a quotation"
    if (nearest.rstrip("dk").isdigit() or nearest in _WORDS.numbers) and second not in _WORDS.measures:
        return False, "a number"
    return (False, "a degree") if nearest in _WORDS.degrees else None
