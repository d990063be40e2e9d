"""Numbers in prose: a text with placeholders and results files in, the text with their numbers out.

    {{value STUDY ARM MEASURE}}                     0.105 [0.091, 0.120]
    {{difference STUDY ARM REFERENCE MEASURE}}      arm minus reference, paired
    {{removed STUDY ARM REFERENCE}}                 how much of the reference's disparity the arm removes (%)
    {{percent STUDY ARM REFERENCE MEASURE}}         100 (exp(difference) - 1), for a measure that is a logarithm
    {{p STUDY ARM REFERENCE MEASURE}}               Holm-adjusted over all arms, or over the reference's variants
    {{verdict STUDY ARM REFERENCE MEASURE}}         yes, no or open: not inferior by the study's margin
    {{better STUDY ARM REFERENCE MEASURE}}          yes, no or open: better with the whole interval
    {{at_least STUDY ARM REFERENCE PERCENT}}        yes, no or open: removes so much of the reference's disparity

Whoever writes about results writes these instead of numbers, so that no number can differ from its results file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from distill.evaluation.statistics.resampling import two_way_interval
from study.collect import Measure
from study.numbers import (
    at_least,
    better,
    cell,
    compare,
    holm_p_values,
    is_log,
    not_inferior,
    p_text,
    percent,
    removed_percent,
)

PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")
FORMS = {"value": 2, "difference": 3, "removed": 2, "percent": 3, "p": 3, "verdict": 3, "better": 3, "at_least": 3}


def filled(text: str, studies: Mapping[str, Mapping[str, Measure]]) -> str:
    """The text with every placeholder replaced. studies: by name, the measures of each by name.

    Raises ValueError, naming the placeholder, when it is not one of the forms or names something that is not there.
    """
    return PLACEHOLDER.sub(lambda match: _number(match[1].split(), studies), text)


def _number(words: list[str], studies: Mapping[str, Mapping[str, Measure]]) -> str:
    written = "{{" + " ".join(words) + "}}"
    if len(words) < 2 or words[0] not in FORMS or len(words) != 2 + FORMS[words[0]]:
        raise ValueError(f"{written} is none of the forms of study/prose.py")
    kind, study, arm, *rest = words
    if study not in studies:
        raise ValueError(f"{written}: there is no study {study} among the results ({', '.join(studies)})")
    found = studies[study]
    name = next(iter(found)) if kind in ("removed", "at_least") else rest[-1]
    if name not in found:
        raise ValueError(f"{written}: {study} has no measure {name}")
    measure = found[name]
    for model in (arm, *(rest[:1] if kind != "value" else ())):
        if model not in measure.columns:
            raise ValueError(f"{written}: {study} has no {name} of {model}")
    if kind == "value":
        return cell(two_way_interval(measure.columns[arm], measure.statistic))
    reference, *threshold = rest
    if kind == "p":
        adjusted = holm_p_values(measure, reference)
        if arm not in adjusted:
            raise ValueError(f"{written}: {arm} is not tested against {reference}")
        return p_text(adjusted[arm])
    if kind == "removed":
        return cell(removed_percent(measure, arm, reference), 1)
    if kind == "at_least":
        if not threshold[0].isdigit():
            raise ValueError(f"{written}: {threshold[0]!r} is not a whole number of percent")
        return at_least(removed_percent(measure, arm, reference), int(threshold[0]))
    difference = compare(measure, arm, reference)
    if kind == "percent":
        if not is_log(measure):
            raise ValueError(f"{written}: {name} is no logarithm, so that its difference is no percentage")
        return cell(percent(difference), 2)
    if kind in ("verdict", "better"):
        return (not_inferior if kind == "verdict" else better)(measure, difference)
    return cell(difference)
