"""Settings and fixtures of all tests: what a test run may depend on, the small world, tiny models."""

import argparse
import os
import shlex
import sys


def selects_gpu_tests(arguments: list[str]) -> bool:
    """Whether a pytest command line asks for tests marked `gpu`: `-m gpu`, but not `-m 'not gpu'` or no -m."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-m", default="")
    words = parser.parse_known_args(arguments)[0].m.replace("(", " ").replace(")", " ").split()
    return any(word == "gpu" and before != "not" for before, word in zip(["", *words], words, strict=False))


os.environ["HF_HUB_OFFLINE"] = "1"  # No test may reach the network. huggingface_hub reads this when it is imported.
# One thread, here and in every process that a test starts. Tiny models run faster that way, and two runs are equal bit
# by bit only if both use the same number of threads, because threads split sums.
os.environ["OMP_NUM_THREADS"] = "1"
# Hide GPUs, so that the default suite gives the same results everywhere. A worker of pytest-xdist has another command
# line and inherits the decision of the process that started it.
arguments = [*shlex.split(os.environ.get("PYTEST_ADDOPTS", "")), *sys.argv[1:]]
if "PYTEST_XDIST_WORKER" not in os.environ and not selects_gpu_tests(arguments):
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
import yaml
from hypothesis.internal.conjecture import providers

if TYPE_CHECKING:  # imported where used: the process that starts pytest-xdist's workers runs no test
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

# Hypothesis must try the same examples on every machine: no random seed, no database of earlier failures, no deadline.
# It also tries constants from the project's modules imported so far, which depend on the tests that ran before: none.
hypothesis.settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("repeatable")
providers._get_local_constants = lambda: providers._local_constants
ARCHITECTURES = {
    "gpt2": {"n_embd": 16, "n_head": 2, "n_layer": 4, "n_positions": 64},
    "llama": {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "num_hidden_layers": 4,
        "max_position_embeddings": 64,
        "tie_word_embeddings": False,
    },
}
# Models that scale their logits or soft-cap them, strongly: tied, tied, untied
TRANSFORMED = {
    "gemma2": {"final_logit_softcapping": 2.0, "head_dim": 8},
    "cohere": {"logit_scale": 2.5},
    "granite": {"logits_scaling": 0.3, "tie_word_embeddings": False},
}
for name, settings in TRANSFORMED.items():
    ARCHITECTURES[name] = ARCHITECTURES["llama"] | {"tie_word_embeddings": True, "pad_token_id": None} | settings


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real corpora, tokenizers and models; without it the test is skipped."""
    folder = Path(os.environ.get("EVENHAND_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"development data not found at {folder}; set EVENHAND_DATA")
    return folder


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small corpus of the small world, its truth and its tokenizer."""
    from distill.smallworld.default_world import default_world
    from distill.smallworld.folder import CorpusParameters, build_corpus

    folder = tmp_path_factory.mktemp("smallworld") / "world"
    build_corpus(folder, default_world(), CorpusParameters(num_documents=400, num_heldout=40, seed=0, vocab_size=2000))
    return folder


@pytest.fixture(scope="session")
def tokenizer(small_world: Path) -> "PreTrainedTokenizerFast":
    """The small world's tokenizer."""
    from distill.models.loading import load_tokenizer

    return load_tokenizer(str(small_world / "tokenizer"))


@pytest.fixture
def tiny_model(tokenizer: "PreTrainedTokenizerFast") -> Callable[..., "PreTrainedModel"]:
    """Builds a tiny random model, with large weights so that its predictions differ: tiny_model("gpt2", seed=0)."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    def build(architecture: str = "gpt2", seed: int = 0, **settings: object) -> "PreTrainedModel":
        torch.manual_seed(seed)
        settings = {"vocab_size": len(tokenizer), "initializer_range": 0.3} | ARCHITECTURES[architecture] | settings
        for token in ("bos", "eos"):
            settings[f"{token}_token_id"] = tokenizer.bos_token_id
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(architecture, **settings)).eval()

    return build


@pytest.fixture
def blank_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots are made but not drawn, because to draw the plots of a report takes longer than everything else in it."""
    monkeypatch.setattr("distill.evaluation.report.plots.to_svg", lambda figure, label: "<svg></svg>\n")


@pytest.fixture
def config_file(tmp_path: Path, tiny_model: Callable, tokenizer: "PreTrainedTokenizerFast", small_world: Path) -> Path:
    """A run of six steps, with a teacher on disk; everything it writes stays in tmp_path."""
    tiny_model("gpt2", initializer_range=0.1).save_pretrained(tmp_path / "teacher")
    tokenizer.save_pretrained(tmp_path / "teacher")
    settings = {
        "run_dir": str(tmp_path / "run"),
        "data": {
            "path": str(small_world / "train.jsonl"),
            "max_documents": 200,
            "seq_len": 32,
            "cache_dir": str(tmp_path / "cache"),
        },
        "augment": {"mode": "augment"},
        "teacher": {"path": str(tmp_path / "teacher")},
        "student": {"layers": [0, 3], "dropout": 0.1},
        "perturb": {"operation": "equivariant"},
        "optim": {"lr": 1e-3},
        "train": {
            "max_steps": 6,
            "global_batch_size": 8,
            "micro_batch_size": 4,
            "log_every": 1,
            "eval_every": 2,
            "save_every": 2,
            "eval_blocks": 4,
        },
    }
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path
