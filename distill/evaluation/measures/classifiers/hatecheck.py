"""HateCheck (Röttger et al. 2021): does a classifier of toxic texts get hard cases right, for every group?

The classifier is fine-tuned on the tweets of `benchmarks.davidson`, or the user's own. Hateful cases should be found
toxic (probability above 0.5), and the others not. 3,325 of the 3,728 cases come from templates that are filled with
seven groups; there, women are compared with the six others: the same template, so nothing else differs. The unit of
resampling is the template.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.classifiers import davidson
from distill.evaluation.measures.classifiers.draws import by_draw, classifier_task
from distill.evaluation.measures.classifiers.fine_tuning import Problem
from distill.evaluation.measures.classifiers.text_classifier import TextClassifier
from distill.evaluation.measures.classifiers.toxic_texts import THRESHOLD, toxicity
from distill.evaluation.measures.published.benchmark_files import check_distinct, fault, read_csv
from distill.evaluation.statistics.estimators import FloatArray, Statistic, over_draws, ratio
from distill.evaluation.statistics.group_auc import BoolArray, ratio_difference
from distill.evaluation.statistics.measurement import Estimate, estimate, sum_by_cluster
from distill.evaluation.task import Records, Task, data_hash

KEY = "benchmarks.hatecheck"
SOURCE = "evenhand data get hatecheck"
COLUMNS = ("functionality", "case_id", "test_case", "label_gold", "templ_id")
LABELS = {"hateful": 1, "non-hateful": 0}
WOMEN = "women"
GROUPS = (WOMEN, "trans people", "gay people", "black people", "disabled people", "Muslims", "immigrants")
FUNCTIONS = {
    "derog_neg_emote_h": "strong negative emotions",
    "derog_neg_attrib_h": "negative attributes",
    "derog_dehum_h": "dehumanisation",
    "derog_impl_h": "implicit derogation",
    "threat_dir_h": "direct threats",
    "threat_norm_h": "threats as a norm",
    "slur_h": "hateful slurs",
    "slur_homonym_nh": "homonyms of slurs",
    "slur_reclaimed_nh": "reclaimed slurs",
    "profanity_h": "hate with profanity",
    "profanity_nh": "profanity without hate",
    "ref_subs_clause_h": "reference in a later clause",
    "ref_subs_sent_h": "reference in a later sentence",
    "negate_pos_h": "negated positive statements",
    "negate_neg_nh": "negated hateful statements",
    "phrase_question_h": "hate as a question",
    "phrase_opinion_h": "hate as an opinion",
    "ident_neutral_nh": "neutral statements with a group",
    "ident_pos_nh": "positive statements with a group",
    "counter_quote_nh": "quoted hate that is denounced",
    "counter_ref_nh": "hate that is referred to and denounced",
    "target_obj_nh": "abuse of objects",
    "target_indiv_nh": "abuse of individuals",
    "target_group_nh": "abuse of groups without protection",
    "spell_char_swap_h": "swapped characters",
    "spell_char_del_h": "missing characters",
    "spell_space_del_h": "missing spaces",
    "spell_space_add_h": "added spaces",
    "spell_leet_h": "leet speak",
}


@dataclass(frozen=True)
class Case:
    """A test case. group: whom it is about, empty for nobody. label: 1 if it is hateful."""

    id: str
    text: str
    function: str
    group: str
    template: str
    label: int


def task(inputs: Inputs) -> Task | None:
    """Every case is an item. Raises as `read` and `davidson.problem`."""
    config = inputs.config
    path, train = config.benchmarks.hatecheck, config.benchmarks.davidson
    if path is None:
        return None
    cases = read(path)
    nothing = Problem((), (), remedy="set benchmarks.davidson=PATH")
    learned = nothing if train is None else davidson.problem(train, config.fine_tuning)
    labels = config.text_classifier.toxic_labels
    key = f"data:{data_hash([*learned.train, *cases])}"
    scored, own = partial(score, toxic_labels=labels), f"toxic:{'+'.join(labels)}"
    return classifier_task("hatecheck", key, learned, cases, scored, config.fine_tuning, own)


def read(path: str) -> list[Case]:
    """The cases of test_suite_cases.csv. Raises FileNotFoundError or ValueError with file, row and remedy."""
    cases, rows = [], read_csv(path, KEY, SOURCE, COLUMNS)
    check_distinct([row["case_id"] for row in rows], path, KEY, SOURCE)
    for number, row in enumerate(rows, 1):
        group = row.get("target_ident") or ""
        for name, value, known in (
            ("functionality", row["functionality"], FUNCTIONS),
            ("label_gold", row["label_gold"], LABELS),
            ("target_ident", group, ("", *GROUPS)),
        ):
            if value not in known:
                allowed = ", ".join(filter(None, known))
                raise fault(path, f"row {number}: {name} is {value!r}, not one of {allowed}", KEY, SOURCE)
        text, label = row["test_case"].strip(), LABELS[row["label_gold"]]
        cases.append(Case(f"case/{row['case_id']}", text, row["functionality"], group, row["templ_id"], label))
    return cases


def score(classifier: TextClassifier, cases: Sequence[Case], toxic_labels: Sequence[str]) -> Records:
    """One record per case with the probability that it is toxic. Raises as `toxicity`."""
    probs = toxicity(classifier, [case.text for case in cases], toxic_labels)
    return [
        {
            "id": case.id,
            "cluster": case.template,
            "function": case.function,
            "group": case.group,
            "label": case.label,
            "p": float(p),
        }
        for case, p in zip(cases, probs, strict=True)
    ]


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """Accuracy of all cases, by function and by group; recall and false positives of women minus those of others.

    A function or group without a case is left out.
    """
    draws = by_draw(records)
    cases = draws[0]
    women, hateful = (
        np.array(own) for own in zip(*((c["group"] == WOMEN, c["label"] == 1) for c in cases), strict=True)
    )
    toxic = [np.array([case["p"] > THRESHOLD for case in draw]) for draw in draws]
    accuracy = [np.stack([own == hateful, np.ones(len(cases))], axis=1) for own in toxic]
    gaps = [np.stack([own & women, women, own & ~women, ~women], axis=1) for own in toxic]
    compared = _compared(cases)
    chosen: dict[str, tuple[BoolArray, list[FloatArray], Statistic, bool | None]] = {
        "hatecheck/accuracy": (np.ones(len(cases), dtype=bool), accuracy, ratio, True)
    }
    for kind, known in (("function", FUNCTIONS), ("group", GROUPS)):
        for value in known:
            own = np.array([case[kind] == value for case in cases])
            chosen[f"hatecheck/{kind}/{_slug(value)}"] = (own, accuracy, ratio, True)
    chosen["hatecheck/women/recall_gap"] = (compared & hateful, gaps, ratio_difference, None)
    chosen["hatecheck/women/false_positive_gap"] = (compared & ~hateful, gaps, ratio_difference, None)
    estimates = []
    for name, (kept, columns, statistic, better) in chosen.items():
        clusters = [case["cluster"] for case, is_kept in zip(cases, kept, strict=True) if is_kept]
        if clusters:
            summed = [sum_by_cluster(clusters, own[kept].astype(np.float64)) for own in columns]
            estimates.append(
                estimate(
                    name,
                    summed[0][0],
                    *over_draws([own for _, own in summed], statistic),
                    unit="proportion",
                    num_items=len(clusters),
                    higher_is_better=better,
                    convention=convention,
                    settings=settings,
                )
            )
    return estimates


def _compared(cases: Sequence[dict[str, Any]]) -> BoolArray:
    """Which cases come from a template that is filled with women and with another group."""
    filled: dict[str, set[str]] = {}
    for case in cases:
        filled.setdefault(case["cluster"], set()).add(case["group"])
    return np.array([WOMEN in filled[case["cluster"]] and len(filled[case["cluster"]] - {""}) > 1 for case in cases])


def _slug(name: str) -> str:
    return name.lower().replace(" ", "_")


MEASURE = Measure(
    name="hatecheck",
    task=task,
    summarise=summarise,
    descriptions={
        "hatecheck/accuracy": Description(
            "HateCheck: accuracy",
            "HateCheck",
            "How often the classifier finds a hateful case toxic and another one not. 69 of 100 cases are hateful.",
            column="utility",
        ),
        **{
            f"hatecheck/function/{name}": Description(
                f"HateCheck: accuracy, {words}", None, "The same in one function of the test.", column="utility"
            )
            for name, words in FUNCTIONS.items()
        },
        **{
            f"hatecheck/group/{_slug(name)}": Description(
                f"HateCheck: accuracy, cases about {name}", None, "The same for one group.", column="utility"
            )
            for name in GROUPS
        },
        "hatecheck/women/recall_gap": Description(
            "HateCheck: hate that is found, women minus other groups",
            "hate found, women",
            "How often hate against women is found toxic minus how often hate against six other groups is, in the same "
            "templates. Below 0: hate against women passes more often.",
        ),
        "hatecheck/women/false_positive_gap": Description(
            "HateCheck: false alarms, women minus other groups",
            None,
            "How often a harmless statement about women is found toxic minus how often one about six other groups is, "
            "in the same templates.",
        ),
    },
    caveats=(
        "HateCheck's cases are written, short and clear. A classifier that fails them has a weakness; one that passes "
        "need not be good on real posts (Röttger et al. 2021). It is fine-tuned on tweets of which 83 % are toxic.",
    ),
)
