"""Three steps of two micro-batches on a fake GPU, alone or as one of 64 processes; prints what they did as JSON.

    python -m on_fake_cuda.step FOLDER_OF_GUARD JSON_OPTIONS

Options: layout (`alone`, `ddp` or `fsdp2`), architecture, precision, settings (of a run), shard_teacher, and cached
(whether the teacher's states are). Answers: device, kind, scaler, moments (types of the optimizer's), policy and
num_roots (of FSDP2), and the events of the third step, because DDP arranges its buckets in the second.
"""

import json
import os
import sys
from pathlib import Path

from benchmarks.fake_cuda.device import fake_cuda, load_guard

WORLD, RANK, LOCAL_RANK = 64, 11, 3


def environment(layout: str, precision: str) -> dict[str, str]:
    """What a launcher gives to one process."""
    world, rank, local = (1, 0, 0) if layout == "alone" else (WORLD, RANK, LOCAL_RANK)
    result = {"ACCELERATE_MIXED_PRECISION": precision}
    if layout != "alone":
        result |= {"RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(local), "LOCAL_WORLD_SIZE": "8"}
        result |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"}
    if layout == "fsdp2":
        names = {
            "ACCELERATE_USE_FSDP": "true",
            "FSDP_VERSION": "2",
            "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
            "FSDP_RESHARD_AFTER_FORWARD": "true",
            "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT",
            "FSDP_CPU_RAM_EFFICIENT_LOADING": "false",
        }
        result |= names
    return result


def take_steps(
    layout: str,
    architecture: str,
    precision: str,
    settings: dict,
    shard_teacher: bool = False,
    cached: bool = False,
) -> dict:
    """Build everything as a run does, and take three steps."""
    import torch
    from device_path import NUM_GENDERED, model_on, pairs_of_blocks
    from torch.distributed.fsdp import FSDPModule

    from distill.config import RunConfig
    from distill.loss.distiller import Distiller
    from distill.loss.fused import Objective
    from distill.loss.gender_classes import GenderClasses
    from distill.run.launch import build_accelerator, prepare
    from distill.run.launch import shard_teacher as shard
    from distill.run.learner import Learner, TrainState, build_optimizer
    from distill.run.schedule import build_scheduler
    from distill.run.step import scored_batches, train_step
    from distill.settings import validate

    base = {"run_dir": "r", "data": {"path": "p"}, "teacher": {"path": "t"}, "student": {"layers": [0]}}
    config = validate(RunConfig, base | {"train": {"max_steps": 3}} | settings)
    if layout != "alone":
        join_fake_group()
    with fake_cuda(LOCAL_RANK if layout != "alone" else 0) as events:
        accelerator = build_accelerator(config)
        teacher = model_on(torch.device("cpu"), architecture).requires_grad_(False).eval().to(accelerator.device)
        if shard_teacher:
            shard(teacher, accelerator)
        ids = torch.arange(NUM_GENDERED)
        classes = GenderClasses(ids + 100, ids, ids ^ 1, ids[:, None]).to(accelerator.device)
        student = model_on(torch.device("cpu"), architecture).train()
        distiller = Distiller(student, Objective(config.loss, config.perturb, classes), teacher).to(accelerator.device)
        model, optimizer = prepare(accelerator, distiller, build_optimizer(config.optim, distiller))
        if layout == "ddp":
            answer_buckets(model, events)
        learner = Learner(model, optimizer, build_scheduler(config.optim, optimizer, 3), TrainState())
        for _ in range(3):
            events.clear()
            micro_batches = scored_batches([pairs_of_blocks(cached)] * 2, config, accelerator.device)
            train_step(accelerator, config, learner, list(micro_batches))
        sharded = {"student": model, "teacher": teacher}
        states = {
            name: [m._get_fsdp_state() for m in whole.modules() if isinstance(m, FSDPModule)]
            for name, whole in sharded.items()
        }
        return {
            "device": str(accelerator.device),
            "kind": accelerator.distributed_type.value,
            "policy": str(accelerator.state.fsdp_plugin.mixed_precision_policy) if accelerator.is_fsdp2 else None,
            "num_roots": {name: sum(state._is_root for state in found) for name, found in states.items()},
            "scaler": accelerator.scaler is not None,
            "moments": sorted({str(state["exp_avg"].dtype) for state in optimizer.optimizer.state.values()}),
            "events": dict(events),
        }


def join_fake_group() -> None:
    """Be one of 64 processes of which the others do not exist."""
    import torch.nn.parallel.distributed as ddp
    from torch import distributed
    from torch.testing._internal.distributed.fake_pg import FakeStore

    distributed.init_process_group("fake", rank=RANK, world_size=WORLD, store=FakeStore())
    ddp._verify_param_shape_across_processes = lambda *_: None  # it reads the answers of the others


def answer_buckets(model, events) -> None:
    """Give DDP the sum of each bucket, which its own hook reads from the answer of a collective; no CUDA timer."""
    import torch

    def hook(_, bucket):
        events["bucket all-reduce"] += 1
        future = torch.futures.Future()
        future.set_result(bucket.buffer())
        return future

    model.register_comm_hook(None, hook)
    model.logger = type("Quiet", (), {"set_runtime_stats_and_log": lambda self: None})()


def main() -> None:
    folder, options = Path(sys.argv[1]), json.loads(sys.argv[2])
    os.environ |= environment(options["layout"], options["precision"])
    load_guard(folder)
    print(json.dumps(take_steps(**options)))


if __name__ == "__main__":
    main()
