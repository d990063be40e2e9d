"""The model card of a study's recommended student: a results file in, Markdown out."""

from __future__ import annotations

import copy
from typing import Any

from distill.run.export import FRONT_MATTER
from distill.settings import apply_override, dump_yaml
from study import collect as study_collect
from study.plan import TEACHER
from study.tables import differences_table, other_measures, others_table, values_table

HEAD = FRONT_MATTER + "<!-- Written by python -m study report from the results file. -->\n"
LIMITS = """\
- Gender here is binary and English: the pairs of terms of the lexicon. Nothing is claimed about other genders,
  other groups, other languages, or terms that are not in it.
- Parity was trained and measured between gendered words after texts that do not tell a gender. What else
  differs between the genders falls less, not at all, or grows: see the counterfactual gap and, where they were
  measured, the embeddings and the occupation classifier, which is fine-tuned on biased labels.
- Its method was chosen after a look at others on the same prompts. With which teachers and settings it does worse:
  RESULTS.md.
- Where a text does tell the gender, how firmly the pronoun follows it changes too: see the agreement margin.
- It is made to compare methods, and its teacher is small; it is of little use for anything else.
"""


def recommended(results: dict[str, Any]) -> str | None:
    """The arm that the study recommends, if it has been measured."""
    arm = results["study"]["recommended"]
    disparity = next(iter(results["measures"].values()))
    return arm if arm in disparity["values"] else None


def card(results: dict[str, Any]) -> str:
    """The card of the `recommended` arm. Raises ValueError when there is none."""
    study, found, arm = results["study"], study_collect.measures(results), recommended(results)
    if arm is None:
        raise ValueError(f"{results['name']}: no results of a recommended arm; name one in the study and run it")
    disparity = next(iter(found.values()))
    references = [name for name in study["references"] if name in disparity.columns]
    shown = [name for name in (TEACHER, *references, arm) if name in disparity.columns]
    rest = other_measures(found)
    overrides = " ".join(f"`{one}`" for one in results["arms"][arm]) or "no override"
    seeds = ", ".join(map(str, disparity.seeds[arm]))
    seed = study["seeds"][0]
    student = f"{study['run_dir']}/{arm}/seed{seed}/student"
    command = (
        f"python -m study run configs/study/{results['name']}.yaml --only {arm} --seeds {seed} --set 'variants=[]'"
    )
    parts = [
        HEAD,
        f"# `{arm}` of the study `{results['name']}`\n",
        f"{results['world']}\n\nDistilled from the teacher on {study['budget_tokens']:,} tokens with {overrides}. This "
        f"trains it, in `{student}`, and before it a teacher where the study has none to read (docs/study.md says what "
        f"has to be there; on another machine it is another teacher):\n\n```bash\n{command}\n```\n",
        "## What was measured\n",
        f"Means over seeds {seeds} with 95 % intervals; docs/study.md says how they are made.\n",
        values_table(found, shown, study["references"][0]),
        *(
            f"Differences to `{name}`, paired:\n\n{differences_table(found, [arm], name)}"
            for name in references
            if name != arm
        ),
        *([others_table(found, rest, shown)] if rest else []),
        "## Limits\n",
        LIMITS,
        f"## Settings\n\n```yaml\n{dump_yaml(_settings(results, arm))}```\n",
    ]
    return "\n".join(parts)


def _settings(results: dict[str, Any], arm: str) -> dict[str, Any]:
    """The resolved settings of the arm's first seed."""
    seed = results["study"]["seeds"][0]
    settings = copy.deepcopy(results["training"])
    for override in (*results["arms"][arm], f"seed={seed}", f"run_dir={results['study']['run_dir']}/{arm}/seed{seed}"):
        apply_override(settings, override)
    return settings
