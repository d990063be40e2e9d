"""Regard by an encoder that is fine-tuned here: what it learns, what it says of itself, and what is refused."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import BertConfig, BertModel

from distill.evaluation.config import EvalConfig, FineTuningConfig, StatisticsConfig
from distill.evaluation.measure import Inputs
from distill.evaluation.measures.continuations import regard, regard_judge
from distill.evaluation.measures.continuations.regard_judge import load_judge, read
from distill.evaluation.task import Task, Work
from distill.settings import validate

NOUNS = ("nurse", "pilot", "baker", "guard", "chef", "farmer", "lawyer", "artist")
ENDINGS = {"-1": "was tired.", "0": "left early.", "1": "was proud and funny."}
BERT = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}


@pytest.fixture
def encoder(tokenizer, tmp_path):
    """The folder of a tiny bidirectional encoder."""
    torch.manual_seed(0)
    sizes = {"vocab_size": len(tokenizer), "max_position_embeddings": 32, "pad_token_id": 0}
    BertModel(BertConfig(**BERT, **sizes, initializer_range=0.2)).save_pretrained(tmp_path / "encoder")
    tokenizer.save_pretrained(tmp_path / "encoder")
    return str(tmp_path / "encoder")


@pytest.fixture
def labelled(tmp_path, monkeypatch):
    """The folder of the three files, whose texts show their regard in one word. Fewer steps than real texts need."""
    monkeypatch.setattr(regard_judge, "FINE_TUNING", FineTuningConfig(epochs=8, batch_size=8, lr=3e-3))
    folder = tmp_path / "labelled"
    folder.mkdir()
    for part, nouns in {"train": NOUNS[:5], "dev": NOUNS[5:6], "test": NOUNS[6:]}.items():
        lines = [f"{label}\tXYZ, a {noun}, {end}" for noun, (label, end) in itertools.product(nouns, ENDINGS.items())]
        (folder / f"{part}.tsv").write_text("\n".join(lines))
    return folder


def planned(encoder, labelled, **more):
    """The task of regard, on continuations that somebody has sampled."""
    prompts = {"benchmarks": {"bold_persons": "prompts.json"}}
    settings = {"continuations": {"regard": encoder, "regard_data": labelled and str(labelled)} | more}
    sampling = Task("bold_persons", "sampled", lambda scorer: Work([], [], list, lambda _: ()), 2, 0)
    return regard.task(Inputs(validate(EvalConfig, prompts | settings), None, {"bold_persons": sampling}))


def test_it_learns_and_its_probabilities_are_those_of_each_text_alone(encoder, labelled):
    judge = load_judge(encoder, str(labelled))
    texts = ["She was proud and funny.", "XYZ, a lawyer, was tired.", "He left early. " * 40]  # the last one is cut
    with torch.inference_mode():  # as the suite may call it
        classifier = judge._classifier
    for text, entries in zip(texts, judge.classify(texts), strict=True):
        ids = judge.tokenizer(text)["input_ids"][:32]
        with torch.no_grad():
            states = classifier.body(input_ids=torch.tensor([ids])).last_hidden_state[0].double()
            expected = (states.mean(dim=0) @ classifier.head.weight.double().T + classifier.head.bias).softmax(dim=0)
        assert [entry["label"] for entry in entries] == ["negative", "neutral", "positive"]
        assert [entry["score"] for entry in entries] == pytest.approx(expected.tolist(), abs=1e-5)
    assert all(record["label"] == record["predicted"] for record in judge.test_records(judge.test))
    assert judge.classify([]) == []


def test_its_accuracy_comes_first_and_then_the_regard_of_the_continuations(encoder, labelled, sampled):
    task = planned(encoder, labelled)
    records = [
        sampled("a/0", "American_actors", ["was tired.", " "], prompt="He"),
        sampled("b/0", "American_actresses", ["was proud and funny."], prompt="She"),
    ]
    work = task.prepare(SimpleNamespace(start_convention="start:bos"), records)
    assert task.num_items == len(work.items) == 6 + 2
    scored = [record for start in range(0, 8, 5) for record in work.score(work.items[start : start + 5])]
    assert [record["id"] for record in scored] == work.ids
    first, *rest = regard.summarise(scored, *work.conventions(scored), StatisticsConfig())
    assert first.measurement.name == "regard/test_accuracy"
    assert (first.measurement.value, first.measurement.num_items) == (1.0, 6)
    judge = load_judge(encoder, str(labelled))
    negative, positive = (
        {entry["label"]: entry["score"] for entry in entries}
        for entries in judge.classify(["was tired.", "was proud and funny."])
    )
    values = {estimate.measurement.name: estimate.measurement.value for estimate in rest}
    assert values["regard/persons/male"] == pytest.approx(negative["positive"] - negative["negative"], abs=1e-5)
    assert values["regard/persons/female"] == pytest.approx(positive["positive"] - positive["negative"], abs=1e-5)
    assert values["regard/persons/gap"] > 0


def test_nothing_is_trained_before_the_first_text_and_texts_are_a_part_of_the_key(encoder, labelled, monkeypatch):
    monkeypatch.setattr(regard_judge, "fine_tune", lambda *_: pytest.fail("trained"))
    before = planned(encoder, labelled).key
    assert planned(encoder, labelled).key == before
    (labelled / "test.tsv").write_text("1\tXYZ was proud.\n")
    assert planned(encoder, labelled).key != before


@pytest.mark.parametrize("line", ["2\tXYZ left.", "XYZ left.", "1\t ", "1", "", "1\tXYZ\tleft."])
def test_a_line_without_a_label_and_a_text_is_named(tmp_path, line):
    (tmp_path / "dev.tsv").write_text(f"1\tXYZ was praised.\n{line}\n0\tXYZ left.\n")
    with pytest.raises(ValueError, match=r"regard_data: .*dev.tsv:2 is not a label \(-1, 0, 1\).*data get regard"):
        read(tmp_path / "dev.tsv")


def test_a_missing_file_names_the_command(encoder, labelled):
    (labelled / "test.tsv").unlink()
    with pytest.raises(FileNotFoundError, match=r"regard_data: .*test.tsv does not exist. .*evenhand data get regard"):
        planned(encoder, labelled)


def test_texts_without_an_encoder_are_one_message(encoder, labelled):
    with pytest.raises(ValueError, match=r"regard_data = .* needs an encoder to fine-tune; set continuations.regard "):
        planned(None, labelled)
    with pytest.raises(ValueError, match="continuations.regard = 'hub' is a judge already; .* or set .*data=null"):
        planned("hub", labelled)
    with pytest.raises(ValueError, match=r"continuations.regard: the encoder \./none could not be loaded"):
        planned("./none", labelled)
    (Path(encoder) / "model.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="continuations.regard: the encoder .* could not be loaded"):
        planned(encoder, labelled)
