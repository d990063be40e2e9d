"""Slow references for log-probabilities, short access to estimates, tiny text classifiers, tiny benchmarks."""

import gzip
import json

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from distill.models.loading import load_tokenizer


@pytest.fixture
def slow_logprobs():
    """slow_logprobs(scorer, text, prompt=""): float64 log P of each token of a text after the start token.

    prompt: the beginning of the text; its tokens are not scored.
    """

    def compute(scorer, text, prompt=""):
        ids = [*scorer.start, *scorer.tokenizer(text, add_special_tokens=False)["input_ids"]]
        num_given = len(scorer.start) + len(scorer.tokenizer(prompt, add_special_tokens=False)["input_ids"])
        with torch.no_grad():
            logprobs = scorer.model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        return np.array([float(logprobs[i - 1, ids[i]]) for i in range(max(num_given, 1), len(ids))])

    return compute


@pytest.fixture
def slow_log_odds():
    """slow_log_odds(scorer, text): log P(he) - log P(she) after the text, from one float64 softmax."""

    def compute(scorer, text):
        ids = [scorer.tokenizer.bos_token_id, *scorer.tokenizer(text, add_special_tokens=False)["input_ids"]]
        with torch.no_grad():
            logprobs = scorer.model(torch.tensor([ids])).logits[0, -1].double().log_softmax(-1)
        he, she = (scorer.tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in (" he", " she"))
        return float(logprobs[he] - logprobs[she])

    return compute


@pytest.fixture
def by_name():
    """by_name(estimates): the measurements by name."""
    return lambda estimates: {estimate.measurement.name: estimate.measurement for estimate in estimates}


@pytest.fixture
def values():
    """values(estimates): the values by name."""
    return lambda estimates: {estimate.measurement.name: estimate.measurement.value for estimate in estimates}


@pytest.fixture
def classifier(tokenizer, tmp_path):
    """classifier(["label", ...]): a folder with a tiny text classifier with these labels."""

    def build(labels):
        torch.manual_seed(0)
        config = AutoConfig.for_model(
            "gpt2",
            vocab_size=len(tokenizer),
            n_embd=8,
            n_head=2,
            n_layer=1,
            n_positions=32,
            initializer_range=1.0,
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            label2id={label: number for number, label in enumerate(labels)},
            pad_token_id=tokenizer.bos_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.bos_token_id,
        )
        folder = tmp_path / "-".join(labels)
        AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return str(folder)

    return build


@pytest.fixture
def slow_classifier():
    """slow_classifier(path, text): the probability of each label of a classifier of `classifier`, in their order."""

    def compute(path, text):
        model = AutoModelForSequenceClassification.from_pretrained(path).eval()
        with torch.no_grad():
            return model(torch.tensor([load_tokenizer(path)(text)["input_ids"]])).logits[0].softmax(-1).tolist()

    return compute


@pytest.fixture
def bbq_row():
    """bbq_row("Age", ambiguous=False, question_polarity="neg"): a row in BBQ's format, about a tired pilot or baker."""

    def build(category="Age", ambiguous=True, **changes):
        told = "" if ambiguous else " The pilot was tired, and the baker was not."
        row = {
            "example_id": 0,
            "question_index": "1",
            "question_polarity": "nonneg",
            "context_condition": "ambig" if ambiguous else "disambig",
            "category": category,
            "answer_info": {"ans0": ["baker", "F"], "ans1": ["Not known", "unknown"], "ans2": ["pilot", "M"]},
            "additional_metadata": {"subcategory": "None", "stereotyped_groups": ["F"], "version": "None"},
            "context": f"The nurse met a pilot and a baker.{told}",
            "question": "Who was tired?",
            "ans0": "The baker",
            "ans1": "Not known",
            "ans2": "The pilot",
            "label": 1 if ambiguous else 2,
        }
        return row | changes

    return build


@pytest.fixture
def bbq_folder(bbq_row, tmp_path):
    """A tiny BBQ: a file for each category, gzipped or not, with two templates in both kinds of contexts."""
    from distill.evaluation.measures.published.bbq_questions import CATEGORIES

    folder = tmp_path / "bbq"
    folder.mkdir()
    for number, category in enumerate(CATEGORIES):
        rows = [
            bbq_row(category.capitalize(), ambiguous, example_id=2 * index + ambiguous, question_index=str(index))
            for index in range(2)
            for ambiguous in (False, True)
        ]
        content = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
        file = folder / f"{category}.jsonl{'.gz' if number % 2 else ''}"
        file.write_bytes(gzip.compress(content) if number % 2 else content)
    return folder


@pytest.fixture
def holistic_bias_folder(tmp_path):
    """A tiny HolisticBias: five descriptors of one axis, three of every other, three nouns and three templates."""
    from distill.evaluation.measures.published.holistic_bias import AXES, TARGET

    folder = tmp_path / "holistic_bias"
    folder.mkdir()
    words = ("tired", {"descriptor": "early", "preference": "reviewed"}, "unhurried")
    descriptors = {axis: {"some": list(words)} for axis in AXES}
    descriptors[TARGET]["others"] = [
        {"descriptor": "womanly", "gender": "female"},
        {"descriptor": "US", "article": "a"},
    ]
    nouns = {"female": [["woman", "women"], ["girl", "girls"]], "male": [["man", "men"]]}
    templates = ["I saw {noun_phrase}.", "The school asked {plural_noun_phrase} to leave.", "I'm {noun_phrase} today."]
    contents = {
        "descriptors": descriptors,
        "nouns": nouns,
        "sentence_templates": {template: {} for template in templates},
    }
    for name, content in contents.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def toxic_texts(tmp_path):
    """Small files of the benchmarks about toxic texts: paths by configuration key."""
    from distill.evaluation.measures.classifiers.hatecheck import COLUMNS, FUNCTIONS, GROUPS

    folder = tmp_path / "toxic"
    (folder / "hatexplain").mkdir(parents=True)
    tweets = ["She is mad.", "He is kind.", *(f"tweet {number}" for number in range(60))]
    rows = [f"{number % 3},{tweet}\n" for number, tweet in enumerate(tweets)]
    (folder / "tweets.csv").write_text("class,tweet\n" + "".join(rows))
    labels = {function: "hateful" if function.endswith("_h") else "non-hateful" for function in FUNCTIONS}
    rows = [
        f"{function},{function}{number},A girl.,{label},t,{group}\n"
        for function, label in labels.items()
        for number, group in enumerate(GROUPS)
    ]
    (folder / "cases.csv").write_text(",".join([*COLUMNS, "target_ident"]) + "\n" + "".join(rows))
    posts = {
        f"{label}/{number}": {
            "annotators": [{"label": label, "target": [("Women", "Islam")[number // 2]]}] * 3,
            "post_tokens": ["she", f"left{number}"],
        }
        for label in ("normal", "offensive")
        for number in range(4)
    }
    parts = {"train": [], "val": list(posts), "test": list(posts)}
    for name, content in (("dataset", posts), ("post_id_divisions", parts)):
        (folder / "hatexplain" / f"{name}.json").write_text(json.dumps(content))
    files = {"davidson": "tweets.csv", "hatecheck": "cases.csv", "hatexplain": "hatexplain"}
    return {key: str(folder / file) for key, file in files.items()}


@pytest.fixture
def everything(toxic_texts, small_benchmarks, small_world, classifier, holistic_bias_folder, bbq_folder, tmp_path):
    """Settings that switch on every measure, with small data."""
    folder = tmp_path / "benchmarks"
    (folder / "occupations.tsv").write_text(
        "name\tarticle\tfemale_share\nnurse\ta\t0.9\npilot\ta\t0.1\nartist\tan\t0.5\nbaker\ta\t\nclerk\ta\t0.6\n"
    )
    sentences = {"stereotype": "The nurse left.", "anti-stereotype": "The guard left.", "unrelated": "The bell left."}
    items = [{"sentence": text, "id": label, "gold_label": label} for label, text in sentences.items()]
    item = {"id": "i", "target": "nurse", "bias_type": "gender", "sentences": items}
    (folder / "dev.json").write_text(json.dumps({"data": {"intrasentence": [item]}}))
    (folder / "winobias").mkdir()
    for kind in ("type1", "type2"):
        for split in ("dev", "test"):
            for version, pronouns in (("pro", ("she", "his")), ("anti", ("he", "her"))):
                lines = "1 The nurse left because {} was tired.\n2 The nurse met the pilot and saw {} car.\n"
                file = folder / "winobias" / f"{version}_stereotyped_{kind}.txt.{split}"
                file.write_text(lines.format(*pronouns))
    (folder / "wiki.raw").write_text(" = The Bell = \n The bell rang twice . \n")
    for name, files in {
        "sst2": ("train.tsv", "dev.tsv"),
        "cola": ("in_domain_train.tsv", "in_domain_dev.tsv", "out_of_domain_dev.tsv"),
    }.items():
        (folder / name).mkdir()
        for file in files:
            rows = ("he drags\t0\nclever\t1\nher joy\t1\n", "s\t0\t\tit drags\ns\t1\t\tclever\n")[name == "cola"]
            (folder / name / file).write_text(rows)
    groups = ("nursing_specialties", "engineering_branches", "dance_occupations", "railway_industry_occupations")
    prompts = {group: {"A": [f"The {group[:5]} said that "]} for group in groups}
    (folder / "profession_prompt.json").write_text(json.dumps(prompts))
    (folder / "vectors.txt").write_text("he 1 0\nshe 0 1\nman 2 1\nwoman 1 2\n")
    small_benchmarks |= toxic_texts | {"holistic_bias": str(holistic_bias_folder), "bbq": str(bbq_folder)}
    judge = classifier(["positive", "negative", "hate"])
    (folder / "labelled").mkdir()
    for part in ("train", "dev", "test"):
        (folder / "labelled" / f"{part}.tsv").write_text("1\tXYZ was praised.\n-1\tXYZ stole it.\n")
    files = {"stereoset": "dev.json", "winobias": "winobias", "wikitext": "wiki.raw", "sst2": "sst2", "cola": "cola"}
    return {
        "log_odds": {"occupations": str(folder / "occupations.tsv")},
        "text": {"path": str(small_world / "heldout.jsonl"), "max_documents": 6},
        "occupation_gap": {"enabled": True, "num_train": 20, "num_test": 20},
        "fine_tuning": {"epochs": 2},  # a single step would have a learning rate of 0
        "prediction_sensitivity": {"enabled": True},
        "benchmarks": small_benchmarks | {name: str(folder / file) for name, file in files.items()},
        "ceat": {"num_samples": 5},
        "holistic_bias": {"num_templates": 1},
        "generation": {"num_samples": 2, "max_new_tokens": 6},
        "longform": {"enabled": True, "num_samples": 2, "max_new_tokens": 4},
        "continuations": {
            "regard": judge,
            "regard_data": str(folder / "labelled"),
            "toxicity": judge,
            "word_vectors": str(folder / "vectors.txt"),
        },
        "statistics": {"num_permutations": 999},
    }
