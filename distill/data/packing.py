"""Tokenise pairs of texts and pack them into blocks of at most seq_len tokens, aligned throughout.

Both views are packed in step: a block holds the same pieces of the same documents in both. A text that does not fit
into the rest of a block is cut at the same word in both views. A conversation, or a prompt with its completion, then
begins a new block, and is cut only if it is longer than that.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from transformers import PreTrainedTokenizerFast

from augment.align import align_tokens, counterfactual_places, inside_edits, invert, monotone
from augment.lexicon import Lexicon
from augment.parts import Span, swap_parts
from augment.swap import CounterfactualPair, swap
from distill.data.chat_template import render, template_of
from distill.data.documents import Conversation, Document
from distill.data.known_ids import check_ids

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class PairedExample(NamedTuple):
    """One piece of text in both views: token ids [n] and [m], and the alignment [n] of their predictions.

    align[t] is the position of the counterfactual whose prediction pairs with the one made at t, or -1. scored [n],
    cf_scored [m]: which tokens are learned, by the prediction made before each of them; None if all are.
    """

    input_ids: IntArray
    cf_input_ids: IntArray
    align: IntArray
    scored: BoolArray | None = None
    cf_scored: BoolArray | None = None

    def exchanged(self) -> PairedExample:
        """The pair with its two views exchanged."""
        inverse = invert(self.align, len(self.cf_input_ids))
        return PairedExample(self.cf_input_ids, self.input_ids, inverse, self.cf_scored, self.scored)

    def checksum(self) -> int:
        """The CRC-32 of the arrays, which tells when bytes on a disk have changed."""
        checksum = 0
        for array in filter(lambda array: array is not None, self):
            checksum = zlib.crc32(np.ascontiguousarray(array, np.int64).data, checksum)
        return checksum


class PairedDocument(NamedTuple):
    """A tokenised document with its separators, and the tokens after which it may be cut (including the last).

    If only some of its tokens are learned, it is kept whole where a block has room for it. word_cuts: the tokens that
    end a word in both views. cuts: all tokens that pair between the views, for a word that is longer than a block.
    """

    example: PairedExample
    word_cuts: IntArray
    cuts: IntArray
    pair: CounterfactualPair


def pair_texts(
    documents: Sequence[Document],
    tokenizer: PreTrainedTokenizerFast,
    lexicon: Lexicon,
    prefix_ids: Sequence[int] = (),
    suffix_ids: Sequence[int] = (),
    num_ids: int | None = None,
) -> list[PairedDocument]:
    """Swap, tokenise and align a batch of documents. prefix_ids, suffix_ids: the separators around each document.

    num_ids: how many ids the models know, if the tokenizer has more. Raises ValueError for a document with another id,
    and for a conversation that does not fit the tokenizer's chat template.
    """
    swapped = [_swapped(document, tokenizer, lexicon) for document in documents]
    own = _encode(tokenizer, [pair.original for pair, _ in swapped])
    other = _encode(tokenizer, [pair.counterfactual for pair, _ in swapped if pair.edits])
    paired = [
        _paired_document(pair, encoded, next(other) if pair.edits else encoded, prefix_ids, suffix_ids, scored)
        for (pair, scored), encoded in zip(swapped, own, strict=True)
    ]
    for document in paired:
        check_ids(document.example.input_ids, num_ids, tokenizer, f"the document {document.pair.original[:60]!r}")
    return paired


def _swapped(
    document: Document, tokenizer: PreTrainedTokenizerFast, lexicon: Lexicon
) -> tuple[CounterfactualPair, tuple[Span, ...] | None]:
    """Both views of a document, and the characters of the original that are learned; None if all are."""
    if isinstance(document, Conversation):
        rendered = render(document, template_of(tokenizer))
        return swap_parts(rendered.text, rendered.parts, lexicon), rendered.scored
    pair = swap(str(document), lexicon)
    if isinstance(document, str):
        return pair, None
    border = len(document.prompt)
    # "my best" and " man": a phrase that reaches across is learned as a whole
    first = next((edit.start for edit in pair.edits if edit.start < border < edit.end), border)
    return pair, ((first, len(pair.original)),)


def _encode(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> Iterator[tuple[list[int], IntArray]]:
    """Token ids and end offsets of each text, without special tokens."""
    # use the backend tokenizer: transformers would also make Python lists that nothing here needs
    for encoding in tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False):
        yield encoding.ids, np.array([end for _, end in encoding.offsets], dtype=np.int64)


def _paired_document(
    pair: CounterfactualPair,
    encoded: tuple[list[int], IntArray],
    cf_encoded: tuple[list[int], IntArray],
    prefix_ids: Sequence[int],
    suffix_ids: Sequence[int],
    scored: Sequence[Span] | None,
) -> PairedDocument:
    (ids, ends), (cf_ids, cf_ends) = encoded, cf_encoded
    align = align_tokens(ends, cf_ends, pair.edits)
    if len(align):
        align[-1] = len(cf_ids) - 1  # the two views end together
    word_cuts, cuts = _cut_points(pair, ends, align)
    num_prefix, num_suffix = len(prefix_ids), len(suffix_ids)
    example = PairedExample(
        np.array([*prefix_ids, *ids, *suffix_ids], dtype=np.int64),
        np.array([*prefix_ids, *cf_ids, *suffix_ids], dtype=np.int64),
        np.concatenate(
            [
                np.arange(num_prefix),
                np.where(align >= 0, align + num_prefix, -1),
                np.arange(num_suffix) + num_prefix + len(cf_ids),
            ]
        ),
    )
    if scored is not None:
        spans = np.array(scored, dtype=np.int64).reshape(-1, 2)
        sides = ((ends, spans), (cf_ends, counterfactual_places(spans, pair.edits)))
        prefix, suffix = np.zeros(num_prefix, dtype=bool), np.ones(num_suffix, dtype=bool)
        own, other = (np.concatenate([prefix, _end_in(spans, places), suffix]) for places, spans in sides)
        example = example._replace(scored=own, cf_scored=other)
    last = len(example.input_ids) - 1
    shifted = [np.append(where[where + num_prefix < last] + num_prefix, last) for where in (word_cuts, cuts)]
    return PairedDocument(example, shifted[0], shifted[1], pair)


def _end_in(spans: IntArray, ends: IntArray) -> BoolArray:
    """Which tokens end in one of the spans [N, 2] (ascending, disjoint) of a text; ends: where each token ends."""
    ends = monotone(ends)
    number = np.searchsorted(spans[:, 0], ends) - 1  # the last span that begins before this end
    return (number >= 0) & (ends <= spans[number, 1])


def _cut_points(pair: CounterfactualPair, ends: IntArray, align: IntArray) -> tuple[IntArray, IntArray]:
    """The positions that end a word in both views, and all positions after which both views may be cut.

    A view may be cut after a position that has a partner, completes a character and is not inside an edit.
    """
    complete = np.append(np.diff(ends) > 0, True) if len(ends) else np.zeros(0, dtype=bool)  # a character's last token
    possible = complete & (align >= 0) & ~inside_edits(ends, pair.edits)
    characters = np.frombuffer((pair.original + " ").encode("utf-32-le", "surrogatepass"), dtype="<U1")
    is_space = np.char.isspace(characters)  # the end of the text ends a word
    return np.flatnonzero(possible & (is_space[ends] | is_space[ends - 1])), np.flatnonzero(possible)


# -- packing ---------------------------------------------------------------------------------------------------------


def pack(documents: Iterable[tuple[PairedDocument, bool]], seq_len: int) -> Iterator[PairedExample]:
    """Blocks of at most `seq_len` tokens in either view, in the order of the documents.

    Each document comes with a flag: whether its views are exchanged (augmentation mode `substitute`). A piece takes the
    room of its longer view, so blocks are cut at the same places whatever the flags. A document of which only some
    tokens are learned begins a new block if the rest of the last one is too short for it. Raises ValueError if a block
    cannot hold the smallest piece of a document.
    """
    return (block for block, _ in pack_on(documents, seq_len))


def pack_on(
    documents: Iterable[tuple[PairedDocument, bool]], seq_len: int, start: int = 0
) -> Iterator[tuple[PairedExample, int]]:
    """The blocks of `pack`, each with how many tokens of the document that was read last stand in blocks by then.

    Packing can go on there: give that document as the first one, and the number as `start`.
    """
    block: list[PairedExample] = []
    room = seq_len
    for number, (document, exchanged) in enumerate(documents):
        start = 0 if number else start
        last = len(document.example.input_ids) - 1
        while start <= last:
            cut = _last_cut_that_fits(document.example.align, document.word_cuts, start, room)
            if document.example.scored is not None and start == 0 and cut != last and room < seq_len:
                cut = None  # keep it whole if it fits into a block of its own
            if cut is None and room == seq_len:  # a word is longer than a block: cut it between two tokens
                cut = _last_cut_that_fits(document.example.align, document.cuts, start, room)
            if cut is None and room == seq_len:
                raise ValueError(
                    f"a document beginning {document.pair.original[:60]!r} has a swapped word longer than a block of "
                    f"{seq_len} tokens; set a larger data.seq_len"
                )
            if cut is not None:
                piece = _slice(document.example, start, cut)
                room -= max(len(piece.input_ids), len(piece.cf_input_ids))
                block.append(piece.exchanged() if exchanged else piece)
                start = cut + 1
            if cut is None or room == 0:
                yield _concatenate(block), start
                block, room = [], seq_len
    if block:
        yield _concatenate(block), start


def pack_apart(
    documents: Iterable[tuple[PairedDocument, bool]], seq_len: int, num_pieces: list[int]
) -> Iterator[PairedExample]:
    """As `pack`, but every block holds a piece of one document only, so that no document changes another one's blocks.

    Appends to `num_pieces` how many blocks each document has.
    """
    for document in documents:
        pieces = list(pack([document], seq_len))
        num_pieces.append(len(pieces))
        yield from pieces


def _last_cut_that_fits(align: IntArray, cuts: IntArray, start: int, room: int) -> int | None:
    """The last cut point c such that tokens start..c fit into `room` in both views, or None."""
    cf_start = align[start - 1] + 1 if start else 0
    first = np.searchsorted(cuts, start)
    cuts = cuts[first : first + room]  # no later one fits
    lengths = np.maximum(cuts + 1 - start, align[cuts] + 1 - cf_start)
    fits = np.searchsorted(lengths, room, side="right")
    return int(cuts[fits - 1]) if fits else None


def _slice(example: PairedExample, start: int, cut: int) -> PairedExample:
    """Tokens start..cut (cut included) of the original, with their counterparts."""
    cf_start = example.align[start - 1] + 1 if start else 0
    own, other = slice(start, cut + 1), slice(cf_start, example.align[cut] + 1)
    align = example.align[own]
    return PairedExample(
        example.input_ids[own],
        example.cf_input_ids[other],
        np.where(align >= 0, align - cf_start, -1),
        None if example.scored is None else example.scored[own],
        None if example.cf_scored is None else example.cf_scored[other],
    )


def _concatenate(pieces: list[PairedExample]) -> PairedExample:
    """One block from its pieces."""
    offsets = np.cumsum([0] + [len(piece.cf_input_ids) for piece in pieces[:-1]])
    scored = [piece.scored for piece in pieces if piece.scored is not None]
    cf_scored = [piece.cf_scored for piece in pieces if piece.cf_scored is not None]
    return PairedExample(
        np.concatenate([piece.input_ids for piece in pieces]),
        np.concatenate([piece.cf_input_ids for piece in pieces]),
        np.concatenate(
            [np.where(p.align >= 0, p.align + offset, -1) for p, offset in zip(pieces, offsets, strict=True)]
        ),
        np.concatenate(scored) if scored else None,
        np.concatenate(cf_scored) if cf_scored else None,
    )
