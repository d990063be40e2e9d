"""Studies that heal first: one plain student per seed, from which every arm starts."""

import json
from pathlib import Path

import pytest
import yaml

from distill.run.folder import read_metrics
from distill.settings import dump_yaml, to_dict
from study import __main__ as study
from study import jobs as study_jobs
from study import results as study_results
from study.config import load_study
from study.plan import num_tokens, plan_study

ONE_MEASURE = [f"{name}.enabled=false" for name in ("perplexity", "agreement", "occupation_gap")]


@pytest.fixture
def healed_file(study_file) -> Path:
    """The small study, healed for one step first, measured by its log-odds alone."""
    settings = yaml.safe_load(study_file.read_text()) | {
        "healing": {"budget_tokens": 8 * 32, "overrides": ["train.max_steps=1"]},
        "eval_overrides": ONE_MEASURE,
        "measures": ["log_odds/mean_abs", "log_odds/spread"],
        "margins": {},
        "references": ["plain", "healed"],
        "headline": [],
        "recommended": "plain",
    }
    path = study_file.with_name("healed.yaml")
    path.write_text(yaml.safe_dump(settings))
    return path


def distances_of(folder: Path) -> list[float]:
    """The held-out KL(teacher || student) of a run, at every measurement."""
    return [line["heldout_kl"] for line in read_metrics(folder) if "heldout_kl" in line]


@pytest.mark.usefixtures("run_in_process", "blank_plots")
def test_a_study_heals_first_branches_its_arms_and_reports_the_distance(healed_file, tmp_path, capsys):
    words = [str(healed_file), "--set", "variants=[]", "--set", "seeds=[0]"]
    assert study.main(["run", *words, "--only", "plain"]) == 0  # the healed student is trained, though not measured
    assert study.main(["run", *words, "--only", "plain", "healed"]) == 0
    assert "1 of 2 models are trained and measured already" in capsys.readouterr().out
    run_dir, out = tmp_path / "study", tmp_path / "results" / "tiny.json"
    labels = [json.loads(line)["label"] for line in (run_dir / study_jobs.TIMES).read_text().splitlines()]
    assert labels == ["healing of seed 0", "plain seed 0", "healed seed 0"]

    assert study.main(["collect", *words, "--out", str(out)]) == 0
    content = study_results.read(out)
    assert content["arms"]["healed"] == ["train.max_steps=1"]
    healed, plain = (distances_of(run_dir / arm / "seed0") for arm in ("healed", "plain"))
    assert plain[0] == pytest.approx(healed[-1], rel=1e-6) != healed[0]  # an arm starts where healing ended
    assert content["distances"]["plain"]["0"] == pytest.approx([plain[0], plain[-1]], rel=1e-4)
    assert content["distances"].keys() == {"healed", "plain"}

    assert study.main(["report", str(out), "--out", str(tmp_path / "RESULTS.md")]) == 0
    page, card = (out.with_name(name).read_text() for name in ("tiny.md", "tiny_model_card.md"))
    assert "Every arm was trained on 512 tokens after the 256 of `healed`, from which it starts." in page
    assert "a plain student that was trained on 256 tokens with the overrides `train.max_steps=1`." in page
    assert f"| plain | 1 | {plain[0]:.3f} | {plain[-1]:.3f} |" in page
    against_plain, against_healed = (page.partition(f"Differences to `{name}`")[2] for name in ("plain", "healed"))
    assert "| healed |" not in against_plain.partition("##")[0] and "| plain |" in against_healed.partition("##")[0]
    assert f"`healed`, a plain student that is {healed[-1]:.3f} nats" in (tmp_path / "RESULTS.md").read_text()
    assert "- 512 training tokens, after the 256 of `healed`.\n- Distance to the teacher" in card
    stated = yaml.safe_load(card.partition("```yaml\n")[2].partition("```")[0])
    run = yaml.safe_load((run_dir / "plain" / "seed0" / "config.yaml").read_text())
    assert stated | {"provenance": None} == run | {"provenance": None}  # the settings that trained this student
    assert stated["student"]["checkpoint"] == str(run_dir / "healed" / "seed0" / "student")

    (run_dir / "healed" / "seed0" / "student" / "other.json").write_text("{}")  # as if it were healed anew
    capsys.readouterr()
    assert study.main(["run", *words, "--only", "plain"]) == 2
    assert "plain/seed0 was made with another healed student of seed 0 than" in capsys.readouterr().err


def test_healing_comes_first_and_has_a_budget_of_its_own(healed_file, tmp_path, capsys):
    config = load_study(healed_file)
    plan = plan_study(config)
    assert [run.label for run in plan.healing] == ["healed seed 0", "healed seed 1"]
    assert [run.arm for run in plan.runs if run.seed == 1] == ["healed", "equivariant", "plain", "plain+strong"]
    for run in plan.runs:
        is_branch = run.arm not in ("healed", "untrained")
        start = f"{tmp_path}/study/healed/seed{run.seed}/student" if is_branch else None
        assert run.config.student.checkpoint == start
        assert run.config.student.layers == (None if is_branch else (0, 3))
        assert run.arm == "untrained" or num_tokens(run.config) == (512 if is_branch else 256)
    assert [run.label for run in plan_study(config, ["plain"], [1]).healing] == ["healed seed 1"]
    assert plan_study(config, ["untrained"]).healing == ()
    assert study.main(["plan", str(healed_file), "--seeds", "1"]) == 0
    out = capsys.readouterr().out
    assert out.index("  healed seed 1: train.max_steps=1 seed=1") < out.index("  plain seed 1: student.layers=null")
    assert "4 runs of 512 tokens, after 1 of 256 that heal; 1 h on anything" in out


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("healing.budget_tokens=512", "healed trains on 256 tokens, but healing.budget_tokens is 512"),
        ("healing.overrides=[perturb.operation=max, train.max_steps=1]", "add perturb.operation=none to healing.over"),
        ("healing.overrides=[augment.mode=augment, train.max_steps=1]", "add augment.mode=none to healing.overrides"),
        ("healing.overrides=['student.layers=[1]']", "healed sets student.layers, but with healing all students start"),
        ("arms={plain: [], equivariant: [student.checkpoint=x]}", "equivariant sets student.checkpoint, but with heal"),
        ("arms={plain: [], equivariant: ['student={layers: [1]}']}", "set student in train_overrides, or leave out"),
        ("variants=[{of: [plain], variants: {lora: [student.lora.rank=2]}}]", "plain+lora sets student.lora.rank, but"),
        ("train_overrides=[student.layers=all, 'student.lora={}']", "leave out healing, or student.lora"),
        ("arms={plain: [], equivariant: [], healed: []}", "healed is the model that `healing` makes; rename this arm"),
        ("arms={plain: [], equivariant: [train.max_steps=3]}", "arm equivariant trains on 768 tokens, the study's"),
        ("healing=null", "references: 'healed' is not one of the arms"),
    ],
)
def test_healing_that_does_not_fit_is_refused(override, message, healed_file, capsys):
    assert study.main(["plan", str(healed_file), "--set", override]) == 2
    assert message in capsys.readouterr().err


def test_an_arm_whose_student_could_not_be_healed_is_not_started(healed_file, tmp_path, monkeypatch, capsys):
    started = []
    (tmp_path / "study").mkdir()

    def fail_to_heal(job, environment, running):
        started.append(job.label)
        return "exit code 1: broken" if job.label == "healing of seed 0" else None

    monkeypatch.setattr(study_jobs, "_run_commands", fail_to_heal)
    assert study.main(["run", str(healed_file), "--seeds", "0"]) == 1
    assert started == ["healing of seed 0", "teacher seed 0", "untrained seed 0"]
    errors = capsys.readouterr().err
    assert "error: healing of seed 0: exit code 1: broken" in errors
    assert "error: plain seed 0: not started: the healed student of its seed is not finished" in errors


def test_a_folder_of_the_study_before_it_healed_is_refused(healed_file, capsys):
    before = plan_study(load_study(healed_file, ["healing=null", "references=[plain]"]), ["plain"])
    before.runs[0].student.mkdir(parents=True)
    (before.runs[0].student.parent / "config.yaml").write_text(dump_yaml(to_dict(before.runs[0].config)))
    assert study.main(["run", str(healed_file)]) == 2
    message = capsys.readouterr().err
    assert "student.layers: [0, 3] there, None now" in message and "choose another run_dir" in message
