"""Which folders may not lie in each other: what a run writes must not be read as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from augment.files.texts import files_below


def check_apart(setting: str, folder: str | Path, corpora: Mapping[str, str | None]) -> None:
    """Raise ValueError if a folder that is written into is in one that is read as text.

    setting: what names the folder. corpora: the corpora, by the settings that name them.
    """
    written = Path(folder).expanduser().resolve()
    for name, corpus in _folders(corpora):
        if written.is_relative_to(corpus.resolve()):
            raise ValueError(
                f"{setting} {folder} is in {name} {corpora[name]}, so that what is written there would be read as "
                f"text; give {setting} a folder outside of it, or {name} a folder that holds nothing but text"
            )


def check_only_text(corpora: Mapping[str, str | None]) -> None:
    """Raise ValueError if a folder that is read as text holds the folder of a run or of an evaluation.

    corpora: the corpora, by the settings that name them.
    """
    for name, corpus in _folders(corpora):
        for file in files_below(corpus):
            is_run = file.name == "metrics.jsonl" and (file.parent / "config.yaml").exists()
            if is_run or (file.name == "results.json" and any(file.parent.glob("examples-*.jsonl"))):
                kind = "a run" if is_run else "an evaluation"
                raise ValueError(
                    f"{name} {corpora[name]} holds {file.parent}, the folder of {kind}, which would be read as text; "
                    f"move it, or give {name} a folder that holds nothing but text"
                )


def _folders(corpora: Mapping[str, str | None]) -> Iterator[tuple[str, Path]]:
    """The corpora that are local folders, by the settings that name them."""
    for name, corpus in corpora.items():
        if corpus is not None and Path(corpus).expanduser().is_dir():
            yield name, Path(corpus).expanduser()
