"""docs/architecture.md is right: its tree names every module, and its walks name functions that exist."""

import importlib
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = ("augment", "distill", "study", "benchmarks")


def test_the_tree_names_every_module_and_nothing_else():
    (tree,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    named, folders = set(), []
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        entries = re.match(r"\s*((?:[\w.]+(?:/|\.py)(?:, )?)+)", line)
        if entries is None:
            continue
        for entry in entries[1].split(", "):
            if entry.endswith("/"):
                folders[depth:] = [entry.rstrip("/")]
            elif entry:
                named.add("/".join([*folders[:depth], entry]))
    modules = {str(path.relative_to(ROOT)) for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    modules = {name for name in modules if not name.endswith("__init__.py")} | {"train.py", "eval.py"}
    assert named == modules


def test_the_walks_name_functions_that_exist():
    places = re.findall(r"`([\w/]+\.py): (\w+)", PAGE)
    assert len(places) >= 7
    for file, function in places:
        folders = (ROOT, ROOT / "distill", ROOT / "distill" / "evaluation")
        (path,) = [folder / file for folder in folders if (folder / file).exists()]
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        assert hasattr(module, function), f"{file}: {function}"
