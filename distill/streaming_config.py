"""What cannot be combined with `data.streaming`: whatever needs the whole text before the first step."""

from __future__ import annotations

from typing import Any


def check_streaming(run: Any) -> None:
    """Raise ValueError if a run with `data.streaming` has a setting that needs the whole text in advance.

    run: a RunConfig, whose module imports this one.
    """
    forbidden = {
        "train.epochs": (
            run.train.max_steps is None,
            "how long an epoch is would be known at its end only; set train.max_steps, and train.epochs to null",
        ),
        "data.max_documents": (
            run.data.max_documents is not None,
            "processes divide the documents before anybody counts them; give a shorter text, or leave it out",
        ),
        "teacher.targets": (
            run.teacher is not None and run.teacher.targets == "cached",
            "the states of blocks that are not kept have no use; set it to `online`",
        ),
        "student.layers": (
            run.student.layers == "auto",
            "`auto` reads the whole text to choose; choose with `evenhand layers`, and give the list",
        ),
        "canaries": (run.canaries is not None, "they are planted all over the text in advance; leave them out"),
        "privacy": (
            run.privacy is not None,
            "its steps draw from all documents, which must be counted in advance; set data.streaming to false",
        ),
        "federated": (
            run.federated is not None,
            "clients have whole documents of their own, in a cache; set data.streaming to false",
        ),
    }
    for key, (is_set, why) in forbidden.items():
        if is_set:
            raise ValueError(f"{key} cannot be combined with data.streaming: {why}")
