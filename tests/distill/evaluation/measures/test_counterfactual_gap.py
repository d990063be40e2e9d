"""The counterfactual gap against a slow reference, and on models for which it is known."""

import numpy as np
import pytest
import torch

from augment.lexicon import load_lexicon
from distill.data.packing import PairedExample
from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures import counterfactual_gap as gap
from distill.loss.gender_classes import gender_classes

SETTINGS = StatisticsConfig()
DOCUMENTS = [
    "The nurse said that she was tired because her brother was late.",
    "Nobody came.",
    "A man and his daughter walked home. He smiled when the actress told him a story about the old king.",
    "The teacher left early.",
    "She left.",
    "The baron smiled.",  # his tokens are the first of the baroness's
]


@pytest.fixture(scope="module")
def lexicon():
    return load_lexicon()


def next_probabilities(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0, -1].double().softmax(-1).numpy()


def slow_carry(other, own, classes):
    """M p' by its definition, class by class."""
    result = other.copy()
    groups = [[int(classes.ids[m]) for m in row if m < len(classes.ids)] for row in classes.members]
    for number, group in enumerate(groups):
        mass = sum(other[token] for token in groups[int(classes.partner[number])])
        for token in group:
            result[token] = mass * own[token] / sum(own[member] for member in group)
    return result


def slow_gap(scorer, pair, classes):
    variations = []
    ids, cf_ids = pair.input_ids.tolist(), pair.cf_input_ids.tolist()
    for position, partner in enumerate(pair.align.tolist()):
        if partner < 0 or ids[: position + 1] == cf_ids[: partner + 1]:
            continue
        own = next_probabilities(scorer.model, ids[: position + 1])
        other = next_probabilities(scorer.model, cf_ids[: partner + 1])
        variations.append(np.abs(own - slow_carry(other, own, classes)).sum() / 2)
    likelihoods = [
        sum(np.log(next_probabilities(scorer.model, view[:i])[view[i]]) for i in range(1, len(view)))
        for view in (ids, cf_ids)
    ]
    return variations, likelihoods


@pytest.mark.parametrize(
    ("architecture", "max_batch_tokens"),
    [("gpt2", 1), ("llama", 64), pytest.param("gpt2", 4096, marks=pytest.mark.slow)],
)
def test_gap_equals_a_slow_reference(tiny_scorer, lexicon, by_name, architecture, max_batch_tokens, monkeypatch):
    scorer = tiny_scorer(architecture, max_batch_tokens=max_batch_tokens)
    if max_batch_tokens == 64:
        monkeypatch.setattr("distill.evaluation.scoring.logprobs.MAX_LOGITS", 3 * len(scorer.tokenizer))
    pairs = gap.swapped_pairs(DOCUMENTS, scorer.tokenizer, lexicon, scorer.start)
    assert [number for number, _ in pairs] == [0, 2, 4, 5]  # the others hold no gendered term
    classes = gender_classes(scorer.tokenizer, lexicon)
    records = gap.score(scorer, pairs, classes)
    all_variations, per_token = [], []
    for record, (number, pair) in zip(records, pairs, strict=True):
        variations, (own, other) = slow_gap(scorer, pair, classes)
        assert record["id"] == f"document/{number}"
        assert record["num_positions"] == len(variations) > 0
        assert record["total_variation"] == pytest.approx(sum(variations), abs=1e-4)
        assert record["logprob"] == pytest.approx(own, abs=1e-4)
        assert record["cf_logprob"] == pytest.approx(other, abs=1e-4)
        all_variations += variations
        per_token.append(abs(own - other) / ((len(pair.input_ids) + len(pair.cf_input_ids) - 2) / 2))
    measured = by_name(gap.summarise(records, "c", SETTINGS))
    assert measured["counterfactual_gap/total_variation"].value == pytest.approx(np.mean(all_variations), abs=1e-5)
    assert measured["counterfactual_gap/total_variation"].num_items == len(all_variations)
    assert measured["counterfactual_gap/log_likelihood"].value == pytest.approx(np.mean(per_token), abs=1e-5)
    assert 0 < measured["counterfactual_gap/total_variation"].value < 1


def test_a_model_that_ignores_its_input_and_has_parity_has_no_gap(tiny_scorer, lexicon):
    scorer = tiny_scorer("gpt2")
    with torch.no_grad():
        for parameter in scorer.model.parameters():
            parameter.zero_()  # every prediction is uniform
    pairs = gap.swapped_pairs(DOCUMENTS, scorer.tokenizer, lexicon, scorer.start)
    classes = gender_classes(scorer.tokenizer, lexicon)
    one_to_one = [pair for pair in pairs if pair[0] == 4]
    for estimate in gap.summarise(gap.score(scorer, one_to_one, classes), "c", SETTINGS):
        # not zero: a class of two terms has twice the mass of a counterpart with one, and M exchanges the masses
        assert estimate.measurement.value < 0.02
    assert gap.summarise(gap.score(scorer, one_to_one, classes), "c", SETTINGS)[1].measurement.value == 0


def test_positions_before_the_first_swap_are_not_compared():
    pair = PairedExample(np.array([9, 1, 2, 3, 4]), np.array([9, 1, 7, 8, 3, 4]), np.array([0, 1, -1, 4, 5]))
    assert gap.compared_positions(pair).tolist() == [3, 4]
    same = PairedExample(np.array([9, 1]), np.array([9, 1]), np.array([0, 1]))
    assert gap.compared_positions(same).tolist() == []


def test_a_long_document_is_cut_at_the_context(tiny_scorer, lexicon):
    scorer = tiny_scorer()
    long = " ".join([DOCUMENTS[2]] * 6)
    pairs = gap.swapped_pairs([long], scorer.tokenizer, lexicon, scorer.start)
    assert len(pairs[0][1].input_ids) > 64
    (record,) = gap.score(scorer, pairs, gender_classes(scorer.tokenizer, lexicon))
    assert 50 < record["num_tokens"] <= 63
    assert 50 < record["num_cf_tokens"] <= 63
    assert 0 < record["num_positions"] <= 63


def test_a_cut_ends_both_views_at_one_word():
    pair = PairedExample(np.array([9, 1, 2, 3, 4, 5]), np.array([9, 1, 7, 8, 3, 4, 5]), np.array([0, 1, -1, 4, 5, 6]))
    assert gap.cut_pair(pair, 7) is pair
    for limit, ends in ((6, (5, 6)), (5, (4, 5)), (4, (2, 2)), (1, (1, 1))):  # tokens 2 and 7 8 are one word
        cut = gap.cut_pair(pair, limit)
        assert (len(cut.input_ids), len(cut.cf_input_ids)) == ends
        assert cut.align.tolist() == pair.align[: ends[0]].tolist()


def test_a_document_whose_first_gendered_word_is_beyond_the_context_is_in_neither_measure(tiny_scorer, lexicon, values):
    scorer = tiny_scorer()
    documents = [" ".join([DOCUMENTS[1]] * 40) + " " + DOCUMENTS[0], DOCUMENTS[4]]
    pairs = gap.swapped_pairs(documents, scorer.tokenizer, lexicon, scorer.start)
    records = gap.score(scorer, pairs, gender_classes(scorer.tokenizer, lexicon))
    assert [record["num_positions"] > 0 for record in records] == [False, True]
    assert values(gap.summarise(records, "c", SETTINGS)) == values(gap.summarise(records[1:], "c", SETTINGS))
    assert gap.summarise(records, "c", SETTINGS)[1].measurement.num_items == 1


def test_text_without_gendered_terms_is_refused(tiny_scorer, lexicon):
    scorer = tiny_scorer()
    with pytest.raises(ValueError, match="none of the documents holds a gendered term"):
        gap.swapped_pairs(["Nobody came."], scorer.tokenizer, lexicon, scorer.start)
