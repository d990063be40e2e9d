"""The results file of a study: everything that its tables, plots and tests are computed from, small enough to commit.

Schema (schema_version 1):

- schema_version, name, created (UTC), world, versions, git_revision and hardware (of the collecting), origin (what all
  runs were made with: `study.folders.origin_of`), hours (of wall-clock time, summed over jobs by what they did), study
  (its resolved settings), training (the resolved settings that all arms share), teacher (its fingerprint, or its name
  on a hub), missing (the models without results)
- arms: {arm: overrides}, with the teacher, the untrained student and the healed one, if the study heals
- distances: {arm: {seed: [at the first step, at the last]}}, KL(teacher || student) on held-out text in nats per token;
  older files lack it
- measures: {name: {unit, higher_is_better, convention, statistic, num_clusters, num_items, constant, values}}, where
  statistic is a key of `STATISTICS`, values is {arm: {seed: columns}}, columns are [num_clusters][num_varying] numbers,
  and constant is {index: column} for the columns that all models share (counts, a known truth)

Of variants (ARM+VARIANT) the file holds the first two measures and those with a margin. If a measure has the same
columns as an earlier measure, it has columns_of, the name of that measure, instead of constant and values. If a measure
has more than MAX_CLUSTERS clusters, they are added up in random groups, the same in all models. This does not change
any value, because every statistic is computed from sums; only the unit of resampling becomes larger.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distill.evaluation.measures.continuations import group_ratios
from distill.evaluation.measures.published import stereoset
from distill.evaluation.statistics import estimators
from distill.evaluation.statistics.estimators import FloatArray, Statistic
from distill.files import write_text

SCHEMA_VERSION = 1
MAX_CLUSTERS = 64
MAX_BYTES = 1_000_000
NUM_DIGITS = 5
STATISTICS: dict[str, Statistic] = {
    statistic.__name__: statistic
    for statistic in (
        estimators.ratio,
        estimators.exp_ratio,
        estimators.root_ratio,
        estimators.spread,
        estimators.slope,
        estimators.correlation,
        stereoset.icat,
        group_ratios.mean_ratio,
        group_ratios.min_ratio,
        group_ratios.log_ratio,
    )
}


@dataclass(frozen=True, eq=False)  # by identity, so that numbers computed from it can be cached
class Measure:
    """A measure of all models: columns[arm] is [num_seeds, num_clusters, num_columns], seeds[arm] names the seeds.

    margin: how much worse than a reference still counts as not inferior; None if the study does not say.
    """

    name: str
    unit: str
    higher_is_better: bool | None
    statistic: Statistic
    columns: dict[str, FloatArray]
    seeds: dict[str, tuple[int, ...]]
    margin: float | None = None


@dataclass(frozen=True, eq=False)
class Results:
    """A results file that was read. content: as in the schema above. measures: by name, with complete columns."""

    path: Path
    content: dict[str, Any]
    measures: dict[str, Measure]

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.content["name"])

    @property
    def study(self) -> dict[str, Any]:
        """The study's resolved settings."""
        return dict(self.content["study"])

    @property
    def disparity(self) -> Measure:
        """The first measure: what the study is about."""
        return next(iter(self.measures.values()))

    @property
    def cost(self) -> Measure:
        """The second measure: what less disparity costs."""
        return list(self.measures.values())[1]

    @property
    def distances(self) -> dict[str, dict[str, list[float]]]:
        """{arm: {seed: [at the first step, at the last]}}; empty if the file does not have them."""
        return dict(self.content.get("distances", {}))

    @property
    def arms(self) -> list[str]:
        """The models with results, in the order of the study."""
        return [arm for arm in self.content["arms"] if arm in self.disparity.columns]


# -- the file --------------------------------------------------------------------------------------------------------


def write(results: dict[str, Any], path: Path) -> None:
    """Write a results file. Raises ValueError when it is too large to commit."""
    text = json.dumps(results, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text = text.replace('},"', '},\n"').replace('],"', '],\n"') + "\n"
    if len(text.encode()) > MAX_BYTES:
        raise ValueError(
            f"{path} would have {len(text.encode()):,} bytes, more than {MAX_BYTES:,}; name fewer measures"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)


def read(path: Path) -> dict[str, Any]:
    """Read a results file. Raises FileNotFoundError, or ValueError for another file or version."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; write it with python -m study collect CONFIG --out {path}")
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        version = results["schema_version"]
        is_complete = {"study", "measures", "arms"} <= results.keys()
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a results file of a study ({error!r})") from error
    if version != SCHEMA_VERSION or not is_complete:
        raise ValueError(f"{path} has schema_version {version} and not {SCHEMA_VERSION}; collect the study again")
    return results


def load(path: Path) -> Results:
    """Read a results file with its measures. Raises what `read` raises."""
    content = read(path)
    return Results(path, content, measures(content))


# -- a measure as it is stored ---------------------------------------------------------------------------------------


def measures(results: dict[str, Any]) -> dict[str, Measure]:
    """The measures of a results file, with complete columns."""
    stored, margins = results["measures"], results["study"]["margins"]
    return {
        name: read_measure(name, {**stored[measure.get("columns_of", name)], **measure}, margins.get(name))
        for name, measure in stored.items()
    }


def read_measure(name: str, stored: dict[str, Any], margin: float | None = None) -> Measure:
    """Make a measure from its stored form: what `stored_columns` returns, and the description of the measure."""
    constant = {int(index): column for index, column in stored["constant"].items()}

    def complete(varying: Sequence[Sequence[float]]) -> FloatArray:
        given = np.asarray(varying, dtype=np.float64).reshape(stored["num_clusters"], -1)
        columns = np.empty((len(given), given.shape[1] + len(constant)))
        columns[:, [index for index in range(columns.shape[1]) if index not in constant]] = given
        for index, column in constant.items():
            columns[:, index] = column
        return columns

    return Measure(
        name,
        stored["unit"],
        stored["higher_is_better"],
        STATISTICS[stored["statistic"]],
        {
            arm: np.stack([complete(columns) for columns in by_seed.values()])
            for arm, by_seed in stored["values"].items()
        },
        {arm: tuple(map(int, by_seed)) for arm, by_seed in stored["values"].items()},
        margin,
    )


def stored_columns(columns: dict[tuple[str, int], FloatArray]) -> dict[str, Any]:
    """`constant` and `values` of a measure, from the columns [num_clusters, num_columns] of each model."""
    stacked = np.stack(list(columns.values()))
    is_constant = (stacked == stacked[0]).all(axis=(0, 1)) & (len(stacked) > 1)
    values: dict[str, dict[str, Any]] = {}
    for (arm, seed), model_columns in columns.items():
        values.setdefault(arm, {})[str(seed)] = _short(model_columns[:, ~is_constant])
    constant = {str(index): _short(stacked[0][:, index]) for index in np.flatnonzero(is_constant)}
    return {"constant": constant, "values": values}


def without_repeats(complete: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Replace the columns of a measure by `columns_of` if an earlier measure has the same columns."""
    stored: dict[str, dict[str, Any]] = {}
    for name, measure in complete.items():
        columns = {key: measure[key] for key in ("constant", "values")}
        same = [other for other, earlier in stored.items() if {key: earlier.get(key) for key in columns} == columns]
        description = {key: value for key, value in measure.items() if key not in columns}
        stored[name] = {**description, "columns_of": same[0]} if same else measure
    return stored


def grouped(columns: FloatArray) -> FloatArray:
    """Add up clusters in MAX_CLUSTERS random groups if there are more than that."""
    if len(columns) <= MAX_CLUSTERS:
        return columns
    sums = np.zeros((MAX_CLUSTERS, columns.shape[1]))
    # random, because neighbours are often alike, and groups of similar clusters would differ more from each other
    groups = np.random.default_rng(0).permutation(len(columns)) % MAX_CLUSTERS
    np.add.at(sums, groups, columns)
    return sums


def rounded(columns: FloatArray) -> FloatArray:
    """Round numbers to NUM_DIGITS significant digits."""
    return np.vectorize(lambda number: float(f"{number:.{NUM_DIGITS}g}"), otypes=[float])(columns)


def _short(columns: FloatArray) -> Any:
    """Nested lists in which whole numbers are integers."""
    if columns.ndim == 1:
        return [int(number) if number == int(number) else float(number) for number in columns]
    return [_short(row) for row in columns]
