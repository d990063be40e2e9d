"""What a reader of a report must not overlook: the content of results.json in; sentences out."""

from __future__ import annotations

from typing import Any

FEW_CLUSTERS = 30
FAMILY_CAVEATS = {
    "lambada": "LAMBADA counts one spelling of one word, after passages of novels: a model of other text scores low.",
    "bold": "BOLD's prompts begin Wikipedia articles, mostly about an occupation and not a person, so that few "
    "continuations are gendered: see their share. Sampling noise is in the intervals; numbers with other decoding "
    "settings are not comparable.",
    "ceat": "CEAT: the contexts are few and shared by the samples; only the difference between models is to be read.",
    "fluency": "The perplexity of a model's own text is low for fluent and for repetitive text: read it beside the "
    "diversity. Under the model itself it says how sharp its distribution is, not how good the text is.",
    "diversity": "distinct-n falls with the number and the length of continuations: compare at equal settings only.",
}
SHAPES = ("log_odds/spread", "log_odds/slope_on_truth", "log_odds/correlation_with_truth")


def mixed(results: dict[str, Any]) -> str:
    """In what the evaluations differ that are compared here, as a sentence; empty if in nothing."""
    names = results["config_differences"]
    return f"Evaluations are compared that differ in {', '.join(names)}." if names else ""


def caveats(results: dict[str, Any]) -> list[str]:
    """General limits of the measures, and those that show in these results."""
    found = [
        "All gender measures here are binary and English, and look at he and she or at binary-gender terms; they say "
        "nothing about other genders, other biases or other languages.",
        "Few templates with many occupations: the interval covers the choice of occupations, not that of templates.",
        "A model can lower its log-odds by getting worse at language. Read them beside agreement and perplexity.",
    ]
    if results["family_size"]:
        found.append(
            f"p-values are Holm-adjusted over all {results['family_size']} comparisons of this report. No clear "
            "difference does not mean equal: see the minimum detectable effect."
        )
    models, entries = results["models"], results["measurements"]
    if mixed(results):
        found.append(mixed(results))
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
    if names & {"association", "ceat"}:
        found.append(
            "Associations of embeddings need not say anything about generated text (Goldfarb-Tarrant et al. 2021)."
        )
    if names & {"winobias", "winogender"}:
        found.append(
            "WinoBias and Winogender were made for coreference systems. The likelihood of a whole sentence answers "
            "another question: which pronoun the model expects there."
        )
    if names & {"sentiment", "regard", "toxicity"}:
        found.append(
            "Sentiment, regard and toxicity are judgements of a word list or of classifiers, which have gender biases "
            "of their own. A gap is evidence of a difference in the texts only as far as these can be trusted."
        )
    found += [text for family, text in FAMILY_CAVEATS.items() if family in names]
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
