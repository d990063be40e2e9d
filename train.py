"""Train a student: accelerate launch train.py --config FILE [--dry-run] [key.sub=value ...] (see distill/train.py)."""

import sys

if __name__ == "__main__":
    from distill.train import program  # here: the workers that pair texts import this file too, and need none of it

    sys.exit(program())
