"""The sample of edits: uniform, reproducible, shown in context."""

from collections import Counter

from augment import swap
from benchmarks.sample_edits import in_context, sample_edits

TEXTS = ["He met her brother.", "Nothing here.", "The king left.\nShe stayed."]


def test_a_sample_larger_than_the_corpus_is_every_edit_in_order():
    expected = [(text, edit) for text in TEXTS for edit in swap(text).edits]
    assert len(expected) == 5
    assert sample_edits(TEXTS, 100, seed=1) == expected


def test_every_edit_is_drawn_equally_often():
    drawn = Counter(edit.source for seed in range(4000) for _, edit in sample_edits(TEXTS, 2, seed))
    assert len(drawn) == 5
    assert all(abs(count / 4000 - 2 / 5) < 0.03 for count in drawn.values())


def test_an_edit_is_shown_in_its_context_on_one_line():
    text = TEXTS[2]
    king, she = swap(text).edits
    assert in_context(text, king) == "The [king -> queen] left. / She stayed."
    assert in_context(text, she, before=4, after=2) == "ft. / [She -> He] s"
