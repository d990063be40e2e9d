"""The result of a run: a plain transformers folder, its card, and an upload if that is asked for."""

import errno
import os
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from huggingface_hub.errors import HfHubHTTPError
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, pipeline

from distill import train
from distill.loss.distiller import Distiller
from distill.loss.fused import Objective
from distill.loss_config import LossConfig, PerturbConfig
from distill.run import export


@pytest.fixture
def logged_in(monkeypatch) -> None:
    """There is a token, and the hub may be asked."""
    monkeypatch.setenv("HF_TOKEN", "token")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


@pytest.fixture
def hub(monkeypatch, logged_in) -> list[tuple]:
    """A stand-in for the hub that records what it is asked for."""
    calls: list[tuple] = []

    class Api:
        def create_repo(self, repository: str, private: bool, exist_ok: bool) -> str:
            calls.append((repository, private, exist_ok))
            return f"https://hub.example/{repository}"

        def upload_folder(self, repo_id: str, folder_path: Path, commit_message: str) -> None:
            calls.append((repo_id, sorted(path.name for path in folder_path.iterdir())))

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    return calls


def test_the_student_is_uploaded_if_asked_and_generates_text(config_file, tmp_path, hub, capsys):
    train.main(["--config", str(config_file), "train.push_to_hub=me/student", "train.max_steps=2"])
    (made, uploaded) = hub
    assert made == ("me/student", True, True)  # private until its owner says otherwise
    assert uploaded[0] == "me/student" and {"README.md", "model.safetensors", "tokenizer.json"} <= set(uploaded[1])
    assert "uploaded to https://hub.example/me/student" in capsys.readouterr().out
    generate = pipeline("text-generation", model=str(tmp_path / "run" / "student"), device="cpu")
    (made,) = generate("The nurse said that", max_new_tokens=5, do_sample=False)
    assert made["generated_text"].startswith("The nurse said that")
    card = (tmp_path / "run" / "student" / "README.md").read_text()
    assert "2 optimizer steps (0 skipped)" in card and "heldout_perplexity" in card and "`forward_kl`" in card


def test_an_upload_that_fails_says_how_to_do_it_by_hand(config_file, tmp_path, monkeypatch, logged_in):
    class Api:
        def create_repo(self, *_: object, **__: object) -> None:
            raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    with pytest.raises(
        OSError, match=r"student is complete, but .* me/student \(no network\); .*: hf upload me/student"
    ):
        train.main(["--config", str(config_file), "train.push_to_hub=me/student", "train.max_steps=1"])
    assert (tmp_path / "run" / "student" / "model.safetensors").exists()
    assert issubclass(HfHubHTTPError, OSError)  # what the hub itself answers is caught in the same place


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_tied_weights_are_written_once_and_come_back_tied(architecture, tiny_model, tokenizer, tmp_path):
    student = tiny_model(architecture)
    module = Distiller(student, Objective(LossConfig(), PerturbConfig()))
    export.save_student(Accelerator(cpu=True), tmp_path, module, tokenizer, "card")
    tied = architecture == "gpt2"
    assert ("lm_head.weight" in load_file(tmp_path / "student" / "model.safetensors")) is not tied
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "student")
    assert (loaded.get_input_embeddings().weight is loaded.get_output_embeddings().weight) is tied
    for name, weight in student.state_dict().items():
        assert torch.equal(weight, loaded.state_dict()[name])


def test_a_student_that_does_not_fit_on_the_disk_leaves_no_half_folder(tiny_model, tokenizer, tmp_path, monkeypatch):
    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(export, "sync", full)
    module = Distiller(tiny_model(), Objective(LossConfig(), PerturbConfig()))
    with pytest.raises(OSError, match=r"student cannot be written \(.*No space left on device\); make room"):
        export.save_student(Accelerator(cpu=True), tmp_path, module, tokenizer, "card")
    assert list(tmp_path.iterdir()) == []
