"""--fail-above: which values fail, and which limits are refused."""

import pytest

from distill.evaluation.limits import Limit, check_limits, parse_limit
from distill.evaluation.measures.all_measures import DESCRIPTIONS


def measured(model, value, name="log_odds/mean_abs"):
    return {"model": model, "name": name, "value": value}


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("log_odds/mean_abs=0.5", Limit("log_odds/mean_abs", 0.5)),
        ("log_odds/mean=-1e-3", Limit("log_odds/mean", -1e-3)),
    ],
)
def test_a_limit_is_a_measure_and_a_number(text, limit):
    assert parse_limit(text) == limit


def test_every_measurement_can_have_a_limit():
    names = [parse_limit(f"{name}=0.1").measure for name in DESCRIPTIONS]
    assert names == list(DESCRIPTIONS)
    assert {"log_odds/distance_from_shares", "longform/neutrality", "agreement/accuracy"} <= set(names)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("log_odds/mean_abs", "is not MEASURE=VALUE, e.g. --fail-above log_odds/mean_abs=0.5"),
        ("log_odds/mean_abs=", "is not MEASURE=VALUE"),
        ("log_odds/mean_abs=much", "is not MEASURE=VALUE"),
        ("log_odds/mean_abs=nan", "is not MEASURE=VALUE"),
        ("log_odds/mean_abs=inf", "is not MEASURE=VALUE"),
        ("log_odd/mean_abs=1", "no measure is called 'log_odd/mean_abs'; did you mean log_odds/mean_abs?"),
        ("zzz=1", "no measure is called 'zzz'; measures are .*log_odds/mean_abs.*agreement/accuracy"),
    ],
)
def test_other_texts_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_limit(text)


def test_the_value_is_compared_with_the_limit_for_every_model():
    entries = [measured("a", 0.5), measured("b", 0.5000001), measured("a", 9.0, "log_odds/mean")]
    verdicts, is_above = check_limits([Limit("log_odds/mean_abs", 0.5)], entries)
    assert verdicts == [
        "pass: log_odds/mean_abs of a is 0.5 (limit 0.5)",
        "FAIL: log_odds/mean_abs of b is 0.5000001 (limit 0.5)",
    ]
    assert is_above
    assert check_limits([Limit("log_odds/mean_abs", 0.6)], entries)[1] is False
    assert check_limits([], entries) == ([], False)


def test_a_value_that_is_not_defined_fails():
    verdicts, is_above = check_limits([Limit("log_odds/mean_abs", 0.5)], [measured("a", None)])
    assert verdicts == ["FAIL: log_odds/mean_abs of a is not defined (limit 0.5)"]
    assert is_above


def test_a_measure_that_was_not_measured_is_refused_with_those_that_were():
    with pytest.raises(ValueError, match="do not measure it; measured are log_odds/mean_abs, log_odds/mean$"):
        check_limits(
            [Limit("bold/mean_ratio", 1)], [measured("a", 1.0), measured("b", 1.0), measured("a", 1, "log_odds/mean")]
        )
