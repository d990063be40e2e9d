"""Builders of a small results.json."""

import pytest


@pytest.fixture
def difference():
    """difference(value, p_holm): a comparison of a model with the reference."""

    def build(value, p_holm):
        return {
            "value": value,
            "low": value - 0.1,
            "high": value + 0.1,
            "p": p_holm,
            "p_holm": p_holm,
            "minimum_detectable_effect": 0.2,
            "num_clusters": 40,
            "non_inferior": None,
        }

    return build


@pytest.fixture
def entry():
    """entry(name, model, value, ...): a measurement; further keywords replace its fields."""

    def build(name="log_odds/mean_abs", model="b", value=0.5, **fields):
        measurement = {
            "model": model,
            "name": name,
            "value": value,
            "low": value - 0.1,
            "high": value + 0.1,
            "unit": "nats",
            "num_items": 100,
            "num_clusters": 40,
            "higher_is_better": False,
            "convention": "c",
            "signature": f"{name}|{model}",
            "difference": None,
        }
        return measurement | fields

    return build


@pytest.fixture
def results():
    """results(entries, ...): the content of a results.json; further keywords replace its fields."""

    def build(entries, **fields):
        labels = sorted({entry["model"] for entry in entries})
        about = {"tokenizer": "t", "num_pronoun_tokens": [1, 1], "start_token": "<s>", "groups": [], "dtype": "float32"}
        about |= {"architecture": "GPT2LMHeadModel", "num_parameters": 1000, "context_tokens": 64}
        about |= {"fingerprint": "0123456789abcdef", "path": "a/model"}
        written = {
            "created": "2026-01-02T03:04:05+00:00",
            "reference": labels[0],
            "family_size": 1,
            "config": {"statistics": {"confidence": 0.95, "non_inferiority_margin": 0.05}},
            "config_of": None,
            "config_differences": [],
            "versions": {"evenhand": "0.1.0", "git_revision": None},
            "models": [{"label": label, **about} for label in labels],
            "measurements": entries,
            "failures": [],
        }
        return written | fields

    return build
