"""Builders of scorers over tiny random models, of folders of such models, and of their evaluations."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from distill.evaluation.measures.published.tango import FORMS
from distill.evaluation.scoring.model_specs import ModelSpec
from distill.evaluation.scoring.scorer import Scorer, start_token
from eval import main

CONFIG = Path(__file__).parents[3] / "configs" / "eval" / "smallworld.yaml"


@pytest.fixture
def tiny_scorer(tiny_model, tokenizer) -> Callable[..., Scorer]:
    """tiny_scorer("llama", seed=1, bos=False, max_batch_tokens=64, **model settings)."""

    def build(architecture="gpt2", seed=0, bos=True, max_batch_tokens=512, **settings) -> Scorer:
        model = tiny_model(architecture, seed=seed, **settings)
        return Scorer(
            f"{architecture}-{seed}", model, tokenizer, start_token(tokenizer) if bos else None, max_batch_tokens
        )

    return build


@pytest.fixture
def character_tokenizer():
    """A tokenizer of one token per character, without special tokens: a pronoun takes several tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    characters = sorted(set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ,.'-"))
    backend = Tokenizer(models.WordLevel({character: index for index, character in enumerate(characters)}, "."))
    backend.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=backend)


@pytest.fixture
def save(tiny_model, tokenizer, tmp_path):
    """Saves a tiny model with its tokenizer and returns the folder."""

    def build(name, architecture="gpt2", own_tokenizer=None, **settings):
        folder = tmp_path / name
        chosen = own_tokenizer or tokenizer
        tiny_model(architecture, vocab_size=len(chosen), **settings).save_pretrained(folder)
        chosen.save_pretrained(folder)
        return folder

    return build


@pytest.fixture
def evaluated(small_world, save, tmp_path, blank_plots):
    """evaluated("out", "a=PATH", ...): the folder of an evaluation on the small world and a small CrowS-Pairs.

    code: the expected exit code of eval.py.
    """
    crows = tmp_path / "crows.csv"
    rows = [f"{n},The nurse {n} said she left.,The nurse {n} said he left.,gender" for n in range(30)]
    crows.write_text("\n".join([",sent_more,sent_less,bias_type", *rows]) + "\n")

    def build(name, *words, code=0):
        settings = [f"world={small_world}", f"text.path={small_world / 'heldout.jsonl'}", "text.max_documents=12"]
        settings += [
            "statistics.num_permutations=999",
            "counterfactual_gap.enabled=false",  # slow to prepare, and compared like the others
            f"benchmarks.crows_pairs={crows}",
        ]
        assert main(["--config", str(CONFIG), "--out", str(tmp_path / name), *settings, *words]) == code
        return tmp_path / name

    return build


@pytest.fixture
def small_benchmarks(tmp_path):
    """Small files of the benchmarks that need neither fine-tuning nor a start token: paths by configuration key."""
    folder = tmp_path / "benchmarks"
    (folder / "winogender").mkdir(parents=True)
    (folder / "association").mkdir()
    pair = "The nurse said that she left early.,The nurse said that he left early.,gender"
    (folder / "crows.csv").write_text(f"sent_more,sent_less,bias_type\n{pair}\n")
    passages = ("The nurse said that she left", "A pilot smiled when he left")
    (folder / "lambada.jsonl").write_text("".join(f"{json.dumps({'text': text})}\n" for text in passages))
    professions = {
        "nursing": {"Nurse": ["The nurse said that ", "A pilot smiled when ", "My neighbour is a baker, and "]}
    }
    (folder / "profession_prompt.json").write_text(json.dumps(professions))
    persons = {"American_actors": {"A": ["A pilot "]}, "American_actresses": {"B": ["A nurse "]}}
    (folder / "gender_prompt.json").write_text(json.dumps(persons))
    sentences = [
        f"{occupation}.guard.0.{kind}.txt\tThe {occupation} told the guard that {word} left.\n"
        for occupation in ("nurse", "pilot", "baker")
        for kind, word in (("male", "he"), ("female", "she"), ("neutral", "they"))
    ]
    (folder / "winogender" / "all_sentences.tsv").write_text("sentid\tsentence\n" + "".join(sentences))
    shares = "occupation\tbls_pct_female\nnurse\t90\npilot\t6\nbaker\t57\n"
    (folder / "winogender" / "occupations-stats.tsv").write_text(shares)
    sentences = "".join(f"I left {'the school ' * (number % 3)}early.,{number}\n" for number in range(1, 17))
    (folder / "gest.csv").write_text("sentence,stereotype\n" + sentences)
    rows = "The nurse smiled when she left.\tshe\t22\tpage/1\nThe pilot asked him.\thim\t16\tpage/2\n"
    (folder / "gap.tsv").write_text("Text\tPronoun\tPronoun-offset\tURL\n" + rows)
    groups = {"targ1": ["nurse", "teacher"], "targ2": ["pilot", "guard"], "attr1": ["she"], "attr2": ["he"]}
    test = {group: {"category": group, "examples": words} for group, words in groups.items()}
    for name in ("weat6", "sent-weat6"):
        (folder / "association" / f"{name}.jsonl").write_text(json.dumps(test))
    persons = {"ante_nongendered": "sam", "ante_gendered_female": "ann", "ante_gendered_male": "tom"}
    rows = [
        f"0,{person},{kind},{family},{person} is a baker and {family} rang {form} bell.\n"
        for kind, person in (persons | {"distal": "the baker"}).items()
        for family, form in zip(FORMS, ("his", "her", "their", "xir", "eir", "faer"), strict=True)
    ]
    (folder / "tango.csv").write_text("template_idx,ante,ante_type,pronoun_family,template\n" + "".join(rows))
    (folder / "redditbias").mkdir()
    comments = {"female": ("her aunt sewed", "a girl wept"), "male": ("his uncle sewed", "a boy wept")}
    for gender, texts in comments.items():
        rows = [f"{original},{text}\n" for original, text in zip(comments["female"], texts, strict=True)]
        file = folder / "redditbias" / f"reddit_comments_gender_{gender}_biased_test_reduced.csv"
        file.write_text("comments,comments_processed\n" + "".join(rows))
    names = {
        "crows_pairs": "crows.csv",
        "tango": "tango.csv",
        "redditbias": "redditbias",
        "lambada": "lambada.jsonl",
        "bold": "profession_prompt.json",
    }
    names |= {"bold_persons": "gender_prompt.json", "winogender": "winogender", "association": "association"}
    names |= {"gest": "gest.csv", "gap": "gap.tsv"}
    return {key: str(folder / name) for key, name in names.items()}


@pytest.fixture
def model_spec(save):
    """model_spec("name", "llama", **model settings): a tiny model with its tokenizer, saved, as the suite takes it."""
    return lambda name, *words, **settings: ModelSpec(name, str(save(name, *words, **settings)))


@pytest.fixture
def assert_close():
    """assert_close(mine, theirs): equality of nested values, except that numbers may differ by 1e-5.

    Another process or another batch may add in another order.
    """

    def check(mine, theirs):
        if isinstance(mine, dict):
            assert mine.keys() == theirs.keys()
            for key, value in mine.items():
                check(value, theirs[key])
        elif isinstance(mine, list | tuple):
            for my_entry, their_entry in zip(mine, theirs, strict=True):
                check(my_entry, their_entry)
        elif isinstance(mine, float):
            assert mine == pytest.approx(theirs, rel=1e-5, abs=1e-5)
        else:
            assert mine == theirs

    return check
