"""Memory and tokens per second of a training step on GPUs, from what the step would do there: counted, not measured.

    python -m benchmarks.roofline

Runs the step of configs/train/gpt2.yaml in bf16 on fake CUDA (benchmarks/fake_cuda; it needs a C++ compiler), and
counts memory, arithmetic and bytes of every operator. The time of an operator is its arithmetic at 75 % of the GPU's
peak or its bytes at 85 % of the memory's bandwidth, whichever takes longer, and at least 2.5 microseconds. So the speed
is what a GPU could reach at best. The loss is counted as it is without a compiler.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from benchmarks.fake_cuda.device import compile_guard, fake_cuda, load_guard

# bytes per second of memory; the peak arithmetic is that of distill/run/throughput.py
BANDWIDTH = {"4090": 1.01e12, "A100": 2.04e12, "H100": 3.35e12, "H200": 4.8e12, "B200": 8.0e12, "MI300X": 5.3e12}
MICRO_BATCHES = ((4, 512, False), (8, 1024, False), (32, 1024, False), (32, 1024, True))  # and whether checkpointing
LEAST_SECONDS, OF_PEAK, OF_BANDWIDTH = 2.5e-6, 0.75, 0.85
SMOLLM2 = {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
    "tie_word_embeddings": True,
}
LLAMA_1B = {
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "tie_word_embeddings": True,
}


class Pair(NamedTuple):
    """A teacher and a student of one architecture. sizes: of its configuration, apart from the number of layers."""

    name: str
    architecture: str
    sizes: dict[str, Any]
    layers_name: str
    teacher_layers: int
    student_layers: int


PAIRS = [
    Pair("GPT-2 small, 12 to 6 layers", "gpt2", {"n_positions": 1024}, "n_layer", 12, 6),
    Pair("SmolLM2-135M, all 30 layers", "llama", SMOLLM2, "num_hidden_layers", 30, 30),
    Pair("Llama 3.2 1B, 16 to 8 layers", "llama", LLAMA_1B, "num_hidden_layers", 16, 8),
]


class Counts(NamedTuple):
    """peak_bytes: the most memory at one time. operators: FLOP and bytes of each."""

    peak_bytes: int
    operators: list[tuple[float, int]]

    def seconds(self, flops_per_second: float, bytes_per_second: float) -> float:
        """The least time of all operators one after the other."""
        return sum(
            max(flops / (OF_PEAK * flops_per_second), moved / (OF_BANDWIDTH * bytes_per_second), LEAST_SECONDS)
            for flops, moved in self.operators
        )


def count_step(pair: Pair, num_rows: int, seq_len: int, checkpointing: bool) -> Counts:
    """One optimizer step of one micro-batch."""
    import torch
    from torch.utils.flop_counter import flop_registry
    from transformers import AutoConfig, AutoModelForCausalLM

    from benchmarks.step import gender_classes, random_batch
    from benchmarks.traffic import GPT2, Memory, moved_bytes, tensors_in
    from distill.config import RunConfig
    from distill.loss.distiller import Distiller
    from distill.loss.fused import Objective
    from distill.models.gpu_operations import CAUSAL, use_gpu_operations
    from distill.models.logit_transform import LogitTransform
    from distill.run.launch import build_accelerator, checkpoint_activations, prepare
    from distill.run.learner import Learner, TrainState, begin_state, build_optimizer
    from distill.run.schedule import build_scheduler
    from distill.run.step import scored_batches, train_step
    from distill.settings import load_config

    memory, operators = Memory(), []

    def note(func: Any, args: Any, kwargs: Any, out: Any) -> None:
        given, made = tensors_in((args, kwargs)), tensors_in(out)
        memory.note(given, [tensor for tensor in made if tensor.device.type == "cuda"])
        if moved := moved_bytes(func, given, made):
            count = flop_registry.get(func._overloadpacket)
            operators.append((count(*tensors_in(args), out_val=out) if count else 0, moved))

    def model(num_layers: int) -> Any:
        config = AutoConfig.for_model(pair.architecture, **pair.sizes | {pair.layers_name: num_layers})
        with torch.device("cuda"):
            built = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        use_gpu_operations(built)
        built.set_attn_implementation(CAUSAL)
        built.logit_transform = LogitTransform()  # nothing can be looked at there
        return built

    config = load_config(RunConfig, GPT2)
    flash = mock.patch.object(torch.nn.functional, "scaled_dot_product_attention", flash_attention)
    with flash, fake_cuda(on_operator=note):
        accelerator = build_accelerator(config)
        teacher, student = model(pair.teacher_layers).to(torch.bfloat16), model(pair.student_layers).train()
        if checkpointing:
            checkpoint_activations(student)
        classes = gender_classes().to(accelerator.device)
        objective = Objective(config.loss, config.perturb, classes)
        distiller = Distiller(student, objective, teacher.requires_grad_(False).eval())
        prepared, optimizer = prepare(accelerator, distiller, build_optimizer(config.optim, distiller))
        begin_state(optimizer.optimizer)
        learner = Learner(prepared, optimizer, build_scheduler(config.optim, optimizer, 1), TrainState())
        rows = random_batch(num_rows, seq_len, student.config.vocab_size, gender_classes())
        micro_batches = list(scored_batches([rows], config, accelerator.device))
        operators.clear()
        memory.peak = memory.now
        train_step(accelerator, config, learner, micro_batches)
    return Counts(memory.peak, operators)


def flash_attention(
    query: Any, key: Any, value: Any, attn_mask: None = None, dropout_p: float = 0.0, **options: Any
) -> Any:
    """The kernel that a GPU takes for causal attention in bf16. Fake tensors would take the one without a kernel."""
    import torch

    attend = torch.ops.aten._scaled_dot_product_flash_attention
    return attend(query, key, value, dropout_p, True, False, scale=options.get("scale"))[0]


def main() -> None:
    """Print one Markdown table."""
    os.environ["ACCELERATE_MIXED_PRECISION"] = "bf16"
    with tempfile.TemporaryDirectory() as folder:
        if complaint := compile_guard(Path(folder)):
            raise SystemExit(f"error: fake CUDA needs g++ and the headers of torch: {complaint}")
        load_guard(Path(folder))
    from distill.run.throughput import PEAK_FLOPS_PER_SECOND

    print("| models | rows x tokens | memory, GB |", *(f"{card} |" for card in BANDWIDTH))
    print("|---|---|---|" + "---|" * len(BANDWIDTH))
    for pair in PAIRS:
        for num_rows, seq_len, checkpointing in MICRO_BATCHES:
            counts = count_step(pair, num_rows, seq_len, checkpointing)
            speeds = [
                num_rows * (seq_len - 1) / counts.seconds(PEAK_FLOPS_PER_SECOND[card], bandwidth)
                for card, bandwidth in BANDWIDTH.items()
            ]
            note = ", checkpointing" if checkpointing else ""
            cells = [pair.name, f"{num_rows} x {seq_len}{note}", f"{counts.peak_bytes / 1e9:.1f}"]
            print("|", " | ".join([*cells, *(f"{speed:,.0f}" for speed in speeds)]), "|", flush=True)


if __name__ == "__main__":
    main()
