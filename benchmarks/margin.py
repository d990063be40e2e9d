"""How close does a student come to the he-she log-odds of its target? A Markdown table of finished runs.

    python -m benchmarks.margin RUN [RUN ...] [--documents 1200]

Each run is measured on its own held-out text, against the target that it was trained on. Only predictions are used at
which the teacher gives " he" and " she" together a probability of at least 0.2. They are of two kinds, called places:

- Settled places: the text says which pronoun is right, so the equivariant target prefers one. The table has the mean
  log-odds of that pronoun (nats) under the teacher, the run's target and the student. It also has the mean share of the
  other pronoun in the probability of both, for target and student.
- Open places: the text does not say, so the equivariant target is at parity. The table has their number, and the mean
  |log-odds| of teacher and student (nats).

If the run has a temperature, the target's log-odds are multiplied by it, so that they compare with the student's.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from augment.lexicon import load_lexicon
from distill.config import RunConfig
from distill.data.corpus import read_documents
from distill.data.separators import separators
from distill.evaluation.measures.counterfactual_gap import cut_pair, swapped_pairs
from distill.evaluation.measures.log_odds import PRONOUNS
from distill.loss.gender_classes import gender_classes
from distill.loss.targets import make_target
from distill.loss_config import PerturbConfig
from distill.models.loading import load_causal_lm, load_teacher, load_tokenizer
from distill.settings import load_config

MIN_MASS = 0.2  # the teacher's probability of both pronouns together
MIN_LOG_ODDS = 0.05  # in nats; if the equivariant target has less, the text does not say which pronoun is right
COLUMNS = ("run", "operation", "gain", "places", "teacher", "target", "student", "other: target", "other: student")
OPEN_COLUMNS = ("open", "teacher", "student")


class Places(NamedTuple):
    """Log-odds in nats.

    settled [3, N]: of teacher, target and student, for the pronoun that the text says is right. open [2, M]: of teacher
    and student, for he, where the text does not say.
    """

    settled: Tensor
    open: Tensor


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument(
        "--documents", type=int, default=1200, help="how many held-out documents to read, from the first on"
    )
    options = parser.parse_args(arguments)
    try:
        columns = (*COLUMNS, *OPEN_COLUMNS)
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
        raise ValueError(f"{run}: the run has no teacher or no data.heldout_path, so there is nothing to compare")
    places = log_odds(run, config, num_documents)
    _, target, student = places.settled
    numbers = [f"{number:.2f}" for number in places.settled.mean(dim=1)]
    numbers += [f"{torch.sigmoid(-odds).mean():.4f}" for odds in (target, student)]
    numbers += [str(places.open.shape[1]), *(f"{number:.2f}" for number in places.open.abs().mean(dim=1))]
    words = [run.parent.name if run.name.startswith("seed") else run.name, config.perturb.operation]
    words += [f"{config.perturb.gain:g}", str(places.settled.shape[1])]
    return f"| {' | '.join([*words, *numbers])} |"


@torch.inference_mode()
def log_odds(run: Path, config: RunConfig, num_documents: int) -> Places:
    """Compute the log-odds in the first held-out documents. Raises ValueError if a pronoun is several tokens."""
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
    equivariant, temperature = PerturbConfig(operation="equivariant"), config.loss.temperature
    log_odds_of_documents: list[Tensor] = []
    for _, pair in swapped_pairs(documents, tokenizer, lexicon, prefix):
        *ids, align = map(torch.from_numpy, cut_pair(pair, config.data.seq_len)[:3])
        views = [view_ids[None] for view_ids in ids]
        where = (align >= 0).nonzero().flatten()
        own = teacher(views[0]).logits[0, where].float().log_softmax(-1)
        likely = own[:, he_she].exp().sum(-1) >= MIN_MASS
        where, own = where[likely], own[likely]
        other = teacher(views[1]).logits[0, align[where]].float().log_softmax(-1)
        students = student(views[0]).logits[0, where].float().log_softmax(-1)
        settling = make_target(own, other, equivariant, classes)
        softened, softened_other = ((p / temperature).log_softmax(-1) for p in (own, other))
        target = temperature * make_target(softened, softened_other, config.perturb, classes)
        distributions = (settling, target, own, students)
        log_odds_of_documents.append(torch.stack([p[:, he_she[0]] - p[:, he_she[1]] for p in distributions]))
    settling, target, own, students = torch.cat(log_odds_of_documents, dim=1).double()
    is_settled = settling.abs() >= MIN_LOG_ODDS
    settled = torch.stack([own, target, students]) * settling.sign()
    return Places(settled[:, is_settled], torch.stack([own, students])[:, ~is_settled])


if __name__ == "__main__":
    sys.exit(main())
