"""The loss of docs/method.md as a slow reference: position by position, from probabilities, in float64."""

import torch
from torch import Tensor

from distill.config import RunConfig
from distill.loss.gender_classes import GenderClasses
from distill.loss_config import LossConfig


def slow_carry(p: Tensor, p_cf: Tensor, classes: GenderClasses) -> Tensor:
    """M p': what p' gives an id spreads over the counterpart class in the proportions of p."""
    in_class = torch.zeros(len(classes.members), len(p), dtype=p.dtype)
    in_class[classes.class_of, classes.ids] = 1
    mass = (in_class @ p_cf)[classes.partner]  # of each class's counterpart
    carried = p_cf.clone()
    carried[classes.ids] = ((mass / (in_class @ p))[classes.class_of]) * p[classes.ids]
    return carried


def reference_target(p: Tensor, p_cf: Tensor | None, operation: str, strength: float, classes: GenderClasses) -> Tensor:
    if operation == "none" or (p_cf is None and operation != "equalize"):
        return p
    if operation == "equalize":
        p_cf = slow_carry(p, p, classes)
    elif operation.startswith("equivariant"):
        p_cf = slow_carry(p, p_cf, classes)
    if operation == "max":
        target = torch.maximum(p, p_cf)
    elif operation in ("mean", "equivariant_geometric", "equalize"):
        target = torch.sqrt(p * p_cf)
    elif operation == "swap":
        target = p_cf
    else:
        target = (p + p_cf) / 2
    return (1 - strength) * p + strength * target / target.sum()


def reference_divergence(q: Tensor, s: Tensor, loss: LossConfig) -> Tensor:
    m = loss.beta * q + (1 - loss.beta) * s
    terms = {
        "forward_kl": lambda: q * (q / s).log(),
        "reverse_kl": lambda: s * (s / q).log(),
        "jsd": lambda: loss.beta * q * (q / m).log() + (1 - loss.beta) * s * (s / m).log(),
        "skewed_kl": lambda: q * (q / m).log(),
    }
    return terms[loss.divergence]().sum()


def reference_loss(student, teacher, examples, config: RunConfig, classes: GenderClasses) -> Tensor:
    """The loss of docs/method.md, position by position, on unpadded rows, in float64."""
    total, num_tokens = torch.zeros((), dtype=torch.float64), 0
    if config.augment.mode == "augment":
        examples = [side for example in examples for side in (example, example.exchanged())]
    tau = config.loss.temperature
    for example in examples:
        ids = torch.from_numpy(example.input_ids)[None]
        out = student(ids, output_hidden_states=True)
        with torch.no_grad():
            own = teacher(ids, output_hidden_states=True)
            other = teacher(torch.from_numpy(example.cf_input_ids)[None]).logits[0]
        for t in range(ids.shape[1] - 1):
            if example.scored is not None and not example.scored[t + 1]:
                continue
            partner = int(example.align[t])
            p = (own.logits[0, t] / tau).softmax(-1)
            p_cf = None if partner < 0 else (other[partner] / tau).softmax(-1)
            target = reference_target(p, p_cf, config.perturb.operation, config.perturb.strength, classes)
            kd = reference_divergence(target, (out.logits[0, t] / tau).softmax(-1), config.loss)
            ce = -out.logits[0, t].log_softmax(-1)[ids[0, t + 1]]
            h, g = out.hidden_states[-1][0, t], own.hidden_states[-1][0, t]
            hidden = 1 - (h @ g) / (h.norm() * g.norm())
            loss = config.loss
            total = total + loss.kd_weight * tau**2 * kd + loss.ce_weight * ce + loss.hidden_weight * hidden
            num_tokens += 1
    return total / num_tokens
