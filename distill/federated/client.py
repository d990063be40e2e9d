"""What a client does in a round: train the student that the server sent, on its own text, and send it back.

A client keeps nothing between rounds. In each, its optimizer starts anew, with the learning rate of the server's step,
and it reads the blocks of that step in its own order (`training_indices`). So its answer depends on the weights and the
round alone, and it can be asked again.
"""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
import torch
from accelerate.utils import set_seed
from datasets import Dataset

from distill.data.blocks import Blocks
from distill.federated.selection import Weights
from distill.run.failed_steps import handle_failed_step
from distill.run.learner import Learner, TrainState, begin_state
from distill.run.schedule import move_scheduler
from distill.run.setup import Setup
from distill.run.step import steps_of, train_step


class Answer(NamedTuple):
    """What a client sends: its weights, and of its steps the mean loss per prediction and the number of predictions."""

    weights: Weights
    loss: float
    num_tokens: int


def train_client(setup: Setup, learner: Learner, blocks: Blocks, weights: Weights, where: tuple[int, int]) -> Answer:
    """Take federated.local_steps steps from `weights` on the client's blocks. The learner is overwritten.

    setup: of the run; its blocks are not used. where: the round, counted from 0, and the client. Raises
    FloatingPointError, naming the client, when a step fails and train.on_nonfinite is `stop`.
    """
    assert setup.config.federated is not None
    (round_number, client), num_steps = where, setup.config.federated.local_steps
    own, first_step = setup._replace(blocks=blocks), round_number * num_steps
    learner = learner._replace(state=TrainState(step=first_step))
    load_weights(learner.model, weights)
    begin_state(learner.optimizer.optimizer)
    move_scheduler(learner.scheduler, first_step)
    # dropout: neither other clients nor the order in which they train may change it
    set_seed(int(np.random.SeedSequence([setup.config.seed, round_number, client]).generate_state(1)[0]) // 2)
    loss_sum = 0.0
    with closing(steps_of(own, first_step)) as steps:
        for micro_batches in islice(steps, num_steps):
            try:
                metrics = train_step(own.accelerator, own.config, learner, micro_batches)
                loss_sum += metrics["loss"] * metrics["num_tokens"]
            except FloatingPointError as error:
                try:
                    handle_failed_step(own, learner, micro_batches, error)
                except FloatingPointError as described:
                    raise FloatingPointError(f"client {client}, round {round_number + 1}: {described}") from error
                metrics = None
            learner.state.advance(metrics)
    num_tokens = learner.state.tokens_seen
    return Answer(read_weights(learner.model), loss_sum / max(num_tokens, 1), num_tokens)


def read_weights(model: torch.nn.Module) -> Weights:
    """Copies of the weights that are trained, on the CPU; of an adapter's student, only the adapter's."""
    return {name: weight.detach().cpu().clone() for name, weight in _trained(model).items()}


@torch.no_grad()
def load_weights(model: torch.nn.Module, weights: Weights) -> None:
    """Copy weights into a model, in place. Raises ValueError if they are not those that it trains."""
    own = _trained(model)
    if {name: weight.shape for name, weight in own.items()} != {name: weight.shape for name, weight in weights.items()}:
        raise ValueError("the weights are of another student: server and clients need the same student settings")
    for name, weight in own.items():
        weight.copy_(weights[name])


def _trained(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    # a device that compiles layers gives them longer names
    return {n.replace("_orig_mod.", ""): weight for n, weight in model.named_parameters() if weight.requires_grad}


def num_predictions(blocks: Dataset, both_views: bool) -> int:
    """The predictions that one pass over the blocks scores: of each block, all but that of its first token.

    both_views: whether the student reads the counterfactuals too (augment.mode `augment`).
    """
    views = ["input_ids", "cf_input_ids"][: 1 + both_views]
    return sum(pc.sum(pc.list_value_length(blocks.data.column(view))).as_py() - len(blocks) for view in views)
