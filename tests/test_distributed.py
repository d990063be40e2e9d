"""Two CPU processes (gloo), DDP and FSDP2: they know each other and give the step and the run of one process."""

import shutil
from functools import partial
from pathlib import Path

import distributed_step
import forked
import pytest
import torch
from accelerate import Accelerator
from datasets import Dataset
from launching import FSDP, ROOT, kill_tree, start_machines, wait_for_steps
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from distill import train
from distill.export_checkpoint import export_checkpoint
from distill.run.checkpoint import checkpoints
from distill.run.folder import read_metrics
from distill.run.launch import leave


def run_all(accelerate: tuple[str, ...], runs: list[list[str]], log: Path) -> None:
    """Runs of train.py one after the other in two processes, each with the arguments of one of `runs`."""

    def program() -> None:
        for arguments in runs:
            train.main(arguments)
        leave()

    codes = forked.launch(*accelerate, program=program, log=log)
    assert codes == [0, 0], log.read_text()


def forget(run: Path, after: int) -> None:
    """Put a finished run back to a checkpoint."""
    shutil.rmtree(run / "student")
    for checkpoint in (run / "checkpoints").iterdir():
        if int(checkpoint.name.removeprefix("step_")) > after:
            shutil.rmtree(checkpoint)
    assert list((run / "checkpoints").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("accelerate", [pytest.param(("cpu2.yaml",), id="ddp"), pytest.param(FSDP, id="fsdp2")])
def test_two_processes_give_the_step_of_one(accelerate, tmp_path: Path, tiny_model, tokenizer):
    for name, seed in (("teacher", 1), ("student", 2)):
        tiny_model(seed=seed).save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    alone = distributed_step.all_steps(Accelerator(cpu=True), str(tmp_path), [2])
    save = partial(distributed_step.save_all_steps, str(tmp_path), str(tmp_path / "out.pt"))
    codes = forked.launch(*accelerate, program=save, log=tmp_path / "log")
    assert codes == [0, 0], (tmp_path / "log").read_text()
    together = torch.load(tmp_path / "out.pt")
    assert together["num_processes"] == 2
    for rows, result in together["steps"].items():
        expected = alone[2]
        assert (expected["micro_steps"], result["micro_steps"]) == (4, 4 // rows)
        before, after = result["held"]
        assert before == after  # a sharded teacher gathers a layer, uses it and frees it
        if accelerate == FSDP:
            assert result["sharded"] and before < expected["held"][0]
            assert set(result["early"]) == {len(expected["gradients"])}  # none is kept whole until the last micro-step
        assert result["metrics"]["num_tokens"] == expected["metrics"]["num_tokens"]
        assert result["metrics"]["loss"] == pytest.approx(expected["metrics"]["loss"], rel=1e-6)
        assert result["metrics"]["grad_norm"] == pytest.approx(expected["metrics"]["grad_norm"], rel=1e-5)
        for mine, theirs in zip(result["gradients"], expected["gradients"], strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6 * theirs.abs().max().item() + 1e-12)


@pytest.mark.slow
def test_two_processes_train_a_student_with_weights_that_no_text_reaches(config_file, tmp_path: Path, tokenizer):
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**sizes, "num_key_value_heads": 1, "head_dim": 4, "vocab_size": len(tokenizer), "bos_token_id": 0}
    images = {**sizes, "image_size": 28, "patch_size": 14}
    config = AutoConfig.for_model("gemma3", text_config=text, vision_config=images)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "images")
    tokenizer.save_pretrained(tmp_path / "images")
    settings = ["student.layers=null", f"student.checkpoint={tmp_path / 'images'}", "student.dropout=0"]
    command = ["--config", str(config_file), *settings, "train.max_steps=3", "data.max_documents=60"]
    train.main([*command, f"run_dir={tmp_path / 'one'}"])
    run_all(("cpu2.yaml",), [[*command, f"run_dir={tmp_path / 'two'}"]], tmp_path / "log")
    assert_same_run(tmp_path / "two", tmp_path / "one")


@pytest.mark.data
def test_two_processes_distill_a_real_teacher_on_real_text(shared_data: Path, tmp_path: Path):
    overrides = [
        f"run_dir={tmp_path / 'run'}",
        f"data={{path: {shared_data / 'corpora' / 'wikitext2' / 'valid.raw.txt.gz'}, seq_len: 128}}",
        f"data.cache_dir={tmp_path / 'cache'}",
        "data.max_documents=400",
        f"teacher.path={shared_data / 'models' / 'stories260k'}",
        "student.layers=[0, 2, 4]",
        "train={max_steps: 12, global_batch_size: 16, micro_batch_size: 4, log_every: 1}",
    ]
    config = str(ROOT / "configs" / "train" / "gpt2.yaml")
    run_all(("cpu2.yaml",), [["--config", config, *overrides]], tmp_path / "log")
    metrics = read_metrics(tmp_path / "run")
    assert metrics[0]["num_processes"] == 2
    rates = [line["lr"] for line in metrics if "lr" in line]
    expected = [0.0, *(5e-4 * (13 - step) / 11 for step in range(2, 13))]  # one step of warm-up
    assert rates == pytest.approx(expected)  # one advance per step, not two
    heldout = [line["heldout_nats_per_token"] for line in metrics if "heldout_nats_per_token" in line]
    assert heldout[-1] < heldout[0] - 0.5
    student = AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "student")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "run" / "student")
    inputs = tokenizer("Once upon a time", return_tensors="pt", return_token_type_ids=False)
    generated = student.generate(**inputs, max_new_tokens=10, do_sample=False)
    assert generated.shape[1] == inputs["input_ids"].shape[1] + 10


# -- whole runs ------------------------------------------------------------------------------------------------------


def assert_same_run(run: Path, expected_run: Path) -> None:
    """The same losses, step by step, and the same weights, to 1e-6."""
    ours, theirs = ([line for line in read_metrics(folder) if "loss" in line] for folder in (run, expected_run))
    assert [line["num_tokens"] for line in ours] == [line["num_tokens"] for line in theirs]
    for key in ("loss", "kd", "ce"):
        assert [line[key] for line in ours] == pytest.approx([line[key] for line in theirs], abs=1e-6, rel=1e-6)
    weights, expected = (load_file(folder / "student" / "model.safetensors") for folder in (run, expected_run))
    assert weights.keys() == expected.keys()
    for name, weight in weights.items():
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=1e-6)


@pytest.fixture
def uneven(config_file, tmp_path, tiny_model, tokenizer) -> list[str]:
    """A run of 13 blocks of 10 to 16 tokens, 4 per step.

    In the last step three of four rows are padding, so the second of two processes has nothing to score.
    """
    tiny_model("llama", initializer_range=0.1).save_pretrained(tmp_path / "llama")
    tokenizer.save_pretrained(tmp_path / "llama")
    settings = ["data.seq_len=16", "student.dropout=0", "augment.mode=none", "train.max_steps=null"]
    settings += ["train.global_batch_size=4", "train.micro_batch_size=4", "data.max_documents=16"]
    train.main(["--config", str(config_file), *settings, "train.epochs=1", "--dry-run"])
    (arrow,) = (tmp_path / "cache").glob("*/train-00000.arrow")
    lengths = [len(row) for row in Dataset.from_file(str(arrow))["input_ids"]]
    assert len(lengths) > 13 and min(lengths[:13]) < 16
    return ["--config", str(config_file), *settings, f"train.epochs={13 / len(lengths)}"]


def test_the_run_does_not_depend_on_processes_sharding_or_where_it_was_stopped(uneven, tmp_path):
    train.main([*uneven, f"run_dir={tmp_path / 'alone'}"])
    shutil.copytree(tmp_path / "alone", tmp_path / "continued")
    forget(tmp_path / "continued", after=2)
    runs = [["train.micro_batch_size=1", f"run_dir={tmp_path / 'two'}"]]  # 2 processes x 1 x 2 micro-steps
    runs += [["train.micro_batch_size=2", f"run_dir={tmp_path / 'continued'}"]]
    run_all(FSDP, [[*uneven, *options] for options in runs], tmp_path / "log")
    assert len([line for line in read_metrics(tmp_path / "alone") if "loss" in line]) == 4
    for name in ("two", "continued"):
        assert_same_run(tmp_path / name, tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.parametrize("accelerate", [pytest.param(("cpu2.yaml",), id="ddp"), pytest.param(FSDP, id="fsdp2")])
def test_the_run_does_not_depend_on_processes_sharding_or_accumulation(accelerate, uneven, tmp_path):
    llama = [f"teacher.path={tmp_path / 'llama'}", "train.micro_batch_size=2"]
    train.main([*uneven, f"run_dir={tmp_path / 'alone'}"])
    train.main([*uneven, f"run_dir={tmp_path / 'alone_llama'}", *llama])
    runs = {
        "two": ["train.micro_batch_size=2"],  # 2 processes x 2
        "two_by_one": ["train.micro_batch_size=1"],  # 2 processes x 1 x 2 micro-steps
        "two_llama": [*llama, "train.sample_prompts=[He]"],  # embeddings that are not tied
        "shared_teacher": ["train.micro_batch_size=2", "teacher.shard=true", "perturb.operation=max"],
    }
    train.main([*uneven, f"run_dir={tmp_path / 'alone_max'}", "perturb.operation=max"])
    arguments = [[*uneven, *options, f"run_dir={tmp_path / name}"] for name, options in runs.items()]
    run_all(accelerate, arguments, tmp_path / "log")
    assert len([line for line in read_metrics(tmp_path / "alone") if "loss" in line]) == 4
    assert_same_run(tmp_path / "two", tmp_path / "alone")
    assert_same_run(tmp_path / "two_by_one", tmp_path / "alone")
    assert_same_run(tmp_path / "two_llama", tmp_path / "alone_llama")
    assert_same_run(tmp_path / "shared_teacher", tmp_path / "alone_max")
    AutoModelForCausalLM.from_pretrained(tmp_path / "two" / "student")


@pytest.mark.slow
def test_a_sharded_run_in_bf16_counts_and_sums_in_float32(config_file, tmp_path):
    run = ["--config", str(config_file), "student.dropout=0", "train.global_batch_size=64", "train.max_steps=3"]
    run += ["train.micro_batch_size=32"]
    train.main([*run, f"run_dir={tmp_path / 'exact'}"])
    run_all((*FSDP[:-1], "bf16"), [run], tmp_path / "log")
    exact, rounded = ([x for x in read_metrics(tmp_path / n) if "loss" in x] for n in ("exact", "run"))
    assert min(line["num_tokens"] for line in exact) > 1500  # more than bf16 can count
    assert [line["num_tokens"] for line in rounded] == [line["num_tokens"] for line in exact]
    for key, tolerance in (("loss", 3e-4), ("grad_norm", 5e-3)):
        assert [line[key] for line in rounded] == pytest.approx([line[key] for line in exact], rel=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("accelerate", [pytest.param(("cpu2.yaml",), id="ddp"), pytest.param(FSDP, id="fsdp2")])
def test_a_run_continues_on_another_number_of_processes_with_the_same_samples(accelerate, uneven, tmp_path):
    train.main([*uneven, f"run_dir={tmp_path / 'alone'}"])
    for name in ("one_then_two", "two_then_one"):
        shutil.copytree(tmp_path / "alone", tmp_path / name)
        forget(tmp_path / name, after=2)
    shutil.rmtree(tmp_path / "two_then_one")
    two = [*uneven, "train.micro_batch_size=2"]
    names = ("one_then_two", "two_then_one")
    run_all(accelerate, [[*two, f"run_dir={tmp_path / name}"] for name in names], tmp_path / "log")
    forget(tmp_path / "two_then_one", after=2)
    train.main([*uneven, f"run_dir={tmp_path / 'two_then_one'}"])
    for name in names:
        assert_same_run(tmp_path / name, tmp_path / "alone")
    run = tmp_path / "one_then_two"  # two processes wrote its last checkpoint
    export_checkpoint(run, checkpoints(run)[-1].name, tmp_path / "exported")
    weights, expected = (load_file(model / "model.safetensors") for model in (tmp_path / "exported", run / "student"))
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in weights)


@pytest.mark.slow
def test_dropout_of_two_processes_continues_where_it_was(uneven, tmp_path):
    """Each process draws its own masks, and a resumed run draws the same masks as an uninterrupted one."""
    dropout = [*uneven, "train.micro_batch_size=2", "student.dropout=0.3"]
    runs = [[*dropout, f"run_dir={tmp_path / name}"] for name in ("whole", "continued")]
    run_all(("cpu2.yaml",), runs, tmp_path / "log")
    forget(tmp_path / "continued", after=2)
    run_all(("cpu2.yaml",), runs[1:], tmp_path / "log")
    assert_same_run(tmp_path / "continued", tmp_path / "whole")
    checkpoint = tmp_path / "whole" / "checkpoints" / "step_00000004"
    assert not torch.equal(*(torch.load(checkpoint / f"random_{rank}.pt")["torch"] for rank in (0, 1)))


@pytest.mark.slow
def test_two_machines_train_together_and_survive_the_loss_of_one(uneven, tmp_path):
    """Two launchers on loopback, each with one process. One is killed; both are started again and resume."""
    run = [*uneven, "train.micro_batch_size=2", "train.epochs=null", "train.max_steps=30", "train.log_every=1"]
    run += ["train.save_every=5", "train.eval_every=100"]
    train.main([*run, f"run_dir={tmp_path / 'alone'}", "train.micro_batch_size=4"])
    run.append(f"run_dir={tmp_path / 'run'}")
    first, second = start_machines(run, tmp_path)
    wait_for_steps(tmp_path / "run", 12, first, tmp_path / "log0")
    kill_tree(second)
    assert first.wait(timeout=120) != 0  # it notices the loss of the other
    assert not (tmp_path / "run" / "student").exists()
    again = start_machines(run, tmp_path)
    assert [machine.wait(timeout=180) for machine in again] == [0, 0], (tmp_path / "log0").read_text()
    assert "continuing" in (tmp_path / "log0").read_text()
    assert read_metrics(tmp_path / "run")[0]["num_processes"] == 2
    assert_same_run(tmp_path / "run", tmp_path / "alone")
