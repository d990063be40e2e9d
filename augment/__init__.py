"""Swap the binary-gender terms of a text and say with which edits.

`swap("He left.").counterfactual == "She left."`. The package imports neither torch nor transformers.
"""

from augment.lexicon import DEFAULT_TIERS, TIERS, Lexicon, TermPair, load_lexicon
from augment.pair import CounterfactualPair, Edit, KeptTerm, apply_edits
from augment.swap import kept_terms, swap

__all__ = [
    "DEFAULT_TIERS",
    "TIERS",
    "CounterfactualPair",
    "Edit",
    "KeptTerm",
    "Lexicon",
    "TermPair",
    "apply_edits",
    "kept_terms",
    "load_lexicon",
    "swap",
]
