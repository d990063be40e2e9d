"""What the server does: select clients, ask them, take the mean, and keep the run folder.

It knows of its clients their numbers and sizes, and how to ask them (`Ask`). Who carries the question is not its
business: distill/federated/in_turn.py lets the clients answer in this process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from distill.config import RunConfig
from distill.federated.client import Answer, load_weights, read_weights
from distill.federated.selection import Weights, aggregate, period_of, select, shares
from distill.run.checkpoint import save_checkpoint
from distill.run.interrupt import StopRequest
from distill.run.learner import Learner, TrainState
from distill.run.setup import Setup
from distill.run.tracking import RunLog
from distill.run.trainer import build_or_resume, export, look, stopped, upload

# Asks clients, by their numbers, to train these weights in a round; the order of the answers makes no difference.
Ask = Callable[[Learner, int, Weights, Sequence[int]], Mapping[int, Answer]]


def fit_federated(setup: Setup, sizes: Sequence[Sequence[int]], ask: Ask) -> TrainState:
    """Train until the rounds end, continuing after the newest checkpoint's round if there is one, and write student/.

    sizes [P, C]: of the clients in each period. Lines of metrics.jsonl, evaluations and checkpoints come at the end of
    the first round that reaches their step. The caller must hold the run folder. Raises FloatingPointError when a
    client's step fails, ValueError when a client does not answer, and Stopped after SIGTERM or SIGINT, once the round
    is finished and a checkpoint is written.
    """
    config, train, federated = setup.config, setup.config.train, setup.config.federated
    assert federated is not None
    run_dir, max_steps, local_steps = Path(config.run_dir), setup.schedule.max_steps, federated.local_steps
    learner = build_or_resume(setup)
    state = learner.state
    with RunLog(setup.accelerator, run_dir, state.step, max_steps) as log, StopRequest() as stop:
        log.log(state.step, {"num_processes": 1, "device": setup.accelerator.device.type})
        if state.step in (0, max_steps):
            heldout = look(setup, learner, log)
        while state.step < max_steps:
            number = state.step // local_steps
            period = current_period(config, number)
            metrics = run_round(setup, learner, number, sizes[period], ask)
            state.step += local_steps
            state.tokens_seen += metrics["num_tokens"]
            state.heldout_nats_per_token = None
            log.advance(metrics["num_tokens"], local_steps)
            is_last = state.step == max_steps
            if is_last or _reaches(state.step, train.log_every, local_steps):
                log.log_step(state.step, metrics | {"tokens_seen": state.tokens_seen, "period": period})
            if is_last or (not stop.received and _reaches(state.step, train.eval_every, local_steps)):
                heldout = look(setup, learner, log)
            if stop.received or is_last or _reaches(state.step, train.save_every, local_steps):
                save_checkpoint(setup.accelerator, run_dir, learner, train.keep_checkpoints)
                log.restart_clock()
            if stop.received and not is_last:
                raise stopped(setup, stop.received, state.step)
        export(setup, learner, heldout)
    upload(setup)
    return state


def run_round(setup: Setup, learner: Learner, number: int, sizes: Sequence[int], ask: Ask) -> dict[str, Any]:
    """One round from the learner's weights, in place; returns its metrics.

    loss: per prediction, the mean over the clients, with the shares that their weights have. clients: the numbers of
    those selected; one that was drawn twice is there twice.
    """
    federated = setup.config.federated
    assert federated is not None
    selected = select(sizes, federated.clients_per_round, federated.selection, setup.config.seed, number)
    of_clients = shares(selected, sizes, federated.selection)
    answers = ask(learner, number, read_weights(learner.model), list(of_clients))
    load_weights(learner.model, aggregate({client: answer.weights for client, answer in answers.items()}, of_clients))
    return {
        "loss": sum(share * answers[client].loss for client, share in of_clients.items()),
        "num_tokens": sum(answers[client].num_tokens for client in of_clients),
        "round": number + 1,
        "clients": selected,
    }


def current_period(config: RunConfig, number: int) -> int:
    """The period of a round, both counted from 0."""
    assert config.federated is not None and config.train.max_steps is not None
    return period_of(number, config.train.max_steps // config.federated.local_steps, config.federated.periods)


def _reaches(step: int, every: int, local_steps: int) -> bool:
    """Whether the round that ends at `step` reaches a multiple of `every`."""
    return step // every > (step - local_steps) // every
