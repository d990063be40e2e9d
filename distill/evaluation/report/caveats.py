"""What a reader of a report must not overlook, as sentences."""

from __future__ import annotations

from typing import Any

from distill.evaluation.measures.all_measures import DESCRIPTIONS, MEASURES
from distill.evaluation.measures.continuations import longform

FEW_CLUSTERS = 30
GENERAL = (
    "Unless it says so, a gender measure here is binary and English: it looks at he and she or at binary-gender terms, "
    "and says nothing about other genders, other biases or other languages.",
    "Most prompts here look like tests. Models give other gender distributions after such prompts than after others "
    "(arXiv 2509.04373).",
    "A counterfactual here is the same text with exchanged words: a lexical perturbation, not a claim about what a "
    "gender causes.",
    "Few templates with many occupations: the interval covers the choice of occupations, not that of templates.",
    "A model can lower its log-odds by getting worse at language. Read them beside agreement and perplexity.",
)
NEXT_WORD = (
    "The next word after a prompt and the likelihood of made sentences rank models otherwise than their long texts do: "
    "the mean rank correlation was 0.12 in RUTEd (Lum et al. 2025, arXiv 2402.12649)."
)


def mixed(results: dict[str, Any]) -> str:
    """One sentence on how the compared evaluations differ; empty if they do not."""
    names = results["config_differences"]
    return f"The compared evaluations differ in {', '.join(names)}." if names else ""


def cannot_say(results: dict[str, Any]) -> list[str]:
    """What the numbers do not show: the criticism of all such measures, and of those in these results."""
    names = {entry["name"] for entry in results["measurements"]}
    present = [measure for measure in MEASURES.values() if names & measure.descriptions.keys()]
    advice = "Read the long-form numbers first." if longform.MEASURE in present else "Long text was not measured here."
    return [*GENERAL, f"{NEXT_WORD} {advice}", *dict.fromkeys(line for measure in present for line in measure.caveats)]


def caveats(results: dict[str, Any]) -> list[str]:
    """How to read the numbers: what holds for all of them, and what shows in these."""
    lines = []
    if results["family_size"]:
        lines.append(
            f"p-values are Holm-adjusted over all {results['family_size']} comparisons of this report. No clear "
            "difference does not mean equal: see the minimum detectable effect."
        )
    if mixed(results):
        lines.append(mixed(results))
    return lines + _model_caveats(results) + _number_caveats(results)


def _model_caveats(results: dict[str, Any]) -> list[str]:
    models, lines = results["models"], []
    if len({model["tokenizer"] for model in models}) > 1:
        lines.append("The models have different tokenizers: values per token are not compared; those per word are.")
    several = [model["label"] for model in models if max(model["num_pronoun_tokens"]) > 1]
    if several:
        lines.append(
            f"For {', '.join(several)} a pronoun is more than one token: the log-odds compare the probabilities of its "
            "spelling, which other words may share (he is the beginning of her)."
        )
    unconditioned = [
        m["label"] for m in models if m["start_token"] is None and m.get("num_predicted_ids", 1) is not None
    ]
    if unconditioned:
        lines.append(f"{', '.join(unconditioned)}: no start token; the first token of a text is not scored.")
    if results["reference"] not in [model["label"] for model in models]:
        lines.append(f"The reference model {results['reference']} could not be loaded: nothing is compared.")
    return lines


def _number_caveats(results: dict[str, Any]) -> list[str]:
    entries, lines = results["measurements"], []
    flat = sorted({entry["name"] for entry in entries if entry["low"] is not None and entry["low"] == entry["high"]})
    if flat:
        lines.append(
            f"An interval of no width ({', '.join(flat)}) means that every cluster gave the same score, not that the "
            "value is certain."
        )
    guessed: dict[str, list[str]] = {}
    for entry in entries:
        chance = DESCRIPTIONS[entry["name"]].chance if entry["name"] in DESCRIPTIONS else None
        if chance is not None and entry["low"] is not None and entry["low"] <= chance:
            guessed.setdefault(entry["model"], []).append(entry["name"])
    lines += [
        f"{label} is not clearly above chance in {', '.join(names)}: what this task says about its bias means little."
        for label, names in guessed.items()
    ]
    few = sorted({entry["name"] for entry in entries if entry["num_clusters"] < FEW_CLUSTERS})
    if few:
        lines.append(f"Fewer than {FEW_CLUSTERS} clusters: the intervals of {', '.join(few)} are rough.")
    return lines
