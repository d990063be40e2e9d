"""What identifies a model: the content of a folder, or the revision of a hub repository that was read."""

import shutil

import pytest
import yaml

from distill import export_checkpoint, train
from distill.evaluation.config import ScoringConfig
from distill.evaluation.scoring.model_specs import ModelSpec, load_scorer
from distill.evaluation.suite import model_key
from distill.models.identity import folder_fingerprint, is_unidentified, model_fingerprint
from distill.models.loading import load_causal_lm

FIRST, SECOND = "a1" * 20, "b2" * 20


@pytest.fixture
def hub(tmp_path, tiny_model, tokenizer, monkeypatch):
    """The hub's cache with the model me/teacher in two revisions; hub(revision) makes one of them current."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--me--teacher"
    for seed, revision in enumerate((FIRST, SECOND)):
        tiny_model("gpt2", seed=seed, initializer_range=0.1).save_pretrained(repository / "snapshots" / revision)
        tokenizer.save_pretrained(repository / "snapshots" / revision)
    (repository / "refs").mkdir()

    def make_current(revision):
        (repository / "refs" / "main").write_text(revision)
        return repository / "snapshots" / revision

    make_current(FIRST)
    return make_current


def test_a_hub_model_is_its_revision_at_the_time_when_it_was_loaded(hub):
    before = load_causal_lm("me/teacher")
    hub(SECOND)
    after = load_causal_lm("me/teacher", dropout=0.0)  # reads the configuration separately
    assert not before.get_input_embeddings().weight.equal(after.get_input_embeddings().weight)
    assert model_fingerprint("me/teacher", before) == f"me/teacher@{FIRST}"
    assert model_fingerprint("me/teacher", after) == f"me/teacher@{SECOND}"
    assert model_fingerprint("me/teacher") == f"me/teacher@{SECOND}"


def test_the_records_of_an_evaluation_belong_to_one_revision(hub):
    keys = []
    for revision in (FIRST, SECOND, FIRST):
        hub(revision)
        spec, scoring = ModelSpec("teacher", "me/teacher"), ScoringConfig()
        scorer = load_scorer(spec, scoring)
        keys.append(model_key(model_fingerprint(spec.path, scorer.model), spec, scorer, scoring))
    assert keys[0] == keys[2] != keys[1]


def test_a_snapshot_that_is_named_by_no_commit_is_identified_by_its_files(hub):
    snapshot = hub(FIRST)
    named = snapshot.rename(snapshot.with_name("converted"))
    hub("converted")
    model = load_causal_lm("me/teacher")
    assert model_fingerprint("me/teacher", model) == f"me/teacher@{folder_fingerprint(named)}"


def test_a_repository_of_a_gguf_file_has_a_revision(hub):
    snapshot = hub(FIRST)
    (snapshot / "tiny.gguf").write_bytes(b"weights")
    for name in ("config.json", "model.safetensors", "generation_config.json"):
        (snapshot / name).unlink()
    assert model_fingerprint("me/teacher", gguf_file="tiny.gguf") == f"me/teacher@{FIRST}"
    assert model_fingerprint("me/teacher") == f"me/teacher@{FIRST}"
    with pytest.raises(FileNotFoundError, match="cannot load a model from me/teacher: "):
        load_causal_lm("me/teacher")


def test_a_hub_model_that_is_not_in_the_cache_is_not_identified_but_refused(hub):
    with pytest.raises(ValueError, match="which revision of the hub model me/other .* hf download me/other"):
        model_fingerprint("me/other")


def test_states_are_cached_by_revision_and_a_run_keeps_to_its_own(hub, config_file, tmp_path):
    command = ["--config", str(config_file), "teacher.path=me/teacher", "teacher.targets=cached", "train.max_steps=2"]
    command += ["data.max_documents=60", "train.eval_blocks=1"]
    run = f"run_dir={tmp_path / 'first'}"
    train.main([*command, run])
    shutil.rmtree(tmp_path / "first" / "student")  # as if it had been stopped before
    hub(SECOND)
    train.main([*command, f"run_dir={tmp_path / 'second'}"])
    assert len(list((tmp_path / "cache").glob("states-*"))) == 2
    with pytest.raises(ValueError, match=f"teacher: 'me/teacher@{FIRST}' there, 'me/teacher@{SECOND}' now"):
        train.main([*command, run, f"teacher.path=me/teacher@{SECOND}"])
    train.main([*command, run])  # keeps to the first
    assert len(list((tmp_path / "cache").glob("states-*"))) == 2
    shutil.rmtree(tmp_path / "first" / "student")

    written = tmp_path / "first" / "config.yaml"  # as a version wrote it that did not know revisions
    settings = yaml.safe_load(written.read_text())
    settings["provenance"]["teacher"], settings["teacher"]["path"] = "me/teacher@None", "me/teacher"
    written.write_text(yaml.safe_dump(settings))
    for begin in (
        lambda: train.main([*command, run]),
        lambda: export_checkpoint.export_checkpoint(tmp_path / "first", "step_00000002", tmp_path / "out"),
    ):
        with pytest.raises(ValueError, match="does not say which revision of its teacher .*me/teacher@None") as fault:
            begin()
        assert "\n" not in str(fault.value)
        assert f"write me/teacher@{SECOND} there" in str(fault.value)


def test_an_old_fingerprint_without_a_revision_is_recognised():
    assert is_unidentified("me/teacher@None")
    assert not any(map(is_unidentified, (None, f"me/teacher@{FIRST}", "0f" * 32, {"model_type": "gpt2"})))
