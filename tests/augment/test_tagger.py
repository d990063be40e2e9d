"""Plugging in another judge of her and his, with a stand-in for a spaCy pipeline."""

from collections.abc import Callable
from dataclasses import dataclass

from augment import swap
from augment.tagger import agreement, spacy_reader


@dataclass
class Token:
    text: str
    idx: int
    tag_: str
    dep_: str = ""


def pipeline(tags: dict[str, tuple[str, str]]) -> Callable[[str], list[Token]]:
    """A stand-in that tags whole blank-separated words by a table."""

    def parse(text: str) -> list[Token]:
        tokens, at = [], 0
        for word in text.split(" "):
            bare = word.strip(".,")
            tag, dep = tags.get(bare.lower(), ("NN", "dobj"))
            tokens.append(Token(bare, at, tag, dep))
            at += len(word) + 1
        return tokens

    return parse


def test_reader_decides_in_place_of_the_rules() -> None:
    text = "I saw her duck."
    as_object = spacy_reader(pipeline({"her": ("PRP", "nsubj")}))
    as_determiner = spacy_reader(pipeline({"her": ("PRP$", "poss")}))
    assert swap(text, reader=as_object).counterfactual == "I saw him duck."
    assert swap(text, reader=as_determiner).counterfactual == "I saw his duck."
    assert swap(text, reader=as_object).edits[0].rule == "f->m her: reader"


def test_reader_for_his_and_fall_back() -> None:
    absolute = spacy_reader(pipeline({"his": ("PRP$", "attr")}))
    assert swap("Was it his dog", reader=absolute).counterfactual == "Was it hers dog"
    silent = spacy_reader(pipeline({"his": ("NN", ""), "her": ("NN", "")}))
    assert swap("Was it his dog", reader=silent).counterfactual == "Was it her dog"


def test_agreement_counts_and_shows_differences() -> None:
    reader = spacy_reader(pipeline({"her": ("PRP", "dobj")}))
    result = agreement(["I saw her.", "That is her own house.", "Nothing."], reader)
    assert (result.num_pronouns, result.num_agreeing) == (2, 1)
    assert result.share == 0.5
    assert result.differences == (("That is her own house.", 8),)
    assert agreement([], reader).share == 1.0
