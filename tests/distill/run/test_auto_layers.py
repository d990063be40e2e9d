"""student.layers `auto`: the run has the list, a resume does not choose again, and other lists are refused."""

import pytest
import yaml

from distill import train
from distill.config import RunConfig
from distill.models.loading import load_causal_lm
from distill.run import auto_layers
from distill.settings import load_config

AUTO = ["student={layers: auto, keep: 3}", "train.max_steps=2", "train.save_every=1", "train.sample_prompts=[]"]


@pytest.fixture
def chosen(monkeypatch):
    """The choices that are made, as (blocks, keep)."""
    monkeypatch.setattr(auto_layers, "NUM_TOKENS", 64)
    calls, choose = [], auto_layers.choose_layers

    def count(teacher, blocks, keep):
        calls.append((blocks, keep))
        return choose(teacher, blocks, keep)

    monkeypatch.setattr(auto_layers, "choose_layers", count)
    return calls


def test_a_run_records_the_layers_that_it_chose_and_resumes_with_them(config_file, tmp_path, chosen):
    train.main(["--config", str(config_file), *AUTO])
    recorded = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["student"]
    assert len(recorded["layers"]) == 3
    assert recorded["keep"] is None
    ((blocks, keep),) = chosen
    assert (tuple(blocks.shape), keep) == ((2, 32), 3)
    student = load_causal_lm(str(tmp_path / "run" / "student"))
    assert student.config.num_hidden_layers == 3

    named = [f"student={{layers: {recorded['layers']}}}", *AUTO[1:]]
    train.main(["--config", str(config_file), *named])  # complete
    (tmp_path / "run" / "student").rename(tmp_path / "student")
    train.main(["--config", str(config_file), *AUTO])
    with pytest.raises(ValueError, match=r"student.layers: \[.*\] there, 'auto' now"):
        train.main(["--config", str(config_file), "student={layers: auto, keep: 2}", *AUTO[1:]])
    assert len(chosen) == 1


def test_the_dry_run_names_the_layers_and_warns_if_they_are_worse_than_guessing(
    config_file, tmp_path, tiny_model, chosen, capsys
):
    teacher = tiny_model("gpt2", initializer_range=0.1)
    teacher.transformer.ln_f.weight.data *= -50
    teacher.save_pretrained(tmp_path / "teacher")
    train.main(["--config", str(config_file), "--dry-run", *AUTO])
    plan = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines() if "  " in line)
    assert ", layers [" in plan["student"]
    assert " nats per token on 4 held-out blocks. WARNING: guessing gives 7.6" in plan["start loss"]
    assert "student.layers=auto" in plan["start loss"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("student={{layers: auto}}", "keep says how many layers `layers: auto` chooses; give both"),
        ("student={{layers: [0], keep: 1}}", "keep says how many layers `layers: auto` chooses; give both"),
        ("student={{layers: auto, keep: 0}}", "student.keep = 0"),
        ("student={{layers: auto, keep: 5}}", "5 layers cannot be kept, because the teacher has 4"),
        ("student={{layers: auto, keep: 2}} data.path={folder}/short.txt", "data.path .*short.txt is too short"),
    ],
)
def test_what_cannot_be_chosen_is_one_line_and_nothing_is_written(override, message, config_file, tmp_path, chosen):
    (tmp_path / "short.txt").write_text("The nurse is here.\nShe is late.\n")
    words = override.format(folder=tmp_path).split(" data")
    words[1:] = [f"data{word}" for word in words[1:]]
    with pytest.raises(ValueError, match=message) as fault:
        train.main(["--config", str(config_file), *words])
    assert "\n" not in str(fault.value)
    assert not (tmp_path / "run").exists()


def test_a_later_configuration_wins_key_by_key(config_file, tmp_path):
    (tmp_path / "layers.yaml").write_text("student: {layers: [1, 2]}\n")
    config = load_config(RunConfig, [config_file, tmp_path / "layers.yaml"], ["optim.lr=2"])
    assert config.student.layers == (1, 2)
    assert config.student.dropout == 0.1
    assert config.optim.lr == 2
