"""`evenhand train`: start the training with accelerate's launcher, as `accelerate launch train.py` does.

--config, --dry-run and key.sub=value go to the training. All other options (--num_processes, --config_file,
--mixed_precision, --multi_gpu, --cpu, ...) go to accelerate's launcher. If neither these options nor the user's own
accelerate configuration say where to compute, we take a shipped one: all GPUs in bf16, or the CPU.

If the training has a single process, it replaces the launcher's process, and so has its exit code and its signals.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import signal
import sys
from collections.abc import Sequence
from typing import Any

from distill.config import RunConfig
from distill.settings import load_config, read_settings
from distill.shipped import check_needs, config_path, shipped_configs

TRAINING = "distill.run"
# For training on a CPU; what the user has set wins. glibc keeps the memory of large tensors, which saves a tenth of a
# step of a small model. A thread that waits for the others soon sleeps: if it keeps its core while another program
# needs that, a step takes up to a hundred times as long.
CPU_ENVIRONMENT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**34), "GOMP_SPINCOUNT": "1000"}
OVERRIDE = re.compile(r"[A-Za-z_]\w*(\.\w+)*=.*", re.DOTALL)
SETTINGS = "settings are written key.sub=value, e.g. optim.lr=1e-4"
# launcher options that say where to compute; if the user gives one of them, we choose nothing
HARDWARE = ("config_file", "multi_gpu", "tpu", "use_deepspeed", "use_fsdp", "use_megatron_lm")


def main(arguments: Sequence[str] | None = None, prog: str = "evenhand train") -> int:
    """Launch the training that the command line asks for. Returns its exit code if it has several processes (with one
    process, this does not return).

    Raises ValueError or OSError, before anything is started, for settings that are not valid and for options and files
    that do not exist.
    """
    options, words = _parser(prog).parse_known_args(arguments)
    overrides = [word for word in words if OVERRIDE.fullmatch(word)]
    paths = [config_path("train", name) for name in options.config]
    config = load_config(RunConfig, paths, overrides)
    for path in paths:
        check_needs(path, config)
    training = [word for path in paths for word in ("--config", str(path))]
    training += [*["--dry-run"] * options.dry_run, *overrides]
    launcher = launcher_options([word for word in words if not OVERRIDE.fullmatch(word)], training)
    choose_hardware(launcher)
    return _launch(launcher)


def launcher_options(words: Sequence[str], training: Sequence[str]) -> Any:
    """Parse the options of accelerate's launcher. Raises ValueError for a word that it does not know.

    training: the command line of the training, which becomes `training_script_args`.
    """
    from accelerate.commands.launch import launch_command_parser

    parser = launch_command_parser()
    options, unknown = parser.parse_known_args([*words, "--module", TRAINING, *training])
    if unknown:
        known = [name for action in parser._actions for name in action.option_strings]
        near = difflib.get_close_matches(
            unknown[0].partition("=")[0], [*known, "--config", "--dry-run"], n=1, cutoff=0.75
        )
        meant = f"did you mean {near[0]}?" if near else SETTINGS
        raise ValueError(f"neither the training nor accelerate's launcher has an option {unknown[0]}; {meant}")
    if options.training_script != TRAINING:
        raise ValueError(f"unexpected word {options.training_script!r}; {SETTINGS}")
    if options.config_file is not None:
        options.config_file = str(config_path("accelerate", options.config_file))
        read_settings(options.config_file)
    return options


def choose_hardware(options: Any) -> None:
    """Choose a shipped accelerate configuration, in place, unless the user has chosen.

    Without it accelerate warns about each value that it has to guess, and computes in float32 on a GPU.
    """
    import torch
    from accelerate.commands.config.config_args import default_config_file

    is_chosen = any(getattr(options, name) for name in HARDWARE) or os.path.isfile(default_config_file)
    if not is_chosen and (options.cpu or not torch.accelerator.is_available()):
        options.num_processes = options.num_processes or 1
        name = "cpu" if options.num_processes == 1 else "cpu2"
        options.cpu = False  # the file says so; with the option, accelerate would start several processes by MPI
    elif not is_chosen and torch.cuda.is_available():
        options.num_processes = options.num_processes or torch.cuda.device_count()
        name = "one_gpu" if options.num_processes == 1 else "ddp"
        if not torch.cuda.is_bf16_supported(including_emulation=False):
            options.mixed_precision = options.mixed_precision or "no"
    else:
        return
    options.config_file = str(shipped_configs("accelerate")[name])
    if not options.num_cpu_threads_per_process and "OMP_NUM_THREADS" not in os.environ:
        options.num_cpu_threads_per_process = max(1, torch.get_num_threads() // options.num_processes)


def _launch(options: Any) -> int:
    from accelerate.commands import launch
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    # accelerate's simple launcher starts a child process, turns its exit code into 1, and hands no signal on to it
    launch.simple_launcher = _become_training
    try:
        launch.launch_command(options)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        code = failure.exitcode
        ended = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        print(f"error: process {rank} {ended}", file=sys.stderr)
        return 128 - code if code < 0 else int(code)
    except SignalException as error:
        return 128 + int(error.sigval)
    return 0


def _become_training(options: Any) -> None:
    import torch
    from accelerate.utils.launch import prepare_simple_launcher_cmd_env

    command, environment = prepare_simple_launcher_cmd_env(options)
    if not torch.accelerator.is_available():
        environment = CPU_ENVIRONMENT | environment
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvpe(command[0], command, environment)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        usage="%(prog)s --config FILE|NAME [--dry-run] [--num_processes N] [LAUNCHER OPTIONS] [key.sub=value ...]",
        description="Distill a causal language model, on all GPUs in bf16, or on the CPU if the machine has no GPU. "
        "Options of accelerate's launcher change that: --num_processes 2, --config_file fsdp2, --cpu, ... (accelerate "
        "launch --help).",
        epilog=f"Shipped names for --config: {', '.join(shipped_configs('train'))}; for --config_file: "
        f"{', '.join(shipped_configs('accelerate'))}. A file of that path wins over a shipped name.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config",
        required=True,
        action="append",
        metavar="FILE|NAME",
        help="settings that differ from the defaults: YAML file or name; of several, a later one wins",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would happen, with sizes, memory and time")
    return parser
