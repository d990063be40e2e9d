"""The tables of a study, in Markdown.

A value is the mean over training seeds with its interval; a difference is paired by cluster and by seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from distill.evaluation.statistics.significance import minimum_detectable_effect
from study.config import HEALED, TEACHER, UNTRAINED
from study.numbers import (
    cell,
    change_percent,
    difference,
    distance,
    families,
    have_common_seed,
    holm_p_values,
    is_log,
    not_inferior,
    p_text,
    removed_percent,
    value,
)
from study.plan import main_measures
from study.results import Measure, Results

TITLES = {  # other measures go by their names, which docs/evaluation.md explains
    "log_odds/mean_abs": "mean |log-odds|",
    "log_perplexity/token-stride": "log-perplexity",
    "agreement/accuracy": "agreement, accuracy",
    "agreement/margin": "agreement, margin",
}


def values_table(results: Results, arms: Sequence[str], plain: str) -> str:
    """One row per arm: how much of the teacher's and of `plain`'s bias it removes (%), and the main measures."""
    disparity, shown = results.disparity, shown_with_all(results)
    bases = [base for base in (TEACHER, plain) if base in disparity.columns]
    header = ["arm", "seeds", *(f"bias removed, of {base} (%)" for base in bases), *(map(_title, shown))]
    rows = []
    for arm in arms:
        shares = [
            cell(removed_percent(disparity, arm, base), 1)
            if arm not in (TEACHER, base) and have_common_seed(disparity, arm, base)
            else "–"
            for base in bases
        ]
        rows.append([arm, str(len(disparity.seeds[arm])), *shares, *(_value(measure, arm) for measure in shown)])
    return _table(header, rows)


def differences_table(results: Results, arms: Sequence[str], reference: str) -> str:
    """One row per arm: paired differences of the disparity and of every measure with a margin, with verdicts.

    The difference of two log-perplexities is shown as the change of the perplexity in percent.
    """
    shown = [measure for measure in shown_with_all(results) if measure is results.disparity or measure.margin]
    header = ["arm"]
    for measure in shown:
        header += ["perplexity (%)" if is_log(measure) else _title(measure), "p"]
        header += [f"not inferior by {_margin(measure, measure.margin)}"] if measure.margin else []
    tested = holm_p_values(results.disparity, reference)
    rows = [
        [arm, *(text for measure in shown for text in _tested(measure, arm, reference))]
        for arm in arms
        if arm in tested
    ]
    return _table(header, rows)


def _tested(measure: Measure, arm: str, reference: str) -> list[str]:
    """The difference, its p and, for a measure with a margin, the verdict."""
    adjusted = holm_p_values(measure, reference)
    if arm not in adjusted:
        return ["–"] * (3 if measure.margin else 2)
    change = difference(measure, arm, reference)
    shown = cell(change_percent(measure, arm, reference), 2) if is_log(measure) else cell(change)
    return [shown, p_text(adjusted[arm]), *([not_inferior(measure, change)] if measure.margin else [])]


def others_table(measures: Sequence[Measure], arms: Sequence[str]) -> str:
    """The values of all arms. The rows are the arms or the measures, whichever are more."""
    columns = {_title(measure): [_value(measure, arm) for arm in arms] for measure in measures}
    return _longer_in_rows([f"`{arm}`" for arm in arms], columns)


def other_differences_table(measures: Sequence[Measure], arms: Sequence[str], reference: str) -> str:
    """The paired differences of all arms to a reference, with Holm-adjusted p-values; rows as in `others_table`."""
    tested = [arm for arm in arms if arm not in (TEACHER, UNTRAINED, HEALED, reference)]
    columns = {}
    for measure in measures:
        adjusted = holm_p_values(measure, reference)
        columns[_title(measure)] = [
            f"{cell(difference(measure, arm, reference))}; {p_text(adjusted[arm])}" if arm in adjusted else "–"
            for arm in tested
        ]
    return _longer_in_rows([f"`{arm}`" for arm in tested], columns)


def distances_table(results: Results) -> str:
    """One row per arm: how far from its teacher it started and how far it ended, in nats per token."""
    rows = [
        [arm, str(len(results.distances[arm])), *(f"{nats:.3f}" for nats in distance(results, arm))]
        for arm in results.arms
        if arm in results.distances
    ]
    return _table(["arm", "seeds", "at its start (nats per token)", "at its end (nats per token)"], rows)


def items_table(results: Results, arms: Sequence[str], reference: str) -> str:
    """One row per measure: its items and clusters, its minimum detectable effect, and its convention.

    The effect is a difference to the reference, in the measure's unit; the median over arms. Only measures with the
    same convention are comparable.
    """
    rows = []
    for name, stored in results.content["measures"].items():
        measure = results.measures[name]
        tested = [arm for arm in families(measure, reference)[0] if arm in arms]
        errors = [difference(measure, arm, reference).standard_error for arm in tested]
        detectable = minimum_detectable_effect(median(errors)) if errors else math.nan
        effect = "–" if math.isnan(detectable) else f"{detectable:.2g}"
        rows.append(
            [f"`{name}`", f"{stored['num_items']:,}", str(stored["num_clusters"]), effect, f"`{stored['convention']}`"]
        )
    return _table(["measure", "items", "clusters", "detectable", "convention"], rows)


def overrides_table(results: Results) -> str:
    """The overrides of every arm that was run, over what all arms share."""
    overrides = results.content["arms"]
    rows = [
        [arm, " ".join(f"`{override}`" for override in overrides[arm]) or "–"]
        for arm in results.arms
        if arm not in (TEACHER, UNTRAINED)
    ]
    return _table(["arm", "overrides"], rows)


def shown_with_all(results: Results) -> list[Measure]:
    """The main measures, which variants have too."""
    with_margin = [name for name, measure in results.measures.items() if measure.margin]
    return [results.measures[name] for name in main_measures(list(results.measures), with_margin)]


def other_measures(results: Results, arms: Sequence[str]) -> tuple[list[Measure], dict[str, str]]:
    """All measures but the main ones: those that differ between arms, and the common value of those that do not."""
    varying, constant = [], {}
    main = shown_with_all(results)
    for measure in results.measures.values():
        if measure in main:
            continue
        shown = {_value(measure, arm) for arm in arms if arm in measure.columns}
        if len(shown) == 1:
            constant[measure.name] = shown.pop()
        else:
            varying.append(measure)
    return varying, constant


def _title(measure: Measure) -> str:
    return f"{TITLES.get(measure.name, f'`{measure.name}`')} ({measure.unit or 'no unit'})"


def _margin(measure: Measure, margin: float | None) -> str:
    return f"{100 * math.expm1(margin or 0):.3g} %" if is_log(measure) else f"{margin:g}"


def _value(measure: Measure, arm: str) -> str:
    return cell(value(measure, arm)) if arm in measure.columns else "–"


def _longer_in_rows(arms: list[str], columns: dict[str, list[str]]) -> str:
    """A table whose rows are the arms or the measures, whichever are more.

    columns: the cells of each measure, by its title, in the order of the arms.
    """
    if len(arms) > len(columns):
        return _table(["arm", *columns], [[arm, *row] for arm, *row in zip(arms, *columns.values(), strict=True)])
    return _table(["measure", *arms], [[title, *cells] for title, cells in columns.items()])


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [
        "| " + " | ".join(text.replace("|", "\\|") for text in row) + " |"
        for row in (header, ["---"] * len(header), *rows)
    ]
    return "\n".join(lines) + "\n"
