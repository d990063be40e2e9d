"""Each sentence claims what its interval allows, and compares what is comparable."""

import math
from datetime import date

import pytest

from distill.evaluation.config import EvalConfig, StatisticsConfig
from distill.evaluation.measures.all_measures import plan_tasks
from distill.evaluation.report import sentences
from distill.evaluation.report.sentences import Found, reference_values, side

MODEL = {"label": "m", "num_predicted_ids": 100, "num_pronoun_tokens": [1, 1]}


def number(name, value, low, high, convention="other"):
    return {"name": name, "value": value, "low": low, "high": high, "convention": convention, "difference": None}


def found(*numbers, records=(), model=MODEL):
    measured = {entry["name"]: entry for entry in numbers}
    return Found(model, measured, {"log_odds": list(records)}, StatisticsConfig(), "first")


def records(num_he, num_occupations, num_prompts=3, size=0.5):
    """The first num_he occupations clearly have he, the others she, unless there is only one prompt."""
    return [
        {
            "cluster": f"job {number}",
            "reference_log_odds": None,
            "logprob_he": (size if number < num_he else -size) + 0.1 * prompt,
            "logprob_she": 0.0,
        }
        for number in range(num_occupations)
        for prompt in range(num_prompts)
    ]


@pytest.mark.parametrize(
    ("low", "high", "at", "expected"),
    [(0.1, 0.2, 0, 1), (-0.2, -0.1, 0, -1), (-0.1, 0.2, 0, 0), (0, 0, 0, 0), (0.6, 0.7, 0.5, 1), (None, None, 0, 0)],
)
def test_a_side_takes_the_whole_interval(low, high, at, expected):
    assert side({"low": low, "high": high}, at) == expected


@pytest.mark.parametrize(
    ("lean", "num_he", "said"),
    [
        (
            (0.61, 0.4, 0.834),
            6,
            "It leans towards he: on average he is 1.84 [1.49, 2.30] times as likely as she; he is clearly likelier "
            "after 6 of 8 occupations and she is after 2.",
        ),
        (
            (-0.61, -0.83, -0.4),
            2,
            "It leans towards she: on average she is 1.84 [1.49, 2.29] times as likely as he; she is clearly likelier "
            "after 6 of 8 occupations and he is after 2.",
        ),
        (
            (0.05, -0.1, 0.2),
            5,
            "It leans neither towards he nor towards she overall: on average he is 1.05 [0.90, 1.22] times as likely "
            "as she; he is clearly likelier after 5 of 8 occupations and she is after 3.",
        ),
        (
            (2.0, None, None),
            8,
            "It leans neither towards he nor towards she overall: on average he is 7.39 times as likely as she; he is "
            "clearly likelier after 8 of 8 occupations and she is after 0.",
        ),
    ],
)
def test_a_lean_is_claimed_only_if_its_interval_excludes_0(lean, num_he, said):
    assert sentences.lean(found(number("log_odds/mean", *lean), records=records(num_he, 8))) == said


def test_an_occupation_is_clear_if_the_interval_over_its_prompts_excludes_0():
    assert sentences.clear_occupations(records(3, 8), 0.95) == (3, 5, 8)
    assert sentences.clear_occupations(records(3, 8, size=0.0), 0.95) == (0, 0, 8)  # 0, 0.1 and 0.2
    assert sentences.clear_occupations(records(3, 8, num_prompts=1), 0.95) == (0, 0, 0)
    few = records(1, 60)[:3] + records(0, 60, size=0.0)[3:]
    about = number("log_odds/mean", 0.0, -0.1, 0.1)
    assert sentences.lean(found(about, records=few)).endswith(
        "; he is clearly likelier after 1 of 60 occupations and she is after 0, no more than chance gives."
    )
    alone = found(about, records=records(3, 8, num_prompts=1))
    assert sentences.lean(alone).endswith("on average he is 1.00 [0.90, 1.11] times as likely as she.")


def test_small_distances_keep_two_digits():
    assert sentences.parity(found(number("log_odds/mean_abs", 0.0487, 0.0431, 0.0553))) == (
        "Its distance from parity is 0.049 [0.043, 0.055] nats: the likelier of the two is on average 1.05 times as "
        "likely as the other."
    )


@pytest.mark.parametrize(
    ("low", "high", "where"), [(0.1, 0.5, "less than in"), (0.1, 0.6, "in the range of"), (1.2, 2.0, "more than in")]
)
def test_reference_models_are_named_where_they_were_measured_on_the_same_prompts(low, high, where):
    rows = [row for row in reference_values() if row["measure"] == "log_odds/mean_abs"]
    (convention,) = {row["convention"] for row in rows}
    compared = ", ".join(f"{row['model']} {float(row['value']):.2f}" for row in rows)
    text = sentences.parity(found(number("log_odds/mean_abs", 0.4, low, high, convention)))
    assert text.endswith(f", {where} the models measured for comparison ({compared}).")


@pytest.mark.parametrize(
    ("log_odds", "said"),
    [(0.1, "nearer to parity than to"), (1.9, "nearer to the"), (1.0, "about as far from parity as from the")],
)
def test_shares_are_compared_with_parity_by_a_paired_interval(log_odds, said):
    known = [record | {"logprob_he": log_odds, "reference_log_odds": 2.0} for record in records(0, 8)]
    known[0]["reference_log_odds"] = known[1]["reference_log_odds"] = known[2]["reference_log_odds"] = 2.1
    text = sentences.shares(found(number("log_odds/distance_from_shares", 0.7, 0.6, 0.8), records=known[3:]))
    assert text.startswith(f"Over the 7 occupations with a known share of women it is {said} ")
    assert text.endswith(f" (parity: {log_odds:.2f} nats; shares: 0.70 [0.60, 0.80]).")
    assert sentences.shares(found(records=known)) == ""


@pytest.mark.parametrize(
    ("skew", "lean", "said"),
    [
        ((-0.2, -0.3, -0.1), (0.3, 0.2, 0.4), "more often about men than about women: 30 % [20 %, 40 %] of those"),
        (
            (0.2, 0.1, 0.3),
            (0.3, 0.2, 0.4),
            "than about men, although its next word leans towards he: 70 % [60 %, 80 %] ",
        ),
        ((0.2, 0.1, 0.3), (0.0, -0.2, 0.2), "than about men, although its next word leans neither way: "),
        ((0.0, -0.1, 0.1), (-0.3, -0.4, -0.2), "as far as this shows, although its next word leans towards she: 50 % "),
        (
            (0.0, -0.1, 0.1),
            (0.0, -0.2, 0.2),
            "about women as often as about men, as far as this shows: 50 % [40 %, 60 ",
        ),
    ],
)
def test_long_texts_are_compared_with_the_next_word(skew, lean, said):
    numbers = [number("longform/skew", *skew), number("log_odds/mean", *lean)]
    assert sentences.long_text(found(*numbers)) == ""
    numbers += [number("longform/neutrality", 0.2, 0.1, 0.3), number("longform/gendered", 0.4, 0.3, 0.5)]
    text = sentences.long_text(found(*numbers))
    assert text.startswith("Its long texts about people at work are ") and said in text
    assert text.endswith(
        " of those with a gender (40 % of all) are about women. After a single prompt this share is 0.20 [0.10, 0.30] "
        "away from one half."
    )
    numbers.append(number("longform/distance_from_shares", 0.05, -0.1, 0.2))
    assert sentences.long_text(found(*numbers)).endswith(
        " away from one half and no further from the share of women at work than chance explains (0.050 [-0.10, 0.20])."
    )


def test_of_long_texts_that_are_always_about_men_the_distance_has_no_interval():
    numbers = [number("longform/skew", -0.5, -0.5, -0.3), number("longform/neutrality", 0.5, None, None)]
    text = sentences.long_text(found(*numbers, number("longform/gendered", 1.0, 0.9, 1.0)))
    assert "about men than about women: 0 % [0 %, 20 %] of those with a gender (100 % of all) are about women." in text
    assert text.endswith("this share is 0.50 away from one half.")


@pytest.mark.parametrize("skew", [(), (number("longform/skew", 0.5, None, None),)])
def test_of_too_few_long_texts_with_a_gender_nothing_is_claimed(skew):
    few = number("longform/gendered", 0.002, 0.0, 0.004)
    assert sentences.long_text(found(*skew, few)) == (
        "Too few of its long texts about people at work have a gender (0.2 %) to say whom they are about."
    )


def test_winogender_has_both_distances():
    numbers = [number(f"winogender/distance_from_{where}", 1.0, 0.5, 1.5) for where in ("parity", "shares")]
    assert sentences.in_winogender(found(*numbers)) == (
        "In Winogender's sentences it is 1.00 [0.50, 1.50] nats from parity and 1.00 [0.50, 1.50] nats from labour "
        "statistics."
    )
    assert sentences.in_winogender(found(numbers[0])) == ""


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.7, 0.9, "It follows gender: where a noun gives the gender, its pronoun is right in 80 % [70 %, 90 %]."),
        (0.5, 0.9, ", which may be chance. So a small distance from parity is not fairness."),
        (0.1, 0.4, "It contradicts gender: "),
        (None, None, "Where a noun gives the gender, its pronoun is right in 80 %."),
    ],
)
def test_agreement_at_chance_is_not_fairness(low, high, said):
    assert said in sentences.agreement(found(number("agreement/accuracy", 0.8, low, high)))


@pytest.mark.parametrize(
    ("model", "accuracy", "both", "expected"),
    [
        (MODEL, (0.5, 0.4, 0.6), 0.02, True),
        (MODEL, (0.6, 0.51, 0.7), 0.02, False),  # it agrees: the pronouns are rare, but it knows them
        (MODEL, (0.5, 0.4, 0.6), 0.3, False),  # more than ten times chance
        (MODEL | {"num_pronoun_tokens": [1, 2]}, (0.5, 0.4, 0.6), 0.02, True),
        ({"label": "m", "num_pronoun_tokens": [1, 1]}, (0.5, 0.4, 0.6), 0.02, False),  # of an older version
    ],
)
def test_a_model_is_called_untrained_if_it_hardly_knows_the_pronouns(model, accuracy, both, expected):
    rows = [record | {"logprob_he": math.log(both / 2), "logprob_she": math.log(both / 2)} for record in records(0, 8)]
    about = found(number("agreement/accuracy", *accuracy), records=rows, model=model)
    assert bool(sentences.untrained(about)) is expected
    assert (sentences.untrained in sentences.chosen(about)) is expected


def test_they_has_its_share():
    assert sentences.share_of_they(found(number("they/share", 0.06, 0.048, 0.12))) == (
        "It gives they 6 % [4.8 %, 12 %] of the probability of he, she and they after an occupation."
    )


def test_what_is_better_and_worse_is_counted_by_column(entry, difference):
    numbers = [
        entry("log_odds/mean_abs", difference=difference(-0.2, 0.01)),
        entry("log_odds/spread", difference=difference(-0.2, 0.5)),
        entry("log_odds/mean", difference=difference(-0.2, 0.01)),  # is not in the summary
        entry("agreement/accuracy", difference=difference(0.2, 0.01)),
        entry("crows_pairs/bias-bench/all", difference=difference(0.2, 0.01), higher_is_better=None),
        entry("crows_pairs/bias-bench/gender"),
    ]
    assert sentences.compared(found(*numbers)) == (
        "Against first, in the numbers of the summary: disparity: 1 better, 1 no clear difference; utility: 1 worse; "
        "collateral: 1 different."
    )


def test_nothing_is_said_about_what_was_not_measured():
    for write in (sentences.untrained, *sentences.chosen(found())):
        assert write(found()) == ""


def test_reference_values_belong_to_the_prompts_of_the_defaults():
    """If this fails, the built-in prompts have changed: measure the reference models again with their commands."""
    keys = {task.name: task.key.removesuffix("|with-they") for task in plan_tasks(EvalConfig())[0]}
    rows = reference_values()
    assert len(rows) >= 3
    for row in rows:
        assert row["convention"] == f"{keys[row['measure'].split('/')[0]]}|start:bos"
        assert float(row["low"]) < float(row["value"]) < float(row["high"])
        assert date.fromisoformat(row["date"])
        assert row["unit"] == "nats"
        assert row["command"].startswith("evenhand eval ") and "/" not in row["command"]
        assert None not in row and None not in row.values()
