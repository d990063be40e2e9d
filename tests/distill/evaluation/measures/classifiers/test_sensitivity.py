"""Prediction sensitivity: closed forms, finite differences, completeness, and the models whose embeddings are given."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from distill.evaluation.measures.classifiers.sensitivity import (
    embedded,
    jacobian_norms,
    prediction_sensitivity,
    share_ratio,
    token_sensitivities,
)
from distill.evaluation.measures.classifiers.text_classifier import Classifier, TextClassifier, Tokens

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
MODELS = {
    "gpt2": {"n_embd": 16, "n_head": 2, "n_layer": 2},
    "llama": SIZES | {"num_key_value_heads": 1},
    "gemma": SIZES | {"num_key_value_heads": 1, "head_dim": 8},
    "gemma3_text": SIZES | {"num_key_value_heads": 1, "head_dim": 8},
    "bert": SIZES,
}
ROWS = [[3, 4, 5, 6, 7], [8, 9, 10], [11, 12, 13]]


def body(name):
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        name, vocab_size=40, initializer_range=0.3, bos_token_id=1, eos_token_id=1, pad_token_id=0, **MODELS[name]
    )
    config.attn_pdrop = config.embd_pdrop = config.resid_pdrop = 0.0
    if name == "bert":
        return AutoModel.from_config(config).eval()
    return AutoModelForCausalLM.from_config(config).eval().base_model


def classifier(module, num_classes=3):
    torch.manual_seed(1)
    torch.nn.init.normal_(module.head.weight, std=1.0)
    names = tuple("abc"[:num_classes])
    return TextClassifier("model", names, module, lambda texts: [], max_batch_tokens=64)


@pytest.mark.parametrize("name", MODELS)
def test_embeddings_stand_for_ids_and_every_norm_is_that_of_the_gradient(name):
    """Gemma multiplies its embeddings by the root of their width, and must do so once."""
    own = classifier(Classifier(body(name), 16, 3, causal=name != "bert"))
    with torch.inference_mode():  # as the suite may call it
        found = dict(token_sensitivities(own, [Tokens(row, [(0, 1)] * len(row)) for row in ROWS]))
    for index, row in enumerate(ROWS):
        weight = own.module.embeddings
        embeddings = weight(torch.tensor([row])).detach().requires_grad_()
        probs = own.module.logits(torch.ones(1, len(row), dtype=torch.bool), inputs_embeds=embeddings).softmax(-1)
        expected = own.normalised(own.module([row]).detach())
        torch.testing.assert_close(probs.double(), expected, rtol=1e-5, atol=1e-6)
        for k in range(3):
            (gradient,) = torch.autograd.grad(probs[0, k], embeddings, retain_graph=True)
            np.testing.assert_allclose(found[index][k], gradient[0].norm(dim=-1), rtol=1e-3, atol=1e-7)
    assert found[0].shape == (3, 5)


def test_a_bag_of_embeddings_is_as_sensitive_to_every_token():
    """softmax(A mean(e)): J[k, t] = || ((diag p - p p') A)_k || / T."""
    rng = torch.Generator().manual_seed(0)
    matrix, embeddings = torch.randn(3, 8, generator=rng).double(), torch.randn(2, 5, 8, generator=rng).double()
    norms, probs = jacobian_norms(lambda e: (e.mean(dim=1) @ matrix.T).softmax(-1), embeddings)
    for text in range(2):
        p = probs[text]
        closed = ((torch.diag(p) - torch.outer(p, p)) @ matrix).norm(dim=-1) / 5
        torch.testing.assert_close(norms[text], closed[:, None].expand(3, 5), rtol=1e-12, atol=0)
        for k in range(3):
            assert share_ratio(norms[text, k].numpy(), np.array([True, False, False, True, False])) == pytest.approx(1)
        one_hot, of_tokens = np.eye(3)[1], np.array([0.5, 0, 0, 0.5, 0])
        assert prediction_sensitivity(norms[text].numpy(), one_hot, of_tokens) == pytest.approx(float(closed[1]))
        uniform = np.full(3, 1 / 3)
        assert prediction_sensitivity(norms[text].numpy(), uniform, of_tokens) == pytest.approx(float(closed.mean()))


def test_a_linear_function_of_single_features_has_the_absolute_matrix():
    rng = torch.Generator().manual_seed(0)
    matrix, features = torch.randn(4, 6, generator=rng).double(), torch.randn(1, 6, 1, generator=rng).double()
    norms, _ = jacobian_norms(lambda e: e[..., 0] @ matrix.T, features)
    w, v = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 0.5, 0.0, 0.25, 0.25, 0.0])
    assert prediction_sensitivity(norms[0].numpy(), w, v) == pytest.approx(float(w @ matrix.abs().numpy() @ v))


def double_classifier():
    module = Classifier(body("gpt2"), 16, 3).double()
    own = classifier(module)
    is_text = torch.ones(1, 5, dtype=torch.bool)
    return own, lambda e: own.normalised(module.logits(is_text.expand(len(e), -1), inputs_embeds=e))


def test_gradients_equal_finite_differences():
    own, probs_of = double_classifier()
    embeddings = own.module.embeddings(torch.tensor([ROWS[0]])).detach()
    norms, _ = jacobian_norms(probs_of, embeddings)
    step, numeric = 1e-5, torch.zeros(3, 5, 16).double()
    with torch.no_grad():
        for token in range(5):
            moved = embeddings.repeat(32, 1, 1)
            moved[:16, token] += step * torch.eye(16)
            moved[16:, token] -= step * torch.eye(16)
            probs = probs_of(moved)
            numeric[:, token] = ((probs[:16] - probs[16:]) / (2 * step)).T
    torch.testing.assert_close(norms[0], numeric.norm(dim=-1), rtol=1e-6, atol=1e-12)


def test_derivatives_along_the_way_to_the_counterfactual_add_up_to_its_change():
    """The sum over tokens of integrals of dp/de (e' - e): completeness, which ties sensitivities to the change."""
    own, probs_of = double_classifier()
    first, second = (own.module.embeddings(torch.tensor([row])).detach() for row in (ROWS[0], [3, 14, 5, 6, 7]))
    nodes, weights = np.polynomial.legendre.leggauss(64)
    total = 0.0
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        way = (first + node * (second - first)).requires_grad_()
        (gradient,) = torch.autograd.grad(probs_of(way)[0, 1], way)
        total += weight * float((gradient * (second - first)).sum())
    with torch.no_grad():
        change = float((probs_of(second) - probs_of(first))[0, 1])
    assert abs(change) > 1e-3
    assert total == pytest.approx(change, abs=1e-6)


def test_a_constant_classifier_has_sensitivity_0_and_no_share():
    own = classifier(Classifier(body("gpt2"), 16, 3))
    torch.nn.init.zeros_(own.module.head.weight)
    (norms,) = dict(token_sensitivities(own, [Tokens(ROWS[0], [(0, 1)] * 5)])).values()
    assert not norms.any()
    assert prediction_sensitivity(norms, np.ones(3), np.ones(5)) == 0
    assert np.isnan(share_ratio(norms[0], np.array([True, False, False, False, False])))
    assert np.isnan(share_ratio(np.ones(2), np.array([False, False])))


def test_a_certain_classifier_still_has_a_share():
    """In float32 its probabilities are 0 and 1, and their derivatives 0."""
    own = classifier(Classifier(body("gpt2"), 16, 3))
    torch.nn.init.normal_(own.module.head.weight, std=10.0)
    (norms,) = dict(token_sensitivities(own, [Tokens(ROWS[0], [(0, 1)] * 5)])).values()
    assert norms.max() > 0
    assert np.isfinite(share_ratio(norms[0], np.array([True, False, False, False, False])))


@pytest.mark.parametrize("fault", ["refused", "ignored"])
def test_a_model_without_inputs_embeds_is_one_line(fault):
    table = torch.nn.Embedding(40, 16)

    def logits(is_text, input_ids=None, **inputs):
        if fault == "refused" and input_ids is None:
            raise TypeError("forward() got an unexpected keyword argument 'inputs_embeds'")
        states = inputs["inputs_embeds"] * 7 if input_ids is None else table(input_ids)
        return states.mean(dim=1)

    module = SimpleNamespace(embeddings=table, logits=logits)
    own = TextClassifier("plain", ("a",), module, lambda texts: [], 64)
    with pytest.raises(ValueError, match=r"plain: its model does not take embeddings .* \(.*(forw|dif)"):
        embedded(own, torch.tensor([[1, 2]]))
