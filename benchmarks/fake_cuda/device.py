"""CUDA without a GPU, in a process that does nothing else: tensors on "cuda" are fake, those on the CPU are real.

    load_guard(folder)      # before torch is imported
    with fake_cuda(rank) as events: ...

Nothing on "cuda" has values, so nothing can be said about numbers. What can be said: that a step runs through torch's,
accelerate's and transformers' branches for GPUs, with which collectives, and where the host would wait.
"""

import contextlib
import ctypes
import importlib.util
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

NUM_DEVICES, BYTES = 8, 80 << 30


def compile_guard(folder: Path) -> str:
    """Compile guard.cpp into a folder. Returns the compiler's complaint, or an empty text."""
    torch = _folder_of_torch()
    source = Path(__file__).with_name("guard.cpp")
    command = ["g++", "-std=c++20", "-shared", "-fPIC", f"-I{torch}/include", str(source), f"-L{torch}/lib", "-lc10"]
    done = subprocess.run([*command, "-ltorch_cpu", "-o", str(folder / "guard.so")], capture_output=True, text=True)
    return done.stderr if done.returncode else ""


def load_guard(folder: Path) -> None:
    """Load what `compile_guard` made. The hooks must be there before torch looks for them."""
    assert "torch" not in sys.modules
    torch = _folder_of_torch()
    for name in ("libc10.so", "libtorch_cpu.so"):
        ctypes.CDLL(str(torch / "lib" / name), ctypes.RTLD_GLOBAL)
    ctypes.CDLL(str(folder / "guard.so"))


def _folder_of_torch() -> Path:
    spec = importlib.util.find_spec("torch")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


class Stream:
    """A stream on which nothing runs."""

    cuda_stream = 0

    def __init__(self, *_: Any, **__: Any) -> None:
        import torch

        self.device = torch.device("cuda", 0)

    def record_event(self, event: Any = None) -> Any:
        return event or Event()

    def wait_stream(self, stream: Any) -> None: ...
    def wait_event(self, event: Any) -> None: ...
    def synchronize(self) -> None: ...

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: Any) -> None: ...


class Event:
    """An event that has happened."""

    def __init__(self, *_: Any, **__: Any) -> None: ...
    def record(self, *_: Any) -> None: ...
    def wait(self, *_: Any) -> None: ...
    def synchronize(self) -> None: ...

    def query(self) -> bool:
        return True


def _answers(rank: int) -> dict[str, Any]:
    """What torch.cuda says on a machine with eight GPUs."""
    import torch

    stream = Stream()
    return {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: NUM_DEVICES,
        "current_device": lambda: rank,
        "get_device_name": lambda device=None: "NVIDIA H100 80GB HBM3",
        "get_device_capability": lambda device=None: (9, 0),
        "is_bf16_supported": lambda including_emulation=True: True,
        "mem_get_info": lambda device=None: (BYTES, BYTES),
        "get_device_properties": lambda device=None: SimpleNamespace(total_memory=BYTES, major=9, minor=0),
        "is_current_stream_capturing": lambda: False,
        "current_stream": lambda device=None: stream,
        "default_stream": lambda device=None: stream,
        "stream": contextlib.nullcontext,
        "Stream": Stream,
        "Event": Event,
        "max_memory_allocated": lambda device=None: 0,
        "get_rng_state": lambda device="cuda": torch.zeros(16, dtype=torch.uint8),
    } | dict.fromkeys(
        [
            "_lazy_init",
            "init",
            "set_device",
            "set_stream",
            "synchronize",
            "empty_cache",
            "reset_peak_memory_stats",
            "manual_seed",
            "manual_seed_all",
            "set_rng_state",
        ],
        lambda *_, **__: None,
    )


@contextlib.contextmanager
def fake_cuda(rank: int = 0, on_operator: Callable[..., None] = lambda *_: None) -> Iterator[Counter]:
    """Within this context tensors on "cuda" are fake. Counts operators of collectives by name and, as "wait ...", what
    would make the host wait for the device. Every operator on "cuda" is told to on_operator(func, args, kwargs, out).
    """
    import torch
    import transformers.utils.import_utils
    from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

    events: Counter = Counter()
    replacements: list[tuple[Any, str, Any]] = [(torch.cuda, name, answer) for name, answer in _answers(rank).items()]
    replacements += [
        (FakeTensor, "data_ptr", lambda self: self.untyped_storage()._cdata),  # accelerate tells parameters apart by it
        (torch.accelerator, "is_available", lambda: True),
        (torch.accelerator, "current_accelerator", lambda check_available=False: torch.device("cuda")),
        (torch.accelerator, "device_count", lambda: NUM_DEVICES),
        (transformers.utils.import_utils, "is_fake_tensor", lambda x: False),  # it would take this for a trace
        (torch.Tensor, "tolist", _tolist(torch.Tensor.tolist, events)),
        (FakeTensor, "tolist", _tolist(torch.Tensor.tolist, events)),
        (torch.Tensor, "pin_memory", lambda self, device=None: self),
        (torch.nn.Module, "to", _move),
        (FakeTensorMode, "avoid_device_init", True),
    ]
    with contextlib.ExitStack() as stack:
        for target, name, replacement in replacements:
            stack.enter_context(mock.patch.object(target, name, replacement, create=True))
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        stack.enter_context(_watch(events, on_operator))
        yield events


def _watch(events: Counter, on_operator: Callable[..., None]) -> Any:
    """A dispatch mode above the fake one: does the CPU's work for real, and counts."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensor, unset_fake_temporarily
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    aten = torch.ops.aten
    sized_by_data = (aten.nonzero.default, aten._unique2.default, aten.masked_select.default)
    indexing = (aten.index.Tensor, aten.index_put_.default, aten.index_put.default)

    def is_composite(func: Any) -> bool:
        return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
            target = torch.device(kwargs.get("device") or "cpu").type
            on_cpu = target == "cpu" and not any(isinstance(tensor, FakeTensor) for tensor in tensors)
            if on_cpu:
                with unset_fake_temporarily():
                    return func(*args, **kwargs)
            if torch.is_inference_mode_enabled() and func.namespace == "aten" and is_composite(func):
                with self:  # in inference mode autograd takes nothing apart
                    return func.decompose(*args, **kwargs)
            if func.namespace in ("c10d", "_c10d_functional", "fsdp"):
                events[f"{func.__name__} {tensors[0].dtype}"] += 1
            if func is aten._local_scalar_dense.default:
                events["wait item"] += 1
                return 1
            if func in sized_by_data:
                raise RuntimeError(f"{func} waits for the device to know its size")
            if func in indexing and any(index is not None and index.dtype == torch.bool for index in args[1]):
                raise RuntimeError(f"{func} with a boolean mask waits for the device to know its size")
            moves = func is aten._to_copy.default and args[0].device.type != target and kwargs.get("device") is not None
            if moves and not kwargs.get("non_blocking", False):
                events[f"wait copy {args[0].device.type} to {target}"] += 1
            out = func(*args, **kwargs)
            on_operator(func, args, kwargs, out)
            return out

    return Watch()


def _tolist(real: Callable[[Any], list], events: Counter) -> Callable[[Any], list]:
    from torch._subclasses.fake_tensor import FakeTensor

    def tolist(tensor: Any) -> list:
        if not isinstance(tensor, FakeTensor):
            return real(tensor)
        events["wait tolist"] += 1
        return [1.0] * tensor.numel()

    return tolist


def _move(module: Any, *args: Any, **kwargs: Any) -> Any:
    """nn.Module.to, which gives fake parameters new data, with one new parameter for each instead."""
    import torch

    device, dtype, non_blocking, _ = torch._C._nn._parse_to(*args, **kwargs)
    moved: dict = {}
    for part in module.modules():
        for store in (part._parameters, part._buffers):
            for name, tensor in store.items():
                if tensor is not None and id(tensor) not in moved:
                    with torch.no_grad():
                        new = tensor.to(device, dtype if tensor.is_floating_point() else None, non_blocking)
                    if new is not tensor and isinstance(tensor, torch.nn.Parameter):
                        new = torch.nn.Parameter(new, tensor.requires_grad)
                    moved[id(tensor)] = (new, tensor)  # the old one is kept, so that its id stays its own
                if tensor is not None:
                    store[name] = moved[id(tensor)][0]
    return module
