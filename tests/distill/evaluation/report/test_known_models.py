"""Three models whose truth is known, in one evaluation: at parity, strongly biased, untrained. What is said of each."""

import json

import numpy as np
import pytest

from distill.evaluation import results
from distill.evaluation.config import AgreementConfig, EvalConfig, LogOddsConfig, StatisticsConfig
from distill.evaluation.measures import agreement, log_odds, they
from distill.evaluation.measures.continuations import longform
from distill.evaluation.measures.continuations.bold_prompts import Prompt
from distill.evaluation.measures.continuations.sampling import record
from distill.evaluation.measures.prompts import gendered_prompts, labour_shares, neutral_prompts
from distill.evaluation.report.finding import findings
from distill.evaluation.report.summary import summary
from distill.evaluation.suite import Evaluation, ModelResult, TaskRun

NUM_IDS = 50_000
SETTINGS = StatisticsConfig(num_permutations=999)
SHARES = labour_shares()
TEXTS = {"she": " she left her coat", "he": " he left his coat", "nobody": " it rained"}


def model(label, both, odds, margin, share_of_they, women, gendered, num_samples=10):
    """The result of a model.

    both: P(he) + P(she) after every prompt. odds: log P(he) - log P(she) by occupation; margin: the same for the right
    pronoun after a noun with a gender. share_of_they: P(they) in the three pronouns. women: the share of women, by
    occupation, in long texts with a gender; gendered: the share of these.
    """
    rng = np.random.default_rng(len(label))

    def pronouns(lean):
        he = np.log(both) - np.logaddexp(0, -lean)
        own = np.log(both) + np.log(share_of_they / (1 - share_of_they)) + rng.normal(scale=0.2)
        return {"logprob_he": float(he), "logprob_she": float(he - lean), "logprob_they": float(own)}

    neutral = [
        {"id": p.id, "cluster": p.occupation, "reference_log_odds": None}
        | pronouns(odds(p.occupation) + rng.normal(scale=0.2))
        for p in neutral_prompts(LogOddsConfig(), None)
    ]
    with_gender = [
        {"id": p.id, "cluster": p.cluster, "gender": p.gender}
        | pronouns((margin if p.gender == "male" else -margin) + rng.normal(scale=0.2))
        for p in gendered_prompts(AgreementConfig(), None)
    ]
    written = []
    for prompt in longform.prompts(EvalConfig()):
        share = women(prompt.id.split("/")[0])
        chances = [gendered * share, gendered * (1 - share), 1 - gendered]
        texts = [TEXTS[kind] for kind in rng.choice(list(TEXTS), size=num_samples, p=chances)]
        written.append(record(Prompt(prompt.id, prompt.group, prompt.text), texts))
    tasks = {
        "log_odds": (log_odds, neutral, ("c",)),
        "they": (they, neutral, ("c",)),
        "agreement": (agreement, with_gender, ("c",)),
        "longform": (longform, written, ("c", json.dumps(SHARES))),
    }
    estimates = [one for module, records, more in tasks.values() for one in module.summarise(records, *more, SETTINGS)]
    return ModelResult(
        {"label": label, "dtype": "float32", "num_predicted_ids": NUM_IDS, "num_pronoun_tokens": [1, 1]},
        {name: TaskRun(records, "key", more, 1.0) for name, (_, records, more) in tasks.items()},
        {one.measurement.name: one for one in estimates},
    )


@pytest.fixture(scope="module")
def known():
    """(the paragraph by model, the rows of its summary by column and title)."""
    models = [
        model("parity", 0.3, lambda name: 0.0, 3.0, 0.3, lambda name: 0.5, 0.6),
        model("biased", 0.3, lambda name: 2.0, 3.0, 0.02, lambda name: 0.1 + 0.3 * SHARES.get(name, 0.3), 0.6),
        model("untrained", 2.4 / NUM_IDS, lambda name: 0.5, 0.0, 0.4, lambda name: 0.5, 0.002),
    ]
    content = results.summarise(Evaluation("parity", models, []), EvalConfig(statistics=SETTINGS))
    records = {one.info["label"]: {name: run.records for name, run in one.tasks.items()} for one in models}
    found = findings(content, records)
    rows = {
        one.label: {column: {row.title: row for row in listed} for column, listed in one.columns.items()}
        for one in summary(content, found)
    }
    return dict(found), rows


def test_long_texts_and_they_of_a_model_at_parity(known):
    paragraph = known[0]["parity"]
    assert (
        "Its long texts about people at work are about women as often as about men, as far as this shows: 52 % [49 %, "
        "55 %] of those with a gender ("
    ) in paragraph
    assert "this share is no further from one half than chance explains (-0.070 [-0.12, 0.069]) and 0.31 " in paragraph
    assert " 0.31 [0.25, 0.39] away from the share of women at work." in paragraph
    assert paragraph.endswith(
        "It gives they 30 % [30 %, 31 %] of the probability of he, she and they after an occupation."
    )


def test_long_texts_and_they_of_a_strongly_biased_model(known):
    paragraphs, rows = known
    assert (
        "Its long texts about people at work are more often about men than about women: 21 % [18 %, 24 %] of those "
        "with a gender ("
    ) in paragraphs["biased"]
    assert "After a single prompt this share is 0.29 [0.26, 0.33] away from one half and 0.27 " in paragraphs["biased"]
    assert "It gives they 2 % [2 %, 2.1 %] of the probability" in paragraphs["biased"]
    assert "chance" not in paragraphs["biased"]
    disparity, collateral = rows["biased"]["disparity"], rows["biased"]["collateral"]
    assert disparity["Long form: distance from parity"].words.startswith("worse by 0.36")
    assert disparity["Long form: skew"].words.startswith("lower by 0.3")
    assert disparity["Long form: slope on the shares of women"].words.startswith("higher by 0.2")
    assert collateral["They after occupations: share"].words.startswith("lower by 0.28")


def test_long_texts_and_they_of_an_untrained_model(known):
    """A few of its 1,920 long texts have a gender. That is enough for a test, and too little for an interval."""
    paragraphs, rows = known
    assert paragraphs["untrained"].startswith("untrained behaves like an untrained model: ")
    assert "long text" not in paragraphs["untrained"] and "they " not in paragraphs["untrained"]
    skew = rows["untrained"]["disparity"]["Long form: skew"]
    assert (skew.cell.interval, skew.words) == ("", "")
    assert rows["untrained"]["disparity"]["Long form: distance from parity"].words == ""
    assert rows["untrained"]["utility"]["Gender agreement: accuracy"].words.startswith("worse by ")
