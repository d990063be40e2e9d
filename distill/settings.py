"""Read settings from a YAML file and `key.sub=value` overrides into a frozen, validated object.

This is the only place where YAML is read. A schema is a class marked as `section`; its fields are of the types below.
"""

from __future__ import annotations

import dataclasses
import os.path
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, dataclass_transform, get_args, get_type_hints

import yaml
from pydantic import AfterValidator, ConfigDict, Field, StrictStr, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from augment.files.texts import decode

Proportion = Annotated[float, Field(ge=0, le=1)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**31, strict=True)]  # NumPy takes 32 bits, and ranks are added
PositiveCount = Annotated[int, Field(ge=1, strict=True)]
LocalPath = Annotated[StrictStr, AfterValidator(os.path.expanduser)]  # ~ is the home directory
T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Field,))
def section(schema: type[T]) -> type[T]:
    """Make a class a section of a configuration: a frozen dataclass that takes keywords only and is validated."""
    make = dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", validate_default=True))
    return make(schema)  # type: ignore[return-value]  # the same class, to which pydantic adds a protocol


def load_config(schema: type[T], path: str | Path | Sequence[str | Path] | None, overrides: Sequence[str] = ()) -> T:
    """Read a YAML file (None: all defaults), apply `key.sub=value` overrides (YAML values) and validate them.

    path: of several files, a later one wins, key by key.

    Raises FileNotFoundError for a missing file and ValueError for any other fault. The message has one line per fault,
    with the dotted path, the value and the remedy.
    """
    settings: dict[str, Any] = {}
    for file in [path] if isinstance(path, str | Path) else path or ():
        settings = merged(settings, read_settings(file))
    for override in overrides:
        apply_override(settings, override)
    return validate(schema, settings)


def read_settings(path: str | Path) -> dict[str, Any]:
    """The nested plain settings in one YAML file. Raises FileNotFoundError, or ValueError if it holds no settings."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"config file {path} does not exist; pass an existing YAML file with --config")
    try:
        settings = load_yaml(path)
    except ValueError as error:
        raise ValueError(f"config file {path} is not valid YAML: {error}") from error
    settings = {} if settings is None else settings
    if not isinstance(settings, dict):
        raise ValueError(f"config file {path} holds a {type(settings).__name__}, not `key: value` lines")
    return settings


def merged(settings: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """Both, where the later ones win, also within parts."""
    parts = [name for name, part in later.items() if isinstance(part, dict) and isinstance(settings.get(name), dict)]
    return settings | later | {name: merged(settings[name], later[name]) for name in parts}


def apply_override(settings: dict[str, Any], override: str) -> None:
    """Set one `key.sub=value` in nested settings, in place. Raises ValueError for an override of another form."""
    key, equals, value = override.partition("=")
    if not equals or not all(key.split(".")):
        raise ValueError(f"override {override!r} is not of the form key.sub=value, e.g. optim.lr=1e-4")
    *parents, last = key.split(".")
    node = settings
    for depth, parent in enumerate(parents):
        if node.get(parent) is None:
            node[parent] = {}
        node = node[parent]
        if not isinstance(node, dict):
            where = ".".join(parents[: depth + 1])
            raise ValueError(f"override {override!r}: {where} is a single value, it has no keys below it")
    if re.match(r"[^\"'\[{]*(?<!\S)#", value):  # in a file this begins a comment; here it is a part of a name
        node[last] = value
        return
    try:
        node[last] = parse_yaml(value)
    except ValueError as error:
        raise ValueError(
            f"override {override!r}: the value is not valid YAML ({error}); write text in quotes: {key}='\"...\"'"
        ) from error


def validate(schema: type[T], settings: dict[str, Any]) -> T:
    """Build `schema` from nested plain settings. Raises ValueError with one line per fault."""
    try:
        return TypeAdapter(schema).validate_python(settings)
    except ValidationError as error:
        raise ValueError("\n".join(_explain(schema, fault) for fault in error.errors())) from None


def check_none_set(beside: str, forbidden: Mapping[str, tuple[bool, str]]) -> None:
    """Raise ValueError for the first setting that is set and cannot be combined with `beside`.

    forbidden: whether each setting is set, and the reason with its remedy.
    """
    for key, (is_set, why) in forbidden.items():
        if is_set:
            raise ValueError(f"{key} cannot be combined with {beside}: {why}")


def replace(config: T, **changes: Any) -> T:
    """A config with some settings changed and validated again."""
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]  # `section` makes it a dataclass


def to_dict(config: Any) -> dict[str, Any]:
    """A config as nested plain values, ready for YAML or JSON."""
    return TypeAdapter(type(config)).dump_python(config, mode="json")


def dump_yaml(settings: dict[str, Any]) -> str:
    """Nested plain values as YAML. Keys keep the order of their definition."""
    return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=120)


def load_yaml(path: str | Path) -> Any:
    """The content of a YAML file. Raises ValueError, with the reason, for a file that is not YAML in UTF-8."""
    return parse_yaml(decode(Path(path).read_bytes()))


class _Loader(yaml.SafeLoader):
    """PyYAML's loader takes the last value of a key that stands twice, and drops the others without a word."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # keys of `<<` are not merged yet
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: dict[tuple[str, str], yaml.Node] = {}
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            first = seen.setdefault((key.tag, key.value), key)
            if first is not key:
                lines = f"lines {first.start_mark.line + 1} and {key.start_mark.line + 1}"
                raise ValueError(f"the key {key.value} stands twice, in {lines}; keep one of them")
        return node


def parse_yaml(text: str) -> Any:
    """The value of a YAML document. Raises ValueError for anything else, and for a key that stands twice."""
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _explain(schema: type, fault: Any) -> str:
    """One line for one pydantic fault: dotted path, value, what is wrong, what would be right."""
    # pydantic also names the member of a union that it tried, such as `tuple[int, ...]`
    where = ".".join(str(part) for part in fault["loc"] if isinstance(part, int) or part.isidentifier())
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "unexpected_keyword_argument":
        known = _known_keys(schema, fault["loc"][:-1])
        return f"unknown config key {where} (value {fault['input']!r}); known keys here: {', '.join(known)}"
    if fault["type"] in ("missing", "missing_argument"):
        return f"config key {where} is missing; set it in the YAML file or pass {where}=VALUE"
    if fault["type"] == "tuple_type" and isinstance(fault["input"], str | int | float):
        return f"config key {where} = {fault['input']!r} is not a list; write {where}=[{fault['input']}]"
    if fault["type"] == "string_type" and fault["input"] is not None:  # a name that YAML reads as a number: 2024
        return f"config key {where} = {fault['input']!r} is not text; write it in quotes: {where}='\"...\"'"
    if fault["type"] == "value_error":
        return f"config{' ' * bool(where)}{where}: {message}"
    return f"config key {where} = {fault['input']!r}: {message}"


def _known_keys(schema: Any, path: Sequence[Any]) -> list[str]:
    """The keys of the section that a fault's path leads to."""
    for part in path:
        hint = get_type_hints(schema)[part]
        schema = next((option for option in (hint, *get_args(hint)) if dataclasses.is_dataclass(option)), schema)
    return [field.name for field in dataclasses.fields(schema)]
