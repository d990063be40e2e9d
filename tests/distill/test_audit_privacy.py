"""evenhand audit-privacy: what it finds in runs that remember everything, nothing, or what differs anyway."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from distill import train
from distill.audit_privacy import main
from distill.models.run_models import load_run_models
from distill.privacy.members import read_run


@pytest.fixture
def run(config_file):
    """A finished run whose held-out documents are half of its text, with eight canaries."""
    settings = yaml.safe_load(config_file.read_text())
    settings["data"] |= {"heldout_fraction": 0.5, "max_documents": 120}
    settings["canaries"] = {"count": 8, "digits": 1}
    config_file.write_text(yaml.safe_dump(settings))
    train.main(["--config", str(config_file), "train.max_steps=20", "train.eval_every=99", "train.save_every=20"])
    return config_file.parent / "run"


def audited(run, *options):
    main([str(run), *options])
    folder = run / "privacy_audit"
    return json.loads((folder / "privacy_audit.json").read_text()), (folder / "privacy_audit.html").read_text()


def test_an_untrained_student_gives_nothing_away_and_refusals_are_one_line(run, blank_plots, capsys, tmp_path):
    models = load_run_models(read_run(run, None))
    models.student.save_pretrained(run / "student")
    content, page = audited(run, "--documents", "50")
    found = content["membership"]
    assert 20 < found["num_members"] <= 50 and 20 < found["num_others"] <= 50
    assert found["split_is_random"] and not found["blind"]["succeeds"]
    student = found["models"]["student"]
    for name in ("reference", "ez", "counterfactual"):
        assert student[name]["auc"]["value"] == 0.5
    for name in ("loss", "zlib", "min_k", "min_k_pp"):
        assert student[name]["auc"]["low"] < 0.5 < student[name]["auc"]["high"]
        assert student[name]["epsilon_at_least"] == 0
    assert set(found["models"]["teacher"]) == {"loss", "zlib", "min_k", "min_k_pp"}
    canaries = content["canaries"]
    assert canaries["count"] == 8 == len(canaries["exposures"]["planted"]) + len(canaries["exposures"]["not planted"])
    assert canaries["both_forms_read"] and canaries["num_guesses"] == 4 and canaries["epsilon_at_least"] < 1
    assert "Can a secret be read back?" in page
    assert "What this cannot say" in page and "No score tells members" in capsys.readouterr().out

    with pytest.raises(FileNotFoundError, match="student is not a run folder .*nobody knows what the model"):
        main([str(run / "student")])
    corpus = tmp_path / "moved.jsonl"
    path = yaml.safe_load((run / "config.yaml").read_text())["data"]["path"]
    text = Path(path).read_text()
    corpus.write_text(text.replace("the", "teh", 1))
    with pytest.raises(ValueError, match="moved.jsonl has changed since .*run was trained on it"):
        main([str(run), "--corpus", str(corpus)])
    with pytest.raises(
        FileNotFoundError, match=r"the text that .* was trained on is not at hand \(corpus .*none.jsonl"
    ):
        main([str(run), "--corpus", str(tmp_path / "none.jsonl")])
    (tmp_path / "teacher" / "generation_config.json").write_text("{}\n")
    with pytest.raises(ValueError, match="the teacher of .*run is not the one that it was trained with"):
        main([str(run)])
    shutil.rmtree(run / "student")
    with pytest.raises(ValueError, match="run is not a finished run"):
        main([str(run)])
    with pytest.raises(ValueError, match="--documents 9 are too few"):
        main([str(run), "--documents", "9"])


@pytest.mark.slow
def test_a_shift_between_the_groups_withholds_the_result(config_file, blank_plots, capsys, small_world, tmp_path):
    """Members have a word that the held-out text lacks, so whatever the model says of them proves nothing."""
    rows = [json.loads(line) for line in (small_world / "train.jsonl").read_text().splitlines()[:120]]
    for name, half, extra in (("train", rows[:60], " Copyright."), ("held", rows[60:], "")):
        lines = [json.dumps({"text": row["text"] + extra}) for row in half]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    overrides = [f"data.path={tmp_path}/train.jsonl", f"data.heldout_path={tmp_path}/held.jsonl"]
    overrides += ["train.max_steps=null", "train.epochs=1", "augment.mode=none", "data.seq_len=64"]
    train.main(["--config", str(config_file), *overrides])
    content, page = audited(tmp_path / "run")
    assert content["membership"]["blind"]["succeeds"] and content["membership"]["models"] == {}
    assert not content["membership"]["split_is_random"]
    assert "Withheld: " in page and "Who was in the training text?" not in page
    assert "Withheld: " in capsys.readouterr().out


@pytest.mark.slow
def test_a_student_that_was_overfitted_on_100_documents_gives_them_away(config_file, blank_plots, tmp_path):
    settings = yaml.safe_load(config_file.read_text())
    settings["data"] |= {"heldout_fraction": 0.5, "max_documents": 200, "seq_len": 64}
    settings["student"] = {"config": {"model_type": "gpt2", "n_embd": 64, "n_head": 2, "n_layer": 2, "n_positions": 64}}
    settings |= {"teacher": None, "loss": {"kd_weight": 0, "ce_weight": 1}, "perturb": {}, "optim": {"lr": 3e-3}}
    settings["augment"]["mode"] = "none"
    settings["canaries"] = {"count": 40, "repeats": 10, "digits": 2}
    settings["data"]["tokenizer"] = str(tmp_path / "teacher")
    settings["train"] |= {"max_steps": 400, "eval_every": 400, "save_every": 400}
    config_file.write_text(yaml.safe_dump(settings))
    train.main(["--config", str(config_file)])
    content, _ = audited(tmp_path / "run")
    student = content["membership"]["models"]["student"]
    assert student["reference"]["auc"]["value"] > 0.95
    assert student["loss"]["auc"]["value"] > 0.95
    assert student["reference"]["epsilon_at_least"] > 1
    assert "teacher" not in content["membership"]["models"]
    canaries = content["canaries"]
    assert canaries["planted"]["low"] > canaries["null"]["high"]
    assert canaries["extracted"]["rank_1"]["planted"]["low"] > 0.05  # by chance it is 0.01
    greedy = canaries["extracted"]["greedy"]
    assert greedy["planted"]["num"] > greedy["not planted"]["num"] == 0
    assert canaries["null"]["low"] < canaries["expected_null"] < canaries["null"]["high"]
    assert canaries["other_form"]["low"] > canaries["expected_null"]
    assert canaries["epsilon_at_least"] > 1
