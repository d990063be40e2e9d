"""Verb frames: whether "her" is an object, judged by the verb before it and the words behind it.

Functions take the words before (nearest first) and after the pronoun. They return whether it is an object, with the
name of the frame that decides, or None. Most frames rest on what cannot follow a possessive: an adverb or adjective
that ends its clause, a price, a second object without an article.
"""

from augment.rules.context import PARAGRAPH
from augment.rules.tables import word_lists, word_set
from augment.rules.verbs import VERB_FRAMES

Reading = tuple[bool, str] | None  # whether the pronoun is an object, and the frame

_WORDS = word_lists("frames")
_CLAUSE_ENDS = _WORDS["clause_ends"] | {PARAGRAPH, ""}
_ENDS = _CLAUSE_ENDS | {",", "and", "or"}
_ENDS_OR_TO = _ENDS | {"to"}
# Adverbs that never stand before a noun, and those that may.
_ADVERBS = _WORDS["adverbs"]
_PLACES = _WORDS["places"]
_IN_LY = _WORDS["in_ly"]
_GIVING = _WORDS["giving"]
_THINGS = _WORDS["things"]
_DRAWN_THINGS = _WORDS["drawn_things"]
_MEALS = _WORDS["meals"]
_SUBJECTS = _WORDS["subjects"]
_NAMING = _WORDS["naming"]
_CALLING = _WORDS["calling"]
_ROLES = _WORDS["roles"]
_PREDICATIVE = _WORDS["predicative"]
_NOT_ADJECTIVES = _WORDS["not_adjectives"]
_MAKING = _WORDS["making"]
_TAKING = _WORDS["taking"]
_TAKEN = _WORDS["taken"]
_ACTIONS = _WORDS["actions"]
_SEEING = _WORDS["seeing"]
_LETTING = word_set("let make help")
_FREE_AFTER = _CLAUSE_ENDS | _WORDS["free_after"]
_TIMES = _WORDS["times"]
_QUANTITIES = _WORDS["quantities"]
_SPANS = _WORDS["spans"]
_LAST = _WORDS["last"]
_IN_HER_LAST = _WORDS["in_her_last"]
_WITH_EVERY = _WORDS["with_every"]
_PAID = _WORDS["paid"]
_WISHES = _WORDS["wishes"]
_DONE = _WORDS["done"]
_TOLD = _WORDS["told"]
_CARRIED = _WORDS["carried"]
_HELD_WITH = _WORDS["held_with"]
_BEATING = _WORDS["beating"]
_BE = _WORDS["be"]
_ALL_BUT = _WORDS["all_but"]
_ONCE = _WORDS["once"]
_PRICES = _WORDS["prices"]
_COUNTING = frozenset({"every", "all", "then", "last"}) | _SPANS | _QUANTITIES
_ORDINALS = _WORDS["ordinals"]
_BRINGING_ONLY = _WORDS["bringing_only"]
_BRINGING = _BRINGING_ONLY | _WORDS["bringing"]
_GAINS = _WORDS["gains"]
_MUCH = _WORDS["much"]
_AWARDING = _WORDS["awarding"]
_DETERMINED = _WORDS["determined"]
_NUMBERS = _WORDS["numbers"]
_UNITS = _WORDS["units"]
_METED = _WORDS["meted"]
_APPOINTING = _WORDS["appointing"]
_AFTER_OFFICE = _WORDS["after_office"]
_KIN_AND_AIDES = _WORDS["kin_and_aides"]
_PRONOUNCING = _WORDS["pronouncing"]
_VERDICTS = _WORDS["verdicts"]
_LANGUAGES = _WORDS["languages"]
_CATCHING = _WORDS["catching"]
_WATCHED = _WORDS["watched"]
_INFINITIVES = _WORDS["infinitives"]
# Words before the pronoun, besides the verbs of VERB_FRAMES, with which a frame can begin.
_OTHER_VERBS = (
    _CALLING | _BRINGING | _AWARDING | _METED | _APPOINTING | _PRONOUNCING | _CATCHING | _TAKING | _GIVING | _NAMING
) | _WORDS["other_verbs"]
_VERBS = _WORDS["verbs"]
_APPEARANCES = _WORDS["appearances"]
_NOT_NAMES = _WORDS["not_names"]


def her_frame(before: list[str], after: list[str]) -> Reading:
    """The reading of "her"; None when the words around it do not settle it."""
    frame, verb = VERB_FRAMES.get(before[0]) or ("", before[0])
    if before[0] == "but" and before[1] in _ALL_BUT and (after[0] in _VERBS or after[0][-2:] == "ed"):
        return True, "all but"
    nearest = after[0]
    reading = None
    if nearest in _COUNTING or nearest[:1].isdigit():
        reading = _quantified(before[0], verb, after)
    reading = reading or _ended(frame, verb, after)
    if reading or not (frame or before[0] in _OTHER_VERBS):
        return reading
    if before[1] == "she" and verb in _GIVING and nearest in _THINGS and after[1] in ("to", "away"):
        return False, "the giver's own"
    # "She gave her money to charity", "was given her first command": the owner is the giver or the subject.
    passive = before[1] in _BE and before[0][-3:] != "ing"
    if before[1] != "she" and before[2] != "what" and not passive:
        reading = _second_object(frame, verb, before, after) or _given(before[0], verb, after)
    return reading or _action(before[0], verb, after)


def _quantified(before: str, verb: str, after: list[str]) -> Reading:
    """Does every, all or then behind the pronoun belong to the pronoun or to the noun that follows?"""
    nearest, second, _ = after
    if nearest == "every":
        of_time = second in _TIMES or verb in _WITH_EVERY
        return (True, "every with an adverb") if of_time else (False, "every with a noun")
    if nearest == "all" and (verb in ("give", "put") or before == "it") and (second in _ENDS_OR_TO or second == "into"):
        return False, "her all"
    if nearest == "then" and second in _ONCE:
        return False, "then with a noun"
    if nearest == "last" and before not in _IN_HER_LAST and second in _LAST:
        return True, "adverb of time"
    if nearest in _SPANS and before in _TAKING and second in _ENDS_OR_TO:
        return True, "second object"
    if nearest in _QUANTITIES and verb in _PAID and (second in _ENDS_OR_TO or second == "of"):
        return True, "second object"
    if nearest[:1].isdigit() and before in _BEATING and second in ("-", "–", "to"):
        return True, "a score follows"
    return None


def _ended(frame: str, verb: str, after: list[str]) -> Reading:
    """An adverb or a complement of the object that ends its clause."""
    nearest, second = after[0], after[1]
    if nearest in _ADVERBS and second not in ("and", "or"):
        return True, "adverb ends the clause"
    if second not in _ENDS_OR_TO:
        return None
    if nearest in _PLACES and second not in ("and", "or"):
        return True, "adverb ends the clause"
    if nearest[-2:] == "ly" and nearest not in _IN_LY:
        return True, "adverb ends the clause"
    if nearest[-4:] == "less" and frame in ("becomes", "infinitive"):
        return True, "object complement"
    joined = second in (",", "and", "or")
    joined = joined and not (verb in ("make", "drive", "render") or after[2] in _PREDICATIVE)
    if verb in _MAKING and not joined and (nearest in _PREDICATIVE or _has_adjective_ending(nearest)):
        return True, "object complement"
    if verb in _TAKING and nearest in _TAKEN:
        return True, "object complement"
    if (verb in _NAMING and nearest in _ROLES) or (verb in ("placed", "ranked", "rated") and nearest in _ORDINALS):
        return True, "object complement"
    return None


def _has_adjective_ending(word: str) -> bool:
    return (word[-3:] in ("ous", "ful") or word[-4:] in ("able", "ible")) and word not in _NOT_ADJECTIVES


def _given(before: str, verb: str, after: list[str]) -> Reading:
    """What is brought, granted, borne, or measured in units, and what somebody is appointed."""
    nearest, second, third = after
    if nearest in _GAINS and (before in _BRINGING or verb in ("give", "grant", "promise")):
        return True, "second object"
    if nearest in _MUCH and before in _BRINGING_ONLY:
        return True, "second object"
    if before in _AWARDING and nearest not in _DETERMINED:
        return True, "second object"
    measured = second in _UNITS and third != "'" and (verb in _PAID or before in _METED)
    if (nearest in _NUMBERS or nearest.isdigit()) and (measured or before in ("bore", "borne", "bears")):
        return True, "second object"
    if before in _APPOINTING and second in _AFTER_OFFICE and nearest not in _KIN_AND_AIDES and nearest[-1:] != "s":
        return True, "object complement"
    if before in _PRONOUNCING and (nearest in _PREDICATIVE or nearest in _VERDICTS):
        return True, "object complement"
    return None


def _second_object(frame: str, verb: str, before: list[str], after: list[str]) -> Reading:
    """A second object without an article, or the object of "with" between a verb and its object."""
    nearest, second = after[0], after[1]
    if second in _ENDS:
        if verb in _GIVING and nearest in _THINGS:
            return True, "second object"
        if verb in ("make", "fetch", "order") and nearest in _MEALS:
            return True, "second object"
        if (verb == "do" and nearest in _DONE) or (verb in ("tell", "ask", "call") and nearest in _TOLD):
            return True, "second object"
    if (
        verb in ("give", "grant", "deny", "refuse")
        and nearest in ("permission", "leave", "authority")
        and second == "to"
    ):
        return True, "second object"
    if verb in ("show", "send") and nearest in _DRAWN_THINGS and second == "of":
        return True, "second object"
    if verb in ("ask", "tell") and nearest in _TOLD and second in ("about", "of"):
        return True, "second object"
    if verb in ("wish", "bid") and nearest in _WISHES:
        return True, "second object"
    title = nearest in _ROLES or (verb not in ("make", "call", "vote") and nearest not in _KIN_AND_AIDES)
    if verb in _NAMING and title and second == "of":
        return True, "object complement"
    if frame == "two objects" and (nearest in ("$", "£", "€") or (nearest[:1].isdigit() and second in _PRICES)):
        return True, "second object"
    if verb == "teach" and nearest in _SUBJECTS and (second in _ENDS or nearest in _LANGUAGES):
        return True, "second object"
    if before[0] in _CALLING and nearest in ('"', "“", "‘"):
        return True, "object complement"
    if before[0] == "with" and before[1] in _CARRIED and nearest not in _HELD_WITH:
        return True, "object of with"
    return None


def _action(before: str, verb: str, after: list[str]) -> Reading:
    """A bare infinitive that could also be a noun, behind a verb of perception or causation."""
    if before in _CATCHING and after[0][-3:] == "ing" and len(after[0]) > 5:
        return True, "participle"
    free = after[1] in _FREE_AFTER
    if verb == "watch" and (after[0] in _WATCHED or after[0] in _ACTIONS) and (free or after[1][-2:] == "ed"):
        return True, "bare infinitive"
    acts = after[0] in _INFINITIVES or (after[0] in _ACTIONS and free)
    return (True, "bare infinitive") if acts and (verb in _SEEING or verb in _LETTING) else None


def name_frame(before: list[str], after: list[str]) -> Reading:
    """The reading before a capitalised word: "Tell her Tom called", "They called her Maggie."."""
    _, verb = VERB_FRAMES.get(before[0]) or ("", before[0])
    if after[0] in _NOT_NAMES or after[0][-3:] in ("ish", "ese", "ian", "can") or after[0].endswith("'s"):
        return None
    if verb in ("tell", "remind", "reminded", "assure", "assured", "inform", "informed", "convince", "convinced"):
        return (True, "a clause follows") if after[1][-2:] == "ed" or after[1] in _VERBS else None
    if verb in ("make", "crown") and not _APPEARANCES & set(after):
        return True, "object complement"
    if before[0] in _APPOINTING or (before[0] in _CALLING and after[1] in _ENDS):
        return True, "object complement"
    return None
