"""Train steps on the meta device, which shows what a GPU would be asked without one.

No data exists there: whatever makes the host look at a tensor raises, and so does an operation on tensors of two
devices. What the loss does on a GPU and not on a CPU is done there too.
"""

import contextlib
import functools
from collections import Counter
from pathlib import Path
from unittest import mock

import torch
import torchgen
import transformers.masking_utils
import yaml
from accelerate import Accelerator
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from benchmarks.traffic import autocast_on_meta
from distill.config import RunConfig
from distill.data.batches import PairedBatch
from distill.loss.distiller import Distiller
from distill.loss.fused import Objective
from distill.loss.gender_classes import GenderClasses
from distill.models.gpu_operations import CAUSAL, use_gpu_operations
from distill.models.logit_transform import LogitTransform
from distill.run.launch import checkpoint_activations
from distill.run.learner import Learner, TrainState
from distill.run.step import scored_batches, train_step
from distill.settings import validate

META, SEQ_LEN, NUM_IDS, WIDTH, NUM_GENDERED = torch.device("meta"), 32, 300, 16, 24
SIZES = {
    "gpt2": {"n_embd": WIDTH, "n_head": 2, "n_layer": 2, "n_positions": SEQ_LEN, "bos_token_id": 0, "eos_token_id": 0},
    "llama": {
        "hidden_size": WIDTH,
        "intermediate_size": 32,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "num_hidden_layers": 2,
    },
}


class DeviceOps(TorchDispatchMode):
    """What the device is asked: names counts the operators, num_blocking the copies to it that make the host wait."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()
        self.num_blocking = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        devices = [leaf.device for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        result = [leaf.device for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        if META in [*devices, *result]:
            self.names[func._schema.name.removeprefix("aten::") + _overload(func)] += 1
            if func is torch.ops.aten._to_copy.default and META not in devices:
                self.num_blocking += not kwargs.get("non_blocking", False)
        return out


def _overload(func) -> str:
    return "" if func._overloadname == "default" else f".{func._overloadname}"


def step_on_device(
    kind: str, settings: dict, cached: bool = False, checkpointing: bool = False, rounding: torch.dtype | None = None
) -> tuple[Counter[str], DeviceOps]:
    """One optimizer step of two micro-batches. Returns how often the host waited, by what it did, and the operators.

    kind: an architecture. settings: of a run. cached: whether the teacher's states are. rounding: autocast's type.
    """
    teacher, student = model_on(META, kind).requires_grad_(False).eval(), model_on(META, kind).train()
    if checkpointing:
        checkpoint_activations(student)
    base = {"run_dir": "r", "data": {"path": "p"}, "teacher": {"path": "t"}, "student": {"layers": [0]}}
    config = validate(RunConfig, base | {"train": {"max_steps": 1}} | settings)
    ids = torch.arange(NUM_GENDERED)
    classes = GenderClasses(ids + 100, ids, ids ^ 1, ids[:, None]).to(META)
    distiller = Distiller(student, Objective(config.loss, config.perturb, classes), teacher)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    learner = Learner(distiller, optimizer, scheduler, TrainState())
    accelerator = Accelerator(cpu=True)
    waits: Counter[str] = Counter()
    with contextlib.ExitStack() as stack, DeviceOps() as ops:
        stack.enter_context(autocast_on_meta(rounding))
        for target, name, replacement in (
            (type(accelerator), "device", META),
            (Tensor, "tolist", _counting_tolist(waits)),
            (transformers.masking_utils, "find_packed_sequence_indices", _counting_look(waits)),
        ):
            stack.enter_context(mock.patch.object(target, name, replacement))
        train_step(accelerator, config, learner, list(scored_batches([pairs_of_blocks(cached)] * 2, config)))
    return waits, ops


def _counting_tolist(waits: Counter[str]):
    real = Tensor.tolist

    def tolist(tensor: Tensor) -> list:
        if tensor.device != META:
            return real(tensor)
        waits["tolist"] += 1
        return [1.0] * tensor.numel()

    return tolist


def _counting_look(waits: Counter[str]):
    def look(position_ids: Tensor) -> None:
        waits["transformers looks at the positions"] += position_ids.device == META

    return look


def model_on(device: torch.device, kind: str) -> PreTrainedModel:
    """A model as it is on a GPU. That it needs no masks and leaves its logits as they are cannot be tried here."""
    with device:
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, vocab_size=NUM_IDS, **SIZES[kind]))
    use_gpu_operations(model)
    model.set_attn_implementation(CAUSAL)
    model.logit_transform = LogitTransform()
    return model


def pairs_of_blocks(cached: bool) -> PairedBatch:
    """Two blocks: one differs from its counterfactual, where it has two tokens without a partner."""
    ids = torch.randint(NUM_IDS, (2, SEQ_LEN), generator=torch.Generator().manual_seed(0))
    cf_ids, align = ids.clone(), torch.arange(SEQ_LEN).repeat(2, 1)
    cf_ids[0, 5::7], align[0, 11:13] = 3, -1
    hidden = torch.zeros(2, SEQ_LEN, WIDTH) if cached else None
    scored = align >= 0
    cf_hidden = torch.zeros(1, SEQ_LEN, WIDTH) if cached else None
    return PairedBatch(ids, scored, align, cf_ids, scored, align.clone(), (ids != cf_ids).any(1), hidden, cf_hidden)


@functools.cache
def _kernel_table() -> dict[str, dict]:
    path = Path(torchgen.__file__).parent / "packaged" / "ATen" / "native" / "native_functions.yaml"
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return {entry["func"].split("(")[0]: entry for entry in yaml.load(path.read_text(encoding="utf-8"), loader)}


def has_kernel(name: str) -> bool:
    """Whether torch's own table has a CUDA kernel for an operator, or makes it of others."""
    entry = _kernel_table().get(name)
    if entry is None:
        return False
    if "structured_delegate" in entry:
        return has_kernel(entry["structured_delegate"])
    kernels = {key.strip() for keys in entry.get("dispatch", {"Composite": ""}) for key in keys.split(",")}
    return "ufunc_inner_loop" in entry or any(key == "CUDA" or key.startswith("Composite") for key in kernels)
