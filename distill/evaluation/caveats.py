"""What a reader of a report must not overlook: the content of results.json in; sentences out."""

from __future__ import annotations

from typing import Any

FEW_CLUSTERS = 30
SHAPES = ("log_odds/spread", "log_odds/slope_on_truth", "log_odds/correlation_with_truth")


def caveats(results: dict[str, Any]) -> list[str]:
    """General limits of the measures, and those that show in these results."""
    found = [
        "All gender measures here are binary and English, and look at he and she or at binary-gender terms; they say "
        "nothing about other genders, other biases or other languages.",
        "Few templates with many occupations: the interval covers the choice of occupations, not that of templates.",
        "A model can lower its log-odds by getting worse at language. Read them beside agreement and perplexity.",
        f"p-values are Holm-adjusted over all {results['family_size']} comparisons of this report. No clear "
        "difference does not mean equal: see the minimum detectable effect.",
    ]
    models, entries = results["models"], results["measurements"]
    if any(entry["name"] in SHAPES for entry in entries):
        found.append(
            "Intervals of a spread, slope or correlation over a few dozen occupations are a little narrow: in "
            "simulation those labelled 95 % held the truth in 91 to 94 % of cases. The p-values do not depend on them."
        )
    names = {entry["name"].split("/")[0] for entry in entries}
    if names & {"stereoset", "crows_pairs"}:
        found.append(
            "StereoSet and CrowS-Pairs hold many unclear or faulty sentences (Blodgett et al. 2021), "
            "and few about gender: small differences on them mean little."
        )
    if "association" in names:
        found.append(
            "Associations of embeddings need not say anything about generated text (Goldfarb-Tarrant et al. 2021)."
        )
    if len({model["tokenizer"] for model in models}) > 1:
        found.append("The models have different tokenizers: values per token are not compared; those per word are.")
    several = [model["label"] for model in models if max(model["num_pronoun_tokens"]) > 1]
    if several:
        found.append(
            f"For {', '.join(several)} a pronoun is more than one token: the log-odds compare the probabilities of its "
            "spelling, which other words may share (he is the beginning of her)."
        )
    unconditioned = [model["label"] for model in models if model["start_token"] is None]
    if unconditioned:
        found.append(f"{', '.join(unconditioned)}: no start token; the first token of a text is not scored.")
    flat = sorted({entry["name"] for entry in entries if entry["low"] is not None and entry["low"] == entry["high"]})
    if flat:
        found.append(
            f"An interval of no width ({', '.join(flat)}) means that every cluster gave the same score, not that "
            "there is no uncertainty."
        )
    few = sorted({entry["name"] for entry in entries if entry["num_clusters"] < FEW_CLUSTERS})
    if few:
        found.append(f"Fewer than {FEW_CLUSTERS} clusters: the intervals of {', '.join(few)} are rough.")
    if results["reference"] not in [model["label"] for model in models]:
        found.append(f"The reference model {results['reference']} could not be loaded: nothing is compared.")
    return found
