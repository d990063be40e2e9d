"""Prompts from the built-in lists, a user's lists and a small world; bad lists."""

import json
import math

import pytest

from distill.evaluation.config import AgreementConfig, EvalConfig, LogOddsConfig
from distill.evaluation.measures.prompts import gendered_prompts, neutral_prompts, read_world
from distill.settings import validate


def test_built_in_occupations_are_many_distinct_and_grammatical():
    prompts = neutral_prompts(LogOddsConfig(), None)
    occupations = {prompt.occupation for prompt in prompts}
    assert len(occupations) >= 60
    assert len(prompts) == len({prompt.id for prompt in prompts}) == 6 * len(occupations)
    texts = {prompt.text for prompt in prompts}
    assert "My neighbour is an accountant, and" in texts
    assert "My neighbour is a nurse, and" in texts
    assert all(prompt.reference_log_odds is None for prompt in prompts)
    for prompt in prompts:
        assert prompt.text == prompt.text.strip()
        assert not {"he", "she", "man", "woman"} & set(prompt.text.lower().replace(",", "").split())


def test_built_in_probes_are_balanced():
    prompts = gendered_prompts(AgreementConfig(), None)
    genders = [prompt.gender for prompt in prompts]
    assert genders.count("female") == genders.count("male") >= 40
    assert "The woman said that" in {prompt.text for prompt in prompts if prompt.gender == "female"}
    clusters = {prompt.cluster: [] for prompt in prompts}
    for prompt in prompts:
        clusters[prompt.cluster].append(prompt.gender)
    assert len(clusters) == 16
    assert all(within.count("female") == within.count("male") > 0 for within in clusters.values())


def test_a_path_may_begin_with_the_home_directory(small_world, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(small_world.parent))
    words = {"occupations.tsv": "name\tarticle\npilot\ta\n", "nouns.tsv": "female\tmale\nwoman\tman\n"}
    for name, text in words.items():
        (small_world.parent / name).write_text(text)
    lists = {"log_odds": {"occupations": "~/occupations.tsv"}, "agreement": {"nouns": "~/nouns.tsv"}}
    config = validate(EvalConfig, {"world": f"~/{small_world.name}", **lists})
    assert read_world(config.world) == read_world(str(small_world))
    assert {prompt.occupation for prompt in neutral_prompts(config.log_odds, None)} == {"pilot"}
    assert {prompt.cluster for prompt in gendered_prompts(config.agreement, None)} == {"woman/man"}


def test_a_world_has_its_own_occupations_templates_probes_and_truth(small_world):
    truth = json.loads((small_world / "world.json").read_text())
    prompts = neutral_prompts(LogOddsConfig(), str(small_world))
    assert len(prompts) == len(truth["occupations"]) * len(truth["neutral_templates"])
    shares = {row["name"]: row["female_share"] for row in truth["occupations"]}
    for prompt in prompts:
        assert "{" not in prompt.text
        assert prompt.occupation in prompt.text
        share = shares[prompt.occupation]
        assert prompt.reference_log_odds == pytest.approx(math.log((1 - share) / share))
    probes = gendered_prompts(AgreementConfig(), str(small_world))
    assert [probe.text for probe in probes] == [probe["prompt"].strip() for probe in truth["agreement_probes"]]
    for nouns in {probe.cluster for probe in probes}:
        female, male = ([p.text for p in probes if (p.cluster, p.gender) == (nouns, g)] for g in ("female", "male"))
        assert len(female) == len(male)
        assert all(noun in text for noun, texts in zip(nouns.split("/"), (female, male), strict=True) for text in texts)


def test_own_list_with_shares(tmp_path):
    path = tmp_path / "own.tsv"
    path.write_text("# mine\nname\tarticle\tfemale_share\tsource\nnurse\ta\t0.8\tours\nowner\tan\t\n", encoding="utf-8")
    prompts = neutral_prompts(LogOddsConfig(occupations=str(path), templates=("Is {article} {occupation} who",)), None)
    assert [prompt.text for prompt in prompts] == ["Is a nurse who", "Is an owner who"]
    assert prompts[0].reference_log_odds == pytest.approx(-math.log(4))
    assert prompts[1].reference_log_odds is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name\tarticle\tfemale_share\nnurse\ta\t1.0\n", "bad.tsv: the female_share of 'nurse' is '1.0'"),
        ("name\tarticle\tfemale_share\nnurse\ta\tmany\n", "female_share of 'nurse' is 'many'"),
        ("name\tarticle\tFemale Share\nnurse\ta\t0.9\n", "column 'Female Share' is not read; name it female_share"),
        ("name\tarticle\tfemale_shares\nnurse\ta\t0.9\n", "column 'female_shares' is not read"),
        ("name,article\nnurse,a\n", "columns name, article"),
        ("", "columns name, article"),
        ("name\tarticle\nnurse\ta\n \ta\n", "bad.tsv: row 2 has nothing in the column 'name'"),
        ("name\tarticle\nnurse\n", "bad.tsv: row 1 has nothing in the column 'article'"),
        (b"name\tarticle\ncaf\xe9\ta\n", "bad.tsv is not UTF-8 .*; convert the file"),
        ("name\tarticle\nnurse\ta\0\n", "bad.tsv holds zero bytes"),
        ("name\tarticle\nnurse\ta\nbaker\ta\t0.5\n", "bad.tsv: row 2 has more cells than columns .*; repair or remove"),
        ('name\tarticle\n"nurse\ta\n"baker\ta\n', "bad.tsv: row 1 is no row of a table .*; repair or remove"),
        ("name\tarticle\nnurse\ta\nnurse \tan\n", "bad.tsv: 'nurse' occurs twice"),
    ],
)
def test_bad_occupation_lists_are_refused(tmp_path, content, message):
    path = tmp_path / "bad.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message):
        neutral_prompts(LogOddsConfig(occupations=str(path)), None)


def test_missing_files_and_bad_templates_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"log_odds.occupations: .*none.tsv does not exist"):
        neutral_prompts(LogOddsConfig(occupations=str(tmp_path / "none.tsv")), None)
    with pytest.raises(FileNotFoundError, match=r"world.json does not exist; generate"):
        read_world(str(tmp_path))
    with pytest.raises(ValueError, match=r"'The nurse said' has no \{occupation\}"):
        neutral_prompts(LogOddsConfig(templates=("The nurse said",)), None)
    with pytest.raises(ValueError, match=r"cannot be filled \(KeyError\('article'\)\); its fields are \{noun\}"):
        gendered_prompts(AgreementConfig(templates=("I met {article} {noun} and",)), None)
    with pytest.raises(ValueError, match="cannot be filled"):
        neutral_prompts(LogOddsConfig(templates=("The {occupation} {",)), None)
    nouns = tmp_path / "nouns.tsv"
    nouns.write_bytes("female\tmale\nwoman\tman\nwoman\tguy\n".encode("utf-8-sig"))  # as spreadsheets save it
    with pytest.raises(ValueError, match=r"agreement\.nouns: .*nouns\.tsv: 'woman' occurs twice; keep one"):
        gendered_prompts(AgreementConfig(nouns=str(nouns)), None)
    with pytest.raises(ValueError, match=r"agreement\.templates is empty"):
        gendered_prompts(AgreementConfig(templates=()), None)


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"occupations": []}', b"\xff", '{"occupations": [{"name": " ", "article": "a", "true_log_odds": 1}]}'],
)
def test_a_malformed_world_is_refused(tmp_path, content):
    (tmp_path / "world.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=r"world.json is malformed at .*generate it again"):
        read_world(str(tmp_path))
