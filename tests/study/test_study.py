"""A small study from training to RESULTS.md, and what is refused before anything is trained."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from distill.evaluation.comparison import load_evaluations
from distill.settings import to_dict
from study import __main__ as study
from study import folders as study_folders
from study import jobs as study_jobs
from study import report as study_report
from study import results as study_results
from study import run as study_run
from study.config import load_study
from study.plan import plan_study

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("run_in_process", "blank_plots")


def test_a_small_study_from_training_to_the_report(study_file, tmp_path, capsys):
    words = [str(study_file), "--set", "variants=[]"]
    assert study.main(["run", *words]) == 0
    assert "[6/6]" in capsys.readouterr().out  # untrained, teacher, and two arms with two seeds
    assert study.main(["run", *words]) == 0
    assert "6 of 6 models are trained and measured already" in capsys.readouterr().out

    out = tmp_path / "docs" / "results" / "tiny.json"
    assert study.main(["collect", *words, "--out", str(out)]) == 0
    content = study_results.read(out)
    assert content["missing"] == []
    times = (tmp_path / "study" / study_jobs.TIMES).read_text().splitlines()
    assert content["hours"]["students"] == round(sum(json.loads(line)["seconds"] for line in times) / 3600, 2)
    assert len(times) == 6
    assert content["study"] == to_dict(load_study(study_file, words[2:]))
    results = study_results.load(out)
    assert set(results.disparity.seeds["equivariant"]) == {0, 1}
    folder = tmp_path / "study" / "evaluation" / "equivariant" / "seed1"
    (evaluated,) = load_evaluations([folder])[0].results
    for name, measure in results.measures.items():
        value = float(measure.statistic(measure.columns["equivariant"][1].sum(axis=0)))
        assert value == pytest.approx(evaluated.estimates[name].measurement.value, rel=1e-4, abs=1e-4), name

    parts = [tmp_path / f"part{seed}.json" for seed in (0, 1)]  # as from two machines with a seed each
    for seed, part in enumerate(parts):
        assert study.main(["collect", *words, "--set", f"seeds=[{seed}]", "--out", str(part)]) == 0
    assert study.main(["merge", *map(str, parts), "--out", str(tmp_path / "merged.json")]) == 0
    merged = study_results.read(tmp_path / "merged.json")
    same = ("study", "arms", "missing", "measures", "teacher")
    assert {key: merged[key] for key in same} == {key: content[key] for key in same}

    markdown, readme = tmp_path / "RESULTS.md", tmp_path / "README.md"
    words = ["report", str(out), "--out", str(markdown), "--readme", str(readme)]
    readme.write_text("# Title\n")
    assert study.main(words) == 2
    assert "README.md does not hold the lines" in capsys.readouterr().err
    assert not markdown.exists() and not list(tmp_path.rglob("*.svg"))  # all files, or none
    readme.write_text("# Title\n" + "old\n".join(study_report.README_BLOCK) + "The end.\n")
    assert study.main(words) == 0
    assert "RESULTS.md, 3 other pages and 1 plots written" in capsys.readouterr().out
    assert readme.read_text().startswith("# Title\n<!-- study") and readme.read_text().endswith("-->\nThe end.\n")
    assert "| `teacher` |" in readme.read_text() and "old" not in readme.read_text()
    assert "![Disparity against cost](docs/results/tiny.svg)" in markdown.read_text()
    assert out.with_suffix(".svg").read_text().startswith("<svg")
    page = out.with_suffix(".md").read_text()
    assert "| equivariant | 2 |" in page and "| equivariant | `perturb.operation=equivariant` |" in page
    assert {path.name: text for path, text in study_report.pages([out], markdown).items()} == {
        name: (out.parent / name if name != "RESULTS.md" else markdown).read_text()
        for name in ("RESULTS.md", "tiny.md", "tiny.svg", "tiny_model_card.md")
    }

    card = (out.parent / "tiny_model_card.md").read_text()
    stated = yaml.safe_load(card.partition("```yaml\n")[2].partition("```")[0])
    run = yaml.safe_load((Path(content["study"]["run_dir"]) / "equivariant" / "seed0" / "config.yaml").read_text())
    assert stated | {"provenance": None} == run | {"provenance": None}  # the settings that trained this student


def test_an_evaluation_of_other_weights_or_settings_does_not_count(study_file, tmp_path, capsys):
    words = [str(study_file), "--set", "variants=[]"]
    assert study.main(["run", *words, "--only", "plain"]) == 0
    other = [*words, "--set", "eval_overrides=[world=null]"]
    assert study.main(["collect", *other, "--out", str(tmp_path / "out.json")]) == 2
    assert "no model that is trained and measured with these settings" in capsys.readouterr().err
    students = [tmp_path / "study" / "plain" / f"seed{seed}" / "student" for seed in (0, 1)]
    shutil.copytree(*students, dirs_exist_ok=True)
    assert study.main(["run", *words, "--only", "plain"]) == 0
    assert "1 of 2 models are trained and measured already" in capsys.readouterr().out


def test_runs_of_no_arm_are_named_and_left_alone(study_file, tmp_path, capsys):
    some = ["--set", "variants=[]", "--only", "plain", "--seeds", "0"]
    assert study.main(["run", str(study_file), *some]) == 0
    assert "of no arm" not in capsys.readouterr().out
    renamed = ["--set", "arms={plain_ce: [], equivariant: [perturb.operation=equivariant]}"]
    renamed += ["--set", "references=[plain_ce]", "--set", "headline=[]", "--set", "variants=[]"]
    assert study.main(["run", str(study_file), *renamed, "--only", "equivariant", "--seeds", "0"]) == 0
    out = capsys.readouterr().out
    assert f"note: {tmp_path / 'study'} also holds runs of no arm of this study, which are not used: plain\n" in out
    assert (tmp_path / "study" / "plain" / "seed0" / "student").is_dir()


def test_a_run_with_other_settings_in_its_folder_is_refused_before_anything_starts(study_file, capsys):
    assert study.main(["run", str(study_file), "--only", "equivariant", "--seeds", "0"]) == 0
    changed = ["--set", "arms={plain: [], equivariant: [perturb.operation=equivariant, optim.lr=1e-5]}"]
    assert study.main(["run", str(study_file), "--only", "equivariant", *changed]) == 2
    assert "optim.lr: 0.001 there, 1e-05 now" in capsys.readouterr().err
    (unfinished,) = Path(load_study(study_file).run_dir).glob("equivariant/seed0/student")
    shutil.rmtree(unfinished)
    assert study.main(["run", str(study_file), "--only", "equivariant", *changed]) == 2
    assert "optim.lr: 0.001 there, 1e-05 now" in capsys.readouterr().err


def test_students_of_an_earlier_teacher_are_refused_and_do_not_count(study_file, tiny_model, tmp_path, capsys):
    words = [str(study_file), "--set", "variants=[]"]
    some = ["--only", "untrained", "plain", "--seeds", "0"]
    assert study.main(["run", *words, *some]) == 0
    tiny_model("gpt2", seed=9, initializer_range=0.1).save_pretrained(tmp_path / "teacher")
    capsys.readouterr()
    assert study.main(["run", *words, *some]) == 2
    message = capsys.readouterr().err
    assert f"{tmp_path}/teacher is not the teacher that these runs were distilled from" in message
    assert "untrained/seed0" in message and "plain/seed0" in message
    assert study.main(["collect", *words, "--out", str(tmp_path / "out.json")]) == 2
    assert "no model that is trained and measured" in capsys.readouterr().err


def test_students_of_an_earlier_corpus_are_refused_before_others_are_trained(study_file, config_file, tmp_path, capsys):
    words = [str(study_file), "--set", "variants=[]", "--set", f"run_dir={tmp_path / 'study'}"]
    corpus = Path(yaml.safe_load(config_file.read_text())["data"]["path"])
    own = tmp_path / "own.jsonl"
    own.write_text(corpus.read_text())
    shared = load_study(study_file).train_overrides
    words += ["--set", f"train_overrides={json.dumps([*shared, f'data.path={own}'])}"]
    assert study.main(["run", *words, "--only", "plain", "--seeds", "0"]) == 0
    own.write_text("".join(corpus.read_text().splitlines(keepends=True)[:-5]))
    capsys.readouterr()
    assert study.main(["run", *words, "--only", "equivariant", "plain", "--seeds", "0"]) == 2
    assert "plain/seed0 was made with another corpus than the current files" in capsys.readouterr().err
    assert not (tmp_path / "study" / "equivariant").exists()


def test_a_measure_that_cannot_be_computed_again_is_no_missing_arm(study_file, tmp_path, capsys):
    words = [str(study_file), "--set", "variants=[]"]
    assert study.main(["run", *words, "--only", "teacher"]) == 0
    file = tmp_path / "study" / "evaluation" / "teacher" / "seed0" / "results.json"
    records = file.with_name("examples-teacher.jsonl")
    lines = [json.loads(line) for line in records.read_text().splitlines()]
    for line in lines:
        if line.get("task") == "agreement":
            line["logprob_he"] = None
    records.write_text("".join(json.dumps(line) + "\n" for line in lines))
    capsys.readouterr()
    assert study.main(["collect", *words, "--out", str(tmp_path / "out.json")]) == 2
    assert "agreement: its records cannot be summarised" in capsys.readouterr().err


def test_runs_that_were_made_from_different_things_are_refused(study_file, tmp_path, capsys):
    words = [str(study_file), "--set", "variants=[]"]
    assert study.main(["run", *words, "--only", "untrained", "plain"]) == 0
    plan = plan_study(load_study(study_file, words[2:]))
    origin = study_folders.origin_of(plan.study, plan.runs)
    assert origin["mixed_precision"] == "no" and len(origin["git_revisions"]) == 1
    file = tmp_path / "study" / "plain" / "seed1" / "config.yaml"
    before = file.read_text()
    for name in ("mixed_precision", "lexicon", "corpus", "tokenizer"):
        settings = yaml.safe_load(before)
        part = settings["provenance"] if name in settings["provenance"] else settings["provenance"]["data"]
        part[name] = "changed"
        file.write_text(yaml.safe_dump(settings))
        capsys.readouterr()
        for command in (["run", *words], ["collect", *words, "--out", str(tmp_path / "out.json")]):
            assert study.main(command) == 2
            message = capsys.readouterr().err
            assert f"plain/seed1 was made with another {name} than " in message and ": changed instead of " in message


def test_the_untrained_student_is_written_by_a_command_of_its_own(study_file, tmp_path, monkeypatch):
    plan = plan_study(load_study(study_file), ["untrained"])
    (make, _) = study_run._job(plan.study, (str(study_file),), plan.runs[0]).commands
    monkeypatch.chdir(tmp_path)
    assert make[:3] == (sys.executable, "-m", "study") and study.main(make[3:]) == 0
    assert (plan.runs[0].student / "config.json").is_file()
