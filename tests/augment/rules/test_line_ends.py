"""Words broken by a hyphen at the end of a line are swapped whole, or not at all."""

import pytest

from augment import swap


@pytest.mark.parametrize(
    ("original", "counterfactual"),
    [
        ("A wo-\nman saw him.", "A man saw her."),
        ("Two fe-\n   males saw her.", "Two males saw him."),
        ("His grand-\r\nmother hurt him-\r\nself.", "Her grand-\r\nfather hurt her-\r\nself."),
        ("Her ex-\nhusband and step-\nson left.", "His ex-\nwife and step-\ndaughter left."),
        ("A self-made-\nman spoke.", "A self-made-\nwoman spoke."),
        ("A Ger-\nman was tal-\nking.", "A Ger-\nman was tal-\nking."),
        ("The his-\ntory of a king-\ndom by ot-\nher people", "The his-\ntory of a king-\ndom by ot-\nher people"),
        ("The wait-\ning\nwoman sat.", "The wait-\ning\nman sat."),
    ],
)
def test_broken_words(original, counterfactual):
    pair = swap(original)
    assert pair.counterfactual == counterfactual
    assert pair.reverse().counterfactual == original
