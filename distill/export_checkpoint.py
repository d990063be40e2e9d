"""Export the student of a checkpoint as a plain transformers folder, while its run continues or afterwards.

evenhand checkpoint RUN CHECKPOINT --out DIR

CHECKPOINT is the name of a checkpoint's folder (step_00000500), or `best`: the one with the lowest held-out loss.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.distributed.checkpoint as distributed_checkpoint
from torch.distributed.checkpoint import CheckpointException
from transformers import PreTrainedModel
from transformers.utils import logging

from augment.command_line import exit_code
from distill.config import RunConfig
from distill.files import writing
from distill.models.run_models import load_run_models
from distill.run.checkpoint import best_checkpoint, checkpoints, does_not_fit, quiet, without_frozen
from distill.run.export import model_card, write_student
from distill.run.folder import check_models
from distill.run.heldout import heldout_results
from distill.run.learner import TrainState
from distill.run.manifest import damage
from distill.run.private.lineage import STATEMENT_FILE, read_statement
from distill.settings import load_config

BEST = "best"


def main(arguments: Sequence[str] | None = None, prog: str = "python -m distill.export_checkpoint") -> None:
    """Parse the command line and write. Raises ValueError or OSError with one message."""
    logging.disable_progress_bar()
    parser = argparse.ArgumentParser(prog=prog, description="Write the student of a checkpoint as a model folder.")
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help=f"for example step_00000500, or `{BEST}`")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write, which must not exist")
    options = parser.parse_args(arguments)
    state = export_checkpoint(options.run, options.checkpoint, options.out)
    print(f"{options.out}: the student after step {state.step}")


def export_checkpoint(run_dir: Path, name: str, out: Path) -> TrainState:
    """Write the student of a run's checkpoint into `out`: weights, configuration, tokenizer and model card.

    The teacher, or whatever else the student was made from, must still be where it was. Relative paths start at the
    current folder. Returns the state of the run at the checkpoint. Raises FileNotFoundError if the run or the
    checkpoint does not exist, ValueError for a damaged checkpoint or for models that have changed since, and OSError on
    a full disk.
    """
    if out.exists() or out.resolve().is_relative_to(run_dir.resolve()):
        raise ValueError(f"{out} exists or is in the run's folder; give another --out")
    checkpoint = find_checkpoint(run_dir, name)
    config = load_config(RunConfig, run_dir / "config.yaml", [])
    models = load_run_models(config)
    check_models(run_dir, config, models)
    state = load_weights(checkpoint, models.student)
    loss = state.heldout_nats_per_token
    results = {} if loss is None else heldout_results(loss)
    with writing("the model's files", out, "--out"):
        out.parent.mkdir(parents=True, exist_ok=True)
    promise = None if config.privacy is None else read_statement(run_dir / STATEMENT_FILE)
    card = model_card(config, state, results, promise)
    write_student(out, models.student, models.tokenizer, card=card, promise=promise)
    return state


def find_checkpoint(run_dir: Path, name: str) -> Path:
    """Find the folder of a checkpoint. Raises FileNotFoundError, naming the existing checkpoints, if it has none."""
    if not (run_dir / "config.yaml").is_file():
        raise FileNotFoundError(f"{run_dir} is not a run folder: it has no config.yaml")
    present = {path.name: path for path in checkpoints(run_dir)}
    checkpoint = best_checkpoint(run_dir) if name == BEST else present.get(name)
    if checkpoint is None:
        wanted = "no checkpoint at whose step the held-out loss was measured" if name == BEST else f"no {name}"
        raise FileNotFoundError(f"{run_dir} has {wanted}; its checkpoints are: {', '.join(present) or 'none'}")
    return checkpoint


def load_weights(checkpoint: Path, student: PreTrainedModel) -> TrainState:
    """Load a checkpoint's weights into a student of the same architecture, in place; returns the state of its run.

    Any number of processes may have written it. Raises ValueError for a checkpoint that is damaged or does not fit.
    """
    faults = damage(checkpoint)
    if faults:
        raise ValueError(f"{checkpoint} is damaged ({faults[0]}); take another one")
    weights = {f"student.{name}": weight for name, weight in without_frozen(student.state_dict(), student).items()}
    try:
        with quiet():
            distributed_checkpoint.load({"model": weights}, checkpoint_id=checkpoint / "state")
        return TrainState(**torch.load(checkpoint / "run.pt", weights_only=True)["state"])
    except (Exception, CheckpointException) as error:
        raise does_not_fit(checkpoint, error) from error


if __name__ == "__main__":
    sys.exit(exit_code(main))
