"""Reasons to leave a word alone that speaks of no person's gender: mankind, God, animals, a word's meaning.

Functions take a text and the place of a candidate, and return the reason to leave it alone, or None.
"""

import re

from augment.lexicon import given_names
from augment.rules.context import QUOTES, next_word, plain, previous_token, sentence_span
from augment.rules.tables import trie_pattern, word_lists, word_set
from augment.rules.tokens import words_after, words_before

_WORDS = word_lists("topics")
# Words for ships and countries, which are called she, and for animals of one sex and God, of whom the lexicon changes
# nothing but the pronoun. `scan.py` finds them together with the gendered words, `reference.py` their pronouns.
SHIPS = _WORDS.ships
LANDS = _WORDS.lands
DIVINE = _WORDS.divine
SEXED = dict.fromkeys(_WORDS.she_animals, "f") | dict.fromkeys(_WORDS.he_animals | DIVINE, "m")
_ANIMAL_BEFORE = re.compile(
    r"(?:\A|(?<=[\s(\"“‘>]))(?:the|an?|this|that|each|every|our|my|your|their|one|another|old|some|no)\s(?:[\w-]+\s){0,2}\Z",
    re.IGNORECASE,
)
_DIVINE_EXCLAIMED = re.compile(rf"\b(?:{'|'.join(sorted(_WORDS.before_divine))}) (?:the )?\Z", re.IGNORECASE)
_DIVINE_EXCLAIMS = re.compile(
    rf"['’]?s? ?(?i:{'|'.join(sorted(_WORDS.after_divine))})\b|[!]|,(?! (?:for|who|because)\b)"
)
_RELIGION = re.compile(rf"\b(?=\w){trie_pattern(_WORDS.divine | _WORDS.religion)}(?!\w)", re.IGNORECASE)
_LARGE_PRONOUN = re.compile(r"(?<=[a-z,] )(?:He|Hi[ms]|Himself|She|Hers?|Herself)\b")
_SMALL_PRONOUN = re.compile(r"\b(?:he|hi[ms]|himself|she|hers?|herself)\b")
_HIS_SON = re.compile(r"\b[Hh]is (?:(?:one|and|only|own|begotten|beloved) )*\Z")
_AFTER_MACHINES = tuple(" " + phrase.rsplit("_", 1)[1] for phrase in _WORDS.of_machines)
_SOMEBODY = re.compile(r"\b[A-Z][a-z]+")
_REACH = 250
_SAYING = 3  # words behind man in a saying without a full stop, at most
_GENERIC_TAIL = _WORDS.generic_tail | {"", "\n\n"}
_BEFORE_MANKIND = _WORDS.before_mankind | {"", "\n\n"}
# In the whole sentence, and the weaker signs near the word.
_GRAMMAR_OF_SENTENCE = re.compile(
    r"\b(?:pro)?nouns?\b|\b(?:grammatical|masculine|feminine|neuter)(?: \w+)? genders?\b|\bdeclension|\bneuter\b",
    re.IGNORECASE,
)
_GRAMMAR = re.compile(
    r"\b(?:pro)?nouns?\b|\bgrammatical|\bdeclension|\bsuffix|\bneuter\b|\barticles?\b|\b(?:plural|singular)\b"
    r"|\b(?:adjectives?|(?:ad)?verbs?|participles?|vowels?|syllables?|(?:the|these|\w+(?:an|ish|ese|ch)) words?)\b"
    r"|\w[\"”] (?:is |was )?(?:masculine|feminine)\b"
    rf"|\bin (?:{'|'.join(sorted(_WORDS.languages))})(?=[.,;:)]| (?:and|but|or)\b)",
    re.IGNORECASE,
)
_ANIMALS = re.compile(
    r"\b(?=\w)(?:bulls?|cows?|(?:stag|hen)s?(?! (?:dos?|nights?|part(?:y|ies))\b)|doe|calf|calves|roosters?|mares?"
    r"|stallions?|ewes?|rams?|species|larvae?|eggs?|mates?|mating|offspring|insects?|birds?|fish|spiders?|plumage|nests?|pups?|cubs?|chicks?|breeding|spawn\w*"
    r"|(?:king|queen)s lay|hatch\w*|antlers?|penis|vagina|sperm\w*|ovum|ova|ovar(?:y|ies)|testes|testicles?|uterus"
    r"|prostate|hormones?|flowers?|gametes?|pollen|chromosomes?|mammals?|lizards?|snakes?|wasps?|mosquito\w*|corals?|reefs?|oysters?|clams?|shrimps?|prawns?|crabs?|snails?|slugs?|\w+fish|\w*worms?|frogs?|toads?"
    r"|turtles?|crocodiles?|alligators?|salmon|trout|squid|octopus\w*|seahorses?|wrasses?|gobies|grouper)\b",
    re.IGNORECASE,
)
_PATIENT = re.compile(r"\b(?:years?|months?|weeks?|days?)[- ]old\b|\bpatient|\bTanner\b|\bdenie[sd]\b", re.IGNORECASE)
_SPOKEN_TO = re.compile(r"\b(?:you|y.?all|u) \Z", re.IGNORECASE)  # you females
_PERSON_NEXT = re.compile(
    r" (?:student|pupil|nurse|doctor|surgeon|chef|cook|suspect|patient|customer|colleague|relative|officer|voice|lead"
    r"|teacher|worker|employee|athlete|player|singer|dancer|model|friend|victim|prisoner|soldier|voter|artist|writer"
    r"|author|character|lawyer|judge|scientist|engineer|farmer|servant|guest|protagonist|citizen|resident|passenger"
    r"|driver|pilot|fan|gamer|referee|boss|staff|reader|viewer|user|neighbou?r|stalker|attacker|thief|inmate|stripper"
    r"|comedian|presenter|celebrity|politician|candidate|billionaire|entrepreneur|cop|MP|rapper|actor|reporter|journalist)s?\b"
)
_ANY_CUE = "|".join(sorted(re.escape(cue.replace("_", " ")) for cue in _WORDS.cues_of_mention))
_MENTION_BEFORE = re.compile(
    rf"(?:\b(?:{_ANY_CUE})|[\"”’] (?:and|or|to|with|by|for|into|versus|vs\.?|not|but))"
    r"(?: (?:an?|the|is|was))? [\"“‘']\Z",
    re.IGNORECASE,
)
_PHRASE_BEFORE = re.compile(
    rf"\b(?:{'|'.join(sorted(_WORDS.cues_of_phrases))})(?: is| was)? [\"“‘'](?:[\w'’-]+ ){{0,3}}\Z", re.IGNORECASE
)
_QUOTATION_BEFORE = re.compile(r" [\"“‘'](?:[\w'’-]+ ){0,3}\Z")  # how _PHRASE_BEFORE ends, which most texts do not
_MENTION_AFTER = re.compile(
    r"[\"”’'] (?:instead of|in place of|rather than|and not|means?|refers? to|(?:comes?|derives?) from"
    r"|is (?:a|an|the|spelled|spelt|short|used)"
    r"|as (?:an?|the) (?:noun|verb|word|pronoun|adjective|term|title)"
    r"|[Ii]n (?:[Tt]he|[Ii]ts|[Tt]heir|a) (?:[Tt]itle|[Nn]ame)s?\b"
    r"|(?:and|or|for|to|with|versus|vs\.?) [\"“‘']\w+[\"”’'])"
)
_QUOTED_WORD = re.compile(r"(?<!\w)[\"“‘'][A-Za-z]+[\"”’'](?!\w)")
_WORD_BEFORE = re.compile(r"\b(?:the|a|an) (?:word|term|noun|adjective|prefix|suffix) \Z", re.IGNORECASE)
_PRONOUN_BEFORE = re.compile(r"\b(?:the|a|an) pronouns? \Z", re.IGNORECASE)
_GLOSSED_IN = word_set(
    "Word word Latin Greek French German Hebrew Sanskrit Arabic Spanish Italian Dutch Norse Gaelic Welsh Irish Japanese"
    " Chinese Russian Turkish"
) | {"Old English"}
_GLOSS_BEFORE = re.compile(
    rf"(?:\b(?:{'|'.join(sorted(_GLOSSED_IN))}) for (?:the |a |an )?[\"'“‘]?"
    r"|(?<![\w-])(?<!\bI )(?<!\b[Yy]ou )(?<!\b[Hh]e )(?<!\b[Ss]he )(?<!\bdo )"
    r"(?<!\b[Aa] )(?<!\b[Tt]he )(?<!\b[Tt]hat )(?<!\b[Tt]his )(?<!\bone )(?<!\bso )(?<!\bvery )"
    r"(?:mean|means|meaning|meant|signifying|signifies|literally|lit\.,?|i\.e\.,?|translates as|translated as"
    r"|translates to)"
    r"(?: the| an?)? [\"'“‘]?)\Z"
)
# How the text before a word ends if one of the patterns above matches: with a mark, or with a word. The words stand by
# their last three characters. This fast test settles most words.
_GLOSS_MARKS = (*QUOTES, "(")
_WORDS_BEFORE_GLOSS = (
    *("word ", "term ", "noun ", "nouns ", "adjective ", "prefix ", "suffix "),
    *(verb + article for verb in (" for", *_WORDS.verbs_of_meaning) for article in (" ", " the ", " a ", " an ")),
)
_GLOSS_ENDINGS = {
    last: tuple(ending for ending in _WORDS_BEFORE_GLOSS if ending.endswith(last))
    for last in {ending[-3:] for ending in _WORDS_BEFORE_GLOSS}
}
_GLOSSING = word_set(
    "word term noun nouns pronoun pronouns adjective prefix suffix for to as"
    " mean means meaning meant signifying signifies literally lit"
)
_BEFORE_PREPOSITION = (*_GLOSSED_IN, "translates", "translated")
_QUOTED_BEFORE = re.compile(r"(?:[\"”’] \(|\([\"“‘'])(?:the |an? |or )?[\"“‘']?\Z")
# Here the word is the subject of a clause: "which means she is late".
_MEANS = re.compile(r"mean[st]? \Z|meant \Z")
_CLAUSE = re.compile(r" (?:is|comes) ")
_GLOSS_AFTER = re.compile(r" of [A-Z]|[\"'”’]?(?:\s*(?:[.,;:!?)]|\Z)| (?:in|and|or|is|comes) )")
HONOURS = _WORDS.honours


def of_a_machine(text: str, start: int, end: int) -> bool:
    """Whether "her" means a car or an engine: Fill her up, let her rip."""
    if not text[end : end + 5].lower().startswith(_AFTER_MACHINES):
        return False
    phrase = "_".join((plain(previous_token(text, start)), "her", next_word(text, end)))
    return phrase.lower() in _WORDS.of_machines


def antecedent(text: str, first: int, start: int, word: str) -> bool:
    """Whether a word of `SEXED` at `start` is what a pronoun after it means: nobody else stands before it.

    first: where the sentence begins.
    """
    before = text[first:start]
    if any(
        (i > 0 and name != "the") or name in given_names()
        for i, name in ((m.start(), m[0].lower()) for m in _SOMEBODY.finditer(before))
    ):
        return False
    if word in DIVINE:
        exclaimed = _DIVINE_EXCLAIMED.search(before) and not before.endswith("the ")
        return not exclaimed and not _DIVINE_EXCLAIMS.match(text, start + len(word))
    opens_headline = word[0].isupper() and not before  # Filly Holds Her Own
    return opens_headline or bool(_ANIMAL_BEFORE.search(before))


def his_son(text: str, start: int) -> bool:
    """Whether a word is owned by God: His only son, his beloved son."""
    return bool(_HIS_SON.search(text, start - 40 if start > 40 else 0, start))


def mankind(text: str, start: int, end: int) -> str | None:
    """Reason to leave man or woman alone: it means the species (man is mortal, the rights of man)."""
    if text[start].islower() and text.endswith((" the ", " a "), 0, start):
        return None  # most often, and fast to see
    before, after = words_before(text, start), words_after(text, end)
    is_a_person = before[0] == "that" and after[2] in _WORDS.of_one  # he saved that woman's life
    aged_or_owning = (after[0] == "," and after[1].isdigit()) or (after[0] == "and" and after[1] in ("his", "her"))
    if aged_or_owning or (after[0] in ("is", "was", "has") and {after[1], after[2]} & _WORDS.happens):
        return None  # as news has it: a dream dies for man, 63; Woman is arrested
    if after[1] == "s" and after[2] in _WORDS.of_mankind and before[0] in _BEFORE_MANKIND and not is_a_person:
        return "mankind"
    if text[start].isupper():
        first = not before[0] or before[0] in (".", "!", "?", "\n\n", '"', "“")
        generic = first and after[0] in _WORDS.generic_verbs and text[start:end] in ("Man", "Woman")
        return "mankind" if generic and not _in_the_news(text, start, end, after) else None
    if before[0] in _WORDS.ages and before[1] in _BEFORE_MANKIND:
        return "mankind"
    if (
        before[0] in _WORDS.of_before
        and before[1] not in _WORDS.kinds
        and (before[1] not in _WORDS.remains or before[2] == "the")
        and after[0] in _GENERIC_TAIL
        and after[1] not in _WORDS.wives
    ):
        return "mankind"
    if before[0] in ("and", "or") and before[1] in _WORDS.beasts and after[0] in _GENERIC_TAIL:
        return "mankind"
    return (
        "mankind"
        if after[0] in ("and", "or") and after[1] in _WORDS.beasts and before[0] not in _WORDS.articles
        else None
    )


def _in_the_news(text: str, start: int, end: int, after: list[str]) -> bool:
    """Whether the sentence is a line of news, without a full stop: Man wants his money back after a bad date."""
    last = sentence_span(text, start)[1]
    if text[start:last].rstrip("\"”’' ")[-1:] in (".", "!", "?"):
        return False
    copula = after[0] in ("is", "was") and (after[1] in _WORDS.articles or after[1] in _WORDS.of_everybody)
    return not copula and _WORDS.for_ever.isdisjoint(after[1:]) and text.count(" ", end, last) > _SAYING


def grammatical(text: str, start: int, end: int) -> str | None:
    """Reason to leave masculine or feminine alone: it means the gender of a word."""
    near = _GRAMMAR.search(text, start - 60 if start > 60 else 0, end + 40)
    return "gender of a word" if near or _GRAMMAR_OF_SENTENCE.search(text, *sentence_span(text, start)) else None


def animal(text: str, start: int, end: int) -> str | None:
    """Reason to leave male or female alone: the text speaks of animals or plants, and no word for a person follows."""
    if _PERSON_NEXT.match(text, end) or _SPOKEN_TO.search(text, start - 6 if start > 6 else 0, start):
        return None
    near = words_after(text, end)
    if near[0] in _WORDS.pets and text[end] == " " and near[1] not in _WORDS.of_pets:
        return "sex of an animal"
    first, last = start - 80 if start > 80 else 0, end + 80
    if _PATIENT.search(text, first, last):
        return None
    for found in _ANIMALS.finditer(text, first, last):
        if not _is_slang(text, found):
            return "sex of an animal"
    return None


def _is_slang(text: str, found: re.Match[str]) -> bool:
    """Whether the word for an animal means people in chat: males love chicks, females are snakes."""
    word = found[0]
    before = words_before(text, found.start())[0]
    if word in _WORDS.slang_unless_determined:
        return before not in _WORDS.determines_animals
    return word in _WORDS.slang_animals and before in _WORDS.before_slang


def mentioned(text: str, start: int, end: int) -> bool:
    """Whether the quoted word is spoken about rather than used: the word "guy", put "his" in place of "their".

    A quoted pronoun near another quoted word is, and so is the first or last word of a phrase: the term "lady doctor".
    """
    if text[start - 1] not in QUOTES or text[end : end + 1] not in QUOTES:
        near = start - 40 if start > 40 else 0
        return bool(_QUOTATION_BEFORE.search(text, near, start) and _PHRASE_BEFORE.search(text, near, start))
    if text[end + 1 : end + 2].isalpha():
        return False  # says 'he's recovering'
    if _MENTION_BEFORE.search(text, start - 30 if start > 30 else 0, start) or _MENTION_AFTER.match(text, end):
        return True
    around = text[start - 40 if start > 40 else 0 : start - 1] + text[end + 1 : end + 40]
    return text[start:end].lower() in _WORDS.pronouns and _QUOTED_WORD.search(around) is not None


def gloss(text: str, start: int, end: int) -> str | None:
    """Reason to leave a word alone: the text speaks about its meaning or form (rex means king, the pronoun he is)."""
    near = start - 30 if start > 30 else 0
    if not text.endswith(_GLOSS_ENDINGS.get(text[start - 3 : start], _GLOSS_MARKS), near, start):
        return None
    if text[start - 1] == " ":
        if not _makes_gloss(text[near : start - 1]):
            return None
        if _WORD_BEFORE.search(text, near, start):
            return None if text[start:end].lower() in _WORDS.pronouns else "word spoken about"
        if _PRONOUN_BEFORE.search(text, near, start):
            return "word spoken about"
    meaning = _GLOSS_BEFORE.search(text, near, start)
    if meaning and _MEANS.search(text, near, start):
        is_pronoun = text[start:end].lower() in _WORDS.pronouns
        if _CLAUSE.match(text, end) or (is_pronoun and text[end : end + 1] == " "):
            return None
    if meaning and (meaning.group()[-1] in QUOTES or _GLOSS_AFTER.match(text, end)):
        return "word spoken about"
    return "word spoken about" if _QUOTED_BEFORE.search(text, near, start) and _GLOSS_AFTER.match(text, end) else None


def _makes_gloss(before: str) -> bool:
    """Whether the last word of a text, apart from an article, can introduce a meaning: "it means the", "Latin for"."""
    rest, _, last = before.removesuffix(" the").removesuffix(" an").removesuffix(" a").rpartition(" ")
    if last in ("for", "to", "as"):
        return rest.endswith(_BEFORE_PREPOSITION)
    return last.lower() in _GLOSSING or not last.isalpha()


def reverent(text: str, start: int, end: int) -> str | None:
    """Reason to leave He, His or Him alone: a capital in mid-sentence means God (He gave His only son).

    The text around it must speak of religion, or give all its pronouns a capital (He sees us and keeps His word).
    Otherwise the capital is chat or a headline, and says nothing.
    """
    if text[start - 1 : start] != " " or start < 2 or text[start + 1 : end].isupper():
        return None
    last = text[start - 2]
    if not (last.islower() or (last == "," and text[start - 3 : start - 2].islower())):
        return None
    if previous_token(text, start)[:1] in ("@", "#"):
        return None  # a handle or hashtag is no word of the sentence
    following = next_word(text, end)
    if is_honour(following):
        return None
    if following[:1].isupper() and text[start] == "H":
        return "name"  # Maria and Her Friends
    around = text[start - _REACH if start > _REACH else 0 : end + _REACH]
    revered = len(_LARGE_PRONOUN.findall(around)) > 1 and not _SMALL_PRONOUN.search(around)
    return "God" if revered or _RELIGION.search(around) else None


def is_honour(word: str) -> bool:
    """Whether a word follows His or Her in a title: Majesty, Majesty's."""
    return word[:1].isupper() and word.lower().replace("’", "'").removesuffix("'s") in HONOURS
