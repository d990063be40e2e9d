"""The configuration files that come with the package, so that a user can give a name in place of a path.

In an installed package they lie in distill/configs, in a clone in configs beside the packages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from distill.settings import to_dict

NEED = re.compile(r"^# needs (\S+): (.+)$", re.MULTILINE)  # a comment of a configuration file: path, how to make it


def config_path(kind: str, name: str) -> Path:
    """Find the file that `--config NAME` means: a path if that file exists, otherwise the shipped file of that name.

    kind: the folder of the shipped files: `train`, `eval` or `accelerate`. Raises FileNotFoundError, with the shipped
    names, if neither exists.
    """
    if Path(name).is_file():
        return Path(name)
    shipped = shipped_configs(kind)
    if name not in shipped:
        raise FileNotFoundError(
            f"config file {name} does not exist; give an existing YAML file or a shipped name: {', '.join(shipped)}"
        )
    return shipped[name]


def shipped_configs(kind: str) -> dict[str, Path]:
    """The shipped files of a kind by name, sorted."""
    package = Path(str(resources.files("distill")))
    folders = (package / "configs" / kind, package.parent / "configs" / kind)
    folder = next((folder for folder in folders if folder.is_dir()), folders[0])
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def check_needs(path: Path, config: Any) -> None:
    """Check the inputs for which a configuration file names the command that makes them (`# needs PATH: COMMAND`).

    config: the configuration after all overrides; an input is checked only if a setting still names it. Raises
    FileNotFoundError with the setting, the path and the command if an input does not exist.
    """
    needs = NEED.findall(path.read_text(encoding="utf-8"))
    for key, value in texts(to_dict(config)):
        for needed, command in needs:
            if Path(value).is_relative_to(needed) and not Path(value).exists():
                raise FileNotFoundError(f"{key} {value} does not exist; make it first: {command}")


def texts(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted key and the value of every setting whose value is a string."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from texts(value, f"{prefix}{key}.")
        elif isinstance(value, str):
            yield f"{prefix}{key}", value
