"""Decide whether a capitalised gendered word is part of a name: of a work, group, place, institution, or a surname.

Functions take a text and the place of a candidate, and return the reason to leave the word alone, or None. They treat
a term and its counterpart alike, so that a second swap leaves alone what the first one left alone.
"""

import re

from augment.lexicon import given_names
from augment.rules import capitals
from augment.rules.context import QUOTES, next_word, plain, previous_token, starts_sentence
from augment.rules.scan import Term
from augment.rules.tables import word_lists, word_set
from augment.rules.titled_names import (
    is_of_people,
    joined_with_its_counterpart,
    part_of_titled_name,
    quoted_title,
    run_ends_in_institution,
)

_WORDS = word_lists("names")
_BEFORE_GIVEN_NAME = _WORDS.function_words | _WORDS.before_given_name
_PLURAL = re.compile(r".*(?:(?<!s)s|men)(?!\w)")
_SINGULAR_VERB = re.compile(
    r" (?:is|was|has) (?:an?|the|one|still|not|his|her|my|set|about|written|released|based|on|out|back|pretty|so|such"
    r"|good|great|awesome|amazing|hilarious|terrible|awful)\b"
)
_FINDING = re.compile(r": ?\d")  # LAD: 70 % stenosis
_GIVEN = re.compile(r":? (?:\d|PRN\b|prn\b|(?:was )?given\b|at bedtime)")
_NUMERAL = re.compile("[IVX]+")
_ACRONYMS = frozenset({"GAL", "BRO", "SIS", "LAD", "HES", "SHES"})
_WORK_BEFORE = re.compile(r"(?:^|[ \"“])[A-Z](?!\w?[A-Z])\w+ (?:of|for) (?:a |an )?\Z")
_PERSONS_BEFORE_NAMES = _WORDS.persons_before_names
_FIRST_LADIES = frozenset({"first lady", "first ladies", "first gentleman", "first gentlemen"})
_PLACES = word_lists("titles").contests
_NEWS_VERB = re.compile(r"(?:,? \(?\d{1,3}\)?,?)? ([a-z]+(?:s|ed)|shot|found|held|left|caught|hit|dead|missing)\b")
_DOES_TO = re.compile(r" [A-Z]\w+s (?:himself|herself|his|her|the|an?)\b")
_NO_VERBS = word_set("is was has as this his its always yes")
_IN_A_PLACE = re.compile(r" in (?:the )?[A-Z]\w+ [a-z]")  # not the film A Man in Full
_CONTEST = re.compile(
    r"(?:['’]s|(?<=ns))(?: [A-Z]\w+){0,3} (?:Open|Cup|Classic|Tour|Championships?|Masters|Finals?|League|Singles"
    r"|Doubles|Trophy|Invitational|Marathon|Grand Prix|Sevens|Premiership|Prize|World Series|Six Nations|Euros?|Ashes"
    r"|Test|Hundred|Ballon)\b"
)
_OFFICE_OF = re.compile(r"(?: [A-Z]\w+){1,2} [Oo]f ")  # the First Female President of Bonn University
_CONTESTANTS = word_set("men women mens womens")
_OF_A_SHOW = re.compile(
    r"[\"”’']? (?i:vet|veteran|star|alum|alumn[ai]|contestant|host|fan|franchise|finale|villain|couple|premiere|season"
    r"|episode|producer|reunion|spoiler|rose|recap|finalist|winner|co-star|pal|actor|actress|director|film|movie|sequel"
    r"|trilogy)s?\b"
)
_NEWSMAKERS = word_set("man woman boy girl mother father mom dad guy grandmother grandfather")
_TEAMS = word_set("cowboys cowgirls horsemen patriots")
_FIRM_BEFORE = re.compile(r"\b([A-Z]\w+)(?: &(?:amp;)?| [Aa]nd|,? &) \Z")
_OWNERS = word_set("my your ur our")
_FAMILY_OR_FIRM = _WORDS.family_names | _WORDS.firm
_OF_THE = re.compile(r" of the [A-Z]\w")
_NAME_TAIL = re.compile(r"['’]?s?[ ](?:of|in|for|and|with|&)[ ](?:the[ ]|a[ ])?[A-Z]\w")
SEXES = word_set("male female males females")  # a capital makes no name of them: Male and Female officers


def surname(text: str, start: int) -> str | None:
    """Reason to leave a given name alone: after another capitalised word or a title such as Mr. it is a surname."""
    token = previous_token(text, start)
    before = plain(token)
    if token.lower() in ("mr. ", "mrs. ", "ms. ", "miss ", "mr ", "mrs ", "ms ", "dr. ", "professor "):
        return "surname"
    if (
        token.endswith(" ")
        and token[-2].isalpha()
        and before[:1].isupper()
        and before.lower() not in _BEFORE_GIVEN_NAME
    ):
        return "surname"
    return None


def part_of_name(text: str, start: int, end: int, term: Term) -> str | None:
    """Reason to leave a capitalised word alone: it is part of the name of a work, group, place or institution."""
    source = text[start:end]
    if source.isupper() and len(source) > 1:
        if capitals.acronym(text, start, end):
            return "acronym"
        shouted = _shouts(next_word(text, end)) or _shouts(plain(previous_token(text, start)))
        # an acronym's counterpart is left alone too: GUY swapped for GAL would not come back
        told = shouted or (capitals.label(text, start, end) and not _FINDING.match(text, end))
        if source == "MOM" and _GIVEN.match(text, end):
            return "acronym"  # milk of magnesia
        return "acronym" if {source, term.target.upper()} & _ACRONYMS and not told else None
    token = previous_token(text, start)
    if token.endswith("-") and plain(token)[:1].isupper() and plain(token).rstrip("-").isalpha():
        prefix = plain(token).rstrip("-").lower()  # Mother-Daughter, All-Male
        related = prefix in _WORDS.kin_before or prefix in _WORDS.family_names or term.word in SEXES
        return None if related or _compound_of_headline(text, start, term, prefix) else "name"
    if token.lower().endswith("-old "):
        return None  # a 9-year-old Boy
    following = next_word(text, end)
    capital_next = following[:1].isupper() and following not in _WORDS.not_a_name and following not in _WORDS.numbering
    capital_next = capital_next and not (following.isupper() and len(following) > 1 and not following.isalpha())
    if text[end : end + 1] == "-" and capital_next:
        related = term.word in SEXES or following.lower() in _FAMILY_OR_FIRM
        return None if related or _compound_of_headline(text, start, term, "") else "name"
    in_the_news = capital_next and term.word in _NEWSMAKERS and starts_sentence(token)
    if in_the_news and (capitals.is_verb(following.lower()) or _DOES_TO.match(text, end)):
        return None  # Man Held at gunpoint, Man Googles himself
    before = plain(token)
    if before in _WORDS.holy_before and term.word in _WORDS.holy and source.istitle() and not capital_next:
        return "name"
    if before == "the" and source in ("Father", "Mother") and not capital_next:
        return "name"
    if term.word not in _WORDS.addresses and quoted_title(text, start, end):
        return "name of a work"
    if term.word in _WORDS.brands or (term.word in _WORDS.shows and _is_show(text, start, end)):
        return "name"
    trade = term.tier == "occupations" and text[end : end + 1] in ("'", "’")
    if trade and capital_next and following.lower() in _WORDS.institution and not capitals.headline(text, start):
        return "name"  # Fisherman's Hospital
    if term.word in _CONTESTANTS and _CONTEST.match(text, end):
        return "name"  # the Women's British Open
    if term.word in SEXES:
        named = capital_next and not _OFFICE_OF.match(text, end) and run_ends_in_institution(text, end)
        return "name" if named else None
    if before.lower() in _WORDS.titles and not (capital_next and term.word in _WORDS.behind_titles):
        return "surname"  # Dr. King, but Prof. Sir John Hill
    religious = term.word in ("brother", "sister") and capital_next  # Sister Agnes and Brother Paul
    if term.word in _WORDS.firm and not religious:
        partner = _FIRM_BEFORE.search(text, start - 24 if start > 24 else 0, start)
        if partner and partner.group(1).lower().removesuffix("s") not in _WORDS.family_names:  # not Mom and Sister
            return "name"
    reason = _beside_capitals(text, start, end, term, token, capital_next)
    if reason is None or term.word in _TEAMS:
        return reason
    if term.tier == "titles" and (
        capital_next or term.word not in ("lady", "ladies") or previous_token(text, start - len(token)) == "the "
    ):
        return reason  # the White Ladies
    if plain(token).lower() in given_names():
        return reason  # George Foreman
    # in these places capitals say nothing
    return None if capitals.headline(text, start) or capitals.label(text, start, end) else reason


def _shouts(word: str) -> bool:
    """Whether a word beside one in capitals has capitals, too; an article and a number (A, II) say nothing."""
    return len(word) > 1 and word[:2].isupper() and not _NUMERAL.fullmatch(word)


def _is_show(text: str, start: int, end: int) -> bool:
    """Whether The Bachelor or The Bachelorette is the show: alone in quotation marks, or before one of its people."""
    quoted = text[start - 1 : start] in QUOTES and text[end : end + 1] in QUOTES
    return quoted or _OF_A_SHOW.match(text, end) is not None


def _compound_of_headline(text: str, start: int, term: Term, prefix: str) -> bool:
    """Whether a compound with a hyphen has its capitals from a headline: Lazy-Girl Hacks, a Women-Only Gym.

    prefix: the word before the hyphen in lower case, "" if the hyphen comes after the gendered word.
    """
    if term.tier == "titles":
        return prefix in _WORDS.denying
    return prefix in _WORDS.counting or capitals.headline(text, start)


def _beside_capitals(text: str, start: int, end: int, term: Term, token: str, capital_next: bool) -> str | None:
    """Reason to leave a capitalised word alone: the capitals and the words beside it make it part of a name.

    `token` is the one before the word.
    """
    before = plain(token)
    detached = token.endswith(" ") and token[-2:-1].isalnum()
    capital_before = detached and before[:1].isupper() and before not in _WORDS.not_a_name
    initial = starts_sentence(token)
    if term.tier != "titles" and detached and _WORK_BEFORE.search(text, start - 30 if start > 30 else 0, start):
        return "name of a work"
    within = before == "The" and detached and not _opens(text, start, token)
    if within and not (term.tier == "titles" and capitals.headline(text, start)):  # not Why The Queen Is Angry
        return "name of a work"
    if initial and _PLURAL.match(text, start, end) and _SINGULAR_VERB.match(text, end):
        return "name of a work"
    if term.tier == "titles" and (capital_next or term.word not in ("lady", "ladies")):
        return part_of_titled_name(
            text, start, end, term, before if detached else "", initial, capital_next, _opens(text, start, token)
        )
    if term.word in _FIRST_LADIES:
        return None
    if term.tier != "titles" and capital_before and not capital_next:
        if _describes(text, start, token, term) or _owned(text, start, token, term):
            return None
        if term.word in _NEWSMAKERS and not initial and _in_the_news(text, start, end, token):
            return None
    if term.tier == "kinship" and capital_next and (before in _OWNERS or before.endswith(("'s", "’s"))):
        return None  # Lopez's Ex-Husband Ray, my Daughters Birthday
    if term.word in _WORDS.family_names:
        return _part_of_family_name(
            text, end, before, capital_before, initial, capital_next, _opens(text, start, token)
        )
    if (capital_next and not _precedes_names(term)) or (term.word in _TEAMS and not initial):
        return "name"
    is_office = before.lower() in _WORDS.before_office or term.word in _WORDS.offices
    if capital_before and term.tier == "occupations" and is_office:
        return None
    if capital_before and not (before.lower() in _WORDS.function_words and _opens(text, start, token)):
        return "name"
    if initial:
        return "name" if _OF_THE.match(text, end) else None
    if not _NAME_TAIL.match(text, end) or joined_with_its_counterpart(text, end, term) or is_office:
        return None
    return None if before in ("A", "a") and _IN_A_PLACE.match(text, end) else "name"


def _owned(text: str, start: int, token: str, term: Term) -> bool:
    """Whether a kin word behind one capital is somebody's: my Internet Husband, Helping My Sister."""
    if term.tier != "kinship" and term.word not in ("bro", "sis"):
        return False
    at = start - len(token)
    owner = previous_token(text, at)
    return plain(owner) in _OWNERS or (plain(token).lower() in _OWNERS and _opens(text, at, owner))


def _describes(text: str, start: int, token: str, term: Term) -> bool:
    """Whether the capitalised word before, `token`, only tells which person is meant: Real Men, my Ex Wife."""
    before = plain(token).lower()
    if before in _WORDS.pointing or (term.tier != "kinship" and _told_of_place(text, start, token, before, term)):
        return True
    superlative = before in _WORDS.superlatives or before == "only" or (before.endswith("est") and len(before) > 6)
    if before not in _WORDS.describing and not superlative:
        return False
    determiner = previous_token(text, start - len(token))
    word = plain(determiner)
    if word == "the" and before in _WORDS.in_titles and not capitals.headline(text, start):
        return False  # the tale of the Rich Man
    determined = word.lower() in _WORDS.determiners and (word.islower() or _opens(text, start - len(token), determiner))
    ranked = superlative and (word == "The" or word.isdigit() or word[-2:] in ("'s", "’s"))  # World's Tallest Bride
    return _opens(text, start, token) or determined or ranked


def _told_of_place(text: str, start: int, token: str, before: str, term: Term) -> bool:
    """Whether the word before tells where a person comes from: Afghan Girls, Ohio Women; not the film The Thai Boy."""
    if not (is_of_people(before) or before in _PLACES) or before in given_names() or before in _WORDS.no_people:
        return False
    is_plural = term.word.endswith(("s", "men"))
    return is_plural or _opens(text, start, token) or plain(previous_token(text, start - len(token))) != "The"


def _in_the_news(text: str, start: int, end: int, token: str) -> bool:
    """Whether capitals of a place come before a person and a verb after it in a line of news: Bonn Woman wins."""
    finite = _NEWS_VERB.match(text, end)
    if finite is None or text.rstrip()[-1:] in ".!?":
        return False
    for _ in range(3):
        word = plain(token).lower()
        if word in given_names() or word in _WORDS.no_people or not token[:1].isupper():
            return False
        start -= len(token)
        token = previous_token(text, start)
        if starts_sentence(token):
            return text[finite.start(1) : finite.end(1)] not in _NO_VERBS
    return False


def _precedes_names(term: Term) -> bool:
    """Whether the word can come before a person's name, as a title does: Congressman Hill, Widow Green."""
    is_plural = term.word.endswith(("s", "men")) and not term.word.endswith("ss")
    return (term.tier == "occupations" and not is_plural) or term.word in _PERSONS_BEFORE_NAMES


def _opens(text: str, start: int, token: str) -> bool:
    """Whether the word before the candidate, `token`, is the first of its sentence."""
    at = start - len(token)
    return text[at - 1 : at] == "\n" or starts_sentence(previous_token(text, at)) or token[:1] in "\"'“‘(["


def opens_sentence(text: str, start: int, end: int) -> bool:
    """Whether at most capitalised and function words come before the word in its sentence, so that it is the topic."""
    if text[end : end + 1] in ("'", "’"):
        return False
    for _ in range(3):
        token = previous_token(text, start)
        if starts_sentence(token) or token.endswith("-"):
            return True
        if not (token[:1].isupper() or plain(token).lower() in _WORDS.function_words):
            return False
        start -= len(token)
    return False


def _part_of_family_name(
    text: str, end: int, before: str, capital_before: bool, initial: bool, capital_next: bool, opens: bool
) -> str | None:
    """Reason to leave a capitalised Father, Sister, Madam or the like alone: it is part of a name (Big Mama)."""
    if capital_next and run_ends_in_institution(text, end):
        return "name"
    if not capital_before or initial or opens:
        return None
    if before.lower() in ("dr", "mr", "mrs", "ms") or not before.isalpha():
        return None
    return "name"
