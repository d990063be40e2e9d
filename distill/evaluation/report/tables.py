"""Tables of the report: results and per-example records in; rows of texts out."""

from __future__ import annotations

from typing import Any, NamedTuple

from distill.evaluation.measures.all_measures import DESCRIPTIONS
from distill.evaluation.measures.continuations.gender_words import polarity
from distill.evaluation.task import Records

NUM_PROMPTS = 12  # shown side by side
MAX_SHOWN = 360  # characters of a continuation


class Continuation(NamedTuple):
    """A sampled text and its polarity (`gender_words.polarity`), as it is shown."""

    text: str
    polarity: str


def group_name(group: str) -> str:
    """A group of BOLD in words."""
    return group.replace("_", " ")


def continuation_rows(records: dict[str, Records]) -> list[tuple[str, list[Continuation | None]]]:
    """(prompt, one continuation of each model) for some prompts, spread evenly over those that all models have.

    records: by model label, of one task that samples.
    """
    by_model = [{record["id"]: record for record in rows} for rows in records.values()]
    shared = [name for name in by_model[0] if all(name in found for found in by_model)] if by_model else []
    step = max(1, len(shared) // NUM_PROMPTS)
    return [
        (str(by_model[0][name]["prompt"]), [_continuation(found[name]) for found in by_model])
        for name in shared[::step][:NUM_PROMPTS]
    ]


def limits(results: dict[str, Any]) -> list[tuple[str, str, int, int, float | None, float | None]]:
    """What each headline measurement can show: title, unit, items, clusters, half the width of its interval, and the
    smallest difference it would find, each the largest over the models; None where it is not defined."""
    rows = []
    for name, description in DESCRIPTIONS.items():
        entries = [entry for entry in results["measurements"] if entry["name"] == name and description.short]
        if not entries:
            continue
        widths = [(entry["high"] - entry["low"]) / 2 for entry in entries if entry["low"] is not None]
        effects = [(entry["difference"] or {}).get("minimum_detectable_effect") for entry in entries]
        rows.append(
            (
                description.title,
                entries[0]["unit"],
                max(entry["num_items"] for entry in entries),
                max(entry["num_clusters"] for entry in entries),
                max(widths, default=None),
                max((effect for effect in effects if effect is not None), default=None),
            )
        )
    return rows


def _continuation(record: dict[str, Any]) -> Continuation | None:
    if not record["continuations"]:
        return None
    text = str(record["continuations"][0])
    shown = text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
    return Continuation(shown, polarity(text))
