"""Prediction sensitivity: how much do the probabilities of classes change with the embeddings of single tokens?

After Krishna et al. 2022 (arXiv 2203.08670): P = w' J v, with weights w >= 0 of classes and v >= 0 of tokens. The paper
leaves open how the derivatives by an embedding become one number; here J[k, t] is their Euclidean norm,
||d p_k / d e_t||. The embedding e_t is what the model takes as `inputs_embeds`: before positions are added, and after
the scaling by which Gemma multiplies it. P falls where a classifier is certain. The share ratio does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from augment.command_line import in_one_line
from distill.evaluation.measures.classifiers.text_classifier import TextClassifier, Tokens, equal_lengths
from distill.evaluation.statistics.estimators import FloatArray

SAME = 1e-3  # how far logits from ids and from embeddings may be apart, relative to their size


def jacobian_norms(probs_of: Callable[[Tensor], Tensor], embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """J [B, K, T] in float64, and the probabilities [B, K], of texts that are given as embeddings [B, T, H].

    probs_of: maps embeddings to probabilities; a text's must not depend on the others.
    """
    with torch.inference_mode(False), torch.enable_grad():
        inputs = embeddings.detach().clone().requires_grad_()
        probs = probs_of(inputs)
        gradients = (torch.autograd.grad(own.sum(), inputs, retain_graph=True)[0] for own in probs.unbind(1))
        return torch.stack([gradient.double().norm(dim=-1) for gradient in gradients], dim=1), probs.detach()


def prediction_sensitivity(norms: FloatArray, of_classes: FloatArray, of_tokens: FloatArray) -> float:
    """P = w' J v from J [K, T], w [K] and v [T]."""
    return float(of_classes @ norms @ of_tokens)


def share_ratio(norms: FloatArray, chosen: npt.NDArray[np.bool_]) -> float:
    """The share of the chosen tokens in the sum of the norms [T], over their share in the tokens: 1 is as any.

    NaN if all norms are 0, because the prediction then depends on nothing, or if no token is chosen.
    """
    total = norms.sum()
    return float(norms[chosen].sum() / total / chosen.mean()) if total > 0 and chosen.any() else float("nan")


def token_sensitivities(classifier: TextClassifier, texts: Sequence[Tokens]) -> Iterator[tuple[int, FloatArray]]:
    """For each text, in no particular order, its index and its J [num_classes, num_tokens].

    Raises ValueError for a model that does not take embeddings in place of ids.
    """
    for batch in equal_lengths([len(tokens.ids) for tokens in texts], classifier.max_batch_tokens):
        yield from zip(batch, _norms(classifier, [texts[index].ids for index in batch]), strict=True)


@torch.inference_mode(False)  # the caller may have switched it on, and its tensors have no gradients
def _norms(classifier: TextClassifier, rows: Sequence[Sequence[int]]) -> FloatArray:
    """J [B, K, T] of rows of equal length."""
    module = classifier.module
    ids = torch.tensor(rows, device=next(module.parameters()).device)
    is_text = torch.ones_like(ids, dtype=torch.bool)
    norms, _ = jacobian_norms(
        lambda inputs: classifier.normalised(module.logits(is_text, inputs_embeds=inputs)), embedded(classifier, ids)
    )
    return np.asarray(norms.cpu().numpy())


@torch.no_grad()
def embedded(classifier: TextClassifier, ids: Tensor) -> Tensor:
    """The embeddings [B, T, H] of token ids [B, T].

    Raises ValueError unless the model gives the same logits from them as from the ids.
    """
    module, is_text = classifier.module, torch.ones_like(ids[:1], dtype=torch.bool)
    try:
        embeddings: Tensor = module.embeddings(ids)
        expected = module.logits(is_text, input_ids=ids[:1])
        change = (module.logits(is_text, inputs_embeds=embeddings[:1]) - expected).norm() / expected.norm()
        reason = f"its logits differ by {float(change):.1g}" if change > SAME else ""
    except Exception as error:  # a model that takes no embeddings fails in a way of its own
        reason = in_one_line(error)
    if reason:
        raise ValueError(
            f"{classifier.label}: its model does not take embeddings (inputs_embeds) in place of token ids ({reason}), "
            "so its sensitivity to single tokens is not measured"
        )
    return embeddings
