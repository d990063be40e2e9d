"""swap: exact sentences, edits that replay, format kept."""

import pytest

from augment import DEFAULT_TIERS, apply_edits, kept_terms, load_lexicon, swap


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He left.", "She left."),
        ("HE SAID SHE LOVED HIM.", "SHE SAID HE LOVED HER."),
        ("I gave her the book and she took it to her room.", "I gave him the book and he took it to his room."),
        ("The book is his. His car is red.", "The book is hers. Her car is red."),
        ("A friend of his came.", "A friend of hers came."),
        ("Mr. Smith said he was tired.", "Mrs. Smith said she was tired."),
        ("She’s here; he'll go.", "He’s here; she'll go."),
        ("The ladies' room is here.", "The gentlemen's room is here."),
        ("The gentlemen’s club closed.", "The ladies’ club closed."),
        ("An earl came.", "A countess came."),
        ("My mother-in-law met his ex-wife.", "My father-in-law met her ex-husband."),
        ("Her Majesty met the Queen.", "His Majesty met the King."),
        ("my fiancée and his fiancé", "my fiancé and her fiancée"),
        ("Mr. President, thank you.", "Madam President, thank you."),
        ("Sir Walter wrote it.", "Dame Walter wrote it."),
        ("i met sir anthony today", "i met dame anthony today"),
        ("yes sir will do", "yes madam will do"),
        ("She said he or she may come.", "He said she or he may come."),
        # A rule reads three words on either side, however long they are.
        ("archduchesses anchorwoman anchorwoman duke", "archdukes anchorman anchorman duchess"),
        # Mother Hen is a name, unless its last word begins a longer term.
        ("MOTHER HEN DO", "FATHER STAG DO"),
        ("Her mother's HEN PARTY: MOTHER HEN PARTY", "His father's STAG PARTY: FATHER STAG PARTY"),
    ],
)
def test_exact_sentences(text: str, expected: str) -> None:
    assert swap(text).counterfactual == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The theory then gathered other sheets.",
        "Write to her@home.com or open http://she.com/his/man.html now.",
        "Run `he = his + 1` and <he class='her'>.",
        "They man the station.",
        "Volunteers man the phones.",
        "Wonder Woman raised her sword.",
        "The Beach Boys sang on the Isle of Man.",
        "The queen takes the pawn on e4.",
        "A bachelor's degree took twelve man-hours.",
        "Their mother tongue is Welsh.",
        "s/he and (s)he may apply.",
        "Martin Luther King spoke.",
        "I miss Jane.",
        "The governor, the major and the nurse left.",
        "a king-size bed",
        'The word "guy" and the pronoun “he” are old.',
        "Larry King Live is a show.",
        "The patriarch blessed them.",
        "Read The Queen's Fool first.",
    ],
)
def test_left_alone(text: str) -> None:
    pair = swap(text)
    assert pair.counterfactual == text
    assert pair.edits == ()


def test_edits_replay_and_reverse_restores() -> None:
    text = "Miss Marsh told her that Ms. Day  and\r\nthe ladies' maid liked HIS hat; it was hers."
    pair = swap(text)
    assert apply_edits(text, pair.edits) == pair.counterfactual
    assert all(text[e.start : e.end] == e.source for e in pair.edits)
    assert all(0.5 <= e.confidence <= 1 for e in pair.edits)
    back = pair.reverse()
    assert back.original == pair.counterfactual
    assert apply_edits(back.original, back.edits) == text
    assert back.reverse() == pair


@pytest.mark.parametrize(
    ("text", "source", "reason"),
    [
        ("Their mother tongue is Welsh.", "mother", "fixed phrase"),
        ("Run `he = his + 1`.", "he", "code"),
        ("They man the station.", "man", "verb"),
        ("The queen takes the pawn on e4.", "queen", "piece in a game"),
        ("The male guards the eggs.", "male", "sex of an animal"),
        ("Batman lost his cape.", "his", "refers to a kept name"),
        ("The frigate lost her mast.", "her", "ship or country"),
        ('The word "guy" is old.', "guy", "word spoken about"),
        ("She is an actor.", "actor", "said of a woman"),
        ("It took a bachelor's degree.", "bachelor", "no title or person here"),
    ],
)
def test_a_kept_term_has_a_reason(text: str, source: str, reason: str) -> None:
    kept = [(k.source, k.reason) for k in kept_terms(text)]
    assert (source, reason) in kept
    assert all(text[k.start : k.end] == k.source for k in kept_terms(text))


def test_direction_counts() -> None:
    pair = swap("She saw him and his aunt.")
    assert (pair.num_masculine_to_feminine, pair.num_feminine_to_masculine) == (2, 2)


def test_tiers_are_switches() -> None:
    text = "She saw the bull with her uncle and the actress."
    assert swap(text, load_lexicon(["pronouns"])).counterfactual == "He saw the bull with his uncle and the actress."
    assert "cow" in swap(text, load_lexicon(["pronouns", "biology"])).counterfactual


def test_an_article_follows_the_sound_and_not_the_letter() -> None:
    lexicon = load_lexicon([*DEFAULT_TIERS, "biology"])
    assert swap("A ram, a prostate and an earl.", lexicon).counterfactual == "A ewe, a uterus and a countess."
    assert swap("An heiress met a prince.").counterfactual == "An heir met a princess."


def test_mixed_case_is_not_a_word_of_the_lexicon() -> None:
    assert swap("hE and sHe").edits == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mary met John; Mary's mother knew John.", "James met Patricia; James's father knew Patricia."),
        ("Aunt Susan saw Clarence Thomas.", "Uncle Richard saw Agnes Thomas."),
        ("Mr. Scott thanked Emily with grace.", "Mrs. Scott thanked Andrew with grace."),
        ("Then JAMES and Mary sang.", "Then MARY and James sang."),
        ("Ask Mary if she came. Yesterday John left.", "Ask James if he came. Yesterday Patricia left."),
        ("Peter James said that he came.", "Victoria James said that she came."),
    ],
)
def test_names_tier_swaps_given_names_alike_everywhere(text: str, expected: str) -> None:
    lexicon = load_lexicon([*DEFAULT_TIERS, "names"])
    assert swap(text, lexicon).counterfactual == expected
    assert "Mary met John" in swap("Mary met John.").counterfactual
