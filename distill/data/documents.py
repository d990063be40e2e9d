"""What a document of a corpus is: a text, a conversation, or a prompt with its completion; how rows give the last two.

The rows are those of TRL and `datasets`: `messages` is a list of {role, content}; `prompt` and `completion` are two
texts, or two lists of messages.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from typing import Any, NamedTuple

from augment.files.texts import encodable_text_of

ROLES = ("system", "user", "assistant")
_REPAIR = "repair or remove the row"
_PROMPT, _COMPLETION = "prompt", "completion"


class Message(NamedTuple):
    """One turn of a conversation."""

    role: str
    content: str


class Conversation(NamedTuple):
    """The turns of a conversation, and the place of its row for error messages.

    num_given: how many of the first messages are a prompt, whose assistant's turns are not learned.
    """

    messages: tuple[Message, ...]
    num_given: int = 0
    place: str = ""

    def __str__(self) -> str:
        """The conversation as plain text, which tells duplicates; not what a model reads."""
        return "\n\n".join(f"{role}: {content}" for role, content in self.messages)


class PromptCompletion(NamedTuple):
    """A text and how it continues, which alone is learned."""

    prompt: str
    completion: str

    def __str__(self) -> str:
        """The whole text."""
        return self.prompt + self.completion


# str(document) is its text, by which the split decides, whatever its kind.
Document = str | Conversation | PromptCompletion


def fields_of(data_format: str) -> tuple[str, ...]:
    """The fields of a row that a format reads, if they are there."""
    return ("messages", _PROMPT, _COMPLETION) if data_format == "chat" else (_PROMPT, _COMPLETION)


def row_reader(data_format: str) -> Callable[[Any], Conversation | PromptCompletion]:
    """What makes a document of a row (`conversation_of` or `prompt_completion_of`)."""
    return conversation_of if data_format == "chat" else prompt_completion_of


def with_place(document: Document, place: str) -> Document:
    """The document, which remembers its place if it has yet to be rendered."""
    return document._replace(place=place) if isinstance(document, Conversation) else document


def prompt_completion_of(row: Any) -> PromptCompletion:
    """The prompt and the completion of a row. Raises ValueError, without the place, if they are not text."""
    if isinstance(row, dict) and (isinstance(row.get(_PROMPT), list) or isinstance(row.get(_COMPLETION), list)):
        raise ValueError("has messages in its prompt or completion; set data.format to chat")
    prompt, completion = (encodable_text_of(row, name, "data.format") for name in (_PROMPT, _COMPLETION))
    if not completion.strip():
        raise ValueError(f"has no text in field {_COMPLETION!r}; {_REPAIR}")
    return PromptCompletion(prompt, completion)


def conversation_of(row: Any) -> Conversation:
    """The conversation of a row. Raises ValueError, without the place, for what is no conversation to learn from."""
    if isinstance(row, dict) and row.get("messages") is None and isinstance(row.get(_PROMPT), list):
        given, learned = (_messages(row.get(name), name) for name in (_PROMPT, _COMPLETION))
        _check_is_learned(learned, _COMPLETION)
        return Conversation((*given, *learned), len(given))
    if not isinstance(row, dict) or "messages" not in row:
        fields = ", ".join(row) if isinstance(row, dict) else type(row).__name__
        raise ValueError(f"has no field 'messages' (it has {fields}); set data.format or repair the row")
    messages = _messages(row["messages"], "messages")
    _check_is_learned(messages, "messages")
    return Conversation(messages)


def _messages(value: Any, field: str) -> tuple[Message, ...]:
    if not isinstance(value, list):
        raise ValueError(f"has {reprlib.repr(value)} in field {field!r}, which is not a list of messages; {_REPAIR}")
    if not value:
        raise ValueError(f"has no message in field {field!r}; {_REPAIR}")
    return tuple(_message(message, f"message {number} of {field!r}") for number, message in enumerate(value, 1))


def _message(message: Any, name: str) -> Message:
    if not isinstance(message, dict) or "role" not in message:
        what = ", ".join(message) if isinstance(message, dict) else reprlib.repr(message)
        raise ValueError(f"has no role in {name} (it has {what}); name the fields of a message role and content")
    role = message["role"]
    if role not in ROLES:
        raise ValueError(f"has the role {reprlib.repr(role)} in {name}; known are {', '.join(ROLES)}; {_REPAIR}")
    if message.get("tool_calls"):
        raise ValueError(f"has tool_calls in {name}, which are not read; {_REPAIR}")
    try:
        content = encodable_text_of(message, "content", "data.format")
    except ValueError as error:
        raise ValueError(f"has {name}, which {error}") from None
    if role == "assistant" and not content.strip():
        raise ValueError(f"has an assistant's turn without text in {name}; {_REPAIR}")
    return Message(role, content)


def _check_is_learned(messages: tuple[Message, ...], field: str) -> None:
    if all(message.role != "assistant" for message in messages):
        raise ValueError(f"has no assistant's turn in field {field!r}, so there is nothing to learn; {_REPAIR}")
