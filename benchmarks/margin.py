"""How much of its target's he-she log-odds a student reaches: finished runs in, a Markdown table out.

    python benchmarks/margin.py RUN [RUN ...] [--documents 1200]

Every run is measured on its own held-out text, against the target it was trained towards, at the predictions whose
pronoun the text settles: the teacher gives " he" and " she" at least 0.2 together, and the equivariant target of both
views is not at parity. Towards the pronoun that this target prefers, the table has the mean log-odds of the teacher, of
the run's target and of the student (nats), and the mean share of the other pronoun in the probability of both, of
target and student. "Open" are the predictions at which that target is at parity: how many, and the mean |log-odds| of
teacher and student there. With a temperature the target is of logits too: its log-odds times the temperature.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from augment.lexicon import load_lexicon  # noqa: E402
from distill.config import PerturbConfig, RunConfig  # noqa: E402
from distill.data.blocks import separators  # noqa: E402
from distill.data.corpus import read_documents  # noqa: E402
from distill.evaluation.measures.counterfactual_gap import cut_pair, swapped_pairs  # noqa: E402
from distill.evaluation.measures.log_odds import PRONOUNS  # noqa: E402
from distill.loss.targets import gender_classes, perturb  # noqa: E402
from distill.models.loading import load_causal_lm, load_teacher, load_tokenizer  # noqa: E402
from distill.settings import load_config  # noqa: E402

MIN_MASS = 0.2  # of both pronouns together, under the teacher
MIN_LOG_ODDS = 0.05  # of the equivariant target, in nats: below it the text says nothing
COLUMNS = ("run", "operation", "gain", "places", "teacher", "target", "student", "other: target", "other: student")
COLUMNS_OF_OPEN = ("open", "teacher", "student")


class Places(NamedTuple):
    """Log-odds in nats. settled: [3, N] of teacher, target and student, towards the pronoun that the text settles.
    open: [2, M] of teacher and student, he against she, where it settles none.
    """

    settled: Tensor
    open: Tensor


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--documents", type=int, default=1200, help="of the held-out text, the first so many")
    options = parser.parse_args(arguments)
    try:
        columns = (*COLUMNS, *COLUMNS_OF_OPEN)
        print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
        for run in options.runs:
            print(_line(run, options.documents), flush=True)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _line(run: Path, num_documents: int) -> str:
    config = load_config(RunConfig, run / "config.yaml")
    if config.teacher is None or config.data.heldout_path is None:
        raise ValueError(f"{run}: the run has no teacher or no data.heldout_path, so that there is nothing to compare")
    places = log_odds(run, config, num_documents)
    _, target, student = places.settled
    numbers = [f"{number:.2f}" for number in places.settled.mean(dim=1)]
    numbers += [f"{torch.sigmoid(-one).mean():.4f}" for one in (target, student)]
    numbers += [str(places.open.shape[1]), *(f"{number:.2f}" for number in places.open.abs().mean(dim=1))]
    words = [run.parent.name if run.name.startswith("seed") else run.name, config.perturb.operation]
    words += [f"{config.perturb.gain:g}", str(places.settled.shape[1])]
    return f"| {' | '.join([*words, *numbers])} |"


@torch.inference_mode()
def log_odds(run: Path, config: RunConfig, num_documents: int) -> Places:
    """The places of the first held-out documents at which the teacher expects a pronoun."""
    assert config.teacher is not None
    tokenizer = load_tokenizer(str(run / "student"))
    lexicon = load_lexicon(config.augment.tiers, config.augment.lexicon)
    pronouns = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in PRONOUNS]
    if any(len(ids) != 1 for ids in pronouns):
        raise ValueError(f"{run}: {PRONOUNS} are not single tokens of the run's tokenizer; this comparison needs that")
    he_she = torch.tensor(pronouns).flatten()
    classes = gender_classes(tokenizer, lexicon)
    teacher, student = load_teacher(config.teacher), load_causal_lm(str(run / "student"))
    documents = list(itertools.islice(read_documents(config.data, heldout=True), num_documents))
    prefix, _ = separators(tokenizer, config.data.separator)
    settled, temperature = PerturbConfig(operation="equivariant"), config.loss.temperature
    found: list[Tensor] = []
    for _, pair in swapped_pairs(documents, tokenizer, lexicon, prefix):
        *ids, align = map(torch.from_numpy, cut_pair(pair, config.data.seq_len))
        views = [one[None] for one in ids]
        where = (align >= 0).nonzero().flatten()
        own = teacher(views[0]).logits[0, where].float().log_softmax(-1)
        likely = own[:, he_she].exp().sum(-1) >= MIN_MASS
        where, own = where[likely], own[likely]
        other = teacher(views[1]).logits[0, align[where]].float().log_softmax(-1)
        of_student = student(views[0]).logits[0, where].float().log_softmax(-1)
        side = perturb(own, other, settled, classes)
        softened = [(one / temperature).log_softmax(-1) for one in (own, other)]
        target = temperature * perturb(*softened, config.perturb, classes)
        found.append(torch.stack([p[:, he_she[0]] - p[:, he_she[1]] for p in (side, target, own, of_student)]))
    sides, target, own, of_student = torch.cat(found, dim=1).double()
    is_settled = sides.abs() >= MIN_LOG_ODDS
    settled = torch.stack([own, target, of_student]) * sides.sign()
    return Places(settled[:, is_settled], torch.stack([own, of_student])[:, ~is_settled])


if __name__ == "__main__":
    sys.exit(main())
