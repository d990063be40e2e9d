"""One process of a training, as `evenhand train` launches it: python -m distill.run --config FILE [...]."""

import sys

if __name__ == "__main__":
    from distill.train import program  # not above: workers that pair texts also import this file, and do not need it

    sys.exit(program())
