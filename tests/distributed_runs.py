"""Several runs of train.py, one after the other, in the processes of one launch: `distributed_runs.py JSON`.

JSON is a list of lists of arguments. Imported by nothing; launched by test_distributed.py, because starting processes
takes longer than the runs. Prints the number of processes, so that a test can be sure that they know each other.
"""

import json
import sys

import torch

import train
from distill.launch import leave

if __name__ == "__main__":
    torch.set_num_threads(1)
    for arguments in json.loads(sys.argv[1]):
        train.main(arguments)
    print("processes:", torch.distributed.get_world_size(), flush=True)
    leave()
