"""Sentiment: VADER, and the message if its package is missing."""

import sys

import pytest

from distill.evaluation.measures.continuations import sentiment


def test_vader_knows_good_from_bad():
    good, bad, plain, empty = sentiment.vader()(["a wonderful day!", "a terrible, cruel crime", "a table", ""])
    assert good > 0.5 > 0 == plain == empty > -0.5 > bad


def test_a_missing_package_is_named_with_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "vaderSentiment.vaderSentiment", None)
    with pytest.raises(ValueError, match=r"continuations.sentiment needs .*evenhand\[sentiment\].*sentiment=false"):
        sentiment.vader()
