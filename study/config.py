"""The file of a study: what its arms share, how they differ, and how they are measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictStr, model_validator

from distill.settings import (
    Count,
    LocalPath,
    Positive,
    PositiveCount,
    apply_override,
    read_settings,
    section,
    validate,
)

UNTRAINED, TEACHER = "untrained", "teacher"  # every study has these two models; no file names them as arms
HEALED = "healed"  # one more for each seed, if the study heals its students first


def _no(value: Any) -> Any:
    return "no" if value is False else value  # YAML reads a bare `no` as false


@section
class VariantsConfig:
    """Variants of some arms. of: these arms. variants: name -> overrides, which are added to those of the arm."""

    of: Annotated[tuple[StrictStr, ...], Field(min_length=1)]
    variants: Annotated[dict[StrictStr, tuple[StrictStr, ...]], Field(min_length=1)]


@section
class HealingConfig:
    """One plain student per seed is trained first, `healed`, and every arm of that seed starts from it.

    budget_tokens: the tokens that it trains on, besides those of the arms. overrides: what makes its run, over
    `train_overrides`.
    """

    budget_tokens: PositiveCount
    overrides: tuple[StrictStr, ...] = ()


@section
class StudyConfig:
    """A study of many arms that all train on the same number of tokens.

    name: names the results file. world: describes data and models to the reader. run_dir: holds everything the study
    writes.
    prepare: Python commands (arguments of the interpreter) that run first. Each must notice when its work is done.
    teacher_config, teacher_overrides: how to train the teacher; None if the study reads one that exists.
    train_config, train_overrides: what all arms share. eval_config, eval_overrides: how all models are measured.
    variant_eval_overrides: added for variants. They switch measures off, because the tables show only the main measures
    of variants.
    mixed_precision: of training, as accelerate calls it. seeds: of training; with the same seed all arms read the data
    in the same order. budget_tokens: the tokens that every arm trains on. budget_hours: wall-clock hours on
    `budget_machine`, after which no new run starts.
    healing: heal the students first, then branch the arms; None: all arms start as train_config says.
    arms: name -> overrides. references: the arms that all others are compared with; the first is plain distillation.
    margins: measure -> how much worse than the reference (in the measure's unit) still counts as not inferior.
    measures: what is reported; the first is the disparity, the second the cost on the plot's horizontal axis.
    headline: the models that the summary and the main plot show; all arms if empty.
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
    healing: HealingConfig | None = None
    arms: dict[StrictStr, tuple[StrictStr, ...]]
    variants: tuple[VariantsConfig, ...] = ()
    references: Annotated[tuple[StrictStr, ...], Field(min_length=1)] = ("plain",)
    margins: dict[StrictStr, Positive] = Field(default_factory=dict)
    measures: Annotated[tuple[StrictStr, ...], Field(min_length=2)]
    headline: tuple[StrictStr, ...] = ()
    recommended: StrictStr | None = None

    @model_validator(mode="after")
    def _names_fit(self) -> StudyConfig:
        known = f"is not one of the arms ({', '.join(self.arms)})"
        for name in (UNTRAINED, TEACHER):
            if name in self.arms:
                raise ValueError(f"arms: every study has {name} already; leave it out")
        if HEALED in self.arms:
            raise ValueError(f"arms: {HEALED} is the model that `healing` makes; rename this arm")
        healed = () if self.healing is None else (HEALED,)
        for name in self.arms:
            if "+" in name:
                raise ValueError(f"arms: {name!r} has a +, which joins an arm and its variant; rename it")
        for name in (arm for group in self.variants for arm in group.of):
            if name not in self.arms:
                raise ValueError(f"{name!r} {known}")
        for name in self.references:
            if name not in (*healed, *self.arms):
                raise ValueError(f"references: {name!r} {known}")
        for name in self.headline:
            if name not in (TEACHER, UNTRAINED, *healed, *self.arms):
                raise ValueError(f"headline: {name!r} {known}")
        if self.recommended not in (None, *self.arms):
            raise ValueError(f"recommended: {self.recommended!r} {known}")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds: {list(self.seeds)} names a seed twice")
        for name in self.margins:
            if name not in self.measures:
                raise ValueError(f"margins: {name!r} is not one of the measures")
        return self

    @model_validator(mode="after")
    def _all_students_start_alike(self) -> StudyConfig:
        """With healing, where a student's weights come from is the study's to say."""
        if self.healing is None:
            return self
        overrides = {HEALED: self.healing.overrides} | self.arms
        for group in self.variants:
            overrides |= {f"{'/'.join(group.of)}+{name}": added for name, added in group.variants.items()}
        for name, own in overrides.items():
            for key in (override.partition("=")[0] for override in own):
                if key == "student" or (key.startswith("student.") and key != "student.dropout"):
                    raise ValueError(
                        f"{name} sets {key}, but with healing all students start alike: {HEALED} as train_config says, "
                        f"the arms from {HEALED}; set {key} in train_overrides, or leave out healing"
                    )
        return self


def load_study(path: str | Path, overrides: Sequence[str] = ()) -> StudyConfig:
    """Read a study file. With `base: FILE`, settings it leaves out come from that file in the same folder.

    Raises FileNotFoundError or ValueError with one line per fault.
    """
    settings = _with_base(Path(path), ())
    for override in overrides:
        apply_override(settings, override)
    return validate(StudyConfig, settings)


def _with_base(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """The settings of a file, merged over those of its base. above: the files of which this one is a base."""
    if path in above:
        raise ValueError(f"{path} has itself as a base; leave `base` out of one of {', '.join(map(str, above))}")
    settings = read_settings(path)
    base = settings.pop("base", None)
    return settings if base is None else _with_base(path.parent / str(base), (*above, path)) | settings
