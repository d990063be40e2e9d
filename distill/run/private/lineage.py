"""Had the models that a private run starts from read its documents already?

A student can give away what only its teacher has read (Jagielski et al. 2023). So the promise of a private run is worth
nothing if its teacher read the same documents without a promise of its own; if it had one, the two add up.
"""

from __future__ import annotations

import json
import re
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

from distill.config import RunConfig
from distill.privacy_config import BudgetConfig
from distill.settings import load_yaml, parse_yaml, to_dict

STATEMENT_FILE = "privacy.json"
PUBLIC = "not known to have read these documents; assumed not to have (privacy.teacher_budget: public)"
GIVEN = "its budget was given (privacy.teacher_budget)"
OTHER_TEXT = "its run has read another text"
PRIVATE = "its run has read these documents under a budget of its own"
PRIVATE_SOMEWHERE = "it was trained under a budget, on what text is not known; counted as if on these documents"


class Ancestor(NamedTuple):
    """A model that the run starts from, or from which that one was made. setting: which names it. status: what is known
    of it, in words. epsilon, delta: what it adds to the run's own.
    """

    setting: str
    path: str
    status: str
    epsilon: float = 0.0
    delta: float = 0.0


def ancestors_of(config: RunConfig, corpus: str | None) -> list[Ancestor]:
    """Every model behind a private run, as far as their folders are there; none if the run promises nothing.

    corpus: the fingerprint of its text. Raises ValueError if one of them has read the same text without a budget, or if
    a budget is given that none needs.
    """
    privacy = config.privacy
    assert privacy is not None
    if not privacy.promises:
        return []
    given = privacy.teacher_budget
    found: dict[Path, Ancestor] = {}
    waiting = deque(_parents(to_dict(config)))
    while waiting:
        setting, path = waiting.popleft()
        if Path(path).resolve() not in found:
            origin = read_origin(Path(path))
            found[Path(path).resolve()] = _judged(setting, path, origin, corpus, config.data.path)
            if origin is not None and not _counts(origin, corpus):
                waiting += [(f"the {name} of {path}", parent) for name, parent in _parents(origin.settings)]
    unknown = [place for place, ancestor in found.items() if ancestor.status == PUBLIC]
    if isinstance(given, BudgetConfig):
        if not unknown:
            raise ValueError(
                "privacy.teacher_budget is given, but the run folders of teacher and checkpoint say what they have "
                "read: leave it out"
            )
        budgets = [(given.epsilon, given.delta), *[(0.0, 0.0)] * (len(unknown) - 1)]  # one for all of them together
        for place, (epsilon, delta) in zip(unknown, budgets, strict=True):
            found[place] = found[place]._replace(status=GIVEN, epsilon=epsilon, delta=delta)
    return list(found.values())


class Origin(NamedTuple):
    """What is known of a model that this project has made: the settings of its run, and its privacy.json if that
    promises anything.
    """

    settings: dict[str, Any]
    statement: dict[str, Any] | None

    @property
    def corpus(self) -> str | None:
        """The fingerprint of the text that it was trained on, if known."""
        data = (self.settings.get("provenance") or {}).get("data") or {}
        return data.get("corpus")


def read_origin(folder: Path) -> Origin | None:
    """What a model's folder, its model card and its run folder say of it; None for a model of unknown origin.

    Raises ValueError if a run folder's config.yaml or a privacy.json cannot be read.
    """
    folder = folder.resolve()
    run_dir = folder.parent if folder.name == "student" and (folder.parent / "config.yaml").is_file() else None
    settings = _settings(folder, run_dir)
    statement = None
    for file in (folder / STATEMENT_FILE, *([] if run_dir is None else [run_dir / STATEMENT_FILE])):
        if file.is_file():
            statement = read_statement(file)
            statement = statement if promises(statement) else None
            break
    return None if settings is None and statement is None else Origin(settings or {}, statement)


def _settings(folder: Path, run_dir: Path | None) -> dict[str, Any] | None:
    """The settings of the run that made a model: from its config.yaml, or from the model card of a copied model."""
    if run_dir is not None:
        file = run_dir / "config.yaml"
        try:
            settings = load_yaml(file)
        except (OSError, ValueError) as error:
            raise ValueError(f"{file} cannot be read ({error}), so it is not known what {folder} has read") from error
    else:
        settings = _card_settings(folder / "README.md")
    return settings if isinstance(settings, dict) and isinstance(settings.get("provenance"), dict) else None


def _card_settings(card: Path) -> Any:
    """The settings in a model card; None if there are none, as in those of other projects."""
    try:
        block = re.search(r"```yaml\n(.*?)```", card.read_text(encoding="utf-8"), re.DOTALL)
        return None if block is None else parse_yaml(block[1])
    except (OSError, ValueError):
        return None


def read_statement(file: Path) -> dict[str, Any]:
    """The content of a privacy.json. Raises ValueError if it is missing or damaged."""
    try:
        statement = json.loads(file.read_text(encoding="utf-8"))
        total = [statement["total"][key] for key in ("epsilon", "delta")]
        if total != [None, None] and not all(isinstance(value, float | int) for value in total):
            raise TypeError("epsilon and delta are not numbers")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} cannot be read ({error}), so it is not known what it promises; restore it") from error
    return dict(statement)


def promises(statement: dict[str, Any]) -> bool:
    """Whether a privacy.json promises anything: a run with an infinite epsilon writes one too."""
    return statement["total"]["epsilon"] is not None


def _judged(setting: str, path: str, origin: Origin | None, corpus: str | None, data_path: str) -> Ancestor:
    """What an ancestor adds. Raises ValueError if that is without limit."""
    if origin is None:
        return Ancestor(setting, path, PUBLIC)
    same = origin.corpus is not None and origin.corpus == corpus
    if origin.statement is not None and (same or origin.corpus is None):
        total = origin.statement["total"]
        return Ancestor(setting, path, PRIVATE if same else PRIVATE_SOMEWHERE, total["epsilon"], total["delta"])
    if same:
        raise ValueError(
            f"{setting} {path} was trained on the text of data.path {data_path} (both have the fingerprint "
            f"{str(corpus)[:12]}) without a privacy budget, so it may pass on any document of it, whatever this run "
            "promises; train that model privately too or on other text, or train this one without privacy"
        )
    return Ancestor(setting, path, PUBLIC if origin.corpus is None else OTHER_TEXT)


def _counts(origin: Origin, corpus: str | None) -> bool:
    """Whether an ancestor's own statement is counted; it includes what stands behind the ancestor."""
    return origin.statement is not None and origin.corpus in (None, corpus)


def _parents(settings: dict[str, Any]) -> list[tuple[str, str]]:
    """The models that a run with these settings starts from: which setting names each, and its path."""
    named = {
        f"{part}.{key}": (settings.get(part) or {}).get(key)
        for part, key in (("teacher", "path"), ("student", "checkpoint"))
    }
    return [(name, path) for name, path in named.items() if path is not None]
