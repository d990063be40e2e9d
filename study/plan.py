"""The plan of a study: one YAML file of configs/study in; every run of it, validated and with an equal budget, out.

An arm is a name and the overrides that make it; a variant is an arm with more overrides, called ARM+VARIANT. The arm
`untrained` is what the student is before training, `teacher` what it is distilled from.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictStr, model_validator

from distill.config import RunConfig, TeacherConfig
from distill.evaluation.config import EvalConfig
from distill.models.loading import folder_fingerprint
from distill.settings import (
    Count,
    LocalPath,
    Positive,
    PositiveCount,
    apply_override,
    load_config,
    read_settings,
    section,
    to_dict,
    validate,
)

UNTRAINED, TEACHER = "untrained", "teacher"
ROOT = Path(__file__).resolve().parents[1]


def _no(value: Any) -> Any:
    return "no" if value is False else value  # what YAML reads a bare `no` as


@section
class VariantsConfig:
    """What is varied (`variants`: name -> overrides) on which arms (`of`)."""

    of: Annotated[tuple[StrictStr, ...], Field(min_length=1)]
    variants: Annotated[dict[StrictStr, tuple[StrictStr, ...]], Field(min_length=1)]


@section
class StudyConfig:
    """A study of many arms with one budget.

    name: of the results file. world: what a reader is told about data and models. run_dir: everything goes below it.
    prepare: Python commands that come first (arguments of the interpreter), each able to see that it is done.
    teacher_config, teacher_overrides: the training of the teacher, if it has to be trained.
    train_config, train_overrides: what all arms share. eval_config, eval_overrides: how all are measured;
    variant_eval_overrides: what is not measured of variants, of which only the main measures are shown.
    mixed_precision: of training, as accelerate calls it. seeds: of training; a seed has the same order of data in every
    arm. budget_tokens: that every arm trains on. budget_hours: wall-clock hours of `budget_machine`; after so many no
    run is started any more.
    arms: name -> overrides. references: the arms that all are compared with; the first is plain distillation.
    margins: of non-inferiority, measure -> how much worse than the reference does not count, in the measure's unit.
    measures: those that are reported; the first is the disparity, the second the cost of the frontier plot.
    headline: the models that the README shows; without them it leaves the study out.
    recommended: the arm that gets a model card.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    world: StrictStr
    run_dir: LocalPath
    prepare: tuple[tuple[StrictStr, ...], ...] = ()
    teacher_config: StrictStr | None = None
    teacher_overrides: tuple[StrictStr, ...] = ()
    train_config: StrictStr
    train_overrides: tuple[StrictStr, ...] = ()
    eval_config: StrictStr
    eval_overrides: tuple[StrictStr, ...] = ()
    variant_eval_overrides: tuple[StrictStr, ...] = ()
    mixed_precision: Annotated[Literal["no", "bf16", "fp16"], BeforeValidator(_no)] = "no"
    seeds: Annotated[tuple[Count, ...], Field(min_length=1)] = (0, 1, 2)
    budget_tokens: PositiveCount
    budget_hours: Positive
    budget_machine: StrictStr
    arms: dict[StrictStr, tuple[StrictStr, ...]]
    variants: tuple[VariantsConfig, ...] = ()
    references: Annotated[tuple[StrictStr, ...], Field(min_length=1)] = ("plain",)
    margins: dict[StrictStr, Positive] = Field(default_factory=dict)
    measures: Annotated[tuple[StrictStr, ...], Field(min_length=2)]
    headline: tuple[StrictStr, ...] = ()
    recommended: StrictStr | None = None

    @model_validator(mode="after")
    def _names_fit(self) -> StudyConfig:
        for name in (UNTRAINED, TEACHER):
            if name in self.arms:
                raise ValueError(f"arms: {name} is there by itself; leave it out")
        for name in self.arms:
            if "+" in name:
                raise ValueError(f"arms: {name!r} has a +, which joins an arm and its variant; rename it")
        for name in (*self.references, *(one for group in self.variants for one in group.of)):
            if name not in self.arms:
                raise ValueError(f"{name!r} is not one of the arms ({', '.join(self.arms)})")
        for name in self.headline:
            if name not in (TEACHER, UNTRAINED, *self.arms):
                raise ValueError(f"headline: {name!r} is not one of the arms ({', '.join(self.arms)})")
        if self.recommended not in (None, *self.arms):
            raise ValueError(f"recommended: {self.recommended!r} is not one of the arms ({', '.join(self.arms)})")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds: {list(self.seeds)} names a seed twice")
        for name in self.margins:
            if name not in self.measures:
                raise ValueError(f"margins: {name!r} is not one of the measures")
        return self


@dataclass(frozen=True)
class Run:
    """One arm with one seed. overrides: of the study's train_config. config: what train.py makes of them."""

    arm: str
    seed: int
    overrides: tuple[str, ...]
    config: RunConfig

    @property
    def label(self) -> str:
        """What logs and messages call it."""
        return label_of(self.arm, self.seed)


def load_study(path: str | Path, overrides: Sequence[str] = ()) -> StudyConfig:
    """Read a study; of one with `base: FILE`, what it does not say itself is as in that file of the same folder.

    Raises FileNotFoundError or ValueError with one line per fault.
    """
    settings = _with_base(Path(path), ())
    for override in overrides:
        apply_override(settings, override)
    return validate(StudyConfig, settings)


def _with_base(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """The settings of a file over those of its base, and so on. above: the files that have this one as a base."""
    if path in above:
        raise ValueError(f"{path} has itself as a base; leave `base` out of one of {', '.join(map(str, above))}")
    settings = read_settings(path)
    base = settings.pop("base", None)
    return settings if base is None else _with_base(path.parent / str(base), (*above, path)) | settings


def arms_of(study: StudyConfig) -> dict[str, tuple[str, ...]]:
    """All trained arms with their overrides: those named, and the variants of them. Raises ValueError for a repeat."""
    arms = dict(study.arms)
    for group in study.variants:
        for base in group.of:
            for name, overrides in group.variants.items():
                if f"{base}+{name}" in arms:
                    raise ValueError(f"variants: {base}+{name} is there twice; rename one")
                arms[f"{base}+{name}"] = (*study.arms[base], *overrides)
    return arms


def label_of(arm: str, seed: int) -> str:
    """What a model of a study is called in logs, messages and results files."""
    return f"{arm} seed {seed}"


def base_of(arm: str) -> str:
    """The arm that ARM+VARIANT is a variant of; of an arm, itself."""
    return arm.split("+")[0]


def is_variant(arm: str) -> bool:
    """Whether a name is ARM+VARIANT."""
    return base_of(arm) != arm


def main_measures(measures: Sequence[str], with_margin: Collection[str]) -> list[str]:
    """The disparity, the cost (the first two of a study), and those that have a margin: all that variants are for."""
    return list(dict.fromkeys([*measures[:2], *(name for name in measures if name in with_margin)]))


def plan_runs(study: StudyConfig, only: Sequence[str] = (), seeds: Sequence[int] = ()) -> list[Run]:
    """The runs of a study, seed by seed, the untrained student (which has no seed) first.

    only: names of arms, of which each takes its variants along; all when empty. seeds: some of the study's. Raises
    ValueError when an arm or its evaluation is not valid, and when an arm does not have the study's budget or is the
    same as another one.
    """
    arms = {UNTRAINED: (), **arms_of(study)}
    for name in only:
        if name not in arms and name != TEACHER:
            raise ValueError(f"--only {name}: the study has no such arm; it has {', '.join(arms)}")
    for seed in seeds:
        if seed not in study.seeds:
            raise ValueError(f"--seeds {seed}: the study's seeds are {list(study.seeds)}")
    runs = [_run(study, name, study.seeds[0], ()) for name in arms if name == UNTRAINED]
    runs += [_run(study, name, seed, arms[name]) for seed in study.seeds for name in arms if name != UNTRAINED]
    _check(study, runs[1:])
    for name in {is_variant(name): name for name in arms}.values():  # arms are measured in one way, variants in another
        evaluation_config(study, name)
    wanted = {name for name in arms if not only or name in only or base_of(name) in only}
    return [run for run in runs if run.arm in wanted and (run.arm == UNTRAINED or not seeds or run.seed in seeds)]


def num_tokens(config: RunConfig) -> int:
    """How many tokens a run trains on (each view of an augmented pair counts). Raises ValueError if it has epochs."""
    if config.train.max_steps is None:
        raise ValueError("a study needs train.max_steps: the length of an epoch differs between arms")
    return config.train.max_steps * config.train.global_batch_size * config.data.seq_len


def evaluation_overrides(study: StudyConfig, arm: str) -> tuple[str, ...]:
    """What a model of the study is measured with, over eval_config."""
    return (*study.eval_overrides, *(study.variant_eval_overrides if is_variant(arm) else ()))


def evaluation_config(study: StudyConfig, arm: str) -> EvalConfig:
    """How a model of the study is measured."""
    return load_config(EvalConfig, ROOT / study.eval_config, evaluation_overrides(study, arm))


def teacher_run(study: StudyConfig) -> RunConfig | None:
    """The training of the teacher, if it has to be trained. Raises ValueError when the arms read another one."""
    if study.teacher_config is None:
        return None
    teacher = load_config(RunConfig, ROOT / study.teacher_config, study.teacher_overrides)
    shared = load_config(RunConfig, ROOT / study.train_config, study.train_overrides)
    expected = f"{teacher.run_dir}/student"
    if shared.teacher is None or shared.teacher.path != expected:
        given = shared.teacher and shared.teacher.path
        raise ValueError(f"the teacher is written to {expected}, but the arms read {given}; set teacher.path to it")
    return teacher


def teacher_folder(study: StudyConfig) -> Path:
    """Where the teacher is that all arms read; the name of one of a hub is not a folder."""
    return Path(_teacher(study).path)


def teacher_fingerprint(study: StudyConfig) -> str | None:
    """What identifies the teacher's weights; None where it is on a hub, or not made yet."""
    teacher = _teacher(study)
    folder = Path(teacher.path)
    return folder_fingerprint(folder, teacher.gguf_file) if folder.is_dir() else None


def teacher_model(study: StudyConfig) -> str:
    """The teacher as eval.py names a model."""
    teacher = _teacher(study)
    return teacher.path if teacher.gguf_file is None else f"{teacher.path}/{teacher.gguf_file}"


def _teacher(study: StudyConfig) -> TeacherConfig:
    teacher = load_config(RunConfig, ROOT / study.train_config, study.train_overrides).teacher
    if teacher is None:
        raise ValueError(f"{study.train_config} has no teacher; a study distils from one")
    return teacher


def evaluation_folder(study: StudyConfig, arm: str, seed: int) -> Path:
    """Where the evaluation of one model is."""
    return Path(study.run_dir) / "evaluation" / arm / f"seed{seed}"


def _run(study: StudyConfig, arm: str, seed: int, overrides: tuple[str, ...]) -> Run:
    run_dir = f"run_dir={study.run_dir}/{arm}/seed{seed}"
    together = (*study.train_overrides, *overrides, f"seed={seed}", run_dir)
    try:
        return Run(arm, seed, together, load_config(RunConfig, ROOT / study.train_config, together))
    except ValueError as error:
        raise ValueError(f"arm {arm}: {error}") from error


def _check(study: StudyConfig, runs: Sequence[Run]) -> None:
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
