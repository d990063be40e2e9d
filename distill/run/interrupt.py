"""End a run in good order on SIGTERM or SIGINT: finish the step, write a checkpoint, return an exit code.

Before the first step the run ends at once, because finished shards of prepared data are on disk already.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Any

import torch
from accelerate import Accelerator

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(BaseException):
    """A run ended early on request: after `step`, with a checkpoint, or outside of the steps (None).

    It is no Exception: a signal can raise it anywhere, and no library should handle it as one of its own errors.
    """

    def __init__(self, number: int, step: int | None = None, max_steps: int | None = None) -> None:
        self.signal, self.step, self.max_steps = signal.Signals(number), step, max_steps
        where = "outside of training; what was finished is kept"
        if step is not None:
            where = f"after step {step} of {max_steps}, with a checkpoint"
        super().__init__(f"stopped by {self.signal.name} {where}; the same command continues the run")

    def note(self) -> str:
        """The content of RUN/stopped.json, for launchers that do not pass the exit code on."""
        return json.dumps({"signal": self.signal.name, "step": self.step, "max_steps": self.max_steps}) + "\n"

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as a shell reports it: 143 for SIGTERM, 130 for SIGINT."""
        return 128 + self.signal.value


def first_signal(num_received: Sequence[float]) -> int:
    """The number of the first of SIGNALS that some process has received, or 0; num_received: how many received each."""
    return next((int(number) for number, num in zip(SIGNALS, num_received, strict=True) if num), 0)


class StopRequest:
    """A context that remembers the first signal (of SIGNALS) to arrive, and at its end restores the former handlers.

    at_once: raise Stopped as soon as the signal arrives. Outside of the main thread, where Python allows no signal
    handlers, the context does nothing.
    """

    def __init__(self, at_once: bool = False) -> None:
        self.at_once = at_once
        self.received = 0
        self.former: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self.former = {number: signal.signal(number, self._remember) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.former.items():
            signal.signal(number, handler)

    def _remember(self, number: int, _: FrameType | None) -> None:
        first, self.received = not self.received, self.received or number
        if self.at_once and first:
            raise Stopped(number)

    def agreed(self, accelerator: Accelerator, in_step: int | None = None) -> int:
        """The number of a signal that any process has received, or 0. Call on all processes: all get the same.

        in_step: what they agreed on in the step that has just ended, or None if it failed. One process needs no step
        for it; several are asked again only if there is none, because that waits for the device.
        """
        if accelerator.num_processes == 1:
            return self.received
        if in_step is not None:
            return in_step
        return int(accelerator.gather(torch.tensor([self.received], device=accelerator.device)).max())
