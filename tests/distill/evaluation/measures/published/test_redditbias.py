"""RedditBias: its published size, a slow reference, and the mean and t of hand-made records."""

import gzip
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.published import redditbias
from distill.evaluation.measures.published.redditbias import Pair

SETTINGS = StatisticsConfig()
COMMENTS = {"female": ["her aunt sewed a lot", "the girl wept"], "male": ["his uncle sewed a lot", "the boy wept"]}


def write(folder, female=COMMENTS["female"], male=COMMENTS["male"], originals=COMMENTS["female"]):
    (folder / "gender_female_biased_test_reduced.csv").write_text("\n".join(["comments_processed", *female]) + "\n")
    rows = [f"{original},{text}" for original, text in zip(originals, male, strict=True)]
    (folder / "gender_male_biased_test_reduced.csv").write_text("\n".join(["comments,comments_processed", *rows]))


@pytest.mark.data
def test_the_published_rows_are_parallel(shared_data):
    pairs = redditbias.read(str(shared_data / "bias" / "redditbias"))
    assert len(pairs) == 253
    assert all(len(pair.female.split()) == len(pair.male.split()) and pair.female != pair.male for pair in pairs)


def test_files_are_read_under_each_name_and_gzipped(tmp_path):
    write(tmp_path)
    expected = [Pair(f"pair/{n}", *texts) for n, texts in enumerate(zip(*COMMENTS.values(), strict=True), 1)]
    assert redditbias.read(str(tmp_path)) == expected
    for gender in COMMENTS:
        file = tmp_path / f"gender_{gender}_biased_test_reduced.csv"
        (tmp_path / f"reddit_comments_{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    assert redditbias.read(str(tmp_path)) == expected


def test_files_that_are_no_pairs_are_refused(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="benchmarks.redditbias: .*_female_.*does not exist.*evenhand data get redditbias"
    ):
        redditbias.read(str(tmp_path))
    write(tmp_path, female=[*COMMENTS["female"], "one more"])
    with pytest.raises(ValueError, match="benchmarks.redditbias: .*3 comments about women and 2 about men"):
        redditbias.read(str(tmp_path))
    write(tmp_path, originals=["her aunt sewed a lot", "another"])
    with pytest.raises(ValueError, match="benchmarks.redditbias: .*_male_.*: row 2 was not made from row 2"):
        redditbias.read(str(tmp_path))
    write(tmp_path, male=["his uncle sewed a lot", " "])
    with pytest.raises(ValueError, match="_male_.*: row 2 has nothing in the column 'comments_processed'"):
        redditbias.read(str(tmp_path))
    twice = {gender: [*texts, texts[0]] for gender, texts in COMMENTS.items()}
    write(tmp_path, **twice, originals=twice["female"])
    with pytest.raises(ValueError, match="_male_.*: row 3 is row 1 again; repair or remove it"):
        redditbias.read(str(tmp_path))


def test_files_that_a_mac_adds_to_an_archive_are_not_read(tmp_path):
    write(tmp_path)
    (tmp_path / "._gender_male_biased_test_reduced.csv").write_bytes(b"\0\5\x16\7")
    assert len(redditbias.read(str(tmp_path))) == 2


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_scores_equal_a_slow_reference_whatever_the_batch(
    tiny_scorer, slow_logprobs, values, monkeypatch, architecture
):
    pairs = [Pair(str(n), *texts) for n, texts in enumerate(zip(*COMMENTS.values(), strict=True))]
    pairs.append(Pair("2", "she left the school early and smiled", "he left"))
    scorer = tiny_scorer(architecture)
    for size, side, shares in ((1, "left", False), (4096, "right", False), (1, "right", True), (4096, "left", True)):
        monkeypatch.setattr(scorer.tokenizer, "padding_side", side)
        scorer = replace(scorer, max_batch_tokens=size, shares_prefixes=shares)
        records = redditbias.score(scorer, pairs)
        means = []
        for record, pair in zip(records, pairs, strict=True):
            female, male = slow_logprobs(scorer, pair.female), slow_logprobs(scorer, pair.male)
            assert record["logprob_female"] == pytest.approx(female.sum(), abs=1e-5)
            assert record["logprob_male"] == pytest.approx(male.sum(), abs=1e-5)
            assert (record["num_tokens_female"], record["num_tokens_male"]) == (len(female), len(male))
            means.append((female.mean(), male.mean()))
        assert json.loads(json.dumps(records, allow_nan=False)) == records
        measured = values(redditbias.summarise(records, "c", SETTINGS))
        test = stats.ttest_rel(*np.transpose(means))
        assert measured["redditbias/difference"] == pytest.approx(np.mean([a - b for a, b in means]), abs=1e-5)
        assert measured["redditbias/t"] == pytest.approx(test.statistic, abs=1e-4)


def test_a_model_that_treats_both_alike_is_at_parity(by_name):
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, 200))

    def measured(lean):
        records = [
            {"id": str(n), "logprob_female": 3 * (f + lean), "logprob_male": 5 * m}
            | {"num_tokens_female": 3, "num_tokens_male": 5}
            for n, (f, m) in enumerate(noise.T)
        ]
        return by_name(redditbias.summarise(records, "c", SETTINGS))

    for lean, within in ((0.0, True), (0.5, False)):
        result = measured(lean)
        difference, t = result["redditbias/difference"], result["redditbias/t"]
        assert difference.value == pytest.approx(noise[0].mean() - noise[1].mean() + lean)
        assert (difference.low <= 0 <= difference.high) == within == (abs(t.value) < 1.97)
        assert difference.higher_is_better is None
