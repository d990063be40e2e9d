"""Compare the blocks of fixed text with a stored digest: changed blocks need a new BLOCKS_VERSION."""

import hashlib
import json

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from augment.lexicon import RULES_VERSION, load_lexicon
from distill.config import AugmentConfig, DataConfig
from distill.data.block_files import IDS
from distill.data.blocks import BLOCKS_VERSION, prepare_blocks

# (BLOCKS_VERSION, RULES_VERSION) -> digest: blocks hold swapped text, so either number may explain a change.
DIGESTS = {
    (1, 1): "1792757f9f8480cb7d1bc62aec492c2628e74af9fe81b8c7a3072ef4d6ef33b2",
    (1, 2): "1792757f9f8480cb7d1bc62aec492c2628e74af9fe81b8c7a3072ef4d6ef33b2",
    (1, 3): "1792757f9f8480cb7d1bc62aec492c2628e74af9fe81b8c7a3072ef4d6ef33b2",
    (2, 3): "1792757f9f8480cb7d1bc62aec492c2628e74af9fe81b8c7a3072ef4d6ef33b2",
    (3, 3): "1792757f9f8480cb7d1bc62aec492c2628e74af9fe81b8c7a3072ef4d6ef33b2",
}
DOCUMENTS = (
    "The woman said that she lost her keys.\nMy father went home because he was tired.",
    "Mrs Reed, a doctor, told him that the boy was hers. The actress thanked the waiter and his wife.",
    "Nothing here has a gender: the river, the bridge and the long road to the sea.",
    "\ufeffThe king's sons and daughters met their grandmother, a duchess, at the baron's house.",
    "He liked it. She did not. The businessmen and the chairwoman told her so themselves.",
)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """An untrained tokenizer of bytes and three merges, in which a word and its counterpart differ in length."""
    merges = [("h", "e"), ("Ġ", "he"), ("s", "he")]
    words = ["<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet()), *(left + right for left, right in merges)]
    model = Tokenizer(models.BPE({word: index for index, word in enumerate(words)}, merges))
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    model.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=model, eos_token="<|endoftext|>")


def test_blocks_are_those_of_the_declared_version(tmp_path):
    """A corpus with all the kinds of documents: several lines, no swap, a byte-order mark, more tokens than a block."""
    corpus, texts = tmp_path / "corpus.jsonl", [f"{text} ({number})" for text in DOCUMENTS for number in range(3)]
    corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    digest = hashlib.sha256()
    for mode in ("none", "substitute"):
        data = DataConfig(path=str(corpus), seq_len=96, heldout_fraction=0.5, cache_dir=str(tmp_path / "cache"))
        blocks = prepare_blocks(data, AugmentConfig(mode=mode), load_lexicon(), byte_tokenizer(), seed=0)
        for part in (blocks.train, blocks.heldout):
            for row in part:
                digest.update(json.dumps({name: row[name].tolist() for name in sorted(IDS)}).encode())
    assert DIGESTS.get((BLOCKS_VERSION, RULES_VERSION)) == digest.hexdigest(), (
        f"the blocks of a fixed corpus have changed (digest {digest.hexdigest()}). If the rules changed, raise "
        "RULES_VERSION in augment/lexicon.py; if reading, alignment, packing or the split changed, raise "
        "BLOCKS_VERSION in distill/data/blocks.py. Then add the digest of the new numbers here."
    )
