"""Build what a run consists of, once; training, the dry run and the benchmarks all get it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

from accelerate import Accelerator

from augment.lexicon import Lexicon, load_lexicon
from distill.config import RunConfig
from distill.data.blocks import Blocks, prepare_blocks, sources
from distill.data.folders import check_apart, check_only_text
from distill.data.pairing import pairing_settings
from distill.data.separators import separators_of, start_of_documents
from distill.data.split import substitution
from distill.data.stream import BlockStream, check_streaming
from distill.hub import CARD, check_upload, pinned
from distill.loss.fused import Objective
from distill.loss.gender_classes import GenderClasses, gender_classes
from distill.loss.targets import uses_classes
from distill.models.document_mask import mask_documents
from distill.models.gpu_operations import use_gpu_operations
from distill.models.identity import SETTINGS_FILES
from distill.models.run_models import RunModels, fingerprints, load_run_models
from distill.privacy.accountant import check_accountant
from distill.run.auto_layers import resolve_layers
from distill.run.folder import HUB_SETTINGS, open_run, provenance, recorded_revisions, rename
from distill.run.launch import build_accelerator, on_main
from distill.run.private.lineage import Ancestor, ancestors_of
from distill.run.private.plan import PrivacyPlan, check_launch, check_student, make_plan
from distill.run.samples import check_prompts
from distill.run.schedule import (
    Schedule,
    accumulation_steps,
    plan_schedule,
    stream_indices,
    training_indices,
    warmup_warning,
)
from distill.run.tracking import check_trackers
from distill.settings import replace


class Setup(NamedTuple):
    """A run before its first step. classes: None if the objective needs none. privacy: None if nothing is promised.
    ancestors: of a private run, the models that it starts from. stream: of this process, with data.streaming; `blocks`
    then are the held-out ones only.
    """

    config: RunConfig
    accelerator: Accelerator
    models: RunModels
    classes: GenderClasses | None
    blocks: Blocks
    schedule: Schedule
    privacy: PrivacyPlan | None = None
    ancestors: tuple[Ancestor, ...] = ()
    stream: BlockStream | None = None

    @property
    def objective(self) -> Objective:
        """What the run minimises."""
        return Objective(self.config.loss, self.config.perturb, self.classes, self.models.num_tokens)

    def block_indices(self, step: int) -> Iterator[list[int]]:
        """The block numbers of this process's micro-batches, from the optimizer step after `step` on."""
        rank, num_processes = self.accelerator.process_index, self.accelerator.num_processes
        if self.stream is not None:
            return stream_indices(self.schedule, step, num_processes)
        return training_indices(self.schedule, len(self.blocks.train), self.config.seed, step, rank, num_processes)


def set_up(config: RunConfig) -> Setup:
    """Load, check and prepare everything that a run needs. Call on all processes.

    Raises ValueError or OSError with one message for what does not fit or is missing. Cheap checks come first.
    """
    check_trackers(config.train.trackers)
    check_streaming(config)
    check_upload("train.push_to_hub", config.train.push_to_hub)
    corpora = {"data.path": config.data.path, "data.heldout_path": config.data.heldout_path}
    check_only_text(corpora)
    check_apart("run_dir", config.run_dir, corpora)
    check_apart("data.cache_dir", config.data.cache_dir, corpora)
    accelerator = build_accelerator(config)
    accumulation_steps(config.train, accelerator.num_processes)
    if config.privacy is not None:
        if config.privacy.promises:
            check_accountant()
        check_launch(accelerator)
    config = pin_revisions(config, accelerator)
    config = resolve_layers(config, accelerator)
    models = load_run_models(config)
    prefix_ids, _ = separators_of(config.data, models.tokenizer)
    check_prompts(models.student, models.tokenizer, config.train.sample_prompts, prefix_ids)
    lexicon = load_lexicon(config.augment.tiers, config.augment.lexicon)
    classes = find_classes(config, models, lexicon)
    is_private, ancestors = config.privacy is not None, list[Ancestor]()
    if is_private:
        check_student(models.student)
        ancestors = on_main(accelerator, lambda: ancestors_of(config, sources(config.data, lexicon)["corpus"]))
    blocks = prepare_blocks(
        config.data,
        config.augment,
        lexicon,
        models.tokenizer,
        config.seed,
        models.num_ids,
        config.canaries,
        is_private,
        heldout_blocks=config.train.eval_blocks if config.data.streaming else None,
    )
    if config.data.mask_documents:
        for model in models.distinct:
            mask_documents(model, start_of_documents(config.data, models.tokenizer), config.data.seq_len)
    if accelerator.device.type == "cuda":
        for model in models.distinct:
            use_gpu_operations(model, None if config.data.mask_documents else config.data.seq_len)
    num_rows = len(blocks.train) if blocks.documents is None else blocks.documents.num_documents
    schedule = plan_schedule(config, num_rows, accelerator.num_processes)
    plan = on_main(accelerator, lambda: make_plan(config, num_rows, schedule)) if is_private else None
    if warning := warmup_warning(config.optim, schedule.max_steps):
        accelerator.print(warning)
    stream = open_stream(config, accelerator, models, lexicon, schedule) if config.data.streaming else None
    return Setup(config, accelerator, models, classes, blocks, schedule, plan, tuple(ancestors), stream)


def open_stream(
    config: RunConfig, accelerator: Accelerator, models: RunModels, lexicon: Lexicon, schedule: Schedule
) -> BlockStream:
    """The stream of this process's training blocks."""
    return BlockStream(
        data=config.data,
        pairing=pairing_settings(config.data, lexicon, models.tokenizer, models.num_ids),
        is_substituted=substitution(config.augment, config.seed),
        seed=config.seed,
        rank=accelerator.process_index,
        num_processes=accelerator.num_processes,
        blocks_per_step=schedule.rows_per_step // accelerator.num_processes,
    )


def pin_revisions(config: RunConfig, accelerator: Accelerator) -> RunConfig:
    """The configuration with `name@commit` in place of the hub's names. Call on all processes.

    A run that has begun keeps to its commits, and needs no network if they are in the cache. Raises OSError if the hub
    has no such repository, or does not answer.
    """

    def as_of_now(key: str, path: str) -> str:
        if HUB_SETTINGS[key] == "dataset":
            return pinned(path, CARD, "dataset")
        gguf_file = config.teacher.gguf_file if config.teacher and key == "teacher.path" else None
        return pinned(path, (gguf_file,) if gguf_file else SETTINGS_FILES)

    return on_main(accelerator, lambda: rename(recorded_revisions(config), as_of_now))


def find_classes(config: RunConfig, models: RunModels, lexicon: Lexicon) -> GenderClasses | None:
    """The gender classes of the run's tokenizer, or None if neither the target nor the loss uses them.

    Raises ValueError as `gender_classes`.
    """
    loss = config.loss
    loss_uses_classes = loss.pairing_weight > 0 or loss.counterpart_weight > 0 or not loss.ce_counterparts
    if loss_uses_classes or uses_classes(config.perturb):
        # With `pairs` names tell the gender of other words, and which name comes next stays the teacher's: a surname is
        # the same in both views, so that its pair would get half of its mass.
        return gender_classes(
            models.tokenizer, lexicon.without("names") if config.perturb.scope == "pairs" else lexicon
        )
    return None


def add_provenance(setup: Setup) -> Setup:
    """The setup with `config.provenance`: versions, git revision, fingerprints of data and models.

    Call on all processes. The main process reads the models' files.
    """
    recorded = on_main(
        setup.accelerator,
        lambda: provenance(
            setup.blocks.info, fingerprints(setup.config, setup.models), setup.accelerator.mixed_precision
        ),
    )
    return setup._replace(config=replace(setup.config, provenance=recorded))


@contextlib.contextmanager
def hold_run_folder(setup: Setup) -> Iterator[None]:
    """Within this context the main process holds the run folder. Raises what `open_run` raises, on all processes."""
    with contextlib.ExitStack() as held:
        on_main(setup.accelerator, lambda: held.enter_context(open_run(setup.config)))
        yield
