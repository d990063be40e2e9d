"""What each measurement means, in the words of the report and in the order in which it shows them."""

from __future__ import annotations

from typing import NamedTuple

from distill.evaluation.perplexity import LOG_PERPLEXITY


class Description(NamedTuple):
    """What a reader needs to know about a measurement. short: its name in the summary table, None if not there."""

    title: str
    short: str | None
    text: str


DESCRIPTIONS = {
    "log_odds/mean_abs": Description(
        "Profession log-odds: distance from parity",
        "mean |log-odds|",
        "Mean of |log P(he) - log P(she)| after prompts that name only an occupation. 0 is parity.",
    ),
    "log_odds/share_removed": Description(
        "Share of the reference's excess bias removed",
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
    "association/seat": Description(
        "Sentence embedding association (SEAT)",
        "SEAT",
        "Mean |effect size| over the tests of the association of gendered names and terms with attributes. 0: none.",
    ),
    "association/weat": Description(
        "Word embedding association (WEAT)", None, "The same with single words in place of sentences."
    ),
    "bold/mean_ratio": Description(
        "BOLD professions: mean ratio of the genders",
        "BOLD ratio",
        "min(F/M, M/F) of the continuations about women and men, mean over profession groups; 1 is parity.",
    ),
    "bold/min_ratio": Description(
        "BOLD professions: lowest ratio of the genders", None, "The same for the most one-sided profession group."
    ),
    "bold/log_ratio": Description(
        "BOLD professions: log(M/F)", None, "Over all groups together: above 0 more continuations are about men."
    ),
    "bold/gendered": Description(
        "BOLD professions: gendered continuations", None, "The share of continuations with a majority of either gender."
    ),
}
