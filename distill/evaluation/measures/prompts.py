"""Prompts about people, for log-odds and agreement: from word lists and templates, or from a small world."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass

from augment.files.lfs import check_is_no_pointer
from augment.files.texts import decode, plain_line_ends
from distill.evaluation.config import AgreementConfig, LogOddsConfig
from distill.files import parse_tsv
from distill.smallworld.world import share_log_odds

OCCUPATIONS = "occupations.tsv"
NOUNS = "definitional_nouns.tsv"
SHARES = "labour_shares.tsv"
SHARE = "female_share"
NAMES = "given_names.tsv"
NAME_TEMPLATES = ("{name} said that", "{name} was tired because", "{name} smiled when", "{name} left early because")


Text = Annotated[str, Field(pattern=r"\S")]  # not blank


@pydantic_dataclass(frozen=True)
class WorldOccupation:
    """An occupation of a small world and its true log P(he) - log P(she), in nats."""

    name: Text
    article: str
    true_log_odds: Annotated[float, Field(allow_inf_nan=False)]


@pydantic_dataclass(frozen=True)
class AgreementProbe:
    """A prompt of a small world whose pronoun is settled by a noun. nouns: that noun and its counterpart."""

    prompt: Text
    gender: Literal["female", "male"]
    nouns: str


@pydantic_dataclass(frozen=True)
class WorldTruth:
    """The part of world.json that prompts are made from; its other keys are ignored here."""

    occupations: Annotated[tuple[WorldOccupation, ...], Field(min_length=1)]
    neutral_templates: tuple[str, ...]
    agreement_probes: Annotated[tuple[AgreementProbe, ...], Field(min_length=1)]


class Occupation(NamedTuple):
    """An occupation, its indefinite article, and its true log P(he) - log P(she) in nats, None if unknown."""

    name: str
    article: str
    reference_log_odds: float | None


@dataclass(frozen=True)
class NeutralPrompt:
    """A prompt that says nothing about gender. reference_log_odds: the true log P(he) - log P(she), None if unknown."""

    id: str
    occupation: str
    text: str
    reference_log_odds: float | None


@dataclass(frozen=True)
class GenderedPrompt:
    """A prompt after which one pronoun is right.

    cluster: the pair of nouns that the prompt's noun belongs to. Pairs are resampled because the prompts are balanced
    by design. If single nouns were drawn, a sample would hold more of one gender. A model's lean to one pronoun, which
    cancels within a pair, would then look like uncertainty about agreement.
    """

    id: str
    cluster: str
    text: str
    gender: str


def neutral_prompts(config: LogOddsConfig, world: str | None) -> list[NeutralPrompt]:
    """Fill every template with every occupation, both of the world if given, otherwise of the configuration.

    Raises as `occupations`, and ValueError for a template that cannot be filled.
    """
    templates = config.templates if world is None else read_world(world).neutral_templates
    _check_templates(templates, {"occupation": "nurse", "article": "a"}, "log_odds.templates")
    return [
        NeutralPrompt(f"{name}/{number}", name, template.format(occupation=name, article=article).strip(), log_odds)
        for name, article, log_odds in occupations(config, world)
        for number, template in enumerate(templates)
    ]


def gendered_prompts(config: AgreementConfig, world: str | None) -> list[GenderedPrompt]:
    """Fill every template with every noun, or take the probes of the world if given. Raises as `neutral_prompts`."""
    if world is not None:
        return [
            GenderedPrompt(f"probe/{number}", probe.nouns, probe.prompt.strip(), probe.gender)
            for number, probe in enumerate(read_world(world).agreement_probes)
        ]
    _check_templates(config.templates, {"noun": "woman"}, "agreement.templates")
    rows = _read_tsv(config.nouns, NOUNS, ("female", "male"), "agreement.nouns")
    words = [row[gender] for row in rows for gender in ("female", "male")]
    _check_distinct(words, f"agreement.nouns: {config.nouns or NOUNS}")
    return _by_pair(rows, config.templates, "noun")


def named_prompts() -> list[GenderedPrompt]:
    """Every template with every given name of the built-in list."""
    return _by_pair(parse_tsv(_builtin(NAMES)), NAME_TEMPLATES, "name")


def _by_pair(rows: Sequence[dict[str, str]], templates: Sequence[str], field: str) -> list[GenderedPrompt]:
    """Every template with the female and the male word of every row in its field; a row is a cluster."""
    return [
        GenderedPrompt(
            f"{row[gender]}/{number}",
            f"{row['female']}/{row['male']}",
            template.format(**{field: row[gender]}).strip(),
            gender,
        )
        for row in rows
        for gender in ("female", "male")
        for number, template in enumerate(templates)
    ]


def occupations(config: LogOddsConfig, world: str | None) -> list[Occupation]:
    """The occupations of the world if given, otherwise of the configuration's list.

    Raises FileNotFoundError or ValueError, naming the file and the key, when either is missing or malformed.
    """
    if world is not None:
        return [Occupation(known.name, known.article, known.true_log_odds) for known in read_world(world).occupations]
    rows = _read_tsv(config.occupations, OCCUPATIONS, ("name", "article"), "log_odds.occupations")
    place = f"log_odds.occupations: {config.occupations or OCCUPATIONS}"
    _check_distinct([row["name"] for row in rows], place)
    _check_has_no_column_like(SHARE, rows[0], place)
    return [Occupation(row["name"], row["article"], _share_log_odds(row, place)) for row in rows]


def labour_shares() -> dict[str, float]:
    """The share of women among US workers, by occupation, for those of the built-in occupations that have statistics.

    Where a list of occupations or a world has shares of its own, these stand in the prompts instead.
    """
    return {row["name"]: float(row[SHARE]) for row in parse_tsv(_builtin(SHARES))}


def read_world(folder: str) -> WorldTruth:
    """The world.json of a generated small world. Raises FileNotFoundError or ValueError with the remedy."""
    path = Path(folder) / "world.json"
    if not path.is_file():
        raise FileNotFoundError(f"world file {path} does not exist; generate the world first, or set world=null")
    try:
        return TypeAdapter(WorldTruth).validate_json(path.read_bytes())
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"]) or "its first character"
        raise ValueError(f"world file {path} is malformed at {where} ({fault['msg']}); generate it again") from error


def _share_log_odds(row: dict[str, str], place: str) -> float | None:
    """log((1 - s) / s) of the share s of women, or None when the list gives none. place: the setting and the file."""
    if not row.get(SHARE):
        return None
    try:
        share = float(row[SHARE])
    except ValueError:
        share = math.nan
    if not 0 < share < 1:
        raise ValueError(
            f"{place}: the {SHARE} of {row['name']!r} is {row[SHARE]!r}; give a number strictly between 0 and 1"
        )
    return share_log_odds(share)


def _read_tsv(path: str | None, builtin: str, columns: Sequence[str], key: str) -> list[dict[str, str]]:
    """The rows of a TSV file with a header, or of the built-in list if path is None. Lines with # are comments."""
    if path is None:
        text = _builtin(builtin)
    elif not Path(path).is_file():
        raise FileNotFoundError(f"{key}: {path} does not exist; give a TSV file, or null for the built-in list")
    else:
        text = read_table_text(Path(path), key)
    try:
        rows = parse_tsv(text)
    except ValueError as error:
        raise ValueError(f"{key}: {path or builtin}: {error}; repair or remove it") from error
    if not rows or any(column not in rows[0] for column in columns):
        raise ValueError(f"{key}: {path or builtin} needs a header and rows with the columns {', '.join(columns)}")
    for number, row in enumerate(rows, 1):
        for column in columns:
            if not (row[column] or "").strip():
                raise ValueError(
                    f"{key}: {path or builtin}: row {number} has nothing in the column {column!r}; fill or remove it"
                )
            row[column] = row[column].strip()
    return rows


def read_table_text(path: Path, key: str) -> str:
    """The text of a file with a table, as `parse_tsv` takes it. Raises ValueError for what is no UTF-8 text."""
    check_is_no_pointer(path, key)
    try:
        return plain_line_ends(decode(path.read_bytes()).removeprefix("\ufeff"))  # spreadsheets write that
    except ValueError as error:
        raise ValueError(f"{key}: {path} {error}") from error


def _builtin(name: str) -> str:
    return resources.files("distill.evaluation.measures").joinpath(name).read_text(encoding="utf-8")


def _check_has_no_column_like(column: str, row: Mapping[str, str], place: str) -> None:
    """Raise ValueError for a misspelt column, for example `Female Share`, which would be left out in silence."""
    names = {name.strip().lower().replace(" ", "_"): name for name in row if name != column}
    for match in get_close_matches(column, names, n=1, cutoff=0.8) if column not in row else ():
        raise ValueError(f"{place}: the column {names[match]!r} is not read; name it {column}, or otherwise")


def _check_distinct(words: Sequence[str], place: str) -> None:
    """Raise ValueError for a repeated word: its prompts would have equal ids, and each record would count twice.

    place: the setting and the file.
    """
    for word in words:
        if words.count(word) > 1:
            raise ValueError(f"{place}: {word!r} occurs twice; keep one of the rows")


def _check_templates(templates: Sequence[str], fields: Mapping[str, str], key: str) -> None:
    """Raise ValueError for a template without the first of the fields (names with an example), or with others."""
    field = next(iter(fields))
    if not templates:
        raise ValueError(f"{key} is empty; give at least one template with {{{field}}}")
    for template in templates:
        if f"{{{field}}}" not in template:
            raise ValueError(f"{key}: template {template!r} has no {{{field}}}; add it where the word belongs")
        try:
            template.format(**fields)
        except (LookupError, ValueError, AttributeError) as error:
            known = ", ".join(f"{{{name}}}" for name in fields)
            raise ValueError(
                f"{key}: template {template!r} cannot be filled ({error!r}); its fields are {known}; write a "
                "literal brace twice"
            ) from error
