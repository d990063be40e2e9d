"""The runner of a study, and a small study from training to RESULTS.md."""

import shutil
import sys
import time
from pathlib import Path

import pytest
import yaml

import eval as eval_main
import train
from benchmarks import study, study_card, study_collect, study_report, study_run
from benchmarks.study_plan import load_study, plan_runs
from benchmarks.study_run import Job, run_jobs
from distill.settings import to_dict

ROOT = Path(__file__).parents[2]


# -- the runner ------------------------------------------------------------------------------------------------------


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", code)


def test_jobs_run_side_by_side_and_one_that_fails_does_not_stop_the_others(tmp_path, study_file, capsys):
    plan = load_study(study_file, [f"run_dir={tmp_path}"])
    wait = python("import time; time.sleep(0.5); print('waited')")
    jobs = [
        Job("good 0", (wait, python("import os; print(os.environ['OMP_NUM_THREADS'])")), tmp_path / "logs" / "0.log"),
        Job("bad", (python("raise SystemExit('broken')"), python("print('never')")), tmp_path / "logs" / "bad.log"),
        Job("good 1", (wait,), tmp_path / "logs" / "1.log"),
    ]
    begin = time.monotonic()
    failed = run_jobs(jobs, 3, plan)
    assert time.monotonic() - begin < 20
    assert list(failed) == ["bad"]
    assert failed["bad"].startswith("exit code 1: broken")
    assert "never" not in (tmp_path / "logs" / "bad.log").read_text()
    assert (tmp_path / "logs" / "0.log").read_text().splitlines()[-1].isdigit()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["[1/3]", "[2/3]", "[3/3]"]
    assert "about 0:00:00 left" in lines[-1]
    assert len((tmp_path / study_run.TIMES).read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("error: a: 1 there, 2 now\n  choose another run_dir\n", "a: 1 there, 2 now choose another run_dir"),
        ("warning\nerror: first\nerror: second\n", "second"),
        ("Traceback\nKeyError: 'x'\n", "KeyError: 'x'"),
        ("", "no output"),
    ],
)
def test_the_reason_of_a_failure_is_the_whole_of_the_last_commands_last_error(output, reason, tmp_path):
    (tmp_path / "log").write_text(f"$ train.py\nerror: of an earlier try\n$ train.py\n{output}")
    assert study_run._reason(tmp_path / "log") == reason


def test_no_job_is_started_after_the_hours_of_the_budget(tmp_path, study_file):
    plan = load_study(study_file, [f"run_dir={tmp_path}", "budget_hours=0.00005"])
    jobs = [Job(str(n), (python("import time; time.sleep(0.4)"),), tmp_path / f"{n}.log") for n in range(2)]
    failed = run_jobs(jobs, 1, plan)
    assert list(failed) == ["1"]
    assert "budget_hours are over" in failed["1"]


# -- from training to RESULTS.md -------------------------------------------------------------------------------------


def in_process(job, environment, deadline):
    """What a job does, without new processes."""
    mains = {"train.py": train.main, "eval.py": eval_main.main, "study.py": study.main}
    codes = [mains[Path(command[1]).name](list(command[2:])) for command in job.commands]
    return 1.0, None if not any(codes) else f"exit codes {codes}"


def test_a_small_study_from_training_to_the_report(study_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study_run, "_run_job", in_process)
    words = [str(study_file), "--set", "variants=[]"]
    assert study.main(["run", *words]) == 0
    assert "[6/6]" in capsys.readouterr().out  # untrained, teacher, and two arms with two seeds
    assert study.main(["run", *words]) == 0
    assert "6 of 6 models are trained and measured already" in capsys.readouterr().out
    students = [tmp_path / "study" / "plain" / f"seed{seed}" / "student" for seed in (0, 1)]
    shutil.copytree(*students, dirs_exist_ok=True)  # an evaluation belongs to the weights that it measured
    assert study.main(["run", *words]) == 0
    assert "5 of 6 models are trained and measured already" in capsys.readouterr().out

    out = tmp_path / "docs" / "results" / "tiny.json"
    other = [*words, "--set", "eval_overrides=[world=null]"]  # other settings than they were measured with
    assert study.main(["collect", *other, "--out", str(out)]) == 2
    assert "no model that is trained and measured with these settings" in capsys.readouterr().err
    assert study.main(["collect", *words, "--out", str(out)]) == 0
    results = study_collect.read(out)
    assert results["missing"] == []
    assert results["hours"]["students"] == pytest.approx(6 / 3600, abs=0.01)
    assert results["study"] == to_dict(load_study(study_file, words[2:]))
    found = study_collect.measures(results)
    assert set(found["log_odds/mean_abs"].seeds["equivariant"]) == {0, 1}
    (evaluated,) = study_collect.load_evaluations([tmp_path / "study" / "evaluation" / "equivariant" / "seed1"])[
        0
    ].results
    for name, measure in found.items():
        value = float(measure.statistic(measure.columns["equivariant"][1].sum(axis=0)))
        assert value == pytest.approx(evaluated.estimates[name].measurement.value, rel=1e-4, abs=1e-4), name

    parts = [tmp_path / f"part{seed}.json" for seed in (0, 1)]  # as from two machines with a seed each
    for seed, part in enumerate(parts):
        assert study.main(["collect", *words, "--set", f"seeds=[{seed}]", "--out", str(part)]) == 0
    assert study.main(["merge", *map(str, parts), "--out", str(tmp_path / "merged.json")]) == 0
    merged = study_collect.read(tmp_path / "merged.json")
    assert {key: merged[key] for key in ("study", "arms", "missing", "measures", "teacher")} == {
        key: results[key] for key in ("study", "arms", "missing", "measures", "teacher")
    }

    markdown, readme = tmp_path / "RESULTS.md", tmp_path / "README.md"
    words = ["report", str(out), "--out", str(markdown), "--readme", str(readme)]
    readme.write_text("# Title\n")
    assert study.main(words) == 2
    assert "README.md does not hold the lines" in capsys.readouterr().err
    assert study.main(["report", str(out), str(parts[0]), "--out", str(markdown)]) == 2
    assert "is not the only file of the study tiny; put them together with merge" in capsys.readouterr().err
    assert study.main(["report", str(out), "--out", str(tmp_path / "elsewhere" / "RESULTS.md")]) == 2
    assert "tiny.json does not lie below" in capsys.readouterr().err
    assert not markdown.exists() and not list(tmp_path.rglob("*.svg"))  # all, or nothing
    (out.parent / "notes.md").write_text("It removes {{removed tiny equivariant plain}}.\n\n## More\n\nOther.\n")
    readme.write_text("# Title\n" + "old\n".join(study_report.README_BLOCK) + "The end.\n")
    assert study.main(words) == 0
    assert readme.read_text().startswith("# Title\n<!-- study")
    assert readme.read_text().endswith("(RESULTS.md).\n\n<!-- end of study -->\nThe end.\n")
    assert "| teacher | 1 |" in readme.read_text() and "old" not in readme.read_text()
    assert "(docs/results/tiny.svg)" in readme.read_text()
    aside = tmp_path / "docs" / "results" / "aside.json"  # a study without a headline
    study_collect.write({**results, "name": "aside", "study": {**results["study"], "headline": []}}, aside)
    assert study_report.with_headline(readme, [out, aside], markdown) == readme.read_text()
    aside.unlink()
    text = markdown.read_text()
    assert "![Disparity against cost](docs/results/tiny.svg)" in text
    assert "It removes " in readme.read_text() and "{{" not in text and "## More" in text
    assert "## More" not in readme.read_text()
    assert out.with_suffix(".svg").read_text().startswith("<svg")
    assert "| equivariant | 2 |" in text
    assert text == study_report.report([out], markdown)
    card = (out.parent / "tiny_model_card.md").read_text()
    assert card == study_card.card(results)
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert "`perturb.operation=equivariant`" in card and "--only equivariant --seeds 0 --set 'variants=[]'" in card
    nothing = {**results, "study": {**results["study"], "recommended": None}}
    assert study_card.recommended(results) == "equivariant" and study_card.recommended(nothing) is None
    with pytest.raises(ValueError, match="tiny: no results of a recommended arm"):
        study_card.card(nothing)
    stated = yaml.safe_load(card.partition("```yaml\n")[2].partition("```")[0])
    run = yaml.safe_load((Path(results["study"]["run_dir"]) / "equivariant" / "seed0" / "config.yaml").read_text())
    assert stated | {"provenance": None} == run | {"provenance": None}  # what that very student was trained with
    assert card.count("| equivariant | 2 |") == 1 and "| plain | 2 |" in card and "| teacher | 1 |" in card


def test_a_run_with_other_settings_in_its_folder_is_refused_before_anything_starts(study_file, monkeypatch, capsys):
    monkeypatch.setattr(study_run, "_run_job", in_process)
    assert study.main(["run", str(study_file), "--only", "equivariant", "--seeds", "0"]) == 0
    changed = ["--set", "arms={plain: [], equivariant: [perturb.operation=equivariant, optim.lr=1e-5]}"]
    assert study.main(["run", str(study_file), "--only", "equivariant", *changed]) == 2
    assert "optim.lr: 0.001 there, 1e-05 now" in capsys.readouterr().err
    (unfinished,) = Path(load_study(study_file).run_dir).glob("equivariant/seed0/student")
    shutil.rmtree(unfinished)
    assert study.main(["run", str(study_file), "--only", "equivariant", *changed]) == 2
    assert "optim.lr: 0.001 there, 1e-05 now" in capsys.readouterr().err


def test_students_of_an_earlier_teacher_are_refused_and_do_not_count(
    study_file, tiny_model, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(study_run, "_run_job", in_process)
    words = [str(study_file), "--set", "variants=[]"]
    some = ["--only", "untrained", "plain", "--seeds", "0"]
    assert study.main(["run", *words, *some]) == 0
    tiny_model("gpt2", seed=9, initializer_range=0.1).save_pretrained(tmp_path / "teacher")
    capsys.readouterr()
    assert study.main(["run", *words, *some]) == 2
    told = capsys.readouterr().err
    assert f"{tmp_path}/teacher is not the teacher that these were made from" in told
    assert "untrained/seed0" in told and "plain/seed0" in told
    assert study.main(["collect", *words, "--out", str(tmp_path / "out.json")]) == 2
    assert "no model that is trained and measured" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["mixed_precision", "lexicon", "corpus", "tokenizer"])
def test_runs_that_were_made_from_different_things_are_refused(name, study_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study_run, "_run_job", in_process)
    words = [str(study_file), "--set", "variants=[]"]
    assert study.main(["run", *words, "--only", "untrained", "plain"]) == 0
    plan = load_study(study_file, words[2:])
    origin = study_run.origin_of(plan, plan_runs(plan))
    assert origin["mixed_precision"] == "no" and len(origin["git_revisions"]) == 1
    file = tmp_path / "study" / "plain" / "seed1" / "config.yaml"
    settings = yaml.safe_load(file.read_text())
    part = settings["provenance"] if name in settings["provenance"] else settings["provenance"]["data"]
    part[name] = "changed"
    file.write_text(yaml.safe_dump(settings))
    capsys.readouterr()
    for command in (["run", *words], ["collect", *words, "--out", str(tmp_path / "out.json")]):
        assert study.main(command) == 2
        told = capsys.readouterr().err
        assert f"plain/seed1 was made with another {name} than " in told and "changed there" in told


def test_the_results_page_is_what_its_results_files_give():
    page = ROOT / "RESULTS.md"
    files = sorted((ROOT / "docs" / "results").glob("*.json"))
    if not page.exists() and not files:
        pytest.skip("there are no results yet")
    assert page.read_text(encoding="utf-8") == study_report.report(files, page)
    readme = ROOT / "README.md"
    assert readme.read_text(encoding="utf-8") == study_report.with_headline(readme, files, page)
    for file in files:
        results = study_collect.read(file)
        if study_card.recommended(results) is not None:
            card = file.with_name(f"{file.stem}_model_card.md")
            assert card.read_text(encoding="utf-8") == study_card.card(results)
    assert all(path.with_suffix(".svg").is_file() for path in files)
