"""perturb.ramp: the target's strength follows the held-out distance to the teacher, also after a resume."""

import pytest
import yaml

from distill import train
from distill.config import RunConfig
from distill.loss.fused import Objective
from distill.loss_config import LossConfig, PerturbConfig, RampConfig
from distill.run.folder import read_metrics
from distill.run.ramp import ramp_share
from distill.settings import load_config, validate

RAMP = RampConfig(far=1.0, near=0.2)


@pytest.mark.parametrize(
    ("heldout_kl", "share"), [(None, 0), (9.0, 0), (1.0, 0), (0.8, 0.25), (0.6, 0.5), (0.2, 1), (0.0, 1)]
)
def test_the_share_is_linear_between_far_and_near(heldout_kl, share):
    assert ramp_share(RAMP, heldout_kl) == share


def test_at_a_share_gain_and_weight_are_partly_there_and_nothing_else_changes():
    full = Objective(LossConfig(counterpart_weight=8), PerturbConfig(operation="equivariant", gain=2, strength=0.7))
    half = full.at_share(0.5)
    assert (half.perturbation.gain, half.loss.counterpart_weight) == (1.5, 4)
    assert full.at_share(0) == Objective(LossConfig(), PerturbConfig(operation="equivariant", strength=0.7))
    assert full.at_share(1) is full


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"perturb": {"ramp": {"far": 0.2, "near": 0.2}}}, "near is 0.2 and far 0.2; near must be less"),
        ({"perturb": {"operation": "max", "ramp": {"far": 1, "near": 0.2}}}, "perturb.ramp has nothing to strengthen"),
    ],
)
def test_a_ramp_without_a_use_is_refused(settings, message):
    base = {"run_dir": "r", "data": {"path": "p"}, "teacher": {"path": "t"}, "student": {"layers": [0]}}
    with pytest.raises(ValueError, match=message):
        validate(RunConfig, base | {"train": {"max_steps": 1}} | settings)


def test_a_run_follows_its_held_out_kl_and_a_resume_goes_on_at_the_same_strength(config_file, tmp_path, monkeypatch):
    settings = yaml.safe_load(config_file.read_text())
    settings["perturb"] |= {"gain": 2.0, "ramp": {"far": 20.0, "near": 0.01}}
    settings["loss"] = {"counterpart_weight": 4.0}
    config_file.write_text(yaml.safe_dump(settings))
    train.main(["--config", str(config_file)])
    whole = [line for line in read_metrics(tmp_path / "run") if "ramp" in line]
    assert [line["step"] for line in whole] == [0, 2, 4, 6]
    ramp = load_config(RunConfig, config_file).perturb.ramp
    assert [line["ramp"] for line in whole] == [ramp_share(ramp, line["heldout_kl"]) for line in whole]
