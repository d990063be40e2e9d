"""The configuration of a training run: sections with their defaults, and what they must satisfy together.

A YAML file holds only what differs from the defaults, and the command line wins over both (`settings.load_config`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictStr, model_validator

from distill.federated_config import FederatedConfig
from distill.loss_config import LossConfig, PerturbConfig
from distill.model_config import StudentConfig, TeacherConfig
from distill.privacy_config import PrivacyConfig, check_private
from distill.settings import LocalPath, Momentum, NonNegative, Positive, PositiveCount, Proportion, Seed, section


@section
class DataConfig:
    """Which text is read, and how it is cut into blocks.

    path: a .txt, .txt.gz, .jsonl, .jsonl.gz or .parquet file, a folder of these, a saved `datasets` folder, or a hub
    name (`owner/name` or `owner/name@revision`). A folder is read with its subfolders, also behind links, without names
    that begin with a dot or with __.
    format: `text`, or rows of which a part is learned. `chat` rows have `messages`, or `prompt` and `completion` as
    lists of messages, written with the tokenizer's chat template: the assistant's turns are learned.
    `prompt_completion` rows have two texts: the second is learned, and EOS after it.
    subset, split: only for a hub name. text_field: the column that holds the text.
    txt_document: whether one document of a .txt file is a line or the whole file.
    max_documents: read this many documents at most, from the first on.
    heldout_path, heldout_split: a separate corpus for the held-out perplexity. A null heldout_split means `split`.
    heldout_fraction: without heldout_path, this fraction of the documents is held out. A hash of the text decides, so
    that duplicates are all on the same side.
    tokenizer: folder or hub name. When null, the teacher's (or the student checkpoint's).
    separator: the token before each document. When null, BOS comes before and EOS after each document; if both are the
    same token or only one exists, that token comes before each. A conversation then has what its template writes alone.
    mask_documents: whether attention stops at document boundaries within a block.
    seq_len: tokens per block. cache_dir: where prepared blocks are kept. num_proc: processes that prepare them.
    streaming: prepare training blocks while the run reads them, in the order of the text, and keep none on disk. Every
    process of the run then has `num_proc` processes of its own.
    """

    path: LocalPath
    format: Literal["text", "chat", "prompt_completion"] = "text"
    subset: StrictStr | None = None
    split: StrictStr = "train"
    text_field: StrictStr = "text"
    txt_document: Literal["line", "file"] = "line"
    heldout_path: LocalPath | None = None
    heldout_split: StrictStr | None = None
    heldout_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.01
    max_documents: PositiveCount | None = None
    tokenizer: LocalPath | None = None
    separator: StrictStr | None = None
    mask_documents: bool = False
    seq_len: Annotated[int, Field(ge=8, strict=True)] = 256
    cache_dir: LocalPath = "~/.cache/evenhand"
    num_proc: PositiveCount = 1
    streaming: bool = False

    @model_validator(mode="after")
    def _rows_have_their_own_fields(self) -> DataConfig:
        if self.format != "text" and self.text_field != "text":
            raise ValueError(f"text_field names the text of format `text`, but format is `{self.format}`; leave it out")
        return self

    @model_validator(mode="after")
    def _heldout_is_another_text(self) -> DataConfig:
        if self.heldout_path == self.path and self.heldout_split in (None, self.split):
            raise ValueError("heldout_path is the training corpus itself; leave it out, or name another heldout_split")
        if self.heldout_split is not None and self.heldout_path is None:
            raise ValueError("heldout_split is a split of heldout_path; set heldout_path too (it may be path itself)")
        return self


@section
class AugmentConfig:
    """The counterfactual pairs, and which of their two views the student trains on.

    mode: `none` trains on the original; `substitute` replaces each document by its counterfactual with probability
    `fraction`; `augment` trains on both views of every pair, side by side in one micro-batch.
    tiers: the lexicon tiers in use (when null, the default ones). lexicon: your own TSV file, which extends them.
    """

    mode: Literal["none", "substitute", "augment"] = "none"
    fraction: Proportion = 0.5
    tiers: tuple[StrictStr, ...] | None = None
    lexicon: LocalPath | None = None


@section
class OptimConfig:
    """AdamW and the schedule of its learning rate.

    warmup_steps: below 1 it is a proportion of all steps. max_grad_norm: 0 switches clipping off.
    grad_norm_limit: a step whose gradient norm before clipping exceeds it counts as failed (train.on_nonfinite).
    """

    lr: Positive = 5e-4
    betas: tuple[Momentum, Momentum] = (0.9, 0.98)
    eps: Positive = 1e-6
    weight_decay: NonNegative = 0.0
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "linear"
    warmup_steps: NonNegative = 0.05
    max_grad_norm: NonNegative = 5.0
    grad_norm_limit: Positive | None = None


@section
class TrainConfig:
    """How long the run is, and how often it logs, evaluates and saves, in optimizer steps.

    global_batch_size, micro_batch_size: sequences that the student trains on, per optimizer step over all processes and
    per forward pass of one process. Under augment.mode `augment` a pair counts as two sequences, so that the same
    settings mean the same budget in every mode.
    max_steps or epochs: exactly one. log_every, eval_every, save_every: steps between lines of metrics.jsonl, between
    measurements of the held-out perplexity, and between checkpoints. eval_blocks: how many held-out blocks
    are scored at most, from the first on.
    keep_checkpoints: how many of the newest checkpoints are kept, besides the one with the best held-out perplexity.
    on_nonfinite: what happens when a loss or gradient is not finite, or above optim.grad_norm_limit. `stop` names the
    blocks and ends the run; `skip` leaves the weights as they are, counts the step and continues.
    gradient_checkpointing: compute the student's activations twice instead of keeping them: less memory, more time.
    compile_loss: whether compiled kernels compute the loss between its matrix products (faster on a GPU; needs a C
    compiler). null: on a GPU, if it compiles. Results differ in the last digits.
    sample_prompts: the student continues each of these at every evaluation, into samples.jsonl.
    push_to_hub: the repository to which the student is uploaded at the end, e.g. `me/my-student`.
    trackers: any of Accelerate's (tensorboard, wandb, trackio, ...), besides metrics.jsonl, which is always written.
    """

    max_steps: PositiveCount | None = None
    epochs: Positive | None = None
    global_batch_size: PositiveCount = 32
    micro_batch_size: PositiveCount = 8
    log_every: PositiveCount = 10
    eval_every: PositiveCount = 200
    eval_blocks: PositiveCount = 512
    save_every: PositiveCount = 200
    keep_checkpoints: PositiveCount = 2
    on_nonfinite: Literal["stop", "skip"] = "stop"
    gradient_checkpointing: bool = False
    compile_loss: bool | None = None
    sample_prompts: tuple[StrictStr, ...] = ()
    push_to_hub: StrictStr | None = None
    trackers: tuple[StrictStr, ...] = ()

    @model_validator(mode="after")
    def _one_length(self) -> TrainConfig:
        if (self.max_steps is None) == (self.epochs is None):
            raise ValueError("give exactly one of max_steps and epochs")
        return self


@section
class CanaryConfig:
    """Made-up secrets in the training text, for `evenhand audit-privacy`; see distill/data/canaries.py.

    count: how many there are. A coin plants each of them or not. repeats: how often a planted one stands in the text.
    digits: of a secret. All secrets of so many digits are ranked by the audit: 10,000 for 4.
    """

    count: Annotated[int, Field(ge=4, le=2000, strict=True)] = 200
    repeats: PositiveCount = 1
    digits: Annotated[int, Field(ge=1, le=5, strict=True)] = 4


@section
class RunConfig:
    """Everything that a training run needs. `teacher: null` with `loss.kd_weight: 0` is plain language modelling.

    The default of a new setting must do what older versions did, so that their run folders can be resumed.
    provenance: recorded in the config.yaml of a run folder besides the settings; do not set it.
    """

    run_dir: LocalPath
    seed: Seed = 0
    data: DataConfig
    augment: AugmentConfig = Field(default_factory=AugmentConfig)
    teacher: TeacherConfig | None = None
    student: StudentConfig
    perturb: PerturbConfig = Field(default_factory=PerturbConfig)
    loss: LossConfig = Field(default_factory=LossConfig)
    optim: OptimConfig = Field(default_factory=OptimConfig)
    train: TrainConfig
    canaries: CanaryConfig | None = None
    privacy: PrivacyConfig | None = None
    federated: FederatedConfig | None = None
    provenance: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> RunConfig:
        if self.loss.kd_weight + self.loss.ce_weight + self.loss.hidden_weight == 0:
            raise ValueError(
                "loss: kd_weight, ce_weight and hidden_weight are all 0: without them most predictions would not be "
                "learned, or none; give one of them a weight"
            )
        has_target = self.loss.kd_weight + self.loss.counterpart_weight > 0
        if not self.loss.ce_counterparts and not (has_target and self.loss.ce_weight > 0):
            raise ValueError(
                "loss.ce_counterparts is false, so the cross-entropy leaves a choice to the target, but "
                f"kd_weight is {self.loss.kd_weight:g} and ce_weight {self.loss.ce_weight:g}; give both a weight"
            )
        if self.perturb.operation != "none" and not has_target:
            raise ValueError(
                "perturb.operation changes the distillation target, but loss.kd_weight is 0; set one of them"
            )
        if self.perturb.ramp is not None and self.perturb.gain == 1 and self.loss.counterpart_weight == 0:
            raise ValueError(
                "perturb.ramp has nothing to strengthen: perturb.gain is 1 and loss.counterpart_weight is 0; set one "
                "of them, or leave it out"
            )
        if self.data.format != "text":
            if self.canaries is not None:
                raise ValueError(
                    f"canaries are plain text, but data.format is `{self.data.format}`; leave one of them out"
                )
            if self.student.layers == "auto":
                raise ValueError(
                    f"student.layers `auto` chooses by plain text, but data.format is `{self.data.format}`; choose "
                    "with `evenhand layers`, and give the list"
                )
        if self.teacher is None:
            needs = [
                key
                for key, used in {
                    "loss.kd_weight": self.loss.kd_weight > 0,
                    "loss.counterpart_weight": self.loss.counterpart_weight > 0,
                    "loss.hidden_weight": self.loss.hidden_weight > 0,
                    "student.layers": self.student.layers is not None,
                    "perturb.operation": self.perturb.operation != "none",
                }.items()
                if used
            ]
            if needs:
                raise ValueError(f"teacher is null, but {', '.join(needs)} needs one; set teacher.path, or unset it")
        if self.student.lora is not None and self.teacher is not None:
            if self.teacher.shard:
                raise ValueError(
                    "student.lora trains an adapter in the teacher itself, so teacher.shard would shard the student; "
                    "set it to false and launch with configs/accelerate/fsdp2.yaml"
                )
            if self.teacher.dtype == "float16":
                raise ValueError(
                    "student.lora: the adapter's gradient passes through the teacher's layers and may underflow in "
                    "float16; set teacher.dtype to bfloat16 or float32"
                )
        if self.loss.pairing_weight > 0 and self.augment.mode != "augment":
            raise ValueError(
                "loss.pairing_weight compares the views of a pair, but the student reads one of them under "
                f"augment.mode `{self.augment.mode}`; set that to `augment`"
            )
        if self.augment.mode == "augment":
            for key in ("global_batch_size", "micro_batch_size"):
                if getattr(self.train, key) % 2:
                    raise ValueError(f"train.{key} is odd, but augment.mode `augment` trains pairs: make it even")
        if self.privacy is not None:
            check_private(self)
        return self

    @model_validator(mode="after")
    def _federated_is_possible(self) -> RunConfig:
        if self.federated is None:
            return self
        if self.train.max_steps is None:
            raise ValueError("federated: clients differ in how long an epoch is; set train.max_steps, not train.epochs")
        rounds, remainder = divmod(self.train.max_steps, self.federated.local_steps)
        if remainder:
            raise ValueError(
                f"train.max_steps {self.train.max_steps} is not a multiple of federated.local_steps "
                f"{self.federated.local_steps}; change one of them"
            )
        if self.federated.periods > rounds:
            raise ValueError(
                f"federated.periods {self.federated.periods} are more than the {rounds} rounds (train.max_steps / "
                "federated.local_steps); lower it"
            )
        refused = {
            "teacher.targets: cached": self.teacher is not None and self.teacher.targets == "cached",
            "canaries": self.canaries is not None,
            "perturb.ramp": self.perturb.ramp is not None,
            "privacy": self.privacy is not None,
            f"data.format: {self.data.format}": self.data.format != "text",
        }
        for setting, is_set in refused.items():
            if is_set:
                raise ValueError(f"federated does not support {setting}; leave it out")
        return self
