"""The perturbations: against a slow float64 loop, and the properties that METHOD promises of each."""

import math

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from augment.lexicon import load_lexicon
from distill.config import PerturbConfig
from distill.loss.targets import (
    USES_COUNTERFACTUAL,
    GenderClasses,
    amplify,
    carry,
    counterpart_cross_entropy,
    counterpart_divergence,
    gender_classes,
    perturb,
    surface_forms,
)
from distill.models.loading import load_tokenizer
from distill.settings import validate

OPERATIONS = ["none", "max", "mean", "expmean", "swap", "equivariant", "equivariant_geometric", "equalize"]
VOCABULARY = 12
# ids 1 <-> 2 are a one-to-one pair, {3, 4} <-> {5, 6} are him, his <-> her, hers; the rest is ungendered
GROUPS = [[1], [2], [3, 4], [5, 6]]


@pytest.fixture
def classes() -> GenderClasses:
    ids = [i for group in GROUPS for i in group]
    return GenderClasses(
        ids=torch.tensor(ids),
        class_of=torch.tensor([0, 1, 2, 2, 3, 3]),
        partner=torch.tensor([1, 0, 3, 2]),
        members=torch.tensor([[0, 6], [1, 6], [2, 3], [4, 5]]),
    )


def random_logprobs(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(*shape, VOCABULARY, generator=generator, dtype=torch.float64)).log_softmax(-1)


def slow_carry(p_cf: list[float], p: list[float]) -> list[float]:
    """M p' by loops over probabilities: a class's mass goes to its counterpart, in the proportions of p."""
    carried = list(p_cf)
    for left, right in ((GROUPS[0], GROUPS[1]), (GROUPS[2], GROUPS[3])):
        for giver, receiver in ((left, right), (right, left)):
            mass, own = sum(p_cf[i] for i in giver), sum(p[i] for i in receiver)
            for i in receiver:
                carried[i] = mass * p[i] / own
    return carried


def slow_target(p: list[float], p_cf: list[float], operation: str, strength: float) -> list[float]:
    """The definition of each operation, one position, in probabilities."""
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
    return [(1 - strength) * a + strength * b / sum(target) for a, b in zip(p, target, strict=True)]


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_operations_equal_a_slow_loop(operation: str, strength: float, classes: GenderClasses):
    logprobs, cf_logprobs = random_logprobs(5, seed=1), random_logprobs(5, seed=2)
    how = PerturbConfig(operation=operation, strength=strength)
    target = perturb(logprobs, cf_logprobs, how, classes)
    for row in range(5):
        p, p_cf = logprobs[row].exp().tolist(), cf_logprobs[row].exp().tolist()
        expected = torch.tensor(slow_target(p, p_cf, operation, strength), dtype=torch.float64)
        torch.testing.assert_close(target[row].exp(), expected, rtol=1e-10, atol=0)
    alone = perturb(logprobs, None, how, classes)
    assert torch.equal(alone, logprobs if operation in USES_COUNTERFACTUAL else target)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_mass_is_one_and_strength_zero_is_the_teacher_itself(operation: str, classes: GenderClasses):
    logprobs, cf_logprobs = random_logprobs(4, 3, seed=1), random_logprobs(4, 3, seed=2)
    total = perturb(logprobs, cf_logprobs, PerturbConfig(operation=operation, strength=0.7), classes).exp().sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=1e-12, atol=0)
    assert perturb(logprobs, cf_logprobs, PerturbConfig(operation=operation, strength=0.0), classes) is logprobs


@pytest.mark.parametrize("operation", ["none", "max", "mean", "expmean", "swap"])
def test_an_identical_pair_changes_nothing_for_the_operations_of_the_paper(operation: str, classes: GenderClasses):
    logprobs = random_logprobs(6)
    target = perturb(logprobs, logprobs, PerturbConfig(operation=operation), classes)
    torch.testing.assert_close(target, logprobs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("operation", ["equivariant", "equivariant_geometric", "equalize"])
def test_a_neutral_prefix_ends_in_parity(operation: str, classes: GenderClasses):
    logprobs = random_logprobs(6)  # a neutral prefix: both views are the same text
    target = perturb(logprobs, logprobs, PerturbConfig(operation=operation), classes).exp()
    torch.testing.assert_close(target[:, 1], target[:, 2], rtol=1e-12, atol=0)
    torch.testing.assert_close(target[:, 3] + target[:, 4], target[:, 5] + target[:, 6], rtol=1e-12, atol=0)
    torch.testing.assert_close(target[:, 3] / target[:, 4], (logprobs[:, 3] - logprobs[:, 4]).exp())


@pytest.mark.parametrize("operation", ["equivariant", "equivariant_geometric"])
def test_the_target_is_exactly_equivariant(operation: str, classes: GenderClasses):
    logprobs, cf_logprobs = random_logprobs(6, seed=1), random_logprobs(6, seed=2)
    target = perturb(logprobs, cf_logprobs, PerturbConfig(operation=operation), classes)
    cf_target = perturb(cf_logprobs, logprobs, PerturbConfig(operation=operation), classes)
    torch.testing.assert_close(carry(cf_target, target, classes), target, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(target[:, 7:], cf_target[:, 7:], rtol=1e-12, atol=1e-12)


def test_the_geometric_form_keeps_the_mean_agreement_margin_and_the_arithmetic_form_compresses_it(classes):
    # a skewed teacher that agrees: in x it prefers id 1 by 4 nats, in x' the counterpart 2 by 1 nat only
    logprobs, cf_logprobs = random_logprobs(1, seed=1), random_logprobs(1, seed=1)
    logprobs[0, 1:3] = torch.nn.functional.logsigmoid(torch.tensor([4.0, -4.0], dtype=torch.float64))
    cf_logprobs[0, 1:3] = torch.nn.functional.logsigmoid(torch.tensor([-1.0, 1.0], dtype=torch.float64))
    margins = {}
    for operation in ("equivariant", "equivariant_geometric"):
        how = PerturbConfig(operation=operation)
        target = perturb(logprobs.log_softmax(-1), cf_logprobs.log_softmax(-1), how, classes)
        margins[operation] = (target[0, 1] - target[0, 2]).item()
    assert margins["equivariant_geometric"] == pytest.approx(2.5, abs=1e-12)
    expected = (torch.tensor([4.0, 1.0]).sigmoid().sum() / torch.tensor([-4.0, -1.0]).sigmoid().sum()).log().item()
    assert margins["equivariant"] == pytest.approx(expected, abs=1e-6)  # 1.79


@pytest.mark.parametrize("gain", [0.5, 1.7])
def test_a_gain_multiplies_the_log_odds_of_counterparts_and_nothing_else(gain: float, classes: GenderClasses):
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
def test_a_gain_keeps_parity_and_equivariance(operation: str, classes: GenderClasses):
    logprobs, cf_logprobs = random_logprobs(6, seed=1), random_logprobs(6, seed=2)
    how = PerturbConfig(operation=operation, gain=1.7)
    target, cf_target = (
        perturb(one, other, how, classes) for one, other in ((logprobs, cf_logprobs), (cf_logprobs, logprobs))
    )
    torch.testing.assert_close(carry(cf_target, target, classes), target, rtol=1e-12, atol=1e-12)
    neutral = perturb(logprobs, logprobs, how, classes).exp()
    torch.testing.assert_close(neutral[:, 1], neutral[:, 2], rtol=1e-12, atol=0)
    without = perturb(logprobs, cf_logprobs, PerturbConfig(operation=operation), classes)
    margins = [one[:, 1] - one[:, 2] for one in (target, without)]
    torch.testing.assert_close(margins[0], 1.7 * margins[1], rtol=1e-12, atol=1e-12)
    assert torch.equal(perturb(logprobs, None, how, classes), logprobs)


def test_a_gain_without_an_equivariant_operation_is_refused():
    with pytest.raises(ValueError, match=r"perturb\.gain is 2, but only the equivariant .* perturb\.operation is max"):
        validate(PerturbConfig, {"operation": "max", "gain": 2})


def test_the_counterpart_divergence_is_what_kl_loses_when_the_student_gets_the_shares_right(classes: GenderClasses):
    target, student = random_logprobs(6, seed=1), random_logprobs(6, seed=2)
    corrected = student.clone()
    for left, right in ((GROUPS[0], GROUPS[1]), (GROUPS[2], GROUPS[3])):
        q, s = ([p.exp()[:, side].sum(-1, keepdim=True) for side in (left, right)] for p in (target, student))
        for side, mine, its in zip((left, right), q, s, strict=True):
            corrected[:, side] += (mine / sum(q) * sum(s) / its).log()
    kl, kl_corrected = ((target.exp() * (target - p)).sum(-1) for p in (student, corrected))
    torch.testing.assert_close(counterpart_divergence(target, student, classes)[0], kl - kl_corrected)
    values, gradient = counterpart_divergence(target, corrected, classes)
    torch.testing.assert_close(values, torch.zeros_like(values), rtol=0, atol=1e-12)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-12)


def test_the_counterparts_part_of_the_cross_entropy_is_what_a_student_sure_of_the_gender_would_not_have(classes):
    student, labels = random_logprobs(6), torch.tensor([0, 1, 2, 3, 6, 11])
    values, gradient = counterpart_cross_entropy(student, labels, classes)
    assert values[[0, 5]].tolist() == [0, 0]  # not gendered
    assert not gradient[[0, 5]].any()
    for row, (mine, other) in enumerate([([1], [2]), ([2], [1]), ([3, 4], [5, 6]), ([5, 6], [3, 4])], start=1):
        probability = student[row].exp()
        own = probability[mine].sum()
        sure = probability[labels[row]] * (own + probability[other].sum()) / own  # the counterpart's mass is its own
        torch.testing.assert_close(values[row], sure.log() - student[row, labels[row]])
    certain = torch.full_like(student, -200.0).scatter_(1, labels[:, None], 0.0)  # it is the divergence from this
    for mine, its in zip((values, gradient), counterpart_divergence(certain, student, classes), strict=True):
        torch.testing.assert_close(mine, its)


def test_carrying_back_and_forth_is_the_identity(classes: GenderClasses):
    logprobs, cf_logprobs = random_logprobs(6, seed=1), random_logprobs(6, seed=2)
    there = carry(logprobs, cf_logprobs, classes)
    torch.testing.assert_close(carry(there, logprobs, classes), logprobs, rtol=1e-12, atol=1e-12)


# -- classes out of a lexicon and a tokenizer ------------------------------------------------------------------------


def test_classes_of_a_tokenizer_hold_both_sides_of_each_pair(tokenizer):
    classes = gender_classes(tokenizer, load_lexicon())
    words = [tokenizer.decode(i) for i in classes.ids]
    assert len(set(classes.ids.tolist())) == len(classes.ids)
    assert (classes.partner[classes.partner] == torch.arange(len(classes.partner))).all()

    def members(word: str) -> set[str]:
        index = int(classes.class_of[words.index(word)])
        return {words[i] for i in range(len(words)) if classes.class_of[i] == index}

    def counterparts(word: str) -> set[str]:
        index = int(classes.partner[classes.class_of[words.index(word)]])
        return {words[i] for i in range(len(words)) if classes.class_of[i] == index}

    assert counterparts(" he") == {" she"}
    assert counterparts("She") == {"He"}
    assert members(" him") == {" him", " his"}
    assert counterparts(" him") == {" her", " hers"}
    assert counterparts(" hers") == {" him", " his"}
    assert counterparts(" woman") == {" man"}
    assert "he" not in words  # inside a longer word there is nothing to swap


def test_a_tokenizer_that_drops_what_it_does_not_know_has_no_such_terms():
    tokens = Tokenizer(BPE({letter: number for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}, []))
    forms = surface_forms(PreTrainedTokenizerFast(tokenizer_object=tokens), load_lexicon())  # no "(", no capitals
    assert all(form.masculine_id is None and form.feminine_id is None for form in forms)


@pytest.mark.data
def test_gpt2s_tokenizer_has_the_known_single_and_split_terms(shared_data):
    gpt2 = load_tokenizer(str(shared_data / "tokenizer" / "gpt2"))
    forms = {(f.masculine, f.feminine): (f.masculine_id, f.feminine_id) for f in surface_forms(gpt2, load_lexicon())}
    assert forms[" he", " she"] == (339, 673)
    assert None not in forms[" actor", " actress"]
    assert forms[" businessman", " businesswoman"][1] is None
    assert None in forms[" Himself", " Herself"]
