"""The random states of a process: of Python, NumPy, torch on the CPU, and torch on the device."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def get_random_states(device: torch.device) -> dict[str, Any]:
    """The states of all generators, as values that `torch.load` reads with weights_only=True."""
    kind, keys, *others = np.random.get_state()
    module = torch.get_device_module(device)
    return {
        "python": random.getstate(),
        "numpy": [kind, torch.from_numpy(np.asarray(keys)), *others],
        "torch": torch.get_rng_state(),
        "device": module.get_rng_state() if hasattr(module, "get_rng_state") else None,
    }


def set_random_states(device: torch.device, states: dict[str, Any]) -> None:
    """Restore what `get_random_states` returned."""
    random.setstate(states["python"])
    kind, keys, *others = states["numpy"]
    np.random.set_state((kind, keys.numpy(), *others))
    torch.set_rng_state(states["torch"])
    module = torch.get_device_module(device)
    if states["device"] is not None and hasattr(module, "set_rng_state"):  # a CPU has no generator of its own
        module.set_rng_state(states["device"])
