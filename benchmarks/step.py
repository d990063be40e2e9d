"""Time and memory of one distillation step, compared with its lower bound and with other libraries.

    python -m benchmarks.step [--device cuda] [--out FILE.json]

Builds a GPT-2 teacher and student of the given sizes, with random weights, because the time does not depend on them.
Times the forward and backward passes of micro-batches, without the optimizer; all train on the same number of tokens.
The rows take turns, so that other load on the machine affects all of them alike. "floor" is a teacher's forward pass
plus a plain cross-entropy step. Libraries that are not installed (`pip install trl liger-kernel`) are listed instead.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from distill.data.batches import PairedBatch
from distill.loss.distiller import Distiller, teacher_states
from distill.loss.fused import Objective
from distill.loss.gender_classes import GenderClasses
from distill.loss.positions import find_positions
from distill.loss.targets import USES_COUNTERFACTUAL
from distill.loss_config import LossConfig, Operation, PerturbConfig
from distill.models.gpu_operations import use_gpu_operations

TEMPERATURE = 2.0
NUM_GENDERED = 168  # as many ids as GPT-2's tokenizer has for the default lexicon


def gender_classes() -> GenderClasses:
    """Make one-to-one pairs of ids, as many as a real vocabulary has."""
    ids = torch.arange(100, 100 + NUM_GENDERED)
    places = torch.arange(NUM_GENDERED)
    return GenderClasses(ids, places, places ^ 1, places.unsqueeze(1))


def random_batch(num_blocks: int, seq_len: int, num_ids: int, classes: GenderClasses) -> PairedBatch:
    """Make blocks of random tokens; 3 % of the tokens differ in the counterfactual."""
    input_ids = torch.randint(num_ids, (num_blocks, seq_len))
    cf_input_ids = input_ids.clone()
    swapped = torch.rand(num_blocks, seq_len) < 0.03
    places = torch.randint(NUM_GENDERED, (int(swapped.sum()),))
    input_ids[swapped], cf_input_ids[swapped] = classes.ids[places], classes.ids[places ^ 1]
    align = torch.arange(seq_len).repeat(num_blocks, 1)
    mask = align < seq_len - 1
    return PairedBatch(
        input_ids, mask, align, cf_input_ids, mask.clone(), align.clone(), torch.ones(num_blocks, dtype=torch.bool)
    )


class Workbench:
    """A teacher, a student and batches on a device. Most methods return a step: a function without arguments."""

    def __init__(self, options: argparse.Namespace) -> None:
        torch.manual_seed(0)
        self.device = torch.device(options.device)
        self.dtype = getattr(torch, options.dtype)
        self.compiles = options.compile
        sizes = {"n_embd": options.width, "n_head": max(1, options.width // 64), "vocab_size": options.vocab}
        sizes |= {"n_positions": options.seq_len, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
        models = (GPT2LMHeadModel(GPT2Config(n_layer=n, **sizes)) for n in (options.teacher, options.student))
        self.teacher, self.student = (model.to(self.device) for model in models)
        self.teacher.requires_grad_(False).eval().to(self.dtype)
        if self.device.type == "cuda":  # as in a run; the peers get them too
            for model in (self.teacher, self.student):
                use_gpu_operations(model)
        self.classes = gender_classes().to(self.device)
        self.batch = random_batch(options.batch, options.seq_len, options.vocab, gender_classes())
        self.pairs = random_batch(options.batch // 2, options.seq_len, options.vocab, gender_classes())

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def step(self, loss: Callable[[], torch.Tensor]) -> Callable[[], None]:
        def run() -> None:
            self.student.zero_grad()
            with self.autocast():
                value = loss()
            value.backward()

        return run

    def plain(self) -> Callable[[], None]:
        """A cross-entropy step with the loss of transformers."""
        ids = self.batch.input_ids.to(self.device)
        return self.step(lambda: self.student(ids, labels=ids, use_cache=False).loss)

    def teacher_forward(self) -> Callable[[], None]:
        """A forward pass of the teacher over one view."""
        ids = self.batch.input_ids.to(self.device)

        @torch.inference_mode()
        def run() -> None:
            with self.autocast():
                self.teacher(ids, use_cache=False)

        return run

    def eager(self, distance: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]) -> Callable[[], None]:
        """A distillation step that computes all logits at once.

        distance: the loss, from the student's logits [N, V], the teacher's [N, V] and the labels [N].
        """
        ids = self.batch.input_ids.to(self.device)
        labels = ids[:, 1:].flatten()

        def loss() -> torch.Tensor:
            with torch.no_grad():
                teacher = self.teacher(ids, use_cache=False).logits[:, :-1].flatten(0, 1)
            return distance(self.student(ids, use_cache=False).logits[:, :-1].flatten(0, 1), teacher, labels)

        return self.step(loss)

    def ours(self, operation: Operation = "none", both: bool = False, teach: str = "online") -> Callable[[], None]:
        """Our step. teach: `online`, `cached` (the batch holds the teacher's states), or `no` (cross-entropy alone)."""
        batch = self.pairs if both else self.batch
        positions = find_positions(batch, both, operation in USES_COUNTERFACTUAL).to(self.device)
        batch = batch.to(self.device)
        if teach == "cached":
            every_block = torch.arange(len(batch.input_ids), device=self.device)
            table = teacher_states(self.teacher, batch, every_block).to(self.dtype)
            hidden, cf_hidden = table.unflatten(0, (-1, batch.align.shape[1])).chunk(2)
            batch = batch._replace(teacher_hidden=hidden, cf_teacher_hidden=cf_hidden)
        objective = Objective(
            LossConfig(temperature=TEMPERATURE), PerturbConfig(operation=operation), self.classes, self.compiles
        )
        distiller = Distiller(self.student, objective, None if teach == "no" else self.teacher)
        scale = torch.tensor(1 / positions.num_tokens, device=self.device)
        return self.step(lambda: distiller(batch, positions, scale).loss)


def distilgpt2_loss(student: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The loss of DistilGPT2, 0.5 tau^2 KL + 0.5 CE, written the usual way; a mean over the rows, in nats."""
    student, teacher = student.float(), teacher.float()
    soft = F.kl_div((student / TEMPERATURE).log_softmax(-1), (teacher / TEMPERATURE).softmax(-1), reduction="batchmean")
    return 0.5 * TEMPERATURE**2 * soft + 0.5 * F.cross_entropy(student, labels)


def peers(bench: Workbench) -> tuple[dict[str, Callable[[], None]], list[str]]:
    """Steps with the losses of other libraries, and a line for each library that is not installed."""
    rows, absent = {}, []
    try:
        from trl.experimental.gkd import GKDTrainer

        jsd = GKDTrainer.generalized_jsd_loss
        rows[f"KD, TRL {version('trl')} GKD loss"] = bench.eager(
            lambda s, t, labels: jsd(s[None], t[None], labels[None], beta=0.0, temperature=TEMPERATURE)
        )
    except ImportError as error:
        absent.append(f"TRL is not installed ({error})")
    try:
        from liger_kernel.chunked_loss import LigerFusedLinearJSDLoss

        liger = LigerFusedLinearJSDLoss(
            weight_hard_loss=0.5,
            weight_soft_loss=0.5,
            beta=0.5,
            temperature=TEMPERATURE,
            compiled=bench.device.type != "cpu",
        )
        ids = bench.batch.input_ids.to(bench.device)

        def loss() -> torch.Tensor:
            with torch.no_grad():
                teacher = bench.teacher.base_model(ids, use_cache=False).last_hidden_state[:, :-1].flatten(0, 1)
            student = bench.student.base_model(ids, use_cache=False).last_hidden_state[:, :-1].flatten(0, 1)
            weights = (model.get_output_embeddings().weight for model in (bench.student, bench.teacher))
            student_weight, teacher_weight = (weight.to(bench.dtype) for weight in weights)
            labels = ids[:, 1:].flatten()
            return liger(student.to(bench.dtype), student_weight, teacher.to(bench.dtype), teacher_weight, labels)

        rows[f"KD, Liger {version('liger-kernel')} fused JSD"] = bench.step(loss)
    except ImportError as error:
        absent.append(f"Liger is not installed ({error})")
    return rows, absent


def time_rows(rows: dict[str, Callable[[], None]], device: torch.device, rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of each row, and on a GPU its peak memory in bytes. The rows take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    peaks = {}
    for number in range(rounds + 1):
        for name, run in rows.items():
            if device.type == "cuda":
                torch.cuda.synchronize()
                torch.cuda.reset_peak_memory_stats()
            begun = time.perf_counter()
            run()
            if device.type == "cuda":
                torch.cuda.synchronize()
                peaks[name] = torch.cuda.max_memory_allocated()
            if number > 0:  # the first round warms up
                seconds[name].append(time.perf_counter() - begun)
    return {
        name: {"median_seconds": statistics.median(values), "min_seconds": min(values)}
        | ({"peak_bytes": peaks[name]} if name in peaks else {})
        for name, values in seconds.items()
    }


def speed(options: argparse.Namespace) -> dict:
    """The table of steps."""
    bench = Workbench(options)
    plain, forward = "CE, transformers", "teacher forward"
    rows = {
        plain: bench.plain(),
        forward: bench.teacher_forward(),
        "CE, ours": bench.ours(teach="no"),
        "KD, eager (DistilGPT2)": bench.eager(distilgpt2_loss),
        "KD, ours": bench.ours(),
        "KD, ours, cached teacher": bench.ours(teach="cached"),
        "KD, ours, equivariant": bench.ours("equivariant"),
        "pair KD, ours, max": bench.ours("max", both=True),
        "pair KD, ours, equivariant": bench.ours("equivariant", both=True),
        "pair KD, ours, equivariant, cached": bench.ours("equivariant", both=True, teach="cached"),
    }
    others, absent = peers(bench)
    results = time_rows(rows | others, bench.device, options.rounds)
    num_tokens = options.batch * (options.seq_len - 1)
    floor = results[plain]["median_seconds"] + results[forward]["median_seconds"]
    print(f"{'':36}{'seconds':>9}{'least':>9}{'tokens/s':>10}{'/ CE':>7}{'/ floor':>9}{'peak GB':>9}")
    for name, row in results.items():
        row["tokens_per_second"] = num_tokens / row["median_seconds"]
        row["ratio_to_plain"] = row["median_seconds"] / results[plain]["median_seconds"]
        row["ratio_to_floor"] = row["median_seconds"] / floor
        peak = f"{row['peak_bytes'] / 1e9:9.2f}" if "peak_bytes" in row else ""
        print(
            f"{name:36}{row['median_seconds']:9.3f}{row['min_seconds']:9.3f}{row['tokens_per_second']:10.0f}"
            f"{row['ratio_to_plain']:7.2f}{row['ratio_to_floor']:9.2f}{peak}"
        )
    print(f"floor: {floor:.3f} s", *absent, sep="\n")
    return {"rows": results, "floor_seconds": floor, "absent": absent}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--teacher", type=int, default=12, help="layers")
    parser.add_argument("--student", type=int, default=6, help="layers")
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--vocab", type=int, default=50_257)
    parser.add_argument("--seq-len", type=int, default=512)
    parser.add_argument("--batch", type=int, default=4, help="trained sequences in a micro-batch; even")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="compile our loss, except its matrix products")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    device = (
        torch.cuda.get_device_name()
        if options.device == "cuda"
        else f"{platform.machine()}, {torch.get_num_threads()} threads"
    )
    print(f"{device}, torch {torch.__version__}")
    figures = speed(options)
    if options.out:
        about = {"date": time.strftime("%Y-%m-%d"), "device": device, "torch": torch.__version__}
        settings = {name: value for name, value in vars(options).items() if name != "out"}
        options.out.write_text(json.dumps(about | {"settings": settings} | figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
