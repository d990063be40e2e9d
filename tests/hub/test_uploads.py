"""The student is uploaded to the hub: what arrives there, and what is said when it cannot."""

import re

import pytest
import yaml
from hub.server import broken, rate_limited

from distill import train
from distill.hub import check_upload
from distill.models.identity import model_fingerprint
from distill.models.loading import load_causal_lm, load_tokenizer
from distill.run.export import push_student, write_student

# huggingface_hub uploads large files in a way that its own client library advises against
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def run_dir(tmp_path, tiny_model, tokenizer, monkeypatch):
    """A run folder with a student; the user is logged in."""
    monkeypatch.setenv("HF_TOKEN", "mine")
    (tmp_path / "run").mkdir()
    write_student(tmp_path / "run" / "student", tiny_model("gpt2"), tokenizer, card="---\ntags: [a]\n---\n# Student\n")
    return tmp_path / "run"


def test_a_student_is_uploaded_into_a_private_repository_and_comes_back(hub, run_dir, monkeypatch):
    assert push_student(run_dir, "me/student") == f"{hub.endpoint}/me/student"
    repository = hub.repositories["models", "me/student"]
    files = {file.name: file.read_bytes() for file in (run_dir / "student").iterdir()}
    assert repository.commits[repository.find("main")] == files
    assert "POST /me/student.git/info/lfs/objects/batch" in hub.requests  # the weights went the way of large files
    model = load_causal_lm("me/student")
    assert model_fingerprint("me/student", model) == f"me/student@{repository.find('main')}"
    expected = load_causal_lm(str(run_dir / "student")).state_dict()
    assert all(weight.equal(expected[name]) for name, weight in model.state_dict().items())

    (run_dir / "student" / "README.md").write_text("# Another\n")
    push_student(run_dir, "me/student")  # into the repository that is there
    assert len(repository.commits) == 2
    monkeypatch.setenv("HF_TOKEN", "somebody else's")
    with pytest.raises(FileNotFoundError, match="no such repository, or it is private"):
        load_tokenizer("me/student")


@pytest.mark.parametrize(
    ("part", "fault", "message"),
    [
        ("/api/repos/create", rate_limited, r"the hub limits how often .*retry after 300 seconds.*"),
        ("/lfs/", broken(times=100, after=0), r"the connection to http://127.* failed .*; give the same command again"),
        ("/commit/", rate_limited, r"the hub limits how often .*"),
    ],
)
def test_an_upload_that_fails_keeps_the_student_and_says_how_to_go_on(hub, run_dir, monkeypatch, part, fault, message):
    monkeypatch.setattr("time.sleep", lambda _: None)
    hub.faults = {part: lambda request, _: fault(request, b"something")}
    with pytest.raises(OSError) as caught:  # noqa: PT011  # its text is compared below
        push_student(run_dir, "me/student")
    said = str(caught.value)
    assert said.startswith(f"{run_dir}/student is complete, but could not be uploaded to me/student (")
    assert said.endswith(f"); upload that folder later: hf upload me/student {run_dir}/student") and "\n" not in said
    assert re.search(message, said)


@pytest.mark.parametrize(
    ("repository", "is_offline", "token", "message"),
    [
        ("me/student", False, None, "needs a token; run `hf auth login` or set HF_TOKEN"),
        ("a/b/c", False, "mine", "cannot be the name of a repository; give owner/name"),
        ("me/student", True, "mine", ", but HF_HUB_OFFLINE is set; unset it, or leave the setting out"),
        ("me/student", False, "mine", None),
        (None, True, None, None),
    ],
)
def test_what_cannot_be_uploaded_is_refused_before_the_training(
    hub, tmp_path, monkeypatch, repository, is_offline, token, message
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", is_offline)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    settings = {"run_dir": str(tmp_path / "run"), "student": {"layers": [0]}, "train": {"max_steps": 1}}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(settings))
    command = ["--config", str(tmp_path / "run.yaml"), "teacher.path=me/teacher", "data.path=me/text"]
    if message is None:
        check_upload("train.push_to_hub", repository)
    else:
        with pytest.raises(ValueError, match=f"train.push_to_hub = {repository}.*{message}"):
            train.main([*command, f"train.push_to_hub={repository}"])
    assert hub.requests == []
