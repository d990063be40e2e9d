"""What each measurement means, in the words of the report and in the order in which it shows them."""

from __future__ import annotations

from typing import NamedTuple

from distill.evaluation.measures.bold import BUCKETS
from distill.evaluation.measures.fluency import DISTINCT
from distill.evaluation.measures.perplexity import LOG_PERPLEXITY


class Description(NamedTuple):
    """What a reader needs to know about a measurement. short: its name in the summary table, None if not there."""

    title: str
    short: str | None
    text: str


def _polarity(name: str, title: str, how: str, short: str | None = None) -> dict[str, Description]:
    """The measurements of `bold.polarity_estimates`."""
    return {
        f"{name}/mean_ratio": Description(
            f"{title}: mean ratio of the genders",
            short,
            f"min(F/M, M/F) of the continuations about women and men, mean over profession groups; 1 is parity.{how}",
        ),
        f"{name}/min_ratio": Description(
            f"{title}: lowest ratio of the genders", None, f"The same for the most one-sided profession group.{how}"
        ),
        f"{name}/log_ratio": Description(
            f"{title}: log(M/F)", None, f"Over all groups together: above 0 more continuations are about men.{how}"
        ),
        f"{name}/gendered": Description(
            f"{title}: gendered continuations",
            None,
            f"The share of continuations that are about women or about men.{how}",
        ),
    }


def _scores(name: str, title: str, what: str) -> dict[str, Description]:
    """The measurements of `continuation_scores`."""
    found = {}
    for prompts, whose in (("professions", "with words of that gender"), ("persons", "about persons of that gender")):
        for gender in ("female", "male"):
            found[f"{name}/{prompts}/{gender}"] = Description(
                f"{title}, {prompts}, {gender}", None, f"Mean {what}, of continuations {whose}."
            )
        found[f"{name}/{prompts}/gap"] = Description(
            f"{title}, {prompts}: female minus male",
            f"{name} gap" if prompts == "persons" else None,
            f"Difference of the means of both genders ({what}). 0: alike.",
        )
    return found


DESCRIPTIONS = {
    "log_odds/mean_abs": Description(
        "Profession log-odds: distance from parity",
        "mean |log-odds|",
        "Mean of |log P(he) - log P(she)| after prompts that name only an occupation. 0 is parity.",
    ),
    "log_odds/share_removed": Description(
        "Share of the reference's bias removed",
        "bias removed",
        "1 - mean |log-odds| / mean |log-odds| of the reference. 1: all of it is gone; 0: none; negative: it grew.",
    ),
    "log_odds/spread": Description(
        "Profession log-odds: spread over occupations",
        "spread",
        "Standard deviation of the occupations' mean log-odds: how much the model tells occupations apart by gender.",
    ),
    "log_odds/mean": Description(
        "Profession log-odds: overall lean",
        None,
        "Mean of log P(he) - log P(she): above 0 the model expects he, whatever the occupation. 0 is parity.",
    ),
    "log_odds/slope_on_truth": Description(
        "Slope of the log-odds on the known ones",
        "slope on truth",
        "Least-squares slope of the model's log-odds on the occupations' known log-odds: 1 when a bias was learned in "
        "full, 0 when none of it is left.",
    ),
    "log_odds/correlation_with_truth": Description(
        "Correlation of the log-odds with the known ones",
        None,
        "Pearson correlation over occupations: whether the order of the occupations is still the stereotype's.",
    ),
    "agreement/accuracy": Description(
        "Gender agreement: accuracy",
        "agreement",
        "How often the right pronoun is the likelier one where the noun settles it (The woman said that ...). "
        "A loss here is a loss of language, not of bias.",
    ),
    "agreement/margin": Description(
        "Gender agreement: margin",
        None,
        "By how many nats the right pronoun is ahead, on average.",
    ),
    "counterfactual_gap/total_variation": Description(
        "Counterfactual gap: predictions",
        "counterfactual gap",
        "Mean total variation between the prediction on a text and the one on its gender-swapped counterfactual, "
        "carried back. 0: the model treats both worlds alike; 1 is the largest possible value.",
    ),
    "counterfactual_gap/log_likelihood": Description(
        "Counterfactual gap: likelihood",
        None,
        "Mean over documents of |log P(text) - log P(counterfactual)| per token.",
    ),
    "perplexity/token-stride": Description(
        "Perplexity per token",
        "perplexity",
        "exp of the mean negative log-likelihood per token. Depends on the tokenizer, the window and the stride.",
    ),
    "perplexity/word": Description(
        "Perplexity per word",
        None,
        "The same log-likelihood per white-space word: comparable between tokenizers.",
    ),
    LOG_PERPLEXITY: Description(
        "Log-perplexity",
        None,
        "Mean negative log-likelihood per token; its paired difference decides non-inferiority.",
    ),
    "wikitext/word_perplexity": Description(
        "WikiText: perplexity per word",
        "WikiText perplexity",
        "As lm-evaluation-harness's task wikitext: articles apart, detokenised text, words counted in the raw text.",
    ),
    "wikitext/bits_per_byte": Description(
        "WikiText: bits per byte", None, "The same log-likelihood per byte of the raw text, in bits."
    ),
    "stereoset/gender/ss": Description(
        "StereoSet, gender: stereotype score",
        None,
        "How often the stereotype is preferred to the anti-stereotype, mean over target terms; 50 is the ideal.",
    ),
    "stereoset/gender/lms": Description(
        "StereoSet, gender: language modelling score",
        None,
        "How often a meaningful sentence is preferred to an unrelated one, mean over target terms.",
    ),
    "stereoset/gender/icat": Description(
        "StereoSet, gender: ICAT", "StereoSet ICAT", "LMS * min(SS, 100 - SS) / 50: 100 is the ideal."
    ),
    "stereoset/all/ss": Description(
        "StereoSet, all: stereotype score", None, "As above, for gender, profession, race and religion."
    ),
    "stereoset/all/lms": Description(
        "StereoSet, all: language modelling score", None, "As above, for gender, profession, race and religion."
    ),
    "stereoset/all/icat": Description(
        "StereoSet, all: ICAT", None, "As above, for gender, profession, race and religion."
    ),
    "crows_pairs/bias-bench/gender": Description(
        "CrowS-Pairs, gender, per token",
        "CrowS gender",
        "How often the more stereotyping sentence has the higher mean log-probability per token; 50 is the ideal.",
    ),
    "crows_pairs/bias-bench/all": Description(
        "CrowS-Pairs, all, per token", None, "The same for all nine kinds of bias."
    ),
    "crows_pairs/lm-eval/gender": Description(
        "CrowS-Pairs, gender, per sentence",
        None,
        "How often the more stereotyping sentence has the higher log-likelihood; 50 is the ideal. Not comparable "
        "with the score per token.",
    ),
    "crows_pairs/lm-eval/all": Description(
        "CrowS-Pairs, all, per sentence", None, "The same for all nine kinds of bias."
    ),
    "winobias/type1/all": Description(
        "WinoBias type 1",
        "WinoBias 1",
        "How often the pronoun that fits the stereotype makes the likelier sentence, where only world knowledge tells "
        "whom it refers to; 50 is the ideal.",
    ),
    "winobias/type1/male": Description(
        "WinoBias type 1, stereotypically male referents", None, "The same where he would fit the stereotype."
    ),
    "winobias/type1/female": Description(
        "WinoBias type 1, stereotypically female referents", None, "The same where she would fit the stereotype."
    ),
    "winobias/type2/all": Description(
        "WinoBias type 2", None, "The same where syntax tells whom the pronoun refers to."
    ),
    "winobias/type2/male": Description(
        "WinoBias type 2, stereotypically male referents", None, "The same where he would fit the stereotype."
    ),
    "winobias/type2/female": Description(
        "WinoBias type 2, stereotypically female referents", None, "The same where she would fit the stereotype."
    ),
    "occupation_gap/accuracy": Description(
        "Occupation classifier: accuracy",
        None,
        "How often the fine-tuned model tells the occupation of a generated biography, in which the occupation is not "
        "named.",
    ),
    "occupation_gap/tpr_gap": Description(
        "Occupation classifier: true-positive-rate gap",
        "TPR gap",
        "Root mean square over occupations of the fine-tuned model's true positive rate for women minus that for men. "
        "0: alike; the sampling of biographies alone makes it a little larger than 0.",
    ),
    "occupation_gap/slope": Description(
        "Occupation classifier: slope of the gap on the share of women",
        None,
        "How much that difference grows with the share of women in an occupation, per unit of share. 0: no stereotype.",
    ),
    "sst2/accuracy": Description(
        "SST-2: accuracy after fine-tuning",
        "SST-2",
        "How often the fine-tuned model tells whether a sentence of a film review is positive (development part).",
    ),
    "cola/matthews": Description(
        "CoLA: Matthews' correlation after fine-tuning",
        "CoLA",
        "How well the fine-tuned model tells acceptable English sentences from others (development part). "
        "0: by chance; 1: always.",
    ),
    "association/seat": Description(
        "Sentence embedding association (SEAT)",
        "SEAT",
        "Mean |effect size| over the tests of the association of gendered names and terms with attributes. 0: none.",
    ),
    "association/weat": Description(
        "Word embedding association (WEAT)", None, "The same with single words in place of sentences."
    ),
    "winogender/stereotype/all": Description(
        "Winogender",
        "Winogender",
        "How often the pronoun of the gender that most workers of an occupation have makes the likelier sentence, "
        "where it refers to the occupation; 50 is the ideal.",
    ),
    "winogender/stereotype/male": Description(
        "Winogender, occupations of mostly men", None, "The same where he would fit the statistics."
    ),
    "winogender/stereotype/female": Description(
        "Winogender, occupations of mostly women", None, "The same where she would fit the statistics."
    ),
    "winogender/correlation": Description(
        "Winogender: correlation with labour statistics",
        None,
        "Pearson correlation over occupations of the share of women with how much likelier she is than he. 0: none.",
    ),
    "winogender/coreference": Description(
        "Winogender: coreference",
        None,
        "How often the right noun is likelier after \"'She' refers to the\", over he, she and they. Chance is 50.",
    ),
    "winogender/coreference_gap": Description(
        "Winogender: coreference, she minus he", None, "By how many points she is understood better than he. 0: alike."
    ),
    "ceat/mean_abs": Description(
        "Contextualised embedding association (CEAT)",
        "CEAT",
        "Mean |combined effect size| over the tests, each combined over many samples of contexts. 0: no association.",
    ),
    "lambada/accuracy": Description(
        "LAMBADA: accuracy", "LAMBADA", "How often the last word of a passage is what the model would write."
    ),
    "lambada/perplexity": Description(
        "LAMBADA: perplexity", None, "exp of the mean negative log-probability of the last word, per word."
    ),
    **_polarity("bold", "BOLD professions", "", "BOLD ratio"),
    **{
        f"bold/{bucket}/log_ratio": Description(
            f"BOLD professions, {bucket}: log(M/F)", None, "The same for one of the paper's four coarse groups."
        )
        for bucket in BUCKETS
    },
    **_polarity("bold/gender_max", "BOLD, gender-max", " Gender is that of the word most gendered in word vectors."),
    **_polarity("bold/gender_wavg", "BOLD, gender-wavg", " Gender is a weighted mean over the words' vectors."),
    "bold_persons/agreement": Description(
        "BOLD persons: right gender",
        None,
        "Of the gendered continuations of prompts about actors and actresses, the share with the person's gender.",
    ),
    **_scores("sentiment", "Sentiment", "VADER's compound score, from -1 to 1"),
    **_scores("regard", "Regard", "probability of positive minus that of negative regard"),
    **_scores("toxicity", "Toxicity", "probability of toxic text by a classifier"),
    "fluency/perplexity": Description(
        "Continuations: perplexity",
        None,
        "exp of the mean negative log-probability per token of the model's own continuations, under a reference model "
        "or itself. Very low means repetition, very high means noise.",
    ),
    **{
        f"diversity/distinct_{n}": Description(
            f"Continuations: distinct-{n}",
            None,
            f"Different {n}-grams of words over all of them within the continuations of one prompt.",
        )
        for n in DISTINCT
    },
    "diversity/repetition": Description(
        "Continuations: repetition", None, "The share of 4-grams in a continuation that occurred in it before."
    ),
    "diversity/empty": Description("Continuations: empty", None, "The share of continuations without any text."),
}
