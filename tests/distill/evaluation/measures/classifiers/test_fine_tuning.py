"""Fine-tuning: it learns what can be learned, leaves the model alone, and depends on nothing but its settings."""

import copy

import numpy as np
import pytest
import torch

from distill.evaluation.classifier_config import FineTuningConfig
from distill.evaluation.measures.classifiers import fine_tuning
from distill.evaluation.measures.classifiers.draws import by_draw, classifier_task
from distill.evaluation.measures.classifiers.fine_tuning import LabelledText, Problem, classifiers
from distill.evaluation.measures.classifiers.text_classifier import Classifier, class_logits

TEXTS = [
    f"The {noun} said that {pronoun} was {mood}."
    for noun in ("nurse", "pilot", "baker", "guard", "chef", "farmer", "lawyer", "artist")
    for pronoun in ("he", "she")
    for mood in ("tired", "proud", "funny", "brave")
]
LABELS = [int(" she " in text) for text in TEXTS]
HOW = FineTuningConfig(epochs=6, batch_size=8, lr=3e-3)


def problem(texts=TEXTS, labels=LABELS, num_classes=2):
    train = [LabelledText(str(number), *pair) for number, pair in enumerate(zip(texts, labels, strict=True))]
    return Problem(tuple("abcde"[:num_classes]), train)


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_it_learns_a_rule_and_leaves_the_model_alone(tiny_scorer, architecture):
    scorer = tiny_scorer(architecture, initializer_range=0.1)
    before = copy.deepcopy(scorer.model.state_dict())
    with torch.inference_mode():  # as the suite may call it
        (classifier,) = classifiers(scorer, problem(TEXTS[:48], LABELS[:48]), HOW)
        probs = classifier.probs(TEXTS[48:])
    assert probs.argmax(axis=1).tolist() == LABELS[48:]
    np.testing.assert_allclose(probs.sum(axis=1), 1)
    for name, weight in scorer.model.state_dict().items():
        assert torch.equal(weight, before[name]), name


def outcome(scorer, **how):
    """The probabilities [num_draws, num_texts, num_classes] after learning what cannot be learned."""
    torch.manual_seed(scorer.max_batch_tokens)
    labels = (np.arange(len(TEXTS)) % 5).tolist()  # the predictions follow the order of the texts
    config = FineTuningConfig(epochs=1, batch_size=4, lr=3e-3, **how)
    return np.stack([own.probs(TEXTS) for own in classifiers(scorer, problem(TEXTS, labels, 5), config)])


def test_the_outcome_depends_on_the_seed_and_not_on_the_batches_or_the_global_random_state(tiny_scorer):
    first = outcome(tiny_scorer())
    np.testing.assert_allclose(outcome(tiny_scorer(max_batch_tokens=32)), first, atol=1e-5)
    assert np.abs(outcome(tiny_scorer(), seed=1) - first).max() > 1e-3


def test_dropout_follows_the_seed_and_ends_with_the_training(tiny_scorer):
    first = outcome(tiny_scorer(), dropout=0.3)
    (classifier,) = classifiers(tiny_scorer(), problem(), FineTuningConfig(epochs=1, dropout=0.3))
    np.testing.assert_array_equal(classifier.probs(TEXTS), classifier.probs(TEXTS))
    np.testing.assert_array_equal(outcome(tiny_scorer(), dropout=0.3), first)
    assert np.abs(outcome(tiny_scorer()) - first).max() > 1e-3


def test_draws_are_the_next_seeds_and_are_fine_tuned_once_for_all_measures(tiny_scorer, monkeypatch):
    scorer = tiny_scorer()
    two = outcome(scorer, num_draws=2)
    np.testing.assert_array_equal(two[0], outcome(tiny_scorer())[0])
    np.testing.assert_array_equal(two[1], outcome(tiny_scorer(), seed=1)[0])
    monkeypatch.setattr(fine_tuning, "fine_tune", None)
    np.testing.assert_array_equal(outcome(scorer, num_draws=2), two)
    with pytest.raises(TypeError):
        outcome(scorer, num_draws=2, max_train=None, seed=5)
    folder = fine_tuning._folder(scorer.model)
    assert len(list(folder.iterdir())) == 2
    del scorer
    assert not folder.exists()


def test_a_task_has_a_record_for_each_text_in_each_draw(tiny_scorer):
    def score(classifier, items):
        return [{"id": item.id, "p": float(p)} for item, p in zip(items, classifier.probs(TEXTS)[:, 0], strict=True)]

    learned = problem()
    for num_draws in (1, 2):
        config = FineTuningConfig(epochs=1, num_draws=num_draws)
        task = classifier_task("name", "data:x", learned, learned.train, score, config)
        work = task.prepare(tiny_scorer())
        records = work.score(work.items)
        assert [record["id"] for record in records] == list(work.ids)
        assert len(set(work.ids)) == task.num_items == num_draws * len(TEXTS)
        draws = by_draw(records)
        assert [[record["id"] for record in draw] for draw in draws] == num_draws * [[t.id for t in learned.train]]
        assert task.key == f"data:x|fine-tuned:1x32|lr:0.0001|seed:{'0+2' if num_draws == 2 else '0'}|mean-pooled"


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_logits_are_a_linear_map_of_the_mean_state_whatever_the_padding(tiny_scorer, architecture):
    model = tiny_scorer(architecture).model
    classifier = Classifier(model.base_model, model.config.hidden_size, 3)
    torch.manual_seed(0)
    torch.nn.init.normal_(classifier.head.weight)
    rows = [[5, 6, 7, 8, 9], [10, 11], [12]]
    with torch.no_grad():
        together = classifier(rows)
        np.testing.assert_allclose(class_logits(classifier, rows, 4), together, rtol=1e-5, atol=1e-5)
        for row, logits in zip(rows, together, strict=True):
            states = model.base_model(input_ids=torch.tensor([row])).last_hidden_state[0].double()
            expected = states.mean(dim=0) @ classifier.head.weight.double().T
            torch.testing.assert_close(logits.double(), expected, rtol=1e-5, atol=1e-5)


def test_a_loss_that_is_not_finite_is_one_message(tiny_scorer):
    scorer = tiny_scorer()
    with torch.no_grad():
        scorer.model.get_input_embeddings().weight.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"gpt2-0: the loss of fine-tuning is nan; lower fine_tuning\.lr"):
        list(classifiers(scorer, problem(), HOW))


def test_a_text_without_a_token_is_one_message(tiny_scorer):
    with pytest.raises(ValueError, match=r"the text '' has no token to classify; set scoring\.bos=true"):
        list(classifiers(tiny_scorer(bos=False), problem(["", "a"], [0, 1]), HOW))
