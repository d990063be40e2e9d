"""The plan of a private run, and what it refuses."""

from types import SimpleNamespace

import pytest
import torch

from distill.config import RunConfig
from distill.privacy.accountant import COARSE, epsilon_of
from distill.run.private.plan import check_launch, check_student, make_plan
from distill.run.schedule import Schedule, plan_schedule
from distill.settings import validate


def config(privacy: dict, mode: str = "none", **train: object) -> RunConfig:
    given = {"run_dir": "unused", "data": {"path": "unused"}, "augment": {"mode": mode}, "train": train}
    given |= {"teacher": {"path": "unused"}, "student": {"layers": [0]}, "optim": {"max_grad_norm": 0}}
    return validate(RunConfig, given | {"privacy": {"epsilon": 4} | privacy})


def test_the_noise_keeps_the_promise_over_all_steps():
    run = config({"max_record_norm": 0.5}, "augment", epochs=2, global_batch_size=32)
    schedule = plan_schedule(run, 1000, num_processes=2)
    assert schedule == Schedule(125, None, 16, 4, 1)  # a pair is two sequences and one record
    plan = make_plan(run, 1000, schedule)
    assert (plan.epsilon, plan.num_documents, plan.documents_per_step) == (4.0, 1000, 16)
    assert plan.delta == pytest.approx(1000**-1.1)
    assert plan.steps[1:] == (0.016, 125)
    assert 3.98 < epsilon_of(plan.steps, plan.delta, COARSE) <= 4
    assert plan.noise_std == pytest.approx(0.5 * plan.steps.noise_multiplier)


def test_steps_that_read_more_than_there_is_and_a_delta_that_promises_nothing_are_refused():
    run = config({}, max_steps=10)
    with pytest.raises(ValueError, match=r"a step reads 32 documents on average, but there are 31; lower train.glob"):
        make_plan(run, 31, plan_schedule(run, 31, 1))
    run = config({"delta": 0.01}, max_steps=10)
    with pytest.raises(ValueError, match=r"privacy.delta is 0.01, but with 100 documents it must be below 0.01: other"):
        make_plan(run, 100, plan_schedule(run, 100, 1))


def test_launchers_that_reduce_or_skip_before_the_clip_are_refused():
    check_launch(SimpleNamespace(is_fsdp2=False, scaler=None))
    with pytest.raises(ValueError, match=r"privacy cannot be combined with FSDP: .*launch with configs/accelerate/ddp"):
        check_launch(SimpleNamespace(is_fsdp2=True, scaler=None))
    with pytest.raises(ValueError, match=r"privacy cannot be combined with fp16: .*--mixed_precision bf16, or no"):
        check_launch(SimpleNamespace(is_fsdp2=False, scaler=object()))


def test_students_that_change_or_are_random_as_they_read_are_refused(tiny_model):
    student = tiny_model("llama")
    check_student(student)
    assert not student.training
    with pytest.raises(ValueError, match=r"\(GPT2LMHeadModel\): in training it reads the same text in another w"):
        check_student(tiny_model("gpt2"))  # GPT-2's own dropout is 0.1

    class Norm(torch.nn.BatchNorm1d):
        def forward(self, states):
            return super().forward(states.transpose(1, 2)).transpose(1, 2)

    student.model.norm = Norm(16)
    with pytest.raises(ValueError, match=r"reading a text changes model.norm.running_mean in it, which no noise would"):
        check_student(student)
