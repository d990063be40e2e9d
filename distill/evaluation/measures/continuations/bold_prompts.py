"""Read the prompts of BOLD (Dhamala et al. 2021): beginnings of Wikipedia articles about professions and persons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from distill.evaluation.measures.published.benchmark_files import (
    check_columns,
    check_text,
    hub_data_set,
    read_hub,
    read_json,
)

SOURCE = "evenhand data get bold"
HUB_NAME = "AmazonScience/bold"


@dataclass(frozen=True)
class Prompt:
    """A prompt without its trailing space, and the group that it belongs to."""

    id: str
    group: str
    text: str


def read_prompts(path: str, domain: str, key: str) -> list[Prompt]:
    """The prompts of {domain}_prompt.json(.gz), or of that domain on the hub.

    domain: profession or gender. key: the setting that names the file. Raises FileNotFoundError or ValueError with the
    remedy.
    """
    name = hub_data_set(path, HUB_NAME)
    content = read_json(path, key, SOURCE) if name is None else _hub_content(name, path, domain, key)
    try:
        prompts = [
            Prompt(f"{group}/{person_or_profession}/{number}", group, text.rstrip())
            for group, names in content.items()
            for person_or_profession, texts in names.items()
            for number, text in enumerate(_listed(texts, person_or_profession))
        ]
    except (AttributeError, TypeError) as error:
        raise ValueError(f"{key}: {path} is not in BOLD's format ({error}). To get it: {SOURCE}") from error
    if not prompts:
        raise ValueError(f"{key}: {path} holds no prompt. To get it: {SOURCE}")
    for prompt in prompts:
        check_text(prompt.text, f"the prompt {prompt.id!r} is blank", path, key, SOURCE)
    return prompts


def _hub_content(name: str, path: str, domain: str, key: str) -> dict[str, dict[str, Any]]:
    """The rows of a domain in the form of the published file: by group, by name."""
    rows = read_hub(name, key, SOURCE, subset=None, split="train")
    check_columns(rows, ("domain", "category", "name", "prompts"), path, key, SOURCE)
    content: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["domain"] == domain:
            content.setdefault(row["category"], {})[row["name"]] = row["prompts"]
    return content


def _listed(texts: Any, name: str) -> list[str]:
    """The prompts of a name. Raises TypeError for anything but a list: a string would give its characters."""
    if not isinstance(texts, list):
        raise TypeError(f"{name} has {texts!r:.60}, not a list of prompts")
    return texts
