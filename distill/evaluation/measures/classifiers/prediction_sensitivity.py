"""How much does a classifier's prediction hang on gendered words? Accumulated prediction sensitivity.

After Krishna et al. 2022 (`sensitivity.py` has the formulas): the protected tokens are those of the exact edits that
lead to the counterfactual, with equal weights v. The classes have the weights w = 1 for the predicted one, or 1 / K for
all. Beside it stands what the edits really change: the probability of the predicted class and the class itself. Texts
without a gendered word have no counterfactual and are left out, as are those in which none lies within the model's
context. Tokens that stand for no character of the text, such as the start token, do not count. The text is the unit of
resampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from augment.lexicon import load_lexicon
from augment.swap import swap
from distill.evaluation.config import EvalConfig, StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.classifiers.draws import by_draw, classifier_task
from distill.evaluation.measures.classifiers.fine_tuning import LabelledText, Problem
from distill.evaluation.measures.classifiers.problems import named_problem
from distill.evaluation.measures.classifiers.sensitivity import (
    prediction_sensitivity,
    share_ratio,
    token_sensitivities,
)
from distill.evaluation.measures.classifiers.text_classifier import TextClassifier, Tokens
from distill.evaluation.statistics.estimators import FloatArray, over_draws, ratio
from distill.evaluation.statistics.measurement import Estimate, estimate
from distill.evaluation.task import Records, Task, data_hash

NUMBERS = {  # unit, and whether a larger value is better
    "p": ("probability per unit", False),
    "p_uniform": ("probability per unit", False),
    "share_ratio": ("ratio", False),
    "change": ("probability", False),
    "flips": ("proportion", False),
    "gender_gap": ("probability", None),
}


@dataclass(frozen=True)
class SwappedText:
    """A text with its counterfactual. spans: the characters [start, end) of its gendered words. gender: theirs."""

    id: str
    text: str
    counterfactual: str
    spans: tuple[tuple[int, int], ...]
    gender: str | None


def task(inputs: Inputs) -> Task | None:
    """Every text with a counterfactual is an item. Raises as the reader of its data, and if there is no such text."""
    config = inputs.config
    if not config.prediction_sensitivity.enabled:
        return None
    data = config.prediction_sensitivity.data
    if data != "text":
        problem = named_problem(data, config)
    elif inputs.documents is None:
        raise ValueError("prediction_sensitivity.data = 'text' needs documents; set text.path")
    else:
        texts = [LabelledText(f"document/{number}", text, 0) for number, text in enumerate(inputs.documents)]
        problem = Problem((), (), texts, remedy="set prediction_sensitivity.data to sst2, davidson or hatexplain")
    lexicon = load_lexicon(config.counterfactual_gap.tiers, config.counterfactual_gap.lexicon)
    items = swapped(problem.test, lexicon)
    if not items:
        raise ValueError(f"none of the texts of {data} holds a gendered term, so there is no counterfactual")
    key = f"{data}:{data_hash([*problem.train, *items])}|lexicon:{lexicon.fingerprint[:8]}|v:edits|norm:l2"
    return classifier_task("prediction_sensitivity", key, problem, items, score, config.fine_tuning, own="")


def reads_text(config: EvalConfig) -> bool:
    """Whether the documents of `text` are measured."""
    return config.prediction_sensitivity.enabled and config.prediction_sensitivity.data == "text"


def swapped(texts: Sequence[LabelledText], lexicon: Any) -> list[SwappedText]:
    """The texts that have a counterfactual. gender: masculine or feminine, if all edits go in one direction."""
    items = []
    for text in texts:
        pair = swap(text.text, lexicon)
        spans = tuple((edit.start, edit.end) for edit in pair.edits)
        of_edits = {"masculine": pair.num_masculine_to_feminine, "feminine": pair.num_feminine_to_masculine}
        gender = next((name for name, number in of_edits.items() if number == len(spans)), None)
        if pair.edits:
            items.append(SwappedText(text.id, text.text, pair.counterfactual, spans, gender))
    return items


def score(classifier: TextClassifier, items: Sequence[SwappedText]) -> Records:
    """One record per text, with the numbers of NUMBERS; null where one is not defined.

    Raises ValueError for a classifier whose predictions depend on nothing, and as `token_sensitivities`.
    """
    probs, cf_probs = (classifier.probs([getattr(item, name) for item in items]) for name in ("text", "counterfactual"))
    tokens = classifier.encode([item.text for item in items])
    norms = dict(token_sensitivities(classifier, tokens))
    if not any(own.any() for own in norms.values()):
        raise ValueError(
            f"{classifier.label}: the classifier gives every text the same probabilities, so its sensitivity is not "
            "measured; it has learned nothing (fine_tuning.epochs, fine_tuning.lr)"
        )
    return [
        {"id": item.id, **_numbers(item, tokens[index], norms[index], probs[index], cf_probs[index])}
        for index, item in enumerate(items)
    ]


def _numbers(
    item: SwappedText, tokens: Tokens, norms: FloatArray, probs: FloatArray, cf_probs: FloatArray
) -> dict[str, Any]:
    starts, ends = np.array(tokens.spans).T
    is_text = starts < ends
    is_edit = is_text & np.any([(starts < end) & (ends > start) for start, end in item.spans], axis=0)
    if not is_edit.any():  # beyond the model's context
        return dict.fromkeys(NUMBERS)
    predicted = int(probs.argmax())
    one_hot, of_tokens = np.eye(len(probs))[predicted], is_edit / is_edit.sum()
    own_ratio = share_ratio(norms[predicted, is_text], is_edit[is_text])
    towards_feminine = {"feminine": 1, "masculine": -1, None: np.nan}[item.gender]
    return {
        "p": prediction_sensitivity(norms, one_hot, of_tokens),
        "p_uniform": prediction_sensitivity(norms, np.full(len(probs), 1 / len(probs)), of_tokens),
        "share_ratio": None if np.isnan(own_ratio) else own_ratio,
        "change": float(abs(cf_probs[predicted] - probs[predicted])),
        "flips": float(cf_probs.argmax() != predicted),
        "gender_gap": None if item.gender is None else float(towards_feminine * (probs[-1] - cf_probs[-1])),
    }


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """The mean of each number over the texts for which it is defined."""
    draws = by_draw(records)
    names = [record["id"] for record in draws[0]]
    estimates = []
    for number, (unit, higher_is_better) in NUMBERS.items():
        columns = [np.array([[record[number] or 0.0, record[number] is not None] for record in own]) for own in draws]
        kept = np.flatnonzero(np.any([own[:, 1] for own in columns], axis=0))
        estimates.append(
            estimate(
                f"prediction_sensitivity/{number}",
                [names[row] for row in kept],
                *over_draws([own[kept].astype(np.float64) for own in columns], ratio),
                unit=unit,
                num_items=len(kept),
                higher_is_better=higher_is_better,
                convention=convention,
                settings=settings,
            )
        )
    return estimates


MEASURE = Measure(
    name="prediction_sensitivity",
    task=task,
    summarise=summarise,
    reads_text=reads_text,
    descriptions={
        "prediction_sensitivity/p": Description(
            "Classifier: sensitivity to gendered words",
            None,
            "How fast the probability of the predicted class changes with the embedding of a gendered word: the norm "
            "of the derivative, as a mean over these words.",
        ),
        "prediction_sensitivity/p_uniform": Description(
            "Classifier: sensitivity to gendered words, all classes",
            None,
            "The same as a mean over all classes.",
        ),
        "prediction_sensitivity/share_ratio": Description(
            "Classifier: sensitivity to a gendered word, against any word",
            "gendered words",
            "The share of the gendered words in the sensitivity to all words, over their share in the words. 1: they "
            "matter as much as any word.",
        ),
        "prediction_sensitivity/change": Description(
            "Classifier: change under the counterfactual",
            "classifier change",
            "How far the probability of the predicted class moves when the gender of the text is exchanged.",
        ),
        "prediction_sensitivity/flips": Description(
            "Classifier: predictions that flip",
            None,
            "How often the predicted class changes when the gender of the text is exchanged.",
        ),
        "prediction_sensitivity/gender_gap": Description(
            "Classifier: probability of the last class, feminine minus masculine",
            None,
            "The probability of the last class (positive; toxic) for the feminine form of a text minus that for the "
            "masculine one. 0: alike.",
        ),
    },
    caveats=(
        "A derivative says what a small change of an embedding would do. It can be small although the word decides, "
        "and is where a classifier is certain: read the change under the counterfactual first.",
        "Fine-tuned classifiers differ from one fine-tuning to the next; with fine_tuning.num_draws=1 the intervals do "
        "not show it.",
    ),
)
