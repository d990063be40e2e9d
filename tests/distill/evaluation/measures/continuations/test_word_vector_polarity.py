"""gender-max and gender-wavg: closed forms, hard debiasing against the published procedure, file formats."""

import bz2
import gzip
import math
import struct

import numpy as np
import pytest

from augment.lexicon import load_lexicon
from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.continuations import word_vector_polarity as polarity

# a header and then no valid stream
CORRUPT_GZIP = gzip.compress(b"", mtime=0)[:10] + b"\xff" * 40

# he and she lie symmetrically about the first axis; the direction she - he is the second axis
VECTORS = {
    "he": (0.6, -0.8, 0.0),
    "she": (0.6, 0.8, 0.0),
    "man": (0.0, -2.0, 0.0),
    "woman": (0.0, 1.0, 1.0),
    "nurse": (1.0, 1.0, 0.0),
    "the": (1.0, 0.0, 0.0),
    "He": (9.0, 9.0, 9.0),
}


def text_file(path, header=False):
    lines = [f"{word} {' '.join(map(str, vector))}" for word, vector in VECTORS.items()]
    path.write_text("\n".join([f"{len(VECTORS)} 3"] * header + lines) + "\n")
    return path


def test_words_with_spaces_in_them_are_read(tmp_path):
    plain = text_file(tmp_path / "v.txt")
    with plain.open("a") as file:
        file.write("at name@domain.com 0.1 -2 3e-1\n. . . 1 2 3\n 4 5 6\n")
    assert polarity.read(str(plain), None) == polarity.read(str(text_file(tmp_path / "w.txt")), None)
    with plain.open("rb") as stream:
        *_, (first, _), (second, vector), (empty, _) = polarity._text(stream)
    assert (first, second, empty, vector.tolist()) == ("at name@domain.com", ". . .", "", [1, 2, 3])


def test_debiased_vectors_are_taken_as_they_are(tmp_path):
    biases = polarity.read(str(text_file(tmp_path / "v.txt")), None)
    assert biases == pytest.approx(
        {"he": -0.8, "she": 0.8, "man": -1.0, "woman": 1 / math.sqrt(2), "nurse": 1 / math.sqrt(2)}
    )


def test_hard_debiasing_neutralises_and_equalises(tmp_path):
    """A pair becomes nu +- sqrt(1 - |nu|^2) g: vectors of length 1 that are opposite along g and equal otherwise."""
    biases = polarity.read(str(text_file(tmp_path / "v.txt")), load_lexicon())
    man, woman = (np.array(VECTORS[word]) / np.linalg.norm(VECTORS[word]) for word in ("man", "woman"))
    direction = np.array([0.0, 1.0, 0.0])
    mean = (man + woman) / 2
    nu = mean - (mean @ direction) * direction
    expected = math.sqrt(1 - nu @ nu)
    assert biases == pytest.approx({"he": -0.8, "she": 0.8, "man": -expected, "woman": expected})


def test_a_word_of_two_pairs_belongs_to_the_first_and_the_others_keep_their_cosine():
    vectors = {word: np.array(VECTORS[word]) / np.linalg.norm(VECTORS[word]) for word in ("he", "she", "man", "woman")}
    direction = np.array([0.0, 1.0, 0.0])
    biases = polarity.hard_debiased(vectors, [("he", "she"), ("man", "she"), ("gentleman", "woman")], direction)
    assert (biases["he"], biases["she"]) == pytest.approx((-0.8, 0.8))
    assert (biases["man"], biases["woman"]) == pytest.approx((-1.0, 1 / math.sqrt(2)))


def test_polarities_of_a_text_have_their_closed_form():
    biases = {"he": -0.3, "woman": 0.5, "actress": 0.4, "king": -0.5}
    assert polarity.polarities("He saw the woman.", biases) == pytest.approx((0.5, (0.25 - 0.09) / 0.8))
    assert polarity.polarities("The actress, a woman.", biases) == pytest.approx((0.5, (0.25 + 0.16) / 0.9))
    assert polarity.polarities("King and woman", biases) == pytest.approx((-0.5, 0.0))  # the first of equals
    assert polarity.polarities("Nothing here.", biases) == (0.0, 0.0)
    assert polarity.polarities("", biases) == (0.0, 0.0)
    assert [polarity.label(value) for value in (-0.25, -0.249, 0.249, 0.25)] == ["male", "neutral", "neutral", "female"]


def test_ratios_by_both_polarities(by_name):
    biases = {"he": -0.3, "she": 0.3, "queen": 0.9}
    texts = {"x": ["he is", "she is", "he was"], "y": ["he and he and he and the queen", "she", ""]}
    records = [
        polarity.record(
            {"id": name, "group": name, "scored": "continuation", "prompt": "", "continuations": own}, biases
        )
        for name, own in texts.items()
    ]
    measured = by_name(polarity.summarise(records, "c", StatisticsConfig()))
    # x: two male, one female by both; y: two female by gender-max; by gender-wavg (0.81 - 0.27) / 1.8 = 0.3 too
    for kind in polarity.KINDS:
        assert measured[f"bold/{kind}/mean_ratio"].value == pytest.approx(0.25)
        assert measured[f"bold/{kind}/log_ratio"].value == pytest.approx(math.log(2 / 3))
        assert measured[f"bold/{kind}/gendered"].value == pytest.approx(5 / 6)
        assert measured[f"bold/{kind}/mean_ratio"].convention == f"{kind}|c"


def binary_file(path):
    body = b"".join(word.encode() + b" " + struct.pack("<3f", *vector) + b"\n" for word, vector in VECTORS.items())
    path.write_bytes(f"{len(VECTORS)} 3\n".encode() + body)
    return path


def test_all_formats_give_the_same(tmp_path):
    plain = text_file(tmp_path / "glove.txt")
    files = [plain, text_file(tmp_path / "word2vec.txt", header=True), binary_file(tmp_path / "v.bin")]
    for suffix, compress in ((".gz", gzip.compress), (".bz2", bz2.compress)):
        files.append(tmp_path / f"glove.txt{suffix}")
        files[-1].write_bytes(compress(plain.read_bytes()))
        files.append(tmp_path / f"v.bin{suffix}")
        files[-1].write_bytes(compress((tmp_path / "v.bin").read_bytes()))
    files.append(tmp_path / "marked.txt")
    files[-1].write_bytes(b"\xef\xbb\xbf" + plain.read_bytes())  # a byte-order mark before "he"
    for file in files:
        assert polarity.read(str(file), None) == pytest.approx(polarity.read(str(plain), None), abs=1e-6)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("v.txt", b"he 1 2 3\nshe 1 2\n", "line 2 has 2 numbers"),
        ("v.txt", b"man 1 2\nwoman 2 1\n", "no vectors of he and she"),
        ("v.txt", b"", "no vectors of he and she"),
        ("v.txt", b"he one two\n", "could not convert"),
        ("v.bin", b"2 3\nhe " + struct.pack("<2f", 1, 2), "ends in the middle"),
        ("v.bin", b"2 2\nhe " + struct.pack("<2f", 1, 2) + b"\n", "ends before the last of its words"),
        ("v.bin", b"2 2\nhe " + struct.pack("<2f", 1, 2) + b"\nsh", "ends before the last of its words"),
        ("v.txt.gz", CORRUPT_GZIP, "invalid"),
        ("v.txt.gz", b"no gzip", "Not a gzipped file"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"continuations.word_vectors: .*{message}.*curl"):
        polarity.read(str(path), None)
    with pytest.raises(FileNotFoundError, match=r"continuations.word_vectors: .*gone.txt does not exist.*curl"):
        polarity.read(str(tmp_path / "gone.txt"), None)


@pytest.mark.data
def test_real_vectors_are_on_the_right_side(shared_data):
    biases = polarity.read(str(shared_data / "embeddings" / "glove.6B.50d.top50k.txt.bz2"), load_lexicon())
    assert all(biases[word] < 0 for word in ("he", "him", "his", "man", "father", "king", "actor", "guy"))
    assert all(biases[word] > 0 for word in ("she", "her", "woman", "mother", "queen", "actress", "gal"))
    assert not {"nurse", "engineer", "the", "table"} & set(biases)
    assert all(biases[he] == -biases[she] for he, she in (("he", "she"), ("man", "woman"), ("king", "queen")))
