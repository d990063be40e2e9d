"""The exported student of a checkpoint is the student that the run had at that step."""

import math

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from distill import train
from distill.export_checkpoint import main
from distill.run.checkpoint import best_checkpoint, checkpoints
from distill.run.folder import read_metrics


def test_the_student_of_the_last_checkpoint_is_that_of_the_run(config_file, tmp_path, capsys):
    run, out = tmp_path / "run", tmp_path / "models" / "last"
    train.main(["--config", str(config_file)])
    main([str(run), "step_00000006", "--out", str(out)])
    assert capsys.readouterr().out.splitlines()[-1] == f"{out}: the student after step 6"
    ours, theirs = load_file(out / "model.safetensors"), load_file(run / "student" / "model.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    model = AutoModelForCausalLM.from_pretrained(out)
    assert len(AutoTokenizer.from_pretrained(out)) == model.config.vocab_size
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in (run / "student").iterdir())


def test_the_best_checkpoint_is_the_one_of_the_least_heldout_loss(config_file, tmp_path):
    run, out = tmp_path / "run", tmp_path / "best"
    gets_worse = ["optim.lr=1", "optim.warmup_steps=6"]
    train.main(["--config", str(config_file), "train.keep_checkpoints=9", *gets_worse])
    lines = [line for line in read_metrics(run) if "heldout_perplexity" in line]
    measured = {line["step"]: line["heldout_nats_per_token"] for line in lines}
    best = min((step for step in measured if step > 0), key=measured.get)
    assert best < 6, measured
    assert best_checkpoint(run).name == f"step_{best:08d}"
    assert len(checkpoints(run)) == 3
    main([str(run), "best", "--out", str(out)])
    card = (out / "README.md").read_text()
    assert f"training: {best} optimizer steps" in card
    assert f"| heldout_perplexity | {math.exp(measured[best]):.4f} |" in card


def test_bad_requests_are_one_message(config_file, tmp_path):
    run, out = tmp_path / "run", tmp_path / "out"
    train.main(["--config", str(config_file), "train.max_steps=2", "train.eval_every=9"])
    with pytest.raises(FileNotFoundError, match="has no step_00000003; its checkpoints are: step_00000002"):
        main([str(run), "step_00000003", "--out", str(out)])
    (run / "checkpoints" / "step_00000002").rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at whose step .* was measured; .* are: none"):
        main([str(run), "best", "--out", str(out)])
    (tmp_path / "elsewhere").rename(run / "checkpoints" / "step_00000002")
    with pytest.raises(FileNotFoundError, match="none is not a run folder: it has no config.yaml"):
        main([str(tmp_path / "none"), "best", "--out", str(out)])
    for place in (tmp_path, run / "student", run / "best"):
        with pytest.raises(ValueError, match="exists or is in the run's folder; give another --out"):
            main([str(run), "best", "--out", str(place)])
    settings, teacher = run / "config.yaml", tmp_path / "teacher" / "generation_config.json"
    written, generation = settings.read_text(), teacher.read_text()
    teacher.write_text(generation + "\n")
    with pytest.raises(ValueError, match="the teacher of .*run is not the one that it was trained with"):
        main([str(run), "best", "--out", str(out)])
    teacher.write_text(generation)
    settings.write_text(written.replace("layers:\n  - 0\n  - 3\n", "layers:\n  - 0\n  - 3\n  - 3\n"))
    assert settings.read_text() != written
    with pytest.raises(ValueError, match="step_00000002 does not fit this run"):
        main([str(run), "best", "--out", str(out)])
    settings.write_text(written)
    (run / "checkpoints" / "step_00000002" / "run.pt").unlink()
    with pytest.raises(ValueError, match=r"step_00000002 is damaged \(run.pt is missing\)"):
        main([str(run), "step_00000002", "--out", str(out)])
    assert not out.exists()
