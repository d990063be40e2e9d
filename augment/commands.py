"""The sub-commands of `python -m augment`: their options, and what each does."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from augment.files.rows import RowOptions
from augment.files.safe import writing
from augment.files.stream import swap_file
from augment.files.texts import SUFFIXES, read_texts
from augment.lexicon import DEFAULT_TIERS, TIERS, Lexicon, load_lexicon
from augment.pair import CounterfactualPair, KeptTerm
from augment.swap import kept_terms, swap
from augment.tagger import agreement, load_reader

_CORPUS_HELP = f"{', '.join(SUFFIXES)} file, or a folder of such files"
_FIELD_HELP = "JSON or Parquet column of the text (default: text)"


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


def add_spacy_option(parser: argparse.ArgumentParser) -> None:
    """Option that lets an installed spaCy model decide her and his."""
    parser.add_argument("--spacy", default="", metavar="MODEL", help="installed spaCy model that decides her and his")


def add_explain(jobs: Any) -> None:
    """`explain TEXT`: the edits of one text, coloured in a terminal."""
    parser = jobs.add_parser("explain", help="show the edits of one text")
    parser.add_argument("text", nargs="?", help="the text; read from standard input when absent")
    parser.add_argument("--colour", choices=("auto", "always", "never"), default="auto", help="default: in a terminal")
    add_spacy_option(parser)
    add_lexicon_options(parser)
    parser.set_defaults(run=run_explain)


def run_explain(options: argparse.Namespace) -> int:
    """Print original and counterfactual with marked edits, then one line per edit and per word left alone."""
    text = sys.stdin.read() if options.text is None else options.text
    colour = options.colour == "always" or (options.colour == "auto" and sys.stdout.isatty())
    reader = load_reader(options.spacy) if options.spacy else None
    lexicon = chosen_lexicon(options)
    print(explanation(swap(text, lexicon, reader), kept_terms(text, lexicon, reader), colour))
    return 0


def explanation(pair: CounterfactualPair, kept: Sequence[KeptTerm], colour: bool) -> str:
    """Both texts with the edited words marked (colour or brackets), one line per edit and one per kept term."""
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
    lines += [f"  {k.start:>5}-{k.end:<5} {k.source!r} is kept: {k.reason}" for k in kept]
    return "\n".join(lines)


def _marked(pair: CounterfactualPair, opening: str, close: str) -> str:
    pieces, position = [], 0
    for e in pair.edits:
        pieces += [pair.original[position : e.start], opening, e.source, close]
        position = e.end
    return "".join([*pieces, pair.original[position:]])


def add_swap(jobs: Any) -> None:
    """`swap INPUT --out OUTPUT`: write the counterfactual of a file."""
    parser = jobs.add_parser("swap", help=f"swap a {', '.join(SUFFIXES)} file")
    parser.add_argument("input", type=Path, help="the file to swap")
    parser.add_argument("--out", type=Path, required=True, help="output file, of the same format")
    parser.add_argument("--field", default="text", help=_FIELD_HELP)
    parser.add_argument(
        "--workers", type=int, default=1, help="processes (default: 1); the output does not depend on their number"
    )
    parser.add_argument("--pairs", action="store_true", help="keep the text; add the columns counterfactual and edits")
    parser.add_argument(
        "--min-confidence",
        type=float,
        default=0.0,
        help="leave out rows whose least certain edit is below this (0 to 1)",
    )
    add_spacy_option(parser)
    add_lexicon_options(parser)
    parser.set_defaults(run=run_swap)


def run_swap(options: argparse.Namespace) -> int:
    """Swap a file and print what was done. Malformed rows are counted, and listed in a file beside the output."""
    if not 0 <= options.min_confidence <= 1:
        raise ValueError(f"--min-confidence is {options.min_confidence}; give a number from 0 to 1")
    row_options = RowOptions(
        chosen_lexicon(options), options.field, options.pairs, options.min_confidence, options.spacy
    )
    if options.spacy:
        load_reader(options.spacy)  # a missing model is reported before any row is read
    with writing("the rows", options.out, "--out", "; the same command continues"):
        report = swap_file(options.input, options.out, row_options, options.workers)
    counts = report.counts
    print(
        f"{counts.num_rows:,} rows, {counts.num_changed:,} changed, {counts.num_unsure:,} left out as uncertain, "
        f"{counts.num_masculine_to_feminine:,} m->f and {counts.num_feminine_to_masculine:,} f->m edits, "
        f"{report.words_per_second:,.0f} words/s -> {options.out}"
    )
    if report.malformed_path is not None:
        print(
            f"warning: {counts.num_malformed:,} malformed rows are not in the output; "
            f"their line numbers are in {report.malformed_path}",
            file=sys.stderr,
        )
    return 0


def add_fit(jobs: Any) -> None:
    """`fit CORPUS`: train the pronoun models on raw text."""
    parser = jobs.add_parser("fit", help="train the models of her and his on your own text")
    parser.add_argument("corpus", type=Path, nargs="+", help=_CORPUS_HELP)
    parser.add_argument("--field", default="text", help=_FIELD_HELP)
    parser.add_argument("--out", type=Path, required=True, help="folder for her.bin and his.bin (augment/weights)")
    parser.set_defaults(run=run_fit)


def run_fit(options: argparse.Namespace) -> int:
    """Train both models, and print how many labels each had."""
    from augment.rules.fit_pronouns import fit

    with writing("the models", options.out, "--out"):
        counts = fit((text for path in options.corpus for text in read_texts(path, options.field)), options.out)
    print(
        ", ".join(f"{task}.bin from {number:,} free labels" for task, number in counts.items()) + f" -> {options.out}"
    )
    return 0


def add_audit(jobs: Any) -> None:
    """`audit CORPUS`: how gendered a corpus is, before and after augmentation."""
    parser = jobs.add_parser("audit", help="count how gendered a corpus is, before and after augmentation")
    parser.add_argument("corpus", type=Path, help=_CORPUS_HELP)
    parser.add_argument("--out", type=Path, required=True, help="folder for audit.json and audit.html")
    parser.add_argument("--field", default="text", help=_FIELD_HELP)
    parser.add_argument("--max-rows", type=int, default=0, help="read only the first rows (default: all)")
    add_lexicon_options(parser)
    parser.set_defaults(run=run_audit)


def run_audit(options: argparse.Namespace) -> int:
    """Count, print a table, write audit.json and audit.html."""
    from itertools import islice

    from augment.audit import audit, audit_table, write_audit

    texts = read_texts(options.corpus, options.field)
    result = audit(islice(texts, options.max_rows) if options.max_rows else texts, chosen_lexicon(options))
    print(audit_table(result))
    with writing("the figures", options.out, "--out"):
        write_audit(result, options.out, options.corpus.name)
    return 0


def add_agree(jobs: Any) -> None:
    """`agree CORPUS --spacy MODEL`: how often a spaCy model reads her and his as the rules do."""
    parser = jobs.add_parser("agree", help="compare the built-in reading of her and his with a spaCy model's")
    parser.add_argument("corpus", type=Path, help=_CORPUS_HELP)
    parser.add_argument("--spacy", default="en_core_web_sm", metavar="MODEL", help="default: en_core_web_sm")
    parser.add_argument("--field", default="text", help=_FIELD_HELP)
    parser.add_argument("--max-rows", type=int, default=1000, help="read only the first rows (default: 1000; 0: all)")
    parser.add_argument("--show", type=int, default=10, help="differences to print (default: 10)")
    parser.set_defaults(run=run_agree)


def run_agree(options: argparse.Namespace) -> int:
    """Print how often both agree, with an interval, per pronoun and in total; then some differences."""
    from itertools import islice

    from augment.audit import wilson_interval

    reader = load_reader(options.spacy)
    texts = read_texts(options.corpus, options.field)
    result = agreement(islice(texts, options.max_rows) if options.max_rows else texts, reader, options.show)
    for name, (agreeing, number) in {**result.by_pronoun, "both": (result.num_agreeing, result.num_pronouns)}.items():
        low, high = wilson_interval(agreeing, number)
        share = agreeing / number if number else 1.0
        print(f"{name:<5} {agreeing:,} of {number:,} alike: {share:.4f} [{low:.4f}, {high:.4f}]")
    for text, start in result.differences:
        print("  differs: " + text[max(0, start - 50) : start + 40].replace("\n", " "))
    return 0
