"""Perplexity: windows by hand, likelihoods against slow references, conventions."""

import math

import numpy as np
import pytest
import torch

from distill.evaluation.config import PerplexityConfig, StatisticsConfig
from distill.evaluation.measures import perplexity

SETTINGS = StatisticsConfig()
DOCUMENTS = [
    "The nurse said that she was tired because the ward was full.",
    "A pilot left early.",
    "The old teacher from the school near the river smiled when the bell rang, and everybody went home for the day.",
]


def scored(start, num_tokens, window, stride):
    """[(index, the inputs that it saw)] of every scored token of a text 0, 1, ..."""
    seen = []
    for row, targets in perplexity.windows(start, list(range(num_tokens)), window, stride):
        assert len(row.input_ids) <= window
        for position, target, index in zip(row.positions, row.targets, targets, strict=True):
            assert target == index
            seen.append((int(index), list(row.input_ids[: position + 1])))
    return seen


def test_windows_with_a_start_token_score_every_token_once():
    for num_tokens in range(14):
        for window in (2, 3, 5):
            for stride in range(1, window + 1):
                seen = scored([-1], num_tokens, window, stride)
                assert [index for index, _ in seen] == list(range(num_tokens))
                for index, inputs in seen:
                    assert inputs == list(range(-1, num_tokens))[index + 1 - len(inputs) : index + 1]
                    assert len(inputs) >= min(index + 1, window - stride + 1)


def test_windows_without_a_start_token_are_those_of_the_hugging_face_documentation():
    for num_tokens in range(1, 14):
        for window in (2, 3, 5):
            for stride in range(1, window + 1):
                expected, previous_end = [], 0
                for begin in range(0, num_tokens, stride):
                    end = min(begin + window, num_tokens)
                    expected += [(i, list(range(begin, i))) for i in range(max(previous_end, begin + 1), end)]
                    previous_end = end
                    if end == num_tokens:
                        break
                assert scored([], num_tokens, window, stride) == expected


def slow_logprobs(scorer, text_ids, window):
    """The log-probability of each token, in float64, given the start token and everything before it (no windows)."""
    ids = [*scorer.start, *text_ids]
    assert len(ids) - 1 <= window
    with torch.no_grad():
        logprobs = scorer.model(torch.tensor([ids[:-1]])).logits[0].double().log_softmax(-1)
    return logprobs[torch.arange(len(ids) - 1), torch.tensor(ids[1:])].numpy()


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_single_documents_equal_a_slow_reference(tiny_scorer, by_name, architecture):
    scorer = tiny_scorer(architecture)
    records = perplexity.score(scorer, DOCUMENTS, PerplexityConfig())
    encoded = scorer.tokenizer(DOCUMENTS, add_special_tokens=False)["input_ids"]
    slow = [slow_logprobs(scorer, ids, 64) for ids in encoded]
    for record, ids, logprobs, document in zip(records, encoded, slow, DOCUMENTS, strict=True):
        assert record["logprob"] == pytest.approx(logprobs.sum(), abs=1e-4)
        assert record["num_scored_tokens"] == record["num_tokens"] == len(ids)
        assert record["num_words"] == len(document.split())
    measured = by_name(perplexity.summarise(records, "w", "t", SETTINGS))
    total = np.concatenate(slow)
    assert measured["perplexity/token-stride"].value == pytest.approx(math.exp(-total.mean()), rel=1e-5)
    assert measured["log_perplexity/token-stride"].value == pytest.approx(-total.mean(), rel=1e-5)
    num_words = sum(len(document.split()) for document in DOCUMENTS)
    assert measured["perplexity/word"].value == pytest.approx(math.exp(-total.sum() / num_words), rel=1e-5)
    assert measured["perplexity/token-stride"].num_items == len(total)
    assert measured["perplexity/token-stride"].convention == "t"
    assert measured["perplexity/word"].convention == "w"


@pytest.mark.parametrize("bos", [True, False])
def test_joined_text_equals_windows_over_the_joined_ids(tiny_scorer, bos):
    scorer = tiny_scorer(bos=bos)
    config = PerplexityConfig(separator=" - ", window=8, stride=5)
    records = perplexity.score(scorer, DOCUMENTS, config)
    ids = scorer.tokenizer(" - ".join(DOCUMENTS), add_special_tokens=False)["input_ids"]
    total, count = 0.0, 0
    for row, _ in perplexity.windows(scorer.start, ids, 8, 5):
        with torch.no_grad():
            logprobs = scorer.model(torch.tensor([list(row.input_ids)])).logits[0].double().log_softmax(-1)
        total += sum(float(logprobs[p, t]) for p, t in zip(row.positions, row.targets, strict=True))
        count += len(row.targets)
    assert sum(record["logprob"] for record in records) == pytest.approx(total, abs=1e-3)
    assert sum(record["num_scored_tokens"] for record in records) == count == len(ids) - (not bos)
    assert sum(record["num_tokens"] for record in records) == len(ids)
    names = {e.measurement.name for e in perplexity.summarise(records, "w", "t", SETTINGS)}
    assert ("perplexity/word" in names) == bos  # without a start token some words are not scored


def test_tokens_of_a_joined_text_belong_to_the_document_they_end_in(tiny_scorer):
    scorer = tiny_scorer()
    records = perplexity.score(scorer, ["The nurse", "smiled when", "he left"], PerplexityConfig(separator=". "))
    joined = scorer.tokenizer("The nurse. smiled when. he left", add_special_tokens=False)["input_ids"]
    assert scorer.tokenizer.convert_ids_to_tokens(joined) == [
        "The",
        "Ġnurse",
        ".",
        "Ġsmiled",
        "Ġwhen",
        ".",
        "Ġhe",
        "Ġleft",
    ]
    assert [record["num_tokens"] for record in records] == [3, 3, 2]


def test_a_long_document_is_scored_in_windows(tiny_scorer):
    scorer = tiny_scorer()
    long = " ".join(DOCUMENTS * 8)
    (record,) = perplexity.score(scorer, [long], PerplexityConfig())
    assert record["num_scored_tokens"] == len(scorer.tokenizer(long, add_special_tokens=False)["input_ids"]) > 64
    (other,) = perplexity.score(tiny_scorer(max_batch_tokens=1), [long], PerplexityConfig())
    assert other["logprob"] == pytest.approx(record["logprob"], abs=1e-3)


def test_windows_that_do_not_fit_are_refused(tiny_scorer):
    with pytest.raises(ValueError, match="window = 65, but the model's context is 64"):
        perplexity.score(tiny_scorer(), DOCUMENTS, PerplexityConfig(window=65))
    with pytest.raises(ValueError, match="stride = 9 is larger than the window of 8.*to at most 8"):
        perplexity.score(tiny_scorer(), DOCUMENTS, PerplexityConfig(window=8, stride=9))
    short = perplexity.score(tiny_scorer(bos=False), ["A"], PerplexityConfig())  # in a chunk of its own, perhaps
    with pytest.raises(ValueError, match="no token could be scored"):
        perplexity.summarise(short, "c", "t", SETTINGS)
