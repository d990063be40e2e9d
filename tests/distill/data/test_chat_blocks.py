"""Blocks of conversations and completions: what is learned is exact in both views, whole or cut, packed or not."""

import itertools
import json

import numpy as np
import pytest
from chat_pairs import CHATS, TEMPLATE, conversations, readings

from augment.lexicon import load_lexicon
from distill.config import AugmentConfig, DataConfig
from distill.data.batches import batches, collate
from distill.data.blocks import prepare_blocks
from distill.data.documents import PromptCompletion
from distill.data.packing import pack, pair_texts
from distill.data.separators import separators_of, start_of_documents
from distill.models.loading import load_tokenizer

LEXICON = load_lexicon()
NAMES = load_lexicon(("pronouns", "kinship", "titles", "persons", "occupations", "names"))


@pytest.fixture(scope="module")
def chat_tokenizer(small_world):
    tokenizer = load_tokenizer(str(small_world / "tokenizer"))
    tokenizer.chat_template = TEMPLATE
    return tokenizer


@pytest.fixture(scope="module")
def paired(chat_tokenizer):
    return pair_texts(conversations(), chat_tokenizer, LEXICON)


def test_both_views_are_what_transformers_makes_of_the_conversation_and_its_counterfactual(paired, chat_tokenizer):
    """So the template's tokens, with words that would be swapped elsewhere, are the same in both."""
    for view in (0, 1):
        for document, reading in zip(paired, readings(chat_tokenizer, view), strict=True):
            example = document.example if view == 0 else document.example.exchanged()
            assert example.input_ids.tolist() == reading.ids.tolist()
            assert example.scored.tolist() == reading.scored.tolist()


def test_predictions_that_pair_are_scored_in_both_views_or_in_none(paired):
    for document in paired:
        example = document.example
        is_scored, cf_is_scored = (np.append(mask[1:], False) for mask in (example.scored, example.cf_scored))
        has_partner = example.align >= 0
        assert (is_scored[has_partner] == cf_is_scored[example.align[has_partner]]).all()


def test_names_are_the_same_in_all_turns(chat_tokenizer):
    (first, *others) = conversations()
    turns = [message._replace(content=f"Anna and her king. {message.content}") for message in first.messages]
    (document,) = pair_texts([first._replace(messages=tuple(turns))], chat_tokenizer, NAMES)
    changed = document.pair.counterfactual
    name = changed.partition("]\n")[2].split()[0]
    assert name != "Anna" and changed.count(f"{name} and his queen.") == len(turns) and others


@pytest.mark.parametrize("seq_len", [40, 64, 400])
@pytest.mark.parametrize("flags", list(itertools.product([False, True], repeat=3))[::3])
def test_blocks_hold_whole_conversations_with_their_masks(seq_len, flags, paired):
    """Cut at the block's end if longer than it; cutting and packing change neither tokens nor what is learned."""
    blocks = list(pack(zip(paired, flags, strict=True), seq_len))
    sides = [
        document.example.exchanged() if flag else document.example for document, flag in zip(paired, flags, strict=True)
    ]
    for name in ("input_ids", "cf_input_ids", "scored", "cf_scored"):
        whole = np.concatenate([getattr(side, name) for side in sides])
        assert np.array_equal(np.concatenate([getattr(block, name) for block in blocks]), whole)
    assert all(max(len(block.input_ids), len(block.cf_input_ids)) <= seq_len for block in blocks)
    bos = sides[0].input_ids[0]
    begins = sum(block.input_ids[0] == bos for block in blocks)
    longest = max(max(len(side.input_ids), len(side.cf_input_ids)) for side in sides)
    assert begins == len(blocks) if longest <= seq_len else begins < len(blocks)


def test_a_batch_scores_the_predictions_of_learned_tokens(paired):
    examples = [document.example for document in paired]
    batch = collate([*examples, None], 400)
    for row, example in enumerate(examples):
        for ids, mask, scored in (
            (batch.input_ids, batch.loss_mask, example.scored),
            (batch.cf_input_ids, batch.cf_loss_mask, example.cf_scored),
        ):
            learned = ids[row].roll(-1)[mask[row]]
            own = ids[row][: len(scored)].numpy()
            assert learned.tolist() == own[scored].tolist()
    assert not batch.loss_mask[-1].any()


@pytest.fixture
def settings(tmp_path) -> DataConfig:
    rows = [
        {"messages": [{"role": m.role, "content": f"{m.content} {number}"} for m in chat.messages]}
        for number in range(30)
        for chat in conversations()
    ]
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return DataConfig(
        path=str(tmp_path / "chats.jsonl"),
        format="chat",
        seq_len=100,
        heldout_fraction=0.2,
        cache_dir=str(tmp_path / "cache"),
    )


@pytest.mark.parametrize("num_proc", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_blocks_keep_their_masks_on_disk_and_count_what_is_learned(num_proc, settings, chat_tokenizer):
    data = DataConfig(**(vars(settings) | {"num_proc": num_proc}))
    blocks = prepare_blocks(data, AugmentConfig(), LEXICON, chat_tokenizer, seed=0)
    info = blocks.info["train"]
    assert info["num_documents"] + blocks.info["heldout"]["num_documents"] == 90
    assert 0 < info["num_scored"] < info["num_tokens"]
    assert info["num_scored"] == sum(int(row["scored"][1:].sum()) for row in blocks.train)
    batch = next(iter(batches(blocks.train, [list(range(len(blocks.train)))], data.seq_len)))
    assert int(batch.loss_mask.sum()) == info["num_scored"]


def test_blocks_are_built_again_for_another_template_or_format(settings, chat_tokenizer, small_world):
    first = prepare_blocks(settings, AugmentConfig(), LEXICON, chat_tokenizer, seed=0)
    assert prepare_blocks(settings, AugmentConfig(), LEXICON, chat_tokenizer, seed=0).key == first.key
    other = load_tokenizer(str(small_world / "tokenizer"))
    other.chat_template = TEMPLATE.replace("mother", "father")
    second = prepare_blocks(settings, AugmentConfig(), LEXICON, other, seed=0)
    assert second.key != first.key and second.info["chat_template"] != first.info["chat_template"]
    assert "chat_template" in first.info
    other.chat_template = None
    with pytest.raises(ValueError, match="data.format is chat, but the tokenizer .* has no chat template"):
        prepare_blocks(settings, AugmentConfig(), LEXICON, other, seed=0)


def test_a_row_that_the_template_refuses_is_named_and_nothing_is_left(settings, small_world, tmp_path):
    tokenizer = load_tokenizer(str(small_world / "tokenizer"))
    tokenizer.chat_template = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + TEMPLATE
    with pytest.raises(ValueError, match=r"chats.jsonl:\d+ does not fit the chat template: it refuses these .*\(no\)"):
        prepare_blocks(settings, AugmentConfig(), LEXICON, tokenizer, seed=0)
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def test_a_completion_is_learned_with_its_end_and_a_phrase_across_the_border_as_a_whole(tokenizer):
    data = DataConfig(path="x", format="prompt_completion")
    before, after = separators_of(data, tokenizer)
    assert (before, after) == ([tokenizer.bos_token_id], [tokenizer.eos_token_id])
    rows = [PromptCompletion("The nurse said that", " she left."), PromptCompletion("He was her best", " man.")]
    plain, across = pair_texts(rows, tokenizer, LEXICON, before, after)
    for view in (plain.example, plain.example.exchanged()):
        ending = tokenizer.decode(view.input_ids[view.scored])
        assert ending in (" she left.<|endoftext|>", " he left.<|endoftext|>")
    learned, cf_learned = (
        tokenizer.decode(view.input_ids[view.scored]) for view in (across.example, across.example.exchanged())
    )
    assert (learned, cf_learned) == (" best man.<|endoftext|>", " maid of honour.<|endoftext|>")


def test_a_conversation_has_its_templates_beginning_and_end_alone(chat_tokenizer):
    data = DataConfig(path="x", format="chat")
    assert separators_of(data, chat_tokenizer) == ([], [])
    assert start_of_documents(data, chat_tokenizer) == chat_tokenizer.bos_token_id
    comma = chat_tokenizer.get_vocab()[","]
    named = DataConfig(path="x", format="chat", separator=",")
    assert separators_of(named, chat_tokenizer) == ([comma], []) and start_of_documents(named, chat_tokenizer) == comma
    assert len(CHATS) == 3
