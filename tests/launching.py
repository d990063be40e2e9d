"""Launch processes with accelerate, wait for what they do, and kill them."""

import os
import signal
import socket
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

ROOT = Path(__file__).parents[1]
FSDP = ("fsdp2.yaml", "--num_processes", "2", "--mixed_precision", "no")


def launch(*command: str, **environment: str) -> subprocess.CompletedProcess:
    """`accelerate launch` with a shipped configuration, in a clean environment, one thread per process."""
    return subprocess.run(
        launch_command(*command),
        cwd=ROOT,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def launch_command(accelerate_config: str, *command: str) -> list[str]:
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--quiet", "--config_file"]
    return [*launcher, str(ROOT / "configs" / "accelerate" / accelerate_config), *command]


def clean_environment(**environment: str) -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""} | environment


def read_text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def wait_for_steps(
    run_dir: Path, num_steps: int, process: subprocess.Popen | BaseProcess, output: Path, seconds: float = 300
) -> None:
    """Wait until a run has logged `num_steps` optimizer steps. Fails with the output if the process ends before."""
    is_running = process.is_alive if isinstance(process, BaseProcess) else lambda: process.poll() is None
    deadline = time.monotonic() + seconds
    while read_text(run_dir / "metrics.jsonl").count('"loss"') < num_steps:
        assert is_running(), output.read_text()
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.005)


def start_machines(run: list[str], tmp_path: Path) -> list[subprocess.Popen]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    machines = []
    for rank in ("0", "1"):
        options = ["--num_machines", "2", "--num_processes", "2", "--machine_rank", rank, "--main_process_port", port]
        options += ["--main_process_ip", "127.0.0.1", "--mixed_precision", "no"]
        command = launch_command("multi_node.yaml", *options, str(ROOT / "train.py"), *run)
        with (tmp_path / f"log{rank}").open("w") as log:
            environment = clean_environment(ACCELERATE_USE_CPU="true")
            machines.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log))
    return machines


def kill_tree(launcher: subprocess.Popen) -> None:
    """End the launcher and its process at once, as a power cut does."""
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(launcher.pid)], capture_output=True, text=True)
    for pid in [launcher.pid, *map(int, children.stdout.split())]:
        os.kill(pid, signal.SIGKILL)
    launcher.wait()
