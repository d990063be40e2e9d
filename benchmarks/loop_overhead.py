"""Compare our training loop with a bare PyTorch loop that takes the same steps: what does everything else cost?

    python -m benchmarks.loop_overhead [--rounds 5] [--steps 40] [--width 256] [--out RESULT.json]

Both loops compute the same on the same blocks: teacher and student forward, loss, backward, clipping, fused AdamW. The
bare loop has its batches in memory and does nothing else. Ours also loads the batches, counts tokens, logs every tenth
step, checks for signals and goes through Accelerate.

Prints one line of JSON: the wall-clock seconds per step of each loop (median over its steps, minimum over the rounds),
and ours / bare (median over the rounds) in wall-clock time and in CPU time. Other programs on the machine disturb the
CPU time less. Runs on a GPU if there is one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from distill.config import RunConfig
from distill.data.batches import batches
from distill.loss.positions import ScoredBatch
from distill.models.loading import load_tokenizer
from distill.run import trainer
from distill.run.learner import build_distiller, build_optimizer, place_teacher
from distill.run.schedule import build_scheduler
from distill.run.setup import Setup, add_provenance, set_up
from distill.run.step import scored_batches
from distill.settings import validate
from distill.smallworld.default_world import default_world
from distill.smallworld.folder import CorpusParameters, build_corpus

NUM_WARMUP_STEPS = 5


class Moments(NamedTuple):
    """The time at which each step began, in seconds, by the wall clock and by the CPU clock of this process."""

    wall: list[float]
    cpu: list[float]

    def now(self) -> None:
        """Note that a step begins."""
        self.wall.append(time.perf_counter())
        self.cpu.append(time.process_time())

    def per_step(self) -> tuple[float, float]:
        """The median wall-clock and CPU seconds of a step, warm-up steps left out."""
        return tuple(median(b - a for a, b in itertools.pairwise(clock[NUM_WARMUP_STEPS:])) for clock in self)  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--width", type=int, default=256, help="hidden size of the models")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            config = prepare(Path(folder), options.width, options.steps, number)
            rounds.append({"bare": bare_loop(config).per_step(), "ours": our_loop(config).per_step()})
    seconds = {name: min(r[name][0] for r in rounds) for name in ("bare", "ours")}
    result = {
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "seconds_per_step_bare": round(seconds["bare"], 5),
        "seconds_per_step_ours": round(seconds["ours"], 5),
        "ratio_wall": round(median(r["ours"][0] / r["bare"][0] for r in rounds), 4),
        "ratio_cpu": round(median(r["ours"][1] / r["bare"][1] for r in rounds), 4),
        "ratios_wall_by_round": [round(r["ours"][0] / r["bare"][0], 4) for r in rounds],
    }
    print(json.dumps(result))
    if options.out:
        options.out.write_text(json.dumps(result) + "\n", encoding="utf-8")


def prepare(folder: Path, width: int, num_steps: int, number: int) -> RunConfig:
    """Make a small world and a teacher with random weights, and return the configuration of run `number`."""
    if not (folder / "world").exists():
        parameters = CorpusParameters(num_documents=2000, num_heldout=20, seed=0, vocab_size=4000)
        build_corpus(folder / "world", default_world(), parameters)
        tokenizer = load_tokenizer(str(folder / "world" / "tokenizer"))
        size = {"n_embd": width, "n_head": 4, "n_layer": 4, "n_positions": 128, "vocab_size": len(tokenizer)}
        ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.bos_token_id}
        teacher = AutoModelForCausalLM.from_config(AutoConfig.for_model("gpt2", **size, **ids))
        teacher.save_pretrained(folder / "teacher")
        tokenizer.save_pretrained(folder / "teacher")
    settings = {
        "run_dir": str(folder / f"run{number}"),
        "data": {
            "path": str(folder / "world" / "train.jsonl"),
            "heldout_path": str(folder / "world" / "heldout.jsonl"),
            "seq_len": 128,
            "cache_dir": str(folder / "cache"),
        },
        "teacher": {"path": str(folder / "teacher")},
        "student": {"layers": [0, 3]},
        "perturb": {"operation": "equivariant"},
        "train": {"max_steps": num_steps, "global_batch_size": 8, "micro_batch_size": 4, "eval_blocks": 1},
    }
    return validate(RunConfig, settings)


def our_loop(config: RunConfig) -> Moments:
    """Train with `trainer.fit` and note when each step begins."""
    moments, train_step = Moments([], []), trainer.train_step

    def timed(*arguments: Any) -> Any:
        moments.now()
        return train_step(*arguments)

    Path(config.run_dir).mkdir()
    with patch.object(trainer, "train_step", timed):
        trainer.fit(add_provenance(set_up(config)))
    return moments


def bare_loop(config: RunConfig) -> Moments:
    """Train with a loop that does only what a step needs, and note when each step begins."""
    setup = set_up(config)  # we use its accelerator for the device only
    device = setup.accelerator.device
    place_teacher(setup)
    distiller = build_distiller(setup)
    optimizer = build_optimizer(config.optim, distiller)
    scheduler = build_scheduler(config.optim, optimizer, setup.schedule.max_steps)
    moments = Moments([], [])
    for micro_batches in steps_in_memory(setup):
        moments.now()
        scale = torch.tensor(1 / sum(positions.num_tokens for _, positions in micro_batches), device=device)
        for micro_batch in micro_batches:
            distiller(*micro_batch.to(device), scale).loss.backward()
        torch.nn.utils.clip_grad_norm_(distiller.parameters(), config.optim.max_grad_norm).item()
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
    return moments


def steps_in_memory(setup: Setup) -> list[list[ScoredBatch]]:
    """Load the micro-batches of every step."""
    schedule = setup.schedule
    micro = itertools.islice(setup.block_indices(0), schedule.max_steps * schedule.micro_steps)
    ready = list(scored_batches(batches(setup.blocks.train, micro, setup.config.data.seq_len), setup.config))
    return [ready[start : start + schedule.micro_steps] for start in range(0, len(ready), schedule.micro_steps)]


if __name__ == "__main__":
    main()
