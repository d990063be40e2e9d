"""What a private run states: RUN/privacy.json, the same file in student/, and a part of the model card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from distill.config import RunConfig
from distill.files import write_text, writing
from distill.privacy.accountant import COARSE, FINE, accountant_version, epsilon_curve, epsilon_of
from distill.run.launch import on_main
from distill.run.learner import TrainState
from distill.run.private.lineage import STATEMENT_FILE, Ancestor, promises
from distill.run.private.plan import PrivacyPlan
from distill.run.setup import Setup

UNIT = (
    "one document of the training text: itself, its counterfactual and everything made from it. A step reads at most "
    "one window of it, and clips the gradient of both views together"
)
ADJACENCY = (
    "the document is there, or its place is empty; how many documents there are, and which are held out or left out "
    "(data.max_documents), is public"
)
NOT_COVERED = (
    "metrics.jsonl: the training loss, and how many documents were drawn and clipped, are exact",
    "checkpoints/: they hold the secret from which batches and noise follow; keep them as private as the text",
    "config.yaml: it has the fingerprint of the text, and counts of its words and documents",
    "the data cache (data.cache_dir): it holds the text, and the teacher's states if they are cached",
    "held-out documents: their mean loss is in the model card, and chooses the best checkpoint",
    "settings that were chosen by earlier runs on the same text: the epsilons of all these runs add up",
    "a document that is there several times, or several documents of one person: their epsilons add up",
    "a tokenizer, a lexicon or other text that was made from these documents",
    "the noise is made of 32-bit floating-point numbers, by a generator (Philox) that is not a cryptographic one",
)

NOTHING = (
    "nothing is promised (privacy.epsilon is infinite): documents are drawn and their gradients clipped as in a "
    "private run, but no noise is added, so the student may give away any of them"
)


def statement(config: RunConfig, plan: PrivacyPlan, ancestors: tuple[Ancestor, ...], step: int) -> dict[str, Any]:
    """The content of privacy.json after `step` steps. `total` adds what the run's ancestors may give away.

    Without a promise, every epsilon and delta is None.
    """
    mechanism = {
        "noise_multiplier": plan.steps.noise_multiplier,
        "max_record_norm": plan.max_record_norm,
        "sample_rate": plan.steps.sample_rate,
        "documents": plan.num_documents,
        "documents_per_step": plan.documents_per_step,
        "steps": plan.steps.num_steps,
        "seq_len": config.data.seq_len,
        "views": 2 if config.augment.mode == "augment" else 1,
    }
    assert config.privacy is not None
    if not config.privacy.promises:
        nothing = {"epsilon": None, "delta": None}
        return {"promise": NOTHING, **nothing, "total": nothing, "spent": {"steps": step, "epsilon": None}, **mechanism}
    is_last = step == plan.steps.num_steps
    spent = epsilon_of(plan.steps._replace(num_steps=step), plan.delta, FINE if is_last else COARSE)
    return {
        "unit": UNIT,
        "neighbours": ADJACENCY,
        "epsilon": plan.epsilon,
        "delta": plan.delta,
        "total": {
            "epsilon": plan.epsilon + sum(ancestor.epsilon for ancestor in ancestors),
            "delta": plan.delta + sum(ancestor.delta for ancestor in ancestors),
        },
        "spent": {"steps": step, "epsilon": spent},
        "mechanism": "DP-SGD: Poisson sampling of documents, one clip for each, Gaussian noise on the sum",
        **mechanism,
        "accountant": f"dp-accounting {accountant_version()}: privacy loss distributions, pessimistic",
        "ancestors": [ancestor._asdict() for ancestor in ancestors],
        "not_covered": list(NOT_COVERED),
    }


def write_statement(setup: Setup, state: TrainState) -> dict[str, Any]:
    """Write RUN/privacy.json as of this step; returns its content. setup: of a private run. Call on all processes.

    Raises OSError on all of them if it cannot be written.
    """
    plan, file = setup.privacy, Path(setup.config.run_dir, STATEMENT_FILE)
    assert plan is not None

    def write() -> dict[str, Any]:
        content = statement(setup.config, plan, setup.ancestors, state.step)
        with writing("what the run promises", file, "run_dir"):
            write_text(file, as_text(content))
        return content

    return on_main(setup.accelerator, write)


def describe_privacy(setup: Setup) -> dict[str, str]:
    """What the dry run says of the promise: the noise, and how epsilon grows with the steps."""
    plan = setup.privacy
    assert plan is not None
    content = statement(setup.config, plan, setup.ancestors, 0)
    sampling = f"each of {plan.num_documents:,} documents with probability {plan.steps.sample_rate:.6f} a step"
    if not promises(content):
        return {"privacy": NOTHING, "noise": f"none; the clip is {plan.max_record_norm:g}", "sampling": sampling}
    own, total = f"epsilon {plan.epsilon:g} at delta {plan.delta:.2g}", content["total"]["epsilon"]
    noise_per_value = plan.noise_std / plan.documents_per_step
    curve = epsilon_curve(plan.steps, plan.delta)
    return {
        "privacy": f"{own} for one document" + (f", {total:g} with its ancestors" if total != plan.epsilon else ""),
        "noise": f"multiplier {plan.steps.noise_multiplier:.4f} of the clip {plan.max_record_norm:g}; on each value of "
        f"the gradient {noise_per_value:.2g}",
        "sampling": sampling,
        "epsilon": "; ".join(f"{epsilon:.2f} after {step:,}" for step, epsilon in curve) + " steps",
        "ancestors": "; ".join(f"{a.setting} {a.path}: {a.status}" for a in setup.ancestors) or "none",
    }


def as_text(content: dict[str, Any]) -> str:
    """A statement as the text of privacy.json."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def card_section(content: dict[str, Any]) -> str:
    """The part of the model card about a statement."""
    if not promises(content):
        return f"## Privacy\n\n{content['promise'].capitalize()}.\n\n"
    ancestors = [
        f"- {a['setting']} `{a['path']}`: {a['status']}" + (f" (epsilon {a['epsilon']:g})" if a["epsilon"] else "")
        for a in content["ancestors"]
    ]
    total = content["total"]
    return "\n".join(
        [
            "## Privacy",
            "",
            f"Trained with differential privacy: epsilon {total['epsilon']:.4g} at delta {total['delta']:.2g}, for "
            f"{content['unit']} (neighbours: {content['neighbours']}). {content['mechanism']}.",
            "",
            "| | |",
            "|---|---|",
            f"| epsilon of this training | {content['epsilon']:.4g} (spent: {content['spent']['epsilon']:.4g} in "
            f"{content['spent']['steps']:,} steps) |",
            f"| noise multiplier, clip | {content['noise_multiplier']:.4f}, {content['max_record_norm']:g} |",
            f"| sample rate, steps | {content['sample_rate']:.6f} ({content['documents_per_step']} of "
            f"{content['documents']:,} documents), {content['steps']:,} |",
            f"| accountant | {content['accountant']} |",
            "",
            "Models that it starts from:",
            "",
            *(ancestors or ["- none"]),
            "",
            "Not covered:",
            "",
            *(f"- {line}" for line in content["not_covered"]),
            "",
            "",
        ]
    )
