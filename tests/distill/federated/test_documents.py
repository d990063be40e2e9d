"""The training documents with their labels and counts, divided as a configuration says, and the dry run's page."""

import json

import numpy as np
import pytest
import yaml

from augment.lexicon import load_lexicon
from distill.config import DataConfig, RunConfig
from distill.data.split import train_and_heldout
from distill.federated.__main__ import federated
from distill.federated.documents import divide, read_training_documents
from distill.federated.partition import Partition
from distill.federated_config import ClientsConfig
from distill.settings import load_config

ROWS = [
    {"text": "She lost her keys. The man smiled.", "author": "Ann"},
    {"text": "He met his brother.", "author": "Bea"},
    {"text": "   ", "author": "Nobody"},
    {"text": "The garden is large.", "author": "Ann"},
    {"text": "The woman and the girl waited.", "author": "Cy"},
]


@pytest.fixture
def corpus(tmp_path):
    def write(rows, name="corpus.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    return write


def test_documents_are_counted_in_the_order_of_the_corpus(corpus):
    data = DataConfig(path=corpus(ROWS), heldout_path=corpus([{"text": "Another."}], "heldout.jsonl"))
    documents = read_training_documents(data, load_lexicon(), "author")
    assert documents.labels == ("Ann", "Bea", "Ann", "Cy")
    assert documents.num_words.tolist() == [7, 4, 4, 6]
    assert documents.num_masculine.tolist() == [1, 3, 0, 0]
    assert documents.num_feminine.tolist() == [2, 0, 0, 2]
    assert read_training_documents(data, load_lexicon(), None)._replace(labels=documents.labels)[1].tolist() == [
        7,
        4,
        4,
        6,
    ]


def test_held_out_documents_belong_to_no_client(corpus):
    rows = [{"text": f"Document {number} of him.", "author": str(number)} for number in range(300)]
    data = DataConfig(path=corpus(rows), heldout_fraction=0.3, max_documents=200)
    expected = [text.split()[1] for text in train_and_heldout(data)[0]]
    assert 100 < len(expected) < 180
    assert list(read_training_documents(data, load_lexicon(), "author").labels) == expected
    assert len(read_training_documents(data, load_lexicon(), None).num_words) == len(expected)


@pytest.mark.slow
def test_two_processes_count_as_one_does(small_world):
    data = DataConfig(path=str(small_world / "train.jsonl"), heldout_path=str(small_world / "heldout.jsonl"))
    both = [
        read_training_documents(d, load_lexicon(), "kind") for d in (data, DataConfig(**vars(data) | {"num_proc": 2}))
    ]
    assert both[0].labels == both[1].labels
    assert all(np.array_equal(*arrays) for arrays in zip(both[0][1:], both[1][1:], strict=True))


@pytest.mark.parametrize(
    ("rows", "name", "field", "message"),
    [
        ([{"text": "One.", "author": None}], "c.jsonl", "author", r"c\.jsonl:1 has None in field 'author'"),
        ([{"text": "One."}], "c.jsonl", "author", r"no field 'author' \(it has text\); set federated\.clients\.field"),
        (["One."], "c.txt", "author", r"c\.txt is text without fields, so it has no author; give data\.path rows"),
        ([{"text": " ", "author": "a"}], "c.jsonl", "author", "has no document to train on"),
    ],
)
def test_a_corpus_without_labels_is_refused(rows, name, field, message, corpus):
    with pytest.raises(ValueError, match=message):
        read_training_documents(DataConfig(path=corpus(rows, name)), load_lexicon(), field)


def test_by_gender_a_small_alpha_parts_the_genders(small_world):
    data = DataConfig(path=str(small_world / "train.jsonl"), heldout_path=str(small_world / "heldout.jsonl"))
    documents = read_training_documents(data, load_lexicon(), None)

    def spread(alpha: float) -> float:
        partition = divide(documents, ClientsConfig(by="gender", count=4, alpha=alpha, min_documents=5), 0)
        feminine, masculine = (partition.sums(counts) for counts in (documents.num_feminine, documents.num_masculine))
        return np.ptp(feminine / (feminine + masculine))

    assert spread(0.05) > 0.8
    assert spread(1e6) < 0.2


def settings_of(config_file, **federated):
    settings = yaml.safe_load(config_file.read_text())
    settings["federated"] = {
        "clients": {"by": "topics", "field": "kind", "count": 4, "alpha": 0.5},
        "clients_per_round": 2,
        "local_steps": 2,
    } | federated
    config_file.write_text(yaml.safe_dump(settings))
    return config_file


def test_the_dry_run_tells_each_clients_documents_and_gendered_words(config_file, capsys):
    path = settings_of(config_file, selection="activity", periods=2)
    federated(["--config", str(path), "--dry-run"])
    page = capsys.readouterr().out
    config = load_config(RunConfig, path)
    documents = read_training_documents(config.data, load_lexicon(), "kind")
    partition: Partition = divide(documents, config.federated.clients, config.seed)
    rows = [line.split() for line in page.splitlines() if line.startswith("client_")]
    assert [int(row[1]) for row in rows] == sorted(partition.sizes().tolist(), reverse=True)
    for name, size, _, masculine, feminine, share in rows:
        client = partition.names.index(name)
        own = partition.documents(client)
        assert int(size) == len(own)
        assert int(masculine.replace(",", "")) == documents.num_masculine[own].sum()
        assert int(feminine.replace(",", "")) == documents.num_feminine[own].sum()
        assert float(share) == pytest.approx(
            int(feminine.replace(",", "")) / (int(masculine.replace(",", "")) + int(feminine.replace(",", ""))),
            abs=5e-4,
        )
    assert "3 of 2 local steps, with 2 clients each, selected by activity" in page
    assert "periods         2; 0 times a client has no document in a period" in page
    assert not (config_file.parent / "run").exists()


def test_many_clients_are_cut_to_the_largest(config_file, capsys):
    clients = {"by": "quantity", "count": 50, "beta": 5.0, "min_documents": 1}
    federated(["--config", str(settings_of(config_file, clients=clients)), "--dry-run"])
    assert capsys.readouterr().out.endswith("... and 10 smaller ones\n")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("federated.clients.alpha=null", "clients by topics need alpha, count, field: set alpha"),
        ("federated.clients.beta=1", "clients by topics need alpha, count, field: leave out beta"),
        ("federated.local_steps=4", r"train\.max_steps 6 is not a multiple of federated\.local_steps 4"),
        ("federated.periods=4", r"federated\.periods 4 are more than the 3 rounds"),
        ("teacher.targets=cached", "federated does not support teacher.targets: cached"),
        ("canaries.count=10", "federated does not support canaries"),
        ("federated=null", "the configuration has no section federated"),
    ],
)
def test_settings_that_do_not_fit_are_refused(override, message, config_file):
    with pytest.raises(ValueError, match=message):
        federated(["--config", str(settings_of(config_file)), "--dry-run", override])


def test_epochs_and_a_central_run_are_refused(config_file):
    from distill.train import main as train

    path = settings_of(config_file)
    with pytest.raises(ValueError, match=r"set train\.max_steps, not train\.epochs"):
        federated(["--config", str(path), "train.max_steps=null", "train.epochs=1"])
    with pytest.raises(ValueError, match="give it to evenhand federated"):
        train(["--config", str(path)])
