"""Tasks of classifiers: one record for each item from each draw, and the records of every draw again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from distill.evaluation.classifier_config import FineTuningConfig
from distill.evaluation.measures.classifiers.fine_tuning import Problem, classifiers, fine_tuning_settings
from distill.evaluation.measures.classifiers.text_classifier import TextClassifier
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.task import Records, Task, Work, about_num_tokens

Score = Callable[[TextClassifier, Sequence[Any]], Records]


def classifier_task(
    name: str,
    data: str,
    problem: Problem,
    items: Sequence[Any],
    score: Score,
    config: FineTuningConfig,
    own: str | None = None,
) -> Task:
    """A task whose `score` gives one record for each item, by a classifier of the problem in each draw.

    data: the part of the key that identifies all texts. items: with attributes `id` and `text`. own: what a record of
    the user's own classifier depends on besides; None leaves such classifiers out, of which there is a single draw. A
    backward pass counts as two forward passes.
    """
    key = f"{data}|{fine_tuning_settings(config)}" + (f"|own:{own}" if own else "")

    def prepare(scorer: Scorer) -> Work:
        num_draws = 1 if scorer.is_classifier else config.num_draws
        convention = f"{key.partition('|own:')[0]}|{scorer.start_convention}"
        if scorer.is_classifier:
            convention = f"{data}|own-classifier" + (f"|{own}" if own else "")
        ids = [_drawn(item.id, draw, num_draws) for draw in range(num_draws) for item in items]

        def score_all(_: Sequence[Any]) -> Records:
            return [
                record | {"id": _drawn(record["id"], draw, num_draws)} | ({"draw": draw} if num_draws > 1 else {})
                for draw, classifier in enumerate(classifiers(scorer, problem, config))
                for record in score(classifier, items)
            ]

        return Work(ids, ids, score_all, lambda _: (convention,), divisible=False)

    texts, train = ([item.text for item in part] for part in (items, problem.train))
    num_tokens = about_num_tokens(texts) + 3 * config.epochs * about_num_tokens(train)
    num_draws = config.num_draws
    return Task(name, key, prepare, num_draws * len(items), num_draws * num_tokens, reads_classifiers=own is not None)


def by_draw(records: Sequence[dict[str, Any]]) -> list[Records]:
    """The records of every draw, each with the id of its item."""
    draws: dict[int, Records] = {}
    for record in records:
        draw = record.get("draw", 0)
        own = record["id"].removesuffix(f"@{draw}") if "draw" in record else record["id"]
        draws.setdefault(draw, []).append(record | {"id": own})
    return list(draws.values())


def _drawn(name: str, draw: int, num_draws: int) -> str:
    return name if num_draws == 1 else f"{name}@{draw}"
