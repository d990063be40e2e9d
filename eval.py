"""The door to evaluation: python eval.py MODEL [MODEL ...], or accelerate launch eval.py ...; see distill/eval.py."""

import sys

from distill.eval import main

if __name__ == "__main__":
    sys.exit(main())
