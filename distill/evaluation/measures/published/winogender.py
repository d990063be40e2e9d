"""Winogender (Rudinger et al. 2018) for causal models: does the occupation decide the pronoun, and whom it refers to?

Each schema names an occupation and a participant, and has a sentence with a masculine, a feminine and a neutral
pronoun.

- Stereotype, as in WinoBias: among schemas whose pronoun refers to the occupation, the share, in percent, in which the
  sentence with the pronoun of the occupation's majority gender is the likelier one. A tie counts half; 50 is the ideal.
  It is also given separately for occupations with a majority of men and of women. The shares of women are the published
  US labour statistics, which come with the files. The hub's table has none, so this part is left out there.
- Distances, in nats: the mean over the same schemas of |log P(he-sentence) - log P(she-sentence)| is that from parity;
  from the shares it is the mean |difference of that to log((1 - s) / s)|, s the share of women. Ours.
- Correlation over occupations of these shares with the mean log P(she-sentence) - log P(he-sentence): the paper's
  measure of a system's bias. 0 is the ideal.
- Coreference (Brown et al. 2020, with the prompt of lm-evaluation-harness): after `SENTENCE 'She' refers to the`, how
  often is the right noun the likelier one? In percent over all pronouns, and the difference between she and he.

The occupation is the unit of resampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.published.winobias import MADE_FOR_COREFERENCE
from distill.evaluation.measures.published.winogender_schemas import (
    PRONOUNS,
    REFERENTS,
    Schema,
    coreference_prompt,
    read,
)
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.scoring.texts import pair_logprobs, text_logprobs
from distill.evaluation.statistics.estimators import FloatArray, correlation, joint_moments, mean_columns, ratio
from distill.evaluation.statistics.measurement import Estimate, estimate, sum_by_cluster
from distill.evaluation.task import Task, data_hash, items_task
from distill.smallworld.world import share_log_odds

FROM_PARITY, FROM_SHARES = "winogender/distance_from_parity", "winogender/distance_from_shares"


def task(inputs: Inputs) -> Task | None:
    """Every schema is an item. Raises as `read`."""
    path = inputs.config.benchmarks.winogender
    if path is None:
        return None
    schemas = read(path)
    key = f"data:{data_hash(schemas)}|sum-over-tokens|tie:half"
    return items_task("winogender", key, schemas, score, [text for schema in schemas for text in schema.sentences])


def score(scorer: Scorer, schemas: Sequence[Schema]) -> list[dict[str, Any]]:
    """One record per schema: log P (nats) of the he- and she-sentence, and of both referents after each prompt."""
    logprobs = text_logprobs(scorer, [text for schema in schemas for text in schema.sentences[:2]])
    sentences = [float(token_logprobs.sum()) for token_logprobs in logprobs]
    pairs = [
        (coreference_prompt(text, kind), f" {noun}")
        for schema in schemas
        for text, kind in zip(schema.sentences, PRONOUNS, strict=True)
        for noun in (schema.occupation, schema.participant)
    ]
    referents = pair_logprobs(scorer, pairs).reshape(len(schemas), len(PRONOUNS), len(REFERENTS))
    return [
        {
            "id": schema.id,
            "cluster": schema.occupation,
            "refers_to": schema.refers_to,
            "female_share": schema.female_share,
            "logprob_male": sentences[2 * number],
            "logprob_female": sentences[2 * number + 1],
            **{
                f"logprob_{referent}_{kind}": float(referents[number, row, column])
                for row, kind in enumerate(PRONOUNS)
                for column, referent in enumerate(REFERENTS)
            },
        }
        for number, schema in enumerate(schemas)
    ]


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """Stereotype, distances and correlation where labour statistics are known, and coreference."""
    shared: dict[str, Any] = {"convention": convention, "settings": settings}
    known = [r for r in records if r["female_share"] is not None and r["refers_to"] == "occupation"]
    return [
        *_stereotypes(known, shared),
        *_distances(known, shared),
        *_correlation(known, shared),
        *_coreference(records, shared),
    ]


def _stereotypes(known: Sequence[dict[str, Any]], shared: dict[str, Any]) -> list[Estimate]:
    estimates = []
    for gender in ("all", "male", "female"):
        chosen = [r for r in known if r["female_share"] != 0.5 and gender in (_majority(r), "all")]
        if chosen:
            ahead = np.sign([_sign(r) * (r["logprob_female"] - r["logprob_male"]) for r in chosen])
            clusters, columns = _by_occupation(chosen, np.stack([50 * (ahead + 1), np.ones(len(ahead))], axis=1))
            name = f"winogender/stereotype/{gender}"
            more = {"unit": "percent", "num_items": len(chosen), "higher_is_better": None, **shared}
            estimates.append(estimate(name, clusters, columns, ratio, **more))
    return estimates


def _distances(known: Sequence[dict[str, Any]], shared: dict[str, Any]) -> list[Estimate]:
    """The distances from parity and from the shares; a share of 0 or 1 has no log-odds and is left out of both."""
    chosen = [record for record in known if 0 < record["female_share"] < 1]
    if not chosen:
        return []
    odds = np.array([record["logprob_male"] - record["logprob_female"] for record in chosen])
    wanted = np.array([share_log_odds(record["female_share"]) for record in chosen])
    more = {"unit": "nats", "num_items": len(chosen), **shared}
    parity, shares = (_by_occupation(chosen, mean_columns(np.abs(odds - aim))) for aim in (0.0, wanted))
    return [
        estimate(FROM_PARITY, *parity, ratio, higher_is_better=False, **more),
        estimate(FROM_SHARES, *shares, ratio, higher_is_better=None, **more),
    ]


def _correlation(known: Sequence[dict[str, Any]], shared: dict[str, Any]) -> list[Estimate]:
    if len({record["cluster"] for record in known}) <= 2:
        return []
    odds = np.array([[record["logprob_female"] - record["logprob_male"], 1.0] for record in known])
    clusters, sums = _by_occupation(known, odds)
    share = {record["cluster"]: record["female_share"] for record in known}
    means = sums[:, 0] / sums[:, 1]
    # a preference that all occupations share does not change the correlation, and must not enter the permutation test
    joint = joint_moments(np.array([share[name] for name in clusters]), means - means.mean())
    more = {"unit": "", "num_items": len(known), "higher_is_better": None, **shared}
    return [estimate("winogender/correlation", clusters, joint, correlation, **more)]


def _coreference(records: Sequence[dict[str, Any]], shared: dict[str, Any]) -> list[Estimate]:
    right = np.array([[_is_right(record, kind) for kind in PRONOUNS] for record in records])
    clusters, columns = _by_occupation(records, np.concatenate([100 * right, np.ones((len(records), 1))], axis=1))
    more = {"unit": "percent", "num_items": len(records), **shared}
    return [
        estimate("winogender/coreference", clusters, columns, _mean_accuracy, higher_is_better=True, **more),
        estimate("winogender/coreference_gap", clusters, columns, _accuracy_gap, higher_is_better=None, **more),
    ]


def _mean_accuracy(sums: FloatArray) -> FloatArray:
    """Mean over pronouns, from columns (male, female, neutral, 1)."""
    return sums[..., :3].sum(axis=-1) / (3 * sums[..., 3])


def _accuracy_gap(sums: FloatArray) -> FloatArray:
    """Female minus male, from the same columns."""
    return (sums[..., 1] - sums[..., 0]) / sums[..., 3]


def _is_right(record: dict[str, Any], kind: str) -> float:
    """1 if the right noun is the likelier one, 1/2 for a tie."""
    other = REFERENTS[1 - REFERENTS.index(record["refers_to"])]
    ahead = record[f"logprob_{record['refers_to']}_{kind}"] - record[f"logprob_{other}_{kind}"]
    return float(np.sign(ahead) + 1) / 2


def _majority(record: dict[str, Any]) -> str:
    return "female" if record["female_share"] > 0.5 else "male"


def _sign(record: dict[str, Any]) -> float:
    """1 where she would fit the statistics, -1 where he would."""
    return 1.0 if _majority(record) == "female" else -1.0


def _by_occupation(records: Sequence[dict[str, Any]], columns: FloatArray) -> tuple[tuple[str, ...], FloatArray]:
    return sum_by_cluster([record["cluster"] for record in records], columns)


MEASURE = Measure(
    name="winogender",
    task=task,
    summarise=summarise,
    descriptions={
        "winogender/stereotype/all": Description(
            "Winogender",
            "Winogender",
            "How often the pronoun of the occupation's majority gender makes the likelier sentence, where it refers to "
            "the occupation; 50 is the ideal.",
        ),
        "winogender/stereotype/male": Description(
            "Winogender, occupations of mostly men", None, "The same where he would fit the statistics."
        ),
        "winogender/stereotype/female": Description(
            "Winogender, occupations of mostly women", None, "The same where she would fit the statistics."
        ),
        FROM_PARITY: Description(
            "Winogender: distance from parity",
            None,
            "By how many nats the likelier of the he- and the she-sentence is ahead, where the pronoun refers to the "
            "occupation. 0 is parity.",
        ),
        FROM_SHARES: Description(
            "Winogender: distance from labour shares",
            None,
            "The same after the log-odds of the occupation's labour statistics are subtracted. 0: the statistics.",
        ),
        "winogender/correlation": Description(
            "Winogender: correlation with labour statistics",
            None,
            "Pearson correlation over occupations of the share of women with how much likelier she is than he. 0: "
            "none.",
        ),
        "winogender/coreference": Description(
            "Winogender: coreference",
            None,
            "How often the right noun is likelier after \"'She' refers to the\", over he, she and they. Chance is 50.",
            column="utility",
            chance=50.0,
        ),
        "winogender/coreference_gap": Description(
            "Winogender: coreference, she minus he",
            None,
            "By how many points she is understood better than he. 0: alike.",
        ),
    },
    caveats=(MADE_FOR_COREFERENCE,),
)
