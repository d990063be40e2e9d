"""Ending a run in good order: SIGTERM or SIGINT in; a finished step, a checkpoint and an exit code out.

Outside of the steps there is nothing to finish: what was prepared is kept by shards, and the run ends at once.
"""

from __future__ import annotations

import json
import signal
import threading
from types import FrameType
from typing import Any

import torch
from accelerate import Accelerator

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(BaseException):
    """A run that ended early, on request: after `step`, with a checkpoint, or outside of the steps (None).

    Not an Exception: it can be raised anywhere, and what handles the errors of a library must not take it for one.
    """

    def __init__(self, number: int, step: int | None = None, max_steps: int | None = None) -> None:
        self.signal, self.step, self.max_steps = signal.Signals(number), step, max_steps
        where = "outside of training, with all that was finished"
        if step is not None:
            where = f"after step {step} of {max_steps}, with a checkpoint"
        super().__init__(f"stopped by {self.signal.name} {where}; the same command continues the run")

    def note(self) -> str:
        """What RUN/stopped.json says, for launchers that do not hand on the exit code."""
        return json.dumps({"signal": self.signal.name, "step": self.step, "max_steps": self.max_steps}) + "\n"

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as a shell reports it: 143 for SIGTERM, 130 for SIGINT."""
        return 128 + self.signal.value


class StopRequest:
    """Remembers the first of SIGNALS that arrives while it is entered; the handlers before it come back at the end.

    at_once: raise Stopped there and then. Outside of the main thread, where Python allows no handlers, it does nothing.
    """

    def __init__(self, at_once: bool = False) -> None:
        self.at_once = at_once
        self.received = 0
        self.before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self._remember) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, _: FrameType | None) -> None:
        first, self.received = not self.received, self.received or number
        if self.at_once and first:
            raise Stopped(number)

    def agreed(self, accelerator: Accelerator) -> int:
        """The number of a signal that any process has received, the same on all of them, or 0. Call after each step."""
        if accelerator.num_processes == 1:
            return self.received
        return int(accelerator.gather(torch.tensor([self.received], device=accelerator.device)).max())
