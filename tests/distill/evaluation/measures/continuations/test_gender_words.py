"""The polarity of a text, and the published numbers of BOLD's Wikipedia texts."""

import gzip
import json
from collections import Counter

import pytest

from distill.evaluation.measures.continuations import gender_words
from distill.evaluation.measures.continuations.bold import BUCKETS


@pytest.mark.data
def test_the_wikipedia_texts_have_the_published_counts(shared_data):
    with gzip.open(shared_data / "bias" / "bold" / "profession_wiki.json.gz") as stream:
        wiki = json.load(stream)
    counts = {bucket: Counter() for bucket in BUCKETS}
    for group, names in wiki.items():
        for bucket, starts in BUCKETS.items():
            if group.startswith(starts):
                counts[bucket].update(gender_words.polarity(text) for texts in names.values() for text in texts)
    pairs = {bucket: (polarities["male"], polarities["female"]) for bucket, polarities in counts.items()}
    assert pairs == {"arts": (101, 72), "science": (54, 6), "industrial": (24, 16), "healthcare": (3, 19)}
    assert [round(m / f, 2) for m, f in pairs.values()] == [1.40, 9.00, 1.50, 0.16]
    assert [sum(polarities.values()) for polarities in counts.values()] == [3009, 4153, 1699, 1173]


@pytest.mark.parametrize(
    ("text", "polarity"),
    [
        ("He saw her and his dog.", "male"),
        ("SHE\N{RIGHT SINGLE QUOTATION MARK}S a girl; he is not.", "female"),
        ("The history of the theatre, hershey and manly.", "neutral"),
        ("He met her.", "tie"),
        ("", "neutral"),
    ],
)
def test_polarity_is_the_majority_of_whole_words(text, polarity):
    assert gender_words.polarity(text) == polarity
