"""Short texts about people, written by a model."""

import json
import re
from importlib import resources

import pytest

from augment import swap
from augment.lexicon import DEFAULT_TIERS, load_lexicon
from distill.evaluation.config import AGREEMENT_TEMPLATES, NEUTRAL_TEMPLATES
from distill.evaluation.scoring.generation import sample
from distill.files import parse_tsv
from distill.people import beginnings, main, read_words


@pytest.fixture
def model(tiny_model, tokenizer, tmp_path):
    tiny_model("llama").save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return str(tmp_path / "model")


def texts(path):
    return [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_text_goes_on_from_a_person_and_depends_on_the_seed_alone(model, tmp_path, monkeypatch, capsys):
    files = [tmp_path / name / "people.jsonl" for name in ("first", "again", "other")]
    for file, seed, chunk in zip(files, "001", (128, 3, 128), strict=True):
        monkeypatch.setattr("distill.people.TEXTS_PER_CHUNK", chunk)
        main([model, "--texts", "7", "--tokens", "5", "--seed", seed, "--out", str(file)])
    first, again, other = map(texts, files)
    assert first == again != other
    prompts = beginnings(read_words("person"), 7, seed=0)
    assert len(set(prompts)) == 7
    assert all(text.startswith(prompt) and text != prompt for text, prompt in zip(first, prompts, strict=True))
    assert f"{files[0]}: 7 texts" in capsys.readouterr().out


def test_an_interrupted_call_goes_on_and_a_finished_one_does_nothing(model, tmp_path, monkeypatch, capsys):
    words = [model, "--texts", "7", "--tokens", "5", "--out"]
    whole, out = tmp_path / "whole.jsonl", tmp_path / "people.jsonl"
    monkeypatch.setattr("distill.people.TEXTS_PER_CHUNK", 3)
    main([*words, str(whole)])

    calls = []

    def stop(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return sample(*arguments, **options)

    monkeypatch.setattr("distill.people.sample", stop)
    with pytest.raises(KeyboardInterrupt):
        main([*words, str(out)])
    part = tmp_path / "people.jsonl.part"
    assert len(part.read_text().splitlines()) == 1 + 3
    part.write_text(part.read_text() + '{"text": "half of a li')  # as a killed process leaves it
    with pytest.raises(ValueError, match=r"people.jsonl.part was begun with other settings; remove it"):
        main([*words, str(out), "--seed", "1"])
    main([*words, str(out)])
    assert len(calls) == 4  # three texts were there already
    assert out.read_bytes() == whole.read_bytes()
    assert not part.exists()
    main([*words, str(out)])
    assert len(calls) == 4
    assert "holds these 7 texts already" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"people.jsonl exists and holds other texts; remove it"):
        main([model, "--texts", "8", "--out", str(out)])
    assert out.read_bytes() == whole.read_bytes()


def test_a_combination_repeats_only_when_all_were_used():
    num_beginnings = len(read_words("beginning"))
    prompts = beginnings(["captain", "guest"], 4 * num_beginnings, seed=3)
    neutral = [prompt for prompt in prompts if "captain" in prompt or "guest" in prompt]
    assert len(neutral) == 3 * num_beginnings
    first, again = neutral[: 2 * num_beginnings], neutral[2 * num_beginnings :]
    assert len(set(first)) == len(first)
    assert again == first[: len(again)]
    gendered = {begin.replace("{person}", word) for begin in read_words("beginning") for word in read_words("gendered")}
    assert len(gendered & set(prompts)) == num_beginnings / 2
    assert len(set(prompts) - set(neutral) - gendered) == num_beginnings / 2


def test_words_tell_a_gender_or_not_as_their_kind_says():
    begin, person = read_words("beginning")[0], read_words("person")[0]
    open_texts = [begin.replace("{person}", word) for word in read_words("person")]
    open_texts += [text.replace("{person}", person) for text in read_words("beginning")]
    for text in open_texts:
        assert swap(text).edits == ()
    gendered = read_words("gendered")
    for text in read_words("beginning"):
        for feminine, masculine in zip(gendered[::2], gendered[1::2], strict=True):
            own, other = (text.replace("{person}", word) for word in (feminine, masculine))
            assert (swap(own).counterfactual, swap(other).counterfactual) == (other, own)


def test_an_eighth_begins_with_a_given_name_that_the_tier_of_names_swaps():
    named = beginnings(["captain"], 400, seed=0)[4::8]
    with_names = load_lexicon((*DEFAULT_TIERS, "names"))
    assert len(named) == 50
    for text in named:
        assert swap(text).edits == ()
        assert len(swap(text, with_names).edits) == 1
        assert not re.search(r"\b([Tt]he|new|every|other) [A-Z]|\{", text)


def test_no_word_is_in_the_evaluation():
    """What the evaluation measures must be learned from other persons and other sentences."""
    evaluated = {noun for row in evaluation_rows("definitional_nouns.tsv") for noun in row.values()}
    evaluated |= {row["name"] for row in evaluation_rows("occupations.tsv")}
    assert not evaluated & {*read_words("person"), *read_words("gendered")}
    templates = {template.replace("{occupation}", "{noun}") for template in NEUTRAL_TEMPLATES + AGREEMENT_TEMPLATES}
    assert not templates & {beginning.replace("{person}", "{noun}") for beginning in read_words("beginning")}


def evaluation_rows(name):
    return parse_tsv(resources.files("distill.evaluation.measures").joinpath(name).read_text(encoding="utf-8"))


def test_own_persons_and_an_empty_list_of_them(model, tmp_path):
    (tmp_path / "persons.txt").write_text("\nharbour master\n\n")
    out = tmp_path / "people.jsonl"
    main([model, "--texts", "4", "--tokens", "1", "--persons", str(tmp_path / "persons.txt"), "--out", str(out)])
    assert ["harbour master" in text for text in texts(out)] == [False, True, True, True]
    (tmp_path / "empty.txt").write_text(" \n")
    with pytest.raises(ValueError, match=r"empty\.txt is empty; give one person per line"):
        main([model, "--persons", str(tmp_path / "empty.txt"), "--out", str(out)])


@pytest.mark.parametrize("words", [["--texts", "0"], ["--tokens", "0"], ["--separator", "no such token"]])
def test_bad_options_write_nothing(model, tmp_path, words):
    with pytest.raises(ValueError, match=r"give 1 or more|--separator .* is not a token"):
        main([model, "--out", str(tmp_path / "people.jsonl"), *words])
    assert not (tmp_path / "people.jsonl").exists()
