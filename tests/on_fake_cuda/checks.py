"""Run those parts of benchmarks.gpu_check that need no process of their own on a fake GPU: it is known to start.

python -m on_fake_cuda.checks FOLDER_OF_GUARD
"""

import sys
from pathlib import Path
from unittest import mock

from benchmarks.fake_cuda.device import fake_cuda, load_guard

STEP = ["--seq-len", "16", "--batch", "2", "--rounds", "1", "--width", "64", "--vocab", "500", "--teacher", "2"]


def main() -> None:
    load_guard(Path(sys.argv[1]))
    from benchmarks import gpu_check, step
    from distill.loss import distiller
    from distill.models.logit_transform import LogitTransform

    # no value can be looked at
    unseen = mock.patch.object(distiller, "logit_transform", return_value=LogitTransform())
    arguments = mock.patch.object(sys, "argv", ["step", "--device", "cuda", "--student", "1", *STEP])
    with fake_cuda(), unseen, arguments:
        step.main()
        print(gpu_check.compare_scores("cuda"))


if __name__ == "__main__":
    main()
