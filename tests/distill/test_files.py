"""Only whole lines are read from a run's files; the git revision is that of this source tree only."""

import subprocess

from distill import files
from distill.files import read_jsonl


def test_a_package_installed_inside_another_repository_does_not_have_its_revision(tmp_path, monkeypatch):
    for command in (
        ["init", "-q"],
        ["-c", "user.name=n", "-c", "user.email=e", "commit", "-q", "--allow-empty", "-mx"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    code = tmp_path / ".venv" / "site-packages" / "distill" / "files.py"
    code.parent.mkdir(parents=True)
    monkeypatch.setattr(files, "__file__", str(code))
    assert files.git_revision() is None
    monkeypatch.setattr(files, "__file__", str(tmp_path / "distill" / "files.py"))
    assert len(files.git_revision()) >= 40


def test_a_line_cut_off_in_writing_is_left_out(tmp_path):
    (tmp_path / "a").write_text('{"x": 1}\n{"x": 2')
    assert read_jsonl(tmp_path / "a") == [{"x": 1}]
