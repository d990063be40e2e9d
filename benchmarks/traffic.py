"""How many bytes the loss moves between its matrix products, per prediction and entry of the vocabulary.

    python -m benchmarks.traffic [--compile]

On a GPU the loss is bound by this traffic, not by arithmetic. Counted on the meta device, so no GPU is needed: every
operator reads its inputs and writes its outputs once. `--compile` adds what torch.compile makes of it (a minute; it
needs a C++ compiler). The floor is 12 bytes read (logits of the student and of both views of the teacher) and 2
written. "at most": the most memory that the loss holds for 16 x 1024 predictions.
"""

import argparse
import contextlib
import logging
import warnings
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.step import gender_classes
from distill.config import RunConfig
from distill.loss import fused
from distill.loss.fused import Objective, pair_loss
from distill.loss.logits import LazyLogits
from distill.loss.positions import Group, Positions
from distill.loss_config import LossConfig, PerturbConfig
from distill.settings import load_config

GPT2 = Path(__file__).parents[1] / "configs" / "train" / "gpt2.yaml"
NUM_IDS, NUM_PREDICTIONS = 50_257, 32
MOVES_NOTHING = frozenset(
    [
        "view",
        "_unsafe_view",
        "empty",
        "empty_like",
        "detach",
        "slice",
        "select",
        "unsqueeze",
        "squeeze",
        "expand",
        "alias",
        "t",
        "transpose",
    ]
)


class Traffic(TorchDispatchMode):
    """Counts bytes read and written, all operators, and those over the vocabulary."""

    def __init__(self) -> None:
        super().__init__()
        self.num_bytes = self.num_kernels = self.num_wide = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if num_bytes := moved_bytes(func, tensors_in((args, kwargs)), tensors_in(out)):
            self.num_bytes += num_bytes
            self.num_kernels += 1
            self.num_wide += num_bytes > NUM_PREDICTIONS * NUM_IDS
        return out


class Memory(TorchDispatchMode):
    """Follows the bytes of the tensors that are made within it. peak: the most at one time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.note(tensors_in((args, kwargs)), tensors_in(out))
        return out

    def note(self, given: Sequence[Tensor], made: Sequence[Tensor]) -> None:
        """Follow the tensors that an operator made, unless it was given them."""
        old = {t.untyped_storage()._cdata for t in given} | self.known
        for storage in (t.untyped_storage() for t in made):
            if storage._cdata not in old | self.known:
                self.known.add(storage._cdata)
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._free, storage._cdata, storage.nbytes())

    def _free(self, key: int, num_bytes: int) -> None:
        self.known.discard(key)
        self.now -= num_bytes


def tensors_in(values: Any) -> list[Tensor]:
    """The tensors in nested tuples, lists and dictionaries."""
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def moved_bytes(func: Any, given: Sequence[Tensor], made: Sequence[Tensor]) -> int:
    """What an operator reads and writes; those that take or change a part of a tensor move that part only."""
    name = func._schema.name.removeprefix("aten::")
    is_view = any(value.alias_info is not None and not value.alias_info.is_write for value in func._schema.returns)
    if name in MOVES_NOTHING or is_view or func.namespace == "prim":
        return 0
    if name in ("index_select", "gather", "index", "embedding"):
        return 2 * sum(t.nbytes for t in made)
    if name in ("index_add_", "scatter_add_", "index_copy_"):
        return 3 * given[-1].nbytes
    if name == "index_copy":
        return 2 * made[0].nbytes
    return sum(t.nbytes for t in [*given, *made])


class Counts(NamedTuple):
    """bytes_per_entry: per prediction and entry of the vocabulary. num_kernels: of all sizes. num_wide: over the
    vocabulary.
    """

    bytes_per_entry: float
    num_kernels: int
    num_wide: int


def objectives() -> dict[str, Objective]:
    """The objective of gpt2.yaml, and others to compare."""
    run, classes = load_config(RunConfig, GPT2), gender_classes()
    return {
        "gpt2.yaml": Objective(run.loss, run.perturb, classes),
        "plain": Objective(LossConfig(), PerturbConfig(operation="none"), classes),
        "equivariant, kd and ce": Objective(
            LossConfig(kd_weight=0.75, ce_weight=0.25, temperature=1), PerturbConfig(operation="equivariant"), classes
        ),
        "max": Objective(LossConfig(), PerturbConfig(operation="max"), classes),
    }


def eager_counts(objective: Objective) -> Counts:
    """Counts of `terms_and_gradient` as it is written, for predictions with a partner on the other view."""
    assert objective.classes is not None
    on_meta = objective._replace(classes=objective.classes.to(torch.device("meta")))
    given = predictions("meta")
    with Traffic() as traffic:
        fused.terms_and_gradient(*given, on_meta)
    return Counts(traffic.num_bytes / (NUM_PREDICTIONS * NUM_IDS), traffic.num_kernels, traffic.num_wide)


def compiled_counts(objective: Objective) -> Counts:
    """Counts of what torch.compile makes of it, by inductor's own account. Takes about ten seconds."""
    with warnings.catch_warnings(action="ignore"):
        from torch._inductor import config, metrics
        from torch._inductor.compile_fx import inductor_metrics_log

        inductor_metrics_log.setLevel(logging.INFO)  # it counts only if it could log
        inductor_metrics_log.propagate = False
        torch._dynamo.reset()
        metrics.reset()
        with config.patch(force_disable_caches=True):
            torch.compile(fused.terms_and_gradient, dynamic=True, fullgraph=True)(*predictions("cpu"), objective)
    num_wide = sum(num_values >= NUM_PREDICTIONS * NUM_IDS for _, num_values in metrics.nodes_num_elem)
    return Counts(metrics.num_bytes_accessed / (NUM_PREDICTIONS * NUM_IDS), metrics.generated_kernel_count, num_wide)


def peak_bytes(objective: Objective, num_rows: int = 16 * 1024, width: int = 768) -> int:
    """The most memory that the loss holds for `num_rows` predictions under autocast in bf16, without its inputs."""
    assert objective.classes is not None
    meta = torch.device("meta")
    hidden, weight = (torch.zeros(num, width, device=meta) for num in (3 * num_rows, NUM_IDS))
    rows = torch.arange(num_rows, device=meta)
    positions = Positions((Group(rows[None], rows.repeat(2, 1), True),), rows[:0], rows > 0)
    student = LazyLogits(hidden[:num_rows].requires_grad_(), weight.requires_grad_())
    teacher = LazyLogits(hidden[num_rows:].detach(), weight.detach().clone())
    scale = torch.zeros((), device=meta)
    with autocast_on_meta(torch.bfloat16), Memory() as memory:
        pair_loss(student, teacher, rows, positions, objective._replace(classes=objective.classes.to(meta)), scale)
    return memory.peak


@contextlib.contextmanager
def autocast_on_meta(rounding: torch.dtype | None) -> Iterator[None]:
    """Autocast to a type, or none, as far as the project asks for it: autocast itself knows no meta device."""
    with (
        mock.patch.object(torch, "is_autocast_enabled", return_value=rounding is not None),
        mock.patch.object(torch, "get_autocast_dtype", return_value=rounding or torch.bfloat16),
        mock.patch.object(torch, "autocast", side_effect=lambda *_, **__: contextlib.nullcontext()),
    ):
        yield


def predictions(device: str) -> tuple[Tensor, Tensor, Tensor, Group]:
    """Logits of student and teacher, labels, and the group of predictions, as `terms_and_gradient` takes them."""
    rows = torch.zeros(1, NUM_PREDICTIONS, dtype=torch.long, device=device)
    logits = torch.zeros(3, NUM_PREDICTIONS, NUM_IDS, device=device)
    return logits[:1], logits[1:], rows, Group(rows, rows.repeat(2, 1), True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the counts of every objective."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compile", action="store_true", help="also count what torch.compile makes of it")
    options = parser.parse_args(arguments)
    for name, objective in objectives().items():
        eager = eager_counts(objective)
        line = f"{name:24} eager {eager.bytes_per_entry:6.1f} bytes, {eager.num_kernels} kernels, {eager.num_wide} wide"
        line += f"; at most {peak_bytes(objective) / 2**30:.2f} GiB"
        if options.compile:
            compiled = compiled_counts(objective)
            line += f"; compiled {compiled.bytes_per_entry:6.1f} bytes, {compiled.num_kernels} kernels, "
            line += f"{compiled.num_wide} wide"
        print(line, flush=True)


if __name__ == "__main__":
    main()
