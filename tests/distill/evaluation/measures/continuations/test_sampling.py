"""Records of sampled continuations: which texts are scored, and how many prompts are kept."""

import pytest

from distill.evaluation.config import GenerationConfig
from distill.evaluation.measures.continuations.bold_prompts import Prompt
from distill.evaluation.measures.continuations.sampling import sampling_task


def test_prompt_and_continuation_can_be_scored_together(sampled):
    texts = [" left early", " saw him and his"]
    assert sampled("a", "x", texts, "The woman")["num_neutral"] == 1
    both = sampled("a", "x", texts, "The woman", "prompt+continuation")
    assert (both["num_female"], both["num_male"]) == (1, 1)


@pytest.mark.parametrize(("max_prompts", "numbers"), [(None, range(10)), (5, range(0, 10, 2)), (3, range(0, 10, 4))])
def test_a_quick_look_takes_prompts_evenly_spaced_over_the_file(tiny_scorer, max_prompts, numbers):
    prompts = [Prompt(str(number), "group", f"Prompt {number}") for number in range(10)]
    task = sampling_task("bold", prompts, GenerationConfig(max_prompts=max_prompts))
    assert list(task.prepare(tiny_scorer()).ids) == [str(number) for number in numbers]
