"""Train a student: accelerate launch train.py --config FILE [--dry-run] [key.sub=value ...] (see distill/train.py)."""

import sys

if __name__ == "__main__":
    from distill.train import program  # not above: workers that pair texts also import this file, and do not need it

    sys.exit(program())
