"""Let a spaCy pipeline, here a stand-in for one, decide her and his."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from augment import swap
from augment.__main__ import main
from augment.tagger import agreement, load_reader, spacy_reader


@dataclass
class Token:
    text: str
    idx: int
    tag_: str
    dep_: str = ""


def pipeline(tags: dict[str, tuple[str, str]]) -> Callable[[str], list[Token]]:
    """A stand-in for a pipeline that looks up the tags of blank-separated words in a table."""

    def parse(text: str) -> list[Token]:
        tokens, at = [], 0
        for word in text.split(" "):
            bare = word.strip(".,\n")
            tag, dep = tags.get(bare.lower(), ("NN", "dobj"))
            tokens.append(Token(bare, at, tag, dep))
            at += len(word) + 1
        return tokens

    return parse


def test_reader_decides_in_place_of_the_rules() -> None:
    text = "I saw her duck."
    as_object = spacy_reader(pipeline({"her": ("PRP", "nsubj")}))
    as_determiner = spacy_reader(pipeline({"her": ("PRP$", "poss")}))
    assert swap(text, reader=as_object).counterfactual == "I saw him duck."
    assert swap(text, reader=as_determiner).counterfactual == "I saw his duck."
    assert swap(text, reader=as_object).edits[0].rule == "f->m her: reader"


def test_reader_for_his_and_fall_back() -> None:
    absolute = spacy_reader(pipeline({"his": ("PRP$", "attr")}))
    assert swap("Was it his dog", reader=absolute).counterfactual == "Was it hers dog"
    silent = spacy_reader(pipeline({"his": ("NN", ""), "her": ("NN", "")}))
    assert swap("Was it his dog", reader=silent).counterfactual == "Was it her dog"


def test_agreement_counts_and_shows_differences() -> None:
    reader = spacy_reader(pipeline({"her": ("PRP", "dobj")}))
    result = agreement(["I saw her.", "That is her own house.", "Nothing."], reader)
    assert (result.num_pronouns, result.num_agreeing) == (2, 1)
    assert result.by_pronoun == {"her": (1, 2), "his": (0, 0)}
    assert result.differences == (("That is her own house.", 8),)
    assert agreement([], reader).num_pronouns == 0


def install_stand_in(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Install a module `spacy` that has these models; they tag every "her" as an object."""
    module = ModuleType("spacy")

    def load(name: str, disable: list[str]) -> Callable[[str], list[Token]]:
        if name not in names:
            raise OSError(name)
        return pipeline({"her": ("PRP", "dobj"), "his": ("PRP$", "poss")})

    module.load = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "spacy", module)


def test_commands_use_an_installed_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install_stand_in(monkeypatch, "stand_in_model_a")
    corpus = tmp_path / "c.txt"
    corpus.write_text("I saw her.\nThat is her own house.\nIt was his hat.\n", encoding="utf-8")
    assert main(["agree", str(corpus), "--spacy", "stand_in_model_a"]) == 0
    printed = capsys.readouterr().out
    assert "her   1 of 2 alike: 0.5000 [0.0945, 0.9055]" in printed
    assert "his   1 of 1 alike" in printed
    assert "differs: That is her own house." in printed
    assert main(["explain", "That is her own house.", "--spacy", "stand_in_model_a"]) == 0
    assert "That is [him] own house." in capsys.readouterr().out
    assert main(["swap", str(corpus), "--out", str(tmp_path / "o.txt"), "--spacy", "stand_in_model_a"]) == 0
    assert (tmp_path / "o.txt").read_text(encoding="utf-8").splitlines()[1] == "That is him own house."


def test_a_missing_model_or_spacy_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install_stand_in(monkeypatch)
    assert main(["agree", str(tmp_path / "c.txt"), "--spacy", "absent"]) == 1
    assert "spaCy has no model 'absent'; run `python -m spacy download absent`" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(ValueError, match="pip install spacy"):
        load_reader("en_core_web_sm")
