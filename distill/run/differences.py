"""What differs between the settings of a run and new ones, as far as it can change the result."""

from __future__ import annotations

from typing import Any

from augment.lexicon import load_lexicon
from distill.hub import is_commit_of
from distill.models.identity import model_fingerprint
from distill.models.loading import load_tokenizer
from distill.models.run_models import tokenizer_fingerprint
from distill.models.student import read_settings

# Settings that change how a run is watched or executed, not what it computes. A resumed run may change them.
FREE_SETTINGS = {
    "run_dir",
    "data.path",  # its content is compared instead
    "data.heldout_path",
    "data.cache_dir",
    "data.num_proc",
    "student.keep",  # the layers that were chosen are compared
    "teacher.shard",
    "teacher.targets",
    "optim.grad_norm_limit",
    "train.micro_batch_size",
    "train.log_every",
    "train.eval_every",
    "train.save_every",
    "train.keep_checkpoints",
    "train.on_nonfinite",
    "train.gradient_checkpointing",
    "train.compile_loss",
    "train.sample_prompts",
    "train.push_to_hub",
    "train.trackers",
}
# Settings that name files of a model, a tokenizer or a lexicon, and where `provenance` has the fingerprint of these
# files. They may be in another place when a run resumes.
FINGERPRINTS = {
    "teacher.path": "provenance.teacher",
    "student.checkpoint": "provenance.student",
    "student.config": "provenance.student",
    "data.tokenizer": "provenance.tokenizer",
    "augment.lexicon": "provenance.data.lexicon",
}


def differences_of(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """One line for each difference between two configurations that can change the result.

    old: of a run, with its provenance. new: with or without; provenance is compared only if it has one.
    """
    before, after = flatten(old), flatten(new)
    unread = ("provenance.versions", "provenance.git_revision") if new["provenance"] else ("provenance",)
    return [
        f"{key}: {before.get(key)!r} there, {after.get(key)!r} now"
        for key in sorted(before.keys() | after.keys())
        if key not in FREE_SETTINGS and not key.startswith(unread) and not _is_same(key, before, after)
    ]


def _is_same(key: str, before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether a flat setting has the same value, or names the same files in another place or by another spelling.

    The name of a hub repository, without a revision, is the commit of it that the run began with.
    """
    old, new = before.get(key), after.get(key)
    if is_commit_of(old, new):
        return True
    if key == "student.layers" and new == "auto" and isinstance(old, list):
        return len(old) == after["student.keep"]
    recorded = _recorded(before, key) if isinstance(old, str) and isinstance(new, str) and old != new else None
    if recorded is None:
        return old == new
    try:
        return recorded == (_recorded(after, key) or _fingerprint_now(key, after))
    except (OSError, ValueError):  # there is nothing to read
        return False


def _recorded(settings: dict[str, Any], key: str) -> Any:
    """The fingerprint of what a setting names, from flat settings with provenance; None if there is none."""
    name = FINGERPRINTS.get(key, "none")
    below = {part.removeprefix(f"{name}."): value for part, value in settings.items() if part.startswith(f"{name}.")}
    return settings.get(name) or below or None


def _fingerprint_now(key: str, settings: dict[str, Any]) -> Any:
    """The fingerprint of what one of the FINGERPRINTS' settings names now. settings: flat."""
    value = settings[key]
    if key == "data.tokenizer":
        return tokenizer_fingerprint(load_tokenizer(value))
    if key == "augment.lexicon":
        return load_lexicon(settings["augment.tiers"], value).fingerprint
    if key == "student.config":
        return flatten(read_settings(value))
    return model_fingerprint(value, gguf_file=settings["teacher.gguf_file"] if key == "teacher.path" else None)


def flatten(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level of dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
