"""Programs in forked processes of the test process.

To import torch, transformers and accelerate takes about ten seconds of a processor, longer than the runs of these
tests. A forked process has the modules that the test process has imported. It is a process all the same: it has its own
exit code, gets signals, can be killed, and several of them form a process group.
"""

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from unittest import mock

import torch
from accelerate.commands import launch as launcher
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils.launch import prepare_multi_gpu_env
from launching import ROOT
from tqdm import std


def start(program: Callable[[], int | None], log: Path, **environment: str) -> BaseProcess:
    """Start `program` in a process of its own, with its output in `log`; what it returns is its exit code."""
    process = multiprocessing.get_context("fork").Process(target=_run, args=(program, log, environment), daemon=True)
    with warnings.catch_warnings():  # newer Pythons warn of every fork beside threads; these threads wait for pytest
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    return process


def launch(config: str, *options: str, program: Callable[[], int | None], log: Path) -> list[int]:
    """What `accelerate launch --config_file CONFIG OPTIONS` does, with forked processes. Returns their exit codes.

    config: the name of a file in configs/accelerate with several processes. log: the output of rank 0; the others
    have .RANK after it.
    """
    file = str(ROOT / "configs" / "accelerate" / config)
    arguments = launcher.launch_command_parser().parse_args(["--quiet", "--config_file", file, *options, "program"])
    with mock.patch.object(launcher, "multi_gpu_launcher") as multi_gpu_launcher:
        launcher.launch_command(arguments)
    (arguments,) = multi_gpu_launcher.call_args.args
    num_processes = str(arguments.num_processes)
    environment = prepare_multi_gpu_env(arguments)
    environment |= {"WORLD_SIZE": num_processes, "LOCAL_WORLD_SIZE": num_processes}
    environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(arguments.main_process_port)}
    with tempfile.TemporaryDirectory() as meeting:
        processes = []
        for rank in range(arguments.num_processes):
            member = partial(_join_group, program, f"{meeting}/store", rank, arguments.num_processes)
            output = log.with_name(f"{log.name}.{rank}") if rank else log
            processes.append(start(member, output, **environment, RANK=str(rank), LOCAL_RANK=str(rank)))
        return [wait(process, output=log) for process in processes]


def wait(process: BaseProcess, output: Path, seconds: float = 300) -> int:
    """The exit code of a process, -SIGNAL if it was killed. Fails with its output if it does not end."""
    process.join(timeout=seconds)
    if process.is_alive():
        process.kill()
        raise AssertionError(f"does not end: {output.read_text()}")
    return process.exitcode


def _run(program: Callable[[], int | None], log: Path, environment: dict[str, str]) -> None:
    """Become a process of its own: no state of pytest or of an earlier Accelerator, output in a file."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
    warnings.resetwarnings()
    # tqdm's lock is shared by forked processes: one that is killed while it draws a bar would stop all others for good
    std.tqdm.set_lock(threading.RLock())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(environment)
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    sys.exit(program())


def _join_group(program: Callable[[], int | None], meeting: str, rank: int, num_processes: int) -> int | None:
    store = torch.distributed.FileStore(meeting, num_processes)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=num_processes)
    return program()
