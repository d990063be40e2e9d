"""Training: `fit` is the run, from the first step to the exported student."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from accelerate.utils import set_seed

from distill.data.separators import separators_of
from distill.files import write_text
from distill.privacy.accountant import accountant_version
from distill.run.checkpoint import load_newest_checkpoint, save_checkpoint
from distill.run.export import model_card, push_student, save_student
from distill.run.failed_steps import FailureStreak, handle_failed_step
from distill.run.folder import STOPPED_FILE
from distill.run.heldout import evaluate_heldout
from distill.run.interrupt import Stopped, StopRequest
from distill.run.launch import on_main
from distill.run.learner import Learner, TrainState, build_learner
from distill.run.private.lineage import STATEMENT_FILE
from distill.run.private.records import private_steps_of
from distill.run.private.secret import new_secret
from distill.run.private.statement import write_statement
from distill.run.private.step import private_step
from distill.run.ramp import follow_ramp
from distill.run.samples import samples
from distill.run.setup import Setup
from distill.run.step import steps_of, train_step
from distill.run.throughput import flops_per_token
from distill.run.tracking import RunLog, start_trackers


def fit(setup: Setup) -> TrainState:
    """Train until the schedule ends, continuing from the newest checkpoint if there is one, and write student/.

    The main process must hold the run folder. Raises FloatingPointError when the loss or a gradient is not finite (the
    last checkpoint stays as it is), and Stopped after SIGTERM or SIGINT, once the step is finished and a checkpoint is
    written.
    """
    config, accelerator, train = setup.config, setup.accelerator, setup.config.train
    run_dir, max_steps = Path(config.run_dir), setup.schedule.max_steps
    flops = flops_per_token(setup.models.student, setup.models.teacher, cached=setup.blocks.states is not None)
    learner = build_or_resume(setup)
    state, streak = learner.state, FailureStreak()
    take_step, stream = _steps(setup, learner)
    follow_ramp(accelerator, config.perturb.ramp, learner)
    with RunLog(accelerator, run_dir, state.step, max_steps, flops) as log, StopRequest() as stop:
        log.log(state.step, {"num_processes": accelerator.num_processes, "device": accelerator.device.type})
        if state.step == max_steps or (state.heldout_nats_per_token is None and state.step % train.eval_every == 0):
            heldout = look(setup, learner, log)
        while state.step < max_steps:
            micro_batches = next(stream)
            try:
                metrics = take_step(learner, micro_batches, stop.received)
            except FloatingPointError as error:
                handle_failed_step(setup, learner, micro_batches, error)
                metrics = None
            state.advance(metrics)
            log.advance(0 if metrics is None else metrics["num_tokens"])
            streak.count(state.step, metrics)
            is_last = state.step == max_steps
            signal_number = stop.agreed(accelerator, None if metrics is None else metrics.pop("signal"))
            if metrics is not None and (is_last or state.step % train.log_every == 0):
                log.log_step(state.step, metrics | state.counts())
            if is_last or (not signal_number and state.step % train.eval_every == 0):
                heldout = look(setup, learner, log)
            if signal_number or is_last or state.step % train.save_every == 0:
                save_checkpoint(accelerator, run_dir, learner, train.keep_checkpoints)
                if setup.privacy is not None:
                    write_statement(setup, state)
                log.restart_clock()
            if signal_number and not is_last:
                raise stopped(setup, signal_number, state.step)
        export(setup, learner, heldout)
    upload(setup)
    return state


def build_or_resume(setup: Setup) -> Learner:
    """The learner at the run's newest checkpoint, or at step 0; the trackers are started."""
    config, accelerator = setup.config, setup.accelerator
    learner = build_learner(setup)
    set_seed(config.seed, device_specific=True)
    if load_newest_checkpoint(accelerator, Path(config.run_dir), learner, config.seed):
        accelerator.print(f"continuing {config.run_dir} from step {learner.state.step} of {setup.schedule.max_steps}")
    if setup.privacy is not None:
        _begin_private(setup, learner)
    start_trackers(accelerator, config)
    if accelerator.is_main_process:
        Path(config.run_dir, STOPPED_FILE).unlink(missing_ok=True)
    return learner


def _begin_private(setup: Setup, learner: Learner) -> None:
    """Give a new private run its secret, and keep it before anything is made of it; check that of a resumed one.

    Raises ValueError if the accountant now asks for other noise than when the run began.
    """
    assert setup.privacy is not None
    state, noise, accelerator = learner.state, setup.privacy.steps.noise_multiplier, setup.accelerator
    if state.secret is None:
        state.secret, state.noise_multiplier = on_main(accelerator, new_secret), noise
        save_checkpoint(accelerator, Path(setup.config.run_dir), learner, setup.config.train.keep_checkpoints)
    elif state.noise_multiplier != noise:
        raise ValueError(
            f"{setup.config.run_dir} was begun with the noise multiplier {state.noise_multiplier}, but dp-accounting "
            f"{accountant_version()} now gives {noise}; install the version that its {STATEMENT_FILE} names"
        )
    write_statement(setup, state)


def _steps(setup: Setup, learner: Learner) -> tuple[Callable[..., dict[str, Any]], Iterator[Any]]:
    """What takes a step, and what the steps read from the learner's step on: micro-batches, or the shares of a step."""
    config, accelerator, step = setup.config, setup.accelerator, learner.state.step
    if setup.privacy is None:
        return partial(train_step, accelerator, config), steps_of(setup, step)
    return partial(private_step, accelerator, config, setup.privacy), private_steps_of(setup, learner.state)


def export(setup: Setup, learner: Learner, heldout: dict[str, float]) -> None:
    """Write student/ with its model card. heldout: the last held-out results."""
    config, accelerator, run_dir = setup.config, setup.accelerator, Path(setup.config.run_dir)
    promise = None if setup.privacy is None else write_statement(setup, learner.state)
    card = model_card(config, learner.state, heldout, promise)
    teacher = None if config.teacher is None else config.teacher.path
    save_student(accelerator, run_dir, learner.model, setup.models.tokenizer, card, teacher, promise)


def upload(setup: Setup) -> None:
    """Upload student/ if configured so."""
    repository = setup.config.train.push_to_hub
    if repository is not None and setup.accelerator.is_main_process:
        print(f"uploaded to {push_student(Path(setup.config.run_dir), repository)}")


def look(setup: Setup, learner: Learner, log: RunLog) -> dict[str, float]:
    """Measure the held-out perplexity and let the student write samples; returns the held-out results.

    If the run resumed at its last step, these results are already in the log.
    """
    accelerator, state, prompts = setup.accelerator, learner.state, setup.config.train.sample_prompts
    results = evaluate_heldout(accelerator, learner.model, setup.blocks, setup.config)
    if state.heldout_nats_per_token is not None:
        return results
    state.heldout_nats_per_token, state.heldout_kl = results["heldout_nats_per_token"], results.get("heldout_kl")
    log.log(state.step, results | follow_ramp(accelerator, setup.config.perturb.ramp, learner))
    if prompts:
        tokenizer = setup.models.tokenizer
        prefix_ids, _ = separators_of(setup.config.data, tokenizer)
        log.log_samples(state.step, samples(accelerator, learner.model, tokenizer, prompts, prefix_ids))
    log.restart_clock()
    return results


def stopped(setup: Setup, signal_number: int, step: int) -> Stopped:
    """What to raise after a signal; leaves stopped.json in the run folder."""
    request = Stopped(signal_number, step, setup.schedule.max_steps)
    if setup.accelerator.is_main_process:
        write_text(Path(setup.config.run_dir, STOPPED_FILE), request.note())
    return request
