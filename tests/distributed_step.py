"""One training step of every split, whose losses and gradients are returned, or saved by rank 0.

Each process takes its share of eight rows of different lengths; two of them are padding, so that one row per
micro-batch leaves some micro-batches in which nothing is scored.
"""

import torch
from accelerate import Accelerator
from torch.distributed.tensor import DTensor

from augment.lexicon import load_lexicon
from distill.config import RunConfig
from distill.data.batches import collate
from distill.data.packing import pair_texts
from distill.loss.distiller import Distiller
from distill.loss.fused import Objective
from distill.loss.gender_classes import gender_classes
from distill.models.loading import load_causal_lm, load_tokenizer
from distill.run.launch import build_accelerator, leave, prepare, shard_teacher
from distill.run.learner import Learner, TrainState
from distill.run.step import scored_batches, train_step
from distill.settings import validate

SEQ_LEN = 32
TEXTS = [
    "The woman said that she lost her keys.",
    "He left.",
    "My father went home because he was tired, and his sister stayed at work with her friend.",
    "The nurse said hello.",
    "Mrs Reed, a doctor, told him that the boy was hers.",
    "The engineer likes the garden, and the man said so.",
]
ROWS = [0, None, 1, 2, 3, None, 4, 5]


def settings(folder: str) -> RunConfig:
    return validate(
        RunConfig,
        {
            "run_dir": "unused",
            "data": {"path": "unused", "seq_len": SEQ_LEN},
            "augment": {"mode": "augment"},
            "teacher": {"path": folder},
            "student": {"layers": [0]},
            "perturb": {"operation": "equivariant"},
            "loss": {"hidden_weight": 0.5},
            "train": {"max_steps": 1},
            "optim": {"max_grad_norm": 0},
        },
    )


def num_held(model: torch.nn.Module) -> int:
    """How many of a model's parameters this process holds."""
    return sum((p.to_local() if isinstance(p, DTensor) else p).numel() for p in model.parameters())


def one_step(accelerator: Accelerator, folder: str, rows_per_micro: int) -> dict:
    """The metrics and gradients of one step over this process's share of the rows.

    Under FSDP2 teacher and student are sharded. held: parameters of the teacher that this process holds before and
    after; early: how many parameters have their gradient after each micro-step.
    """
    tokenizer = load_tokenizer(f"{folder}/teacher")
    teacher = load_causal_lm(f"{folder}/teacher").requires_grad_(False)
    if accelerator.distributed_type == "FSDP":
        shard_teacher(teacher, accelerator)
    held = [num_held(teacher)]
    student = load_causal_lm(f"{folder}/student")
    lexicon = load_lexicon()
    config = settings(folder)
    documents = pair_texts(TEXTS, tokenizer, lexicon, [tokenizer.bos_token_id])
    mine = ROWS[accelerator.process_index :: accelerator.num_processes]
    examples = [None if row is None else documents[row].example for row in mine]
    starts = range(0, len(examples), rows_per_micro)
    rows = (collate(examples[start : start + rows_per_micro], SEQ_LEN) for start in starts)
    micro_batches = list(scored_batches(rows, config))
    classes = gender_classes(tokenizer, lexicon)
    module = Distiller(student, Objective(config.loss, config.perturb, classes), teacher)
    # a first AdamW step with beta1 = 0 keeps the gradient itself as its first moment
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3, betas=(0.0, 0.999))
    module, optimizer = prepare(accelerator, module, optimizer)
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer.optimizer, factor=1.0)
    early, backward = [], accelerator.backward

    def count_gradients(loss):
        backward(loss)
        early.append(sum(parameter.grad is not None for parameter in module.parameters()))

    accelerator.backward = count_gradients
    metrics = train_step(accelerator, config, Learner(module, optimizer, scheduler, TrainState()), micro_batches)
    accelerator.backward = backward
    sharded = accelerator.is_fsdp2
    accelerator.free_memory()  # of this module, so that the next one is its only one
    moments = [state["exp_avg"] for state in optimizer.optimizer.state.values()]
    gradients = [moment.full_tensor() if isinstance(moment, DTensor) else moment for moment in moments]
    return {
        "metrics": metrics,
        "gradients": gradients,
        "micro_steps": len(micro_batches),
        "held": [*held, num_held(teacher)],
        "early": early,
        "sharded": sharded,
    }


def all_steps(accelerator: Accelerator, folder: str, splits: list[int]) -> dict:
    """`one_step` for every number of rows per micro-batch."""
    return {rows: one_step(accelerator, folder, rows) for rows in splits}


def save_all_steps(folder: str, out: str) -> None:
    """One process of several: take the steps of all splits; rank 0 saves them.

    folder: holds the teacher and the student.
    """
    parallel = build_accelerator(settings(folder))
    results = all_steps(parallel, folder, [1, 2])
    if parallel.is_main_process:
        torch.save({"num_processes": parallel.num_processes, "steps": results}, out)
    del parallel  # it holds the DDP modules
    leave()
