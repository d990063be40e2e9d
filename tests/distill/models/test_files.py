"""The files in a model's folder: adapters, Git LFS pointers and folders of something else are refused by name."""

import json
import shutil

import pytest
from transformers import AutoTokenizer

from distill.hub import HubName
from distill.models.files import check_files
from distill.models.loading import load_causal_lm, load_tokenizer
from distill.models.student import read_settings

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0f' * 32}\nsize 99\n"


def test_an_adapter_beside_a_model_is_refused_and_its_tokenizer_is_read(folder, monkeypatch, tmp_path):
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 8}))
    message = r"holds an adapter \(adapter_config.json\), which would not be part of the model; merge it first"
    for dropout in (None, 0.1):
        with pytest.raises(ValueError, match=message):
            load_causal_lm(str(folder), dropout=dropout)
    assert len(load_tokenizer(str(folder))) > 2
    for name in ("config.json", "model.safetensors"):  # an adapter alone
        (folder / name).unlink()
    with pytest.raises(ValueError, match=message):
        load_causal_lm(str(folder))
    monkeypatch.setattr("distill.models.files.hf_hub_download", lambda name, file, revision: {"me/tuned": file}[name])
    with pytest.raises(ValueError, match="me/tuned " + message):
        check_files("me/tuned", "model", hub=HubName("me/tuned"))
    check_files("me/whole", "model", hub=HubName("me/whole"))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_pointer_is_named(folder, name):
    (folder / name).write_text(POINTER)
    load = load_tokenizer if name.startswith("tok") else load_causal_lm
    with pytest.raises(ValueError, match=f"{name} is a Git LFS pointer, not the file itself; get the file: git lfs"):
        load(str(folder))
    if name == "config.json":
        with pytest.raises(ValueError, match="student.config: .*config.json is a Git LFS pointer"):
            read_settings(str(folder))


def test_a_pointer_of_words_is_no_vocabulary_and_weights_that_are_not_read_may_be_pointers(folder, tmp_path):
    for name in ("pytorch_model.bin", "vocab.txt", "model.onnx"):
        (folder / name).write_text(POINTER)
    load_causal_lm(str(folder))
    load_tokenizer(str(folder))
    (tmp_path / "words").mkdir()
    (tmp_path / "words/tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    (tmp_path / "words/vocab.txt").write_text(POINTER)
    assert len(AutoTokenizer.from_pretrained(tmp_path / "words")) > 2  # transformers takes its lines for words
    with pytest.raises(ValueError, match="vocab.txt is a Git LFS pointer"):
        load_tokenizer(str(tmp_path / "words"))


@pytest.mark.parametrize("load", [load_tokenizer, load_causal_lm])
def test_what_is_not_the_folder_of_a_model_is_refused_with_the_folder_that_is(load, folder, tmp_path):
    run = tmp_path / "run"
    (run / "checkpoints/step_00000002").mkdir(parents=True)
    (run / "config.yaml").touch()
    expected = {
        run: "the run has no student yet, .*evenhand checkpoint .*run best --out FOLDER",
        run / "checkpoints/step_00000002": "evenhand checkpoint .*run step_00000002 --out FOLDER",
        run / "checkpoints": "give the folder of a transformers model",
        folder / "config.json": f"is a file, but a .* is read from a folder; give its folder, {folder}$",
    }
    for place, remedy in expected.items():
        with pytest.raises(FileNotFoundError, match=remedy):
            load(str(place))
    shutil.copytree(folder, run / "student")
    with pytest.raises(FileNotFoundError, match=f"it has no config.json; give {run / 'student'}$"):
        load(str(run))
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed/q8.gguf").touch()
    with pytest.raises(FileNotFoundError, match=r"set teacher.gguf_file=q8.gguf"):
        load(str(tmp_path / "packed"))
    with pytest.raises(FileNotFoundError, match=r"set teacher.path=.*packed and teacher.gguf_file=q8.gguf"):
        load(str(tmp_path / "packed/q8.gguf"))
