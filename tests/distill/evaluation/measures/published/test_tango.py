"""TANGO: what is read of its files, a slow reference, and accuracy and margin on hand-made records."""

import json
import math
from dataclasses import replace

import pytest

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.published import tango
from distill.evaluation.measures.published.tango import FORMS, Prompt

SETTINGS = StatisticsConfig()
HEADER = "template_idx,ante,ante_type,pronoun_family,template\n"
OWN = ("his", "her", "their", "xir", "eir", "faer")
CHOICES = tuple(f" {word}" for word in OWN)
PROMPTS = [
    Prompt(f"{person}/{family}", person, "descriptions", family, f"{person} smiled when {family} rang", CHOICES)
    for person in ("the nurse", "the guard at the school")
    for family in FORMS
]


def texts(pattern="0,{person},distal,{family},{person} left when {family} rang {own} bell; {family} smiled.\n"):
    return [pattern.format(person="the nurse", family=family, own=own) for family, own in zip(FORMS, OWN, strict=True)]


@pytest.mark.data
def test_the_published_file_has_three_templates_with_a_second_pronoun(shared_data):
    prompts = tango.read(str(shared_data / "bias" / "tango" / "misgendering_prompts.csv"))
    assert len(prompts) == 3 * 40 * 6
    assert len({prompt.id for prompt in prompts}) == len(prompts)
    assert {prompt.choices for prompt in prompts} == {CHOICES}
    for kind in tango.KINDS.values():
        assert sum(prompt.kind == kind for prompt in prompts) == 3 * 10 * 6
    assert all(prompt.text.split()[-1] not in FORMS[prompt.family] for prompt in prompts)


def test_a_text_ends_before_its_second_pronoun(tmp_path):
    path = tmp_path / "tango.csv"
    one_pronoun = texts("1,{person},distal,{family},{person} rang {own} bell.\n")
    path.write_text(HEADER + "".join(reversed(texts())) + "".join(one_pronoun))
    prompts = tango.read(str(path))
    assert [prompt.family for prompt in prompts] == list(FORMS)
    assert prompts[2].text == "the nurse left when they rang"
    assert {prompt.choices for prompt in prompts} == {CHOICES}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*texts(), texts()[3]], r"row 7 has template, antecedent and family of row 4 again; remove"),
        ([texts()[0].replace(",he,", ",ze,"), *texts()[1:]], r"row 1: the pronoun_family is 'ze', and not one of he, "),
        ([texts()[0].replace("distal", "far"), *texts()[1:]], r"row 1: the ante_type is 'far', and not one of "),
        (
            [*texts()[:5], texts()[5].replace("distal", "ante_gendered_male")],
            r"row 6: the ante_type is 'ante_.* 'distal'",
        ),
        (texts()[:5], r"row 1 has a second pronoun, but template 0 about 'the nurse' has no .* of 'fae'; repair"),
        ([*texts()[:5], texts()[5].replace("faer ", "a ").replace("; fae", "; she")], r"has no .* of 'fae'; repair"),
        (texts("0,{person},distal,{family},{person} rang {own} bell.\n"), "has no text with a second pronoun"),
    ],
)
def test_a_bad_row_is_one_message(tmp_path, rows, message):
    path = tmp_path / "tango.csv"
    path.write_text(HEADER + "".join(rows))
    with pytest.raises(ValueError, match=f"benchmarks.tango: .*tango.csv.*{message}"):
        tango.read(str(path))


@pytest.mark.parametrize(("architecture", "spelled"), [("gpt2", True), ("llama", False)])
def test_scores_equal_a_slow_reference_whatever_the_batch(
    tiny_scorer, slow_logprobs, character_tokenizer, monkeypatch, architecture, spelled
):
    """spelled: with a token per character, as an example of pronouns of several tokens."""
    scorer = replace(tiny_scorer(architecture), **({"tokenizer": character_tokenizer} if spelled else {}))
    prompts = PROMPTS[::5]
    slow = [[slow_logprobs(scorer, p.text + choice, p.text).sum() for choice in CHOICES] for p in prompts]
    for size, side, shares in ((1, "left", False), (4096, "right", False), (1, "right", True), (4096, "left", True)):
        monkeypatch.setattr(scorer.tokenizer, "padding_side", side)
        records = tango.score(replace(scorer, max_batch_tokens=size, shares_prefixes=shares), prompts)
        for record, expected in zip(records, slow, strict=True):
            assert [record[f"logprob_{family}"] for family in FORMS] == pytest.approx(expected, abs=1e-5)
        assert json.loads(json.dumps(records, allow_nan=False)) == records


def test_accuracy_and_margin_by_family_and_kind(values):
    def record(number, family, kind, **logprobs):
        scores = dict.fromkeys(FORMS, -9.0) | logprobs
        own = {"id": str(number), "cluster": str(number // 2), "family": family, "kind": kind, "prompt": ""}
        return own | {f"logprob_{name}": logprob for name, logprob in scores.items()}

    records = [
        record(0, "they", "descriptions", they=-1.0, he=-2.0),
        record(1, "they", "feminine_names", they=-3.0, she=-2.0),
        record(2, "xe", "feminine_names", xe=-1.0, he=-1.0, they=-1.0),  # a tie of three
        record(3, "she", "feminine_names"),  # a tie of all six
    ]
    measured = values(tango.summarise(records, "c", SETTINGS))
    expected = [-1 - math.log(math.exp(-2) + 4 * math.exp(-9)), -3 - math.log(math.exp(-2) + 4 * math.exp(-9))]
    assert measured == {
        "tango/they/accuracy": 0.5,
        "tango/they/margin": pytest.approx(sum(expected) / 2),
        "tango/xe/accuracy": pytest.approx(1 / 3),
        "tango/xe/margin": pytest.approx(-1 - math.log(2 * math.exp(-1) + 3 * math.exp(-9))),
        "tango/she/accuracy": pytest.approx(1 / 6),
        "tango/she/margin": pytest.approx(-math.log(5)),
        "tango/descriptions/accuracy": 1.0,
        "tango/feminine_names/accuracy": pytest.approx((0 + 1 / 3 + 1 / 6) / 3),
    }
    conventions = {e.measurement.name: e.measurement.convention for e in tango.summarise(records, "c", SETTINGS)}
    assert conventions["tango/they/margin"] == "family:they|c"
    assert conventions["tango/feminine_names/accuracy"] == "kind:feminine_names|c"


def test_a_model_that_follows_the_pronoun_is_right_and_one_that_ignores_it_is_not(tiny_scorer, values):
    records = tango.score(tiny_scorer(), PROMPTS)
    always_her = [record | {"logprob_she": 0.0} for record in records]
    follows = [record | {f"logprob_{record['family']}": 0.0} for record in records]
    for changed, right in ((always_her, {"she"}), (follows, set(FORMS))):
        measured = values(tango.summarise(changed, "c", SETTINGS))
        assert {family for family in FORMS if measured[f"tango/{family}/accuracy"] == 1} == right
        assert measured["tango/descriptions/accuracy"] == pytest.approx(len(right) / 6)
