"""Evaluation of causal language models: measurements with intervals, comparisons with a reference model, a report.

One model in three lines:

    from distill.evaluation import evaluate_model
    measured = evaluate_model("path/to/model", settings={"benchmarks": {"stereoset": "dev.json"}})
    print(measured["log_odds/mean_abs"], measured["stereoset/gender/ss"])

A measure's module has two parts: `score` runs a model and gives records, `summarise` turns records into estimates:

    scorer = load_scorer(ModelSpec("student", "runs/student"), ScoringConfig())
    records = log_odds.score(scorer, neutral_prompts(LogOddsConfig(), world=None))
    estimates = log_odds.summarise(records, "my-convention", StatisticsConfig())
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distill.evaluation.api import evaluate_model
    from distill.evaluation.config import EvalConfig, LogOddsConfig, ScoringConfig, StatisticsConfig
    from distill.evaluation.measures.prompts import neutral_prompts
    from distill.evaluation.scoring.model_specs import ModelSpec, load_scorer
    from distill.evaluation.scoring.scorer import Scorer
    from distill.evaluation.statistics.measurement import Comparison, Estimate, Measurement, compare

__all__ = [
    "Comparison",
    "Estimate",
    "EvalConfig",
    "LogOddsConfig",
    "Measurement",
    "ModelSpec",
    "Scorer",
    "ScoringConfig",
    "StatisticsConfig",
    "compare",
    "evaluate_model",
    "load_scorer",
    "neutral_prompts",
]

HOMES = {
    "evaluate_model": "api",
    "EvalConfig": "config",
    "LogOddsConfig": "config",
    "ScoringConfig": "config",
    "StatisticsConfig": "config",
    "neutral_prompts": "measures.prompts",
    "Scorer": "scoring.scorer",
    "ModelSpec": "scoring.model_specs",
    "load_scorer": "scoring.model_specs",
    "Comparison": "statistics.measurement",
    "Estimate": "statistics.measurement",
    "Measurement": "statistics.measurement",
    "compare": "statistics.measurement",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `distill.evaluation.statistics` needs no torch (PEP 562)."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{HOMES[name]}"), name)
