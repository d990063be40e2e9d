"""Let a model write short texts about people, to debias it with: evenhand people MODEL [--out people.jsonl].

A student learns what *he* against *she* should be where the text leaves it open, and running text has few such places.
Here most texts begin with a person whose gender is not told ("When the captain arrived,"), an eighth with one whose
word tells it (the duchess) and an eighth with a given name, so that neither is unlearned; the model goes on. It is its
own text, so it asks for nothing that the model does not know. Persons and beginnings are not those of the evaluation.
Train on them with names swapped as well (augment.tiers): a student in whose pairs they stay learns that a name tells no
gender. Interrupted, the same command goes on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

from tqdm.auto import tqdm
from transformers.utils import logging

from augment.command_line import exit_code
from augment.lexicon import load_lexicon
from distill.evaluation.config import ScoringConfig
from distill.evaluation.scoring.generation import sample
from distill.evaluation.scoring.model_specs import load_scorer, parse_models
from distill.evaluation.scoring.scorer import Scorer, start_token
from distill.files import parse_tsv, write_text, writing
from distill.settings import validate

WORDS = "people.tsv"
PLACE = "{person}"
PLACE_OF_NAME = re.compile(r"\b[Tt]he \{person\}")  # a name has no article, and no "new" or "every" before it
TEXTS_PER_CHUNK = 512  # between two steps of the progress bar; enough for full batches of equal length
TOP_P = 0.95


def main(arguments: Sequence[str] | None = None, prog: str = "python -m distill.people") -> None:
    """Parse the command line, sample and write. Raises ValueError or OSError with one message for bad input."""
    options = parser(prog).parse_args(arguments)
    if min(options.texts, options.tokens) < 1:
        raise ValueError(f"--texts {options.texts}, --tokens {options.tokens}: give 1 or more of each")
    persons = read_words("person") if options.persons is None else read_lines(options.persons)
    prompts = beginnings(persons, options.texts, options.seed)
    if options.out.exists():
        _check_is_done(options.out, prompts)
        return
    logging.disable_progress_bar()
    (spec,) = parse_models([options.model])
    scorer = load_scorer(spec, validate(ScoringConfig, {"dtype": options.dtype}))
    scorer = replace(scorer, start_id=start_token(scorer.tokenizer, options.separator, "--separator"))
    settings = {name: str(value) for name, value in vars(options).items() if name != "out"}
    with writing("the texts", options.out.parent, "--out"):
        begun = BegunFile(options.out, settings)
        for texts in write_on(scorer, prompts, options.tokens, options.seed, len(begun.texts)):
            begun.append(texts)
        begun.finish()
    print(f"{options.out}: {len(prompts)} texts about people, of at most {options.tokens} new tokens")


def _check_is_done(path: Path, prompts: Sequence[str]) -> None:
    """Say that the texts are there already. Raises ValueError if the file does not hold one for each prompt."""
    rows = path.read_text(encoding="utf-8", errors="replace").removesuffix("\n").split("\n")
    expected = [row.removesuffix('"}') for row in _rows(prompts)]
    if len(rows) != len(prompts) or not all(map(str.startswith, rows, expected)):
        raise ValueError(f"--out {path} exists and holds other texts; remove it, or name another file")
    print(f"{path} holds these {len(rows)} texts already; remove it to have them written again")


class BegunFile:
    """FILE.part: the settings in its first line, then the texts so far. The same command goes on from there."""

    def __init__(self, out: Path, settings: dict[str, str]) -> None:
        """Raises ValueError if the file was begun with other settings."""
        self.out, self.path = out, out.with_name(f"{out.name}.part")
        held = self.path.read_text(encoding="utf-8", errors="replace") if self.path.exists() else ""
        first, *rows = held.split("\n")[:-1] or [json.dumps(settings)]  # the last line may be half a one
        if first != json.dumps(settings):
            raise ValueError(f"{self.path} was begun with other settings; remove it, or give another --out")
        self.texts: list[str] = [json.loads(row)["text"] for row in rows]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path, "".join(f"{line}\n" for line in (first, *rows)))

    def append(self, texts: Sequence[str]) -> None:
        """Add texts to the file."""
        self.texts += texts
        with self.path.open("a", encoding="utf-8", newline="\n") as stream:
            stream.writelines(f"{row}\n" for row in _rows(texts))

    def finish(self) -> None:
        """Write the texts to the file they are for, and remove this one."""
        write_text(self.out, "".join(f"{row}\n" for row in _rows(self.texts)))
        self.path.unlink()


def _rows(texts: Sequence[str]) -> list[str]:
    return [json.dumps({"text": text}, ensure_ascii=False) for text in texts]


def beginnings(persons: Sequence[str], num_texts: int, seed: int) -> list[str]:
    """The first words of texts: of eight, one is about a gendered person, one about a name, six about `persons`.

    Of each kind every person occurs in every beginning, in a random order, before one repeats.
    """
    order = random.Random(seed)
    texts = read_words("beginning")
    kinds = [
        [text.replace(PLACE, person) for text in texts for person in group]
        for group in (persons, read_words("gendered"))
    ]
    names = [name for pair in load_lexicon(("names",)).rows for name in (pair.masculine, pair.feminine)]
    kinds.append([PLACE_OF_NAME.sub(name, text) for text in texts if PLACE_OF_NAME.search(text) for name in names])
    for combinations in kinds:
        order.shuffle(combinations)
    neutral, gendered, named = map(itertools.cycle, kinds)
    turns = itertools.cycle([gendered, *[neutral] * 3, named, *[neutral] * 3])
    return [next(turn) for turn in itertools.islice(turns, num_texts)]


def write_on(scorer: Scorer, prompts: Sequence[str], num_tokens: int, seed: int, first: int = 0) -> Iterator[list[str]]:
    """Each prompt from `first` on with a continuation of at most `num_tokens` tokens, in chunks. Raises as `sample`.

    The continuation comes from the nucleus of 0.95. It does not depend on where an earlier call has stopped.
    """
    with tqdm(total=len(prompts), initial=first, desc="writing about people", unit=" texts") as bar:
        for start in range(first, len(prompts), TEXTS_PER_CHUNK):
            chunk = [(f"{start + row}", prompt) for row, prompt in enumerate(prompts[start : start + TEXTS_PER_CHUNK])]
            written = sample(scorer, chunk, num_samples=1, max_new_tokens=num_tokens, top_p=TOP_P, seed=seed)
            yield [prompt + continuation for (_, prompt), (continuation,) in zip(chunk, written, strict=True)]
            bar.update(len(chunk))


def read_words(kind: str) -> list[str]:
    """The shipped words of a kind: `person`, `gendered` (in pairs, the feminine one first) or `beginning`."""
    rows = parse_tsv(resources.files("distill").joinpath(WORDS).read_text(encoding="utf-8"))
    return [row["text"] for row in rows if row["kind"] == kind]


def read_lines(path: Path) -> list[str]:
    """The lines of a file that hold a word. Raises ValueError if none does."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not lines:
        raise ValueError(f"--persons {path} is empty; give one person per line, for example: captain")
    return lines


def parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    words = argparse.ArgumentParser(prog=prog, description=(__doc__ or "").partition("\n\n")[2])
    words.add_argument("model", metavar="MODEL", help="the teacher: folder, hub name or .gguf file")
    words.add_argument("--out", type=Path, default=Path("people.jsonl"), metavar="FILE.jsonl", help="%(default)s")
    words.add_argument("--texts", type=int, default=3000, metavar="N", help="how many (%(default)s)")
    words.add_argument("--tokens", type=int, default=4, metavar="N", help="new tokens of each, at most (%(default)s)")
    words.add_argument("--persons", type=Path, metavar="FILE", help="your own: one person per line, without article")
    words.add_argument("--separator", help="the token before each document, as in training (data.separator)")
    words.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"), help="of the weights")
    words.add_argument("--seed", type=int, default=0)
    return words


if __name__ == "__main__":
    sys.exit(exit_code(main))
