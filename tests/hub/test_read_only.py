"""A cache that cannot be written: what is whole in it is used; what would be written is one clear error."""

import errno
import os
import sys

import forked
import pytest

from distill.config import DataConfig
from distill.data.corpus import read_documents
from distill.models.loading import load_causal_lm, load_tokenizer

WRITES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.chmod", "os.utime"}


def make_read_only(folder):
    """Refuse what would change a folder, in this process until it ends. (The superuser may write anywhere.)"""

    def refuse(event, arguments):
        opens = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (opens or event in WRITES) and str(arguments[0]).startswith(str(folder)):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(arguments[0]))

    sys.addaudithook(refuse)


def test_a_whole_model_is_read_from_a_read_only_cache(hub, tmp_path, tiny_model, tokenizer):
    tiny_model("gpt2").save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    hub.add("me/teacher", tmp_path / "model")
    hub.add("me/new", {"config.json": b"{}"})
    hub.add("me/text", {"train.jsonl": b'{"text": "The nurse left."}\n'}, "datasets")
    load_causal_lm("me/teacher"), load_tokenizer("me/teacher")

    def read():
        make_read_only(tmp_path / "hf")
        assert load_causal_lm("me/teacher").config.model_type == "gpt2"
        assert len(load_tokenizer("me/teacher")) == len(tokenizer)
        message = "the cache cannot be used .*Read-only.*; set HF_HOME, or HF_DATASETS_CACHE for data sets, to a folder"
        with pytest.raises(FileNotFoundError, match=f"cannot load a model from me/new: {message}"):
            load_causal_lm("me/new")
        with pytest.raises(FileNotFoundError, match=f"corpus me/text .*: {message}"):
            list(read_documents(DataConfig(path="me/text")))

    log = tmp_path / "log"
    assert forked.wait(forked.start(read, log), log) == 0, log.read_text()
