"""A small study."""

from pathlib import Path

import pytest
import yaml


@pytest.fixture
def study_file(config_file, small_world, tmp_path) -> Path:
    """A study of two arms and one variant on the tiny run of `config_file`."""
    evaluation = {
        "world": str(small_world),
        "text": {"path": str(small_world / "heldout.jsonl"), "max_documents": 10},
        "statistics": {"num_permutations": 999},
        "counterfactual_gap": {"enabled": False},
        "occupation_gap": {"enabled": True, "num_train": 60, "num_test": 60},
    }
    (tmp_path / "eval.yaml").write_text(yaml.safe_dump(evaluation))
    settings = {
        "name": "tiny",
        "world": "A test.",
        "run_dir": str(tmp_path / "study"),
        "train_config": str(config_file),
        "train_overrides": ["augment.mode=none", "perturb.operation=none", "train.max_steps=2", "train.eval_every=2"],
        "eval_config": str(tmp_path / "eval.yaml"),
        "seeds": [0, 1],
        "budget_tokens": 2 * 8 * 32,
        "budget_hours": 1,
        "budget_machine": "anything",
        "arms": {"plain": [], "equivariant": ["perturb.operation=equivariant"]},
        "variant_eval_overrides": ["occupation_gap.enabled=false"],
        "variants": [{"of": ["plain"], "variants": {"strong": ["loss.temperature=1"]}}],
        "margins": {"agreement/accuracy": 0.5},
        "measures": [
            "log_odds/mean_abs",
            "log_perplexity/token-stride",
            "agreement/accuracy",
            "occupation_gap/slope",
            "log_odds/spread",
        ],
        "headline": ["teacher", "plain"],
        "recommended": "equivariant",
    }
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path
