"""What does a target itself cost, before any training? LAMBADA under the teacher and under the targets made from it.

    python -m benchmarks.target_cost TEACHER PASSAGES.jsonl [--passages 1000]

A student that learned its target perfectly would score as the target does. So the difference between the teacher's row
and a target's row is what the target costs; the rest of what a student loses is what training costs. The teacher reads
each passage and its counterfactual, and the target is made from both predictions of the last word. With `names`, given
names are swapped and carried as well, so that both views agree with themselves.

Each row has the accuracy, the perplexity of the last word, and the mean difference of log P(last word) to the teacher's
with its standard error, in nats: of all passages, and of those that end in a capitalised word, a gendered term or
another word.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from augment.lexicon import DEFAULT_TIERS, load_lexicon
from distill.data.packing import PairedExample, pair_texts
from distill.evaluation.measures.published.lambada import Passage, read
from distill.evaluation.scoring.model_specs import parse_models
from distill.evaluation.statistics.estimators import FloatArray
from distill.loss.gender_classes import gender_classes
from distill.loss.targets import make_target
from distill.loss_config import PerturbConfig
from distill.models.loading import load_causal_lm, load_tokenizer

TARGETS = {
    "teacher": PerturbConfig(),
    "mean": PerturbConfig(operation="mean"),
    "equivariant": PerturbConfig(operation="equivariant"),
    "geometric": PerturbConfig(operation="equivariant_geometric"),
    "geometric, gain 1.5": PerturbConfig(operation="equivariant_geometric", gain=1.5),
    "geometric, pairs": PerturbConfig(operation="equivariant_geometric", scope="pairs"),
    "geometric, pairs, gain 1.5": PerturbConfig(operation="equivariant_geometric", scope="pairs", gain=1.5),
}
KINDS = ("capitalised", "gendered", "other")


class Scores(NamedTuple):
    """Of N passages under one target: log P(last word) in nats, and whether each of its tokens is the likeliest."""

    logprobs: FloatArray
    is_greedy: FloatArray


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", help="folder, hub name or .gguf file")
    parser.add_argument("passages_file", metavar="PASSAGES", help="a .jsonl file with the field text")
    parser.add_argument("--passages", type=int, default=1000, help="how many passages to read, from the first on")
    options = parser.parse_args(arguments)
    try:
        passages = read(options.passages_file)[: options.passages]
        (spec,) = parse_models([options.teacher])
        tokenizer = load_tokenizer(spec.path, spec.gguf_file)
        teacher = load_causal_lm(spec.path, gguf_file=spec.gguf_file)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    columns = ("target", "accuracy", "perplexity", "all", *KINDS)
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    scores, kinds = score(teacher, tokenizer, passages)
    for name in scores:
        print(_line(name, scores[name], scores["teacher"].logprobs, kinds))
    return 0


@torch.inference_mode()
def score(
    teacher: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, passages: Sequence[Passage]
) -> tuple[dict[str, Scores], list[str]]:
    """The scores by the name of the target, and each passage's kind."""
    lexicons = {"": load_lexicon(), ", with names": load_lexicon((*DEFAULT_TIERS, "names"))}
    classes = {suffix: gender_classes(tokenizer, lexicon) for suffix, lexicon in lexicons.items()}
    names = [name + suffix for suffix in lexicons for name in TARGETS]
    rows: dict[str, list[tuple[float, bool]]] = {name: [] for name in names}
    kinds = []
    for passage in tqdm(passages, disable=None):
        start = len(tokenizer(passage.context, add_special_tokens=False)["input_ids"])
        own = None
        for suffix, lexicon in lexicons.items():
            (document,) = pair_texts([passage.context + passage.target], tokenizer, lexicon)
            word = torch.from_numpy(document.example.input_ids[start:])
            own = _logprobs(teacher, document.example.input_ids) if own is None else own
            here, there = _aligned(teacher, document.example, own, start)
            for name, perturbation in TARGETS.items():
                rows[name + suffix].append(_of_word(make_target(here, there, perturbation, classes[suffix]), word))
        kinds.append(_kind(passage, bool(torch.isin(word, classes[""].ids).any())))
    return {name: Scores(*np.array(rows[name], dtype=np.float64).T) for name in names}, kinds


def _aligned(teacher: PreTrainedModel, example: PairedExample, own: Tensor, start: int) -> tuple[Tensor, Tensor]:
    """The log-probabilities of the W tokens from `start` on: the teacher's [W, V], and those at the aligned positions
    of the counterfactual [W, V], or the teacher's again where there is none.
    """
    where = np.arange(start - 1, len(example.input_ids) - 1)
    here, partner = own[torch.from_numpy(where)], torch.from_numpy(example.align[where])
    if np.array_equal(example.input_ids[:-1], example.cf_input_ids[:-1]):
        return here, here
    other = _logprobs(teacher, example.cf_input_ids)
    return here, torch.where((partner >= 0)[:, None], other[partner.clamp_min(0)], here)


def _logprobs(model: PreTrainedModel, ids: npt.NDArray[np.int64]) -> Tensor:
    """log P [T, V] of the token after each position."""
    return model(torch.from_numpy(ids)[None]).logits[0].float().log_softmax(-1)


def _of_word(target: Tensor, word: Tensor) -> tuple[float, bool]:
    """log P of the word's tokens [W] under a target [W, V], and whether each is the likeliest."""
    return float(target.gather(-1, word[:, None]).sum()), bool((target.argmax(-1) == word).all())


def _kind(passage: Passage, is_gendered: bool) -> str:
    if is_gendered:
        return "gendered"
    return "capitalised" if passage.target.strip()[:1].isupper() else "other"


def _line(name: str, scores: Scores, teacher: FloatArray, kinds: Sequence[str]) -> str:
    change = scores.logprobs - teacher
    parts = [change, *(change[np.array(kinds) == kind] for kind in KINDS)]
    numbers = [f"{scores.is_greedy.mean():.4f}", f"{math.exp(-scores.logprobs.mean()):.2f}"]
    numbers += [f"{part.mean():+.4f} ({part.std() / math.sqrt(len(part)):.4f})" for part in parts]
    return f"| {' | '.join([name, *numbers])} |"


if __name__ == "__main__":
    sys.exit(main())
