"""The main job through its own command line: train, resume, survive a kill, refuse what is wrong."""

import json
from functools import partial
from pathlib import Path

import forked
import pytest
import torch
import yaml
from launching import wait_for_steps
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from distill import train
from distill.run.folder import read_metrics


def weights(run_dir: Path) -> dict[str, torch.Tensor]:
    return load_file(run_dir / "student" / "model.safetensors")


def test_a_run_ends_with_a_folder_that_explains_itself(config_file, tmp_path, capsys):
    train.main(["--config", str(config_file)])
    run = tmp_path / "run"
    names = {path.name for path in run.iterdir()}
    assert names - {".lock"} == {"checkpoints", "config.yaml", "metrics.jsonl", "student"}
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["step_00000004", "step_00000006"]
    files = {path.name for path in (run / "student").iterdir()}
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= files

    metrics = read_metrics(run)
    steps = [line["step"] for line in metrics if "loss" in line]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert {"kd", "ce", "hidden", "target_entropy", "grad_norm", "lr", "tokens_per_second"} <= metrics[2].keys()
    heldout = [line["heldout_nats_per_token"] for line in metrics if "heldout_nats_per_token" in line]
    assert len(heldout) == 4  # before, at steps 2 and 4, and at the end
    assert heldout[-1] < heldout[0]

    written = yaml.safe_load((run / "config.yaml").read_text())
    origin = written["provenance"]
    defaults = {"scope": "all", "strength": 1.0, "gain": 1.0, "ramp": None}
    assert written["perturb"] == {"operation": "equivariant"} | defaults
    assert origin["versions"]["torch"] == torch.__version__
    assert origin["data"]["train"]["num_documents"] > 150
    assert len(origin["teacher"]) == len(origin["tokenizer"]) == len(origin["data"]["corpus"]) == 64

    model = AutoModelForCausalLM.from_pretrained(run / "student")
    tokenizer = AutoTokenizer.from_pretrained(run / "student")
    inputs = tokenizer("The nurse said that", return_tensors="pt")
    text = tokenizer.decode(model.generate(**inputs, max_new_tokens=5, do_sample=False)[0])
    assert text.startswith("The nurse said that")
    assert "equivariant" in (run / "student" / "README.md").read_text()

    before = weights(run)
    train.main(["--config", str(config_file)])
    assert "this run is complete" in capsys.readouterr().out
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(run).items())


def test_a_dry_run_prints_the_plan_and_writes_no_run(config_file, tmp_path, capsys):
    train.main(["--config", str(config_file), "--dry-run", "loss.counterpart_weight=2", "loss.ce_counterparts=false"])
    plan = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    for name in ("corpus", "documents", "pairs", "blocks", "teacher", "student", "steps", "memory", "time"):
        assert plan[name].strip(), name
    assert "6 optimizer steps of 8 sequences" in plan["steps"]
    assert "nats per token on 4 held-out blocks" in plan["start loss"]
    assert "counterparts 2" in plan["objective"]
    assert "cross-entropy (except between counterparts)" in plan["objective"]
    assert not (tmp_path / "run").exists()


def test_without_a_teacher_it_is_plain_language_modelling(config_file, tmp_path, small_world):
    overrides = ["teacher=null", "loss={kd_weight: 0, ce_weight: 1}", "perturb.operation=none", "augment.mode=none"]
    overrides += [
        f"data.tokenizer={small_world / 'tokenizer'}",
        "student={config: {model_type: llama, hidden_size: 16, intermediate_size: 32, num_attention_heads: 2, "
        "num_hidden_layers: 1}}",
    ]
    train.main(["--config", str(config_file), *overrides])
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "student").config.model_type == "llama"
    final = read_metrics(tmp_path / "run")[-2]
    assert final["kd"] == 0
    assert final["loss"] == pytest.approx(final["ce"])


def test_an_interrupted_run_continues_bit_for_bit(config_file, tmp_path, monkeypatch):
    train.main(["--config", str(config_file), f"run_dir={tmp_path / 'whole'}"])

    from distill.run import trainer

    step = trainer.train_step
    calls = 0

    def failing(*arguments, **keywords):
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return step(*arguments, **keywords)

    monkeypatch.setattr(trainer, "train_step", failing)
    with pytest.raises(KeyboardInterrupt):
        train.main(["--config", str(config_file)])
    monkeypatch.setattr(trainer, "train_step", step)
    train.main(["--config", str(config_file)])
    expected = weights(tmp_path / "whole")
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(tmp_path / "run").items())
    losses = [[line["loss"] for line in read_metrics(tmp_path / n) if "loss" in line] for n in ("whole", "run")]
    assert losses[0] == losses[1]


def test_a_run_killed_in_the_middle_continues_to_the_same_weights(config_file, tmp_path):
    overrides = ["train.max_steps=30", "train.save_every=5", "train.eval_every=100"]
    train.main(["--config", str(config_file), f"run_dir={tmp_path / 'whole'}", *overrides])
    log = tmp_path / "log"
    process = forked.start(partial(train.program, ["--config", str(config_file), *overrides]), log)
    wait_for_steps(tmp_path / "run", 8, process, log)
    process.kill()
    forked.wait(process, log)
    assert not (tmp_path / "run" / "student").exists()
    train.main(["--config", str(config_file), *overrides])
    expected = weights(tmp_path / "whole")
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(tmp_path / "run").items())


def test_a_setting_that_is_newer_than_the_run_gets_its_default(config_file, tmp_path, capsys):
    train.main(["--config", str(config_file)])
    file = tmp_path / "run" / "config.yaml"
    written = file.read_text()
    file.write_text(written.replace("  ce_counterparts: true\n", ""))
    assert file.read_text() != written
    train.main(["--config", str(config_file)])
    assert "is complete" in capsys.readouterr().out
    with pytest.raises(ValueError, match="loss.ce_counterparts: True there, False now"):
        train.main(["--config", str(config_file), "loss.ce_counterparts=false"])
    (tmp_path / "run" / "student").rename(tmp_path / "elsewhere")
    train.main(["--config", str(config_file)])  # resumes from its last step
    file.write_text(written.replace("  ce_counterparts: true\n", "  sharpness: 2\n"))
    with pytest.raises(
        ValueError, match=r"not the configuration of a run of this version \(unknown config key loss.shar"
    ):
        train.main(["--config", str(config_file)])


def test_a_run_of_other_swap_rules_is_refused_in_one_line_before_any_text_is_paired(config_file, tmp_path):
    train.main(["--config", str(config_file), "data.max_documents=100"])
    file = tmp_path / "run" / "config.yaml"
    lexicon = yaml.safe_load(file.read_text())["provenance"]["data"]["lexicon"]
    file.write_text(file.read_text().replace(lexicon, "a" * 64))
    (tmp_path / "run" / "student").rename(tmp_path / "elsewhere")
    arguments = ["--config", str(config_file), "data.max_documents=100", f"data.cache_dir={tmp_path / 'empty'}"]
    message = f"begun with other swap rules .*aaaaaaaa there, {lexicon[:8]} now.*version that began it.*another run_dir"
    with pytest.raises(ValueError, match=message) as fault:
        train.main(arguments)
    assert "\n" not in str(fault.value)
    assert not (tmp_path / "empty").exists()


def test_a_run_that_continues_at_its_last_step_logs_it_once(config_file, tmp_path):
    arguments = ["--config", str(config_file), "train.sample_prompts=[He]"]
    train.main(arguments)
    (tmp_path / "run" / "student").rename(tmp_path / "student")
    before = [(tmp_path / "run" / name).read_text() for name in ("metrics.jsonl", "samples.jsonl")]
    train.main(arguments)
    metrics, samples = ((tmp_path / "run" / name).read_text() for name in ("metrics.jsonl", "samples.jsonl"))
    assert metrics.startswith(before[0])
    assert [line for line in metrics.removeprefix(before[0]).splitlines() if "num_processes" not in line] == []
    assert samples == before[1] != ""
    ours, theirs = (
        load_file(folder / "model.safetensors") for folder in (tmp_path / "run" / "student", tmp_path / "student")
    )
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_cross_entropy_without_counterparts_asks_for_less_and_trains(config_file, tmp_path):
    first = {}
    for name, ce_counterparts in (("with", "true"), ("without", "false")):
        run = f"run_dir={tmp_path / name}"
        words = ["perturb.operation=none", f"loss.ce_counterparts={ce_counterparts}", "train.log_every=1", run]
        train.main(["--config", str(config_file), *words])
        first[name] = next(line for line in read_metrics(tmp_path / name) if "loss" in line)
    assert first["without"]["kd"] == first["with"]["kd"]
    assert first["without"]["ce_gendered"] < first["with"]["ce_gendered"]
    assert (tmp_path / "without" / "student" / "model.safetensors").exists()


def test_another_run_in_the_same_folder_is_refused_with_the_differences(config_file, tmp_path):
    train.main(["--config", str(config_file)])
    with pytest.raises(ValueError, match="optim.lr: 0.001 there, 0.0001 now"):
        train.main(["--config", str(config_file), "optim.lr=1e-4"])  # also when that run is complete
    (tmp_path / "run" / "student").rename(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="holds a run with other settings") as fault:
        train.main(["--config", str(config_file), "optim.lr=1e-4", "data.max_documents=120", "train.log_every=3"])
    assert "optim.lr: 0.001 there, 0.0001 now" in str(fault.value)
    assert "provenance.data.train.num_documents" in str(fault.value)
    assert "log_every" not in str(fault.value)


def test_a_run_folder_whose_configuration_is_damaged_is_one_message(config_file, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("")
    with pytest.raises(ValueError, match=r"config.yaml cannot be read \(.*\); choose another run_dir"):
        train.main(["--config", str(config_file)])


def test_a_folder_with_something_else_in_it_is_not_written_to(config_file, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and holds no run"):
        train.main(["--config", str(config_file)])
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.path={folder}/no.txt", "no.txt does not exist"),
        ("data.path={folder}/empty.txt", "is empty"),
        ("data.path={folder}/latin.txt", "latin.txt:1 is not UTF-8"),
        ("data.seq_len=65", "data.seq_len = 65, but the teacher has 64 positions"),
        ("teacher.path={folder}/nowhere", "model folder .*nowhere does not exist"),
        ("train.micro_batch_size=6", "8 is not a multiple of train.micro_batch_size 6 x 1 processes"),
        ("augment.lexicon={folder}/no.tsv", "no.tsv"),
        ("train.trackers=[comet]", "train.trackers: comet is not installed"),
        ("train.sample_prompts=['']", "train.sample_prompts: '' has 0 tokens; give at least one"),
        (f"train.sample_prompts=[{'He ' * 70}]", "fewer than the student's 64 positions"),
        (
            "loss={{kd_weight: 0, ce_weight: 1}}",
            "perturb.operation changes the distillation target, but loss.kd_weight",
        ),
    ],
)
def test_bad_input_is_one_clear_message_and_nothing_is_written(override, message, config_file, tmp_path):
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises((ValueError, OSError), match=message) as fault:
        train.main(["--config", str(config_file), override.format(folder=tmp_path)])
    assert "\n" not in str(fault.value)
    assert not (tmp_path / "run").exists()


def test_the_command_line_exits_non_zero_with_one_line(config_file, capsys):
    assert train.program(["--config", str(config_file), "optim.rate=1"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: unknown config key optim.rate (value 1); known keys here: lr,")
    assert printed.err.count("\n") == 1


def test_a_line_of_metrics_that_was_cut_off_does_not_stop_a_run(config_file, tmp_path):
    train.main(["--config", str(config_file)])
    (tmp_path / "run" / "student").rename(tmp_path / "elsewhere")
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')
    train.main(["--config", str(config_file)])
    assert all("step" in line for line in read_metrics(tmp_path / "run"))
    file = tmp_path / "run" / "metrics.jsonl"
    file.write_text("{}x\n" + file.read_text())
    with pytest.raises(ValueError, match=r"metrics.jsonl:1 is not JSON"):
        read_metrics(tmp_path / "run")


def test_trackers_receive_the_metrics(config_file, tmp_path):
    train.main(["--config", str(config_file), "train.trackers=[tensorboard]", "train.max_steps=2"])
    assert list((tmp_path / "run").rglob("events.out.tfevents.*"))
    values = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert values[-1]["step"] == 2
