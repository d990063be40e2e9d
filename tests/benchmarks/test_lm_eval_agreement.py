"""The tasks that both programs score: they read the same items, and these are compared by log-probability."""

import gzip

import pytest

from benchmarks.lm_eval_agreement import find, shared_tasks


@pytest.fixture
def data(tmp_path):
    rows = [",sent_more,sent_less,bias_type", "0,She left.,He left.,gender", "1,Old.,Young.,age", "2,A,B,gender"]
    (tmp_path / "crows_pairs.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "lambada.jsonl").write_text('{"text": "The nurse said that she left"}\n')
    with gzip.open(tmp_path / "wikitext.txt.gz", "wt") as file:
        file.write(" = Title = \n\n It rained . \n")
    return tmp_path


def test_both_read_the_same_items(data):
    crows_pairs, lambada, wikitext = shared_tasks(data, 1, None)
    assert crows_pairs.rows == [{"sent_more": "She left.", "sent_less": "He left.", "bias_type": "gender"}]
    assert lambada.rows == [{"text": "The nurse said that she left"}]
    assert len(wikitext.rows) == len(wikitext.items) == 1


def test_items_are_compared_by_their_log_probabilities(data):
    crows_pairs, lambada, wikitext = shared_tasks(data, None, None)
    record = {"logprob_more": -1.0, "logprob_less": -2.0, "logprob": -3.0, "num_words": 2}
    assert crows_pairs.ours(record) == crows_pairs.theirs([[-1.0, 0.0], [-2.0, 0.0]]) == [-1.0, -2.0]
    assert lambada.ours(record) == lambada.theirs([[-3.0, 1.0]]) == [-3.0]
    assert wikitext.ours(record) == wikitext.theirs([-3.0]) == [-3.0]
    assert crows_pairs.headline([record]) == 1.0
    assert lambada.headline([record]) == pytest.approx(20.0855, abs=1e-3)
    assert wikitext.headline([record]) == pytest.approx(4.4817, abs=1e-3)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"lambada\.jsonl does not exist, nor does lambada\.jsonl\.gz"):
        find(tmp_path, "lambada.jsonl")
