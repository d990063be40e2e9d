"""Which model types can be distilled: every type of causal language model of the installed transformers, tried.

    python -m benchmarks.model_types --out docs/models.md     # minutes

Of each type a tiny model with random weights is built, saved and loaded as a teacher. The page says whether it is
accepted, whether its documents can be kept apart, which of its layers make a student, and otherwise why not.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
import yaml
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from augment.command_line import exit_code
from distill.files import write_text
from distill.models.document_mask import mask_documents
from distill.models.loading import load_causal_lm
from distill.models.sizes import num_positions
from distill.models.student import student_from_layers
from distill.settings import merged

SETTINGS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
NUM_LAYERS, NUM_POSITIONS, START_ID = 4, 64, 1
SUBSETS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
PAGE = """# Model types

Written by `python -m benchmarks.model_types --out docs/models.md` with transformers {version}. Do not edit this page:
run that command again.

The project goes by no list of model types. It looks at a loaded model and refuses in one line what it cannot read. This
page is what it says to every type of causal language model of that version, each as a tiny model with random weights on
a CPU, with every kind of layer that the type has by default. A type that may be an encoder is built as a decoder
(`is_decoder: true`). `pytest -m slow tests/distill/models/test_model_types.py` compares the accepted ones with a plain
reference.

- **documents**: whether `data.mask_documents` can keep the documents of a row apart.
- **layers**: how many of the six pairs of its four layers make a student with `student.layers`, and why the first other
  one does not.

## Accepted: {num_accepted}

| type | documents | layers | why not all |
|---|---|---|---|
{accepted}

## Refused: {num_refused}

| type | why |
|---|---|
{refused}

## Not tried: {num_untried}

transformers itself makes no tiny model of these, or cannot save or call it.

| type | why |
|---|---|
{untried}
"""


class Outcome(NamedTuple):
    """What the project says to a model type.

    untried, refused: why it could not be built, or is not accepted; empty otherwise. masks: whether documents can be
    kept apart. num_layers: how many of SUBSETS make a student. layers_refused: why the first other one does not.
    """

    model_type: str
    untried: str = ""
    refused: str = ""
    masks: bool = False
    num_layers: int = 0
    layers_refused: str = ""


def model_types() -> list[str]:
    """All types of causal language models of the installed transformers."""
    return sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


# -- tiny models -----------------------------------------------------------------------------------------------------


def tiny_config(model_type: str) -> PretrainedConfig:
    """The default configuration of a type, with small numbers. Whatever transformers raises is raised."""
    own = SETTINGS["types"].get(model_type, {})
    try:
        default = AutoConfig.for_model(model_type)
    except Exception:  # the default configuration of a type may be one that transformers itself refuses
        default = AutoConfig.for_model(model_type, **own)
    settings = _small(default)
    given = {**TOKENS, "is_decoder": True, "initializer_range": 0.2, "init_std": 0.2}
    settings |= {name: value for name, value in given.items() if hasattr(default, name)}
    return AutoConfig.for_model(model_type, **merged(settings, own))


def tiny_model(model_type: str, seed: int = 0) -> PreTrainedModel:
    """A tiny model of a type with random weights, large enough that predictions differ, in evaluation mode."""
    config = tiny_config(model_type)
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(config).eval()


def _small(config: PretrainedConfig) -> dict[str, Any]:
    """The settings that make a configuration small."""
    small: dict[str, Any] = {}
    num_heads = getattr(config, "num_attention_heads", None)
    for name, value in vars(config).items():
        if isinstance(value, PretrainedConfig):
            small[name] = _small(value)
        elif name in ("layer_types", "layers_block_type") and value:  # every kind of layer
            kinds = list(dict.fromkeys(value))
            small[name] = (kinds * NUM_LAYERS)[:NUM_LAYERS]
        elif isinstance(value, int) and not isinstance(value, bool) and not name.startswith("_"):
            number = NUM_LAYERS if name == "num_key_value_heads" and value == num_heads else _size(name)
            if number is not None and number < value:
                small[name] = number
    return small


def _size(name: str) -> int | None:
    """The largest number for a setting; None if any number will do, or if it follows from others."""
    if re.fullmatch(r".*token_(id|index)", name):
        return max(TOKENS.values()) + 1
    return next((number for pattern, number in SETTINGS["sizes"] if re.fullmatch(pattern, name)), None)


# -- trying them -----------------------------------------------------------------------------------------------------


def outcome(model_type: str, folder: Path) -> Outcome:
    """What the project says to a type, tried in an empty folder.

    Raises what the project raises, unless it is a ValueError or OSError of one line: that is a refusal.
    """
    try:
        model = tiny_model(model_type)
        model.save_pretrained(folder)
        with torch.no_grad():
            model(torch.arange(3, 15)[None])
    except Exception as error:  # transformers refuses in many ways
        return Outcome(model_type, untried=f"{type(error).__name__}: {' '.join(str(error).split())}")
    try:
        teacher = load_causal_lm(str(folder))
    except (ValueError, OSError) as error:
        return Outcome(model_type, refused=one_line(error).replace(str(folder), "MODEL").removeprefix("MODEL: "))
    subsets = layer_outcomes(teacher)
    reasons = [str(error) for error in subsets.values() if isinstance(error, ValueError)]
    num_layers = len(subsets) - len(reasons)
    return Outcome(model_type, "", "", can_mask(teacher), num_layers, reasons[0] if reasons else "")


def can_mask(model: PreTrainedModel) -> bool:
    """Whether the model's documents can be kept apart; from then on they are."""
    try:
        mask_documents(model, START_ID, num_positions(model) or NUM_POSITIONS)
    except ValueError as error:
        one_line(error)
        return False
    return True


def layer_outcomes(teacher: PreTrainedModel) -> dict[tuple[int, int], PreTrainedModel | ValueError]:
    """The student of every pair of layers, or why there is none."""
    students: dict[tuple[int, int], PreTrainedModel | ValueError] = {}
    for layers in SUBSETS:
        try:
            students[layers] = student_from_layers(teacher, layers)
        except ValueError as error:
            one_line(error)
            students[layers] = error
    return students


def one_line(error: Exception) -> str:
    """The message of an error. Raises the error again if it has more than one line, or none."""
    if not str(error) or "\n" in str(error):
        raise RuntimeError("this refusal is not one line") from error
    return str(error)


# -- the page --------------------------------------------------------------------------------------------------------


def page(outcomes: Sequence[Outcome], version: str) -> str:
    """docs/models.md."""
    accepted = [o for o in outcomes if not o.refused and not o.untried]
    refused, untried = [o for o in outcomes if o.refused], [o for o in outcomes if o.untried]
    return PAGE.format(
        version=version,
        num_accepted=len(accepted),
        num_refused=len(refused),
        num_untried=len(untried),
        accepted="\n".join(
            _row(o.model_type, "yes" if o.masks else "no", f"{o.num_layers} of {len(SUBSETS)}", o.layers_refused)
            for o in accepted
        ),
        refused="\n".join(_row(o.model_type, o.refused) for o in refused),
        untried="\n".join(_row(o.model_type, o.untried) for o in untried),
    )


def read_page(text: str) -> tuple[list[Outcome], str]:
    """The outcomes of a page, and the version of transformers: the inverse of `page`."""
    (version,) = re.findall(r"with transformers (\S+?)\. ", text)
    outcomes = []
    for line in re.findall(r"^\| `.*\|$", text, re.MULTILINE):
        name, *cells = (cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
        cells = [cell.replace("\\|", "|") for cell in cells]
        model_type = name.strip("`")
        if len(cells) == 3:
            masks, layers, why = cells
            outcomes.append(Outcome(model_type, "", "", masks == "yes", int(layers.split()[0]), why))
        elif text.index(line) < text.index("## Not tried"):
            outcomes.append(Outcome(model_type, refused=cells[0]))
        else:
            outcomes.append(Outcome(model_type, untried=cells[0]))
    return sorted(outcomes), version


def _row(model_type: str, *cells: str) -> str:
    return " | ".join([f"| `{model_type}`", *(cell.replace("|", "\\|") for cell in cells)]) + " |"


def try_all(types: Sequence[str]) -> Iterator[Outcome]:
    """The outcome of every type, each in a folder of its own."""
    for model_type in types:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield outcome(model_type, Path(folder))


def main(arguments: Sequence[str] | None = None) -> None:
    """Try every type and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the Markdown file to write")
    options = parser.parse_args(arguments)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    outcomes = []
    for done in try_all(model_types()):
        print(done.model_type, "not tried" if done.untried else "refused" if done.refused else "accepted", flush=True)
        outcomes.append(done)
    write_text(options.out, page(outcomes, transformers.__version__))


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
