"""Decide from the words around a pronoun whether "her" becomes "him" or "his", and "his" becomes "her" or "hers".

Rules about neighbouring words decide where they can, and a hashed linear model (`pronoun_model.py`) elsewhere. A rule's
confidence is how often it agrees with free labels ("him", "his"; "mine", "my") in public-domain novels.
"""

import re
from functools import cache, lru_cache

from augment.lexicon import WEIGHTS_DIR, given_names
from augment.rules.context import QUOTES, next_word
from augment.rules.frames import BEGINNINGS, CONTINUATIONS, her_frame, name_frame, owner_frame, phone_frame
from augment.rules.pronoun_model import HashedModel, load_model
from augment.rules.tables import word_lists
from augment.rules.tokens import PARAGRAPH, words_after, words_before

# Whether the first reading holds, the confidence, and the rule that decides.
Answer = tuple[bool, float, str]

_WORDS = word_lists("pronouns")
_CLOSED = _WORDS.closed | {PARAGRAPH, ""}
_ABSOLUTE = _WORDS.absolute | {PARAGRAPH, ""}
_AFTER_COMPARING = _WORDS.after_comparing | {PARAGRAPH, ""}
_JOINTS = frozenset({"or", "and", "nor", "/"})
# The words that rules look for behind "her" or "his", and before "her". Most words are none of them.
_NAMED = CONTINUATIONS.union(_CLOSED, _WORDS.joins, _WORDS.adverbs, _WORDS.owned, _WORDS.kin, _JOINTS, ("too", "while"))
_NAMED_BEFORE = BEGINNINGS | {"or", "/"}
_NO_NOUNS = (
    _ABSOLUTE | _JOINTS | _WORDS.comparing | _WORDS.participles | _WORDS.irregular | _WORDS.absolute_or_not | {"after"}
)
_NEXT_IN_LOWER = re.compile(" ([a-z]{1,30}) ")
_OPENS = frozenset({"", PARAGRAPH, ".", "!", "?", ":", '"', "“"})
_CLOSING = tuple("\"”’'")
_STAMMER = frozenset({",", "-", "—", "–", "…"})
_QUOTED_TWEET = re.compile(r" (?:[\"“] ?(?:RT )?|RT )@\w+(?![\w\"”])")  # not that of her "@ann" account
# Behind it the sentence ends or, if no adjective stands in it, goes on: her [laughs], her [1] and him.
_BRACKET_ENDS = re.compile(
    r" (?:\([^()\n]{1,40}\)|\[[^\[\]\n]{1,40}\]|\{[^{}\n]{1,40}\})\s?(?:[^\w\s'’\"]|\Z)"
    r"| \((?:again|too|twice|sic|lol)\)"
    r"| [(\[{](?:\d+|[A-Z][\w. -]{0,40}|[a-z]+s)[)\]}] (?:and|or|but|an?|the|as|for|with|in|on|at|to|when|because|so)\b"
)
# Laughter and words drawn out, as chat has them behind "her": hehehe, soooo, xxx.
_STRETCHED = re.compile(
    r"so{2,}|to{3,}|no{2,}|(?:ha|he|hi|ah|ja){2,}[ha]?|l+o+l+|lma+o+|x+|mu+ch+|ple+a+s+e+|wh?y+|omg+|ctf+u+"
)
_CENSORED = re.compile(r" \*{2,}(?![\w*])")  # kicked his ****
_TAGGED = re.compile(r" [#@]\w+(?:['’!]| [a-zA-Z])")  # his #wife left, his @bank account
_COUNTERPART = {"him": True, "his": False}
# Before a slash: whether the "her" behind it is an object.
_LISTED = {"him": True, "she": True, "them": True, "me": True, "his": False, "her": False, "their": False, "my": False}
_PARTITIVE = re.compile(
    r"\b(?:an?|some|any|no|another|this|that|these|those|two|three|four|five|six|several|many|few|every|each|old)"
    r" (?:\w+ ){0,2}?(?!part|piece|end|side|copy|bit|lot|number|kind|sort|member|photo|picture|portrait|result|matter)"
    r"\w+ of \Z",
    re.IGNORECASE,
)
# The model's odds of an object are multiplied by this factor. The model was trained on novels and alone would find too
# few objects elsewhere. With the factor it misses "him" as often as "his" on free labels from an encyclopedia.
_ODDS = 1.38


# Names of broadcasts and brands, which may begin with any word.
_TWO_CAPITALS = re.compile(r" (?!I\b)[A-Z][a-z]+ (?!I\b)[A-Z][a-z]+")
_NAMED_OR_ON_OFF = re.compile(r" (?:(?!I\b)[A-Z][a-z]+|on/off\b)")
_JOINT_OWNER = re.compile(r" and (?:[A-Z][\w.-]+ ){0,2}[A-Z][\w-]+['’]s? [a-z\d'‘]")


def _verbal(word: str) -> bool:
    """Whether a word looks like a verb rather than a possessed noun, from its form alone."""
    return (
        word in _WORDS.irregular or word in _ABSOLUTE or (word.endswith("ed") and word not in ("beloved", "red", "bed"))
    )


@cache
def _model(task: str) -> HashedModel:
    return load_model(WEIGHTS_DIR / f"{task}.bin")


def _skip_bracket(text: str, start: int, end: int) -> int:
    """Where the words after a pronoun begin: after the closing bracket in an editor's "[her]" or in TeX's "{her}"."""
    return end + (text[start - 1 : start] + text[end : end + 1] in ("()", "[]", "{}"))


def her_is_object(text: str, start: int, end: int) -> Answer:
    """Whether the "her" at [start, end) must become "him"; the confidence, in [0.5, 1]; and the rule that decides."""
    after = words_after(text, _skip_bracket(text, start, end))
    before = words_before(text, start)
    unnamed = text[end + 1 : end + 2].islower() and _is_unnamed(after[0])
    if not unnamed or before[0] in _NAMED_BEFORE or after[1] in _WORDS.slang:
        answer = _her_by_rule(text, start, end, before, after)
        if answer:
            return answer
    probability = _model("her").probability(before, after)
    probability = probability * _ODDS / (probability * _ODDS + 1 - probability)
    return probability > 0.5, max(probability, 1 - probability), "her: model"


@lru_cache(maxsize=1 << 13)
def _is_unnamed(word: str) -> bool:
    """Whether no rule for "her" names the word behind it, as is so of most: hand, but not own, and, soooo, dancing."""
    return word.isalpha() and not (word in _NAMED or word.endswith(("ly", "ing")) or _STRETCHED.fullmatch(word))


def _her_by_rule(text: str, start: int, end: int, before: list[str], after: list[str]) -> Answer | None:
    """Read "her" by the words beside it and by verb frames; None if no rule decides.

    A rule needs a word of `_NAMED` or another that is not `_is_unnamed` behind "her", or one of `_NAMED_BEFORE` before.
    """
    nearest = after[0]
    listed = _her_beside_slash(before, after) if "/" in (before[0], nearest) else None
    if listed is not None:
        return listed, 0.99, "her: part of a list"
    if text[end + 1 : end + 2] in '"“R' and _QUOTED_TWEET.match(text, end):
        return True, 0.99, "her: a quoted message follows"
    if before[0] in _OPENS and after[0] in _STAMMER and after[1] == "her" and after[2] not in _CLOSED:
        return False, 0.9, "her: said twice"
    if before[0] in ("or", "and") and before[1] == "his" and nearest in _CLOSED:  # "his or her" and no noun
        return False, 0.9, "her: joined with him or his"
    if nearest in ("2", "4", "too") and (after[1] in _CLOSED or after[1] == "and"):  # to, for
        return True, 0.9, "her: closed-class word follows"
    if nearest in _CLOSED and text[start].islower() and _TWO_CAPITALS.match(text, end):
        return False, 0.9, "her: a name follows"  # her This Morning role
    if nearest == "while" and before[0] == "worth":
        return False, 0.99, "her: noun follows"
    if text[end + 1 : end + 2] == "*" and _CENSORED.match(text, end):
        return False, 0.9, "her: noun follows"
    if nearest == "and" and _JOINT_OWNER.match(text, end):
        return False, 0.9, "her: joined with another owner"  # her and Rio's home
    if nearest == "and" and before[0] in _OPENS and after[1] not in _WORDS.determiners and after[1] != "her":
        return True, 0.9, "her: a subject"  # Her and Ashley are late
    if nearest in _CLOSED or (nearest in _WORDS.joins and after[1] in _WORDS.new_phrase):
        return True, 0.99, "her: closed-class word follows"
    if after[1] in _WORDS.slang and nearest.isalpha():  # told her lazy ass
        return False, 0.9, "her: noun of slang follows"
    if nearest in ("(", "[", "{") and _BRACKET_ENDS.match(text, end):
        return True, 0.9, "her: a bracket follows"
    if _STRETCHED.fullmatch(nearest):
        return True, 0.9, "her: a word of chat follows"
    if (
        text[end : end + 1] in _CLOSING
        and text[start - 1 : start] not in QUOTES
        and not text[end + 1 : end + 2].isalnum()
    ):
        return True, 0.9, "her: a mark follows"
    if nearest in _WORDS.adverbs and after[1] in _WORDS.into:
        return True, 0.9, "her: closed-class word follows"
    if nearest[1:] and nearest.partition("'")[0] in _CLOSED:  # it's, everything's
        return True, 0.99, "her: closed-class word follows"
    if (
        nearest in _WORDS.owned
        and not (nearest in ("honour", "honor") and before[0] in ("do", "does", "did", "doing"))
        and not (before[0] in _WORDS.before_kin_names and text[end + 1 : end + 2].isupper())  # named her Grace
    ):
        return False, 0.99, "her: noun of title or own follows"
    if nearest.partition("'")[0] in _WORDS.kin and before[0] not in _WORDS.before_kin_names:
        return False, 0.98, "her: kin follow"
    if before[0] == "or" and before[1] in _COUNTERPART:
        return _COUNTERPART[before[1]], 0.99, "her: joined with him or his"
    if nearest == "or" and after[1] in _COUNTERPART:
        return _COUNTERPART[after[1]], 0.99, "her: joined with him or his"
    frame = her_frame(before, after)
    if frame is None:
        following = next_word(text, end) if text[end + 1 : end + 2].isupper() else ""
        is_name = following and (text[end - 1].islower() or following.lower() in given_names())
        frame = name_frame(before, after) if is_name else phone_frame(before, after)
    if frame is None and text[end : end + 1].isspace():  # not her's, her'll
        frame = owner_frame(before, after)
    return (frame[0], 0.95, "her: " + frame[1]) if frame else None


def _her_beside_slash(before: list[str], after: list[str]) -> bool | None:
    """Whether "her" beside a slash is an object (she/her/hers, him/her) or not (his/her, her/their); None: unknown."""
    if before[0] == "/" and before[1] in _LISTED:
        return _LISTED[before[1]]
    if after[0] != "/":
        return None
    if after[1] in _WORDS.determiners:
        return after[1] == "her" and after[2] in ("/", *_CLOSED)  # her/her/hers
    return True


def his_is_absolute(text: str, start: int, end: int) -> Answer:
    """Whether the "his" at [start, end) must become "hers"; the confidence, in [0.5, 1]; and the rule that decides."""
    noun = _NEXT_IN_LOWER.match(text, end)
    if noun and noun[1] not in _NO_NOUNS and not noun[1].endswith(("ed", "s")) and text[start - 1 : start] != "/":
        return False, 0.998, "his: open-class word follows"  # most often, and fast to see
    after = words_after(text, _skip_bracket(text, start, end))
    nearest = after[0]
    if text[end + 1 : end + 2] == "*" and _CENSORED.match(text, end):
        return False, 0.97, "his: noun follows"
    if nearest in _JOINTS and _JOINT_OWNER.match(text, end):
        return False, 0.97, "his: joined with another owner"
    if nearest in _ABSOLUTE and text[start].islower() and _NAMED_OR_ON_OFF.match(text, end):
        return False, 0.97, "his: noun follows"  # his This Morning role, his on/off flatmate
    if text[start - 1 : start] == "/" or nearest == "/":
        before = words_before(text, start)
        if before[0] == "/" and before[1] in ("him", "his"):  # he/him/his, he/him/his/his
            return after[:2] != ["/", "his"], 0.97, "his: part of a list"
        if before[0] == "/" and before[1] == "he":
            return False, 0.97, "his: part of a list"
    if nearest in ("or", "/") and after[1] == "her":
        return False, 0.99, "his: joined with another determiner"
    if nearest in _JOINTS and after[1] in _WORDS.determiners and after[2] not in _ABSOLUTE:
        return False, 0.99, "his: joined with another determiner"
    if nearest in _WORDS.comparing and after[1] in _AFTER_COMPARING:
        return True, 0.9, "his: closed-class word follows"
    if nearest == "after" and after[1] in _WORDS.later:  # his after years
        return False, 0.97, "his: noun follows"
    if nearest == PARAGRAPH and _TAGGED.match(text, end) and words_before(text, start)[0] not in _WORDS.before_absolute:
        return False, 0.9, "his: a handle or hashtag follows"
    if nearest in _ABSOLUTE:
        return True, 0.97, "his: closed-class word follows"
    if nearest in _WORDS.participles and after[1].isalpha() and after[1] not in _WORDS.after_participle:
        return False, 0.97, "his: noun follows"  # a revival of his hit musical
    verbal = _verbal(nearest) or (nearest[-1:] == "s" and after[1] in _WORDS.after_verb)
    if nearest.isalpha() and nearest not in _WORDS.absolute_or_not and not verbal:
        return False, 0.998, "his: open-class word follows"
    before = words_before(text, start)
    if before[0] == "of" and verbal and _PARTITIVE.search(text[start - 60 if start > 60 else 0 : start]):
        return True, 0.9, "his: partitive"
    if not _verbal(nearest) and nearest.isalpha() and nearest not in _WORDS.absolute_or_not:
        return False, 0.998, "his: open-class word follows"
    probability = _model("his").probability(before, after)
    return probability > 0.5, max(probability, 1 - probability), "his: model"
