"""The texts of one measurement: numbers, intervals, verdicts."""

import pytest

from distill.evaluation.report.cells import cell, in_brackets, in_words, number, verdict, verdict_legend


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [
        (0.12345, False, "0.123"),
        (-0.5, True, "−0.500"),
        (0.5, True, "+0.500"),
        (12.345, False, "12.35"),
        (123.456, False, "123.5"),
        (20345.6, False, "20346"),
        (-0.0001, True, "0.000"),
        (None, False, "–"),
    ],
)
def test_numbers_have_about_three_digits(value, signed, text):
    assert number(value, signed) == text


@pytest.mark.parametrize(
    ("change", "p_holm", "higher_is_better", "expected"),
    [
        (-0.2, 0.01, False, "better"),
        (0.2, 0.01, False, "worse"),
        (0.2, 0.01, True, "better"),
        (-0.2, 0.01, True, "worse"),
        (0.2, 0.01, None, "different"),
        (0.2, 0.05, True, "no clear difference"),
        (0.2, None, True, ""),
    ],
)
def test_verdicts_follow_the_adjusted_p_and_the_direction(
    entry, difference, results, change, p_holm, higher_is_better, expected
):
    compared = entry(difference=difference(change, p_holm), higher_is_better=higher_is_better)
    assert verdict(compared) == expected
    assert verdict(entry()) == ""
    assert f"{cell(compared).symbol} {expected}".strip() in verdict_legend(results([compared]))


def test_a_cell_has_the_texts_of_the_value_and_of_the_difference(entry, difference):
    texts = cell(entry(difference=difference(-0.25, 0.0004) | {"non_inferior": True}))
    assert (texts.value, texts.interval) == ("0.500", "0.400 to 0.600")
    assert (texts.difference, texts.difference_interval) == ("−0.250", "−0.350 to −0.150")
    assert (texts.p, texts.effect, texts.verdict, texts.symbol) == ("< 0.001", "0.200", "better", "▲")
    assert texts.non_inferior == "yes"
    assert in_brackets(texts.difference_interval) == "[−0.350, −0.150]"


def test_a_cell_without_a_comparison_has_no_texts_for_it(entry):
    texts = cell(entry(low=None, high=None))
    assert (texts.value, texts.interval, texts.difference_interval) == ("0.500", "", "")
    assert (texts.p, texts.verdict, texts.symbol, texts.non_inferior) == ("", "", "", "")
    assert in_brackets(texts.interval) == ""


@pytest.mark.parametrize(
    ("change", "p_holm", "higher_is_better", "words"),
    [
        (-0.25, 0.01, False, "better by 0.250 [0.150, 0.350]"),
        (-0.05, 0.01, True, "worse by 0.050 [−0.050, 0.150]"),
        (0.25, 0.01, None, "higher by 0.250 [0.150, 0.350]"),
        (-0.25, 0.01, None, "lower by 0.250 [0.150, 0.350]"),
        (-0.05, 0.5, True, "no clear difference [−0.150, 0.050]"),
        (-0.05, None, True, ""),
    ],
)
def test_words_give_the_verdict_the_size_and_the_interval(entry, difference, change, p_holm, higher_is_better, words):
    assert in_words(entry(difference=difference(change, p_holm), higher_is_better=higher_is_better)) == words
    assert in_words(entry()) == ""
