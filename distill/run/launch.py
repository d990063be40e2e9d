"""Use the processes and devices that `accelerate launch` has set up; refuse what this trainer does not support."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from accelerate import Accelerator, FullyShardedDataParallelPlugin, PartialState
from accelerate.utils import (
    DistributedDataParallelKwargs,
    DistributedType,
    InitProcessGroupKwargs,
    broadcast_object_list,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.nn.parallel import DistributedDataParallel
from transformers import PreTrainedModel

from distill.config import RunConfig
from distill.hardware import PATIENCE, computes_on_cpu
from distill.loss.distiller import Distiller
from distill.loss.matmul import use_exact_float32
from distill.models.reached_weights import reaches_all

T = TypeVar("T")
SUPPORTED = ("NO", "MULTI_CPU", "MULTI_GPU", "MULTI_XPU", "MULTI_NPU", "FSDP")


def build_accelerator(config: RunConfig) -> Accelerator:
    """The Accelerator of this process. Raises ValueError for a launcher configuration that is not supported."""
    for name in ("DEEPSPEED", "MEGATRON_LM"):
        if os.environ.get(f"ACCELERATE_USE_{name}", "false") == "true":
            raise ValueError(
                f"accelerate is configured for {name}, which is not supported; use configs/accelerate/fsdp2.yaml"
            )
    on_cpu = computes_on_cpu()
    fsdp = _fsdp_plugin() if os.environ.get("ACCELERATE_USE_FSDP", "false") == "true" else None
    accelerator = Accelerator(
        cpu=on_cpu,  # without it each CPU process would believe that it is alone
        log_with=list(config.train.trackers) or None,
        project_dir=config.run_dir,
        fsdp_plugin=fsdp,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
    )
    use_exact_float32()  # building an Accelerator may turn TF32 on
    if fsdp is not None and on_cpu:  # accelerate itself shards on GPUs only
        PartialState._shared_state["distributed_type"] = DistributedType.FSDP  # every later state starts from this one
        accelerator.state.distributed_type, accelerator.state.fsdp_plugin = DistributedType.FSDP, fsdp
    check_supported(accelerator)
    return accelerator


def _fsdp_plugin() -> FullyShardedDataParallelPlugin:
    """Accelerate's FSDP plugin with the launcher's settings, but with gradients summed in float32.

    The plugin's own policy would round the module's inputs and outputs to bf16; that includes the loss and the number
    of tokens.
    """
    plugin = FullyShardedDataParallelPlugin()
    if plugin.fsdp_version == 2:
        kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
        kind = kinds.get(os.environ.get("ACCELERATE_MIXED_PRECISION", "no"))
        plugin.mixed_precision_policy = MixedPrecisionPolicy(kind, torch.float32, cast_forward_inputs=False)
    return plugin


def check_supported(accelerator: Accelerator) -> None:
    """Raise ValueError if accelerate is configured for a kind of sharding whose checkpoints and students this trainer
    cannot write, or to accumulate gradients itself.
    """
    if accelerator.gradient_accumulation_steps != 1:
        raise ValueError(
            f"accelerate is configured to accumulate {accelerator.gradient_accumulation_steps} gradients; unset "
            "ACCELERATE_GRADIENT_ACCUMULATION_STEPS: train.global_batch_size and train.micro_batch_size say how many"
        )
    if accelerator.mixed_precision == "fp16" and accelerator.device.type == "cpu":
        raise ValueError("accelerate computes in float32 on a CPU, not in fp16; give --mixed_precision no, or bf16")
    if accelerator.device.type == "mps":
        raise ValueError("training on Apple's GPU (mps) is not supported: it lacks operations of the loss; give --cpu")
    kind = accelerator.distributed_type.value
    if kind not in SUPPORTED:
        raise ValueError(f"accelerate's distributed_type is {kind}; supported are {', '.join(SUPPORTED)}")
    if kind == "FSDP" and not accelerator.is_fsdp2:
        raise ValueError(
            "accelerate is configured for FSDP 1; set fsdp_version: 2, as in configs/accelerate/fsdp2.yaml"
        )
    if kind == "FSDP" and accelerator.state.fsdp_plugin.cpu_ram_efficient_loading:
        raise ValueError(
            "accelerate is configured for fsdp_cpu_ram_efficient_loading, which unties a student's embeddings from its "
            "output layer; set it to false, as in configs/accelerate/fsdp2.yaml"
        )


def on_main(accelerator: Accelerator, action: Callable[[], T]) -> T:
    """Call `action` on the main process and return its result on all processes.

    A ValueError or OSError is raised on all of them too, so that none is left waiting.
    """
    result, fault = None, None
    if accelerator.is_main_process:
        try:
            result = action()
        except (ValueError, OSError) as error:
            fault = error
    result, fault = broadcast_object_list([result, fault])
    if fault is not None:
        raise fault
    return cast(T, result)


def leave() -> None:
    """Destroy the process group before this process ends. Call it when the run has ended on all processes.

    Threads of a process group that still exists when the interpreter ends can crash it.
    """
    if torch.distributed.is_initialized():
        gc.collect()  # destroys DDP's reducer first; RunLog.__exit__ says why
        torch.distributed.destroy_process_group()


def shard_teacher(teacher: PreTrainedModel, accelerator: Accelerator) -> None:
    """Shard the teacher's layers over all processes, in place: each holds a part and gathers a layer when it uses it.

    Embeddings and output layer stay whole on each process, because the loss reads them. One root around the layers lets
    the next layer be gathered while this one is used; under bf16 they are gathered in bf16. Raises ValueError if the
    model does not say what its layers are.
    """
    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    names = set(teacher._no_split_modules or [])
    layers = [module for module in teacher.modules() if type(module).__name__ in names]
    if not layers:
        raise ValueError(f"teacher.shard: {type(teacher).__name__} does not say what its layers are; set it to false")
    half = torch.bfloat16 if accelerator.mixed_precision == "bf16" else None
    policy = MixedPrecisionPolicy(param_dtype=half, cast_forward_inputs=False)
    for layer in layers:
        fully_shard(layer, mesh=mesh, reshard_after_forward=True, mp_policy=policy)
    sharded = {parameter for layer in layers for parameter in layer.parameters()}
    whole = {parameter for parameter in teacher.base_model.parameters() if parameter not in sharded}
    fully_shard(teacher.base_model, mesh=mesh, ignored_params=whole, mp_policy=policy)


def checkpoint_activations(model: PreTrainedModel) -> None:
    """Let a model recompute its layers' activations in the backward pass instead of keeping them."""
    # the method has the first name since transformers 5.20, and had the second before
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})


def prepare(accelerator: Accelerator, distiller: Distiller, optimizer: torch.optim.Optimizer) -> tuple[Any, Any]:
    """Wrap model and optimizer for all processes. Under FSDP each layer of the student is sharded on its own.

    DDP must look for weights without a gradient if the student sends tokens to experts that have weights of their own.
    """
    options = {"gradient_as_bucket_view": True}
    if accelerator.num_processes > 1 and not accelerator.is_fsdp2 and not reaches_all(distiller.student):
        options["find_unused_parameters"] = True
    accelerator.ddp_handler = DistributedDataParallelKwargs(**options)
    distiller._no_split_modules = list(distiller.student._no_split_modules or [])  # type: ignore[assignment]
    model, optimizer = accelerator.prepare(distiller, optimizer)
    if isinstance(model, DistributedDataParallel):
        model.broadcast_buffers = False  # training changes no buffer. As an argument it is deprecated
    return model, optimizer


def prepare_unwrapped(accelerator: Accelerator, distiller: Distiller, optimizer: torch.optim.Optimizer) -> Any:
    """The optimizer, prepared, of a module that no wrapper synchronises: every process holds it whole.

    All processes get the main process's weights. The caller sums the gradients itself, so that each is clipped first.
    """
    if accelerator.num_processes > 1:
        with torch.no_grad():
            for weight in distiller.parameters():
                torch.distributed.broadcast(weight, src=0)
    return accelerator.prepare(optimizer)
