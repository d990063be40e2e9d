"""Teacher, student and tokenizer may have different numbers of ids, as long as no text holds those that differ."""

import copy
import json
import math

import pytest
import torch
import torch.nn.functional as F
from reference_loss import reference_divergence

from augment.lexicon import load_lexicon
from distill import train
from distill.config import RunConfig
from distill.data.batches import collate
from distill.data.packing import pair_texts
from distill.evaluation.config import ScoringConfig
from distill.evaluation.measures.published.association import represent
from distill.evaluation.scoring.model_specs import ModelSpec, load_scorer
from distill.evaluation.scoring.texts import text_logprobs
from distill.loss.distiller import Distiller
from distill.loss.fused import Objective
from distill.loss.positions import find_positions
from distill.loss_config import LossConfig, PerturbConfig
from distill.models.loading import check_vocabulary, id_limit, load_causal_lm
from distill.models.logit_transform import logit_transform
from distill.models.run_models import RunModels, load_run_models, match_vocabularies
from distill.settings import load_config

TEXTS = ["The woman lent him her umbrella.", "It rained."]


@pytest.fixture
def with_token(tokenizer):
    """A copy of the tokenizer with one more token at its end, which is for images."""
    more = copy.deepcopy(tokenizer)
    more.add_special_tokens({"additional_special_tokens": ["<picture>"]})
    return more


@pytest.fixture
def save(tokenizer, tiny_model, tmp_path):
    """Saves a model with so many rows more than the tokenizer has tokens, together with a tokenizer."""

    def save_model(name, more_rows=0, architecture="llama", with_tokenizer=tokenizer, **settings):
        model = tiny_model(architecture, vocab_size=len(tokenizer) + more_rows, **settings)
        model.save_pretrained(tmp_path / name)
        with_tokenizer.save_pretrained(tmp_path / name)
        return str(tmp_path / name)

    return save_model


# -- rows that are padding ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("teacher_rows", "student_rows", "divergence"),
    [(0, 5, "forward_kl"), (64, 64, "reverse_kl"), (64, 40, "forward_kl"), (40, 64, "jsd"), (64, 0, "forward_kl")],
)
def test_the_loss_is_that_of_sliced_logits(teacher_rows, student_rows, divergence, tokenizer, tiny_model):
    """The numbers are rows beyond the tokenizer. Against plain logits, the teacher's cut to the tokenizer by hand."""
    teacher = tiny_model("gpt2", seed=1, vocab_size=len(tokenizer) + teacher_rows).requires_grad_(False)
    student = tiny_model("gemma2" if student_rows == 40 else "gpt2", vocab_size=len(tokenizer) + student_rows)
    before = student(torch.tensor([[3, 4, 5]])).logits.detach()
    match_vocabularies(teacher, student)
    num_rows = len(tokenizer) + min(student_rows, teacher_rows)
    assert student.get_output_embeddings().weight.shape[0] == num_rows == student.config.vocab_size
    torch.testing.assert_close(student(torch.tensor([[3, 4, 5]])).logits, before[..., :num_rows])

    examples = [document.example for document in pair_texts(TEXTS, tokenizer, load_lexicon())]
    batch = collate(examples, seq_len=24)
    loss = LossConfig(kd_weight=0.6, ce_weight=0.4, temperature=1.5, divergence=divergence)
    num_tokens = RunModels(tokenizer, teacher, student).num_tokens
    assert num_tokens == (len(tokenizer) if num_rows > len(tokenizer) else None)
    distiller = Distiller(student, Objective(loss, PerturbConfig(operation="none"), None, num_tokens), teacher)
    student.eval()  # without dropout, while the distiller itself trains
    positions = find_positions(batch, both=False, paired=False)
    value = distiller(batch, positions, torch.tensor(1.0)).loss
    gradients = torch.autograd.grad(value, list(student.parameters()))
    expected = 0.0
    for example in examples:
        ids = torch.from_numpy(example.input_ids)[None]
        theirs, mine = teacher(ids).logits[0, :-1, : len(tokenizer)], student(ids).logits[0, :-1]
        target, probs = ((logits.double() / 1.5).softmax(-1) for logits in (theirs, mine))
        target = F.pad(target, (0, num_rows - len(tokenizer)), value=math.exp(-30))
        kd = sum(reference_divergence(*row, loss) for row in zip(target, probs, strict=True))
        expected += 0.6 * 1.5**2 * kd + 0.4 * F.cross_entropy(mine.double(), ids[0, 1:], reduction="sum")
    torch.testing.assert_close(value.double(), expected, rtol=1e-4, atol=1e-4)
    for gradient, other in zip(gradients, torch.autograd.grad(expected, list(student.parameters())), strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-3, atol=1e-3 * float(other.abs().max()) + 1e-7)


@pytest.mark.parametrize(
    ("teacher_rows", "student_rows", "architecture", "options"),
    [
        (40, 8, "gemma2", ["teacher.targets=cached"]),
        (8, 40, "gpt2", ["loss.hidden_weight=0.5", "perturb.operation=equivariant"]),
    ],
)
def test_a_run_with_differently_padded_models_ends_in_a_student_that_loads(
    teacher_rows, student_rows, architecture, options, save, config_file, tmp_path, tokenizer
):
    teacher, student = save("large", teacher_rows, "granite"), save("small", student_rows, architecture)
    models = [f"teacher.path={teacher}", "student.layers=null", f"student.checkpoint={student}", "train.max_steps=2"]
    train.main(["--config", str(config_file), *models, *options])
    written, given = (load_causal_lm(str(path)) for path in (tmp_path / "run" / "student", student))
    assert written.config.vocab_size == len(tokenizer) + min(teacher_rows, student_rows)
    assert logit_transform(written) == logit_transform(given)


def test_a_student_from_settings_may_be_padded_too(save, config_file, tokenizer):
    sizes = f"n_embd: 16, n_head: 2, n_layer: 1, vocab_size: {len(tokenizer) + 9}"
    for rows in (0, 4, 30):
        options = [f"teacher.path={save(f't{rows}', rows)}", "student.layers=null"]
        options += [f"student.config={{model_type: gpt2, {sizes}}}"]
        student = load_run_models(load_config(RunConfig, config_file, options)).student
        assert student.config.vocab_size == len(tokenizer) + min(rows, 9)


# -- tokens that no text holds -----------------------------------------------------------------------------------------


def test_added_tokens_may_lie_beyond_the_rows_and_words_may_not(with_token, tokenizer, tiny_model):
    fitting = tiny_model("gpt2")
    check_vocabulary(fitting, with_token, "the teacher")
    assert id_limit(with_token, fitting) == len(tokenizer)
    assert id_limit(tokenizer, fitting) is None
    assert id_limit(with_token, tiny_model("gpt2", vocab_size=len(tokenizer) + 1)) is None
    with pytest.raises(ValueError, match=r"the teacher has a vocabulary of 300, .*; give the model its own tokenizer"):
        check_vocabulary(tiny_model("gpt2", vocab_size=300), with_token, "the teacher")


def write_corpus(path, place=None):
    texts = [f"The girl counted {number} swans, and her uncle {number + 1}." for number in range(60)]
    if place is not None:
        texts[place] = texts[place].replace(" swans", "<picture> swans")
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return f"data.path={path}"


def test_a_run_needs_no_row_for_a_token_that_no_text_holds(save, config_file, with_token, tokenizer, tmp_path):
    command = ["--config", str(config_file), f"teacher.path={save('gemma', with_tokenizer=with_token)}"]
    command += ["train.max_steps=2", "student.layers=[0]", "data.max_documents=null"]
    clean = write_corpus(tmp_path / "clean.jsonl")
    train.main([*command, clean])
    tokenizer.save_pretrained(tmp_path / "plain")
    for other in (f"data.tokenizer={tmp_path / 'plain'}", f"student.checkpoint={save('own')}"):
        options = [*command[2:], clean, "student.layers=null", f"student.checkpoint={save('own')}", other]
        load_run_models(load_config(RunConfig, config_file, options))
    for place in (0, 41):
        name = f"'The girl counted {place}<picture> swans, and her uncle {place + 1}.'"
        document = rf"the document {name} holds '<picture>', token {len(tokenizer)} of"
        with pytest.raises(ValueError, match=document) as fault:
            train.main([*command, write_corpus(tmp_path / f"{place}.jsonl", place), f"run_dir={tmp_path / 'x'}"])
        assert "\n" not in str(fault.value)
    with pytest.raises(ValueError, match=r"what separates documents \(data.separator\) holds '<picture>'"):
        train.main([*command, clean, "data.separator=<picture>", "run_dir=unused"])
    prompts = 'train.sample_prompts=["A <picture> of her"]'
    with pytest.raises(ValueError, match=r"train.sample_prompts: 'A <picture> of her' holds '<picture>'"):
        train.main([*command, clean, prompts, "run_dir=unused"])


def test_an_evaluation_scores_texts_without_such_tokens_and_names_the_text_with_one(save, with_token, tmp_path):
    path = save("model", with_tokenizer=with_token)
    scorer = load_scorer(ModelSpec("mine", path), ScoringConfig())
    plain = load_scorer(ModelSpec("plain", save("plain")), ScoringConfig())
    for mine, other in zip(text_logprobs(scorer, TEXTS), text_logprobs(plain, TEXTS), strict=True):
        assert mine.tolist() == other.tolist()
    for score in (text_logprobs, represent):
        with pytest.raises(ValueError, match=r"mine: the text 'One <picture> of her.' holds '<picture>'"):
            score(scorer, ["She smiled.", "One <picture> of her."])
    with pytest.raises(ValueError, match="mine: what stands before each text holds '<picture>'"):
        load_scorer(ModelSpec("mine", path), ScoringConfig(start_token="<picture>"))
    assert load_causal_lm(path).config.vocab_size < len(with_token)
