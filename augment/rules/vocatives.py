"""Tell when a word is called out to somebody rather than said about somebody: "Thanks, man", "Yes, Miss".

`man`, `boy`, `girl` and `guys` are then said to everybody and stay; titles are swapped for another form of address.
"""

import re

from augment.rules.context import previous_token, starts_sentence
from augment.rules.tables import trie_pattern, word_lists, word_set

_WORDS = word_lists("vocatives")
_FINITE = _WORDS.finite | word_lists("pronouns").irregular
EXCLAIMED = word_set("man boy girl woman guys gals bro sis")
_SAID_TO_EVERYBODY = word_set("man boy girl guys")
_NO_PART_OF_NOUN = _WORDS.no_part_of_noun | _WORDS.copulas | _WORDS.cries
_EXCLAIMING = word_set("man boy girl")
_OF_A_PERSON = word_set("he she")
_YOU = word_set("you u ya")
_DESCRIBES = _WORDS.determiners | _WORDS.articles | _WORDS.adjectives | _WORDS.describing | {""}
# Where a sentence or its speech can begin: after a mark, a tag (blanks here), a speaker's label, a handle.
_START = r"(?:\A| {3}|\bRT |[.!?,:;>|\n\"“‘—–…(*\]-]|@\w+) *"


def _any_of(words: frozenset[str]) -> str:
    return trie_pattern([word.replace("_", " ") for word in words], blank=" ")


# Cries drawn out: ooooh, yeaaah, lmaooo.
_LONG_CRIES = r"so{2,}|s+e{3,}|o{2,}h*|a+w{2,}e*|ye+a+h*|he+y{2,}|hi{2,}|a+h{2,}|lma+o+|lo+l+|(?:ha){2,}h?|da+m+n*"
_AFTER_CRY = re.compile(rf"{_START}(?:{_any_of(_WORDS.cries)}|{_LONG_CRIES}) ?,? *\Z", re.IGNORECASE)
_AFTER_CALL = re.compile(rf"{_START}(?:{_any_of(_WORDS.cries | _WORDS.calls)}|{_LONG_CRIES}) ?,? *\Z", re.IGNORECASE)
_AFTER_CLAUSE = re.compile(rf"(?<![\w-]){_any_of(_WORDS.before_vocative)} +\Z", re.IGNORECASE)
_AFTER_COMMA = re.compile(r"([\w'’]++)[\"”’)*]* ?, *\Z")
_CALL_ENDS = re.compile(
    r"(?=[^\w\s'’/&(\[-])|\s*\Z| {2}|\s+(?:[^\w\s&(/\[-]|-+\s|https?:|(?:lo+l|lmao|haha(?:ha)*|he(?:he)+)\b)"
)
_CLAUSE_BEGINS = re.compile(rf" +{_any_of(_WORDS.clause_begins)}(?!\w)", re.IGNORECASE)
_EXCLAIMS = re.compile(rf" +{_any_of(_WORDS.exclaimed)}(?!\w)", re.IGNORECASE)
_AGES = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
    "|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
)
# "Man, shot in leg, sues" speaks of a man; so do his age and a list.
_LISTED = re.compile(
    rf" ?, (?:whose?|\d{{1,3}}|(?:wo)?man|boy|girl|child)\b| No\. ?\d| ?, (?:{_AGES}|[a-z]+ty(?:-[a-z]+)?) ?,"
    r"| ?, (?:[a-z]+ed|shot|hit|stabbed|bit|bitten|stuck|caught|found|left|lost|hurt|struck|beaten|stung|born|held|cut"
    r"|last|once|thought|naked|drunk|believed)\b[^,.!?\n]{0,60}, (?!things|guys|kids|always)[a-z]+[a-rt-z](?:s|ed)\b"
)
# In chat without a comma before it: "tired of this job man, I left", "send me links guys".
_CALLS_THE_READER = re.compile(rf" ?, *{_any_of(_WORDS.after_comma)}(?!\w)", re.IGNORECASE)
_WORD_BEFORE = re.compile(r"(?<![\w'’-])([A-Za-z]++) \Z")
_DETERMINED = re.compile(rf"(?<![\w-]){_any_of(_WORDS.determiners)} (?:([\w'’-]+) )?\Z", re.IGNORECASE)
_NEW_CLAUSE = re.compile(rf" +{_any_of(_WORDS.new_clause)}(?!\w)", re.IGNORECASE)
# Behind "and" or "but", the order of a question is a cry: "and man was it cold".
_INVERTED = re.compile(
    r" (?:am|is|are|was|were|did|does|do) (?:i|it|that|this|he|she|they|we|you|there)\b"
    r"| ?, (?:that|this|it|was|were|is|are|am|did|do|does|you|i|i['’]m)\b",
    re.IGNORECASE,
)
_JOINS = re.compile(r"(?<![\w-])(?<!\bgirl )(?<!\b(?:wo)man )(?<!\bman )(?:and|but) \Z", re.IGNORECASE)
_PRAISED = re.compile(  # one thing cannot be guys: "college is great guys"
    rf"(?<![\w-])(?:is|was|(?:it|that|this)['’]?s) (?:{_any_of(_WORDS.degree)} )?{_any_of(_WORDS.adjectives)} \Z",
    re.IGNORECASE,
)
_LIKE_THIS = re.compile(r"(?<![\w-])(?:((?:like|remember|see|watch|about) )th(?:is|at)|my bad) \Z", re.IGNORECASE)
_SINGULAR = re.compile(r"\b(?:an?|this|every)(?: (?!few|couple|lot|bunch|dozen|hundred|thousand|million)\w+)? \Z")
_JOINED = re.compile(r" (?:and|or|&) (?:sis|sister|mom|mum|dad|me|i|my|his|her|the)\b| of ", re.IGNORECASE)
_PLURAL = re.compile(r"[A-Za-z]{2,}(?<!ou)(?<!s)(?<!u)(?<!i)s")
_VOCATIVE = re.compile(
    r"(?:^|[,:;—–!?\"“‘']|\b(?:yes|no|please|thanks|you|well|oh|pardon|sorry|morning|evening|me))[ ,]*\Z", re.I
)
ENDS_ADDRESS = re.compile(r" ?[.,!?;:]|[\"”’']|\s*\Z")
# Behind an article or a determiner nobody is called out, if it cannot end a cry or a clause either.
_ENDS_CLAUSE = {words.rpartition("_")[2] for words in _WORDS.cries | _WORDS.calls | _WORDS.before_vocative}
_ENDS_CLAUSE |= _WORDS.never_joined | _WORDS.no_compounds | {"my"}
_NEVER_BEFORE_CALL = {
    word + " " for word in (_WORDS.articles & _WORDS.determiners) - _ENDS_CLAUSE if not _PLURAL.fullmatch(word)
}
# Before "my man" and behind it, where it is called out: "How are you, my man?"; not "I miss my man!".
_MY_CALLED = re.compile(
    r"(?:\A|[.!?,:;>|\n\"“‘—–…]| {3}|@\w+"
    rf"|(?<![\w-]){_any_of(_WORDS.cries | _WORDS.calls | _WORDS.before_vocative)}) *\Z",
    re.IGNORECASE,
)
_MY_LISTED = re.compile(r"(?<![\w-])my [\w'’]+ ?, *\Z", re.IGNORECASE)  # that's my baby, my man
_MY_ENDS = re.compile(
    rf" ?[.!?…\"”]| ?, *{_any_of(_WORDS.after_comma | _WORDS.after_my_man)}(?!\w)|\s*\Z", re.IGNORECASE
)
_REACH = 30
# What shows that somebody speaks to somebody: a person of the talk, a handle (blanks here), a hashtag, an emoji.
_SPEECH = re.compile(
    rf"(?<![\w'’-]){_any_of(_WORDS.speech)}(?![\w-])|[@#](?=\w)| {{3}}|[\u2600-\u27bf\U0001f000-\U0010ffff]",
    re.IGNORECASE,
)
_EXCLAIMED = re.compile(
    r" ?[,!]|…| ?\.\.| \. |(?<=M[Aa][Nn])\. (?=[A-Z])|(?<=B[Oo][Yy])\. (?=[A-Z])"
)  # behind "Man" alone
_CHAT_ENDS = re.compile(r" {3}|\s*(?:\Z|https?:|[#\u2600-\u27bf\U0001f000-\U0010ffff]|&#\d|(?:lol|lmao|smh|haha)\b)")
_SPEECH_REACH = 100
_LONG_REACH = 60
_WORDS_BEFORE = re.compile(r"(?:(?<![\w'’-])[\w'’-]++ ){1,6}\Z")
_FOLLOWS = re.compile(r" ([A-Za-z][\w'’]*)")
_PART_OF_NOUN = re.compile(r"['’-]|/\w")


def interjection(text: str, start: int, end: int) -> str | None:
    """Reason to leave man, boy, girl, bro or guys alone: it is called out ("Man, that hurt", "Oh boy!", "Thanks, man").

    A woman is left alone where the cry is the same ("Oh woman!"), so that a second swap finds it so.
    """
    if _LISTED.match(text, end):
        return None
    word = text[start:end].lower()
    if word in _SAID_TO_EVERYBODY and _alone_or_twice(text, start, end, word):
        return "interjection"
    token = previous_token(text, start)
    if token in _NEVER_BEFORE_CALL and word not in ("guys", "bro"):  # most often, and fast to see
        return None
    # after a stage direction, a handle, an emoji or dots
    opens = starts_sentence(token) or token.endswith((") ", "..")) or "@" in token or token == "RT "
    opens = opens or token[-2:-1] >= "\u2600"
    if (
        opens
        and _EXCLAIMED.match(text, end)
        and (text[start].isupper() or text.startswith("..", end) or _is_speech(text, start, end))
    ):
        return "interjection"
    if opens and word in _EXCLAIMING and _EXCLAIMS.match(text, end + (text[end : end + 1] == ",")):
        return "interjection"
    if opens and word == "man" and _no_subject(text, start, end):
        return "interjection"
    near = start - _REACH if start > _REACH else 0
    if word == "bro" and text[end : end + 1] not in ("'", "’") and not _of_somebody(text, near, start, end):
        return "interjection"
    ends = _CALL_ENDS.match(text, end)
    if word not in _SAID_TO_EVERYBODY:
        called = _AFTER_CRY.search(text, near, start) or (word == "sis" and _AFTER_CLAUSE.search(text, near, start))
        return "interjection" if ends and called else None
    goes_on = _CLAUSE_BEGINS.match(text, end)
    if opens and word == "guys" and goes_on:
        return "interjection"
    called = _AFTER_CALL.search(text, near, start)
    if called and (
        ends or goes_on or _asks(text, end, word) or (called[0][-3:].lower() != "yo " and _no_subject(text, start, end))
    ):
        return "interjection"
    if word == "man" and _bare(text, start, end):
        return "interjection"
    if word in _EXCLAIMING and _breaks_off(text, start, end):
        return "interjection"
    if word in ("boy", "girl") and _DETERMINED.search(text, near, start):
        return None
    if word in ("boy", "girl") and (ends or goes_on) and _bare(text, start, end):
        return "interjection"
    if (goes_on or _asks(text, end, word)) and _AFTER_CLAUSE.search(text, near, start):
        return "interjection"
    if (ends or (goes_on and word == "guys")) and _without_comma(text, near, start, end, word):
        return "interjection"
    if word == "man" and text.endswith(("my ", "My "), near, start) and _MY_CALLED.search(text, near, start - 3):
        is_called = _MY_ENDS.match(text, end) and not _MY_LISTED.search(text, near, start - 3)
        return "interjection" if is_called else None
    comma = _AFTER_COMMA.search(text, near, start)
    runs_on = comma and word != "guys" and (goes_on or (word == "man" and _no_subject(text, start, end)))
    if not (ends or runs_on):
        return None
    if comma:
        return None if comma[1].lower() in _WORDS.listed else "interjection"
    return "interjection" if _AFTER_CLAUSE.search(text, near, start) else None


def _alone_or_twice(text: str, start: int, end: int, word: str) -> bool:
    """Whether the word is all of the text, or said twice: "guys guys look"."""
    if start < 3 and not text[:start].strip() and not text[end : end + 40].strip():
        return True
    near = start - len(word) - 1 if start > len(word) else 0
    if word not in text[near:start].lower() and word not in text[end : end + len(word) + 1].lower():
        return False
    before, after = _WORD_BEFORE.search(text, near, start), _FOLLOWS.match(text, end)
    return (before is not None and before[1].lower() == word) or (after is not None and after[1].lower() == word)


def _breaks_off(text: str, start: int, end: int) -> bool:
    """Whether man, boy or girl is called out because no sentence could go on so: "a new movie boy I swear"."""
    if _INVERTED.match(text, end):
        return bool(_JOINS.search(text, start - 10 if start > 10 else 0, start))
    if not _NEW_CLAUSE.match(text, end):
        return False
    before = _WORD_BEFORE.search(text, start - _REACH if start > _REACH else 0, start)
    nearest = before[1].lower() if before else ""
    return nearest not in _DESCRIBES and _is_speech(text, start, end)


def _no_subject(text: str, start: int, end: int) -> bool:
    """Whether "man" at the beginning is called out, in talk: no verb whose subject it could be follows it."""
    follows = _FOLLOWS.match(text, end)
    word = follows[1].lower() if follows else ""
    is_verb = word.endswith(("s", "ed")) and word[-2:-1] not in ("'", "’") and word not in _WORDS.no_verbs
    if not word or is_verb or word in _FINITE:
        return False
    return _is_speech(text, start, end)


def _bare(text: str, start: int, end: int) -> bool:
    """Whether "man" is called out, in talk: it has no article, and nothing before it describes it."""
    found = _WORDS_BEFORE.search(text, start - _LONG_REACH if start > _LONG_REACH else 0, start)
    follows = _FOLLOWS.match(text, end)
    if found is None or _PART_OF_NOUN.match(text, end) or (follows and follows[1].lower() in _WORDS.after_noun):
        return False
    before = [*found[0].lower().split()[::-1], ""]
    nearest = before[0]
    is_man = text[start:end].lower() == "man"
    if not is_man and nearest in _NO_PART_OF_NOUN and nearest not in _WORDS.cries:  # home girl
        return False
    nearest_as_written = found[0].split()[-1]
    is_small = nearest_as_written[0].islower() or nearest in _WORDS.cries or text[start + 1].isupper()
    in_case = text[start].islower() or (text[start + 1].isupper() and nearest_as_written.isupper())
    if not (in_case and nearest.isalpha() and is_small):
        return False
    if nearest in _WORDS.describing or nearest.endswith("ed"):
        return False
    predicative = before[1] in _WORDS.degree or (before[1] in _WORDS.copulas and not _OF_A_PERSON.intersection(before))
    if nearest in _WORDS.adjectives and not predicative:
        return False
    for word in before:
        if word in _WORDS.articles or word[:1].isdigit():
            return False
        if not is_man and word in _YOU and word is not nearest:  # you naughty boy
            return False
        if word in _NO_PART_OF_NOUN or (is_man and _PLURAL.fullmatch(word)):  # the worlds oldest boy
            return _is_speech(text, start, end)
        if word[-2:] in ("'s", "’s"):
            return False
    return False


def _is_speech(text: str, start: int, end: int) -> bool:
    """Whether the words around show that somebody speaks to somebody."""
    near = start - _SPEECH_REACH if start > _SPEECH_REACH else 0
    return bool(_SPEECH.search(text, near, end + _SPEECH_REACH))


def _without_comma(text: str, near: int, start: int, end: int, word: str) -> bool:
    """Whether man or guys, though no comma comes before it, cannot belong to the noun before it."""
    before = _WORD_BEFORE.search(text, near, start)
    if before is None or not (text[start].islower() or (text[start:end].isupper() and before[1].isupper())):
        return False
    nearest = before[1].lower()
    is_plural = _PLURAL.fullmatch(nearest) and nearest not in _WORDS.plural_compounds
    if nearest in _WORDS.never_joined and word != "guys":
        return _is_speech(text, start, end)
    if is_plural or nearest in _WORDS.no_compounds:
        return word == "guys" or bool(_CALLS_THE_READER.match(text, end)) or _ends_chat(text, start, end)
    if word == "guys":
        return bool(_SINGULAR.search(text, near, start) or _PRAISED.search(text, near, start))
    if word != "man" or nearest in _WORDS.adjectives:
        return False
    return bool(_CALLS_THE_READER.match(text, end)) and not _DETERMINED.search(text, near, start)


def _ends_chat(text: str, start: int, end: int) -> bool:
    """Whether a message of talk ends with "man": no full stop follows, but nothing, an emoji, a hashtag or a laugh."""
    return bool(_CHAT_ENDS.match(text, end)) and _is_speech(text, start, end)


def _asks(text: str, end: int, word: str) -> bool:
    """Whether boy or girl stands before a cry in the form of a question: "but boy was it cold"."""
    follows = _FOLLOWS.match(text, end) if word in ("boy", "girl") else None
    return follows is not None and follows[1].lower() in _WORDS.asks


def _of_somebody(text: str, near: int, start: int, end: int) -> bool:
    """Whether bro tells of somebody: "my big bro", "bro and sis"; not "this week bro, I ran"."""
    like = _LIKE_THIS.search(text, near, start)
    determined = _DETERMINED.search(text, near, start)
    if like and (like[1] or like[0][:2].lower() == "my"):
        return False
    if determined is None:
        return bool(_JOINED.match(text, end))
    if determined[1] is None:
        return True
    word = determined[1].lower()
    return word in _WORDS.adjectives or word in _WORDS.determiners


def is_address(text: str, start: int, end: int) -> bool:
    """Whether a title is called out: "Yes, Miss." """
    return bool(ENDS_ADDRESS.match(text, end)) and bool(_VOCATIVE.search(text[max(0, start - 12) : start]))
