"""Rows of conversations, and of prompts with completions: every format gives the same, every fault names its place."""

import json
import re

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from datasets import Dataset

from distill.config import DataConfig
from distill.data.corpus import read_corpus, read_documents
from distill.data.documents import Conversation, Message, PromptCompletion
from distill.settings import validate

TURNS = [("system", "Be kind."), ("user", "Who is the nurse?"), ("assistant", "She is “Zoë”.\n\nAsk her.")]
MESSAGES = [{"role": role, "content": content} for role, content in TURNS]
CONVERSATION = tuple(Message(*turn) for turn in TURNS)


def documents(path, data_format, **settings) -> list:
    return list(read_corpus(DataConfig(path=str(path), format=data_format, **settings)))


def write_rows(folder, rows) -> list:
    """The rows in all kinds of files."""
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    parquet.write_table(pa.Table.from_pylist(rows), folder / "a.parquet")
    Dataset.from_list(rows).save_to_disk(folder / "saved")
    return [folder / "a.jsonl", folder / "a.parquet", folder / "saved"]


def test_conversations_are_read_from_every_kind_of_file(tmp_path):
    rows = [{"id": 1, "messages": MESSAGES}, {"id": 2, "messages": MESSAGES[1:]}]
    for path in write_rows(tmp_path, rows):
        first, second = documents(path, "chat")
        assert first.messages == CONVERSATION and second.messages == CONVERSATION[1:]
        assert (first.num_given, second.num_given) == (0, 0)
        assert re.fullmatch(re.escape(str(path)) + "(:2|: row 2)", second.place)
        assert str(first) != str(second)


def test_a_prompt_of_messages_is_given_and_its_completion_learned(tmp_path):
    for path in write_rows(tmp_path, [{"prompt": MESSAGES[:2], "completion": MESSAGES[2:]}]):
        (document,) = documents(path, "chat")
        assert (document.messages, document.num_given) == (CONVERSATION, 2)


def test_prompts_with_completions_are_read_from_every_kind_of_file(tmp_path):
    for path in write_rows(tmp_path, [{"prompt": "The nurse said that", "completion": " she left.", "other": 1}]):
        assert documents(path, "prompt_completion") == [PromptCompletion("The nurse said that", " she left.")]
        assert list(read_documents(DataConfig(path=str(path), format="prompt_completion"))) == [
            "The nurse said that she left."
        ]


def test_the_place_of_a_conversation_is_no_part_of_its_text():
    assert str(Conversation(CONVERSATION, place="a:1")) == str(Conversation(CONVERSATION, place="b:2"))


USER = {"role": "user", "content": "Hi"}
BAD_CHATS = [
    ({"text": "a"}, "has no field 'messages' (it has text); set data.format or repair the row"),
    ({"messages": None}, "has None in field 'messages', which is not a list of messages"),
    ({"messages": "Hi"}, "has 'Hi' in field 'messages', which is not a list of messages"),
    ({"messages": []}, "has no message in field 'messages'; repair or remove the row"),
    ({"messages": ["Hi"]}, "has no role in message 1 of 'messages' (it has 'Hi')"),
    (
        {"messages": [{"from": "human", "value": "Hi"}]},
        "has no role in message 1 of 'messages' (it has from, value); name",
    ),
    (
        {"messages": [USER, {"role": "tool", "content": "x"}]},
        "has the role 'tool' in message 2 of 'messages'; known are",
    ),
    ({"messages": [{"role": "user"}]}, "has message 1 of 'messages', which has no field 'content' (it has role)"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "in field 'content', which is not text"),
    (
        {"messages": [{"role": "user", "content": "\ud83d"}]},
        "has half a character (a lone surrogate) in field 'content'",
    ),
    ({"messages": [USER]}, "has no assistant's turn in field 'messages', so there is nothing to learn"),
    ({"messages": [USER, {"role": "assistant", "content": " "}]}, "has an assistant's turn without text in message 2"),
    ({"messages": [USER, {"role": "assistant", "content": "x", "tool_calls": [1]}]}, "has tool_calls in message 2"),
    ({"prompt": [USER], "completion": [USER]}, "has no assistant's turn in field 'completion'"),
    ({"prompt": [USER], "completion": "x"}, "has 'x' in field 'completion', which is not a list of messages"),
]
BAD_PROMPTS = [
    ({"prompt": "x"}, "has no field 'completion' (it has prompt); set data.format or repair the row"),
    ({"prompt": "x", "completion": " "}, "has no text in field 'completion'; repair or remove the row"),
    ({"prompt": None, "completion": "x"}, "has None in field 'prompt', which is not text"),
    ({"prompt": [USER], "completion": [USER]}, "has messages in its prompt or completion; set data.format to chat"),
]


@pytest.mark.parametrize(
    ("data_format", "row", "message"),
    [
        *(("chat", row, message) for row, message in BAD_CHATS),
        *(("prompt_completion", row, message) for row, message in BAD_PROMPTS),
    ],
)
def test_a_faulty_row_is_reported_in_one_line_with_its_place(data_format, row, message, tmp_path):
    good = {"chat": {"messages": MESSAGES}, "prompt_completion": {"prompt": "", "completion": "x"}}[data_format]
    file = tmp_path / "x.jsonl"
    file.write_text(json.dumps(good) + "\n\n" + json.dumps(row) + "\n")
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        documents(file, data_format)
    assert str(caught.value).startswith(f"{file}:3 has ") and "\n" not in str(caught.value)


def test_faults_of_tables_name_the_row_and_text_files_are_refused(tmp_path):
    _, table, saved = write_rows(tmp_path, [{"messages": MESSAGES}, {"messages": MESSAGES[:1]}])
    for path in (table, saved):
        with pytest.raises(ValueError, match=f"{path}: row 2 has no assistant's turn"):
            documents(path, "chat")
        with pytest.raises(
            ValueError, match=r"has no column prompt or completion \(it has messages\); set data.format"
        ):
            documents(path, "prompt_completion")
    (tmp_path / "x.txt").write_text("Hi\n")
    with pytest.raises(ValueError, match=r"x.txt is plain text, which has no rows; give .jsonl or .parquet files only"):
        documents(tmp_path / "x.txt", "chat")


def test_settings_that_do_not_go_with_rows_are_refused():
    with pytest.raises(ValueError, match="text_field names the text of format `text`, but format is `chat`"):
        validate(DataConfig, {"path": "x", "format": "chat", "text_field": "body"})
