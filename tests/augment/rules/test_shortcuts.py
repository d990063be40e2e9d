"""Tests that the fast ways out of the rules change no edit: the rules alone decide the same, for any listed words."""

import random
import re

from augment.rules import pronouns, topics, vocatives
from augment.rules.tables import word_lists
from augment.rules.tokens import words_after, words_before
from augment.rules.verbs import VERB_FRAMES
from augment.swap import kept_terms, swap

PLAIN = ["hand", "hope", "window", "crossing", "slowly", "tired", "red", "kiss", "glass", "he", "I", "London", "lasted"]
ARTICLES = ["the", "a", "an", "this", "that", "no", "one", "my", "his", "its", "such", "what", "every"]
NOUNS = ["man", "boy", "girl", "woman", "guys"]


def _listed(*names: str) -> list[str]:
    """All words of some word lists, as text has them."""
    words = {word.replace("_", " ") for name in names for list_ in vars(word_lists(name)).values() for word in list_}
    return sorted(words)


def test_no_rule_reads_her_where_the_model_is_asked_at_once():
    pick = random.Random(0)
    words = [*_listed("pronouns", "frames"), *VERB_FRAMES, *PLAIN]
    asked_at_once = 0
    for number in range(12_000):
        near = words[number % len(words)]
        before, after = (pick.choice(words), near) if number % 2 else (near, pick.choice(words))
        text = f"We {pick.choice(words)} {before} her {after} {pick.choice([*words, '.', 'and'])} {pick.choice(words)}."
        start = text.index(" her ") + 1
        read = words_before(text, start), words_after(text, start + 3)
        unnamed = text[start + 4].islower() and pronouns._is_unnamed(read[1][0])
        if not unnamed or read[0][0] in pronouns._NAMED_BEFORE or read[1][1] in pronouns._WORDS.slang:
            continue
        asked_at_once += 1
        assert pronouns._her_by_rule(text, start, start + 3, *read) is None, text
    assert asked_at_once > 500


def _decisions(texts: list[str]) -> list[object]:
    return [(swap(text).edits, kept_terms(text)) for text in texts]


def test_his_is_read_alike_without_its_shortcut(monkeypatch):
    words = [*_listed("pronouns"), *PLAIN]
    texts = [f"That was {w} his {n} {m} for us." for w in ("all", "of") for n in words for m in ("is", "of", "coat")]
    fast = _decisions(texts)
    monkeypatch.setattr(pronouns, "_NEXT_IN_LOWER", re.compile("(?!)"))
    assert _decisions(texts) == fast


def test_nouns_are_read_alike_without_their_shortcuts(monkeypatch):
    ends = (" I left.", ", come!", "", " was here.", " and beast", " loves it.", ", 63, fell", " what a day")
    before = [*ARTICLES, "means the", "meaning a", "means", "Latin for", "Latin for the", "done for the", "to the"]
    before += ["translates to", "was a", "the word", "a pronoun", "literally a", "well-meaning", "for as the"]
    texts = [f"{begin} {b} {n}{end}" for begin in ("Oh", "so it") for b in before for n in NOUNS for end in ends]
    fast = _decisions(texts)
    monkeypatch.setattr(vocatives, "_NEVER_BEFORE_CALL", {"the ", "a ", "an "})
    monkeypatch.setattr(topics, "_makes_gloss", lambda before: True)
    assert _decisions(texts) == fast


def test_a_phrase_in_quotation_marks_is_found_alike_without_its_shortcut(monkeypatch):
    cues = [cue.replace("_", " ") for cue in sorted(topics._WORDS.cues_of_phrases)] + ["hand", "said"]
    texts = [
        f"It {cue}{be} {mark}old lady{end}"
        for cue in cues
        for be in ("", " is")
        for mark in "\"'“"
        for end in ("'s", "”")
    ]
    fast = _decisions(texts)
    monkeypatch.setattr(topics, "_QUOTATION_BEFORE", re.compile(""))
    assert _decisions(texts) == fast
