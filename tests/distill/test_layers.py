"""evenhand layers: what it prints and writes, and that a training takes it."""

import pytest
import yaml

from distill import layers
from distill.config import RunConfig
from distill.models.choose_layers import mean_loss
from distill.models.student import student_from_layers
from distill.settings import load_config


@pytest.fixture(autouse=True)
def few_tokens(monkeypatch):
    monkeypatch.setattr(layers, "NUM_TOKENS", 64)
    monkeypatch.setattr(layers, "NUM_SCORED_TOKENS", 96)
    monkeypatch.setattr(layers, "BLOCK_LEN", 32)


def test_the_command_writes_what_a_training_takes_and_prints_the_way_there(config_file, small_world, tmp_path, capsys):
    out = tmp_path / "new" / "kept.yaml"
    words = [str(tmp_path / "teacher"), "--keep", "2", "--text", str(small_world / "train.jsonl"), "--out", str(out)]
    layers.main(words)
    printed = capsys.readouterr().out.splitlines()
    kept = yaml.safe_load(out.read_text())["student"]["layers"]
    assert f"student.layers={kept}".replace(" ", "") in printed
    assert load_config(RunConfig, [config_file, out]).student.layers == tuple(kept)
    assert out.read_text().startswith(f"# 2 of the 4 layers of {tmp_path / 'teacher'}, chosen by ")
    assert out.with_suffix(".svg").read_text().startswith("<svg")
    rows = [line.split() for line in printed[1:4]]
    assert [row[0] for row in rows] == ["4", "3", "2"]
    assert sorted({0, 1, 2, 3} - set(kept)) == sorted(int(row[1]) for row in rows[1:])


def test_the_start_is_the_loss_of_the_student_on_other_text(config_file, small_world, tmp_path):
    words = [str(tmp_path / "teacher"), "--keep", "3", "--text", str(small_world / "train.jsonl")]
    teacher, selection, others = layers.prepare(layers.parser("").parse_args(words))
    assert not {tuple(row[:16]) for row in selection.tolist()} & {tuple(row[:16]) for row in others.tolist()}
    sizes = layers.choose(teacher, 3, selection, others)
    student = student_from_layers(teacher, sizes[-1].layers).eval()
    assert sizes[-1].start == pytest.approx(mean_loss(student, others), abs=1e-5)
    assert sizes[-1].chosen_by == pytest.approx(mean_loss(student, selection), abs=1e-5)
    assert "worse than guessing" in layers.table(sizes, guessing=0.1)
    assert "worse than guessing" not in layers.table(sizes, guessing=99)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"--keep": "5"}, "5 layers cannot be kept, because the teacher has 4; keep fewer"),
        ({"--keep": "0"}, "--keep 0 is not a number of layers; give 1 or more"),
        ({"--text": "nowhere.jsonl"}, "corpus nowhere.jsonl does not exist; set --text to"),
        ({"--text": "{folder}/short.txt"}, "--text .*short.txt is too short: of 64 tokens"),
        ({"--field": "body"}, "--field"),
        ({"--out": "layers.txt"}, "--out layers.txt is not the name of a YAML file"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    changed, message, config_file, small_world, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.txt").write_text("The nurse is here.\n")
    options = {"--keep": "2", "--text": str(small_world / "train.jsonl")} | changed
    words = [word.format(folder=tmp_path) for option in options.items() for word in option]
    before = set(tmp_path.iterdir())
    with pytest.raises((ValueError, OSError), match=message) as fault:
        layers.main([str(tmp_path / "teacher"), *words])
    assert "\n" not in str(fault.value)
    assert set(tmp_path.iterdir()) == before
