"""Fixtures shared by all tests: the development data folder."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may reach the network


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real corpora, tokenizers and models; the test is skipped when it is not there."""
    folder = Path(os.environ.get("EVENHAND_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"development data not found at {folder}; set EVENHAND_DATA")
    return folder
