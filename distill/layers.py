"""Choose which layers of a teacher a student keeps: evenhand layers TEACHER --keep N --text FILE [--out FILE.yaml].

Layers are taken out one at a time, the one without which the teacher predicts one half of the documents best. The other
half says how good each student is before it is trained. The result is a file for `evenhand train --config`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import logging

from augment.command_line import exit_code
from distill.config import DataConfig
from distill.data.corpus import SettingNames, read_documents
from distill.data.sample import sample_blocks
from distill.data.split import draw
from distill.evaluation.report.plots import COLOURS, STYLE, to_svg
from distill.evaluation.scoring.model_specs import parse_models
from distill.files import write_text, writing
from distill.hardware import computes_on_cpu
from distill.models.choose_layers import choose_layers, guessing_loss, loss_of_layers, mean_loss
from distill.models.loading import check_vocabulary, id_limit, load_causal_lm, load_tokenizer
from distill.models.sizes import num_positions
from distill.run.auto_layers import BLOCK_LEN, NUM_TOKENS, blocks_shape
from distill.settings import dump_yaml, validate

NUM_SCORED_TOKENS = 1024
NAMES = SettingNames("--text", None, "--field")


class Size(NamedTuple):
    """A student of so many layers before training. removed: the layer that went, None for the teacher. Losses are in
    nats per token: chosen_by on the half of the text that the layers are chosen by, start on the other half.
    """

    layers: tuple[int, ...]
    removed: int | None
    chosen_by: float
    start: float


def main(arguments: Sequence[str] | None = None, prog: str = "python -m distill.layers") -> None:
    """Parse the command line, choose, print and write. Raises ValueError or OSError with one message for bad input."""
    options = parser(prog).parse_args(arguments)
    plot = options.out.with_suffix(".svg")
    if options.out.suffix not in (".yaml", ".yml"):
        raise ValueError(f"--out {options.out} is not the name of a YAML file; give {options.out}.yaml")
    if options.keep < 1:
        raise ValueError(f"--keep {options.keep} is not a number of layers; give 1 or more")
    teacher, selection, others = prepare(options)
    sizes = choose(teacher, options.keep, selection, others)
    layers = sizes[-1].layers
    print(table(sizes, guessing_loss(teacher)))
    with writing("the layers", options.out.parent, "--out"):
        options.out.parent.mkdir(parents=True, exist_ok=True)
        write_text(plot, draw_sizes(sizes, guessing_loss(teacher)))
        about = f"# {len(layers)} of the {len(sizes[0].layers)} layers of {options.teacher}, chosen by {options.text}\n"
        write_text(options.out, about + dump_yaml({"student": {"layers": list(layers)}}))
    print(f"student.layers=[{','.join(map(str, layers))}]\n{options.out} (for --config) and {plot}")


def prepare(options: argparse.Namespace) -> tuple[PreTrainedModel, Tensor, Tensor]:
    """The teacher on its device, and token ids [N, T] of both halves of the text: to choose by, and to measure on."""
    logging.disable_progress_bar()
    (spec,) = parse_models([options.teacher])
    teacher = load_causal_lm(spec.path, options.dtype, spec.gguf_file)
    tokenizer = load_tokenizer(spec.path, spec.gguf_file)
    check_vocabulary(teacher, tokenizer, "the teacher")
    seq_len = min(BLOCK_LEN, num_positions(teacher) or BLOCK_LEN)
    selection, others = (
        _blocks(options, teacher, tokenizer, half, blocks_shape(num_tokens, seq_len))
        for half, num_tokens in ((0, NUM_TOKENS), (1, NUM_SCORED_TOKENS))
    )
    teacher.to("cpu" if computes_on_cpu() else torch.accelerator.current_accelerator())
    return teacher, selection, others


def choose(teacher: PreTrainedModel, keep: int, selection: Tensor, others: Tensor) -> list[Size]:
    """The teacher, then every student on the way to `keep` layers. selection, others: token ids [N, T] to choose by,
    and to measure how the students start.
    """
    steps = choose_layers(teacher, selection, keep)
    everything = tuple(range(keep + len(steps)))
    sizes = [Size(everything, None, mean_loss(teacher, selection), mean_loss(teacher, others))]
    for step in tqdm(steps, "measuring the start", unit=" students", leave=False):
        sizes.append(Size(step.layers, step.removed, step.loss, loss_of_layers(teacher, step.layers, others)))
    return sizes


def table(sizes: Sequence[Size], guessing: float) -> str:
    """A line per size: how many layers, which one went, and both losses. guessing: the loss of a uniform guess."""
    lines = ["layers  without  chosen by  start (nats per token)"]
    for size in sizes:
        removed = "" if size.removed is None else size.removed
        note = "  worse than guessing" if size.start > guessing else ""
        lines.append(f"{len(size.layers):>6}  {removed:>7}  {size.chosen_by:>9.3f}  {size.start:>5.3f}{note}")
    return "\n".join([*lines, f"guessing: {guessing:.3f}"])


def draw_sizes(sizes: Sequence[Size], guessing: float) -> str:
    """The losses by the number of layers, as SVG."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.5, 3.4), layout="constrained")
        axes = figure.add_subplot()
        counts = [len(size.layers) for size in sizes]
        axes.plot(counts, [size.start for size in sizes], "o-", color=COLOURS[0], label="start, on other text")
        axes.plot(counts, [size.chosen_by for size in sizes], ":", color=COLOURS[1], label="on the text chosen by")
        axes.axhline(guessing, color="#555555", linestyle="--", linewidth=1, label="guessing")
        axes.set(xlabel="layers kept", ylabel="nats per token")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.invert_xaxis()
        axes.legend(frameon=False)
    return to_svg(figure, "Loss of the student before training, by the number of layers kept", transparent=False)


def _blocks(
    options: argparse.Namespace,
    teacher: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    half: int,
    shape: tuple[int, int],
) -> Tensor:
    """Blocks of one half of the documents: 0 or 1. A hash of the text decides, so duplicates are in the same half."""
    settings = {"path": options.text, "text_field": options.field}
    documents = read_documents(validate(DataConfig, settings), names=NAMES)
    documents = (text for text in documents if int(2 * draw(text)) == half)
    num_ids = id_limit(tokenizer, teacher)
    return sample_blocks(documents, tokenizer, shape, options.separator, num_ids, f"--text {options.text}")


def parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    words = argparse.ArgumentParser(prog=prog, description=(__doc__ or "").partition("\n\n")[2])
    words.add_argument("teacher", metavar="TEACHER", help="folder, hub name or .gguf file")
    words.add_argument("--keep", type=int, required=True, metavar="N", help="how many layers the student keeps")
    words.add_argument(
        "--text", required=True, metavar="FILE", help="text such as you will train on; data.path's forms"
    )
    words.add_argument("--field", default="text", help="the column that holds the text (data.text_field)")
    words.add_argument("--separator", help="the token before each document (data.separator)")
    words.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"), help="of the weights")
    words.add_argument("--out", type=Path, default=Path("layers.yaml"), metavar="FILE.yaml", help="%(default)s")
    return words


if __name__ == "__main__":
    sys.exit(exit_code(main))
