"""The tables of a study: the measures of its models, or its results file, in; Markdown out.

A value is the mean over training seeds with its interval; a difference is paired by cluster and by seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from distill.evaluation.measures.all_measures import DESCRIPTIONS
from distill.evaluation.statistics.resampling import two_way_interval
from distill.evaluation.statistics.significance import minimum_detectable_effect
from study.collect import Measure
from study.numbers import (
    cell,
    compare,
    families,
    have_common_seed,
    holm_p_values,
    is_log,
    not_inferior,
    p_text,
    percent,
    removed_percent,
)
from study.plan import TEACHER, UNTRAINED, main_measures


def values_table(found: dict[str, Measure], arms: Sequence[str], plain: str) -> str:
    """Per arm the shares removed, against the teacher and against `plain`, and the main measures."""
    disparity = next(iter(found.values()))
    shown = _main_measures(found)
    bases = [base for base in (TEACHER, plain) if base in disparity.columns]
    removed = [f"bias removed, against {base} (%)" for base in bases]
    header = ["arm", "seeds", *removed, *(_title(found[name]) for name in shown)]
    rows = []
    for arm in arms:
        shares = [
            cell(removed_percent(disparity, arm, base), 1)
            if arm not in (TEACHER, base) and have_common_seed(disparity, arm, base)
            else "–"
            for base in bases
        ]
        rows.append([arm, str(len(disparity.seeds[arm])), *shares, *(_value(found[name], arm) for name in shown)])
    return _table(header, rows)


def differences_table(found: dict[str, Measure], arms: Sequence[str], reference: str) -> str:
    """Per arm the paired differences of the disparity and of every measure with a margin, with the verdict on it.

    A difference of log-perplexities is shown as one of perplexities, in percent.
    """
    first = next(iter(found))
    shown = [name for name in _main_measures(found) if name == first or found[name].margin]
    header = ["arm"]
    for name in shown:
        margin = found[name].margin
        header += [_difference_title(found[name]), "p"]
        header += [f"not inferior by {_in_table(found[name], margin)}"] if margin else []
    adjusted = {name: holm_p_values(found[name], reference) for name in shown}
    rows = []
    for arm in arms:
        if arm not in adjusted[shown[0]]:
            continue
        row = [arm]
        for name in shown:
            if arm not in adjusted[name]:
                row += ["–"] * (3 if found[name].margin else 2)
                continue
            difference = compare(found[name], arm, reference)
            change = cell(percent(difference), 2) if is_log(found[name]) else cell(difference)
            row += [change, p_text(adjusted[name][arm])]
            if found[name].margin:
                row.append(not_inferior(found[name], difference))
        rows.append(row)
    return _table(header, rows)


def others_table(found: dict[str, Measure], names: Sequence[str], arms: Sequence[str]) -> str:
    """Per measure a row, per arm a column."""
    rows = [[_title(found[name]), *(_value(found[name], arm) for arm in arms)] for name in names]
    return _table(["measure", *arms], rows)


def other_differences_table(
    found: dict[str, Measure], names: Sequence[str], arms: Sequence[str], reference: str
) -> str:
    """Per measure a row, per arm the paired difference to a reference with its Holm-adjusted p-value."""
    tested = [arm for arm in arms if arm not in (TEACHER, UNTRAINED, reference)]
    rows = []
    for name in names:
        adjusted = holm_p_values(found[name], reference)
        cells = [
            f"{cell(compare(found[name], arm, reference))}; {p_text(adjusted[arm])}" if arm in adjusted else "–"
            for arm in tested
        ]
        rows.append([_title(found[name]), *cells])
    return _table(["measure", *tested], rows)


def items_table(results: dict[str, Any], found: dict[str, Measure], arms: Sequence[str], reference: str) -> str:
    """Per measure how many items and clusters it has, the minimum detectable effect of a difference to the reference
    (the median over arms, in the measure's unit), and its convention: only equal ones are comparable.
    """
    rows = []
    for name, one in results["measures"].items():
        tested = [arm for arm in families(found[name], reference)[0] if arm in arms]
        errors = [compare(found[name], arm, reference).standard_error for arm in tested]
        effect = f"{minimum_detectable_effect(median(errors)):.2g}" if errors else "–"
        convention = f"`{one['convention']}`".replace("|", "\\|")
        rows.append([f"`{name}`", f"{one['num_items']:,}", str(one["num_clusters"]), effect, convention])
    return _table(["measure", "items", "clusters", "detectable", "convention"], rows)


def settings_table(results: dict[str, Any]) -> str:
    """What all arms share, in words, and per arm its overrides."""
    study = results["study"]
    common = f"`{study['train_config']}`, measured with `{study['eval_config']}`"
    rows = [[arm, " ".join(f"`{one}`" for one in overrides) or "–"] for arm, overrides in results["arms"].items()]
    return f"All arms: {common}; the resolved settings are in the results file.\n\n" + _table(
        ["arm", "overrides"], rows
    )


def other_measures(found: dict[str, Measure]) -> list[str]:
    """All that are not main measures."""
    main = _main_measures(found)
    return [name for name in found if name not in main]


def _main_measures(found: dict[str, Measure]) -> list[str]:
    return main_measures(list(found), [name for name, one in found.items() if one.margin])


def _title(measure: Measure) -> str:
    description = DESCRIPTIONS.get(measure.name)
    return f"{description.title if description else measure.name} ({measure.unit or 'without unit'})".replace(
        "|", "\\|"
    )


def _difference_title(measure: Measure) -> str:
    return "Perplexity (%)" if is_log(measure) else _title(measure)


def _in_table(measure: Measure, margin: float) -> str:
    return f"{100 * math.expm1(margin):.3g} %" if is_log(measure) else f"{margin:g}"


def _value(measure: Measure, arm: str) -> str:
    return cell(two_way_interval(measure.columns[arm], measure.statistic)) if arm in measure.columns else "–"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines) + "\n"
