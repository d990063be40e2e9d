"""Model inversion: the search against known maxima, the enumeration against a loop, and the command."""

import json
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from distill.data.canaries import secret
from distill.evaluation.classifier_config import FineTuningConfig
from distill.evaluation.measures.classifiers.fine_tuning import classifiers
from distill.evaluation.measures.classifiers.text_classifier import TextClassifier, Tokens
from distill.evaluation.scoring.scorer import Scorer
from distill.invert import main
from distill.privacy.intents import built_in, from_file, labelled_canaries, planted
from distill.privacy.inversion import Space, enumerated, relaxed_maxima, searched, secret_space

PROMPT = "the code of my red box is"


@pytest.fixture
def classifier(tiny_model, tokenizer):
    """A tiny model, fine-tuned for a moment on some requests."""
    scorer = Scorer("m", tiny_model("llama", initializer_range=0.1), tokenizer, tokenizer.bos_token_id, 4096)
    problem = built_in(0)
    few = planted(type(problem)(problem.classes, problem.train[:32]), labelled_canaries(4, 2, 3, 0), 3)
    (made,) = classifiers(scorer, few, FineTuningConfig(epochs=2, lr=1e-2))
    return made


def test_the_search_finds_the_maximum_of_a_function_without_local_ones():
    values = torch.randn(4, 10, generator=torch.Generator().manual_seed(0))
    found = relaxed_maxima(lambda mixtures: (mixtures * values).sum(dim=(1, 2)), (3, 4, 10), seed=1)
    assert found.tolist() == [values.argmax(dim=-1).tolist()] * 3
    again = relaxed_maxima(lambda mixtures: (mixtures * values).sum(dim=(1, 2)), (3, 4, 10), seed=1)
    assert torch.equal(found, again)


class BagOfEmbeddings(nn.Module):
    """Two classes; their log-odds add up over the positions, so that the best secret is known digit by digit."""

    def __init__(self):
        super().__init__()
        self.embeddings = nn.Embedding(30, 4)
        nn.init.normal_(self.embeddings.weight, generator=torch.Generator().manual_seed(3))
        self.head = 0.02 * torch.tensor([1.0, -0.5, 2.0, 0.3])  # small: a probability of 1 would hide differences

    def forward(self, rows):
        return self.logits(torch.ones(1), input_ids=torch.tensor(rows))

    def logits(self, is_text, input_ids=None, inputs_embeds=None):
        states = self.embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        weights = torch.arange(1, states.shape[1] + 1)[:, None]  # places count differently
        scores = (states * weights).sum(dim=1) @ self.head
        return torch.stack([torch.zeros_like(scores), scores], dim=1)


def test_search_and_enumeration_agree_where_every_digit_counts_by_itself():
    module = BagOfEmbeddings().requires_grad_(False)
    classifier = TextClassifier("bag", ("no", "yes"), module, lambda texts: [Tokens([1], [])] * len(texts), 4096)
    space = Space([20, 21, 0, 22, 0, 0], [2, 4, 5], [list(range(10)), list(range(10, 20)), list(range(10))])
    for label, choose in ((1, np.argmax), (0, np.argmin)):
        scores = (module.embeddings.weight @ module.head).numpy()
        best = [int(choose(scores[tokens])) for tokens in space.tokens]
        logprobs = enumerated(classifier, space, label)
        assert int(logprobs.argmax()) == int("".join(map(str, best)))
        assert searched(classifier, space, label, seed=0) == int(logprobs.argmax())


def test_every_secret_is_read_as_its_text_and_scored_as_by_a_loop(classifier):
    space = secret_space(classifier, PROMPT, 2)
    texts = [PROMPT + secret(number, 2) for number in range(100)]
    assert [space.ids(number) for number in range(100)] == [tokens.ids for tokens in classifier.encode(texts)]
    for label in (0, 3):
        expected = np.log(classifier.probs(texts)[:, label])
        np.testing.assert_allclose(enumerated(classifier, space, label), expected, atol=1e-6)
        found = searched(classifier, space, label, seed=0)
        assert expected[found] > np.quantile(expected, 0.9)
        assert searched(classifier, space, label, seed=0) == found


def test_a_tokenizer_that_joins_digits_is_refused(classifier):
    joined = {text: number for number, text in enumerate(PROMPT + secret(number, 2) for number in range(100))}
    other = TextClassifier(
        "joined", classifier.classes, classifier.module, lambda texts: [Tokens([5, joined[t]], []) for t in texts], 64
    )
    assert secret_space(other, PROMPT, 1 + 1).places == [1, 1]  # one place for both digits
    short = TextClassifier("short", ("a",), classifier.module, lambda texts: [Tokens([5], []) for _ in texts], 64)
    with pytest.raises(ValueError, match="short: its tokenizer does not give each digit of ' 0 0' a token"):
        secret_space(short, PROMPT, 2)


def test_requests_and_canaries():
    problem = built_in(0)
    assert len(problem.classes) == 8
    texts = [text.text for text in (*problem.train, *problem.test)]
    assert len(set(texts)) == len(texts) > 400
    assert not any("{" in text or "code" in text for text in texts)
    assert [text.id for text in built_in(1).test] != [text.id for text in problem.test]
    canaries = labelled_canaries(10, 4, 8, seed=2)
    assert canaries == labelled_canaries(10, 4, 8, seed=2) != labelled_canaries(10, 4, 8, seed=3)
    assert len({canary.prompt for canary in canaries}) == 10
    assert sum(canary.is_planted for canary in canaries) == 5
    added = planted(problem, canaries, 3)
    assert added.test == problem.test
    copies = [text.text for text in added.train[len(problem.train) :]]
    expected = [canary.prompt + canary.secret for canary in canaries if canary.is_planted]
    assert sorted(copies) == sorted(3 * expected)
    with pytest.raises(ValueError, match="--count 1: give 2 to 320"):
        labelled_canaries(1, 3, 8, 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("label,text\na,b\n", "needs a header and rows with the tab-separated columns label and text"),
        ("label\ttext\na\t\n", "row 1 has no label or no text"),
        ("label\ttext\na\tone\na\ttwo\n", "has one label, 'a'"),
        ("label\ttext\na\tone\ttwo\n", "row 1 has more cells than columns"),
    ],
)
def test_bad_files_of_texts(tmp_path, content, message):
    path = tmp_path / "mine.tsv"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        from_file(path, 0)


def test_the_command_tells_what_was_found(tiny_model, tokenizer, tmp_path, capsys):
    tiny_model("gpt2").save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    rows = [f"{label}\t{word} {number}" for label, word in (("on", "open"), ("off", "shut")) for number in "1234"]
    (tmp_path / "mine.tsv").write_text("label\ttext\n" + "\n".join(rows) + "\n")
    words = [str(tmp_path / "model"), "--texts", str(tmp_path / "mine.tsv"), "--count", "4", "--digits", "1"]
    words += ["--repeats", "2", "--epochs", "2"]
    for out in ("first.json", "again.json"):
        main([*words, "--out", str(tmp_path / out)])
    first, again = ((tmp_path / name).read_text() for name in ("first.json", "again.json"))
    assert first == again
    (result,) = json.loads(first)["results"]
    assert result["repeats"] == 2 and result["chance"] == 0.1
    for group, kind in product(("planted", "not_planted"), ("searched", "enumerated")):
        assert result[group][kind]["of"] == 2
        assert 0 <= result[group][kind]["low"] <= result[group][kind]["value"] <= result[group][kind]["high"] <= 1
    assert "guessing finds 1 in 10" in capsys.readouterr().out
    for bad in (["--repeats", "0"], ["--digits", "0"]):
        with pytest.raises(ValueError, match="give 1 or more"):
            main([*words, *bad])
    with pytest.raises(ValueError, match="dropout"):
        main([*words, "--dropout", "1"])
