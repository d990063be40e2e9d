"""The small world's folder: its files, its tokenizer, the command line that writes it and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from distill.smallworld import NEUTRAL_TEMPLATES, World, agreement_probes, default_world, true_log_odds
from distill.smallworld.__main__ import main
from distill.smallworld.folder import CorpusParameters
from distill.smallworld.tokenizer import gendered_forms

Documents = list[dict[str, str | None]]


@pytest.fixture(scope="module")
def world() -> World:
    return default_world()


def read_documents(folder: Path, name: str) -> Documents:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("world") / "small"
    assert main(["--out", str(out), "--documents", "3000", "--heldout", "100", "--seed", "2"]) == 0
    return out


def test_folder_is_complete_and_describes_itself(folder: Path, world: World) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "heldout.jsonl", "tokenizer", "train.jsonl", "world.json",
    ]  # fmt: skip
    assert [path.name for path in folder.parent.iterdir()] == ["small"]
    train, heldout = read_documents(folder, "train"), read_documents(folder, "heldout")
    assert (len(train), len(heldout)) == (3000, 100)
    assert set(train[0]) == {"text", "occupation", "gender", "kind", "introduction"}
    assert not {d["text"] for d in train} & {d["text"] for d in heldout}
    described = json.loads((folder / "world.json").read_text())
    assert described["neutral_templates"] == list(NEUTRAL_TEMPLATES)
    assert described["agreement_probes"] == agreement_probes(world)
    for entry in described["occupations"]:
        assert entry["true_log_odds"] == true_log_odds(world, entry["name"])
    assert described["counts"]["train"]["documents"] == 3000
    assert described["seed"] == 2


def test_tokenizer_round_trips_and_keeps_gendered_words_whole(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    assert tokenizer.is_fast
    assert len(tokenizer) <= 2000
    assert tokenizer.bos_token == tokenizer.eos_token == tokenizer.unk_token == "<|endoftext|>"
    for form in gendered_forms():
        assert len(tokenizer(form)["input_ids"]) == 1, form
    assert {" he", " she", "He", "She", " herself", " Mrs", "Mr", " woman"} <= set(gendered_forms())
    texts = [str(d["text"]) for name in ("train", "heldout") for d in read_documents(folder, name)]
    texts += ["naïve café — “quoted” 日本\n\ttab  two", " leading and trailing ", "He 's , here ."]
    assert tokenizer.batch_decode(tokenizer(texts)["input_ids"]) == texts
    encoded = tokenizer("The nurse said that she left.", return_offsets_mapping=True)
    assert encoded["offset_mapping"][4] == (19, 23)


def test_same_parameters_do_nothing_and_others_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "train.jsonl").stat().st_mtime_ns
    arguments = ["--out", str(folder), "--documents", "3000", "--heldout", "100"]
    assert main([*arguments, "--seed", "2"]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert main([*arguments, "--seed", "3"]) == 1
    assert "exists with another seed (2 instead of 3)" in capsys.readouterr().err
    assert (folder / "train.jsonl").stat().st_mtime_ns == before


def lose_a_file(out: Path) -> None:
    out.mkdir()
    (out / "train.jsonl").write_text("{}\n")


def break_the_json(out: Path) -> None:
    for name in ("train.jsonl", "heldout.jsonl", "README.md", "world.json", "tokenizer/tokenizer.json"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("{")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [(lose_a_file, "is not a complete corpus folder"), (break_the_json, "is not valid JSON"), (Path.touch, "complete")],
)
def test_a_foreign_folder_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], prepare: Callable[[Path], None], message: str
) -> None:
    out = tmp_path / "out"
    prepare(out)
    before = sorted(tmp_path.rglob("*"))
    assert main(["--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--documents", "50", "--vocab-size", "300"], "vocab_size is 300: too small"),
        (["--documents", "0"], "num_documents is 0"),
        (["--heldout", "0"], "num_heldout is 0"),
        (["--seed", "-1"], "seed is -1"),
    ],
)
def test_bad_parameters_leave_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["--out", str(tmp_path / "out"), *arguments]) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_train_and_heldout_seeds_never_meet() -> None:
    train = {CorpusParameters(seed=seed).train_seed for seed in range(20)}
    assert not train & {CorpusParameters(seed=seed).heldout_seed for seed in range(20)}
