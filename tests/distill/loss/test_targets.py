"""Each operation against a slow float64 loop, and the properties that docs/method.md promises."""

import math

import pytest
import torch

from distill.loss.gender_classes import GenderClasses
from distill.loss.targets import USES_COUNTERFACTUAL, amplify, carry, make_target
from distill.loss_config import PerturbConfig
from distill.settings import validate

OPERATIONS = ["none", "max", "mean", "expmean", "swap", "equivariant", "equivariant_geometric", "equalize"]
GROUPS = [[1], [2], [3, 4], [5, 6]]  # the classes of the fixture `classes`


def slow_carry(p_cf: list[float], p: list[float]) -> list[float]:
    """M p' by loops over probabilities: a class's mass goes to its counterpart, in the proportions of p."""
    carried = list(p_cf)
    for left, right in ((GROUPS[0], GROUPS[1]), (GROUPS[2], GROUPS[3])):
        for giver, receiver in ((left, right), (right, left)):
            mass, own = sum(p_cf[i] for i in giver), sum(p[i] for i in receiver)
            for i in receiver:
                carried[i] = mass * p[i] / own
    return carried


def slow_target(p: list[float], p_cf: list[float], operation: str, strength: float, scope: str = "all") -> list[float]:
    """Each operation by its definition, at one position, from probabilities."""
    if operation in ("equivariant", "equivariant_geometric"):
        p_cf = slow_carry(p_cf, p)
    if operation == "equalize":
        p_cf = slow_carry(p, p)
    mixed = {
        "none": lambda a, b: a,
        "max": max,
        "mean": lambda a, b: math.sqrt(a * b),
        "expmean": lambda a, b: (a + b) / 2,
        "swap": lambda a, b: b,
        "equivariant": lambda a, b: (a + b) / 2,
        "equivariant_geometric": lambda a, b: math.sqrt(a * b),
        "equalize": lambda a, b: math.sqrt(a * b),
    }[operation]
    target = [mixed(a, b) for a, b in zip(p, p_cf, strict=True)]
    if scope == "pairs":
        perturbed, target = target, list(p)
        for left, right in ((GROUPS[0], GROUPS[1]), (GROUPS[2], GROUPS[3])):
            joint, whole = (sum(q[i] for i in left + right) for q in (p, perturbed))
            for side in (left, right):
                mass, share = sum(p[i] for i in side), sum(perturbed[i] for i in side) / whole
                for i in side:
                    target[i] = joint * share * p[i] / mass
    return [(1 - strength) * a + strength * b / sum(target) for a, b in zip(p, target, strict=True)]


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    ("operation", "scope"), [*((name, "all") for name in OPERATIONS), *((name, "pairs") for name in OPERATIONS[1:])]
)
def test_operations_equal_a_slow_loop(operation: str, scope: str, strength: float, classes, random_logprobs):
    logprobs, cf_logprobs = random_logprobs(5, seed=1), random_logprobs(5, seed=2)
    how = PerturbConfig(operation=operation, scope=scope, strength=strength)
    target = make_target(logprobs, cf_logprobs, how, classes)
    for row in range(5):
        p, p_cf = logprobs[row].exp().tolist(), cf_logprobs[row].exp().tolist()
        expected = torch.tensor(slow_target(p, p_cf, operation, strength, scope), dtype=torch.float64)
        torch.testing.assert_close(target[row].exp(), expected, rtol=1e-10, atol=0)
    alone = make_target(logprobs, None, how, classes)
    assert torch.equal(alone, logprobs if operation in USES_COUNTERFACTUAL else target)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_mass_is_one_and_strength_zero_is_the_teacher_itself(operation: str, classes: GenderClasses, random_logprobs):
    logprobs, cf_logprobs = random_logprobs(4, 3, seed=1), random_logprobs(4, 3, seed=2)
    total = make_target(logprobs, cf_logprobs, PerturbConfig(operation=operation, strength=0.7), classes).exp().sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=1e-12, atol=0)
    assert make_target(logprobs, cf_logprobs, PerturbConfig(operation=operation, strength=0.0), classes) is logprobs


@pytest.mark.parametrize("operation", ["none", "max", "mean", "expmean", "swap"])
def test_an_identical_pair_changes_nothing_for_the_operations_of_the_paper(
    operation: str, classes: GenderClasses, random_logprobs
):
    logprobs = random_logprobs(6)
    target = make_target(logprobs, logprobs, PerturbConfig(operation=operation), classes)
    torch.testing.assert_close(target, logprobs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("operation", ["equivariant", "equivariant_geometric", "equalize"])
def test_a_neutral_prefix_ends_in_parity(operation: str, classes: GenderClasses, random_logprobs):
    logprobs = random_logprobs(6)  # after a neutral prefix both views are the same text
    target = make_target(logprobs, logprobs, PerturbConfig(operation=operation), classes).exp()
    torch.testing.assert_close(target[:, 1], target[:, 2], rtol=1e-12, atol=0)
    torch.testing.assert_close(target[:, 3] + target[:, 4], target[:, 5] + target[:, 6], rtol=1e-12, atol=0)
    torch.testing.assert_close(target[:, 3] / target[:, 4], (logprobs[:, 3] - logprobs[:, 4]).exp())


@pytest.mark.parametrize("operation", ["equivariant", "equivariant_geometric"])
def test_within_pairs_only_the_shares_change_and_they_are_those_of_the_operation(operation, classes, random_logprobs):
    logprobs, cf_logprobs = random_logprobs(6, seed=1), random_logprobs(6, seed=2)
    how = PerturbConfig(operation=operation, scope="pairs", gain=1.7)
    views = ((logprobs, cf_logprobs), (cf_logprobs, logprobs))
    target, cf_target = (make_target(p, p_cf, how, classes) for p, p_cf in views)
    assert torch.equal(target[:, [0, *range(7, target.shape[1])]], logprobs[:, [0, *range(7, target.shape[1])]])
    for left, right in ((GROUPS[0], GROUPS[1]), (GROUPS[2], GROUPS[3])):
        own, mine, theirs = (p[:, left + right].exp().sum(-1) for p in (logprobs, target, cf_target))
        torch.testing.assert_close(mine, own, rtol=1e-12, atol=0)
        share, mirrored = target[:, left].exp().sum(-1) / mine, cf_target[:, right].exp().sum(-1) / theirs
        torch.testing.assert_close(share, mirrored, rtol=1e-12, atol=0)
        whole = make_target(logprobs, cf_logprobs, PerturbConfig(operation=operation, gain=1.7), classes).exp()
        expected = whole[:, left].sum(-1) / whole[:, left + right].sum(-1)
        torch.testing.assert_close(share, expected, rtol=1e-12, atol=0)
    neutral = make_target(logprobs, logprobs, how, classes).exp()
    torch.testing.assert_close(neutral[:, 1], neutral[:, 2], rtol=1e-12, atol=0)


@pytest.mark.parametrize("operation", ["equivariant", "equivariant_geometric"])
def test_the_target_is_exactly_equivariant(operation: str, classes: GenderClasses, random_logprobs):
    logprobs, cf_logprobs = random_logprobs(6, seed=1), random_logprobs(6, seed=2)
    target = make_target(logprobs, cf_logprobs, PerturbConfig(operation=operation), classes)
    cf_target = make_target(cf_logprobs, logprobs, PerturbConfig(operation=operation), classes)
    torch.testing.assert_close(carry(cf_target, target, classes), target, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(target[:, 7:], cf_target[:, 7:], rtol=1e-12, atol=1e-12)


def test_the_geometric_form_keeps_the_mean_agreement_margin_and_the_arithmetic_form_compresses_it(
    classes, random_logprobs
):
    # a skewed teacher that agrees: in x it prefers id 1 by 4 nats, in x' the counterpart 2 by 1 nat only
    logprobs, cf_logprobs = random_logprobs(1, seed=1), random_logprobs(1, seed=1)
    logprobs[0, 1:3] = torch.nn.functional.logsigmoid(torch.tensor([4.0, -4.0], dtype=torch.float64))
    cf_logprobs[0, 1:3] = torch.nn.functional.logsigmoid(torch.tensor([-1.0, 1.0], dtype=torch.float64))
    margins = {}
    for operation in ("equivariant", "equivariant_geometric"):
        how = PerturbConfig(operation=operation)
        target = make_target(logprobs.log_softmax(-1), cf_logprobs.log_softmax(-1), how, classes)
        margins[operation] = (target[0, 1] - target[0, 2]).item()
    assert margins["equivariant_geometric"] == pytest.approx(2.5, abs=1e-12)
    expected = (torch.tensor([4.0, 1.0]).sigmoid().sum() / torch.tensor([-4.0, -1.0]).sigmoid().sum()).log().item()
    assert margins["equivariant"] == pytest.approx(expected, abs=1e-6)  # 1.79


@pytest.mark.parametrize("gain", [0.5, 1.7])
def test_a_gain_multiplies_the_log_odds_of_counterparts_and_nothing_else(
    gain: float, classes: GenderClasses, random_logprobs
):
    logprobs = random_logprobs(6)
    before, after = logprobs.exp(), amplify(logprobs, gain, classes).exp()
    for left, right in ((GROUPS[0], GROUPS[1]), (GROUPS[2], GROUPS[3])):
        odds = [(p[:, left].sum(-1) / p[:, right].sum(-1)).log() for p in (before, after)]
        torch.testing.assert_close(odds[1], gain * odds[0], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(after[:, left + right].sum(-1), before[:, left + right].sum(-1), rtol=1e-12, atol=0)
    torch.testing.assert_close(after[:, 3] / after[:, 4], before[:, 3] / before[:, 4], rtol=1e-12, atol=0)
    torch.testing.assert_close(after[:, 7:], before[:, 7:], rtol=0, atol=0)
    torch.testing.assert_close(amplify(logprobs, 1.0, classes), logprobs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("operation", ["equivariant", "equivariant_geometric"])
def test_a_gain_keeps_parity_and_equivariance(operation: str, classes: GenderClasses, random_logprobs):
    logprobs, cf_logprobs = random_logprobs(6, seed=1), random_logprobs(6, seed=2)
    how = PerturbConfig(operation=operation, gain=1.7)
    target, cf_target = (
        make_target(p, p_cf, how, classes) for p, p_cf in ((logprobs, cf_logprobs), (cf_logprobs, logprobs))
    )
    torch.testing.assert_close(carry(cf_target, target, classes), target, rtol=1e-12, atol=1e-12)
    neutral = make_target(logprobs, logprobs, how, classes).exp()
    torch.testing.assert_close(neutral[:, 1], neutral[:, 2], rtol=1e-12, atol=0)
    without = make_target(logprobs, cf_logprobs, PerturbConfig(operation=operation), classes)
    margins = [p[:, 1] - p[:, 2] for p in (target, without)]
    torch.testing.assert_close(margins[0], 1.7 * margins[1], rtol=1e-12, atol=1e-12)
    assert torch.equal(make_target(logprobs, None, how, classes), logprobs)


def test_a_gain_without_an_equivariant_operation_is_refused():
    with pytest.raises(ValueError, match=r"perturb\.gain is 2, but only the equivariant .* perturb\.operation is max"):
        validate(PerturbConfig, {"operation": "max", "gain": 2})


def test_a_scope_without_an_operation_is_refused():
    with pytest.raises(ValueError, match=r"perturb\.scope is pairs, but perturb\.operation is none; leave it out"):
        validate(PerturbConfig, {"scope": "pairs"})


def test_carrying_back_and_forth_is_the_identity(classes: GenderClasses, random_logprobs):
    logprobs, cf_logprobs = random_logprobs(6, seed=1), random_logprobs(6, seed=2)
    carried = carry(logprobs, cf_logprobs, classes)
    torch.testing.assert_close(carry(carried, logprobs, classes), logprobs, rtol=1e-12, atol=1e-12)
