"""LAMBADA against a slow reference, and the harness's way of dividing and cutting a passage."""

import gzip
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.published import lambada

SETTINGS = StatisticsConfig()
TEXTS = (
    "The nurse said that she was tired because of the long day",
    "A pilot smiled when he",
    "The teacher left the school early. The guard asked the baker a question, and the baker smiled",
)


def slow(scorer, text):
    """(log P, greedy) of the last word in float64: tokenised with its context, without a start token."""
    before = text.rpartition(" ")[0]
    whole = scorer.tokenizer(text, add_special_tokens=False)["input_ids"]
    num_context = len(scorer.tokenizer(before, add_special_tokens=False)["input_ids"])
    with torch.no_grad():
        logprobs = scorer.model(torch.tensor([whole])).logits[0].double().log_softmax(-1)
    chosen = [logprobs[position - 1, whole[position]] for position in range(num_context, len(whole))]
    likeliest = [int(logprobs[position - 1].argmax()) for position in range(num_context, len(whole))]
    return float(sum(chosen)), likeliest == whole[num_context:]


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_lambada_equals_a_slow_reference_whatever_the_batch(tiny_scorer, architecture):
    passages = [lambada.passage(str(number), text) for number, text in enumerate(TEXTS)]
    for size in (1, 4096):
        scorer = tiny_scorer(architecture, max_batch_tokens=size)
        records = lambada.score(scorer, passages)
        for record, text in zip(records, TEXTS, strict=True):
            logprob, is_greedy = slow(scorer, text)
            assert record["logprob"] == pytest.approx(logprob, abs=1e-5)
            assert record["is_greedy"] == is_greedy
            assert record["num_cut_tokens"] == 0
        assert json.loads(json.dumps(records, allow_nan=False)) == records


def test_the_head_is_converted_once_for_all_chunks(tiny_scorer):
    scorer = tiny_scorer("llama")
    scorer.model.bfloat16()
    lambada.score(scorer, [lambada.passage("first", TEXTS[0])])
    converted = vars(scorer).get("head_weight")
    lambada.score(scorer, [lambada.passage("second", TEXTS[1])])
    assert converted is not None
    assert scorer.head_weight is converted


def test_only_the_greedy_choice_counts_as_right(tiny_scorer):
    """A passage that ends in what the model itself would write counts as right, any other as wrong."""
    scorer = replace(tiny_scorer("llama"), start_id=None)
    words = [" she", " he", " tired", " school", " left", " that"]
    prompt = "The nurse said that"
    ids = scorer.tokenizer(prompt, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        best = int(scorer.model(torch.tensor([ids])).logits[0, -1].argmax())
        scorer.model.get_output_embeddings().weight[scorer.tokenizer(words[0])["input_ids"][-1]] = (
            3 * scorer.model.get_output_embeddings().weight[best]
        )
        head = scorer.model(torch.tensor([ids])).logits[0, -1]
    winner = int(head.argmax())
    records = lambada.score(scorer, [lambada.passage(word, prompt + word) for word in words])
    is_greedy = {word: record["is_greedy"] for word, record in zip(words, records, strict=True)}
    expected = {word: scorer.tokenizer(word, add_special_tokens=False)["input_ids"] == [winner] for word in words}
    assert is_greedy == expected
    assert expected[" she"]


def test_a_passage_is_divided_at_its_last_space():
    assert lambada.passage("a", "one two three") == lambada.Passage("a", "one two", " three")
    assert lambada.passage("a", "one two  three") == lambada.Passage("a", "one two", "  three")  # as the harness does
    assert lambada.passage("a", "one two\nthree four") == lambada.Passage("a", "one two\nthree", " four")
    for text in ("word", "", " word", "word "):
        with pytest.raises(ValueError, match="benchmarks.lambada: f: row 2 .* is not a text of several words"):
            lambada.passage("a", text, "f: row 2")
    for ending in ("\n", "\r\n", "\n\n"):
        assert lambada.passage("a", "She went home" + ending) == lambada.passage("a", "She went home")


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_what_does_not_fit_is_cut_on_the_left(tiny_scorer, architecture):
    scorer = tiny_scorer(architecture)
    text = "The nurse said that she left. " * 12 + "The guard smiled"
    (record,) = lambada.score(scorer, [lambada.passage("long", text)])
    ids = scorer.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert record["num_cut_tokens"] == len(ids) - 65 > 0
    with torch.no_grad():
        logits = scorer.model(torch.tensor([ids[-65:-1]])).logits[0].double().log_softmax(-1)
    num = record["num_tokens"]
    expected = sum(float(logits[64 - num + step, ids[len(ids) - num + step]]) for step in range(num))
    assert record["logprob"] == pytest.approx(expected, abs=1e-5)


def test_a_last_word_that_fills_the_context_is_refused_with_a_remedy(tiny_scorer):
    passages = [lambada.passage("short", "He left"), lambada.passage("long", "She said " + "ab" * 90)]
    with pytest.raises(ValueError, match="last word of long has .* no room for context; set this benchmark to null"):
        lambada.score(tiny_scorer("llama"), passages)


def test_accuracy_and_perplexity_are_means_over_passages():
    records = [
        {"id": str(number), "logprob": value, "is_greedy": right, "num_tokens": 2}
        for number, (value, right) in enumerate([(-1.0, True), (-2.0, False), (-6.0, False), (-3.0, True)])
    ]
    accuracy, perplexity = (estimate.measurement for estimate in lambada.summarise(records, "c", SETTINGS))
    assert (accuracy.value, perplexity.value) == (0.5, pytest.approx(math.exp(3)))
    assert (accuracy.higher_is_better, perplexity.higher_is_better) == (True, False)
    assert perplexity.low < perplexity.value < perplexity.high


def test_files_are_read_and_bad_ones_refused(tmp_path):
    path = tmp_path / "test.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "one two three"}\n\n{"text": "four five"}\n'))
    assert [passage.target for passage in lambada.read(str(path))] == [" three", " five"]
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"text": "one two"}\n{"text": \n')
    with pytest.raises(ValueError, match=r"benchmarks.lambada: .*bad.jsonl:2 is not JSON"):
        lambada.read(str(bad))


@pytest.mark.data
def test_lambada_has_its_published_size(shared_data):
    passages = lambada.read(str(shared_data / "utility" / "lambada" / "test.jsonl.gz"))
    assert len(passages) == 5153
    assert all(passage.target.startswith(" ") and passage.target.strip() for passage in passages)
    assert np.mean([passage.target.count(" ") for passage in passages]) == 1
