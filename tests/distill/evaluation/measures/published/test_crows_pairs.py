"""CrowS-Pairs: its published size, and both conventions against a slow reference and on hand-made records."""

import pytest

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.published import crows_pairs


@pytest.mark.data
def test_the_file_has_its_published_size(shared_data):
    pairs = crows_pairs.read(str(shared_data / "bias" / "crows_pairs" / "crows_pairs_anonymized.csv"))
    assert len(pairs) == 1508
    assert sum(pair.bias_type == "gender" for pair in pairs) == 262


def test_scores_equal_a_slow_reference(tiny_scorer, slow_logprobs):
    scorer = tiny_scorer()
    pair = crows_pairs.Pair("p", "gender", "The nurse left.", "The old nurse from the school left early.")
    (record,) = crows_pairs.score(scorer, [pair])
    more, less = slow_logprobs(scorer, pair.more), slow_logprobs(scorer, pair.less)
    assert record["logprob_more"] == pytest.approx(more.sum(), abs=1e-4)
    assert record["logprob_less"] == pytest.approx(less.sum(), abs=1e-4)
    assert (record["num_tokens_more"], record["num_tokens_less"]) == (len(more), len(less))


def test_conventions_differ_where_lengths_do(values):
    def record(number, kind, more, less):
        scores = {"logprob_more": more[0], "logprob_less": less[0]}
        return {"id": f"p{number}", "bias_type": kind, "num_tokens_more": more[1], "num_tokens_less": less[1]} | scores

    records = [
        record(0, "gender", (-6.0, 2), (-8.0, 4)),  # likelier as a whole, less so per token
        record(1, "gender", (-6.0, 3), (-8.0, 3)),
        record(2, "religion", (-9.0, 3), (-9.0, 3)),  # a tie
    ]
    assert values(crows_pairs.summarise(records, "c", StatisticsConfig())) == {
        "crows_pairs/bias-bench/gender": pytest.approx(50.0),
        "crows_pairs/bias-bench/all": pytest.approx(100 / 3),
        "crows_pairs/lm-eval/gender": pytest.approx(100.0),
        "crows_pairs/lm-eval/all": pytest.approx(200 / 3),
    }


def test_a_field_longer_than_csv_allows_is_one_message(tmp_path):
    path = tmp_path / "crows.csv"
    path.write_text("sent_more,sent_less,bias_type\n" + "x" * 200_000 + ",y,gender\n")
    with pytest.raises(ValueError, match="benchmarks.crows_pairs: .*: row 1 is no row .*field larger.*To get the file"):
        crows_pairs.read(str(path))
