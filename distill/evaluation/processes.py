"""The processes that `accelerate launch` has started: which one this is, and how they exchange values."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from accelerate import PartialState
from accelerate.utils import gather_object
from safetensors import SafetensorError

from distill.hardware import PATIENCE, computes_on_cpu

CLEAR_ALONE = (ValueError, OSError, RuntimeError, SafetensorError)  # errors whose messages need no type before them


@dataclass(frozen=True)
class Processes:
    """This process's number and how many there are."""

    index: int = 0
    count: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes and prints."""
        return self.index == 0

    def gather(self, value: Any) -> list[Any]:
        """The `value` of every process, in their order, on every process. All must call this at the same point."""
        return [value] if self.count == 1 else gather_object([value])


ALONE = Processes()


def current_processes() -> Processes:
    """Join the processes that a launcher has started (with gloo on the CPU). Without a launcher, return ALONE."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ALONE
    # without cpu=True, each of two CPU processes would believe that it is alone
    state = PartialState(cpu=computes_on_cpu(), timeout=PATIENCE)
    return Processes(state.process_index, state.num_processes)


def message_of(error: Exception) -> str:
    """An error's message on one line, after its type if the message alone says too little (KeyError: 'page')."""
    text = " ".join(str(error).split())
    return text if text and isinstance(error, CLEAR_ALONE) else f"{type(error).__name__}: {text}".removesuffix(": ")
