"""List which lexicon terms are single tokens: evenhand terms TOKENIZER [--lexicon FILE.tsv].

Each pair of terms has a line. A distillation target can move probability between the two terms of a pair only in a form
in which both are single tokens. Swapping words in a text does not need single tokens.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterable, Sequence

from transformers import PreTrainedTokenizerFast

from augment.command_line import exit_code
from augment.lexicon import Lexicon, load_lexicon
from distill.loss.gender_classes import SurfaceForm, surface_forms
from distill.models.loading import load_tokenizer


def is_single(form: SurfaceForm) -> bool:
    """Whether both terms of a surface form are one token."""
    return form.masculine_id is not None and form.feminine_id is not None


def coverage(tokenizer: PreTrainedTokenizerFast, lexicon: Lexicon) -> tuple[int, int]:
    """Count the term pairs that are single tokens in at least one surface form, and all term pairs."""
    by_pair = [any(is_single(form) for form in forms) for _, forms in _by_pair(surface_forms(tokenizer, lexicon))]
    return sum(by_pair), len(by_pair)


def report(tokenizer: PreTrainedTokenizerFast, lexicon: Lexicon) -> str:
    """One line per pair: its terms, the forms in which both are single tokens, and the other forms."""
    lines = ["masculine\tfeminine\tsingle tokens\tseveral tokens"]
    for (masculine, feminine), forms in _by_pair(surface_forms(tokenizer, lexicon)):
        names: dict[bool, list[str]] = {True: [], False: []}
        for form in forms:
            names[is_single(form)].append(f"{form.masculine}/{form.feminine}")
        lines.append(f"{masculine}\t{feminine}\t{', '.join(names[True]) or '-'}\t{', '.join(names[False]) or '-'}")
    return "\n".join(lines)


def _by_pair(forms: Iterable[SurfaceForm]) -> Iterable[tuple[tuple[str, str], list[SurfaceForm]]]:
    """Yield each term pair with its surface forms."""

    def pair_of(form: SurfaceForm) -> tuple[str, str]:
        return form.masculine.strip().lower(), form.feminine.strip().lower()

    return ((pair, list(group)) for pair, group in itertools.groupby(forms, pair_of))


def main(arguments: Sequence[str] | None = None, prog: str = "python -m distill.terms") -> None:
    """Print the report and a summary. Raises ValueError or OSError with one message for bad input."""
    parser = argparse.ArgumentParser(
        prog=prog, description="List which pairs of terms are single tokens, and in which forms."
    )
    parser.add_argument("tokenizer", help="folder or hub name")
    parser.add_argument("--lexicon", help="your own TSV file, which extends the default lexicon")
    options = parser.parse_args(arguments)
    tokenizer, lexicon = load_tokenizer(options.tokenizer), load_lexicon(None, options.lexicon)
    print(report(tokenizer, lexicon))
    print("{} of {} pairs are single tokens in some form".format(*coverage(tokenizer, lexicon)), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(exit_code(main))
