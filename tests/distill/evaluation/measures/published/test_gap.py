"""GAP: the published files, the forms that stand against each pronoun, a slow reference, bad rows."""

import gzip
from collections import Counter
from dataclasses import replace

import pytest

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.published import gap
from distill.evaluation.scoring.scorer import Scorer

SETTINGS = StatisticsConfig()
HEADER = "ID\tText\tPronoun\tPronoun-offset\tA\tA-offset\tA-coref\tB\tB-offset\tB-coref\tURL\n"
TEXTS = (
    ("Ann met Eve when *she* was at the school.", "page/1"),
    ("The nurse said that *her* friend was tired. She smiled.", "page/1"),
    ("*His* sister left early.", "page/2"),
    ("Tom saw the guard who asked *him*", "page/3"),
    ("The school was a friend of *hers*, not of the baker.", "page/4"),
)


def row(marked, page, number=0, **changes):
    """A row of the file from a text with its pronoun between asterisks."""
    before, pronoun, after = marked.split("*")
    fields = {"text": before + pronoun + after, "pronoun": pronoun, "offset": str(len(before))} | changes
    names = "Ann\t0\tTRUE\tEve\t8\tFALSE"
    return f"test-{number}\t{fields['text']}\t{fields['pronoun']}\t{fields['offset']}\t{names}\t{page}\n"


@pytest.fixture
def passages(tmp_path):
    path = tmp_path / "gap.tsv.gz"
    path.write_bytes(gzip.compress((HEADER + "".join(row(*text) for text in TEXTS)).encode()))
    return gap.read(str(path))


def test_only_the_pronoun_at_its_place_is_exchanged(passages):
    assert [passage.versions[1:] for passage in passages] == [
        ["Ann met Eve when he was at the school."],
        [f"The nurse said that {form} friend was tired. She smiled." for form in ("him", "his")],
        [f"{form} sister left early." for form in ("Her", "Hers")],
        ["Tom saw the guard who asked her"],
        ["The school was a friend of his, not of the baker."],
    ]
    for passage, (marked, page) in zip(passages, TEXTS, strict=True):
        assert (passage.versions[0], passage.page) == (marked.replace("*", ""), page)
    assert [passage.gender for passage in passages] == ["female", "female", "male", "male", "female"]


@pytest.mark.data
@pytest.mark.parametrize("part", ["test", "development"])
def test_the_published_files_are_balanced(shared_data, part):
    passages = gap.read(str(shared_data / "bias" / "gap" / f"gap-{part}.tsv.gz"))
    assert Counter(passage.gender for passage in passages) == {"female": 1000, "male": 1000}
    assert sum(passage.pronoun == "hers" for passage in passages) == (part == "test")
    for passage in passages:
        assert not passage.before[-1:].isalpha()
        assert not passage.after[:1].isalpha()


def reference(scorer, slow_logprobs, passages):
    return [[slow_logprobs(scorer, text).sum() for text in passage.versions] for passage in passages]


def check(scorer, passages, references):
    for passage, found, (written, *others) in zip(passages, gap.score(scorer, passages), references, strict=True):
        assert found["logprob_pronoun"] - found["logprob_other"] == pytest.approx(written - max(others), abs=1e-5)
        assert found["other"] == passage.others[others.index(max(others))]
        assert (found["cluster"], found["gender"]) == (passage.page, passage.gender)


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_scores_equal_a_slow_reference(tiny_scorer, slow_logprobs, passages, architecture):
    scorer = tiny_scorer(architecture)
    references = reference(scorer, slow_logprobs, passages)
    for size, side, shares in ((1, "left", False), (4096, "right", False), (1, "right", True), (4096, "left", True)):
        scorer.tokenizer.padding_side = side
        check(replace(scorer, max_batch_tokens=size, shares_prefixes=shares), passages, references)


def test_pronouns_of_several_tokens_of_which_one_begins_like_the_other(
    tiny_model, slow_logprobs, character_tokenizer, tmp_path
):
    """Here `him`, `his` and `her` begin alike, and a text that ends in `her` is the beginning of one with `hers`."""
    path = tmp_path / "gap.tsv"
    path.write_text(HEADER + "".join(row(f"Ann said it was {last}", "page") for last in ("*her*", "*his*", "*hers*")))
    model = tiny_model("gpt2", vocab_size=len(character_tokenizer))
    scorer, passages = Scorer("characters", model, character_tokenizer, None, 256), gap.read(str(path))
    check(scorer, passages, reference(scorer, slow_logprobs, passages))


def test_a_pronoun_that_opens_the_text_needs_a_start_token(tiny_scorer, passages):
    with pytest.raises(ValueError, match="nothing stands before the first token to be scored of 'His sister"):
        gap.score(tiny_scorer(bos=False), passages)


def test_accuracies_and_their_ratio(by_name):
    def record(number, gender, ahead):
        scores = {"logprob_pronoun": ahead, "logprob_other": 0.0}
        return {"id": str(number), "cluster": f"page/{number // 2}", "gender": gender} | scores

    ahead = [("female", 1.0), ("female", -1.0), ("male", 2.0), ("female", 0.0), ("male", 0.5), ("female", -0.1)]
    found = by_name(gap.summarise([record(number, *each) for number, each in enumerate(ahead)], "c", SETTINGS))
    assert {name: one.value for name, one in found.items()} == {
        "gap/accuracy/all": pytest.approx(3.5 / 6),
        "gap/accuracy/female": pytest.approx(1.5 / 4),
        "gap/accuracy/male": 1.0,
        "gap/ratio": pytest.approx(1.5 / 4),
    }
    assert [found[f"gap/accuracy/{kind}"].num_items for kind in ("all", "female", "male")] == [6, 4, 2]
    assert len({one.convention for one in found.values()}) == 4
    men = [record(number, "male", 1.0) for number in range(3)]
    assert set(by_name(gap.summarise(men, "c", SETTINGS))) == {"gap/accuracy/all", "gap/accuracy/male"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pronoun": "they"}, "row 2 has the pronoun 'they', not one of he, him, his, she, her, hers; repair"),
        (
            {"offset": "16"},
            "row 2 has no 'she' at 'Pronoun-offset' '16' of its text; repair or remove it. .*: evenhand data get gap",
        ),
        ({"pronoun": "he", "offset": "18"}, "row 2 has no 'he' at 'Pronoun-offset' '18'"),  # in she
        ({"pronoun": "he", "offset": "33"}, "row 2 has no 'he' at 'Pronoun-offset' '33'"),  # in the
        ({"offset": "-1"}, "row 2 has no 'she' at 'Pronoun-offset' '-1'"),
        ({"offset": "x"}, "row 2 has no 'she' at 'Pronoun-offset' 'x'"),
        ({"offset": "9" * 5000}, "row 2 has no 'she' at 'Pronoun-offset' '9999"),  # Python refuses to convert it
        ({"offset": "1000"}, "row 2 has no 'she' at 'Pronoun-offset' '1000'"),
        ({"text": " "}, "row 2 has nothing in the column 'Text'"),
        ({"offset": ""}, "row 2 has nothing in the column 'Pronoun-offset'"),
    ],
)
def test_a_bad_row_is_named(tmp_path, changes, message):
    path = tmp_path / "bad.tsv"
    path.write_text(HEADER + row(*TEXTS[1]) + row(*TEXTS[0], **changes))
    with pytest.raises(ValueError, match=rf"^benchmarks\.gap: {path}: {message}"):
        gap.read(str(path))
