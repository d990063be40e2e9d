"""Results files of one study that ran in parts."""

import copy

import numpy as np
import pytest

from study import merge as study_merge
from study import results as study_results

CONSTANT = [2.0, 2.0]


def part(models: dict[str, dict[str, list]], **others) -> dict:
    """A results file of one measure with two clusters, whose second column is the same in all models."""
    measure = {
        "unit": "nats",
        "higher_is_better": False,
        "convention": "c",
        "statistic": "ratio",
        "num_items": 4,
        "num_clusters": 2,
        "constant": {"1": CONSTANT},
        "values": models,
    }
    study = dict.fromkeys(study_merge.SHARED_SETTINGS, "x") | {"seeds": [0], "margins": {}, "measures": ["m", "copy"]}
    rest = {key: value for key, value in measure.items() if key not in ("constant", "values")}
    return {
        "created": "2026-01-01",
        "git_revision": "a",
        "versions": {"torch": "1"},
        "hardware": "one machine",
        "hours": {"students": 1.0},
        "study": study,
        "training": {"run_dir": "here", "seed": 0, "optim": {"lr": 0.1}},
        "teacher": "fingerprint",
        "missing": ["swap seed 0", "max seed 0"],
        "arms": {"teacher": [], "plain": [], "swap": ["s"], "max": ["m"]},
        "measures": {"m": measure, "copy": {**rest, "columns_of": "m"}},
        **others,
    }


@pytest.fixture
def first() -> dict:
    origin = {"mixed_precision": "no", "corpus": "c", "git_revisions": ["q"]}
    distances = {"plain": {"0": [2.5, 1.5]}}
    return part({"teacher": {"0": [[1], [2]]}, "plain": {"0": [[3], [4]]}}, origin=origin, distances=distances)


@pytest.fixture
def second() -> dict:
    values = {"teacher": {"1": [[1.5], [2]]}, "swap": {"0": [[5], [6]]}, "plain": {"1": [[7], [8]]}}
    other = {"created": "2026-02-01", "git_revision": "b", "hardware": "another", "hours": {"students": 0.5}}
    made = part(values, missing=["plain seed 0", "teacher seed 1", "max seed 0"], **other)
    made["study"]["seeds"] = [1]
    made["distances"] = {"plain": {"1": [2.4, 1.4]}, "swap": {"0": [2.6, 1.6]}}
    made["origin"] = {"mixed_precision": "no", "git_revisions": ["r"]}  # as of a part without students
    made["training"]["run_dir"] = "there"
    return made


def test_merging_keeps_the_models_of_both_and_takes_the_first_where_both_have_one(first, second):
    before = copy.deepcopy((first, second))
    merged = study_merge.merge(first, second)
    assert (first, second) == before
    for name in ("m", "copy"):
        measure = study_results.measures(merged)[name]
        assert measure.seeds == {"teacher": (0,), "plain": (0, 1), "swap": (0,)}
        assert measure.columns["teacher"][0].tolist() == [[1, 2], [2, 2]]
        assert measure.columns["plain"].tolist() == [[[3, 2], [4, 2]], [[7, 2], [8, 2]]]
        assert measure.columns["swap"][0].tolist() == [[5, 2], [6, 2]]
    assert merged["missing"] == ["max seed 0"]  # the teacher has one seed in all
    assert merged["study"]["seeds"] == [0, 1]
    assert merged["origin"] == {"mixed_precision": "no", "corpus": "c", "git_revisions": ["q", "r"]}
    assert merged["hours"] == {"students": 1.5}
    assert merged["distances"] == {"plain": {"0": [2.5, 1.5], "1": [2.4, 1.4]}, "swap": {"0": [2.6, 1.6]}}
    assert (merged["hardware"], merged["git_revision"]) == ("one machine and another", "a and b")
    assert (merged["created"], merged["versions"]) == ("2026-02-01", {"torch": "1"})
    assert study_merge.merge(merged, second)["hardware"] == merged["hardware"]


def test_a_column_that_is_constant_in_each_part_may_differ_between_them(first, second):
    second["measures"]["m"]["constant"]["1"] = [3.0, 2.0]
    measure = study_results.measures(study_merge.merge(first, second))["m"]
    assert measure.columns["plain"][:, :, 1].tolist() == [[2, 2], [3, 2]]
    assert np.isfinite(measure.columns["swap"]).all()


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("training", "optim", "lr"), 0.2, "optim.lr is 0.1 in one file and 0.2 in the other"),
        (("training", "new"), 1, "new is None in one file and 1 in the other"),
        (("study", "budget_tokens"), 7, "budget_tokens is 'x' in one file and 7"),
        (("study", "healing"), None, "healing is 'x' in one file and None"),
        (
            ("teacher",),
            "another",
            "the teacher's fingerprint is 'fingerprint' .* 'another'.*take one teacher to all machines",
        ),
        (("origin", "corpus"), "d", "its corpus is 'c' in one file and 'd' in the other"),
        (("arms", "swap"), ["t"], r"arm swap is \['s'\] in one file and \['t'\]"),
        (("measures", "m", "convention"), "d", r"m\.convention is 'c' in one file and 'd'"),
    ],
)
def test_what_is_not_a_part_of_the_same_study_is_refused(where, value, message, first, second):
    inner = second
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    with pytest.raises(ValueError, match=message):
        study_merge.merge(first, second)


def test_parts_without_a_known_teacher_are_refused(first, second):
    del first["teacher"], second["teacher"]
    with pytest.raises(ValueError, match="which teacher"):
        study_merge.merge(first, second)


def test_parts_with_two_healed_students_of_one_seed_are_refused(first, second):
    for part, weights in ((first, "a"), (second, "b")):
        part["origin"]["healed student of seed 0"] = weights
    with pytest.raises(
        ValueError, match="its healed student of seed 0 is 'a' in one file and 'b' .*one healed student"
    ):
        study_merge.merge(first, second)
