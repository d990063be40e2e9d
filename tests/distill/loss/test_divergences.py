"""Loss terms against independent references and their defining properties."""

import pytest
import torch
import torch.nn.functional as F

from distill.loss.divergences import cross_entropy, divergence, entropy, hidden_distance, kl

KINDS = ["forward_kl", "reverse_kl", "jsd", "skewed_kl"]


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    target, student = (2 * torch.randn(2, 7, 11, dtype=torch.float64)).log_softmax(-1)
    return target, student


def slow_kl(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """Sum of p log(p / q) over probabilities, by loops."""
    rows = [[a * torch.log(a / b) for a, b in zip(x, y, strict=True)] for x, y in zip(p, q, strict=True)]
    return torch.stack([torch.stack(row).sum() for row in rows])


def slow_divergence(p: torch.Tensor, q: torch.Tensor, kind: str, beta: float) -> torch.Tensor:
    mixture = beta * p + (1 - beta) * q
    return {
        "forward_kl": lambda: slow_kl(p, q),
        "reverse_kl": lambda: slow_kl(q, p),
        "jsd": lambda: beta * slow_kl(p, mixture) + (1 - beta) * slow_kl(q, mixture),
        "skewed_kl": lambda: slow_kl(p, mixture),
    }[kind]()


@pytest.mark.parametrize("beta", [0.1, 0.5])
@pytest.mark.parametrize("kind", KINDS)
def test_divergences_equal_a_slow_loop(kind, beta, pair):
    target, student = pair
    expected = slow_divergence(target.exp(), student.exp(), kind, beta)
    torch.testing.assert_close(
        divergence(target, target.exp(), student.clone(), kind, beta)[0], expected, rtol=1e-10, atol=0
    )


@pytest.mark.parametrize("kind", KINDS)
def test_divergences_are_zero_at_equality_and_positive_elsewhere(kind, pair):
    target, student = pair
    assert divergence(target, target.exp(), target.clone(), kind, 0.5)[0].abs().max() < 1e-12
    assert (divergence(target, target.exp(), student.clone(), kind, 0.5)[0] > 0).all()


def test_forward_kl_is_a_kl_and_not_a_cross_entropy(pair):
    target, student = pair
    torch.testing.assert_close(kl(target, student).sum() / 7, F.kl_div(student, target.exp(), reduction="batchmean"))
    cross = -(target.exp() * student).sum(-1)
    torch.testing.assert_close(kl(target, student) + entropy(target, target.exp()), cross)


def test_cross_entropy_entropy_and_hidden_distance_by_definition(pair):
    target, student = pair
    labels = torch.arange(7)
    torch.testing.assert_close(cross_entropy(student, labels), -student[labels, labels])
    torch.testing.assert_close(entropy(target, target.exp()), -(target.exp() * target).sum(-1))
    torch.testing.assert_close(hidden_distance(target, 3 * target), torch.zeros(7, dtype=torch.float64))
    torch.testing.assert_close(hidden_distance(target, -target), torch.full((7,), 2.0, dtype=torch.float64))


def test_unknown_divergence_is_refused(pair):
    target, student = pair
    with pytest.raises(ValueError, match="unknown divergence 'l2'"):
        divergence(target, target.exp(), student, "l2", 0.5)
