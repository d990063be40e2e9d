"""Earlier evaluations: compared without models, exported for lm-evaluation-harness, planned by a dry run."""

import hashlib
import json
from pathlib import Path

import pytest
from rich.console import Console

from distill.evaluation.config import EvalConfig
from distill.evaluation.dry_run import dry_run
from distill.evaluation.markdown import render_markdown
from distill.evaluation.model_specs import ModelSpec
from distill.evaluation.processes import ALONE
from distill.evaluation.progress import Progress, duration
from distill.evaluation.report import number
from distill.evaluation.task import Task
from distill.settings import load_config
from eval import main

NO_GAP = "counterfactual_gap.enabled=false"  # slow to prepare, and compared as the others are
CONFIG = Path(__file__).parents[3] / "configs" / "eval" / "smallworld.yaml"


@pytest.fixture
def evaluated(small_world, save, tmp_path):
    """evaluated("out", "a=PATH", ...): the folder of an evaluation on the small world and a small CrowS-Pairs."""
    crows = tmp_path / "crows.csv"
    rows = [f"{n},The nurse {n} said she left.,The nurse {n} said he left.,gender" for n in range(30)]
    crows.write_text("\n".join([",sent_more,sent_less,bias_type", *rows]) + "\n")

    def build(name, *words, code=0):
        settings = [f"world={small_world}", f"text.path={small_world / 'heldout.jsonl'}", "text.max_documents=12"]
        settings += [
            "statistics.num_permutations=999",
            "counterfactual_gap.enabled=false",
            f"benchmarks.crows_pairs={crows}",
        ]
        assert main(["--config", str(CONFIG), "--out", str(tmp_path / name), *settings, *words]) == code
        return tmp_path / name

    return build


def read(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def measurements(results):
    """All measurements without their signatures, which name the revision of the source tree."""
    return [{key: value for key, value in entry.items() if key != "signature"} for entry in results["measurements"]]


def test_separate_evaluations_compare_as_one_does(evaluated, save, tmp_path, capsys):
    first, second = f"a={save('a')}", f"b={save('b', 'llama', seed=1)}"
    together = evaluated("together", first, second)
    apart = [evaluated("one", first), evaluated("two", second)]
    capsys.readouterr()
    out = tmp_path / "compared"
    assert main(["compare", str(apart[0] / "results.json"), str(apart[1]), "--out", str(out)]) == 0
    assert "mean |log-odds|" in capsys.readouterr().out
    assert measurements(read(out)) == measurements(read(together))
    assert read(out)["family_size"] == read(together)["family_size"] > 10
    assert {path.name for path in out.iterdir()} == {path.name for path in together.iterdir()}
    assert (out / "report.html").read_text(encoding="utf-8").count("<svg") == (
        (together / "report.html").read_text(encoding="utf-8").count("<svg")
    )
    again = tmp_path / "again"  # what compare writes can be compared again; the same model is taken once
    assert main(["compare", str(out), str(apart[0]), "--out", str(again)]) == 0
    assert measurements(read(again)) == measurements(read(together))


def test_binary_outcomes_are_compared_with_mcnemars_test(evaluated, save):
    results = read(evaluated("out", f"a={save('a')}", f"b={save('b', 'llama', seed=1)}"))
    by_name = {entry["name"]: entry["difference"] for entry in results["measurements"] if entry["model"] == "b"}
    crows = by_name["crows_pairs/lm-eval/gender"]
    assert crows["test"] == "mcnemar"
    gained, lost = crows["discordant"]
    assert crows["value"] == pytest.approx(100 * (gained - lost) / 30)
    assert by_name["log_odds/mean_abs"]["test"] == "permutation"
    assert by_name["log_odds/mean_abs"]["discordant"] is None


def test_another_model_under_the_same_label_is_told_apart(evaluated, save, tmp_path):
    one = evaluated("one", f"model={save('a')}")
    two = evaluated("two", f"model={save('b', seed=1)}")
    assert main(["compare", str(one), str(two), "--out", str(tmp_path / "out")]) == 0
    results = read(tmp_path / "out")
    assert [model["label"] for model in results["models"]] == ["model", "model@two"]
    assert results["reference"] == "model"


def test_models_whose_records_would_share_a_file_are_told_apart(evaluated, save, tmp_path):
    models = {name: save(name, seed=seed) for seed, name in enumerate("abcd")}
    folders = [evaluated(f"{name}/report", f"student={models[name]}") for name in "abc"]
    folders.append(evaluated("d/report", f"student@report={models['d']}"))
    assert main(["compare", *map(str, folders), "--out", str(tmp_path / "out")]) == 0
    results = read(tmp_path / "out")
    labels = [model["label"] for model in results["models"]]
    assert labels == ["student", "student@report", "student@report-2", "student@report@report"]
    assert main(["compare", str(tmp_path / "out"), "--out", str(tmp_path / "again")]) == 0
    assert measurements(read(tmp_path / "again")) == measurements(results)
    spelled = evaluated("e", f"stu dent={models['b']}"), evaluated("f", f"stu-dent={models['c']}")
    assert main(["compare", *map(str, spelled), "--out", str(tmp_path / "out")]) == 0
    assert [model["label"] for model in read(tmp_path / "out")["models"]] == ["stu dent", "stu-dent@f"]


def test_a_model_with_more_tasks_in_one_of_two_evaluations_is_still_one(evaluated, save, tmp_path):
    base, a, b = f"base={save('base')}", f"a={save('a', seed=1)}", f"b={save('b', seed=2)}"
    one = evaluated("one", base, a, "perplexity.enabled=false")
    two = evaluated("two", base, b, "agreement.enabled=false")
    assert main(["compare", str(one), str(two), "--out", str(tmp_path / "out")]) == 0
    results, together = read(tmp_path / "out"), read(evaluated("together", base, a, b))
    assert [model["label"] for model in results["models"]] == ["base", "a", "b"]
    assert results["models"][0]["tasks"].keys() == together["models"][0]["tasks"].keys()

    def values(results, label):
        return {entry["name"]: entry["value"] for entry in results["measurements"] if entry["model"] == label}

    assert values(results, "base") == values(together, "base")
    compared = {entry["name"] for entry in results["measurements"] if entry["model"] == "b" and entry["difference"]}
    assert compared == values(read(two), "b").keys() - {"log_odds/share_removed"}
    apart = evaluated("none", base, "log_odds.enabled=false", "agreement.enabled=false", "benchmarks.crows_pairs=null")
    off = ["perplexity.enabled=false", "agreement.enabled=false", "benchmarks.crows_pairs=null"]
    assert main(["compare", str(apart), str(evaluated("other", base, *off)), "--out", str(tmp_path / "out")]) == 0
    (model,) = read(tmp_path / "out")["models"]  # no task in common, but the same weights
    assert set(model["tasks"]) == {"perplexity", "log_odds"}


def test_a_comparison_says_whose_configuration_it_shows(evaluated, save, tmp_path):
    one = evaluated("one", f"a={save('a')}")
    two = evaluated("two", f"b={save('b', seed=1)}", "scoring.max_batch_tokens=123", "perplexity.window=60")
    out = tmp_path / "out"
    assert main(["compare", str(one), str(two), "--out", str(out)]) == 0
    assert read(out)["config"] == read(one)["config"]
    assert read(one)["config_of"] is None
    assert read(out)["config_of"] == str(one)
    assert read(out)["config_differences"] == ["scoring.max_batch_tokens", "perplexity.window"]
    shown = f"configuration of {one}; that of others differs in scoring.max_batch_tokens, perplexity.window<"
    assert shown in (out / "report.html").read_text(encoding="utf-8")
    older = read(one)
    older["config"]["text"]["gone"] = 1  # a setting that this version does not know
    (one / "results.json").write_text(json.dumps(older))
    assert main(["compare", str(one), "--out", str(out)]) == 0
    assert read(out)["config"]["statistics"] == older["config"]["statistics"]
    assert read(out)["config"]["text"]["path"] is None
    assert "(its statistics; the rest, which this version cannot read, are defaults)" in read(out)["config_of"]
    assert read(out)["config_differences"] == []


def test_a_comparison_tells_failures_versions_and_settings_that_differ(evaluated, save, tmp_path, capsys):
    base, a, gone = f"base={save('base')}", f"a={save('a', seed=1)}", f"gone={tmp_path / 'gone'}"
    one = evaluated("one", base, gone, "benchmarks.stereoset=none.json", code=1)
    two = evaluated("two", f"base={save('b', seed=2)}", a, "perplexity.window=80", "scoring.dtype=bfloat16", code=1)
    older = read(two)
    older["versions"] |= {"evenhand": "0.0.9", "torch": "1.0"}
    for model in older["models"]:
        del model["versions"]  # as a file of before
    (two / "results.json").write_text(json.dumps(older))
    capsys.readouterr()
    assert main(["compare", str(one), str(two), "--out", str(tmp_path / "out")]) == 1
    shown = capsys.readouterr()
    results = read(tmp_path / "out")
    told = [(failure["model"], failure["task"]) for failure in results["failures"]]
    assert told == [(None, "stereoset"), ("gone", None), ("base@two", "perplexity"), ("a", "perplexity")]
    assert results["failures"][:2] == read(one)["failures"]
    assert "error: base@two, perplexity: base: perplexity.window = 80, but the model's context is 64" in shown.err
    names = ["scoring.dtype", "perplexity.window", "benchmarks.stereoset", "versions.evenhand", "versions.torch"]
    assert results["config_differences"] == names
    sentence = f"Evaluations are compared that differ in {', '.join(names)}."
    assert sentence in " ".join(shown.out.split())
    for file in ("report.md", "report.html"):
        assert sentence in (tmp_path / "out" / file).read_text(encoding="utf-8")
    signatures = {entry["model"]: entry["signature"] for entry in results["measurements"]}
    assert "|dtype:bfloat16|" in signatures["a"]
    assert "|evenhand:0.0.9+" in signatures["a"]
    assert "|evenhand:0.0.9+" not in signatures["base"]

    assert main(["compare", str(tmp_path / "out"), "--out", str(tmp_path / "again")]) == 1
    assert read(tmp_path / "again")["config_differences"] == names
    assert read(tmp_path / "again")["failures"] == results["failures"]
    three = evaluated("three", f"gone={save('c', seed=3)}", base)  # what failed once is measured there
    main(["compare", str(one), str(three), "--out", str(tmp_path / "out")])
    assert read(tmp_path / "out")["failures"] == read(one)["failures"][:1]


def test_groups_of_professions_are_in_results_and_report_and_are_counted_anew(save, tmp_path):
    prompts = tmp_path / "bold.json"
    named = {"dance_occupations": ["The woman said ", "The man said ", "A man said "] * 8, "nursing": ["A woman said "]}
    prompts.write_text(json.dumps({group: {"x": texts} for group, texts in named.items()}))
    settings = ["log_odds.enabled=false", "agreement.enabled=false", f"benchmarks.bold={prompts}"]
    settings += ["generation={num_samples: 2, max_new_tokens: 1, scored: prompt+continuation}"]
    words = [f"a={save('a')}", "--config", str(CONFIG.with_name("default.yaml")), "--out", str(tmp_path / "out")]
    assert main([*words, *settings, "continuations={sentiment: false, fluency: false, diversity: false}"]) == 0
    written = read(tmp_path / "out")
    groups = written["models"][0]["groups"]
    assert [row["group"] for row in groups] == ["dance_occupations", "nursing", "arts", "healthcare", "all"]
    assert groups[0]["num_male"] > groups[0]["num_female"] > 0
    assert groups[0]["low"] <= groups[0]["log_ratio"] <= groups[0]["high"]
    assert groups[1]["log_ratio"] is None
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert f"{groups[0]['num_male']} : {groups[0]['num_female']} (" in page
    assert f"<small>{number(groups[0]['log_ratio'], signed=True)} [{number(groups[0]['low'])}, " in page
    del written["models"][0]["groups"]  # as a file of before
    (tmp_path / "out" / "results.json").write_text(json.dumps(written))
    assert main(["compare", str(tmp_path / "out"), "--out", str(tmp_path / "compared")]) == 0
    assert read(tmp_path / "compared")["models"][0]["groups"] == groups


def test_what_cannot_be_compared_is_one_message(evaluated, save, tmp_path, capsys):
    folder = evaluated("out", f"a={save('a')}")
    records = folder / "examples-a.jsonl"
    (tmp_path / "old.json").write_text(json.dumps(read(folder) | {"schema_version": 1}))
    (tmp_path / "study.json").write_text('{"schema_version": 2, "created": "", "config": {}}')
    (tmp_path / "other.json").write_text('["nothing"]')
    text = records.read_text()
    for change, words, message in [
        (lambda: None, ["compare", str(tmp_path / "none")], "does not exist; give a results.json"),
        (lambda: None, ["compare", str(tmp_path / "old.json")], "has schema_version 1, and this version compares 2"),
        (lambda: None, ["compare", str(tmp_path / "other.json")], "is not a results.json of eval.py"),
        (lambda: None, ["compare", str(tmp_path / "study.json")], "is not a results.json of eval.py: it has no fail"),
        (lambda: None, ["compare", str(folder), "--out", str(records)], "is a file; name a folder"),
        (lambda: records.write_text(text.split("\n", 1)[1]), ["compare", str(folder)], "not of the same evaluation"),
        (
            lambda: None,
            ["export", str(folder), "--layout", "lm-eval", "--out", str(tmp_path / "x")],
            "not of the same evaluation",
        ),
        (records.unlink, ["compare", str(folder)], "keep them beside their results.json"),
        (
            lambda: None,
            ["export", str(folder), "--layout", "lm-eval", "--out", str(tmp_path / "x")],
            "keep them beside",
        ),
    ]:
        change()
        capsys.readouterr()
        assert main(words) == 2
        shown = capsys.readouterr().err
        assert shown.startswith("error: ")
        assert message in shown


def test_export_has_the_layout_of_lm_evaluation_harness(evaluated, save, tmp_path):
    model = save("a")
    folder = evaluated("out", f"label={model}")
    assert main(["export", str(folder), "--layout", "lm-eval", "--out", str(tmp_path / "lm")]) == 0
    (place,) = (tmp_path / "lm").iterdir()
    assert place.name == str(model).replace("/", "__")
    (file,) = place.glob("results_*.json")
    written = json.loads(file.read_text(encoding="utf-8"))
    date = file.stem.removeprefix("results_")
    for key in ("results", "configs", "versions", "n-shot", "higher_is_better", "n-samples", "config", "date"):
        assert written[key]
    ours = {entry["name"]: entry for entry in read(folder)["measurements"]}
    crows = written["results"]["evenhand_crows_pairs"]
    assert crows["lm-eval/gender,none"] == ours["crows_pairs/lm-eval/gender"]["value"]
    assert crows["lm-eval/gender_stderr,none"] == ours["crows_pairs/lm-eval/gender"]["standard_error"]
    assert written["results"]["evenhand_perplexity"]["log_perplexity/token-stride,none"] > 0
    names = [key for metrics in written["results"].values() for key in metrics if key.endswith(",none")]
    assert len(names) == 2 * len(ours)
    lines = (place / f"samples_evenhand_crows_pairs_{date}.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == written["n-samples"]["evenhand_crows_pairs"]["effective"] == 30
    sample = json.loads(lines[4])
    keys = {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"}
    assert keys | {"doc_hash", "prompt_hash", "target_hash"} <= sample.keys()
    assert sample["doc_id"] == 4
    assert sample["filtered_resps"][0] == [str(sample["logprob_more"]), "False"]
    assert sample["doc_hash"] == hashlib.sha256(json.dumps(sample["doc"], indent=2).encode()).hexdigest()


def test_export_gives_models_of_one_path_folders_of_their_own(evaluated, save, tmp_path):
    model = save("a")
    early = evaluated("early", f"early={model}")
    late = evaluated("late", f"late={save('a', seed=1)}", f"other={save('b')}")
    assert main(["compare", str(early), str(late), "--out", str(tmp_path / "out")]) == 0
    assert main(["export", str(tmp_path / "out"), "--layout", "lm-eval", "--out", str(tmp_path / "lm")]) == 0
    found = {}
    for place in (tmp_path / "lm").iterdir():
        (file,) = place.glob("results_*.json")
        written = json.loads(file.read_text(encoding="utf-8"))
        assert written["model_name_sanitized"] == place.name
        found[place.name] = written["results"]["evenhand_log_odds"]["mean_abs,none"]
    name = str(model).replace("/", "__")
    assert found.keys() == {f"{name}__early", f"{name}__late", str(tmp_path / "b").replace("/", "__")}
    assert found[f"{name}__early"] != found[f"{name}__late"]


def test_samples_of_lambada_say_which_words_are_greedy(save, tmp_path):
    lambada = tmp_path / "lambada.jsonl"
    lambada.write_text('{"text": "The nurse said that she left"}\n{"text": "A pilot smiled when he left"}\n')
    settings = ["log_odds.enabled=false", "agreement.enabled=false", f"benchmarks.lambada={lambada}"]
    words = [f"a={save('a')}", "--config", str(CONFIG.with_name("default.yaml")), "--out", str(tmp_path / "out")]
    assert main([*words, *settings]) == 0
    records = tmp_path / "out" / "examples-a.jsonl"
    first, second = map(json.loads, records.read_text(encoding="utf-8").splitlines())
    lines = [json.dumps(first | {"is_greedy": True}), json.dumps(second | {"is_greedy": False})]
    records.write_text("\n".join(lines))
    assert main(["export", str(tmp_path / "out"), "--layout", "lm-eval", "--out", str(tmp_path / "lm")]) == 0
    (file,) = (tmp_path / "lm").glob("*/samples_evenhand_lambada_*.jsonl")
    samples = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [sample["filtered_resps"] for sample in samples] == [
        [[str(first["logprob"]), "True"]],
        [[str(second["logprob"]), "False"]],
    ]
    assert [sample["is_greedy"] for sample in samples] == [1, 0]
    assert all("is_greedy" in sample["metrics"] and "is_greedy" not in sample["doc"] for sample in samples)


def test_markdown_is_a_table_with_a_column_per_model(evaluated, save, tmp_path):
    folder = evaluated("out", f"a={save('a')}", f"b|c={save('b', 'llama', seed=1)}")
    text = (folder / "report.md").read_text(encoding="utf-8")
    head, line, *rows = text.splitlines()
    assert head == "| measurement | a | b\\|c |"
    assert line == "| --- | ---: | ---: |"
    first = next(row for row in rows if row.startswith("| Profession log-odds: distance from parity (nats) ↓ |"))
    entry = next(e for e in read(folder)["measurements"] if e["name"] == "log_odds/mean_abs" and e["model"] == "a")
    assert f"| {entry['value']:.3f} [{entry['low']:.3f}, {entry['high']:.3f}] |" in first
    assert entry["signature"] in text
    assert "Not measured" not in text
    results = read(folder) | {"failures": [{"model": "b|c", "task": None, "message": "gone"}]}
    assert "- Not measured: b\\|c: gone" in render_markdown(results)
    results["failures"][0]["message"] = "'<s>' & `a\\|b` *gone*"
    assert "- Not measured: b\\|c: '&lt;s>' &amp; \\`a\\\\\\|b\\` \\*gone\\*" in render_markdown(results)
    assert len(render_markdown(results, all_measurements=True)) > len(render_markdown(results))


def test_a_dry_run_shows_sizes_and_time_and_writes_nothing(small_world, save, tmp_path, capsys):
    out = tmp_path / "out"
    words = [f"good={save('good')}", "--config", str(CONFIG), f"world={small_world}", "--out", str(out), "--dry-run"]
    words += [f"text.path={small_world / 'heldout.jsonl'}", "benchmarks.stereoset=none.json"]
    assert main([*words, f"bad={tmp_path / 'none'}"]) == 1
    shown = capsys.readouterr()
    assert not out.exists()
    lines = {line.split()[0]: line.split() for line in shown.out.splitlines() if line.strip()}
    assert lines["log_odds"][1] == "480"
    assert lines["perplexity"][1] == "40"
    assert lines["good"][4] == "0%"
    assert lines["good"][5].startswith("0:0")
    errors = [line for line in shown.err.splitlines() if line.startswith("error: ")]
    assert [line.split(":")[1].strip() for line in errors] == ["stereoset", "bad"]
    assert duration(3725.4) == "1:02:05"


def test_a_dry_run_counts_what_is_there(evaluated, save, small_world, tmp_path):
    model = save("a")
    folder = evaluated("out", f"a={model}")
    settings = [f"world={small_world}", f"text.path={small_world / 'heldout.jsonl'}", "text.max_documents=12", NO_GAP]
    config = load_config(EvalConfig, CONFIG, settings)
    tables, failures = dry_run([ModelSpec("a", str(model))], config, folder, 1)
    assert failures == []
    console = Console(width=100, record=True)
    console.print(tables[1])
    assert "100%" in console.export_text()


def test_a_dry_run_prepares_the_tasks(small_world, save, tmp_path, capsys):
    text, out = tmp_path / "text.txt", tmp_path / "out"
    text.write_text("A pilot smiled when she left.\n" + "It was cold.\n" * 9)  # one document with a counterfactual
    words = [f"a={save('a')}", "--config", str(CONFIG.with_name("default.yaml")), "--out", str(out)]
    words += [f"text.path={text}", "log_odds.enabled=false", "agreement.enabled=false"]
    assert main(words) == 0
    capsys.readouterr()
    assert main([*words, "--dry-run"]) == 0
    assert " 100% " in capsys.readouterr().out
    assert main([*words, "--dry-run", "perplexity.window=128"]) == 1
    shown = capsys.readouterr()
    assert "error: a, perplexity: a: perplexity.window = 128, but the model's context is 64 tokens" in shown.err
    assert " 100% " in shown.out  # of what can be measured


def test_every_task_is_a_line_with_the_time_left(capsys):
    tasks = [Task(name, "key", lambda scorer: None, 10, num_tokens) for name, num_tokens in (("a", 100), ("b", 300))]
    with Progress(tasks, 2, ALONE) as progress:
        for label in ("one", "two"):
            progress.start_model(label)
            for task, seconds in zip(tasks, (2.0, None), strict=True):
                progress.start_task(task)
                progress.advance(task, 0.5)
                progress.end_task(task, seconds)
    assert [line for line in capsys.readouterr().err.splitlines() if "item" in line or "failed" in line] == [
        "one: a: 10 items, 2.0 s; about 0:00:14 left",
        "one: b: failed; about 0:00:08 left",
        "two: a: 10 items, 2.0 s; about 0:00:06 left",
        "two: b: failed",
    ]
