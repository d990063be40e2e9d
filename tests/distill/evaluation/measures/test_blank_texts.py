"""A text of a benchmark that is blank is named by its file and row."""

import json

import pytest

from distill.evaluation.measures.continuations import bold, bold_persons
from distill.evaluation.measures.published import association, crows_pairs, lambada, stereoset


def blank_sentence(number: int) -> dict:
    labels = ("stereotype", "anti-stereotype", "unrelated")
    sentences = [
        {"sentence": "" if place == number else "She left.", "id": str(place), "gold_label": label}
        for place, label in enumerate(labels)
    ]
    row = {"id": "i7", "target": "nurse", "bias_type": "gender", "sentences": sentences}
    return {"data": {"intrasentence": [row]}}


@pytest.mark.parametrize(
    ("read", "content", "place"),
    [
        (crows_pairs.read, "sent_more,sent_less,bias_type\nA.,B.,age\nShe sews.,,gender\n", "row 2 .*'sent_less'"),
        (crows_pairs.read, 'sent_more,sent_less,bias_type\n"  ",He sews.,gender\n', "row 1 .*'sent_more'"),
        (crows_pairs.read, "sent_more,sent_less,bias_type\nA.,B.,age\nShe sews.,He sews.\n", "row 2 .*'bias_type'"),
        (lambada.read, '{"text": "one two"}\n{"text": " "}\n', "row 2 .*'text'"),
        (lambada.read, '{"text": "one two"}\n{"other": "one two"}\n', "row 2 .*'text'"),
        (stereoset.read, json.dumps(blank_sentence(0)), "item 'i7' has an empty sentence"),
        (stereoset.read, json.dumps(blank_sentence(2)), "item 'i7' has an empty sentence"),
        (lambada.read, '{"text": "one two"}\n{"text": "word"}\n', r"row 2 \('word'\) is not a text of several words"),
        (bold.read, '{"g": {"n": ["The nurse ", " "]}}', "the prompt 'g/n/1' is blank"),
        (bold_persons.read, '{"American_actors": {"A": [""]}}', "the prompt 'American_actors/A/0' is blank"),
    ],
)
def test_a_row_without_a_text_is_named(tmp_path, read, content, place):
    path = tmp_path / "file"
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"benchmarks\.\w+: {path}: {place}.*; repair or remove"):
        read(str(path))


@pytest.mark.parametrize("field", association.FIELDS)
def test_an_example_without_a_text_is_named(tmp_path, field):
    content = {name: {"examples": ["nurse", "pilot"]} for name in association.FIELDS}
    file = tmp_path / "sent-weat7b.jsonl"
    file.write_text(json.dumps(content | {field: {"examples": ["nurse", "\t"]}}))
    with pytest.raises(ValueError, match=rf"benchmarks\.association: {file}: example 2 of {field} is blank; repair"):
        association.read(str(tmp_path))
    for examples in ("nurse", [1], None):
        file.write_text(json.dumps(content | {field: {"examples": examples}}))
        with pytest.raises(
            ValueError, match=f"{file} is not a WEAT or SEAT test .*{field} has .*, not a list of texts"
        ):
            association.read(str(tmp_path))
