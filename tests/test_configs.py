"""Every shipped configuration is valid, and says only what differs from the defaults."""

import subprocess
from pathlib import Path

import pytest
import yaml

from distill.cli import COMMANDS
from distill.config import RunConfig
from distill.evaluation.config import EvalConfig
from distill.settings import load_config, load_yaml, to_dict
from distill.shipped import NEED, config_path, shipped_configs, texts

CONFIGS = Path(__file__).parents[1] / "configs"


@pytest.mark.parametrize("path", sorted((CONFIGS / "train").glob("*.yaml")), ids=lambda path: path.name)
def test_training_configurations_are_valid_and_state_no_default(path):
    config = load_config(RunConfig, path)
    settings = load_yaml(path)
    for room in ("augment", "perturb", "loss", "optim"):
        defaults = to_dict(type(getattr(config, room))())
        for key in settings.get(room, {}):
            assert to_dict(getattr(config, room))[key] != defaults[key], f"{room}.{key} is the default"


@pytest.mark.parametrize("kind", ["train", "eval", "accelerate"])
def test_every_configuration_is_found_by_its_name(kind):
    for path in (CONFIGS / kind).glob("*.yaml"):
        assert config_path(kind, path.stem).samefile(path)
    assert len(shipped_configs(kind)) == len(list((CONFIGS / kind).glob("*.yaml")))


@pytest.mark.parametrize("path", sorted((CONFIGS / "train").glob("*.yaml")), ids=lambda path: path.name)
def test_needs_name_inputs_of_the_configuration_and_commands_that_exist(path):
    inputs = [value for _, value in texts(to_dict(load_config(RunConfig, path)))]
    for needed, command in NEED.findall(path.read_text()):
        assert any(Path(value).is_relative_to(needed) for value in inputs)
        if command.startswith("evenhand "):
            assert command.split()[1] in COMMANDS


@pytest.mark.parametrize("path", sorted((CONFIGS / "eval").glob("*.yaml")), ids=lambda path: path.name)
def test_evaluation_configurations_are_valid(path):
    load_config(EvalConfig, path)


@pytest.mark.parametrize("path", sorted((CONFIGS / "accelerate").glob("*.yaml")), ids=lambda path: path.name)
def test_accelerate_reads_its_configurations(path):
    from accelerate.commands.config.config_args import load_config_from_file

    loaded = load_config_from_file(str(path))
    assert loaded.num_processes == yaml.safe_load(path.read_text())["num_processes"]


@pytest.mark.parametrize("stopped", [True, False])
def test_the_slurm_script_starts_every_node_and_requeues_what_was_stopped(stopped, tmp_path):
    """Uses stand-ins for srun, scontrol and accelerate that record how they are called."""
    log, run_dir = tmp_path / "log", tmp_path / "run"
    run_dir.mkdir()
    (run_dir / "stopped.json").touch()  # left by an earlier start; it must not requeue a job that fails early
    scripts = {
        "scontrol": f'echo "scontrol $@" >> {log}; echo node1; echo node2',
        "srun": 'shift; SLURM_NODEID=0 "$@"; SLURM_NODEID=1 "$@"',
        "accelerate": f'echo "accelerate $@" >> {log}' + (f"; touch {run_dir}/stopped.json; exit 1" if stopped else ""),
    }
    for name, script in scripts.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{script}\n")
        (tmp_path / name).chmod(0o755)
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "node[1-2]", "SLURM_NNODES": "2", "SLURM_GPUS_ON_NODE": "8"}
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "RUN_DIR": str(run_dir)} | job
    command = ["bash", CONFIGS / "accelerate" / "slurm.sh", "data.path=my corpus.jsonl"]
    done = subprocess.run(command, env=environment, check=False)
    assert done.returncode == int(stopped)
    launches = [line for line in log.read_text().splitlines() if line.startswith("accelerate launch")]
    assert ["--machine_rank 0" in launches[0], "--machine_rank 1" in launches[1]] == [True, True]
    options = (
        "--num_machines 2 --num_processes 16",
        "--main_process_ip node1 train.py --config",
        f"run_dir={run_dir} data.path=my corpus.jsonl",
    )
    assert all(option in launch for option in options for launch in launches)
    assert ("scontrol requeue 7" in log.read_text()) == stopped
