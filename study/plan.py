"""The plan of a study: its teacher and every run, validated and with an equal budget.

An arm is a name and the overrides that make it. A variant is an arm with more overrides, called ARM+VARIANT. The arm
`untrained` is the student before training, `teacher` is the model that all students are distilled from. In a study with
`healing`, `healed` is the plain student from which all arms of a seed start.
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.config import RunConfig, TeacherConfig
from distill.evaluation.config import EvalConfig
from distill.models.identity import model_fingerprint
from distill.settings import apply_override, load_config, read_settings, to_dict, validate
from study.config import HEALED, TEACHER, UNTRAINED, HealingConfig, StudyConfig

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Teacher:
    """The teacher that all arms read. training: the run that makes it; None if the study reads one that exists."""

    config: TeacherConfig
    training: RunConfig | None

    @property
    def folder(self) -> Path:
        """The teacher's folder. It does not exist if the teacher is on a hub."""
        return Path(self.config.path)

    @property
    def model(self) -> str:
        """The teacher as eval.py names a model."""
        gguf_file = self.config.gguf_file
        return self.config.path if gguf_file is None else f"{self.config.path}/{gguf_file}"

    def fingerprint(self) -> str | None:
        """Identify the weights as they are now; None if they are not made yet, or on a hub that cannot be asked."""
        if self.folder.is_dir() or self.training is None:
            with contextlib.suppress(ValueError):
                return model_fingerprint(self.config.path, gguf_file=self.config.gguf_file)
        return None


@dataclass(frozen=True)
class Run:
    """One arm with one seed. overrides: of the study's train_config. config: the settings that train.py resolves."""

    arm: str
    seed: int
    overrides: tuple[str, ...]
    config: RunConfig

    @property
    def label(self) -> str:
        """The name of this run in logs and messages."""
        return label_of(self.arm, self.seed)

    @property
    def student(self) -> Path:
        """The folder of the trained student."""
        return Path(self.config.run_dir) / "student"


@dataclass(frozen=True)
class Plan:
    """A study with its teacher and the chosen runs: seed by seed, the untrained student (which has no seed) first.

    with_teacher: whether the teacher is among the models to measure. healing: the healed students that the chosen runs
    need, chosen or not.
    """

    study: StudyConfig
    teacher: Teacher
    runs: tuple[Run, ...]
    with_teacher: bool
    healing: tuple[Run, ...] = ()

    @property
    def every_run(self) -> tuple[Run, ...]:
        """The chosen runs and the healed students that they need, these first."""
        return tuple({run.label: run for run in (*self.healing, *self.runs)}.values())


def plan_study(study: StudyConfig, only: Sequence[str] = (), seeds: Sequence[int] = ()) -> Plan:
    """Resolve and check all runs of a study, and choose some.

    only: names of arms, each with its variants; all arms if empty. seeds: some of the study's seeds; all if empty.
    Raises ValueError when an arm or its evaluation is not valid, when an arm does not train on the study's budget or
    equals another arm, when the arms do not read the teacher that the study trains, and when the student that they
    start from would not be healed plainly.
    """
    arms = models_of(study)
    for name in only:
        if name not in arms and name != TEACHER:
            raise ValueError(f"--only {name}: the study has no such arm; it has {', '.join(arms)}")
    for seed in seeds:
        if seed not in study.seeds:
            raise ValueError(f"--seeds {seed}: the study's seeds are {list(study.seeds)}")
    shared = read_settings(ROOT / study.train_config)
    if study.healing is not None:
        _check_healing(study.healing, _run(study, shared, HEALED, study.seeds[0], arms[HEALED]).config)
    runs = [_run(study, shared, name, study.seeds[0], ()) for name in arms if name == UNTRAINED]
    runs += [_run(study, shared, name, seed, arms[name]) for seed in study.seeds for name in arms if name != UNTRAINED]
    _check_budget_and_repeats(study, [run for run in runs if run.arm not in (UNTRAINED, HEALED)])
    for name in {is_variant(name): name for name in arms}.values():  # all arms are measured alike, and all variants
        evaluation_config(study, name)
    wanted = {name for name in arms if not only or name in only or base_of(name) in only}
    chosen = [run for run in runs if run.arm in wanted and (run.arm == UNTRAINED or not seeds or run.seed in seeds)]
    needed = {run.seed for run in chosen if run.arm != UNTRAINED}
    healing = tuple(run for run in runs if run.arm == HEALED and run.seed in needed)
    return Plan(study, _teacher(study, runs[0].config), tuple(chosen), not only or TEACHER in only, healing)


def _run(study: StudyConfig, shared: dict[str, Any], arm: str, seed: int, overrides: tuple[str, ...]) -> Run:
    """Resolve one run. shared: the settings of the study's train_config."""
    is_branch = study.healing is not None and arm not in (UNTRAINED, HEALED)
    start = branch_overrides(study.run_dir, seed) if is_branch else ()
    place = (f"seed={seed}", f"run_dir={study.run_dir}/{arm}/seed{seed}")
    together = (*study.train_overrides, *start, *overrides, *place)
    settings = copy.deepcopy(shared)
    try:
        for override in together:
            apply_override(settings, override)
        config = validate(RunConfig, settings)
        if config.student.layers == "auto":
            raise ValueError("student.layers is auto, but all arms must have the same; name them (evenhand layers)")
        return Run(arm, seed, together, config)
    except ValueError as error:
        raise ValueError(f"arm {arm}: {error}") from error


def _teacher(study: StudyConfig, shared: RunConfig) -> Teacher:
    """Resolve the teacher. shared: a run with the settings that all arms share."""
    if shared.teacher is None:
        raise ValueError(f"{study.train_config} has no teacher; a study distils from one, so set teacher.path")
    if study.teacher_config is None:
        return Teacher(shared.teacher, None)
    training = load_config(RunConfig, ROOT / study.teacher_config, study.teacher_overrides)
    written = f"{training.run_dir}/student"
    if shared.teacher.path != written:
        raise ValueError(
            f"the teacher is written to {written}, but the arms read {shared.teacher.path}; set teacher.path to it"
        )
    return Teacher(shared.teacher, training)


def branch_overrides(run_dir: str, seed: int) -> tuple[str, ...]:
    """The overrides with which an arm starts from the healed student of its seed. run_dir: the study's."""
    return (
        "student.layers=null",
        "student.config=null",
        f"student.checkpoint={run_dir}/{HEALED}/seed{seed}/student",
    )


def _check_healing(healing: HealingConfig, config: RunConfig) -> None:
    """Raise ValueError unless the healed student is plain, without adapter, and has its budget. config: of its run."""
    if config.student.lora is not None:
        raise ValueError(
            "healing: an adapter (student.lora) is trained in the teacher itself, which needs no healing; leave out "
            "healing, or student.lora"
        )
    if num_tokens(config) != healing.budget_tokens:
        raise ValueError(
            f"{HEALED} trains on {num_tokens(config):,} tokens, but healing.budget_tokens is "
            f"{healing.budget_tokens:,}; set one of them, or train.max_steps in healing.overrides"
        )
    for key, value in {"perturb.operation": config.perturb.operation, "augment.mode": config.augment.mode}.items():
        if value != "none":
            raise ValueError(
                f"{HEALED} has {key}={value}, but it is healed plainly; add {key}=none to healing.overrides"
            )


def _check_budget_and_repeats(study: StudyConfig, runs: Sequence[Run]) -> None:
    """Raise ValueError for an arm with another budget than the study's, and for two arms that are the same."""
    seen: dict[str, str] = {}
    for run in runs:
        tokens = num_tokens(run.config)
        if tokens != study.budget_tokens:
            raise ValueError(
                f"arm {run.arm} trains on {tokens:,} tokens, the study's budget is {study.budget_tokens:,}; set "
                "train.max_steps, train.global_batch_size or data.seq_len so that their product is the budget"
            )
        settings: dict[str, Any] = to_dict(run.config) | {"run_dir": None}
        other = seen.setdefault(json.dumps(settings, sort_keys=True), run.arm)
        if other != run.arm:
            raise ValueError(f"the arms {other} and {run.arm} have the same settings; leave one out")


def num_tokens(config: RunConfig) -> int:
    """Count the tokens a run trains on (each view of an augmented pair counts). Raises ValueError if it has epochs."""
    if config.train.max_steps is None:
        raise ValueError("a study needs train.max_steps: the length of an epoch differs between arms")
    return config.train.max_steps * config.train.global_batch_size * config.data.seq_len


# -- names of arms ---------------------------------------------------------------------------------------------------


def arms_of(study: StudyConfig) -> dict[str, tuple[str, ...]]:
    """All trained arms and their variants, with their overrides. Raises ValueError for a repeat."""
    arms = dict(study.arms)
    for group in study.variants:
        for base in group.of:
            for name, overrides in group.variants.items():
                if f"{base}+{name}" in arms:
                    raise ValueError(f"variants: {base}+{name} is given twice; rename one")
                arms[f"{base}+{name}"] = (*study.arms[base], *overrides)
    return arms


def models_of(study: StudyConfig) -> dict[str, tuple[str, ...]]:
    """All models that the study makes of its train_config, with their overrides. Raises ValueError for a repeat."""
    healed = {} if study.healing is None else {HEALED: study.healing.overrides}
    return {UNTRAINED: (), **healed, **arms_of(study)}


def label_of(arm: str, seed: int) -> str:
    """The name of a model in logs, messages and results files."""
    return f"{arm} seed {seed}"


def base_of(arm: str) -> str:
    """The arm that ARM+VARIANT varies; an arm itself if it is no variant."""
    return arm.split("+")[0]


def is_variant(arm: str) -> bool:
    """Whether a name is ARM+VARIANT."""
    return base_of(arm) != arm


# -- how models are measured -----------------------------------------------------------------------------------------


def main_measures(measures: Sequence[str], with_margin: Collection[str]) -> list[str]:
    """The measures that tables show of variants too: disparity and cost (the first two), and those with a margin."""
    return list(dict.fromkeys([*measures[:2], *(name for name in measures if name in with_margin)]))


def evaluation_overrides(study: StudyConfig, arm: str) -> tuple[str, ...]:
    """The overrides of eval_config for one model."""
    return (*study.eval_overrides, *(study.variant_eval_overrides if is_variant(arm) else ()))


def evaluation_config(study: StudyConfig, arm: str) -> EvalConfig:
    """The resolved evaluation of one model."""
    return load_config(EvalConfig, ROOT / study.eval_config, evaluation_overrides(study, arm))


def evaluation_folder(study: StudyConfig, arm: str, seed: int) -> Path:
    """The folder with the evaluation of one model."""
    return Path(study.run_dir) / "evaluation" / arm / f"seed{seed}"
