"""Look into the run folders of a study: which models are complete, and what were they made with?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from augment.lexicon import load_lexicon
from distill.config import RunConfig
from distill.data.blocks import sources
from distill.data.corpus import corpus_version
from distill.evaluation.results import read_results
from distill.models.identity import folder_fingerprint
from distill.run.folder import is_complete
from distill.settings import load_yaml, to_dict
from study.config import HEALED, TEACHER, UNTRAINED, StudyConfig
from study.plan import Plan, Run, evaluation_config, evaluation_folder, is_variant, label_of, models_of


def complete(plan: Plan) -> set[str]:
    """The labels of the models that are trained and measured with the study's settings and distilled from its teacher.

    If a run was removed and trained again, its old evaluation does not count, because it is of other weights.
    """
    study, teacher, seed = plan.study, plan.teacher, plan.study.seeds[0]
    arms = {False: TEACHER} | {is_variant(run.arm): run.arm for run in plan.runs}
    settings = {is_of_variant: to_dict(evaluation_config(study, arm)) for is_of_variant, arm in arms.items()}
    done = set()
    if (teacher.training is None or teacher.folder.is_dir()) and _is_measured(
        study, (TEACHER, seed), settings[False], teacher.fingerprint()
    ):
        done.add(label_of(TEACHER, seed))
    stale = {run.label for run in runs_of_another_teacher(plan)}
    for run in plan.runs:
        if run.label in stale or not is_complete(run.config):
            continue
        weights = folder_fingerprint(run.student)
        if _is_measured(study, (run.arm, run.seed), settings[is_variant(run.arm)], weights):
            done.add(run.label)
    return done


def _is_measured(study: StudyConfig, model: tuple[str, int], settings: dict[str, Any], weights: str | None) -> bool:
    """Whether a model has an evaluation without failures, with these settings and of these weights (None: any)."""
    file = evaluation_folder(study, *model) / "results.json"
    if not file.is_file():
        return False
    results = read_results(file)
    return (
        results["config"] == settings
        and not results["failures"]
        and weights in (None, results["models"][0]["fingerprint"])
    )


def runs_of_another_teacher(plan: Plan) -> list[Run]:
    """The runs that were distilled from other weights than the teacher has now; none if these are unknown."""
    now = plan.teacher.fingerprint()
    if now is None:
        return []
    files = ((run, Path(run.config.run_dir) / "config.yaml") for run in plan.every_run)
    return [run for run, file in files if file.is_file() and load_yaml(file)["provenance"]["teacher"] != now]


def origin_of(study: StudyConfig, runs: Sequence[Run], now: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What all finished runs were made with: precision, tokenizer, corpora, lexicon, and the git revisions.

    With healing it also says which healed student the arms of a seed started from. now: what further runs will be made
    with (`current_sources`). Raises ValueError when runs differ in anything but the revision, because a comparison
    would then compare more than the arms.
    """
    origin: dict[str, Any] = {"mixed_precision": study.mixed_precision, **(now or {})}
    source_of = {"mixed_precision": "the study", **dict.fromkeys(now or {}, "the current files")}
    revisions = set()
    for run in runs:
        file = Path(run.config.run_dir) / "config.yaml"
        if run.arm == UNTRAINED or not file.is_file():
            continue
        provenance = load_yaml(file)["provenance"]
        revisions.add(provenance["git_revision"] or "unknown")
        made_with = {key: provenance[key] for key in ("mixed_precision", "tokenizer")}
        made_with |= {key: provenance["data"][key] for key in ("corpus", "heldout_corpus", "lexicon")}
        made_with |= {} if study.healing is None else _healed(run, provenance["student"])
        for name, value in made_with.items():
            if origin.setdefault(name, value) != value:
                raise ValueError(
                    f"{run.config.run_dir} was made with another {name} than {source_of[name]}: {value} instead of "
                    f"{origin[name]}; remove one of them and run the study again, or restore what has changed"
                )
            source_of.setdefault(name, run.config.run_dir)
    return {**origin, "git_revisions": sorted(revisions)}


def _healed(run: Run, start: str | None) -> dict[str, str | None]:
    """The healed student of a run's seed, as a results file names it. start: the weights that the run started from."""
    name = f"healed student of seed {run.seed}"
    if run.arm != HEALED:
        return {name: start}
    return {name: folder_fingerprint(run.student)} if run.student.is_dir() else {}


def current_sources(config: RunConfig) -> dict[str, Any]:
    """Hash the corpora and the lexicon as they are now. Empty for data on a hub, because this does not contact hubs."""
    if corpus_version(config.data) is None:
        return {}
    return sources(config.data, load_lexicon(config.augment.tiers, config.augment.lexicon))


def foreign_folders(study: StudyConfig) -> list[str]:
    """The names of folders below run_dir whose runs belong to no arm, for example because an arm was renamed."""
    folders = {file.parents[1].name for file in Path(study.run_dir).glob("*/seed*/config.yaml")}
    return sorted(folders - models_of(study).keys())
