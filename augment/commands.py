"""The sub-commands of `python -m augment`: parsed options in, printed text or files out."""

import argparse
import sys
from pathlib import Path
from typing import Any

from augment.lexicon import DEFAULT_TIERS, TIERS, Lexicon, load_lexicon
from augment.swap import CounterfactualPair, swap


def add_lexicon_options(parser: argparse.ArgumentParser) -> None:
    """Options that choose the lexicon."""
    parser.add_argument(
        "--tiers",
        help=f"comma-separated tiers out of {','.join(TIERS)} (default: {','.join(DEFAULT_TIERS)})",
    )
    parser.add_argument("--lexicon", type=Path, help="tab-separated file of your own term pairs")
    parser.add_argument("--replace", action="store_true", help="use only --lexicon, not the shipped tiers")


def chosen_lexicon(options: argparse.Namespace) -> Lexicon:
    """The lexicon that the options ask for."""
    if options.replace and options.lexicon is None:
        raise ValueError("--replace needs --lexicon FILE; give the file that replaces the shipped tiers")
    tiers = [t.strip() for t in options.tiers.split(",") if t.strip()] if options.tiers else None
    return load_lexicon(tiers, options.lexicon, extend=not options.replace)


def add_explain(jobs: Any) -> None:
    """`explain TEXT`: the edits of one text, coloured in a terminal."""
    parser = jobs.add_parser("explain", help="show the edits of one text")
    parser.add_argument("text", nargs="?", help="the text; read from standard input when absent")
    parser.add_argument("--colour", choices=("auto", "always", "never"), default="auto")
    add_lexicon_options(parser)
    parser.set_defaults(run=run_explain)


def run_explain(options: argparse.Namespace) -> int:
    """Print original and counterfactual with marked edits, then one line per edit."""
    text = sys.stdin.read() if options.text is None else options.text
    colour = options.colour == "always" or (options.colour == "auto" and sys.stdout.isatty())
    print(explanation(swap(text, chosen_lexicon(options)), colour))
    return 0


def explanation(pair: CounterfactualPair, colour: bool) -> str:
    """Both texts with the edited words marked (colour or brackets), and one line per edit."""
    before, after = ("\x1b[31m", "\x1b[32m") if colour else ("[", "[")
    close = "\x1b[0m" if colour else "]"
    back = pair.reverse()
    lines = [
        "original        " + _marked(pair, before, close),
        "counterfactual  " + _marked(back, after, close),
        f"{pair.num_masculine_to_feminine} m->f, {pair.num_feminine_to_masculine} f->m, "
        f"confidence {pair.confidence:.3f}",
    ]
    lines += [
        f"  {e.start:>5}-{e.end:<5} {e.source!r} -> {e.target!r}  {e.confidence:.3f}  {e.rule}" for e in pair.edits
    ]
    return "\n".join(lines)


def _marked(pair: CounterfactualPair, opening: str, close: str) -> str:
    pieces, position = [], 0
    for e in pair.edits:
        pieces += [pair.original[position : e.start], opening, e.source, close]
        position = e.end
    return "".join([*pieces, pair.original[position:]])


def add_swap(jobs: Any) -> None:
    """`swap INPUT --out OUTPUT`: a file's counterfactual."""
    parser = jobs.add_parser("swap", help="swap a .txt file")
    parser.add_argument("input", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    add_lexicon_options(parser)
    parser.set_defaults(run=run_swap)


def run_swap(options: argparse.Namespace) -> int:
    """Write the counterfactual of a text file under a temporary name, then rename it."""
    if not options.input.is_file():
        raise FileNotFoundError(f"input {str(options.input)!r} does not exist; give a text file")
    lexicon = chosen_lexicon(options)
    part = options.out.with_name(options.out.name + ".part")
    num_edits = 0
    with (
        open(options.input, encoding="utf-8", newline="") as source,
        open(part, "w", encoding="utf-8", newline="") as out,
    ):
        for line in source:
            pair = swap(line, lexicon)
            num_edits += len(pair.edits)
            out.write(pair.counterfactual)
    part.replace(options.out)
    print(f"{num_edits} edits written to {options.out}")
    return 0
