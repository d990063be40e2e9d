"""The problems by name: what classifiers are fine-tuned on."""

from __future__ import annotations

from distill.evaluation.config import EvalConfig
from distill.evaluation.measures.classifiers import davidson, hatexplain, sst2
from distill.evaluation.measures.classifiers.fine_tuning import Problem

READERS = {"sst2": sst2.problem, "davidson": davidson.problem, "hatexplain": hatexplain.problem}


def named_problem(name: str, config: EvalConfig) -> Problem:
    """The problem of a benchmark: a key of READERS. Raises ValueError without its path, and as its reader."""
    path = getattr(config.benchmarks, name)
    if path is None:
        raise ValueError(f"prediction_sensitivity.data = {name!r} needs its texts; set benchmarks.{name}=PATH")
    return READERS[name](path, config.fine_tuning)
