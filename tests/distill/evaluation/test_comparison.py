"""Comparing earlier evaluations without their models, and what the files of a comparison say."""

import json
from pathlib import Path

import pytest

from distill.evaluation.report.cells import number
from eval import main

CONFIG = Path(__file__).parents[3] / "configs" / "eval" / "smallworld.yaml"


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
    off = ["perplexity.enabled=false", "agreement.enabled=false", "log_odds.enabled=false"]
    folders = [evaluated(f"{name}/report", f"student={models[name]}", *off) for name in "abc"]
    folders.append(evaluated("d/report", f"student@report={models['d']}", *off))
    assert main(["compare", *map(str, folders), "--out", str(tmp_path / "out")]) == 0
    results = read(tmp_path / "out")
    labels = [model["label"] for model in results["models"]]
    assert labels == ["student", "student@report", "student@report-2", "student@report@report"]
    assert main(["compare", str(tmp_path / "out"), "--out", str(tmp_path / "again")]) == 0
    assert measurements(read(tmp_path / "again")) == measurements(results)
    spelled = (
        evaluated("e", f"stu dent={models['b']}", *off),
        evaluated("f", f"stu-dent={models['c']}", *off),
    )
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
    assert set(model["tasks"]) == {"perplexity", "log_odds", "they"}


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
        del model["versions"]  # as in a file of an earlier version
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
    sentence = f"The compared evaluations differ in {', '.join(names)}."
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
    del written["models"][0]["groups"]  # as in a file of an earlier version
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
        (lambda: None, ["compare", str(tmp_path / "old.json")], "has schema_version 1, and this version reads 2"),
        (lambda: None, ["compare", str(tmp_path / "other.json")], "is not a results.json of `evenhand eval`"),
        (
            lambda: None,
            ["compare", str(tmp_path / "study.json")],
            "is not a results.json of `evenhand eval`: it has no fail",
        ),
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
