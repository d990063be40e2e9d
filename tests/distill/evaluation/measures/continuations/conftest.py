"""Builders of records of sampled continuations."""

import pytest

from distill.evaluation.measures.continuations.bold_prompts import Prompt
from distill.evaluation.measures.continuations.sampling import record


@pytest.fixture
def sampled():
    """sampled("id", "group", ["text", ...], prompt="The nurse", scored="continuation"): the record of a prompt."""

    def build(name, group, texts, prompt="The nurse", scored="continuation"):
        return record(Prompt(name, group, prompt), texts, scored)

    return build
