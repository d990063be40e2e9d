"""Fixtures shared by all tests: the development data folder, the small world, tiny models of two architectures."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # no test may reach the network; read when huggingface_hub is imported
# one thread, here and in every process a test starts: tiny models are faster so, and bit-equality of two runs needs the
# same number of threads in both (a sum is split by it)
os.environ["OMP_NUM_THREADS"] = "1"

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from distill.models.loading import load_tokenizer
from distill.smallworld.default_world import default_world
from distill.smallworld.folder import CorpusParameters, build_corpus

torch.set_num_threads(1)
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


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real corpora, tokenizers and models; the test is skipped when it is not there."""
    folder = Path(os.environ.get("EVENHAND_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"development data not found at {folder}; set EVENHAND_DATA")
    return folder


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the small world, small: corpus, truth and tokenizer."""
    folder = tmp_path_factory.mktemp("smallworld") / "world"
    build_corpus(folder, default_world(), CorpusParameters(num_documents=400, num_heldout=40, seed=0, vocab_size=2000))
    return folder


@pytest.fixture(scope="session")
def tokenizer(small_world: Path) -> PreTrainedTokenizerFast:
    """The small world's tokenizer."""
    return load_tokenizer(str(small_world / "tokenizer"))


@pytest.fixture
def tiny_model(tokenizer: PreTrainedTokenizerFast) -> Callable[..., PreTrainedModel]:
    """Builds a tiny random model, with large weights so that its predictions differ: tiny_model("gpt2", seed=0)."""

    def build(architecture: str = "gpt2", seed: int = 0, **settings: object) -> PreTrainedModel:
        torch.manual_seed(seed)
        settings = {"vocab_size": len(tokenizer), "initializer_range": 0.3} | ARCHITECTURES[architecture] | settings
        for token in ("bos", "eos"):
            settings[f"{token}_token_id"] = tokenizer.bos_token_id
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(architecture, **settings)).eval()

    return build


@pytest.fixture
def config_file(tmp_path: Path, tiny_model: Callable, tokenizer: PreTrainedTokenizerFast, small_world: Path) -> Path:
    """A run of six steps, with a teacher on disk; everything it writes stays in tmp_path."""
    tiny_model("gpt2", initializer_range=0.1).save_pretrained(tmp_path / "teacher")
    tokenizer.save_pretrained(tmp_path / "teacher")
    settings = {
        "run_dir": str(tmp_path / "run"),
        "data": {"path": str(small_world / "train.jsonl"), "seq_len": 32, "cache_dir": str(tmp_path / "cache")},
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
