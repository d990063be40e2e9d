"""A vocabulary of twelve ids with a few gender classes, and predictions over it."""

from collections.abc import Callable

import pytest
import torch

from distill.loss.gender_classes import GenderClasses

NUM_IDS = 12


@pytest.fixture
def classes() -> GenderClasses:
    """1 <-> 2 is a one-to-one pair; {3, 4} <-> {5, 6} are him, his <-> her, hers; the other ids are ungendered."""
    return GenderClasses(
        ids=torch.tensor([1, 2, 3, 4, 5, 6]),
        class_of=torch.tensor([0, 1, 2, 2, 3, 3]),
        partner=torch.tensor([1, 0, 3, 2]),
        members=torch.tensor([[0, 6], [1, 6], [2, 3], [4, 5]]),
    )


@pytest.fixture
def random_logprobs() -> Callable[..., torch.Tensor]:
    """random_logprobs(5, seed=1): log-probabilities [5, NUM_IDS] in float64."""

    def draw(*shape: int, seed: int = 0) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return (3 * torch.randn(*shape, NUM_IDS, generator=generator, dtype=torch.float64)).log_softmax(-1)

    return draw
