"""The parts of KL and cross-entropy between counterparts, by the chain rule; and the inconsistency of two views."""

import torch

from distill.loss.counterparts import counterpart_cross_entropy, counterpart_divergence, inconsistency
from distill.loss.gender_classes import GenderClasses
from distill.loss.targets import carry

GROUPS = [[1], [2], [3, 4], [5, 6]]  # the classes of the fixture `classes`


def test_the_counterpart_divergence_is_what_kl_loses_when_the_student_gets_the_shares_right(
    classes: GenderClasses, random_logprobs
):
    target, student = random_logprobs(6, seed=1), random_logprobs(6, seed=2)
    corrected = student.clone()
    for left, right in ((GROUPS[0], GROUPS[1]), (GROUPS[2], GROUPS[3])):
        q, s = ([p.exp()[:, side].sum(-1, keepdim=True) for side in (left, right)] for p in (target, student))
        for side, wanted, present in zip((left, right), q, s, strict=True):
            corrected[:, side] += (wanted / sum(q) * sum(s) / present).log()
    kl, kl_corrected = ((target.exp() * (target - p)).sum(-1) for p in (student, corrected))
    torch.testing.assert_close(counterpart_divergence(target, student, classes)[0], kl - kl_corrected)
    values, gradient = counterpart_divergence(target, corrected, classes)
    torch.testing.assert_close(values, torch.zeros_like(values), rtol=0, atol=1e-12)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-12)


def test_the_counterpart_cross_entropy_is_what_a_student_certain_of_the_gender_would_not_have(classes, random_logprobs):
    student, labels = random_logprobs(6), torch.tensor([0, 1, 2, 3, 6, 11])
    values, gradient = counterpart_cross_entropy(student, labels, classes)
    assert values[[0, 5]].tolist() == [0, 0]  # not gendered
    assert not gradient[[0, 5]].any()
    for row, (own_ids, partner_ids) in enumerate([([1], [2]), ([2], [1]), ([3, 4], [5, 6]), ([5, 6], [3, 4])], start=1):
        probability = student[row].exp()
        own = probability[own_ids].sum()
        sure = (
            probability[labels[row]] * (own + probability[partner_ids].sum()) / own
        )  # the counterpart's mass is its own
        torch.testing.assert_close(values[row], sure.log() - student[row, labels[row]])
    certain = torch.full_like(student, -200.0).scatter_(1, labels[:, None], 0.0)  # it is the divergence from this
    for part, expected in zip((values, gradient), counterpart_divergence(certain, student, classes), strict=True):
        torch.testing.assert_close(part, expected)


def test_the_inconsistency_is_the_divergence_from_the_mirror_image(classes: GenderClasses, random_logprobs):
    views = random_logprobs(2, 5)
    for own, other, values in zip(views, views.flip(0), inconsistency(views, classes), strict=True):
        mirrored = carry(other, own, classes)
        torch.testing.assert_close(values, (own.exp() * (own - mirrored)).sum(-1))
        consistent = torch.stack([own, carry(own, other, classes)])
        torch.testing.assert_close(
            inconsistency(consistent, classes)[0], torch.zeros(5, dtype=own.dtype), atol=1e-12, rtol=0
        )
