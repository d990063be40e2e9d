"""What follows from the secret: Poisson batches and Gaussian noise, the same again after a crash."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import binom, chisquare, kstest

from distill.data.pieces import Documents
from distill.privacy.accountant import Steps
from distill.run.private.plan import PrivacyPlan
from distill.run.private.secret import drawn_blocks, gaussian_noise, new_secret, private_indices
from distill.run.private.step import add_noise_

SECRET, OTHER = "ab" * 32, "cd" * 32
NUM = 200
DOCUMENTS = Documents(np.arange(0, 2 * NUM + 1, 2), np.arange(0, 20 * NUM + 1, 10))  # two pieces of ten tokens each


def plan(noise: float = 2.0, clip: float = 0.5) -> PrivacyPlan:
    return PrivacyPlan(1.0, 1e-5, clip, NUM, 4, Steps(noise, 4 / NUM, 100))


def test_secrets_are_long_and_never_the_same():
    assert len(bytes.fromhex(new_secret())) == 32
    assert len({new_secret() for _ in range(20)}) == 20


def test_batch_sizes_are_binomial_and_every_document_comes_equally_often():
    rate, num_steps = 0.02, 10_000
    drawn = [drawn_blocks(SECRET, step, DOCUMENTS, rate) for step in range(num_steps)]
    sizes = np.array([len(blocks) for blocks in drawn])
    bounds = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, math.inf]
    observed = [((low <= sizes) & (sizes < high)).sum() for low, high in itertools.pairwise(bounds)]
    distribution = binom(NUM, rate)
    chances = [distribution.cdf(high - 1) - distribution.cdf(low - 1) for low, high in itertools.pairwise(bounds)]
    assert chisquare(observed, num_steps * np.array(chances)).pvalue > 0.01
    blocks = np.bincount(np.concatenate(drawn).astype(int), minlength=2 * NUM)
    assert chisquare(blocks).pvalue > 0.01
    assert all(len({block // 2 for block in step}) == len(step) for step in drawn)  # a document at most once
    assert (sizes == 0).any()


def test_one_document_more_changes_no_other_documents_draws():
    fewer = Documents(DOCUMENTS.starts[:-1], DOCUMENTS.tokens[:-2])
    for step in range(300):
        without = drawn_blocks(SECRET, step, fewer, 0.05)
        assert [block for block in drawn_blocks(SECRET, step, DOCUMENTS, 0.05) if block < 2 * (NUM - 1)] == without


def test_steps_are_the_same_again_and_do_not_depend_on_the_processes():
    alone = list(itertools.islice(private_indices(SECRET, 0, DOCUMENTS, 0.05), 30))
    resumed = list(itertools.islice(private_indices(SECRET, 20, DOCUMENTS, 0.05), 10))
    assert resumed == alone[20:]
    shares = [
        itertools.islice(private_indices(SECRET, 0, DOCUMENTS, 0.05, slice(rank, None, 3)), 30) for rank in range(3)
    ]
    for whole, parts in zip(alone, zip(*shares, strict=True), strict=True):
        assert sorted(itertools.chain(*parts)) == whole
    assert alone != list(itertools.islice(private_indices(OTHER, 0, DOCUMENTS, 0.05), 30))
    assert len({tuple(blocks) for blocks in alone}) > 25


def test_more_values_leave_the_noise_of_the_others_as_it_was():
    """The canaries stand behind the weights, whose noise must not hang on how many canaries there are."""
    assert (gaussian_noise(SECRET, 3, 1256)[:1000] == gaussian_noise(SECRET, 3, 1000)).all()


def test_noise_is_gaussian_of_the_planned_size_and_new_in_every_step():
    values = torch.linspace(-1, 1, 100_000)
    noisy = values.clone()
    add_noise_(noisy, plan(noise=2.0, clip=0.5), SECRET, 7)
    noise = (noisy - values).double().numpy() / (2.0 * 0.5)
    assert kstest(noise, "norm").pvalue > 0.01
    # the sum of squares is chi-square with 1e5 degrees of freedom: mean 1e5, standard deviation 447
    assert abs((noise**2).sum() - 1e5) < 3 * math.sqrt(2e5)
    again, next_step, other = (gaussian_noise(*key, 100_000) for key in ((SECRET, 7), (SECRET, 8), (OTHER, 7)))
    assert np.allclose(again, noise, atol=1e-6)
    for others in (next_step, other):
        assert abs(np.corrcoef(again, others)[0, 1]) < 4 / math.sqrt(1e5)


def test_every_bit_of_the_secret_counts():
    """torch's CPU generator takes 32 bits of its seed, so that all its noise could be tried: it is not used."""
    seeds = [torch.randn(4, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1 + 2**32)]
    assert torch.equal(*seeds)
    noises = {gaussian_noise(f"{1 << bit:064x}", 0, 4).tobytes() for bit in range(256)}
    assert len(noises) == 256


@pytest.mark.parametrize(("sabotage", "is_caught"), [(1.0, False), (0.5, True), (0.0, True)])
def test_a_canary_along_one_coordinate_separates_by_one_over_the_noise_at_most(sabotage, is_caught):
    """The strongest canary: its clipped gradient is the clip, along a coordinate. Over steps, what is released there
    has the mean C if it was drawn and 0 if not, and the standard deviation of noise times C. A run with half the noise
    is caught.
    """
    promised, clip, num_steps = 2.0, 0.5, 4000
    used = plan(noise=promised * sabotage, clip=clip)
    released: dict[bool, list[float]] = {True: [], False: []}
    for step in range(num_steps):
        is_drawn = step % 2 == 0
        values = torch.tensor([clip if is_drawn else 0.0])
        add_noise_(values, used, SECRET, step)
        released[is_drawn].append(float(values) / clip)
    means = {drawn: np.mean(values) for drawn, values in released.items()}
    spread = np.sqrt(np.mean([np.var(values) for values in released.values()])) + 1e-12
    assert means[True] - means[False] == pytest.approx(1.0, abs=4 * promised / math.sqrt(num_steps / 2))
    # the spread of so many values is known to one in the square root of twice their number
    error = 4 / math.sqrt(2 * num_steps)
    assert (1 / spread > (1 + error) / promised) == is_caught
