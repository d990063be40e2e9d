"""Several runs of train.py, one after the other, in the processes of one launch: `distributed_runs.py JSON`.

JSON is a list of lists of arguments, or of the arguments of `forget`. Launched by test_distributed.py, because starting
processes takes longer than the runs. Prints the number of processes, so that a test can check that they found each
other.
"""

import json
import shutil
import sys
from pathlib import Path

import torch

from distill import train
from distill.run.launch import leave


def forget(run: str | Path, after: int) -> None:
    """Put a finished run back to a checkpoint."""
    shutil.rmtree(Path(run) / "student")
    for checkpoint in (Path(run) / "checkpoints").iterdir():
        if int(checkpoint.name.removeprefix("step_")) > after:
            shutil.rmtree(checkpoint)
    assert list((Path(run) / "checkpoints").iterdir())


if __name__ == "__main__":
    torch.set_num_threads(1)
    for arguments in json.loads(sys.argv[1]):
        if isinstance(arguments, list):
            train.main(arguments)
        else:
            torch.distributed.barrier()  # no process is still in the run
            if torch.distributed.get_rank() == 0:
                forget(**arguments)
            torch.distributed.barrier()
    print("processes:", torch.distributed.get_world_size(), flush=True)
    leave()
