"""The sentences of HolisticBias (Smith et al. 2022): every descriptor before every noun, in some of the templates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, TypeAdapter
from pydantic.dataclasses import dataclass as pydantic_dataclass

from distill.evaluation.measures.prompts import Text
from distill.evaluation.measures.published.benchmark_files import checked, fault, read_json

SOURCE = "evenhand data get holistic_bias"
KEY = "benchmarks.holistic_bias"
MIN_DESCRIPTORS = 3  # in an axis
PLACES = ("{noun_phrase}", "{plural_noun_phrase}")  # in a template
TARGET = "gender_and_sex"
AXES = {
    TARGET: "gender and sex",
    "ability": "ability",
    "age": "age",
    "body_type": "body type",
    "characteristics": "characteristics",
    "cultural": "culture",
    "nationality": "nationality",
    "nonce": "made-up words",
    "political_ideologies": "political ideologies",
    "race_ethnicity": "race and ethnicity",
    "religion": "religion",
    "sexual_orientation": "sexual orientation",
    "socioeconomic_class": "socioeconomic class",
}


@pydantic_dataclass(frozen=True)
class Descriptor:
    """gender: of the nouns that it can stand before, None for all. article: None leaves it to the first letter."""

    descriptor: Text
    gender: str | None = None
    article: Text | None = None


def _named(value: Any) -> Any:
    """The file gives a descriptor that has nothing but its name as a text."""
    return {"descriptor": value} if isinstance(value, str) else value


NOT_EMPTY = Field(min_length=1)
Bucket = list[Annotated[Descriptor, BeforeValidator(_named)]]
DESCRIPTORS = TypeAdapter(Annotated[dict[str, dict[str, Bucket]], NOT_EMPTY])  # by axis and kind
NOUNS = TypeAdapter(Annotated[dict[str, Annotated[list[tuple[Text, Text]], NOT_EMPTY]], NOT_EMPTY])  # by gender
TEMPLATES = TypeAdapter(Annotated[dict[str, dict[str, Any]], NOT_EMPTY])
Nouns = dict[str, list[tuple[str, str]]]


@dataclass(frozen=True)
class Item:
    """A descriptor in a template, with one sentence for each noun."""

    id: str
    axis: str
    descriptor: str
    template: str
    sentences: tuple[str, ...]


def read(path: str, num_templates: int | None) -> list[Item]:
    """The items of a folder's three files, in evenly spaced templates (all if num_templates is None).

    Raises FileNotFoundError or ValueError with the remedy.
    """
    folder = Path(path).expanduser()
    descriptors = _read_descriptors(folder / "descriptors.json")
    nouns = _read_nouns(folder / "nouns.json")
    templates = _read_templates(folder / "sentence_templates.json")
    num_used = min(num_templates or len(templates), len(templates))
    chosen = {number: templates[number] for number in (index * len(templates) // num_used for index in range(num_used))}
    items = []
    for axis, members in descriptors.items():
        for descriptor in members:
            phrases = _noun_phrases(descriptor, nouns, folder / "descriptors.json")
            for number, template in chosen.items():
                sentences = tuple(
                    template.replace(PLACES[0], singular).replace(PLACES[1], plural) for singular, plural in phrases
                )
                name = descriptor.descriptor
                items.append(Item(f"{axis}/{name}/{number}", axis, name, template, sentences))
    return items


def _read_checked(file: Path, adapter: TypeAdapter[Any]) -> Any:
    return checked(adapter, read_json(file, KEY, SOURCE), str(file), KEY, SOURCE)


def _read_descriptors(file: Path) -> dict[str, list[Descriptor]]:
    """The descriptors of each axis."""
    axes: dict[str, dict[str, list[Descriptor]]] = _read_checked(file, DESCRIPTORS)
    members = {axis: [one for bucket in buckets.values() for one in bucket] for axis, buckets in axes.items()}
    for axis, descriptors in members.items():
        names = [one.descriptor for one in descriptors]
        if axis not in AXES:
            raise fault(file, f"the axis {axis!r} is not one of {', '.join(AXES)}", KEY, SOURCE)
        if len(names) < MIN_DESCRIPTORS:
            raise fault(
                file, f"the axis {axis} has {len(names)} descriptors, fewer than {MIN_DESCRIPTORS}", KEY, SOURCE
            )
        for name in names:
            if names.count(name) > 1:
                raise fault(file, f"the axis {axis} has the descriptor {name!r} twice", KEY, SOURCE)
    return members


def _read_nouns(file: Path) -> Nouns:
    nouns: Nouns = _read_checked(file, NOUNS)
    singular = [one for pairs in nouns.values() for one, _ in pairs]
    for noun in singular:
        if singular.count(noun) > 1:
            raise fault(file, f"the noun {noun!r} stands there twice", KEY, SOURCE)
    return nouns


def _read_templates(file: Path) -> list[str]:
    templates = list(_read_checked(file, TEMPLATES))
    for number, template in enumerate(templates, 1):
        rest = template.replace(PLACES[0], "").replace(PLACES[1], "")
        if rest == template:
            raise fault(file, f"template {number} ({template!r}) has neither {PLACES[0]} nor {PLACES[1]}", KEY, SOURCE)
        if "{" in rest or "}" in rest:
            what = f"template {number} ({template!r}) has another place than {PLACES[0]} and {PLACES[1]}"
            raise fault(file, what, KEY, SOURCE)
    return templates


def _noun_phrases(descriptor: Descriptor, nouns: Nouns, file: Path) -> list[tuple[str, str]]:
    """Singular, with an article, and plural of the descriptor before every noun that it can stand before."""
    name = descriptor.descriptor
    if descriptor.gender is not None and not nouns.get(descriptor.gender):
        raise fault(
            file, f"the descriptor {name!r} is for {descriptor.gender} nouns, and nouns.json has none", KEY, SOURCE
        )
    article = descriptor.article or ("an" if name[0].lower() in "aeiou" else "a")
    genders = nouns if descriptor.gender is None else [descriptor.gender]
    return [
        (f"{article} {name} {singular}", f"{name} {plural}") for gender in genders for singular, plural in nouns[gender]
    ]
