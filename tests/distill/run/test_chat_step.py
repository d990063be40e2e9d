"""The loss on conversations against a slow float64 reference that reads them with transformers' own masks."""

import copy

import numpy as np
import pytest
import torch
from chat_pairs import TEMPLATE, conversations, readings
from reference_loss import reference_loss

from augment.lexicon import load_lexicon
from distill.config import RunConfig
from distill.data.batches import collate
from distill.data.packing import PairedExample, pack, pair_texts
from distill.loss.distiller import Distiller
from distill.loss.fused import Objective
from distill.loss.gender_classes import gender_classes
from distill.models.document_mask import mask_documents
from distill.models.loading import load_tokenizer
from distill.run.step import scored_batches
from distill.settings import validate

LEXICON = load_lexicon()
SEQ_LEN = 200


@pytest.fixture(scope="module")
def chat_tokenizer(small_world):
    tokenizer = load_tokenizer(str(small_world / "tokenizer"))
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def run_config(mode: str, operation: str) -> RunConfig:
    return validate(
        RunConfig,
        {
            "run_dir": "unused",
            "data": {"path": "unused", "format": "chat", "seq_len": SEQ_LEN},
            "augment": {"mode": mode},
            "teacher": {"path": "unused"},
            "student": {"layers": [0, 2]},
            "perturb": {"operation": operation, "strength": 0.8},
            "loss": {"kd_weight": 0.6, "ce_weight": 0.3, "hidden_weight": 0.2, "temperature": 2.0},
            "train": {"max_steps": 1, "global_batch_size": 2, "micro_batch_size": 2},
        },
    )


def expected_examples(documents, tokenizer) -> list[PairedExample]:
    """Each conversation alone, as transformers writes it and marks what the assistant writes."""
    return [
        PairedExample(own.ids, other.ids, document.example.align, own.scored, other.scored)
        for document, own, other in zip(documents, readings(tokenizer, 0), readings(tokenizer, 1), strict=True)
    ]


def side_by_side(examples: list[PairedExample]) -> PairedExample:
    """One row of several conversations."""
    starts = np.cumsum([0, *(len(example.cf_input_ids) for example in examples)])
    align = [np.where(e.align < 0, -1, e.align + start) for e, start in zip(examples, starts, strict=False)]
    columns = list(zip(*examples, strict=True))
    ids, cf_ids, scored, cf_scored = (np.concatenate(columns[number]) for number in (0, 1, 3, 4))
    return PairedExample(ids, cf_ids, np.concatenate(align), scored, cf_scored)


def loss_and_gradients(student, teacher, rows, config: RunConfig, classes) -> tuple[float, list[torch.Tensor]]:
    """Those of the module that is trained, over rows in two micro-batches, divided by the number of predictions."""
    module = Distiller(student, Objective(config.loss, config.perturb, classes), teacher)
    micro_batches = [collate(rows[:1], SEQ_LEN), collate([*rows[1:], None], SEQ_LEN)]
    scored = list(scored_batches(micro_batches, config))
    scale = torch.ones(()) / sum(positions.num_tokens for _, positions in scored)
    losses = []
    for batch in scored:
        losses.append(module(*batch, scale).loss)
        losses[-1].backward()
    return sum(losses).item(), [parameter.grad for parameter in student.parameters()]


@pytest.mark.parametrize("layout", ["alone", "packed", "masked"])
@pytest.mark.parametrize(
    ("mode", "operation"), [("none", "none"), ("none", "equivariant"), ("augment", "equivariant_geometric")]
)
def test_loss_and_gradients_equal_the_slow_reference(layout, mode, operation, chat_tokenizer, tiny_model):
    """One conversation in a row, several in a row, and several with attention that stops between them."""
    config, classes = run_config(mode, operation), gender_classes(chat_tokenizer, LEXICON)
    teacher = tiny_model("llama", seed=1, max_position_embeddings=SEQ_LEN).requires_grad_(False)
    student = tiny_model("llama", seed=2, max_position_embeddings=SEQ_LEN)
    student64, teacher64 = copy.deepcopy(student).double(), copy.deepcopy(teacher).double()
    documents = pair_texts(conversations(), chat_tokenizer, LEXICON)
    alone = expected_examples(documents, chat_tokenizer)
    expected_rows = [side_by_side(alone[:2]), alone[2]] if layout == "packed" else alone
    expected = reference_loss(student64, teacher64, expected_rows, config, classes)
    expected.backward()

    if layout == "alone":
        rows = [document.example for document in documents]
    else:
        room = max(len(e.input_ids) for e in (side_by_side(alone[:2]), side_by_side(alone[:2]).exchanged()))
        rows = list(pack(((document, False) for document in documents), room))
        assert len(rows) == 2
    if layout == "masked":
        for model in (student, teacher):
            mask_documents(model, chat_tokenizer.bos_token_id, SEQ_LEN)
    loss, gradients = loss_and_gradients(student, teacher, rows, config, classes)
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    for mine, parameter in zip(gradients, student64.parameters(), strict=True):
        scale = parameter.grad.abs().max().item()
        torch.testing.assert_close(mine.double(), parameter.grad, rtol=1e-4, atol=1e-4 * scale + 1e-12)


def test_tokens_that_are_not_learned_give_no_gradient(chat_tokenizer, tiny_model):
    """What the user says after the last answer changes nothing."""
    config = run_config("none", "none")
    first = conversations()[0]
    results = []
    for last in ("Thank you.", "The woman lost her keys and went home."):
        student = tiny_model("gpt2", seed=2, n_positions=SEQ_LEN)
        teacher = tiny_model("gpt2", seed=1, n_positions=SEQ_LEN).requires_grad_(False)
        more = first._replace(messages=(*first.messages, first.messages[1]._replace(content=last)))
        (document,) = pair_texts([more], chat_tokenizer, LEXICON)
        results.append(loss_and_gradients(student, teacher, [document.example], config, None))
    (loss, gradients), (other_loss, other_gradients) = results
    assert loss == pytest.approx(other_loss, rel=1e-6)
    for mine, theirs in zip(gradients, other_gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5 * theirs.abs().max().item())
