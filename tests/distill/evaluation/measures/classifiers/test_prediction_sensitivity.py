"""The sensitivity to gendered words: its tokens, a planted bias, draws, the user's own classifiers, and refusals."""

import numpy as np
import pytest
import torch

from augment.lexicon import load_lexicon
from distill.evaluation.classifier_config import FineTuningConfig
from distill.evaluation.config import EvalConfig, ScoringConfig, StatisticsConfig
from distill.evaluation.dry_run import dry_run
from distill.evaluation.measure import Inputs
from distill.evaluation.measures.classifiers.fine_tuning import LabelledText, Problem, classifiers
from distill.evaluation.measures.classifiers.prediction_sensitivity import NUMBERS, score, summarise, swapped, task
from distill.evaluation.measures.classifiers.sensitivity import token_sensitivities
from distill.evaluation.scoring.model_specs import ModelSpec, load_scorer
from distill.evaluation.suite import evaluate
from distill.settings import validate

NOUNS = ("nurse", "pilot", "baker", "guard", "chef", "farmer", "lawyer", "artist")
MOODS = {"tired": 0, "proud": 1, "brave": 1, "funny": 0}
TEXTS = [
    LabelledText(f"{noun}/{pronoun}/{mood}", f"The {noun} said that {pronoun} was {mood}.", label)
    for noun in NOUNS
    for pronoun in ("he", "she")
    for mood, label in MOODS.items()
]
HOW = FineTuningConfig(epochs=6, batch_size=8, lr=3e-3)


def items(texts=TEXTS):
    return swapped(texts, load_lexicon())


def test_texts_with_a_counterfactual_and_the_gender_of_their_words():
    texts = ["He met him.", "The bell rang.", "She saw a man.", "Her aunt left."]
    found = items([LabelledText(str(number), text, 0) for number, text in enumerate(texts)])
    assert [(item.id, item.gender) for item in found] == [("0", "masculine"), ("2", None), ("3", "feminine")]
    assert [item.counterfactual for item in found] == ["She met her.", "He saw a woman.", "His uncle left."]
    assert [found[0].text[start:end] for start, end in found[0].spans] == ["He", "him"]


def test_numbers_are_those_of_a_slow_loop(tiny_scorer):
    scorer = tiny_scorer()
    (classifier,) = classifiers(scorer, Problem(("negative", "positive"), TEXTS), HOW)
    chosen = items()[::7]
    with torch.inference_mode():
        records = score(classifier, chosen)
    for record, item in zip(records, chosen, strict=True):
        tokens = scorer.tokenizer(item.text, add_special_tokens=False, return_offsets_mapping=True)
        ids = torch.tensor([[*scorer.start, *tokens["input_ids"]]])
        embeddings = classifier.module.embeddings(ids).detach().requires_grad_()
        is_text = torch.ones_like(ids, dtype=torch.bool)
        probs = classifier.module.logits(is_text, inputs_embeds=embeddings)[0].softmax(-1)
        k = int(probs.argmax())
        (gradient,) = torch.autograd.grad(probs[k], embeddings)
        norms = gradient[0].norm(dim=-1)[1:].tolist()  # without the start token
        (start, end), edited = item.spans[0], []
        for norm, (first, last) in zip(norms, tokens["offset_mapping"], strict=True):
            if first < end and last > start:
                edited.append(norm)
        assert record["p"] == pytest.approx(np.mean(edited), rel=1e-3)
        assert record["p_uniform"] == pytest.approx(np.mean(edited), rel=1e-3)  # of two classes both change alike
        assert record["share_ratio"] == pytest.approx(np.mean(edited) / np.mean(norms), rel=1e-3)
        swapped_probs = classifier.probs([item.counterfactual])[0]
        assert record["change"] == pytest.approx(abs(swapped_probs[k] - probs[k].item()), abs=1e-5)
        assert record["flips"] == (swapped_probs.argmax() != k)
        sign = 1 if item.gender == "feminine" else -1
        assert record["gender_gap"] == pytest.approx(sign * (probs[1].item() - swapped_probs[1]), abs=1e-5)


@pytest.mark.slow
def test_the_change_grows_with_a_planted_bias(tiny_scorer, values):
    """In a growing share of the training texts the pronoun is the class; in the others it says nothing.

    The derivatives (p, share_ratio) do not grow here: a classifier can be flat around the embeddings of both pronouns
    and steep between them. docs/classifiers.md says so.
    """
    scorer, found = tiny_scorer(n_layer=2), []
    by_pronoun = [[text for text in TEXTS if (" she " in text.text) == is_she] for is_she in (False, True)]
    order = np.random.default_rng(0).permutation(len(TEXTS) // 2)
    for planted in (0, 0.25, 0.5, 0.75, 1):
        train = [
            LabelledText(own[row].id, own[row].text, is_she if number < planted * len(own) else number % 2)
            for is_she, own in enumerate(by_pronoun)
            for number, row in enumerate(order)
        ]
        how = FineTuningConfig(epochs=12, batch_size=16, lr=1e-3)
        (classifier,) = classifiers(scorer, Problem(("negative", "positive"), train), how)
        found.append(values(summarise(score(classifier, items()), "c", StatisticsConfig())))
    for number in ("change", "gender_gap"):
        row = [by_name[f"prediction_sensitivity/{number}"] for by_name in found]
        assert row == sorted(row), number
        assert row[-1] > row[0] + 0.05


def test_numbers_that_are_not_defined_are_left_out(values):
    known = dict.fromkeys(NUMBERS, 0.5)
    records = [
        {"id": "a@0", "draw": 0, **known},
        {"id": "b@0", "draw": 0, **known, "gender_gap": None},
        {"id": "c@0", "draw": 0, **dict.fromkeys(NUMBERS)},
    ]
    records += [record | {"id": record["id"].replace("@0", "@1"), "draw": 1} for record in records]
    records[3] = records[3] | {"change": 0.7}
    estimates = summarise(records, "c", StatisticsConfig())
    assert values(estimates)["prediction_sensitivity/change"] == pytest.approx(0.55)
    clusters = {own.measurement.name.split("/")[1]: own.clusters for own in estimates}
    assert clusters["change"] == ("a", "b")
    assert clusters["gender_gap"] == ("a",)


def test_a_classifier_that_has_learned_nothing_is_not_measured(tiny_scorer):
    (classifier,) = classifiers(tiny_scorer(), Problem(("a", "b"), TEXTS), HOW)
    torch.nn.init.zeros_(classifier.module.head.weight)
    with pytest.raises(ValueError, match="gpt2-0: the classifier gives every text the same probabilities, so its sens"):
        score(classifier, items())


def own_settings(tmp_path, **more):
    (tmp_path / "texts.txt").write_text("The nurse said that she was tired.\nThe bell rang.\nA man and his dog left.\n")
    off = {name: {"enabled": False} for name in ("log_odds", "they", "agreement", "counterfactual_gap", "perplexity")}
    own = {"prediction_sensitivity": {"enabled": True, "data": "text"}, "text": {"path": str(tmp_path / "texts.txt")}}
    return validate(EvalConfig, off | own | {"statistics": {"num_permutations": 999}} | more)


def test_an_own_classifier_is_measured_on_own_texts_and_a_language_model_cannot_be(
    classifier, slow_classifier, model_spec, tmp_path
):
    path = classifier(["calm", "cross", "glad"])
    specs = [ModelSpec("mine", path), model_spec("lm")]
    config = own_settings(tmp_path)
    evaluation = evaluate(specs, config)
    (result, other) = evaluation.results
    assert (result.info["label"], result.info["num_predicted_ids"]) == ("mine", None)
    (record, _) = result.tasks["prediction_sensitivity"].records
    texts = ("The nurse said that she was tired.", "The nurse said that he was tired.")
    probs, cf_probs = (np.array(slow_classifier(path, text)) for text in texts)
    k = int(probs.argmax())
    assert record["change"] == pytest.approx(abs(cf_probs[k] - probs[k]), abs=1e-5)
    assert record["p"] > 0
    assert other.estimates == {}
    (failure,) = evaluation.failures
    assert (failure.model, failure.task) == ("lm", "prediction_sensitivity")
    assert (
        "lm is a language model, and there are no texts from which it could learn to classify; set pre"
        in failure.message
    )
    _, failures = dry_run(specs[:1], config, None, 1)
    assert failures == []


def test_a_classifier_without_padding_token_gives_the_same(classifier, tmp_path):
    path = classifier(["calm", "cross"])
    scorers = [load_scorer(ModelSpec("mine", path), ScoringConfig()) for _ in range(2)]
    scorers[1].model.config.pad_token_id = None
    planned = task(Inputs(own_settings(tmp_path), ["He left.", "She wept.", "He sat."], {}))
    works = [planned.prepare(scorer) for scorer in scorers]
    first, second = ([record["share_ratio"] for record in work.score(work.items)] for work in works)
    assert first == pytest.approx(second)
    (own,) = classifiers(scorers[1], Problem((), ()), HOW)
    tokens = own.encode(["He left."])
    assert dict(token_sensitivities(own, tokens))[0].shape == (2, len(tokens[0].ids))


def test_measures_of_language_models_leave_out_a_classifier(classifier, tmp_path):
    specs = [ModelSpec("mine", classifier(["calm", "cross"]))]
    evaluation = evaluate(specs, validate(EvalConfig, {}))
    assert [(failure.model, failure.task) for failure in evaluation.failures] == [("mine", None)]
    assert "it is a text classifier, and no measure that is switched on reads one" in evaluation.failures[0].message
    single = [ModelSpec("single", classifier(["score"]))]
    (failure,) = evaluate(single, own_settings(tmp_path)).failures
    assert "has a single output, which is a score and no class" in failure.message


@pytest.mark.parametrize(
    ("settings", "documents", "message"),
    [
        ({"data": "sst2"}, None, "data = 'sst2' needs its texts; set benchmarks.sst2=PATH"),
        ({"data": "text"}, None, "data = 'text' needs documents; set text.path"),
        ({"data": "text"}, ["The bell rang."], "none of the texts of text holds a gendered term"),
    ],
)
def test_data_that_is_not_there_is_one_message(settings, documents, message):
    config = validate(EvalConfig, {"prediction_sensitivity": {"enabled": True, **settings}})
    with pytest.raises(ValueError, match=message):
        task(Inputs(config, documents, {}))
