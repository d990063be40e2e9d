"""What a run is set up with."""

import copy
from types import SimpleNamespace

import pytest
from tokenizers import AddedToken

from augment.lexicon import DEFAULT_TIERS, load_lexicon
from distill.config import RunConfig
from distill.run.setup import find_classes
from distill.settings import validate


@pytest.mark.parametrize(
    ("scope", "shares_out"), [("pairs", {" he", " she"}), ("all", {" he", " she", " James", " Mary"})]
)
def test_which_name_comes_next_stays_the_teachers_where_only_shares_within_pairs_change(scope, shares_out, tokenizer):
    """Names are swapped, so that they tell a gender in both views; but James is also a surname, the same in both."""
    with_names = load_lexicon((*DEFAULT_TIERS, "names"))
    tokenizer = copy.deepcopy(tokenizer)  # the other tests share it
    tokenizer.add_tokens([AddedToken(" James"), AddedToken(" Mary")])
    settings = {"run_dir": "unused", "data": {"path": "unused"}, "train": {"max_steps": 1}}
    settings |= {"teacher": {"path": "unused"}, "student": {"layers": [0]}}
    perturb = {"operation": "equivariant_geometric", "scope": scope}
    classes = find_classes(
        validate(RunConfig, settings | {"perturb": perturb}), SimpleNamespace(tokenizer=tokenizer), with_names
    )
    words = {tokenizer.decode(token_id) for token_id in classes.ids}
    assert words & {" he", " she", " James", " Mary"} == shares_out
