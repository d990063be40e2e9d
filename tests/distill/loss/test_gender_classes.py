"""Gender classes of a lexicon and a tokenizer."""

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from augment.lexicon import load_lexicon
from distill.loss.gender_classes import gender_classes, surface_forms
from distill.models.loading import load_tokenizer


def test_classes_of_a_tokenizer_hold_both_sides_of_each_pair(tokenizer):
    classes = gender_classes(tokenizer, load_lexicon())
    words = [tokenizer.decode(i) for i in classes.ids]
    assert len(set(classes.ids.tolist())) == len(classes.ids)
    assert (classes.partner[classes.partner] == torch.arange(len(classes.partner))).all()

    def members(word: str) -> set[str]:
        index = int(classes.class_of[words.index(word)])
        return {words[i] for i in range(len(words)) if classes.class_of[i] == index}

    def counterparts(word: str) -> set[str]:
        index = int(classes.partner[classes.class_of[words.index(word)]])
        return {words[i] for i in range(len(words)) if classes.class_of[i] == index}

    assert counterparts(" he") == {" she"}
    assert counterparts("She") == {"He"}
    assert members(" him") == {" him", " his"}
    assert counterparts(" him") == {" her", " hers"}
    assert counterparts(" hers") == {" him", " his"}
    assert counterparts(" woman") == {" man"}
    assert "he" not in words  # inside a longer word there is nothing to swap


def test_a_tokenizer_that_drops_what_it_does_not_know_has_no_such_terms():
    tokens = Tokenizer(BPE({letter: number for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}, []))
    forms = surface_forms(PreTrainedTokenizerFast(tokenizer_object=tokens), load_lexicon())  # no "(", no capitals
    assert all(form.masculine_id is None and form.feminine_id is None for form in forms)


@pytest.mark.data
def test_gpt2s_tokenizer_has_the_known_single_and_split_terms(shared_data):
    gpt2 = load_tokenizer(str(shared_data / "tokenizer" / "gpt2"))
    forms = {(f.masculine, f.feminine): (f.masculine_id, f.feminine_id) for f in surface_forms(gpt2, load_lexicon())}
    assert forms[" he", " she"] == (339, 673)
    assert None not in forms[" actor", " actress"]
    assert forms[" businessman", " businesswoman"][1] is None
    assert None in forms[" Himself", " Herself"]
