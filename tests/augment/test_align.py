"""The alignment of tokens from offsets and edits: hand-made cases for every situation, then invariants."""

import numpy as np

from augment.align import align_tokens, invert
from augment.swap import Edit


def edit(start: int, source: str, target: str) -> Edit:
    return Edit(start, start + len(source), source, target, "test", 1.0)


def ends(*tokens: str) -> list[int]:
    return list(np.cumsum([len(token) for token in tokens]))


def test_without_edits_every_position_pairs_with_itself():
    own = ends("The", " nurse", " left")
    assert align_tokens(own, own, ()).tolist() == [0, 1, 2]


def test_equal_numbers_of_tokens_pair_one_to_one():
    own, other = ends("Then", " he", " left", "."), ends("Then", " she", " left", ".")
    assert align_tokens(own, other, [edit(5, "he", "she")]).tolist() == [0, 1, 2, 3]


def test_a_word_of_more_tokens_has_no_partner_inside_and_runs_in_step_after_it():
    # "Yes" pairs: both predictions are of the swapped word's first token. The last token of each completes the word.
    own, other = ends("Yes", " ma", "'", "am", ",", " ok"), ends("Yes", " sir", ",", " ok")
    edits = [edit(4, "ma'am", "sir")]
    assert align_tokens(own, other, edits).tolist() == [0, -1, -1, 1, 2, 3]
    back = [Edit(4, 7, "sir", "ma'am", "test", 1.0)]
    assert align_tokens(other, own, back).tolist() == [0, 3, 4, 5]


def test_pieces_of_equally_long_words_pair_inside_the_word():
    own, other = ends("A", " chair", "man", " sat"), ends("A", " chair", "woman", " sat")
    assert align_tokens(own, other, [edit(2, "chairman", "chairwoman")]).tolist() == [0, 1, 2, 3]


def test_a_swap_of_the_first_word_and_of_neighbouring_words():
    own, other = ends("He", "/", "she", " man"), ends("She", "/", "he", " wom", "an")
    edits = [edit(0, "He", "She"), edit(3, "she", "he"), edit(7, "man", "woman")]
    assert align_tokens(own, other, edits).tolist() == [0, 1, 2, 4]


def test_tokens_that_share_a_character_pair_from_its_last_byte():
    own = [1, 2, 2, 2, 5, 6, 6]  # a 3-token character, "her", a 2-token character
    assert align_tokens(own, own, [edit(2, "her", "his")]).tolist() == list(range(7))
    longer = [1, 2, 2, 2, 4, 6, 7, 7]
    assert align_tokens(own, longer, [edit(2, "her", "hers")]).tolist() == [0, 1, 2, 3, 5, 6, 7]


def test_a_token_across_the_edge_of_an_edit_has_no_partner_until_both_texts_agree():
    own, other = ends("x", " he'", "s", " in"), ends("x", " she", "'s", " in")
    assert align_tokens(own, other, [edit(2, "he", "she")]).tolist() == [0, -1, 2, 3]


def test_offsets_that_step_back_count_as_repeated():
    assert align_tokens([3, 0, 7], [3, 0, 7], ()).tolist() == [0, 1, 2]


def test_random_segmentations_align_monotonically_and_exactly_on_corresponding_characters():
    rng = np.random.default_rng(0)
    words = ["he", "she", "king", "queen", "ma'am", "sir"]
    for _ in range(300):
        text, other_text, edits = "", "", []
        for _ in range(rng.integers(1, 8)):
            filler = " " + "x" * int(rng.integers(1, 5)) + " "
            text, other_text = text + filler, other_text + filler
            source, target = rng.choice(words, 2)
            edits.append(edit(len(text), str(source), str(target)))
            text, other_text = text + source, other_text + target
        own = sorted({*rng.integers(1, len(text), len(text) // 2).tolist(), len(text)})
        other = sorted({*rng.integers(1, len(other_text), len(other_text) // 2).tolist(), len(other_text)})
        align = align_tokens(own, other, edits)
        paired = align[align >= 0]
        assert (np.diff(paired) > 0).all()
        assert align[-1] == len(other) - 1
        for position, partner in enumerate(align):
            end = own[position]
            if any(e.start < end < e.end for e in edits):
                continue
            expected = end + sum(len(e.target) - len(e.source) for e in edits if e.end <= end)
            assert (partner >= 0) == (expected in other)
            assert partner < 0 or other[partner] == expected


def test_inverting_twice_gives_the_alignment_back():
    align = np.array([0, -1, 2, 3, -1, 6])
    inverse = invert(align, 8)
    assert inverse.tolist() == [0, -1, 2, 3, -1, -1, 5, -1]
    assert invert(inverse, 6).tolist() == align.tolist()
