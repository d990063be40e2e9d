"""The runner of a study, and a small study from training to RESULTS.md."""

import json
import os
import re
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

import eval as eval_main
from distill import train
from distill.settings import to_dict
from study import (
    __main__ as study,
)
from study import (
    card as study_card,
)
from study import (
    collect as study_collect,
)
from study import (
    report as study_report,
)
from study import (
    run as study_run,
)
from study.plan import load_study, plan_runs
from study.run import Job, run_jobs

ROOT = Path(__file__).parents[2]


# -- the runner ------------------------------------------------------------------------------------------------------


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", code)


def test_jobs_run_side_by_side_and_one_that_fails_does_not_stop_the_others(tmp_path, study_file, capsys):
    plan = load_study(study_file, [f"run_dir={tmp_path}", "mixed_precision=bf16"])
    wait = "import pathlib, time\npathlib.Path({mine!r}).touch()\n"  # each of the good ones, for the other one's file
    wait += "while not pathlib.Path({other!r}).exists(): time.sleep(0.01)"
    files = [str(tmp_path / name) for name in "ab"]
    told = python("import os; print(os.environ['OMP_NUM_THREADS'], os.environ['ACCELERATE_MIXED_PRECISION'])")
    (tmp_path / "no folder").touch()
    jobs = [
        Job("good 0", (python(wait.format(mine=files[0], other=files[1])), told), tmp_path / "logs" / "0.log"),
        Job("bad", (python("raise SystemExit('broken')"), python("print('never')")), tmp_path / "logs" / "bad.log"),
        Job("no log", (told,), tmp_path / "no folder" / "log"),
        Job("good 1", (python(wait.format(mine=files[1], other=files[0])),), tmp_path / "logs" / "1.log"),
    ]
    failed = run_jobs(jobs, 4, plan, time.monotonic() + 300)
    assert failed.keys() == {"bad", "no log"}
    assert failed["bad"].startswith("exit code 1: broken")
    assert "no folder" in failed["no log"]
    assert "never" not in (tmp_path / "logs" / "bad.log").read_text()
    assert (tmp_path / "logs" / "0.log").read_text().splitlines()[-1] == f"{max(1, (os.cpu_count() or 1) // 4)} bf16"
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    assert "about 0:00:00 left" in lines[-1]
    times = [json.loads(line)["label"] for line in (tmp_path / study_run.TIMES).read_text().splitlines()]
    assert sorted(times) == ["bad", "good 0", "good 1"]  # what failed has taken its time too


def test_malloc_is_set_for_large_tensors_unless_the_user_has_set_it(monkeypatch):
    monkeypatch.delenv("MALLOC_MMAP_MAX_", raising=False)
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    environment = study_run._environment(1, "no")
    assert (environment["MALLOC_MMAP_MAX_"], environment["MALLOC_TRIM_THRESHOLD_"]) == ("0", "1000000")


def test_an_interruption_ends_the_running_commands_and_starts_no_other(tmp_path, study_file):
    plan = load_study(study_file, [f"run_dir={tmp_path}"])
    forever = "import os, pathlib, time\npathlib.Path({pid!r}).write_text(str(os.getpid()))\ntime.sleep(60)"
    jobs = [Job(name, (python(forever.format(pid=str(tmp_path / name))),), tmp_path / f"{name}.log") for name in "ab"]

    def interrupt() -> None:
        while not (tmp_path / "a").exists() or not (tmp_path / "a").read_text():
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as when it is run as a program
    try:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            run_jobs(jobs, 1, plan, time.monotonic() + 300)
    finally:
        signal.signal(signal.SIGTERM, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "a").read_text()), 0)
    assert not (tmp_path / "b").exists()
    assert len((tmp_path / study_run.TIMES).read_text().splitlines()) == 1


def test_hours_are_those_of_all_jobs_by_what_they_did(tmp_path):
    lines = [("prepare 1", 360), ("the teacher's training", 3240), ("teacher seed 0", 720), ("plain seed 0", 7200)]
    text = "".join(json.dumps({"label": label, "seconds": seconds}) + "\n" for label, seconds in lines)
    (tmp_path / study_run.TIMES).write_text(text)
    assert study_collect._hours(tmp_path) == {"teacher_and_data": 1.0, "students": 2.2}


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
    plan = load_study(study_file, [f"run_dir={tmp_path}"])
    jobs = [Job(str(n), (python("import time; time.sleep(0.4)"),), tmp_path / f"{n}.log") for n in range(2)]
    failed = run_jobs(jobs, 1, plan, time.monotonic() + 0.2)
    assert list(failed) == ["1"]
    assert "budget_hours are over" in failed["1"]


# -- from training to RESULTS.md -------------------------------------------------------------------------------------


def in_process(job, environment, running):
    """What a job does, without new processes."""
    mains = {"train.py": train.main, "eval.py": eval_main.main, "study.py": study.main}
    codes = [mains[Path(command[1]).name](list(command[2:])) for command in job.commands]
    return None if not any(codes) else f"exit codes {codes}"


def test_a_small_study_from_training_to_the_report(study_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study_run, "_run_commands", in_process)
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
    seconds = [json.loads(line)["seconds"] for line in (tmp_path / "study" / study_run.TIMES).read_text().splitlines()]
    assert results["hours"]["students"] == round(sum(seconds) / 3600, 2) and len(seconds) == 7
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
    monkeypatch.setattr(study_run, "_run_commands", in_process)
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
    monkeypatch.setattr(study_run, "_run_commands", in_process)
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


def test_students_of_another_corpus_than_is_there_now_are_refused_before_others_are_trained(
    study_file, config_file, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(study_run, "_run_commands", in_process)
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
    assert "plain/seed0 was made with another corpus than what is there now" in capsys.readouterr().err
    assert not (tmp_path / "study" / "equivariant").exists()


def test_a_measure_that_cannot_be_computed_again_is_no_missing_arm(study_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study_run, "_run_commands", in_process)
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


@pytest.mark.parametrize("name", ["mixed_precision", "lexicon", "corpus", "tokenizer"])
def test_runs_that_were_made_from_different_things_are_refused(name, study_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study_run, "_run_commands", in_process)
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
        for plot, drawn in study_report.plots(file).items():
            shown = 'aria-label="(.*?)"'  # the values; how they are drawn depends on matplotlib
            assert re.findall(shown, plot.read_text(encoding="utf-8")) == re.findall(shown, drawn), plot
