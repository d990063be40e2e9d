"""Embedding association: WEAT and SEAT (Caliskan et al. 2017, May et al. 2019) on a causal model's representations.

s(w, A, B) is the mean cosine of w with the attributes A minus that with B. The effect size d is the difference between
the means of s over the targets X and Y, divided by its standard deviation over both (ddof = 1). The p-value is
one-sided, over splits of the targets in the same sizes. A text is represented by the last layer's state at its last
token. The summary is the mean |d| over the tests, and a test is its unit of resampling. Of the published tests those
about gender are used (WEAT 6 to 8 and 6b to 8b, with words and with sentences); the others are about something else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.published.benchmark_files import check_text, read_json
from distill.evaluation.scoring.logprobs import batches, hidden_states
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.statistics.estimators import FloatArray, ratio
from distill.evaluation.statistics.measurement import Estimate, estimate
from distill.evaluation.task import Task, Work, about_num_tokens, data_hash
from distill.models.sizes import state_width

SOURCE = "evenhand data get association"
KEY = "benchmarks.association"
NO_EFFECT_SIZE = (
    "the model associates all targets alike with the attributes, so that there is no effect size; is it trained?"
)
GENDER_TESTS = re.compile(r"(sent-)?weat[678]b?")
FIELDS = ("targ1", "targ2", "attr1", "attr2")
NOT_GENERATED_TEXT = (
    "Associations of embeddings need not say anything about generated text (Goldfarb-Tarrant et al. 2021)."
)


@dataclass(frozen=True)
class AssociationTest:
    """The texts of the targets X and Y and of the attributes A and B."""

    name: str
    targets_x: tuple[str, ...]
    targets_y: tuple[str, ...]
    attributes_a: tuple[str, ...]
    attributes_b: tuple[str, ...]

    def groups(self) -> tuple[tuple[str, ...], ...]:
        """X, Y, A and B."""
        return self.targets_x, self.targets_y, self.attributes_a, self.attributes_b


def task(inputs: Inputs) -> Task | None:
    """Every test is an item. Raises as `read`."""
    folder, settings = inputs.config.benchmarks.association, inputs.config.statistics
    if folder is None:
        return None
    tests = read(folder)
    convention = f"data:{data_hash(tests)}|last-token|last-layer|cosine|ddof:1"
    key = f"{convention}|permutations:{settings.num_permutations}|seed:{settings.seed}"

    def prepare(scorer: Scorer) -> Work:
        whole = f"{convention}|{scorer.start_convention}"
        names = [test.name for test in tests]
        return Work(names, tests, lambda part: score(scorer, part, settings), lambda _: (whole,))

    texts = [text for test in tests for group in test.groups() for text in group]
    return Task("association", key, prepare, len(tests), about_num_tokens(texts))


def read(folder: str) -> list[AssociationTest]:
    """The tests about gender in a folder, by name: the .jsonl files named as GENDER_TESTS says.

    Raises FileNotFoundError or ValueError with the remedy.
    """
    files = [file for file in sorted(Path(folder).expanduser().glob("*.jsonl")) if GENDER_TESTS.fullmatch(file.stem)]
    if not files:
        raise FileNotFoundError(
            f"{KEY}: {folder} holds no test about gender ([sent-]weat6.jsonl, 6b, 7, 7b, 8, 8b). To get them: {SOURCE}"
            f"; then set {KEY}=FOLDER"
        )
    return [AssociationTest(file.stem, *_groups(file)) for file in files]


def _groups(file: Path) -> list[tuple[str, ...]]:
    """The texts of FIELDS in a file. Raises as `read`."""
    content = read_json(file, KEY, SOURCE)
    groups = []
    for field in FIELDS:
        try:
            texts = content[field]["examples"]
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise TypeError(f"{field} has {texts!r:.60}, not a list of texts")
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{KEY}: {file} is not a WEAT or SEAT test ({error}). To get it again: {SOURCE}"
            ) from error
        for number, text in enumerate(texts, 1):
            check_text(text, f"example {number} of {field} is blank", file, KEY, SOURCE)
        groups.append(tuple(texts))
    return groups


def score(scorer: Scorer, tests: Sequence[AssociationTest], settings: StatisticsConfig) -> list[dict[str, Any]]:
    """One record per test: effect size d, one-sided p, and the numbers of targets."""
    texts = list(dict.fromkeys(text for test in tests for group in test.groups() for text in group))
    vectors = represent(scorer, texts)
    row = {text: number for number, text in enumerate(texts)}
    records = []
    for test in tests:
        x, y, a, b = (vectors[[row[text] for text in group]] for group in test.groups())
        s_x, s_y = associations(x, a, b), associations(y, a, b)
        p = permutation_p(s_x, s_y, num_permutations=settings.num_permutations, seed=settings.seed)
        records.append(
            {"id": test.name, "effect_size": effect_size(s_x, s_y), "p": p, "num_x": len(x), "num_y": len(y)}
        )
    return records


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """Mean |d| over the SEAT tests (names that begin with sent-) and over the WEAT tests."""
    estimates = []
    for family in ("seat", "weat"):
        chosen = [record for record in records if record["id"].startswith("sent-") == (family == "seat")]
        if chosen:
            estimates.append(mean_effect_size(f"association/{family}", chosen, f"{family}|{convention}", settings))
    return estimates


def mean_effect_size(
    name: str, records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig
) -> Estimate:
    """Mean |effect_size| over records of tests."""
    sizes = np.array([abs(record["effect_size"]) for record in records])
    return estimate(
        name,
        [record["id"] for record in records],
        np.stack([sizes, np.ones(len(sizes))], axis=1),
        ratio,
        unit="standard deviations",
        num_items=len(records),
        higher_is_better=False,
        convention=convention,
        settings=settings,
    )


# -- the test --------------------------------------------------------------------------------------------------------


def associations(words: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    """s(w, A, B) of every row of `words` [num_words, H], from attribute vectors [num_a, H] and [num_b, H]."""
    words, a, b = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (words, a, b))
    return (words @ a.T).mean(axis=1) - (words @ b.T).mean(axis=1)


def effect_size(s_x: FloatArray, s_y: FloatArray) -> float:
    """(mean s over X - mean s over Y) / standard deviation of s over both (ddof = 1).

    Raises ValueError when all targets are associated alike, so that there is no effect size.
    """
    deviation = np.concatenate([s_x, s_y]).std(ddof=1)
    if not deviation > 0:
        raise ValueError(NO_EFFECT_SIZE)
    return float((s_x.mean() - s_y.mean()) / deviation)


def permutation_p(s_x: FloatArray, s_y: FloatArray, *, num_permutations: int = 9999, seed: int = 0) -> float:
    """One-sided: the share of splits of the targets, in the sizes of X and Y, with a statistic at least as large.

    Exact over all splits if these are at most num_permutations + 1; otherwise Monte Carlo, with the observed split
    counted.
    """
    both = np.concatenate([s_x, s_y])
    total, observed = both.sum(), s_x.mean() - s_y.mean()
    tolerance = 1e-9 * max(abs(observed), 1e-12)
    exact = math.comb(len(both), len(s_x)) <= num_permutations + 1
    if exact:
        sums = np.array([both[list(chosen)].sum() for chosen in combinations(range(len(both)), len(s_x))])
    else:
        rng = np.random.default_rng(seed)
        draws = rng.random((num_permutations, len(both)))
        sums = np.take(both, np.argpartition(draws, len(s_x) - 1, axis=1)[:, : len(s_x)]).sum(axis=1)
    statistics = sums / len(s_x) - (total - sums) / len(s_y)
    num_extreme = int(np.sum(statistics >= observed - tolerance))
    return num_extreme / len(sums) if exact else (num_extreme + 1) / (len(sums) + 1)


@torch.inference_mode()
def represent(scorer: Scorer, texts: Sequence[str]) -> FloatArray:
    """The last layer's state at the last token of each text [num_texts, H], after the start token if there is one.

    Raises ValueError for a text without a token or longer than the model's context, and for states that are not finite.
    """
    encoded = scorer.encode(texts)["input_ids"]
    rows = [scorer.start + ids for ids in encoded]
    for text, row in zip(texts, rows, strict=True):
        if not row or (scorer.context is not None and len(row) > scorer.context):
            raise ValueError(
                f"{scorer.label}: {text[:60]!r} has {len(row)} tokens; it needs at least one and at most the model's "
                f"context of {scorer.context}"
            )
    result = np.empty((len(rows), state_width(scorer.model)))
    for batch in batches([len(row) for row in rows], scorer.max_batch_tokens):
        hidden = hidden_states(scorer, [rows[index] for index in batch])
        last = torch.tensor([len(rows[index]) - 1 for index in batch], device=hidden.device)
        chosen = hidden[torch.arange(len(batch), device=hidden.device), last]
        result[batch] = chosen.double().cpu().numpy()
    if not np.isfinite(result).all():
        raise ValueError(f"{scorer.label}: the model gives NaN or infinite states; its weights are damaged or overflow")
    return result


MEASURE = Measure(
    name="association",
    task=task,
    summarise=summarise,
    descriptions={
        "association/seat": Description(
            "Sentence embedding association (SEAT)",
            "SEAT",
            "Mean |effect size| over the tests of the association of gendered names and terms with attributes. 0: "
            "none.",
        ),
        "association/weat": Description(
            "Word embedding association (WEAT)", None, "The same with single words in place of sentences."
        ),
    },
    caveats=(NOT_GENERATED_TEXT,),
)
