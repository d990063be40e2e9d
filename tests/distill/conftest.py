"""A fixture for tests of models and students."""

import pytest


@pytest.fixture
def folder(tmp_path, tiny_model, tokenizer):
    """A teacher with its tokenizer, on disk."""
    tiny_model("gpt2").save_pretrained(tmp_path / "teacher")
    tokenizer.save_pretrained(tmp_path / "teacher")
    return tmp_path / "teacher"
