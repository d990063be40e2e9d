"""The command `evenhand`: its sub-commands, its help, and how errors end."""

import subprocess
import sys
from importlib import import_module

import pytest

import distill
from distill import cli


def test_help_names_every_command_with_its_line(capsys):
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, command in cli.COMMANDS.items():
        assert f"  {name:<14}{command.summary}\n" in shown
    assert all(len(line) <= 100 for line in shown.splitlines())


def test_no_command_prints_the_help_and_fails(capsys):
    assert cli.main([]) == 2
    assert capsys.readouterr().err == cli.help_text()


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"evenhand {distill.__version__}\n"


def test_help_and_unknown_commands_import_nothing_heavy():
    code = (
        "import sys; from distill.cli import main; main(['--help']); main(['trian'])\n"
        "heavy = {'torch', 'transformers', 'numpy', 'pydantic', 'augment'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("name", "said"),
    [("trian", "did you mean `evenhand train`?"), ("xyz", "commands are train, eval, compare, export, ")],
)
def test_an_unknown_command_is_one_line_with_the_nearest_name(name, said, capsys):
    assert cli.main([name]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"error: evenhand has no command {name!r}; {said}")
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_explains_itself_under_its_own_name(name, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: evenhand {name} ")


def test_a_command_gets_the_words_after_its_name(capsys):
    assert cli.main(["explain", "He left."]) == 0
    assert "[She] left." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (ValueError("x is 3; give 4"), 1, "error: x is 3; give 4\n"),
        (FileNotFoundError("no such file"), 1, "error: no such file\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
    ],
)
def test_what_a_command_raises_is_one_line(raised, code, said, monkeypatch, capsys):
    def main(arguments, prog):
        assert (arguments, prog) == (["a"], "evenhand plots")
        raise raised

    monkeypatch.setattr(import_module("distill.plots"), "main", main)
    assert cli.main(["plots", "a"]) == code
    assert capsys.readouterr().err == said


def test_a_reader_that_stops_reading_is_no_error():
    code = """
import sys, types
from distill import cli
cli.COMMANDS["count"] = cli.Command("", "count")
sys.modules["count"] = types.SimpleNamespace(main=lambda words, prog: print(*range(1_000_000), sep="\\n"))
sys.exit(cli.main(["count"]))
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_bad_input_of_real_commands(tmp_path, capsys):
    assert cli.main(["plots", str(tmp_path)]) == 1
    assert "is not a run folder: it has no metrics.jsonl" in capsys.readouterr().err
    assert cli.main(["swap", str(tmp_path / "none.txt"), "--out", str(tmp_path / "out.txt")]) == 1
    assert "none.txt" in capsys.readouterr().err
    assert cli.main(["compare", str(tmp_path)]) == 2
    assert "results.json does not exist" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
