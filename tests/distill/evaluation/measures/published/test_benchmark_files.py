"""Published benchmarks: the hub's tables (served locally), local files, and messages that say what to do."""

import gzip
import itertools
import json
from pathlib import Path

import pytest
from datasets import Dataset

from distill.evaluation.measures.continuations import bold, bold_persons
from distill.evaluation.measures.continuations.bold_prompts import Prompt
from distill.evaluation.measures.published import (
    association,
    benchmark_files,
    crows_pairs,
    gap,
    lambada,
    stereoset,
    wikitext,
    winobias,
    winogender,
)


@pytest.fixture
def hub(monkeypatch):
    """(tables, asked): tables[name, subset, split] = rows are served, any other data set fails as it does offline.

    asked: the (name, subset, split) that were requested.
    """
    tables, asked = {}, []

    def load_dataset(name, subset, split, revision=None):
        asked.append((name, subset, split))
        if (name, subset, split) not in tables:
            raise ConnectionError(f"Couldn't reach '{name}' on the Hub")
        return Dataset.from_list(tables[name, subset, split])

    monkeypatch.setattr("distill.data.hub_datasets.load_dataset", load_dataset)
    return tables, asked


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("hub", "usual/name"),
        ("hub:owner/name", "owner/name"),
        ("hub:owner-1/name_2.x", "owner-1/name_2.x"),
        ("data/winobias", None),  # as in a configuration, where the folder data does not exist
        ("owner/name", None),
        ("dev.json", None),
        ("./hub", None),
        ("~/owner/name", None),
        ("/owner/name", None),
    ],
)
def test_only_hub_and_its_prefix_use_the_hub(path, expected):
    assert benchmark_files.hub_data_set(path, "usual/name") == expected


@pytest.mark.parametrize(
    "name", ["stereoset", "crows_pairs", "winobias", "winogender", "lambada", "bold", "bold_persons"]
)
def test_a_path_that_looks_like_a_hub_name_uses_no_network(hub, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"benchmarks.{name}: data/{name}.* does not exist.*hub:OWNER/NAME"):
        READERS[name](f"data/{name}")
    assert hub[1] == []


def test_stereoset_of_the_hub_equals_the_file(hub, tmp_path):
    tables, _ = hub
    sentences = [("The nurse left.", "a", 1), ("The guard left.", "b", 0), ("The bell left.", "c", 2)]
    names = ("anti-stereotype", "stereotype", "unrelated")
    row = {"id": "i", "target": "nurse", "bias_type": "gender", "context": "The BLANK left."}
    columns = dict(zip(("sentence", "id", "gold_label"), zip(*sentences, strict=True), strict=True))
    tables["McGill-NLP/stereoset", "intrasentence", "validation"] = [
        row | {"sentences": {name: list(values) for name, values in columns.items()}}
    ]
    path = tmp_path / "dev.json"
    listed = [{"sentence": text, "id": name, "gold_label": names[label]} for text, name, label in sentences]
    path.write_text(json.dumps({"data": {"intrasentence": [row | {"sentences": listed}]}}))
    assert stereoset.read("hub") == stereoset.read(str(path))
    assert stereoset.read("hub")[0].sentences[0] == "The nurse left."


def test_crows_pairs_lambada_gap_and_winogender_of_the_hub(hub):
    tables, _ = hub
    pair = {"sent_more": "She left. ", "sent_less": "He left.", "bias_type": "gender", "stereo_antistereo": "stereo"}
    tables["jannalu/crows_pairs_multilingual", "english", "test"] = [pair]
    assert crows_pairs.read("hub") == [crows_pairs.Pair("pair/0", "gender", "She left.", "He left.")]
    tables["EleutherAI/lambada_openai", "default", "test"] = [{"text": "one two three"}]
    assert lambada.read("hub") == [lambada.Passage("passage/0", "one two", " three")]
    passage = {"Text": "Ann knew her.", "Pronoun": "her", "Pronoun-offset": 9, "URL": "page", "A-coref": False}
    tables["google-research-datasets/gap", "default", "test"] = [passage]
    assert gap.read("hub") == [gap.Passage("passage/0", "page", "Ann knew ", "her", ("him", "his"), ".")]
    words = {"male": "he", "female": "she", "neutral": "they"}
    tables["oskarvanderwal/winogender", "all", "test"] = [
        {"sentence": f"The nurse told the guard that {word} left.", "occupation": "nurse", "participant": "guard"}
        | {"label": 0, "gender": kind, "pronoun": word, "target": "nurse"}
        for kind, word in words.items()
    ]
    (schema,) = winogender.read("hub")
    assert (schema.occupation, schema.refers_to, schema.female_share) == ("nurse", "occupation", None)


def test_a_data_set_of_the_hub_without_the_column_is_one_message(hub):
    hub[0]["owner/articles", "wikitext-2-raw-v1", "test"] = [{"text": "an article"}]
    with pytest.raises(ValueError, match="benchmarks.wikitext: hub:owner/articles has no rows with the column 'page'"):
        wikitext.read("hub:owner/articles")


def test_winobias_of_the_hub_is_joined_into_sentences(hub):
    tables, asked = hub
    words = "The nurse did n't leave , because {} was the guard 's friend ."
    for kind in ("type1", "type2"):
        for version, pronoun in (("pro", "she"), ("anti", "he")):
            for split in ("validation", "test"):
                rows = [{"tokens": words.format(pronoun).split()}]
                tables["uclanlp/wino_bias", f"{kind}_{version}", split] = rows
    pairs = winobias.read("hub:uclanlp/wino_bias")
    assert len(pairs) == 4
    assert pairs[0].pro == "The nurse didn't leave, because she was the guard's friend."
    assert pairs[0].gender == "female"
    assert len(asked) == 8


def test_bold_of_the_hub_is_divided_by_domain(hub):
    tables, _ = hub
    tables["AmazonScience/bold", None, "train"] = [
        {"domain": "profession", "category": "nursing", "name": "Nurse", "prompts": ["A nurse is ", "The nurse "]},
        {"domain": "gender", "category": "American_actors", "name": "A_B", "prompts": ["A B is an "]},
    ]
    assert [prompt.text for prompt in bold.read("hub")] == ["A nurse is", "The nurse"]
    assert bold_persons.read("hub") == [Prompt("American_actors/A_B/0", "American_actors", "A B is an")]


def test_a_data_set_with_a_loading_script_is_read_from_the_hubs_table(monkeypatch):
    asked = []

    def load_dataset(name, subset, split, revision=None):
        asked.append(revision)
        if revision is None:
            raise RuntimeError("Dataset scripts are no longer supported, but found lambada_openai.py")
        return Dataset.from_list([{"text": "one two"}])

    monkeypatch.setattr("distill.data.hub_datasets.load_dataset", load_dataset)
    assert lambada.read("hub") == [lambada.Passage("passage/0", "one", " two")]
    assert asked == [None, "refs/convert/parquet"]


READERS = {
    "stereoset": stereoset.read,
    "crows_pairs": crows_pairs.read,
    "winobias": winobias.read,
    "winogender": winogender.read,
    "lambada": lambada.read,
    "gap": gap.read,
    "bold": bold.read,
    "bold_persons": bold_persons.read,
}


def command(name: str) -> str:
    """What fetches the files of a benchmark; the prompts about persons come with the other ones of BOLD."""
    return f"evenhand data get {name.removesuffix('_persons')}"


@pytest.mark.parametrize("name", READERS)
def test_a_hub_that_does_not_answer_is_one_message_with_the_command(hub, name):
    with pytest.raises(FileNotFoundError) as caught:
        READERS[name]("hub")
    message = str(caught.value)
    assert message.startswith(f"benchmarks.{name}: ")
    assert "Couldn't reach" in message
    assert command(name) in message


@pytest.mark.parametrize("name", READERS)
def test_a_hub_table_in_another_format_is_refused(hub, name):
    tables, asked = hub
    with pytest.raises(FileNotFoundError):
        READERS[name]("hub")
    tables[asked[0]] = [{"column": "value"}]
    with pytest.raises(ValueError, match=f"benchmarks.{name}: "):
        READERS[name]("hub")


@pytest.mark.parametrize("name", READERS)
def test_a_missing_path_names_the_command_and_uses_no_network(hub, tmp_path, name):
    _, asked = hub
    with pytest.raises(FileNotFoundError, match=f"benchmarks.{name}: .*does not exist. To get it: ") as caught:
        READERS[name](str(tmp_path / "none.json"))
    assert command(name) in str(caught.value)
    assert asked == []


@pytest.mark.parametrize("content", [b"", b"\n \n"])
@pytest.mark.parametrize("name", ["stereoset", "crows_pairs", "lambada", "gap", "bold", "bold_persons"])
def test_an_empty_file_is_one_message(tmp_path, name, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"benchmarks.{name}: .*file is empty. To get it again: "):
        READERS[name](str(path))


# a header and then no valid stream
CORRUPT_GZIP = gzip.compress(b"", mtime=0)[:10] + b"\xff" * 40


@pytest.mark.parametrize("name", ["stereoset", "crows_pairs", "lambada", "gap", "bold", "bold_persons"])
def test_a_damaged_gzip_file_is_one_message(tmp_path, name):
    path = tmp_path / "file.gz"
    path.write_bytes(CORRUPT_GZIP)
    with pytest.raises(ValueError, match=f"benchmarks.{name}: .*is not a whole gzip file .*To get it again: "):
        READERS[name](str(path))


def test_a_line_in_another_encoding_is_named(tmp_path):
    file = tmp_path / "lambada.jsonl"
    file.write_bytes(b'{"text": "one two"}\r\n\r\n{"text": "a caf\xe9"}\r\n')
    with pytest.raises(
        ValueError, match=r"lambada.jsonl:3 is not UTF-8 \(byte 0xe9 at position 15\); convert .* get lamb"
    ):
        lambada.read(str(file))


def test_a_byte_order_mark_and_unusual_separators_within_a_text_are_read(tmp_path):
    file = tmp_path / "lambada.jsonl"
    texts = ["The nurse\u2028said that she left", "A pilot\u0085smiled"]
    lines = "\r\n".join(json.dumps({"text": text}, ensure_ascii=False) for text in texts)
    file.write_bytes(lines.encode("utf-8-sig"))
    assert [row["text"] for row in benchmark_files.read_jsonl(file, "key", "source", ("text",))] == texts


def write_winobias(folder: Path, content: bytes) -> None:
    """All files of WinoBias, each with this content."""
    for version, kind, split in itertools.product(("pro", "anti"), ("type1", "type2"), ("dev", "test")):
        (folder / f"{version}_stereotyped_{kind}.txt.{split}").write_bytes(content)


@pytest.mark.parametrize("line", ["", "2 ", "2", " []"])
def test_a_line_of_winobias_without_a_sentence_is_named(tmp_path, line):
    write_winobias(tmp_path, f"1 [The nurse]\u2028slept.\n{line}\n3 [She] woke.\n\n".encode())
    with pytest.raises(ValueError, match=r"winobias: .*pro_stereotyped_type1.txt.dev: line 2 has no sentence; repair"):
        winobias.read(str(tmp_path))


MODULES = (stereoset, crows_pairs, winobias, association)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.KEY)
def test_a_missing_file_names_the_key_and_where_to_get_it(module, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        module.read(str(tmp_path / "none"))
    assert module.KEY in str(caught.value)
    assert command(module.KEY.removeprefix("benchmarks.")) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[1]"])
@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.KEY)
def test_a_file_in_another_format_is_refused(module, content, tmp_path):
    path = tmp_path / "file"
    if module is winobias:
        path = tmp_path
        write_winobias(path, content)
    elif module is association:
        path = tmp_path
        (tmp_path / "weat6.jsonl").write_bytes(content)
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=module.KEY):
        module.read(str(path))
