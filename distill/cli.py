"""The command `evenhand`: one sub-command for each thing that the project does.

Each sub-command is the `main` of a module, which is imported only when it is called: `evenhand --help` needs neither
torch nor transformers. `python -m MODULE` runs the same function.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

import distill


class Command(NamedTuple):
    """A sub-command.

    summary: its line in the help. module: where its `main(arguments, prog)` is. words: what `main` needs before the
    user's words, for a module with several sub-commands of its own.
    """

    summary: str
    module: str
    words: tuple[str, ...] = ()


COMMANDS = {
    "train": Command("distill a model into a smaller one; starts the processes itself", "distill.launcher"),
    "eval": Command("measure the gender bias of models and compare them", "distill.eval"),
    "compare": Command("compare earlier evaluations, without their models", "distill.eval", ("compare",)),
    "export": Command("write an evaluation as lm-evaluation-harness does", "distill.eval", ("export",)),
    "correlate": Command("correlate measures over the models of evaluations or studies", "distill.correlate"),
    "audit-privacy": Command("measure what a student gives away of its training text", "distill.audit_privacy"),
    "invert": Command("try to read made-up secrets from a classifier's probabilities", "distill.invert"),
    "federated": Command("distill on text that is divided among clients", "distill.federated.__main__"),
    "data": Command("fetch the files of published benchmarks", "distill.benchmark_downloads"),
    "checkpoint": Command("write the student of a run's checkpoint as a model folder", "distill.export_checkpoint"),
    "layers": Command("choose which layers of a teacher a student keeps", "distill.layers"),
    "people": Command("let a model write short texts about people, to debias it with", "distill.people"),
    "plots": Command("draw the curves of training runs", "distill.plots"),
    "terms": Command("list which gendered terms are single tokens of a tokenizer", "distill.terms"),
    "swap": Command("exchange the gendered terms of a text file", "augment.__main__", ("swap",)),
    "explain": Command("show what is exchanged in one text, and by which rule", "augment.__main__", ("explain",)),
    "audit": Command("count how gendered a corpus is, before and after", "augment.__main__", ("audit",)),
    "agree": Command("compare the reading of her and his with a spaCy model's", "augment.__main__", ("agree",)),
    "fit": Command("train the models that read her and his on your text", "augment.__main__", ("fit",)),
    "smallworld": Command("write a small corpus whose gender bias is known", "distill.smallworld.__main__"),
}
HELP = """usage: evenhand COMMAND [options]

{commands}

evenhand COMMAND --help explains the options of a command; evenhand --version prints the version.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command. Returns its exit code: 2 for a sub-command that does not exist, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(help_text(), end="", file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    if words[0] == "--version":
        print(f"evenhand {distill.__version__}")
        return 0
    if words[0] not in COMMANDS:
        print(f"error: {unknown(words[0])}", file=sys.stderr)
        return 2
    return run(words[0], words[1:])


def run(name: str, words: Sequence[str]) -> int:
    """Run a known sub-command and return its exit code; `exit_code` says how errors end."""
    from augment.command_line import exit_code  # here: `evenhand --help` needs no other package

    command = COMMANDS[name]
    prog = "evenhand" if command.words else f"evenhand {name}"
    return exit_code(lambda: import_module(command.module).main([*command.words, *words], prog))


def help_text() -> str:
    """Every sub-command with its line."""
    return HELP.format(commands="\n".join(f"  {name:<14}{command.summary}" for name, command in COMMANDS.items()))


def unknown(name: str) -> str:
    """What to say about a sub-command that does not exist: the nearest name, or all names."""
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    meant = f"did you mean `evenhand {near[0]}`?" if near else f"commands are {', '.join(COMMANDS)}"
    return f"evenhand has no command {name!r}; {meant}"


if __name__ == "__main__":
    sys.exit(main())
