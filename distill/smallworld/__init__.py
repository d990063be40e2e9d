"""A small world whose gender bias is known: a generator of short texts, and the exact truth about them.

A `World` holds the parameters; documents follow from it and a seed, and its probabilities are known in closed form.
`python -m distill.smallworld` writes a corpus folder with a tokenizer.
"""

from distill.smallworld.default_world import default_world
from distill.smallworld.documents import generate_documents
from distill.smallworld.grammar import NEUTRAL_TEMPLATES, agreement_probes
from distill.smallworld.world import (
    Occupation,
    Trait,
    World,
    occupation_posterior,
    trait_probabilities,
    true_log_odds,
    true_pronoun_probabilities,
)

__all__ = [
    "NEUTRAL_TEMPLATES",
    "Occupation",
    "Trait",
    "World",
    "agreement_probes",
    "default_world",
    "generate_documents",
    "occupation_posterior",
    "trait_probabilities",
    "true_log_odds",
    "true_pronoun_probabilities",
]
