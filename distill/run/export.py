"""Write the result of a run: RUN/student, a plain transformers folder with its model card, and of LoRA RUN/adapter."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
from accelerate import Accelerator
from safetensors import SafetensorError
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from distill.config import RunConfig
from distill.files import sync
from distill.hub import HubName, reason
from distill.models.lora import has_adapter, merged, write_adapter
from distill.run.launch import on_main
from distill.run.learner import TrainState
from distill.run.private.lineage import STATEMENT_FILE
from distill.run.private.statement import as_text, card_section
from distill.settings import dump_yaml, to_dict

FRONT_MATTER = """---
library_name: transformers
pipeline_tag: text-generation
tags: [knowledge-distillation, gender-bias, evenhand]
---
"""  # model hubs read this part of a model card


def save_student(
    accelerator: Accelerator,
    run_dir: Path,
    distiller: torch.nn.Module,
    tokenizer: PreTrainedTokenizerFast,
    card: str,
    teacher: str | None = None,
    promise: dict[str, Any] | None = None,
) -> None:
    """Write student/: weights, configuration, tokenizer and model card, loadable by `from_pretrained`.

    If the student has an adapter, write adapter/ first; `teacher` is then where its base comes from. promise: the
    statement of a private run. Call on all processes: the weights of a sharded student are gathered. Raises OSError if
    they cannot be written.
    """
    weights = get_model_state_dict(distiller, options=StateDictOptions(full_state_dict=True, cpu_offload=True))

    def write() -> None:
        student = accelerator.unwrap_model(distiller, keep_torch_compile=False).student
        gathered: dict[str, Any] = {name.removeprefix("student."): weight for name, weight in weights.items()}
        if has_adapter(student):
            with _whole_folder(run_dir / "adapter") as aside:
                write_adapter(aside, student, gathered, str(teacher))
        write_student(run_dir / "student", student, tokenizer, gathered, card, promise)

    on_main(accelerator, write)


def _repeated_names(student: PreTrainedModel) -> set[str]:
    """All but the first name of each parameter that has several names."""
    every = {name.replace("_orig_mod.", "") for name, _ in student.named_parameters(remove_duplicate=False)}
    return every - {name.replace("_orig_mod.", "") for name, _ in student.named_parameters()}


def write_student(
    final: Path,
    student: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    weights: dict[str, Any] | None = None,
    card: str | None = None,
    promise: dict[str, Any] | None = None,
) -> None:
    """Write a student's folder, in which a student with an adapter is one plain model.

    weights: written instead of the student's own, if given. promise: what a private run states. Raises OSError if it
    cannot be written.
    """
    weights = student.state_dict() if weights is None else weights
    repeated = _repeated_names(student)  # gathering copies tied weights
    weights = {name: weight for name, weight in weights.items() if name not in repeated}
    if has_adapter(student):
        student, weights = merged(student, weights)
    with _whole_folder(final) as aside:
        student.save_pretrained(aside, state_dict=weights)
        tokenizer.save_pretrained(aside)
        if card is not None:
            (aside / "README.md").write_text(card, encoding="utf-8")
        if promise is not None:
            (aside / STATEMENT_FILE).write_text(as_text(promise), encoding="utf-8")


@contextlib.contextmanager
def _whole_folder(final: Path) -> Iterator[Path]:
    """Within this context a folder is written under a temporary name; then it is flushed to disk and renamed.

    It replaces what an export that was interrupted has left. Raises OSError with the remedy if it cannot be written.
    """
    aside = final.with_name(final.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir()
        yield aside
        for path in (*aside.iterdir(), aside):
            sync(path)
        shutil.rmtree(final, ignore_errors=True)
        aside.rename(final)
        sync(final.parent)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise OSError(
            f"{final} cannot be written ({' '.join(str(error).split())}); make room and give the same command again"
        ) from error


def push_student(run_dir: Path, repository: str) -> str:
    """Upload student/ to a repository on the hub, created as private if it does not exist; returns its address.

    Raises OSError if that fails; student/ is complete on the disk even then.
    """
    api = huggingface_hub.HfApi()
    try:
        address = api.create_repo(repository, private=True, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=run_dir / "student", commit_message="Student of Evenhand")
    except Exception as error:  # each way of uploading a file fails with a type of its own
        why = reason(error, HubName(repository))
        raise OSError(
            f"{run_dir / 'student'} is complete, but could not be uploaded to {repository} ({why}); upload that folder "
            f"later: hf upload {repository} {run_dir}/student"
        ) from error
    return str(address)


def model_card(
    config: RunConfig, state: TrainState, results: dict[str, float], promise: dict[str, Any] | None = None
) -> str:
    """The student's README.md: what it is, how it was made, how well it does. config must have its provenance.

    promise: of a private run, the content of privacy.json. The card then has no fingerprint and no counts of the text:
    with them, whoever knows all documents but one could tell whether that one was there.
    """
    assert config.provenance is not None
    teacher = "none (plain language modelling)" if config.teacher is None else f"`{config.teacher.path}`"
    numbers = "\n".join(f"| {name} | {value:.4f} |" for name, value in results.items())
    perturb, data, tokens = config.perturb, config.provenance["data"], f", {state.tokens_seen} scored tokens"
    counts = " (read as a stream)"
    if not config.data.streaming:
        train = data["train"]
        counts = f" ({train['num_documents']} documents, {train['num_pairs']} of them with a counterfactual)"
    if promise is not None:
        counts, tokens = "", ""
    return f"""{FRONT_MATTER}# A student distilled with Evenhand

- teacher: {teacher}
- perturbation of the teacher: `{perturb.operation}`, scope `{perturb.scope}`, strength {perturb.strength:g}, gain \
{perturb.gain:g}
- counterfactual augmentation: `{config.augment.mode}`
- loss: {loss_line(config)}
- data: `{config.data.path}`{counts}
- trained: {_trained(config)}
- training: {state.step} optimizer steps ({state.num_skipped} skipped){tokens}, seed {config.seed}

| held-out measure | value |
|---|---|
{numbers}

Gender bias is reduced by the method, not removed: evaluate the model on your own use before relying on it.

{"" if promise is None else card_section(promise)}All settings, versions and hashes:

```yaml
{dump_yaml(_published(config))}```
"""


def _published(config: RunConfig) -> dict[str, Any]:
    """The settings and provenance that the model card shows."""
    settings = to_dict(config)
    if config.privacy is not None:
        data = settings["provenance"]["data"]
        settings["provenance"]["data"] = {"lexicon": data["lexicon"]}
    return settings


def _trained(config: RunConfig) -> str:
    """Which weights were trained, for the model card."""
    lora = config.student.lora
    if lora is None:
        return "all weights"
    return f"a LoRA adapter of rank {lora.rank} (alpha {lora.alpha}), merged into the teacher's weights here"


def loss_line(config: RunConfig) -> str:
    """The loss in words: each term that has a weight, with its weight."""
    loss = config.loss
    weights = {
        f"knowledge distillation (`{loss.divergence}`, temperature {loss.temperature:g})": loss.kd_weight,
        "cross-entropy" + " (except between counterparts)" * (not loss.ce_counterparts): loss.ce_weight,
        "hidden states": loss.hidden_weight,
        "pairing": loss.pairing_weight,
        "counterparts": loss.counterpart_weight,
    }
    return ", ".join(f"{name} {weight:g}" for name, weight in weights.items() if weight > 0)
