"""Gender agreement of given names: does the model still prefer she after "Beatrice said that"?

A name tells the gender as a noun does, but the augmenter swaps none unless it is asked to. So a student may keep *the
woman* and lose *Beatrice*, which `agreement` does not see. The names are others than those that training can swap. A
pair of names is the unit of resampling, so that a lean to one pronoun cancels, as in `agreement`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures import agreement
from distill.evaluation.measures.prompts import named_prompts
from distill.evaluation.statistics.measurement import Estimate
from distill.evaluation.task import Task, data_hash, items_task


def task(inputs: Inputs) -> Task | None:
    """Every prompt is an item. Without `agreement` there is none, nor on a small world, whose people have no names."""
    config = inputs.config
    if not (config.name_agreement.enabled and config.agreement.enabled) or config.world is not None:
        return None
    prompts = named_prompts()
    key = f"he-she|prompts:{data_hash(prompts)}|sum-over-tokens|tie:half"
    return items_task("name_agreement", key, prompts, agreement.score, [prompt.text for prompt in prompts])


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """Accuracy (a proportion) and mean margin towards the right pronoun (nats)."""
    return agreement.estimates("name_agreement", records, convention, settings)


MEASURE = Measure(
    name="name_agreement",
    task=task,
    summarise=summarise,
    descriptions={
        "name_agreement/accuracy": Description(
            "Gender agreement of names: accuracy",
            "agreement",
            "How often the right pronoun is the likelier one where a given name decides it (Beatrice said that ...). "
            "A loss here is a loss of language, not of bias.",
            column="utility",
        ),
        "name_agreement/margin": Description(
            "Gender agreement of names: margin",
            None,
            "By how many nats the right pronoun is ahead after a given name, on average.",
            column="utility",
        ),
    },
)
