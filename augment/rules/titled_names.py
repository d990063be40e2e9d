"""Decide whether a capitalised title is part of a name (King College, Don King), or a word part of a quoted title.

Functions take a text and the place of a candidate. They treat a term and its counterpart alike.
"""

import re
from itertools import takewhile

from augment.lexicon import given_names
from augment.rules import capitals
from augment.rules.context import next_word
from augment.rules.scan import Term
from augment.rules.tables import word_lists, word_set
from augment.rules.tokens import words_after, words_before

_WORDS = word_lists("names")
GIVEN_NAMES = word_set("earl duke duchess")  # in small letters too
_NOBLE = _WORDS.ranks | _WORDS.nobles
_CLASS_OR_STREET = re.compile(
    r"(?: [A-Z][\w.]*){1,6}[ -]class\b| (?:St|Ave|Rd|Blvd)\b(?!\.? (?!(?:[NSEW]|North|South|East|West)\b)[A-Z])"
)
_OF_OR_AND = re.compile(r" (?:[Oo]f|[Aa]nd) ")
_JOINED = re.compile(r",? (?:[Aa]nd|[Oo]r|&) (\w+)")
_PLACES_BEFORE = re.compile(r"\b([A-Z][\w.]+)(?:, |,? (?:and|or|&) )\Z")
_PLACE_AFTER = re.compile(
    r"(?:, |,? (?:and|or|&) )([A-Z]\w*)"
    r"| (?i:borough|resident|native|neighbou?rhood|apartment|home|man|woman|teen|boy|girl|mother|mom|father|dad|cop"
    r"|congress\w+|assembly\w+|council\w*|senator|DA|district|judge|prosecutors?"
    r"|lawyer|courtroom|(?:[a-z-]+ )?(?:suspect|shooting|stabbing|murder|bar|subway|restaurant))\b"
)
_OF_PEOPLE = re.compile(r"['’]| (?:of|and|or|who|themselves|did|reigned|ruled|had|were|are)\b|[,;.]")
_ALBUM = re.compile(
    r" (?:albums?|songs?|singles?|fans?|concerts?|tours?|tracks?|records?|tribute|hits?|lyrics|pub|gig|ballad"
    r"|anthems?)\b"
)
_PLACE_OR_SHIP = re.compile(r"(?:\b(?:in|near|from \w+ to)|(?<![Oo]f )\b(?:[Tt]he)) \Z")
_WINS_OR_LOSES = re.compile(
    r" (?:Outlast|Beat|Top|Rout|Edge|Win|Lose|Fall|Hold|Survive|Upset|Advance|Down|Defeat|Stun|Oust|Crushe"
    r"|Rallie|Roll)s\b"
)
_DETERMINED_OR_JOINED = _WORDS.determiners | {"and", "or"}
_TEAMS = word_set("kings queens dukes duchesses")
_PLACES = word_set("king queen prince")
# A Lady Grey tea, a King Charles spaniel; not "a King Charles who".
_NAMED_THING = re.compile(
    r"(?: [A-Z]\w+){1,2} (?!(?:who|and|or|of|is|was|had|has|in|to|the|with|from|that)\b)[a-z]{3,}(?<!ed)(?<!s)\b"
)
_BRANDED = word_set("lord lady king queen prince princess duke duchess")
_IMPERSONAL = _WORDS.function_words | _WORDS.royal_things
_SHIPS = frozenset({"HMS", "HMAS", "HMCS", "USS", "SS", "RMS", "Port-au"})
_IN_NAMES = word_set("of the and for")
_OWNER_ENDS = ("'s", "’s")
_TWO_NAMES = re.compile(r" [A-Z]\w+ and [A-Z]\w+")
_JUNIOR = re.compile(r" (?:Jr|Sr|II|III|IV)\b")
_REGNAL = re.compile(r" [A-Z]\w+ [IVX]+\b")  # King Charles III is no place
_BEFORE_RANK = _WORDS.function_words | _WORDS.before_rank
_BEFORE_KIND = word_set("a an the this that your my our his her its their which what every any")
_BEFORE_OBJECT = word_set("of by with for from about like")
_INITIAL_BEFORE = re.compile(r"\b[A-Z][a-z]+ (?:[A-Z]\. )+\Z")
_NAME_WITH_INITIAL = re.compile(r" (?:[A-Z]\.|[(\"“‘'][A-Z][a-z]+[)\"”’']) [A-Z][a-z]")
_PEOPLE_ENDINGS = ("ian", "can", "ish", "ese", "ench", "utch", "eek")  # Persian, Polish, French
# a name has few words; without a limit a text in capitals would be read to its end for each of its words
_CAPITAL_RUN = re.compile(r"(?:['’]s)?(?: (?:[A-Z][\w.'’-]*|of|the|[IVX]+)){1,12}")
_QUOTED = re.compile(r"[\"“‘]([^\"“”‘\n.,!?]{3,60}?)[\"”’](?!\w)")
_LONGEST_TITLE = 6  # words of a title in a headline
_PERSON = re.compile(
    r"\b(?:(?:Wom|M)[ae]n|Boys?|Girls?|Guys?|Fathers?|Mothers?|Dads?|Moms?|Kings?|Queens?|Princes?s?)\b"
)
_LONGEST_LINE = 300  # of news, which leaves out articles
_ROYAL = re.compile(
    rf"\b(?:(?i:{'|'.join(sorted(_WORDS.royal))})\b|palace\b"
    r"|(?:King|Queen|Prince|Princess|Duke|Duchess) (?:of\b|and\b|[A-Z][a-z]))"
)
_MUSIC = re.compile(rf"\b(?:{'|'.join(sorted(_WORDS.music))})\b", re.IGNORECASE)
_TALK = re.compile(rf"[@#]|\b(?:{'|'.join(sorted(_WORDS.talk))})\b")
_FEMININE = word_set("queen princess duchess")
_OWNS_OR_ACTS = re.compile(r"['’]s [‘']?[a-z]| [a-z]+s\b(?! (?:and|of|in|at)\b)| to [a-z]| [‘'][a-z]")
_CLUB = re.compile(r"['’]s(?! [‘'\"]?[a-z])")  # beaten at Queen's: a tennis club
_SIGN_AFTER = re.compile(r" (?i:signs?|banners?|posters?|polls?|categor(?:y|ies)|parts|label|stereotypes?)\b")


def quoted_title(text: str, start: int, end: int) -> str:
    """The words in quotation marks around the word if all have capitals, as in a song title: "Man in the Mirror"."""
    opening = max(text.rfind(mark, start - 50 if start > 50 else 0, start) for mark in '"“‘')
    quoted = _QUOTED.match(text, opening) if opening >= 0 else None
    if quoted is None or quoted.end() < end:
        return ""
    words = quoted.group(1).split()
    large_words = [w for w in words if w.lower() not in _WORDS.small_words]
    if len(words) > _LONGEST_TITLE and capitals.headline(text, start):
        return ""  # what somebody says
    if _SIGN_AFTER.match(text, quoted.end()) or words[0].lower() in _WORDS.labels:
        return ""  # the "Nice Guy" label
    is_title = len(words) > 1 and words[0][:1].isupper() and all(w[:1].isupper() for w in large_words)
    return quoted.group(1) if is_title else ""


def in_title_with_person(text: str, start: int, end: int) -> bool:
    """Whether a pronoun stands in a quoted title in which a gendered noun stays: "Angry Boy Drops His Cake"."""
    return _PERSON.search(quoted_title(text, start, end)) is not None


def joined_with_its_counterpart(text: str, end: int, term: Term) -> bool:
    """Whether "and" and the counterpart follow: Boys and Girls are no name."""
    joined = _JOINED.match(text, end)
    return joined is not None and joined.group(1).lower() == term.target.lower()


def part_of_titled_name(
    text: str, start: int, end: int, term: Term, before: str, initial: bool, capital_next: bool, opens: bool
) -> str | None:
    """Reason to leave a capitalised title alone: King College, HMS Queen, the surname of Don King.

    `opens`: whether the word before opens the sentence.
    """
    if (capital_next or text.startswith((" of ", " Of "), end)) and run_ends_in_institution(text, end):
        return "name"
    if _CLASS_OR_STREET.match(text, end):
        return "name"
    if before in ("a", "an") and term.word in _BRANDED and _NAMED_THING.match(text, end):
        return "name"
    if term.word in ("lord", "lady") and _team_follows(text, end, before):
        return "name"
    if _ALBUM.match(text, end) and (term.word in _WORDS.ranks or term.target in _WORDS.ranks):
        return "name"
    if (term.word in _WORDS.ranks or term.word in GIVEN_NAMES) and _among_initials(text, start, end):
        return "given name"
    if term.word in _WORDS.many_ranks:
        return _many_ranks(text, start, end, term, before, initial, capital_next)
    if term.word in ("earl", "marquis") and capital_next and before.lower() not in _WORDS.determiners:
        return "given name"
    if term.word not in _WORDS.ranks and term.target not in _WORDS.ranks:
        return None
    if before in _SHIPS:
        return "name"
    if before.lower() in _WORDS.stage_before and before != "Pop":
        return "surname"
    following = next_word(text, end)
    named = capital_next and following.lower() not in _IMPERSONAL  # not The Queen Is
    named = named and not _REGNAL.match(text, end) and _owner(following) not in _WORDS.royals
    if named and term.word in _PLACES and _PLACE_OR_SHIP.search(text, start - 12 if start > 12 else 0, start):
        return "name"
    personal = not before[:1].isupper() or _contracted(before) in _BEFORE_RANK or is_of_people(before)
    royal = _names_a_royal(text, start, end, before, opens)
    bare = not royal and before.lower() not in _WORDS.determiners and not _OF_OR_AND.match(text, end)
    is_school = (following.isupper() and len(following) > 1) or capitals.headline(text, start)
    is_school = is_school or _WINS_OR_LOSES.match(text, end) is not None
    if term.word == "duke" and bare and is_school:
        return "name"  # Duke Routs Maryland, Duke CEO
    personal = personal or royal
    if capital_next and text[end : end + 1] == " " and personal and not _JUNIOR.match(text, end):
        return None
    owns = capital_next and text[end : end + 1] in "'’" and following.lower() not in _WORDS.royal_things
    if owns and not (before == "The" and capitals.headline(text, start)):
        return "name"  # Queen's Park, but the Queen's Jubilee, and Why The Queen's Dogs Bark
    near = re.findall(r"\w+(?:['’]\w+)*", re.split(r"[.,;:!?]", text[max(0, start - 40) : start])[-1])[:-5:-1]
    called = before in _BEFORE_OBJECT and "".join(near[1:2]).lower() not in _WORDS.naming
    determined = _is_determined(near) and not called  # a statue of Prince, but the rank of Prince
    if before[:1].isupper() and before.lower() not in _BEFORE_RANK:
        of_a_kind = before.lower() in _WORDS.kinds_of_rank and term.word != "duke"  # Your Inner Princess
        if of_a_kind or _is_determined_kind(text, start, end, near):
            return None
        told = before.lower() in _WORDS.peoples and (opens or capitals.headline(text, start))  # Thai King Dies
        if opens and term.word != "king":  # Late Queen's coffin; Beaming Princess of Wales
            told = told or text.startswith(" of ", end)
            told = told or (term.word in _FEMININE and _royal_in_the_news(text, start, end, term))
        return None if told or (determined and is_of_people(before)) else "surname"
    if determined or capital_next or text.startswith(" of ", end) or joined_with_its_counterpart(text, end, term):
        return None
    return None if _royal_in_the_news(text, start, end, term) else "name without a determiner"


def _royal_in_the_news(text: str, start: int, end: int, term: Term) -> bool:
    """Whether a title without a determiner is that of a royal person in a line of news: Queen makes surprise visit."""
    first = text.rfind("\n", 0, start) + 1
    last = end + len(text[end : end + _LONGEST_LINE].partition("\n")[0])
    if last - first > _LONGEST_LINE or text[first:last].rstrip().endswith(".") or _MUSIC.search(text, first, last):
        return False
    if _ROYAL.search(text, first, start) or _ROYAL.search(text, end, last):
        return True
    if term.word not in _FEMININE or _TALK.search(text, first, last):
        return False
    return not _CLUB.match(text, end) if term.word == "queen" else _OWNS_OR_ACTS.match(text, end) is not None


def lower_given_name(text: str, start: int, end: int) -> str | None:
    """Reason to leave a title in small letters alone: without an article it is a given name (me and earl)."""
    near = words_before(text, start)
    forms = ({word, word.removesuffix("s"), word.removesuffix("es")} for word in (*near, *words_after(text, end)))
    if any(map(_NOBLE.intersection, forms)) or near[0] in _WORDS.rank_before or text.startswith((" of ", "-"), end):
        return None
    return None if {word.removesuffix("'s") for word in near} & _WORDS.determiners else "given name"


def is_of_people(word: str) -> bool:
    """Whether the word before a rank tells of which people or country it is: the Polish King, Spain's King."""
    if word.endswith(_OWNER_ENDS) or word.lower() in _WORDS.peoples:
        return True
    return word.endswith(_PEOPLE_ENDINGS) and word.lower() not in given_names() and word.lower() not in _WORDS.no_people


def _contracted(word: str) -> str:
    """The first word of a contraction, in lower case: there's, where's."""
    return word.lower().replace("’", "'").partition("'")[0]


def _owner(word: str) -> str:
    """A word in lower case, without its possessive ending: Camilla's."""
    return word.lower().removesuffix("'s").removesuffix("’s")


def _names_a_royal(text: str, start: int, end: int, before: str, opens: bool) -> bool:
    """Whether a given name follows the rank, and the capital before makes no surname of it: Meet Prince Harry.

    That capital belongs to a headline or opens the sentence (`opens`).
    """
    following = _owner(next_word(text, end))
    follows = following in given_names() or following in _WORDS.royals
    return follows and before.lower() not in given_names() and (opens or capitals.headline(text, start))


def _is_determined(before: list[str]) -> bool:
    """Whether a determiner is among the words before (nearest first), with no other name in between."""
    for word in before:
        if word.lower() in _WORDS.determiners or word.endswith(_OWNER_ENDS):
            return True
        if word[0].isupper() and word.lower() not in _BEFORE_RANK and not is_of_people(word):
            return word.lower() in _WORDS.ranks
    return False


def _among_initials(text: str, start: int, end: int) -> bool:
    """Whether an initial or a nickname shows a rank to be somebody's own name: Earl (Fatha) Hines, John H. King."""
    if _NAME_WITH_INITIAL.match(text, end):
        return True
    return text[start - 2 : start] == ". " and _INITIAL_BEFORE.search(text, max(0, start - 20), start) is not None


def _is_determined_kind(text: str, start: int, end: int, near: list[str]) -> bool:
    """Whether, in a headline, a determiner shortly before shows that a rank is no surname: A Chicken Nugget King.

    near: the words before, nearest first. A noun behind the rank speaks for the surname: That Regina King Film.
    """
    following = _contracted(next_word(text, end))
    noun_follows = following not in _WORDS.function_words and not following.endswith(("s", "ed"))
    if near[0].endswith(_OWNER_ENDS) or (following and noun_follows) or not capitals.headline(text, start):
        return False
    described = list(takewhile(lambda word: word.lower() not in _BEFORE_KIND, near[:3]))
    if len(described) == min(len(near), 3):
        return False
    return all(word.lower().removesuffix("'s") not in given_names() for word in described)


def _many_ranks(
    text: str, start: int, end: int, term: Term, before: str, initial: bool, capital_next: bool
) -> str | None:
    """Reason to leave a capitalised plural title alone, such as the name of a team: the Sacramento Kings."""
    if term.word in ("kings", "queens") and _is_place(text, start, end, before):
        return "name"
    if _TWO_NAMES.match(text, end) and term.word not in ("kings", "queens"):
        return None  # Princesses Ada and Eva
    if initial:
        return "name" if capital_next or text[end : end + 1] == "," else None
    if before.lower() in _WORDS.kinds_of_rank:
        return None  # Ten Historical Princesses
    if before[:1].isupper() and before.lower() not in _BEFORE_RANK:
        return "name"
    if before.lower() == "the" and term.word in ("kings", "queens") and not _OF_PEOPLE.match(text, end):
        return "name"
    alone = before.lower() not in _DETERMINED_OR_JOINED and not _OF_OR_AND.match(text, end)
    if term.word in _TEAMS and alone and capitals.headline(text, start):
        return "name"  # Heat Rested for Kings Again
    return "name" if before.lower() in _WORDS.place_before and {term.word, term.target} == {"kings", "queens"} else None


def _team_follows(text: str, end: int, before: str) -> bool:
    """Whether the name of a team follows: the Lady Eagles, Tennessee Lady Vols."""
    following = next_word(text, end)
    named = before in ("the", "The") or (before[:1].isupper() and before.lower() not in _WORDS.function_words)
    return following.lower() in _WORDS.teams or (named and following[-1:] == "s" and following[-2:-1] not in "'’s")


def _is_place(text: str, start: int, end: int, before: str) -> bool:
    """Whether Kings or Queens is a place: in a list (Brooklyn and Queens), or by the words beside it."""
    listed = _PLACES_BEFORE.search(text, start - 30 if start > 30 else 0, start)
    after = _PLACE_AFTER.match(text, end)
    neighbours = [match.group(1) for match in (listed, after) if match]
    ranks = [n for n in neighbours if n and (n.lower() in _WORDS.ranks or n.lower() in _WORDS.many_ranks)]
    located = after is not None and after.group(1) is None  # the Queens Borough President
    in_list = bool(neighbours) and not ranks and before.lower() not in _WORDS.determiners
    return located or before in ("a", "A") or in_list


def run_ends_in_institution(text: str, end: int) -> bool:
    """Whether the capitalised words after `end` include that of an institution: Queen Mary University."""
    run = _CAPITAL_RUN.match(text, end)
    words = re.sub(r"(['’]s \S+).*", r"\1", run.group()).split() if run else []  # one word at most after a possessive
    words = [word.lower().rstrip(".,;:!?'’") for word in words]
    named = takewhile(lambda word: word in _IN_NAMES or word not in _WORDS.function_words, words)  # Prince Rex Is at
    return any(word in _WORDS.institution for word in named)
