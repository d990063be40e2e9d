"""What every process of a launcher must know before it joins the others."""

from __future__ import annotations

from datetime import timedelta

import torch
from accelerate.utils import parse_flag_from_env

# How long a process waits for the others, for example while one of them hashes or writes a large model. NCCL's own
# default is ten minutes, after which the whole job ends.
PATIENCE = timedelta(hours=2)


def computes_on_cpu() -> bool:
    """Whether there is no GPU, or the launcher was told not to use it."""
    return not torch.accelerator.is_available() or parse_flag_from_env("ACCELERATE_USE_CPU")
