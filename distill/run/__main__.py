"""One process of a training, as `evenhand train` launches it: python -m distill.run --config FILE [...]."""

import sys

if __name__ == "__main__":
    from distill.train import program  # here: the workers that pair texts do not import it

    sys.exit(program())
