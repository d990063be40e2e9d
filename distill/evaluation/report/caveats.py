"""What a reader of a report must not overlook, as sentences."""

from __future__ import annotations

from typing import Any

from distill.evaluation.measures.all_measures import MEASURES

FEW_CLUSTERS = 30
GENERAL = (
    "All gender measures here are binary and English: they look at he and she or at binary-gender terms, and say "
    "nothing about other genders, other biases or other languages.",
    "Few templates with many occupations: the interval covers the choice of occupations, not that of templates.",
    "A model can lower its log-odds by getting worse at language. Read them beside agreement and perplexity.",
)


def mixed(results: dict[str, Any]) -> str:
    """One sentence on how the compared evaluations differ; empty if they do not."""
    names = results["config_differences"]
    return f"The compared evaluations differ in {', '.join(names)}." if names else ""


def caveats(results: dict[str, Any]) -> list[str]:
    """General limits, those of the measures in these results, and those that show in the numbers."""
    lines = list(GENERAL)
    if results["family_size"]:
        lines.append(
            f"p-values are Holm-adjusted over all {results['family_size']} comparisons of this report. No clear "
            "difference does not mean equal: see the minimum detectable effect."
        )
    if mixed(results):
        lines.append(mixed(results))
    names = {entry["name"] for entry in results["measurements"]}
    present = [measure for measure in MEASURES.values() if names & measure.descriptions.keys()]
    lines += dict.fromkeys(caveat for measure in present for caveat in measure.caveats)
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
    unconditioned = [model["label"] for model in models if model["start_token"] is None]
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
    few = sorted({entry["name"] for entry in entries if entry["num_clusters"] < FEW_CLUSTERS})
    if few:
        lines.append(f"Fewer than {FEW_CLUSTERS} clusters: the intervals of {', '.join(few)} are rough.")
    return lines
