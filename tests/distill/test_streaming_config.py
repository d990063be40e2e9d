"""What cannot be combined with data.streaming is refused in one line, before anything is read."""

import pytest

from distill.config import RunConfig
from distill.settings import load_config

MINIMAL = """
run_dir: runs/x
data: {path: corpus.txt, streaming: true}
teacher: {path: some/teacher}
student: {layers: [0, 2]}
train: {max_steps: 10}
"""


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.max_steps=null", "train.epochs=1"], "train.epochs cannot .*; set train.max_steps, and train.epochs"),
        (["data.max_documents=5"], "data.max_documents cannot .*; give a shorter text, or leave it out"),
        (["teacher.targets=cached"], "teacher.targets cannot .*; set it to `online`"),
        (["student.layers=auto", "student.keep=2"], "student.layers cannot .*; choose with `evenhand layers`, and"),
        (["canaries={count: 4}"], "canaries cannot .*; leave them out"),
        (["privacy={epsilon: 1}"], "privacy cannot .*; set data.streaming to false"),
        (
            ["federated={clients: {by: gender, count: 4, alpha: 1}, clients_per_round: 2, local_steps: 5}"],
            "federated cannot .*; set data.streaming to false",
        ),
    ],
)
def test_what_needs_the_whole_text_is_refused(overrides, message, tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(MINIMAL)
    assert load_config(RunConfig, file).data.streaming
    with pytest.raises(ValueError, match=message):
        load_config(RunConfig, file, overrides)
    load_config(RunConfig, file, ["data.streaming=false", "teacher.targets=cached"])
