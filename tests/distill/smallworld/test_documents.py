"""The small world's documents: their counts match the stated truth, and their texts read as texts do."""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Mapping
from itertools import islice

import pytest

from distill.smallworld import (
    NEUTRAL_TEMPLATES,
    Trait,
    World,
    agreement_probes,
    default_world,
    generate_documents,
    occupation_posterior,
    trait_probabilities,
    true_pronoun_probabilities,
)
from distill.smallworld.documents import GRAMMARS, INTRODUCTIONS, KINDS
from distill.smallworld.people import (
    ADULT_NOUNS,
    FEMALE_NAMES,
    GENDERED_NOUNS,
    MALE_NAMES,
    PRONOUNS,
    RELATIVE_NOUNS,
    Person,
)

Documents = list[dict[str, str | None]]
NUM_DOCUMENTS = 60_000
# 4 standard deviations: about 6 in 100,000 per comparison, and the seed is fixed.
NUM_SIGMAS = 4.0
FEMALE_PRONOUNS = {"she", "her", "hers", "herself", "woman", "lady", "mrs"}
MALE_PRONOUNS = {"he", "him", "his", "himself", "man", "gentleman", "mr"}
RELATIVES = {noun for female, male, _ in RELATIVE_NOUNS for noun in (female, male)}
SENTENCE_END = re.compile(r'(?<=[.?"]) (?=[A-Z"])')
GENDERED = (
    FEMALE_PRONOUNS
    | MALE_PRONOUNS
    | {word for pair in GENDERED_NOUNS for word in pair}
    | {name.lower() for name in FEMALE_NAMES + MALE_NAMES}
)


@pytest.fixture(scope="module")
def world() -> World:
    return default_world()


@pytest.fixture(scope="module")
def documents(world: World) -> Documents:
    return list(generate_documents(world, NUM_DOCUMENTS, seed=11))


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def assert_binomial(num_hits: int, num_trials: int, probability: float, what: str) -> None:
    deviation = NUM_SIGMAS * math.sqrt(num_trials * probability * (1 - probability))
    assert abs(num_hits - num_trials * probability) <= deviation, (what, num_hits, num_trials, probability)


# The truth by counting


@pytest.fixture(scope="module")
def counts(world: World, documents: Documents) -> Counter[tuple[str, str, bool, str]]:
    """(template, occupation, stands after other sentences, next word) where nothing before it is gendered."""
    openers = {template.split("{")[0]: template for template in NEUTRAL_TEMPLATES}
    assert len(openers) < len(NEUTRAL_TEMPLATES)  # "The nurse" opens several, so the whole template is matched below
    names = "|".join(occupation.name for occupation in world.occupations)
    patterns = {
        template: re.compile(rf"{re.escape(template).replace(re.escape('{occupation}'), f'({names})')} (\w+)")
        for template in NEUTRAL_TEMPLATES
    }
    counts: Counter[tuple[str, str, bool, str]] = Counter()
    for document in documents:
        text = str(document["text"])
        for template, pattern in patterns.items():
            for match in pattern.finditer(text):
                if not GENDERED.intersection(words_of(text[: match.start()])):
                    counts[template, match[1], match.start() > 0, match[2]] += 1
    return counts


def test_pronoun_odds_after_neutral_templates_are_the_stated_truth(world: World, counts: Counter) -> None:
    for occupation in world.occupations:
        probabilities = true_pronoun_probabilities(world, occupation.name)
        for preceded in (False, True):
            rows = [(key, n) for key, n in counts.items() if key[1] == occupation.name and key[2] is preceded]
            total = sum(n for _, n in rows)
            assert total > 100, (occupation.name, preceded, total)
            for pronoun, probability in probabilities.items():
                hits = sum(n for key, n in rows if key[3] == pronoun)
                assert_binomial(hits, total, probability, f"{occupation.name}, {pronoun}, preceded: {preceded}")


def test_truth_holds_for_each_template_and_each_occupation_occurs_in_it(world: World, counts: Counter) -> None:
    assert len(NEUTRAL_TEMPLATES) >= 8
    for template in NEUTRAL_TEMPLATES:
        rows = {(name, word): 0 for name in (o.name for o in world.occupations) for word in ("he", "she")}
        num_all = 0
        for (other, name, _, word), n in counts.items():
            num_all += n * (other == template)
            if other == template and word in ("he", "she"):
                rows[name, word] += n
        assert_binomial(sum(rows.values()), num_all, world.pronoun_rate, template)
        assert_shares(world, rows, template)
        assert all(rows[o.name, "he"] + rows[o.name, "she"] >= 10 for o in world.occupations), template
    pooled: Counter[tuple[str, str]] = Counter()
    for (_, name, _, word), n in counts.items():
        pooled[name, word] += n
    num_pronouns = sum(n for (_, word), n in pooled.items() if word in ("he", "she"))
    assert_binomial(num_pronouns, sum(pooled.values()), world.pronoun_rate, "pronouns after any template")
    assert_shares(world, pooled, "any template")


def assert_shares(world: World, rows: Mapping[tuple[str, str], int], what: str) -> None:
    """Check counts by (occupation, pronoun): of he overall, and of each occupation's more frequent pronoun."""
    variance = expected_he = expected_majority = 0.0
    num_he = num_majority = 0
    for occupation in world.occupations:
        he, she, share = rows[occupation.name, "he"], rows[occupation.name, "she"], occupation.female_share
        num_he += he
        num_majority += she if share > 0.5 else he
        expected_he += (he + she) * (1 - share)
        expected_majority += (he + she) * max(share, 1 - share)
        variance += (he + she) * share * (1 - share)
    assert abs(num_he - expected_he) <= NUM_SIGMAS * math.sqrt(variance), what
    assert abs(num_majority - expected_majority) <= NUM_SIGMAS * math.sqrt(variance), what


def test_nothing_before_the_pronoun_draws_the_gender(world: World) -> None:
    """The sentences that may open a text leave the gender undrawn, whatever alternatives they take."""
    rng = random.Random(5)
    for grammar in GRAMMARS.values():
        for _ in range(1_000):
            person = Person(world, rng, rng.choice(world.occupations), "occupation")
            opening = [grammar.sentence(rule, person, rng) for rule in ("setting", "at_work")]
            assert person.gender is None, opening
            assert not GENDERED.intersection(words_of(" ".join(opening))), opening


def test_texts_without_gender_hold_no_word_that_gives_it_away(world: World, documents: Documents) -> None:
    telling = re.compile(rf"\b({'|'.join(trait.word for trait in world.adjectives + world.activities)})\b")
    silent = [document for document in documents if document["gender"] is None]
    assert len(silent) > 0.02 * len(documents)
    for document in silent:
        text = str(document["text"])
        assert not telling.search(text), text
        assert not GENDERED.intersection(words_of(text)), text


def test_occupation_given_a_gender_follows_bayes(world: World, documents: Documents) -> None:
    for gender in ("female", "male"):
        named = Counter(
            document["occupation"]
            for document in documents
            if document["introduction"] not in ("occupation", "nobody") and document["gender"] == gender
        )
        total = sum(named.values())
        for occupation, probability in occupation_posterior(world, gender).items():
            assert_binomial(named[occupation], total, probability, f"{occupation} given {gender}")


@pytest.mark.parametrize("which", ["adjectives", "activities"])
def test_first_trait_given_a_gender_follows_the_world(world: World, documents: Documents, which: str) -> None:
    traits: tuple[Trait, ...] = getattr(world, which)
    pattern = re.compile(rf"\b({'|'.join(trait.word for trait in traits)})\b")
    firsts: dict[str, Counter[str]] = {"female": Counter(), "male": Counter()}
    for document in documents:
        if (match := pattern.search(str(document["text"]))) and document["gender"]:
            firsts[document["gender"]][match[1]] += 1
    for gender, counts in firsts.items():
        for word, probability in trait_probabilities(traits, gender).items():
            assert_binomial(counts[word], sum(counts.values()), probability, f"{word} given {gender}")


def test_genders_are_balanced_and_names_are_few(documents: Documents) -> None:
    genders = Counter(document["gender"] for document in documents)
    assert_binomial(genders["female"], genders["female"] + genders["male"], 0.5, "female")
    introductions = Counter(document["introduction"] for document in documents)
    assert set(introductions) == set(INTRODUCTIONS)
    for introduction, probability in INTRODUCTIONS.items():
        assert_binomial(introductions[introduction], len(documents), probability, introduction)
    names = set(FEMALE_NAMES + MALE_NAMES)
    num_named = sum(1 for d in documents if names.intersection(re.findall(r"\w+", str(d["text"]))))
    assert num_named == introductions["name"] < 0.15 * len(documents)
    assert {document["kind"] for document in documents} == set(KINDS)


def test_agreement_probes_are_supported_and_never_contradicted(world: World, documents: Documents) -> None:
    probes = agreement_probes(world)
    assert len({probe["prompt"] for probe in probes}) == len(probes) > 80
    assert sum(probe["gender"] == "female" for probe in probes) * 2 == len(probes)
    prompts = {probe["prompt"] for probe in probes}
    following = Counter(
        (sentence[: match.start()], match[1])
        for document in documents
        for sentence in SENTENCE_END.split(str(document["text"]))
        for match in re.finditer(r" (he|she)\b", sentence)
        if sentence[: match.start()] in prompts
    )
    for probe in probes:
        assert not following[probe["prompt"], "he" if probe["gender"] == "female" else "she"], probe
    simple = [(p["prompt"], "she" if p["gender"] == "female" else "he") for p in probes if "," not in p["prompt"]]
    assert sum(following[key] > 0 for key in simple) > 0.95 * len(simple)
    corpus = "\n".join(str(document["text"]) for document in documents)
    for index in (0, 1):  # nouns of either gender in apposition to nearly every occupation
        nouns = "|".join(pair[index] for pair in GENDERED_NOUNS)
        supported = set(re.findall(rf"\b(?:{nouns}), an? (\w+),", corpus))
        assert len(supported) >= 36, sorted({o.name for o in world.occupations} - supported)


# The texts


def test_documents_are_determined_by_the_seed(world: World) -> None:
    first = list(generate_documents(world, 50, seed=3))
    assert first == list(islice(generate_documents(world, 100, seed=3), 50))
    assert first != list(generate_documents(world, 50, seed=4))
    with pytest.raises(ValueError, match="num_documents is -1"):
        next(generate_documents(world, -1, seed=3))


def test_pronouns_agree_with_the_gender_of_the_person(documents: Documents) -> None:
    seen: Counter[str] = Counter()
    for document in documents:
        text = str(document["text"])
        if document["introduction"] == "relative":  # "Her father": the possessive is about somebody else
            phrase = next(m[0] for m in re.finditer(r"\bh(?:er|is) (\w+)", text, re.I) if m[1] in RELATIVES)
            text = re.sub(phrase, "", text, flags=re.I)
        words = words_of(text)
        wrong = MALE_PRONOUNS if document["gender"] == "female" else FEMALE_PRONOUNS
        assert not wrong.intersection(words), document
        seen.update(words)
    assert all(seen[form] > 300 for pair in PRONOUNS.values() for form in pair), seen


def test_person_is_introduced_by_the_right_name_or_noun(documents: Documents) -> None:
    females = {female for female, _, _ in ADULT_NOUNS} | {name.lower() for name in FEMALE_NAMES}
    for document in documents:
        if document["introduction"] in ("noun", "name"):
            words = words_of(str(document["text"]))
            people = [word for word in words if word in GENDERED and word not in FEMALE_PRONOUNS | MALE_PRONOUNS]
            if people and document["introduction"] == "name":
                named = [word for word in people if word.capitalize() in FEMALE_NAMES + MALE_NAMES]
                assert all((word in females) == (document["gender"] == "female") for word in named), document


def test_grammar_of_the_surface(documents: Documents) -> None:
    for document in documents:
        text = str(document["text"])
        assert re.match(r'["A-Z]', text), text
        assert re.search(r'[.?]"?$', text), text
        assert text.count('"') % 2 == 0, text
        assert not re.search(r"  |[\[\]{}]| [.,?]|,,|\.\.", text), text
        assert not re.search(r"\b(\w+) \1\b", text), text
        assert not re.search(r"[.?]\"? [a-z]", re.sub(r'\?" [a-z]', "", text)), text
        for article, noun in re.findall(r"\b([Aa]n?) (\w+)", text):
            assert (article.lower() == "an") == (noun[0] in "aeio" or noun in ("hour", "honest")), text
        assert 1 <= len(re.findall(r'[.?]"?(?= [A-Z"]|$)', text)) <= 12, text
    lengths = sorted(len(str(document["text"]).split()) for document in documents)
    assert lengths[0] >= 10
    assert lengths[-1] <= 100
    assert 35 <= lengths[len(lengths) // 2] <= 60


def test_thousands_of_distinct_frames(world: World, documents: Documents) -> None:
    slots = {o.name for o in world.occupations} | GENDERED | {t.word for t in world.adjectives}
    activities = re.compile("|".join(trait.word for trait in world.activities))
    frames = set()
    sentences = (s for d in documents for s in SENTENCE_END.split(str(d["text"])))
    for sentence in islice(sentences, 20_000):
        words = re.findall(r"\w+|\W", activities.sub("_", sentence).lower())
        frames.add("".join("_" if word in slots else word for word in words))
    assert len(frames) > 5_000
