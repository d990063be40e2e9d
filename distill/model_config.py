"""The settings of a run's models: which teacher, and where the student's weights come from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StrictStr, Tag, model_validator

from distill.settings import Count, LocalPath, PositiveCount, section

Dropout = Annotated[float, Field(ge=0, lt=1)]
# The tags only tell pydantic which of the two a value is meant to be, so that it reports one fault, not two.
Layers = Annotated[
    Annotated[Literal["all", "auto"], Tag("a word")] | Annotated[tuple[Count, ...], Tag("a list")],
    Discriminator(lambda value: "a word" if value in ("all", "auto") else "a list"),
]
Targets = Annotated[
    Annotated[Literal["all-linear"], Tag("a word")] | Annotated[tuple[StrictStr, ...], Tag("a list")],
    Discriminator(lambda value: "a word" if value == "all-linear" else "a list"),
]


@section
class TeacherConfig:
    """The frozen teacher: a local folder, a hub name (`name` or `name@revision`), or a folder with a GGUF file in it.

    targets: with `online` the teacher reads every batch. With `cached` it reads the training blocks once, and its last
    hidden states are kept (in `dtype`, in data.cache_dir) for this run and all others that need the same.
    shard: shard its layers over all processes, for a teacher that is too large for a single GPU.
    """

    path: LocalPath
    gguf_file: StrictStr | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    targets: Literal["online", "cached"] = "online"
    shard: bool = False

    @model_validator(mode="after")
    def _processes_read_together(self) -> TeacherConfig:
        if self.shard and self.targets == "cached":
            raise ValueError("shard needs targets `online`: with `cached` each process reads other blocks")
        return self


@section
class LoraConfig:
    """An adapter in the teacher's own layers (LoRA, arXiv 2106.09685). It alone is trained; the base is the teacher.

    rank, alpha: a layer's weights change by alpha / rank * B A, where A and B have `rank` rows and columns.
    targets: the names of the layers, such as [q_proj, v_proj]. `all-linear`: all linear layers but the output layer.
    dropout: of the adapter's input.
    """

    rank: PositiveCount = 16
    alpha: PositiveCount = 32
    targets: Targets = "all-linear"
    dropout: Dropout = 0.0


@section
class StudentConfig:
    """Where the student's weights come from: exactly one of `layers`, `config` and `checkpoint`.

    layers: copy these layers of the teacher, in this order, with its embeddings, final norm and output layer. `all`
    trains in place: the student starts as its teacher. `auto` chooses `keep` of them by the loss on the training text
    when the run begins; the run's config.yaml has the list.
    config: random weights for this architecture: a folder or config.json, or the settings themselves
    (`{model_type: gpt2, n_layer: 4, ...}`; vocab_size is taken from the tokenizer when absent).
    checkpoint: a folder or hub name.
    dropout: the value of every dropout setting of the architecture. With 0 a step does not depend on its split into
    micro-batches.
    lora: with `layers: all`, train an adapter only; teacher and student are then one model in memory.
    """

    layers: Layers | None = None
    keep: PositiveCount | None = None
    config: LocalPath | dict[str, Any] | None = None
    checkpoint: LocalPath | None = None
    dropout: Dropout = 0.0
    lora: LoraConfig | None = None

    @model_validator(mode="after")
    def _one_source(self) -> StudentConfig:
        given = [name for name in ("layers", "config", "checkpoint") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of layers, config and checkpoint (given: {given or 'none'})")
        if (self.layers == "auto") != (self.keep is not None):
            raise ValueError("keep says how many layers `layers: auto` chooses; give both, or neither")
        return self

    @model_validator(mode="after")
    def _adapts_the_whole_teacher(self) -> StudentConfig:
        if self.lora is not None and self.layers != "all":
            raise ValueError("lora adapts the teacher itself, with all its layers; set layers to all, or remove lora")
        return self
