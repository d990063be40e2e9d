"""Attention that stops at the boundaries of documents."""

import pytest
import torch

from distill import train
from distill.models.document_mask import document_positions, mask_documents
from distill.run.folder import read_metrics

START = 7
FIRST, SECOND = [START, 3, 4, 5, 6], [START, 9, 8]


def test_positions_restart_at_each_document_and_at_each_row():
    rows = torch.tensor([[5, 6, START, 1, 2, START], [START, 1, 2, 3, 4, START]])
    assert document_positions(rows, START).tolist() == [[0, 1, 0, 1, 2, 0], [0, 1, 2, 3, 4, 0]]


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_a_document_reads_as_if_it_stood_alone(architecture, tiny_model):
    model = tiny_model(architecture)

    def read(ids: list[int]) -> torch.Tensor:
        return model.base_model(input_ids=torch.tensor([ids]), use_cache=False).last_hidden_state[0]

    alone = torch.cat([read(FIRST), read(SECOND), read([1, 2])])
    unmasked = read(FIRST + SECOND)
    mask_documents(model, START, 64)
    together = model.base_model(input_ids=torch.tensor([FIRST + SECOND, [1, 2, *SECOND, *SECOND]]), use_cache=False)
    torch.testing.assert_close(together.last_hidden_state[0], alone[:8])
    torch.testing.assert_close(together.last_hidden_state[1, :5], torch.cat([alone[8:], alone[5:8]]))
    assert (unmasked[5:] - alone[5:8]).abs().max() > 0.1  # without the mask the first document changes the second
    prompt = torch.tensor([FIRST])
    model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=3, do_sample=False, pad_token_id=0)


@pytest.mark.slow
def test_a_run_with_masked_documents_is_another_one_and_caches_other_states(config_file, tmp_path):
    finals = {}
    for name, options in {
        "plain": [],
        "masked": ["data.mask_documents=true"],
        "cached": ["data.mask_documents=true", "teacher.targets=cached"],
    }.items():
        train.main(["--config", str(config_file), *options, "student.dropout=0", f"run_dir={tmp_path / name}"])
        finals[name] = [line["loss"] for line in read_metrics(tmp_path / name) if "loss" in line]
    assert finals["masked"] == pytest.approx(finals["cached"], rel=1e-5)
    assert finals["masked"] != pytest.approx(finals["plain"], rel=1e-5)
    train.main(
        ["--config", str(config_file), "teacher.targets=cached", f"run_dir={tmp_path / 'x'}", "student.dropout=0"]
    )
    assert len(list((tmp_path / "cache").glob("states-*"))) == 2
