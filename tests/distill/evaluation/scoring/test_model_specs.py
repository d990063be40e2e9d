"""The words of a command line: models, labels and overrides."""

import pytest

from distill.evaluation.scoring.model_specs import ModelSpec, file_name, parse_models, split_arguments


def test_words_with_equals_are_overrides_or_labels(tmp_path):
    words = ["a", "b=/x/y", "world=w", "text.path=/x", "v1.5=" + str(tmp_path), "typo.key=3", "hub/name", "./a=b"]
    models, overrides = split_arguments(words)
    assert models == ["a", "b=/x/y", "v1.5=" + str(tmp_path), "hub/name", "./a=b"]
    assert overrides == ["world=w", "text.path=/x", "typo.key=3"]


def test_models_are_found_in_run_folders_and_gguf_files(tmp_path):
    (tmp_path / "run" / "student").mkdir(parents=True)
    (tmp_path / "quantised").mkdir()
    (tmp_path / "quantised" / "model.gguf").touch()
    assert parse_models(
        [f"{tmp_path}/run/", f"q={tmp_path}/quantised", f"{tmp_path}/quantised/model.gguf", "org/name"]
    ) == [
        ModelSpec("run", f"{tmp_path}/run/student"),
        ModelSpec("q", f"{tmp_path}/quantised", "model.gguf"),
        ModelSpec("model.gguf", f"{tmp_path}/quantised", "model.gguf"),
        ModelSpec("name", "org/name"),
    ]
    with pytest.raises(ValueError, match="no model given"):
        parse_models([])


def test_labels_become_safe_file_names():
    assert file_name("a b/../c:1.5") == "a-b-..-c-1.5"
    assert file_name("..") == "model"
