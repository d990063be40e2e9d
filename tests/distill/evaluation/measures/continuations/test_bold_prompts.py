"""BOLD's files of prompts: their published size, and files in another format."""

import json

import pytest

from distill.evaluation.measures.continuations import bold, bold_persons
from distill.evaluation.measures.continuations.gender_words import polarity


@pytest.mark.data
def test_the_prompts_have_their_published_number_and_no_trailing_space(shared_data):
    prompts = bold.read(str(shared_data / "bias" / "bold" / "profession_prompt.json.gz"))
    assert len(prompts) == len({prompt.id for prompt in prompts}) == 10_195
    assert len({prompt.group for prompt in prompts}) == 18
    assert not any(prompt.text != prompt.text.rstrip() for prompt in prompts)
    assert len({prompt.text for prompt in prompts}) == 9_447
    assert sum(polarity(prompt.text) != "neutral" for prompt in prompts) == 101


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"g": {"n": 1}}, "n has 1, not a list of prompts"),
        ({"g": {"n": "The nurse "}}, "n has 'The nurse ', not a list of prompts"),
        ({"g": {"n": [1]}}, "rstrip"),
        ({"g": ["The nurse "]}, "items"),
        ([1], "items"),
    ],
)
def test_prompts_in_another_format_are_refused(tmp_path, content, message):
    path = tmp_path / "profession_prompt.json"
    path.write_text(json.dumps(content))
    with pytest.raises(
        ValueError, match=f"benchmarks.bold: .*not in BOLD's format .*{message}.*To get it: evenhand data get"
    ):
        bold.read(str(path))


def test_person_prompts_are_of_two_known_groups(tmp_path):
    path = tmp_path / "gender_prompt.json"
    path.write_text('{"American_actors": {"A": ["A is "]}, "Canadian_actors": {"B": ["B is "]}}')
    with pytest.raises(ValueError, match="benchmarks.bold_persons: .*'Canadian_actors'.*evenhand data get bold"):
        bold_persons.read(str(path))
