"""Fine-tuning: it learns what can be learned, leaves the model alone, and depends on nothing but its settings."""

import copy

import numpy as np
import pytest
import torch

from distill.evaluation.config import FineTuningConfig
from distill.evaluation.measures.fine_tuning import Classifier, fine_tuned_predictions

TEXTS = [
    f"The {noun} said that {pronoun} was {mood}."
    for noun in ("nurse", "pilot", "baker", "guard", "chef", "farmer", "lawyer", "artist")
    for pronoun in ("he", "she")
    for mood in ("tired", "proud", "funny", "brave")
]
LABELS = [int(" she " in text) for text in TEXTS]
HOW = FineTuningConfig(epochs=6, batch_size=8, lr=3e-3)


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_it_learns_a_rule_and_leaves_the_model_alone(tiny_scorer, architecture):
    scorer = tiny_scorer(architecture, initializer_range=0.1)
    before = copy.deepcopy(scorer.model.state_dict())
    with torch.inference_mode():  # as the suite may call it
        predicted = fine_tuned_predictions(scorer, TEXTS[:48], LABELS[:48], TEXTS[48:], 2, HOW)
    assert predicted.tolist() == LABELS[48:]
    for name, weight in scorer.model.state_dict().items():
        assert torch.equal(weight, before[name]), name


def test_the_outcome_depends_on_the_seed_and_not_on_the_batches_or_the_global_random_state(tiny_scorer):
    short = FineTuningConfig(epochs=1, batch_size=4, lr=3e-3)

    def outcome(how: FineTuningConfig, max_batch_tokens: int = 512) -> list[int]:
        torch.manual_seed(max_batch_tokens)
        labels = (np.arange(len(TEXTS)) % 5).tolist()  # nothing to learn: predictions follow the order
        scorer = tiny_scorer(max_batch_tokens=max_batch_tokens)
        return fine_tuned_predictions(scorer, TEXTS, labels, TEXTS, 5, how).tolist()

    first = outcome(short)
    assert outcome(short, max_batch_tokens=32) == first
    assert outcome(FineTuningConfig(epochs=1, batch_size=4, lr=3e-3, seed=1)) != first


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_logits_are_a_linear_map_of_the_mean_state_whatever_the_padding(tiny_scorer, architecture):
    model = tiny_scorer(architecture).model
    classifier = Classifier(model.base_model, model.config.hidden_size, 3)
    torch.manual_seed(0)
    torch.nn.init.normal_(classifier.head.weight)
    rows = [[5, 6, 7, 8, 9], [10, 11], [12]]
    with torch.no_grad():
        together = classifier(rows)
        for row, logits in zip(rows, together, strict=True):
            states = model.base_model(input_ids=torch.tensor([row])).last_hidden_state[0].double()
            expected = states.mean(dim=0) @ classifier.head.weight.double().T
            torch.testing.assert_close(logits.double(), expected, rtol=1e-5, atol=1e-5)


def test_a_loss_that_is_not_finite_is_one_message(tiny_scorer):
    scorer = tiny_scorer()
    with torch.no_grad():
        scorer.model.get_input_embeddings().weight.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"gpt2-0: the loss of fine-tuning is nan; lower fine_tuning\.lr"):
        fine_tuned_predictions(scorer, TEXTS, LABELS, TEXTS, 2, HOW)


def test_a_text_without_a_token_is_one_message(tiny_scorer):
    with pytest.raises(ValueError, match=r"the text '' has no token to classify; set scoring\.bos=true"):
        fine_tuned_predictions(tiny_scorer(bos=False), ["", "a"], [0, 1], ["a"], 2, HOW)
