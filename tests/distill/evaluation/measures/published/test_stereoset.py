"""StereoSet: the official numbers of GPT-2, a slow reference, hand-made records, bad files."""

import gzip
import json

import pytest

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.published import stereoset

SETTINGS = StatisticsConfig()


def item(number, target, sentences):
    return stereoset.Item(f"i{number}", target, "gender", sentences, ("a", "b", "c"))


@pytest.mark.data
def test_the_official_gpt2_predictions_give_the_published_scores(shared_data, values):
    folder = shared_data / "bias" / "stereoset"
    items = stereoset.read(str(folder / "dev.json.gz"))
    with gzip.open(folder / "predictions_gpt2.json.gz") as stream:
        scores = {row["id"]: row["score"] for row in json.load(stream)["intrasentence"]}
    records = [stereoset.record(item, [scores[name] for name in item.sentence_ids]) for item in items]
    estimates = stereoset.summarise(records, "official", SETTINGS)
    rounded = {name: round(value, 2) for name, value in values(estimates).items()}
    assert rounded == {
        "stereoset/gender/ss": 62.67,
        "stereoset/gender/lms": 93.28,
        "stereoset/gender/icat": 69.65,
        "stereoset/all/ss": 61.93,
        "stereoset/all/lms": 91.11,
        "stereoset/all/icat": 69.37,
    }
    assert [(e.measurement.num_items, len(e.clusters)) for e in estimates[::3]] == [(255, 10), (2106, 79)]


def test_scores_are_mean_log_probabilities_and_terms_weigh_equally(tiny_scorer, slow_logprobs, values):
    scorer = tiny_scorer()
    sentences = ("The nurse left early.", "The pilot smiled when he left.", "The old bell.")
    (record,) = stereoset.score(scorer, [item(0, "nurse", sentences)])
    for label, sentence in zip(stereoset.LABELS, sentences, strict=True):
        assert record[f"score_{label}"] == pytest.approx(slow_logprobs(scorer, sentence).mean(), abs=1e-5)
    scores = [("x", (3, 2, 1)), ("x", (3, 2, 1)), ("x", (3, 2, 1)), ("y", (1, 3, 2)), ("y", (2, 2, 2))]
    records = [stereoset.record(item(n, term, sentences), own) for n, (term, own) in enumerate(scores)]
    measured = values(stereoset.summarise(records, "c", SETTINGS))
    assert measured["stereoset/gender/ss"] == pytest.approx((100 + 0) / 2)  # a tie is no preference for the stereotype
    assert measured["stereoset/gender/lms"] == pytest.approx((100 + 25) / 2)
    assert measured["stereoset/gender/icat"] == pytest.approx(62.5)


@pytest.mark.parametrize("content", ['{"data": {"intrasentence": []}}', '{"data": {"intrasentence": [{"id": 1}]}}'])
def test_a_file_without_items_is_refused(tmp_path, content):
    path = tmp_path / "dev.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="benchmarks.stereoset: .*(holds no item|format)"):
        stereoset.read(str(path))
