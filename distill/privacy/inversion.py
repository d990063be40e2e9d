"""Model inversion: which secret stood in a classifier's training text, if the words before it and its class are known?

After Parikh, Dupuy and Gupta 2022 (arXiv 2203.13920). The attacker looks for the digits under which the class is most
probable. Their tokens are relaxed: each is a mixture of the ten digits' embeddings, softmax(theta / tau), and theta is
found by gradient descent while tau falls, so that the mixture becomes one digit. A small space of secrets can also be
enumerated, which finds the true minimum: no search can do better at what it looks for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from distill.data.canaries import secret
from distill.evaluation.measures.classifiers.sensitivity import embedded
from distill.evaluation.measures.classifiers.text_classifier import TextClassifier, class_logits
from distill.evaluation.statistics.estimators import FloatArray

NUM_STARTS = 8
NUM_STEPS = 150
LR = 0.2
TEMPERATURES = (1.0, 0.1)  # of the mixtures, at the first and at the last step


class Space(NamedTuple):
    """All secrets behind a prompt, as token ids. row [T]: the prompt with a secret of zeros. places [digits]: where the
    token of each digit stands. tokens [digits, 10]: the ids of the ten digits there.
    """

    row: list[int]
    places: list[int]
    tokens: list[list[int]]

    def ids(self, number: int) -> list[int]:
        """The row with the secret `number`."""
        ids = list(self.row)
        for place, tokens, digit in zip(self.places, self.tokens, f"{number:0{len(self.places)}d}", strict=True):
            ids[place] = tokens[int(digit)]
        return ids


def secret_space(classifier: TextClassifier, prompt: str, digits: int) -> Space:
    """The secrets of so many digits behind a prompt. Raises ValueError unless every digit is one token of its own."""
    row = _encode(classifier, prompt + secret(0, digits))
    places, tokens = [], []
    for position in range(digits):
        numbers = [digit * 10 ** (digits - 1 - position) for digit in range(10)]
        rows = [_encode(classifier, prompt + secret(number, digits)) for number in numbers]
        changed = {place for other in rows[1:] for place, (a, b) in enumerate(zip(row, other, strict=False)) if a != b}
        if len(changed) != 1 or {len(other) for other in rows} != {len(row)}:
            raise ValueError(
                f"{classifier.label}: its tokenizer does not give each digit of {secret(0, digits)!r} a token"
            )
        (place,) = changed
        places.append(place)
        tokens.append([other[place] for other in rows])
    return Space(row, places, tokens)


def enumerated(classifier: TextClassifier, space: Space, label: int) -> FloatArray:
    """log P(label) in nats of every secret [10 ** digits]."""
    rows = [space.ids(number) for number in range(10 ** len(space.places))]
    logits = torch.from_numpy(class_logits(classifier.module, rows, classifier.max_batch_tokens))
    return logits.log_softmax(dim=-1)[:, label].numpy()


def searched(classifier: TextClassifier, space: Space, label: int, seed: int) -> int:
    """The secret that the relaxed search finds: of several starts the one whose digits make the class most probable."""
    row = torch.tensor([space.row], device=next(classifier.module.parameters()).device)
    with torch.inference_mode(False):
        whole = embedded(classifier, row).detach()
        of_digits = classifier.module.embeddings(torch.tensor(space.tokens, device=row.device)).detach()

        def logprob(mixtures: Tensor) -> Tensor:
            """log P(label) [N] of mixtures [N, digits, 10]."""
            inputs = whole.repeat(len(mixtures), 1, 1)
            inputs[:, space.places] = torch.einsum("npd,pdh->nph", mixtures, of_digits)
            is_text = torch.ones(inputs.shape[:2], dtype=torch.bool, device=row.device)
            return classifier.module.logits(is_text, inputs_embeds=inputs).log_softmax(dim=-1)[:, label]

        found = relaxed_maxima(logprob, (NUM_STARTS, len(space.places), 10), seed, row.device)
    numbers = [int("".join(map(str, digits))) for digits in found.tolist()]
    rows = [space.ids(number) for number in numbers]
    reached = class_logits(classifier.module, rows, classifier.max_batch_tokens)
    best = torch.from_numpy(reached).log_softmax(dim=-1)[:, label].argmax()
    return numbers[int(best)]


def relaxed_maxima(
    function: Callable[[Tensor], Tensor], shape: Sequence[int], seed: int, device: torch.device | str = "cpu"
) -> Tensor:
    """The categories [N, positions] at which mixtures [N, positions, categories] end that make `function` [N] large.

    Adam on theta of softmax(theta / tau), from random starts; tau falls by the same factor in every step.
    """
    start = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    theta = nn.Parameter(start.to(device))
    optimizer = torch.optim.Adam([theta], lr=LR)
    first, last = TEMPERATURES
    with torch.enable_grad():
        for step in range(NUM_STEPS):
            temperature = first * (last / first) ** (step / (NUM_STEPS - 1))
            (gradient,) = torch.autograd.grad(-function((theta / temperature).softmax(dim=-1)).sum(), theta)
            theta.grad = gradient
            optimizer.step()
    return theta.detach().argmax(dim=-1)


def _encode(classifier: TextClassifier, text: str) -> list[int]:
    (tokens,) = classifier.encode([text])
    return tokens.ids
