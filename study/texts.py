"""Fill Jinja2 templates with numbers from results files. These are the functions that a template may call:

    {{ value(STUDY, ARM, MEASURE) }}                  0.105 [0.091, 0.120]
    {{ difference(STUDY, ARM, REFERENCE, MEASURE) }}  arm minus reference, paired
    {{ removed(STUDY, ARM, REFERENCE) }}              how much of the reference's disparity the arm removes (%)
    {{ percent(STUDY, ARM, REFERENCE, MEASURE) }}     100 (exp(difference) - 1) of a logarithm; perplexity by default
    {{ p(STUDY, ARM, REFERENCE, MEASURE) }}           p-value, Holm-adjusted over all arms or the reference's variants
    {{ verdict(STUDY, ARM, REFERENCE, MEASURE) }}     yes, no or open: not inferior by the study's margin
    {{ better(STUDY, ARM, REFERENCE, MEASURE) }}      yes, no or open: better with the whole interval
    {{ at_least(STUDY, ARM, REFERENCE, PERCENT) }}    yes, no or open: removes that much of the reference's disparity
    {{ distance(STUDY, ARM, "start") }}               its distance to the teacher at its start, or at its "end"
    {{ seeds(STUDY, ARM) }}                           how many training seeds it has

With `interval=false` the first four give the value alone. `studies` lists the results; `page(STUDY)` and `plot(STUDY)`
are links. A template in the folder `templates` beside the results files replaces the one of the same name in
study/templates. Templates state no result by hand, so that no number can differ from its results file.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, TemplateError, TemplateSyntaxError

from distill.templates import environment
from study import numbers
from study.numbers import cell, p_text
from study.results import Measure, Results

TEMPLATES = Path(__file__).parent / "templates"


def filled(template: str, studies: Sequence[Results], **names: Any) -> str:
    """Fill the template of this name with the numbers of all studies. names: further names that it may use.

    Raises ValueError, with the line of the template, for a fault in it, such as an arm that has no results.
    """
    folders = dict.fromkeys([*(results.path.parent / "templates" for results in studies), TEMPLATES])
    reader = environment(FileSystemLoader(list(folders)))
    functions = Functions(studies)
    reader.globals |= {name: getattr(functions, name) for name in FUNCTIONS}
    try:
        return reader.get_template(template).render(studies=studies, **names)
    except (TemplateError, TypeError, ValueError) as error:
        raise ValueError(f"{_place(error, template)}: {error}") from error


def _place(error: Exception, template: str) -> str:
    """File and line of the template in which an error was raised; the name of the template if there is no line."""
    if isinstance(error, TemplateSyntaxError):
        return f"{error.filename}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".jinja")]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else template


class Functions:
    """The functions of templates. Each raises ValueError for a study, arm or measure that has no results."""

    def __init__(self, studies: Sequence[Results]):
        self._studies = {results.name: results for results in studies}

    def value(self, study: str, arm: str, measure: str, interval: bool = True) -> str:
        return cell(numbers.value(self._measure(study, measure, arm), arm), with_interval=interval)

    def difference(self, study: str, arm: str, reference: str, measure: str, interval: bool = True) -> str:
        given = self._measure(study, measure, arm, reference)
        return cell(numbers.difference(given, arm, reference), with_interval=interval)

    def removed(self, study: str, arm: str, reference: str, interval: bool = True) -> str:
        disparity = self._measure(study, None, arm, reference)
        return cell(numbers.removed_percent(disparity, arm, reference), 1, interval)

    def percent(
        self, study: str, arm: str, reference: str, measure: str = "log_perplexity/token-stride", interval: bool = True
    ) -> str:
        given = self._measure(study, measure, arm, reference)
        if not numbers.is_log(given):
            raise ValueError(f"{measure} is no logarithm, so it has no change in percent; use difference")
        return cell(numbers.change_percent(given, arm, reference), 2, interval)

    def p(self, study: str, arm: str, reference: str, measure: str) -> str:
        adjusted = numbers.holm_p_values(self._measure(study, measure, arm, reference), reference)
        if arm not in adjusted:
            raise ValueError(f"{study}: {arm} is not tested against {reference}")
        return p_text(adjusted[arm])

    def verdict(self, study: str, arm: str, reference: str, measure: str) -> str:
        given = self._measure(study, measure, arm, reference)
        return numbers.not_inferior(given, numbers.difference(given, arm, reference))

    def better(self, study: str, arm: str, reference: str, measure: str) -> str:
        given = self._measure(study, measure, arm, reference)
        return numbers.better(given, numbers.difference(given, arm, reference))

    def at_least(self, study: str, arm: str, reference: str, percent: float) -> str:
        disparity = self._measure(study, None, arm, reference)
        return numbers.at_least(numbers.removed_percent(disparity, arm, reference), percent)

    def distance(self, study: str, arm: str, at: str) -> str:
        if at not in ("start", "end"):
            raise ValueError(f"distance at {at!r}; write start or end")
        start, end = numbers.distance(self._results(study), arm)
        return f"{start if at == 'start' else end:.3f}"

    def seeds(self, study: str, arm: str) -> int:
        return len(self._measure(study, None, arm).seeds[arm])

    def _measure(self, study: str, measure: str | None, *arms: str) -> Measure:
        """The measure of a study (None: its disparity) if all these arms have it."""
        results = self._results(study)
        given = results.disparity if measure is None else results.measures.get(measure)
        if given is None:
            raise ValueError(f"{study} has no measure {measure}; it has {', '.join(results.measures)}")
        for arm in arms:
            if arm not in given.columns:
                raise ValueError(f"{study} has no {given.name} of {arm}")
        return given

    def _results(self, study: str) -> Results:
        if study not in self._studies:
            raise ValueError(f"there are no results of the study {study}, only of {', '.join(self._studies)}")
        return self._studies[study]


FUNCTIONS = ("value", "difference", "removed", "percent", "p", "verdict", "better", "at_least", "distance", "seeds")
