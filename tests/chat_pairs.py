"""Conversations with their counterfactuals, both written by hand, and what a model should read and learn of them."""

from typing import NamedTuple

import numpy as np
from transformers import PreTrainedTokenizerFast

from distill.data.documents import Conversation, Message

# BOS begins a conversation and stands nowhere else; the words of the template would be swapped elsewhere.
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ '[his ' + m.role + ']\n' + m.content + '[mother]\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '[his assistant]\n' }}{% endif %}"
)
# the same text, with marks for transformers to find what the assistant writes
MARKED_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ '[his ' + m.role + ']\n' }}{% if m.role == 'assistant' %}{% generation %}"
    "{{ m.content + '[mother]\n' }}{% endgeneration %}{% else %}{{ m.content + '[mother]\n' }}{% endif %}{% endfor %}"
)
ROLES = {"s": "system", "u": "user", "a": "assistant"}
# role, original, counterfactual of every turn
CHATS = (
    (
        ("s", "Be kind to her.", "Be kind to him."),
        ("u", "The nurse left.", "The nurse left."),
        ("a", "She lost her keys.", "He lost his keys."),
        ("u", "And the king?", "And the queen?"),
        ("a", "He met his grandmother.", "She met her grandfather."),
    ),
    (("u", "Is it late?", "Is it late?"), ("a", "Yes, it is.", "Yes, it is.")),
    (("u", "Who came?", "Who came?"), ("a", "The baron did. He smiled.", "The baroness did. She smiled.")),
)


class Reading(NamedTuple):
    """What a model reads of one view: its tokens, and which of them the assistant writes."""

    ids: np.ndarray
    scored: np.ndarray


def conversations() -> list[Conversation]:
    """The original views."""
    return [Conversation(tuple(Message(ROLES[r], text) for r, text, _ in chat), place="x:1") for chat in CHATS]


def readings(tokenizer: PreTrainedTokenizerFast, view: int) -> list[Reading]:
    """What transformers makes of each conversation in a view (0: original, 1: counterfactual)."""
    found = []
    for chat in CHATS:
        messages = [{"role": ROLES[turn[0]], "content": turn[1 + view]} for turn in chat]
        encoded = tokenizer.apply_chat_template(
            messages, chat_template=MARKED_TEMPLATE, return_dict=True, return_assistant_tokens_mask=True
        )
        found.append(Reading(np.array(encoded["input_ids"]), np.array(encoded["assistant_masks"], dtype=bool)))
    return found
