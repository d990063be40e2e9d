"""Text in, counterfactual text pairs out: every binary-gender term swapped, with the edits that did it.

`swap("He left.").counterfactual == "She left."`. Imports neither torch nor transformers.
"""

from augment.lexicon import DEFAULT_TIERS, TIERS, Lexicon, TermPair, load_lexicon
from augment.swap import CounterfactualPair, Edit, apply_edits, swap

__all__ = [
    "DEFAULT_TIERS",
    "TIERS",
    "CounterfactualPair",
    "Edit",
    "Lexicon",
    "TermPair",
    "apply_edits",
    "load_lexicon",
    "swap",
]
