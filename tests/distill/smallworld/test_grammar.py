"""The small world's grammar: a table of rules must be complete."""

import pytest

from distill.smallworld.clauses import SHARED_RULES
from distill.smallworld.grammar import Grammar


def test_grammar_refuses_an_unknown_rule() -> None:
    with pytest.raises(ValueError, match=r"'setting' refers to 'nowhere'"):
        Grammar({**SHARED_RULES, "setting": ("it was [nowhere]",)})
