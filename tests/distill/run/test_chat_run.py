"""Runs on conversations and on prompts with completions, from the rows to the student."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from chat_pairs import TEMPLATE
from safetensors.torch import load_file
from transformers import AutoTokenizer

from distill import train
from distill.config import RunConfig
from distill.privacy.members import read_run
from distill.run.folder import read_metrics
from distill.settings import load_config

CHATS = Path(__file__).parents[2] / "chats.jsonl"


@pytest.fixture
def arguments(config_file, tiny_model, tokenizer, tmp_path) -> list[str]:
    """A run of three steps on conversations; its teacher has a chat template."""
    tiny_model("gpt2", initializer_range=0.1, n_positions=256).save_pretrained(tmp_path / "teacher")
    (tmp_path / "teacher" / "chat_template.jinja").write_text(TEMPLATE)
    data = ["format=chat", f"path={CHATS}", "max_documents=null", "seq_len=256", "heldout_fraction=0.2"]
    steps = ["max_steps=3", "save_every=1", "global_batch_size=4", "micro_batch_size=2"]
    return [
        *("--config", str(config_file)),
        *(f"data.{setting}" for setting in data),
        *(f"train.{setting}" for setting in steps),
    ]


@pytest.mark.parametrize(
    "more",
    [pytest.param([], marks=pytest.mark.slow), ["data.mask_documents=true", "student={layers: all, lora: {rank: 2}}"]],
)
def test_a_run_on_conversations_resumes_bit_for_bit_with_the_same_template_only(more, arguments, tmp_path):
    run = tmp_path / "run"
    train.main([*arguments, *more])
    steps = [line for line in read_metrics(run) if "num_tokens" in line]
    config = load_config(RunConfig, run / "config.yaml")
    counts = config.provenance["data"]["train"]
    assert sum(line["num_tokens"] for line in steps) > 0
    assert 0.2 < counts["num_scored"] / counts["num_tokens"] < 0.8
    template = AutoTokenizer.from_pretrained(run / "student").chat_template
    assert template == TEMPLATE
    shutil.copytree(run / "student", tmp_path / "whole")
    for folder in ("student", "checkpoints/step_00000003"):
        shutil.rmtree(run / folder)
    train.main([*arguments, *more])
    once, again = (load_file(folder / "model.safetensors") for folder in (tmp_path / "whole", run / "student"))
    assert all(torch.equal(weight, again[name]) for name, weight in once.items())

    shutil.rmtree(run / "student")
    (tmp_path / "teacher" / "chat_template.jinja").write_text(TEMPLATE.replace("mother", "father"))
    with pytest.raises(ValueError, match=r"provenance.data.chat_template: '.*' there, '.*' now"):
        train.main([*arguments, *more])


def test_the_dry_run_says_how_much_is_learned(arguments, capsys):
    train.main([*arguments, "--dry-run"])
    lines = {line.split("  ")[0]: line.split("  ")[-1] for line in capsys.readouterr().out.splitlines()}
    scored, total = (int(number.replace(",", "")) for number in lines["scored"].split(" tokens")[0].split(" of "))
    assert 0.2 * total < scored < 0.8 * total
    assert f"({total:,} tokens)" in lines["blocks"]
    train.main([*arguments, "--dry-run", "data.format=text", "data.path=" + str(text_of_chats(arguments))])
    lines = {line.split("  ")[0]: line.split("  ")[-1] for line in capsys.readouterr().out.splitlines()}
    scored, total = (int(number.replace(",", "")) for number in lines["scored"].split(" tokens")[0].split(" of "))
    assert total - scored == int(lines["blocks"].split(" of at most")[0])


def text_of_chats(arguments: list[str]) -> Path:
    """The conversations as plain text."""
    file = Path(arguments[1]).with_name("plain.jsonl")
    chats = [json.loads(line)["messages"] for line in CHATS.read_text(encoding="utf-8").splitlines()]
    file.write_text("".join(json.dumps({"text": " ".join(m["content"] for m in chat)}) + "\n" for chat in chats))
    return file


def test_a_run_on_prompts_with_completions_learns_the_completions(arguments, tmp_path):
    rows = [json.loads(line)["messages"][-2:] for line in CHATS.read_text(encoding="utf-8").splitlines()]
    file = tmp_path / "prompts.jsonl"
    pairs = [{"prompt": asked["content"], "completion": " " + answer["content"]} for asked, answer in rows]
    file.write_text("".join(json.dumps(row) + "\n" for row in pairs))
    train.main([*arguments, "data.format=prompt_completion", f"data.path={file}", "train.max_steps=2"])
    counts = load_config(RunConfig, tmp_path / "run" / "config.yaml").provenance["data"]["train"]
    assert counts["num_documents"] < counts["num_scored"] < counts["num_tokens"]
    with pytest.raises(
        ValueError, match=r"was trained on rows \(data.format: prompt_completion\), but the audit reads"
    ):
        read_run(tmp_path / "run", None)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("canaries={count: 8}", "canaries are plain text, but data.format is `chat`; leave one of them out"),
        ("student={layers: auto, keep: 2}", "student.layers `auto` chooses by plain text, but data.format is `chat`"),
    ],
)
def test_settings_that_need_plain_text_are_refused(setting, message, arguments):
    with pytest.raises(ValueError, match=message):
        train.main([*arguments, setting])
