"""Compare the swaps of fixed text with a stored digest: a changed swap needs a new RULES_VERSION.

The version is part of the identity of cached blocks, runs and evaluation records. Moving or reformatting the rules must
not change it; changing the result of a swap must.
"""

import csv
import hashlib
from pathlib import Path

from augment.lexicon import RULES_VERSION, TIERS, load_lexicon
from augment.swap import swap

SENTENCES = Path(__file__).with_name("hard_sentences.tsv")
# The digest of every released version; a new version adds a line.
DIGESTS = {
    1: "e8a87d0e4cdceb9de9eb298677df54fd6a2ad31723c06aceeaea33822b603fc8",
    # Version 2 differs in mirrored idioms (king father) and articles (a ewe), which no hard sentence holds.
    2: "e8a87d0e4cdceb9de9eb298677df54fd6a2ad31723c06aceeaea33822b603fc8",
    3: "0960f7402fc43412faa1e48717c70b2fd4364950cf1f82b31cfe4f2275094c91",
}


def digest_of_swaps() -> str:
    """SHA-256 over the counterfactuals and edits of all hard sentences, under the default and under all tiers."""
    with SENTENCES.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(
            (line for line in file if not line.startswith("#")), delimiter="\t", quoting=csv.QUOTE_NONE
        )
        texts = [row["original"] for row in rows]
    digest = hashlib.sha256()
    for lexicon in (load_lexicon(), load_lexicon(TIERS)):
        for text in [*texts, "\n\n".join(texts)]:
            pair = swap(text, lexicon)
            edits = [(edit.start, edit.end, edit.target, edit.rule, round(edit.confidence, 6)) for edit in pair.edits]
            digest.update(repr((pair.counterfactual, edits)).encode())
    return digest.hexdigest()


def test_swaps_are_those_of_the_declared_version() -> None:
    digest = digest_of_swaps()
    assert DIGESTS.get(RULES_VERSION) == digest, (
        f"swaps of the hard sentences have changed (digest {digest}). If that is meant, raise RULES_VERSION in "
        "augment/lexicon.py and add its digest here, so that blocks and records made before are not used. If only "
        "hard_sentences.tsv has changed, replace the digest of the present version."
    )
