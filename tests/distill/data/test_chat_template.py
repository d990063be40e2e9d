"""Conversations in chat templates: the text is transformers' own, and what is learned is exact or refused."""

from types import SimpleNamespace

import pytest

from distill.data.chat_template import render, start_of_conversations, template_of
from distill.data.documents import Conversation, Message, conversation_of
from distill.models.loading import load_tokenizer

LOOP = "{{ bos_token }}{% for m in messages %}"
TURN = "{{ '[' + m.role + ']\n' + m.content + '[end]\n' }}{% endfor %}"
PROMPT = "{% if add_generation_prompt %}{{ '[assistant]\n' }}{% endif %}"
# Templates as families of models have them: plain; with a default system prompt; contents without the blanks around
# them, and the date; the system prompt within the first turn, no marker before the answer, and EOS after it.
PLAIN = LOOP + TURN + PROMPT
DEFAULT_SYSTEM = (
    LOOP
    + "{% if loop.first and m.role != 'system' %}{{ '[system]\nHe is the king.[end]\n' }}{% endif %}"
    + TURN
    + PROMPT
)
TRIMMED = (
    "{{ bos_token + 'Today: ' + strftime_now('%d %b %Y') + '\n' }}{% for m in messages %}"
    "{{ '[' + m.role + ']\n' + m.content | trim + '[end]\n' }}{% endfor %}" + PROMPT
)
FOLDED = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{% set given = '{' + messages[0].content + '}\n' %}"
    "{% set messages = messages[1:] %}{% else %}{% set given = '' %}{% endif %}"
    "{% for m in messages %}{% if m.role == 'user' %}{{ '[' + (given if loop.first else '') + m.content + ']' }}"
    "{% else %}{{ ' ' + m.content | trim + ' ' + eos_token }}{% endif %}{% endfor %}"
)
# ... and one that marks what the assistant writes, with a turn that depends on what follows
MARKED = (
    LOOP + "{% if m.role == 'assistant' %}{{ '[assistant]\n' }}{% if loop.last %}{{ '(last)' }}{% endif %}"
    "{% generation %}{{ m.content + '[end]' }}{% endgeneration %}{{ '\n' }}{% else %}"
    "{{ '[' + m.role + ']\n' + m.content + '[end]\n' }}{% endif %}{% endfor %}"
)
UNMARKED = MARKED.replace("{% generation %}", "").replace("{% endgeneration %}", "") + PROMPT


@pytest.fixture
def tokenizer(small_world):
    """A tokenizer of its own, whose template a test may change."""
    return load_tokenizer(str(small_world / "tokenizer"))


def conversation(*turns: tuple[str, str], **settings: object) -> Conversation:
    return Conversation(tuple(Message(*turn) for turn in turns), place="x.jsonl:7", **settings)


CHAT = conversation(
    ("system", "Be kind."), ("user", "[user]"), ("assistant", " She left. "), ("user", ""), ("assistant", "[end]")
)


def rendered(chat: Conversation, tokenizer, template: str) -> SimpleNamespace:
    """The text, its parts and what is learned, as texts."""
    tokenizer.chat_template = template
    result = render(chat, template_of(tokenizer))
    spans = {name: [result.text[start:stop] for start, stop in getattr(result, name)] for name in ("parts", "scored")}
    return SimpleNamespace(text=result.text, **spans)


@pytest.mark.parametrize("template", [PLAIN, DEFAULT_SYSTEM, FOLDED, MARKED])
def test_the_text_is_what_transformers_renders(template, tokenizer):
    messages = [message._asdict() for message in CHAT.messages]
    text = rendered(CHAT, tokenizer, template).text
    assert text == tokenizer.apply_chat_template(messages, tokenize=False)


def test_what_the_assistant_writes_is_found_turn_by_turn(tokenizer):
    """Contents that look like the template's own marks are no matter."""
    plain = rendered(CHAT, tokenizer, PLAIN)
    assert plain.parts == ["Be kind.", "[user]", " She left. ", "[end]"]
    assert plain.scored == [" She left. [end]\n", "[end][end]\n"]
    assert rendered(CHAT, tokenizer, TRIMMED).parts == ["Be kind.", "[user]", "She left.", "[end]"]
    folded = rendered(CHAT, tokenizer, FOLDED)
    assert folded.parts == ["Be kind.", "[user]", "She left.", "[end]"]
    assert folded.scored == [" She left. <|endoftext|>", " [end] <|endoftext|>"]
    without_system = rendered(conversation(("user", "Hi"), ("assistant", "Ho")), tokenizer, DEFAULT_SYSTEM)
    assert "He is the king." in without_system.text and without_system.parts == ["Hi", "Ho"]


def test_marks_of_the_template_say_what_the_assistant_writes(tokenizer):
    assert rendered(CHAT, tokenizer, MARKED).scored == [" She left. [end]", "[end][end]"]
    with pytest.raises(
        ValueError,
        match=r"^x.jsonl:7 does not fit the chat template: it writes the messages up to 3 in another way when others "
        r"follow; put {% generation %} and {% endgeneration %} around what the assistant writes, in a copy of the",
    ):
        rendered(CHAT, tokenizer, UNMARKED)
    last_only = MARKED.replace(
        "{% generation %}", "{% if loop.last %}{% generation %}x{% endgeneration %}{% endif %}", 1
    )
    last_only = last_only.replace("{% endgeneration %}{{ '\n' }}", "{{ '\n' }}")
    with pytest.raises(ValueError, match="the assistant's part of message 3 is not told apart"):
        rendered(CHAT, tokenizer, last_only)


@pytest.mark.parametrize("template", [PLAIN, MARKED])
def test_a_given_prompt_is_not_learned(template, tokenizer):
    given = conversation(("user", "A"), ("assistant", "B"), ("user", "C"), ("assistant", "D"), num_given=3)
    (learned,) = rendered(given, tokenizer, template).scored
    assert learned.startswith("D[end]")


def test_the_date_of_a_template_is_the_same_on_every_day(tokenizer):
    assert "Today: 01 Jan 2026\n" in rendered(CHAT, tokenizer, TRIMMED).text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "{{ raise_exception('No system prompt') }}",
            r"it refuses these messages \(No system prompt\); repair or remove",
        ),
        (
            PLAIN.replace("m.content", "m.content.upper()"),
            "it does not write every message once, in order and unchanged",
        ),
        (
            PLAIN.replace("m.content", "m.content + m.content"),
            "it does not write every message once, in order and unch",
        ),
        ("{{ messages[0].content }}", "it does not write every message once, in order and unchanged"),
    ],
)
def test_a_template_that_does_not_tell_is_refused_in_one_line(template, message, tokenizer):
    with pytest.raises(ValueError, match=rf"^x.jsonl:7 does not fit the chat template: {message}") as caught:
        rendered(CHAT, tokenizer, template)
    assert "\n" not in str(caught.value)


def test_a_conversation_that_the_assistant_begins_is_exact_or_refused(tokenizer):
    chat = conversation(("assistant", "Hello."), ("user", "Hi"))
    assert rendered(chat, tokenizer, PLAIN).scored == ["Hello.[end]\n"]
    with pytest.raises(ValueError, match="it writes the messages up to 1 in another way when others follow"):
        rendered(chat, tokenizer, DEFAULT_SYSTEM)


def test_a_tokenizer_without_a_template_is_refused_in_one_line(tokenizer):
    with pytest.raises(
        ValueError, match="data.format is chat, but the tokenizer .* has no chat template; name"
    ) as caught:
        template_of(tokenizer)
    assert "\n" not in str(caught.value)


def test_the_first_token_marks_a_conversation_only_if_it_stands_nowhere_else(tokenizer):
    tokenizer.chat_template = PLAIN
    assert start_of_conversations(tokenizer) == tokenizer.bos_token_id
    tokenizer.chat_template = PLAIN.replace("{{ bos_token }}", "")
    with pytest.raises(ValueError, match=r"data.mask_documents: .* begins with '\[', .*name a token .* data.separator"):
        start_of_conversations(tokenizer)


def test_a_row_becomes_a_conversation_whose_faults_name_its_place(tokenizer):
    chat = conversation_of({"messages": [{"role": "user", "content": "A"}, {"role": "assistant", "content": "B"}]})
    with pytest.raises(ValueError, match="^rows.parquet: row 3 does not fit"):
        rendered(chat._replace(place="rows.parquet: row 3"), tokenizer, "{{ raise_exception('no') }}")
