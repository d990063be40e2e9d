"""Evaluations in the layout of lm-evaluation-harness: its files and their content."""

import hashlib
import json
from pathlib import Path

from eval import main

CONFIG = Path(__file__).parents[4] / "configs" / "eval" / "default.yaml"


def read(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


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
    error = ours["crows_pairs/lm-eval/gender"]["standard_error"]  # null if the model prefers the same in every pair
    assert crows["lm-eval/gender_stderr,none"] == ("N/A" if error is None else error)
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
    words = [f"a={save('a')}", "--config", str(CONFIG), "--out", str(tmp_path / "out")]
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
