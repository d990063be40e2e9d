"""`name@revision`: models, tokenizers and data sets at a branch or commit; downloads that break go on."""

import pytest
from hub.server import broken

from distill.config import DataConfig
from distill.data.corpus import corpus_fingerprint, read_documents
from distill.hub import HubName, hub_name, pinned
from distill.models.identity import SETTINGS_FILES, model_fingerprint
from distill.models.loading import load_causal_lm, load_tokenizer


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("gpt2", HubName("gpt2")),
        ("me/teacher", HubName("me/teacher")),
        ("me/teacher@v1.0", HubName("me/teacher", "v1.0")),
        ("me/teacher@refs/pr/1", HubName("me/teacher", "refs/pr/1")),
        ("here", None),
        ("here/typo", None),
        ("here@v1/typo", None),
        ("a/b/c", None),
        ("./me/teacher", None),
        ("~/me/teacher", None),
    ],
)
def test_what_is_a_name_of_the_hub(path, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    (tmp_path / "here@v1").mkdir()
    assert hub_name(path) == expected
    assert expected is None or str(expected) == path


def test_a_name_with_nothing_behind_the_at_is_refused():
    with pytest.raises(ValueError, match="me/teacher@ names no revision; give a branch, tag or commit after @"):
        hub_name("me/teacher@")


@pytest.fixture
def folder(tmp_path, tiny_model, tokenizer):
    """A model with its tokenizer; write(seed) gives it other weights."""

    def write(seed):
        tiny_model("gpt2", seed=seed).save_pretrained(tmp_path / "model")
        tokenizer.save_pretrained(tmp_path / "model")
        return tmp_path / "model"

    return write


def test_models_and_tokenizers_are_read_at_their_revision_through_a_connection_that_breaks(hub, folder, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    first = hub.add("me/teacher", folder(seed=0))
    hub.repositories["models", "me/teacher"].branches["v1"] = first
    second = hub.add("me/teacher", folder(seed=1))
    hub.faults = {f"content of {name}": broken(times=2) for name in ("model.safetensors", "tokenizer.json")}
    models = {path: load_causal_lm(path) for path in ("me/teacher@v1", "me/teacher@main", "me/teacher")}
    assert [model_fingerprint(path, model) for path, model in models.items()] == [
        f"me/teacher@{commit}" for commit in (first, second, second)
    ]
    old, new, newest = (model.get_input_embeddings().weight for model in models.values())
    assert new.equal(newest) and not new.equal(old)
    assert pinned("me/teacher@main", SETTINGS_FILES) == f"me/teacher@{second}"
    assert len(load_tokenizer(f"me/teacher@{first}")) == len(load_tokenizer("me/teacher"))

    hub.requests.clear()
    for load in (load_causal_lm, load_tokenizer):
        load(f"me/teacher@{first}")
    assert hub.requests == []  # a commit in the cache needs no look
    hub.stop()  # the newest commit that was seen
    assert model_fingerprint("me/teacher") == f"me/teacher@{second}"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert load_causal_lm("me/teacher").get_input_embeddings().weight.equal(new)


def test_data_sets_are_read_at_their_revision(hub, monkeypatch):
    first = hub.add("me/text", {"train.jsonl": b'{"text": "The nurse left."}\n'}, "datasets")
    second = hub.add("me/text", {"train.jsonl": b'{"text": "The man came."}\n', "README.md": b"card"}, "datasets")

    def read(path):
        config = DataConfig(path=path)
        return list(read_documents(config)), corpus_fingerprint(config)

    old = ["The nurse left."], f"me/text/None/train@{first}"
    assert read("me/text") == (["The man came."], f"me/text/None/train@{second}")
    assert read(f"me/text@{first}") == old
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    assert read(f"me/text@{first}") == old
    with pytest.raises(FileNotFoundError, match=f"commit {second} cannot be fetched now, and the cache .* has {first}"):
        read(f"me/text@{second}")


def test_a_data_set_with_a_loading_script_is_read_from_the_branch_with_its_tables(hub):
    tables = hub.add("me/script", {"train.jsonl": b'{"text": "The nurse left."}\n'}, "datasets")
    hub.add("me/script", {"script.py": b"", "README.md": b"card"}, "datasets")
    hub.repositories["datasets", "me/script"].branches["refs/convert/parquet"] = tables
    assert list(read_documents(DataConfig(path="me/script"))) == ["The nurse left."]
    assert corpus_fingerprint(DataConfig(path="me/script")) == f"me/script/None/train@{tables}"
