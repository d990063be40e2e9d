"""The clipped sum against a slow float64 loop, and what one document may change of it."""

import copy
import math
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator
from reference_loss import reference_loss
from step_texts import STEP_TEXTS

from augment.lexicon import load_lexicon
from distill.config import RunConfig
from distill.data.batches import collate
from distill.data.packing import PairedExample, pack, pair_texts
from distill.loss.distiller import Distiller
from distill.loss.fused import Objective
from distill.loss.gender_classes import gender_classes
from distill.model_config import LoraConfig
from distill.models.lora import add_adapter
from distill.run.learner import Learner, TrainState
from distill.run.private.plan import make_plan
from distill.run.private.records import record_scale, scored_records
from distill.run.private.step import ClippedSum, clipped_sum, private_step, trained_weights
from distill.run.schedule import Schedule
from distill.run.step import scored_batches, train_step
from distill.settings import replace, validate

SEQ_LEN = 40


def settings(mode: str = "augment", micro: int = 4, **loss: float) -> RunConfig:
    loss = {"kd_weight": 0.6, "ce_weight": 0.3, "hidden_weight": 0.2, "temperature": 2.0} | loss
    given = {
        "run_dir": "unused",
        "data": {"path": "unused", "seq_len": SEQ_LEN},
        "augment": {"mode": mode},
        "teacher": {"path": "unused"},
        "student": {"layers": [0, 2]},
        "perturb": {"operation": "equivariant"},
        "loss": loss,
        "train": {"max_steps": 1, "micro_batch_size": micro},
        "optim": {"max_grad_norm": 0},
        "privacy": {"epsilon": 8},
    }
    return validate(RunConfig, given)


@pytest.fixture(scope="module")
def world(tokenizer) -> SimpleNamespace:
    lexicon = load_lexicon()
    documents = pair_texts(STEP_TEXTS, tokenizer, lexicon, [tokenizer.bos_token_id])
    examples = [next(pack([(document, False)], SEQ_LEN)) for document in documents]
    return SimpleNamespace(classes=gender_classes(tokenizer, lexicon), examples=examples)


@pytest.fixture
def model(tiny_model):
    """As `tiny_model`, without dropout: with it no two gradients of a document are the same."""
    none = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}

    def build(architecture: str, seed: int, **settings: object):
        return tiny_model(architecture, seed, **(none if architecture == "gpt2" else {}), **settings)

    return build


def distiller_of(student, teacher, config: RunConfig, world: SimpleNamespace) -> Distiller:
    return Distiller(student, Objective(config.loss, config.perturb, world.classes), teacher).train()


def our_sum(distiller: Distiller, examples: list[PairedExample], config: RunConfig, max_norm: float) -> ClippedSum:
    (shares,) = scored_records([collate(examples, SEQ_LEN)], config)
    return clipped_sum(Accelerator(cpu=True), distiller, shares, max_norm, record_scale(config))


@pytest.mark.parametrize("mode", ["augment", "none"])
@pytest.mark.parametrize("architecture", ["gpt2", "llama"])  # tied and untied
def test_the_clipped_sum_is_that_of_a_float64_loop_with_an_unfused_loss(architecture, mode, world, model):
    config = settings(mode)
    student, teacher = model(architecture, seed=1, initializer_range=0.1), model(architecture, seed=2)
    distiller = distiller_of(student, teacher, config, world)
    reference, reference_teacher = copy.deepcopy(student).double(), copy.deepcopy(teacher).double()
    views = 2 if mode == "augment" else 1
    gradients = []
    for example in world.examples:
        loss = reference_loss(reference, reference_teacher, [example], config, world.classes)
        num = (len(example.input_ids) - 1) + (len(example.cf_input_ids) - 1) * (views - 1)
        own = torch.autograd.grad(loss * num / (SEQ_LEN * views), list(reference.parameters()))
        gradients.append(torch.cat([gradient.flatten() for gradient in own]))
    norms = torch.stack([gradient.norm() for gradient in gradients])
    max_norm = float(norms.median()) * 1.0001
    expected = sum(gradient * min(1, max_norm / norm) for gradient, norm in zip(gradients, norms, strict=True))
    found = our_sum(distiller, world.examples, config, max_norm)
    torch.testing.assert_close(found.values.double(), expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())
    assert found.counts[1:].tolist() == [len(world.examples), int((norms > max_norm).sum()), 0]
    assert 0 < int((norms > max_norm).sum()) < len(norms)


@pytest.mark.parametrize("mode", ["augment", "none"])
def test_without_a_clip_it_is_the_gradient_of_the_ordinary_step(mode, world, model):
    """Up to the number that the loss is divided by, which must not depend on the data here."""
    config = settings(mode)
    student, teacher = model("gpt2", seed=1), model("gpt2", seed=2)
    found = our_sum(distiller_of(student, teacher, config, world), world.examples, config, math.inf)
    gradients = []

    class Recording(torch.optim.SGD):
        def step(self, closure=None):
            gradients.extend(p.grad.flatten().clone() for group in self.param_groups for p in group["params"])

    distiller = distiller_of(student, teacher, config, world)
    optimizer = Recording(distiller.parameters(), lr=1.0)
    learner = Learner(distiller, optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0), TrainState())
    micro_batches = list(scored_batches([collate(world.examples, SEQ_LEN)], config))
    metrics = train_step(Accelerator(cpu=True), config, learner, micro_batches)
    expected = torch.cat(gradients) * metrics["num_tokens"] * record_scale(config)
    torch.testing.assert_close(found.values, expected, rtol=1e-5, atol=1e-6 * expected.abs().max().item())
    assert found.sums[0, -1] == metrics["num_tokens"]
    assert float(found.counts[0]) / metrics["num_tokens"] == pytest.approx(metrics["loss"], rel=1e-5)
    assert float(found.sums[0, 0]) / metrics["num_tokens"] == pytest.approx(metrics["kd"], rel=1e-5)


def test_without_noise_and_with_a_huge_clip_a_private_step_is_an_ordinary_one(world, model):
    """On the same documents and with the learning rate that undoes what the two divide by; plain gradient descent."""
    config, num_documents = settings(), len(world.examples)
    config = replace(config, privacy=replace(config.privacy, epsilon=math.inf, max_record_norm=1e6))
    student, teacher = model("gpt2", seed=1), model("gpt2", seed=2)
    plan = make_plan(config, 2 * num_documents, Schedule(1, None, num_documents, num_documents, 1))
    assert plan.noise_std == 0 and plan.documents_per_step == num_documents

    def learner(lr: float) -> Learner:
        distiller = distiller_of(copy.deepcopy(student), teacher, config, world)
        optimizer = torch.optim.SGD(distiller.parameters(), lr=lr)
        scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)
        return Learner(distiller, optimizer, scheduler, TrainState(secret="5e" * 32))

    ordinary, batch = learner(1.0), collate(world.examples, SEQ_LEN)
    num_tokens = train_step(Accelerator(cpu=True), config, ordinary, list(scored_batches([batch], config)))[
        "num_tokens"
    ]
    private = learner(num_documents / (record_scale(config) * num_tokens))
    metrics = private_step(Accelerator(cpu=True), config, plan, private, list(scored_records([batch], config)))
    assert (metrics["noise"], metrics["clipped"]) == (0, 0) and metrics["canary_gap"] == pytest.approx(1)
    before, expected = dict(student.named_parameters()), dict(ordinary.model.student.named_parameters())
    for name, weight in private.model.student.named_parameters():
        torch.testing.assert_close(weight - before[name], expected[name] - before[name], rtol=1e-4, atol=1e-6)
    assert max(float((expected[name] - before[name]).abs().max().detach()) for name in before) > 0.01


@pytest.mark.parametrize("weight", [1.0, 1000.0])
def test_a_document_moves_the_sum_by_one_clip_at_most(weight, world, model):
    """Whatever its loss: also if everything that it says, in both views, counts a thousand times."""
    config = settings(kd_weight=weight, ce_weight=weight, pairing_weight=weight)
    distiller = distiller_of(model("gpt2", seed=1), model("gpt2", seed=2), config, world)
    max_norm = 0.05
    whole = our_sum(distiller, world.examples, config, max_norm).values
    for left_out in range(len(world.examples)):
        others = world.examples[:left_out] + world.examples[left_out + 1 :]
        moved = float((whole - our_sum(distiller, others, config, max_norm).values).norm())
        assert moved <= max_norm * (1 + 1e-5)
    assert moved > 0.9 * max_norm  # the bound is reached


def test_a_document_and_its_counterfactual_clipped_apart_would_move_it_by_more(world, model):
    """Why both views are one record: as two rows, they move the sum by up to two clips, and epsilon is not the same."""
    together, apart = settings("augment"), settings("none")
    distiller = distiller_of(model("gpt2", seed=1), model("gpt2", seed=2), together, world)
    max_norm, pair = 0.001, world.examples[0]
    one_record = our_sum(distiller, [pair], together, max_norm).values.norm()
    two_rows = our_sum(distiller, [pair, pair.exchanged()], apart, max_norm).values.norm()
    assert float(one_record) == pytest.approx(max_norm, rel=1e-4)
    assert float(two_rows) > 1.5 * max_norm


def test_shares_and_processes_do_not_change_the_sum(world, model):
    student, teacher = model("gpt2", seed=1), model("gpt2", seed=2)
    config = settings()
    distiller = distiller_of(student, teacher, config, world)
    whole = our_sum(distiller, world.examples, config, 0.05).values
    for micro in (2, 12):
        again = our_sum(distiller, world.examples, settings(micro=micro), 0.05).values
        torch.testing.assert_close(again, whole, rtol=1e-6, atol=1e-6 * whole.abs().max().item())
    halves = [our_sum(distiller, world.examples[rank::2], config, 0.05).values for rank in (0, 1)]
    torch.testing.assert_close(sum(halves), whole, rtol=1e-6, atol=1e-6 * whole.abs().max().item())


def test_nothing_drawn_is_a_sum_of_zeros(world, model):
    config = settings()
    distiller = distiller_of(model("gpt2", seed=1), model("gpt2", seed=2), config, world)
    found = our_sum(distiller, [], config, 1.0)
    assert not found.values.any() and not found.counts.any()
    assert len(found.values) == sum(weight.numel() for weight in trained_weights(distiller))


def test_a_record_that_is_not_finite_counts_as_nothing(world, model, monkeypatch):
    config = settings()
    distiller = distiller_of(model("gpt2", seed=1), model("gpt2", seed=2), config, world)
    others = our_sum(distiller, world.examples[1:], config, 0.05)
    forward, calls = Distiller.forward, []

    def first_is_broken(self, batch, positions, scale):
        calls.append(1)
        return forward(self, batch, positions, scale * (math.nan if len(calls) == 1 else 1.0))

    monkeypatch.setattr(Distiller, "forward", first_is_broken)
    found = our_sum(distiller, world.examples, config, 0.05)
    assert torch.equal(found.values, others.values)
    assert torch.equal(found.sums, others.sums)
    assert found.counts[1:].tolist() == [len(world.examples), others.counts[2] + 0, 1]


def test_only_the_adapter_of_lora_is_clipped_and_its_base_is_the_teacher(world, model):
    config = settings(hidden_weight=0.0)
    teacher = model("llama", seed=1)
    adapted = add_adapter(copy.deepcopy(teacher).requires_grad_(False), LoraConfig(rank=2, alpha=4))
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    found = our_sum(distiller_of(adapted, adapted, config, world), world.examples, config, 0.05).values
    expected = our_sum(distiller_of(adapted, teacher, config, world), world.examples, config, 0.05).values
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6 * expected.abs().max().item())
    assert len(found) == sum(w.numel() for n, w in adapted.named_parameters() if "lora_" in n)
