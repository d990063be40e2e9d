"""A hub on loopback, with the caches of its clients in the test's folder."""

import socket

import pytest
from hub.server import Hub


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty hub that huggingface_hub, transformers and datasets ask, online. No other address can be reached."""
    server = Hub()
    home = tmp_path / "hf"
    for name, value in {
        "huggingface_hub.constants.ENDPOINT": server.endpoint,
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE": server.endpoint
        + "/{repo_id}/resolve/{revision}/{filename}",
        "huggingface_hub.constants.HF_HUB_CACHE": str(home / "hub"),
        "huggingface_hub.constants.HF_TOKEN_PATH": str(home / "token"),
        "huggingface_hub.constants.HF_HUB_OFFLINE": False,
        "huggingface_hub.constants.HF_HUB_DISABLE_XET": True,
        "huggingface_hub.hf_api.api.endpoint": server.endpoint,
        "datasets.config.HF_ENDPOINT": server.endpoint,
        "datasets.config.HUB_DATASETS_URL": server.endpoint + "/datasets/{repo_id}/resolve/{revision}/{path}",
        "datasets.config.HF_HUB_OFFLINE": False,
        "datasets.config.HF_DATASETS_CACHE": home / "datasets",
        "datasets.config.DOWNLOADED_DATASETS_PATH": home / "datasets" / "downloads",
    }.items():
        monkeypatch.setattr(name, value)
    # newer versions of transformers keep a client, which would go on asking the hub of an earlier test
    monkeypatch.setattr("transformers.utils.hub._hf_api", None, raising=False)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    resolve = socket.getaddrinfo

    def loopback_only(host, *arguments, **options):
        if host not in ("127.0.0.1", "localhost"):
            raise AssertionError(f"a test must not reach {host}")
        return resolve(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", loopback_only)
    yield server
    server.stop()
