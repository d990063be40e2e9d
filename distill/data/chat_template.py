"""Render a conversation with a tokenizer's own chat template, and say which characters are whose.

Exact or refused: where the contents stand is found by rendering the conversation once more with marks in their place,
and the two renderings must agree character by character. What the assistant writes is what the template marks with
`{% generation %}`. Without such marks it is found by rendering turn by turn: each rendering must begin the next one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from transformers import PreTrainedTokenizerFast
from transformers.utils.chat_template_utils import render_jinja_template

from augment.parts import Span
from distill.data.documents import Conversation, Message

# What a template that writes today's date writes, so that the same text gives the same blocks on every day.
TODAY = datetime(2026, 1, 1)
_NOW = re.compile(r"strftime_now\(\s*(['\"])(.*?)\1\s*\)")
_GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")
_MARK = "\ue000{}\ue001"  # characters for private use, which no template looks for
_COPY = "in a copy of the tokenizer that data.tokenizer names (chat_template.jinja)"
_CHANGE = f"let the template do so, {_COPY}, or remove the row"
_REMEDY = f"put {{% generation %}} and {{% endgeneration %}} around what the assistant writes, {_COPY}"


class Rendered(NamedTuple):
    """A conversation as a model reads it.

    parts: the characters that the counterfactual may change. scored: those that are learned. Both ascending, disjoint.
    """

    text: str
    parts: tuple[Span, ...]
    scored: tuple[Span, ...]


class Template(NamedTuple):
    """A chat template, the special tokens that it may write, and whether it marks what the assistant writes."""

    source: str
    tokens: dict[str, Any]
    has_marks: bool

    def rendered(self, messages: Sequence[Message], is_prompt: bool = False) -> tuple[str, list[Span]]:
        """The messages as text, and what is marked of it. is_prompt: with what stands before the next answer.

        Raises ValueError if the template refuses the messages.
        """
        try:
            (text,), marked = render_jinja_template(
                [[message._asdict() for message in messages]],
                chat_template=self.source,
                return_assistant_tokens_mask=self.has_marks,
                add_generation_prompt=is_prompt,
                **self.tokens,
            )
        except Exception as error:  # a template is a program, and fails in many ways
            reason = " ".join(str(error).split())
            raise ValueError(f"it refuses these messages ({reason}); repair or remove the row") from error
        return text, list(marked[0]) if self.has_marks else []

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that determines a rendering."""
        return hashlib.sha256(json.dumps([self.source, self.tokens], sort_keys=True, default=str).encode()).hexdigest()


def template_of(tokenizer: PreTrainedTokenizerFast) -> Template:
    """The tokenizer's chat template. Raises ValueError if it has none."""
    try:
        source = _NOW.sub(lambda call: repr(TODAY.strftime(call[2])), tokenizer.get_chat_template())
    except ValueError:
        raise ValueError(
            f"data.format is chat, but the tokenizer ({tokenizer.name_or_path}) has no chat template; name a tokenizer "
            "with one in data.tokenizer (it may be a copy to which a chat_template.jinja was added), or write the rows "
            "as prompt and completion (data.format: prompt_completion)"
        ) from None
    return Template(source, tokenizer.special_tokens_map, bool(_GENERATION.search(source)))


def render(conversation: Conversation, template: Template) -> Rendered:
    """The conversation in the template, where its contents are, and what of it the assistant writes.

    The last is the content of the assistant's turns and what the template closes them with. Raises ValueError,
    beginning with the place of the row, if the template refuses the conversation or does not tell exactly.
    """
    messages = conversation.messages
    turns = [n for n, message in enumerate(messages) if message.role == "assistant" and n >= conversation.num_given]
    try:
        text, marked = template.rendered(messages)
        contents = _contents(text, messages, template)
        if template.has_marks:
            scored = [span for span in marked if span[1] > contents[turns[0]][0]]
        else:
            scored = [_turn(text, messages, number, template) for number in turns]
        for number in turns:
            if not any(start <= contents[number][0] and contents[number][1] <= stop for start, stop in scored):
                raise ValueError(f"the assistant's part of message {number + 1} is not told apart; {_REMEDY}")
    except ValueError as error:
        raise ValueError(f"{conversation.place} does not fit the chat template: {error}") from error
    return Rendered(text, tuple((start, stop) for start, stop in contents if start < stop), tuple(scored))


def start_of_conversations(tokenizer: PreTrainedTokenizerFast) -> int:
    """The token that begins every conversation and stands nowhere else in the template.

    Raises ValueError if there is no such token.
    """
    messages = [Message(role, "x") for role in ("user", "assistant") * 2]
    text, _ = template_of(tokenizer).rendered(messages)
    first, *others = tokenizer(text, add_special_tokens=False)["input_ids"]
    if first in others:
        raise ValueError(
            f"data.mask_documents: the chat template begins with {tokenizer.convert_ids_to_tokens(first)!r}, which "
            "stands elsewhere too, so it does not tell where a conversation begins; name a token that does in "
            "data.separator, e.g. the one that separated documents in the model's pretraining"
        )
    return int(first)


def _contents(text: str, messages: Sequence[Message], template: Template) -> list[Span]:
    """Where the content of each message stands in a rendering, as it is or without the blanks around it.

    A content of nothing but blanks has no characters of its own.
    """
    marks = [_MARK.format(number) if message.content.strip() else "" for number, message in enumerate(messages)]
    rest, _ = template.rendered(
        [message._replace(content=mark or message.content) for message, mark in zip(messages, marks, strict=True)]
    )
    spans, place = [], 0
    for message, mark in zip(messages, marks, strict=True):
        if mark:
            before, found, rest = rest.partition(mark)
            following = rest.partition(_MARK[0])[0]
            contents = (message.content, message.content.strip(), message.content.rstrip(), message.content.lstrip())
            place += len(before)
            written = next((c for c in contents if text.startswith(c + following, place)), None)
            if not found or written is None or not text.startswith(before, place - len(before)):
                raise ValueError(f"it does not write every message once, in order and unchanged; {_CHANGE}")
            spans.append((place, place + len(written)))
            place += len(written)
        else:
            spans.append((place, place))
    if text[place:] != rest:
        raise ValueError(f"it does not write every message once, in order and unchanged; {_CHANGE}")
    return spans


def _turn(text: str, messages: Sequence[Message], number: int, template: Template) -> Span:
    """Where the assistant's turn stands in a rendering: from the end of its prompt to the end of what closes it."""
    prompt, _ = template.rendered(messages[:number], is_prompt=True)
    so_far, _ = template.rendered(messages[: number + 1])
    if not (so_far.startswith(prompt) and text.startswith(so_far)):
        raise ValueError(f"it writes the messages up to {number + 1} in another way when others follow; {_REMEDY}")
    return len(prompt), len(so_far)
