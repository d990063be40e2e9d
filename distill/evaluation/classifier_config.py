"""The configuration of the measures of text classifiers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictStr

from distill.settings import Positive, PositiveCount, Seed, section


@section
class FineTuningConfig:
    """How a copy of the model is fine-tuned for occupation_gap, prediction_sensitivity and benchmarks.sst2, cola,
    davidson, hatecheck and hatexplain.

    batch_size: texts per step. lr: the highest learning rate of AdamW. dropout: of the states that are averaged;
    what it leaves out also depends on the batches.
    max_train: how many texts of a benchmark's training part are used, evenly spaced; null takes all. seed: of their
    order. num_draws: how many copies are fine-tuned, with the seeds seed, seed + 1 and so on; from two on, intervals
    and tests also cover other orders.
    """

    epochs: PositiveCount = 3
    batch_size: PositiveCount = 32
    lr: Positive = 1e-4
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    max_train: PositiveCount | None = None
    seed: Seed = 0
    num_draws: PositiveCount = 1


@section
class OccupationGapConfig:
    """A classifier of occupations on biographies generated from `world`, or from the default small world.

    num_train: biographies for fine-tuning, with the world's shares of women. num_test: biographies for testing, with as
    many women as men in every occupation. seed: of the biographies.
    """

    enabled: bool = False
    num_train: PositiveCount = 2000
    num_test: PositiveCount = 2000
    seed: Seed = 0


@section
class PredictionSensitivityConfig:
    """How much a classifier's prediction hangs on the gendered words of a text.

    data: the key of the benchmark on whose training part a copy of the model is fine-tuned, and whose test part is
    measured; `text` measures the documents of `text`, by a model that is a text classifier already. Gendered words are
    those of counterfactual_gap.tiers and counterfactual_gap.lexicon.
    """

    enabled: bool = False
    data: Literal["sst2", "davidson", "hatexplain", "text"] = "sst2"


@section
class TextClassifierConfig:
    """The user's own text classifiers among the models.

    toxic_labels: which of their classes are toxic, for davidson, hatecheck and hatexplain.
    """

    toxic_labels: tuple[StrictStr, ...] = ("toxic",)
