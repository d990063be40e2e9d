"""The time of a swap grows with the length of a text, not with its square, whatever the text looks like."""

import time

import pytest

from augment import swap
from augment.audit import audit

PLAIN = "the ship sank and she drifted while my mother told the crew that his wife had seen her groom at the wedding "
KINDS = {
    "no mark": PLAIN,
    "headline": "Queen Of The Hill Meets An Old Man Of The Long Valley Road While Her Brother Sings A Song ",
    "no blank": PLAIN.replace(" ", ","),
    "slashes": PLAIN.replace(" ", "/"),
    "tags": '<li class="c"><b>her</b> aunt<a href="/w/s.html">he</a> Miss Ott</li>',
    "handles": "@she",
    "fences": "she ``` he ",
    "entities": "&amp;his&lt;of a long line of things that&lt;",
    "bare titles": "Miss Ott sang ",
    "offices": "Madam President sang ",
    "stables": "the groom said that it was late and that the road was long ",
    "ships": "ship ship ship ship she sank ",
    "counterparts": "a hero and a heroine of the long and winding road ",
    "kept names": "Batman lost most of the long list of things that were his ",
    "JSON": '{"her":"Ann","she":3},',
}


def seconds(text: str) -> float:
    """Processor time of a swap, the shorter of two."""
    taken = []
    for _ in range(2):
        started = time.process_time()
        swap(text)
        taken.append(time.process_time() - started)
    return min(taken)


@pytest.mark.parametrize("kind", KINDS)
def test_time_grows_with_the_length_of_a_text(kind):
    unit = KINDS[kind]
    short = unit * (6_000 // len(unit))
    swap(short)  # fills the caches
    assert seconds(short * 6) < 14 * seconds(short) + 0.02  # 36 times if it grew with the square


@pytest.mark.parametrize("word", ["Miss", "King", "Her", "his", "mother", "Lord", "man"])
def test_a_long_run_of_one_character_costs_no_more(word):
    for character in (" ", "\t", "\n", "\xa0", ".", "-", "_", "A", "'"):
        started = time.process_time()
        swap(f"{word}{character * 50_000}x {word} {character * 50_000}Y")
        assert time.process_time() - started < 2  # it takes a hundredth of that; with the square, a minute


def test_a_long_text_is_audited_in_the_same_time_per_word():
    text = "the nurse said that he met her " * 3000
    started = time.process_time()
    result = audit([text])
    assert time.process_time() - started < 10  # it takes half a second; with the square, a minute
    assert result.occupations["nurse"] == pytest.approx([24_000, 24_000], rel=0.01)  # within 120 characters, of 31 each
