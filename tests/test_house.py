"""The architecture of docs/architecture.md: which part may import which, and how large folders and files may be."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("augment", "distill", "study", "benchmarks")
MAX_MODULES = 24  # in a folder
MAX_LINES = 300  # of a file

# What each part may import besides itself. A module belongs to the part with the longest matching name. `doors` are the
# command lines: they may import everything, and nothing imports them.
BASE = (
    *(
        "distill.config",
        "distill.federated_config",
        "distill.loss_config",
        "distill.model_config",
        "distill.privacy_config",
        "distill.settings",
        "distill.files",
        "distill.hardware",
        "distill.hub",
    ),
    *("distill.templates", "distill"),
)
ARROWS = {
    "augment": (),
    **dict.fromkeys(BASE, ("augment", *BASE)),
    "distill.smallworld": ("augment", *BASE),
    "distill.models": ("augment", *BASE),
    "distill.data": ("augment", *BASE),
    "distill.loss": ("augment", *BASE, "distill.data", "distill.models"),
    "distill.privacy.accountant": ("augment", *BASE),
    "distill.run": (
        *("augment", *BASE, "distill.data", "distill.models", "distill.loss"),
        "distill.privacy.accountant",
    ),
    "distill.federated": ("augment", *BASE, "distill.data", "distill.models", "distill.loss", "distill.run"),
    "distill.evaluation": ("augment", *BASE, "distill.data", "distill.models", "distill.loss", "distill.smallworld"),
    "distill.privacy": (
        *("augment", *BASE, "distill.data", "distill.models", "distill.loss", "distill.smallworld"),
        *("distill.run", "distill.evaluation", "distill.privacy.accountant"),
    ),
}
DOORS = (
    *("train", "eval", "study", "benchmarks"),
    *(
        "distill.audit_privacy",
        "distill.benchmark_downloads",
        "distill.cli",
        "distill.correlate",
        "distill.eval",
        "distill.export_checkpoint",
    ),
    *(
        "distill.invert",
        "distill.launcher",
        "distill.layers",
        "distill.people",
        "distill.plots",
        "distill.shipped",
        "distill.terms",
    ),
    "distill.train",
)
# Within the evaluation, a part may import those before it only.
EVALUATION = (
    *(
        "classifier_config",
        "config",
        "processes",
        "statistics",
        "scoring",
        "task",
        "records",
        "measure",
        "measures",
        "progress",
        "suite",
    ),
    *("api", "dry_run", "limits", "results", "comparison", "measured", "correlation", "report"),
)


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


SOURCES = [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]
SOURCES += [ROOT / "train.py", ROOT / "eval.py"]
TREES = {module_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}


def imports(name: str) -> list[tuple[str, str | None]]:
    """(module, name that is taken from it or None) of every import statement, those inside functions included."""
    taken: list[tuple[str, str | None]] = []
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            taken += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{name}: write imports with the whole name"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                taken.append((submodule, None) if submodule in TREES else (node.module, alias.name))
    return taken


IMPORTED = {name: {module for module, _ in imports(name) if module in TREES} - {name} for name in TREES}


def part(name: str) -> str:
    """The part of the table that a module belongs to."""
    if name.rpartition(".")[2] == "__main__":
        return "doors"
    while name not in ARROWS and name not in DOORS:
        parent = name.rpartition(".")[0]
        assert parent, f"{name} is not in the table of parts at the top of this test"
        assert parent != "distill", f"{name} is new in distill/: add it to BASE or to DOORS at the top of this test"
        name = parent
    return "doors" if name in DOORS else name


def test_no_modules_import_each_other_in_a_circle():
    try:
        TopologicalSorter(IMPORTED).prepare()
    except CycleError as error:
        pytest.fail(f"these modules import each other in a circle: {' -> '.join(error.args[1])}")


def test_imports_between_parts_follow_the_arrows():
    wrong = [
        f"{name} imports {other}"
        for name in TREES
        for other in sorted(IMPORTED[name])
        if part(name) not in ("doors", part(other)) and part(other) not in ARROWS[part(name)]
    ]
    assert not wrong, "\n".join(wrong)


def test_imports_within_the_evaluation_follow_its_order():
    place = {f"distill.evaluation.{name}": number for number, name in enumerate(EVALUATION)}

    def place_of(name: str) -> int | None:
        return place.get(".".join(name.split(".")[:3]))

    modules = [name for name in TREES if name.startswith("distill.evaluation.")]
    unplaced = [name for name in modules if place_of(name) is None]
    assert not unplaced, f"not in the order at the top of this test: {unplaced}"
    wrong = [
        f"{name} imports {other}"
        for name in modules
        for other in sorted(IMPORTED[name] & set(modules))
        if place_of(other) > place_of(name)
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_imports_a_private_name_of_another_module():
    wrong = []
    for name, tree in TREES.items():
        wrong += [f"{name}: from {module} import {taken}" for module, taken in imports(name) if _is_private(taken)]
        aliases = {
            alias.asname or alias.name.rpartition(".")[2]
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if f"{node.module}.{alias.name}" in TREES
        }
        wrong += [
            f"{name}: {node.value.id}.{node.attr}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            if node.value.id in aliases and _is_private(node.attr)
        ]
    assert not wrong, "\n".join(wrong)


def _is_private(name: str | None) -> bool:
    return name is not None and name.startswith("_") and not name.startswith("__")


def test_no_folder_has_too_many_modules():
    folders: dict[Path, int] = {}
    for path in SOURCES:
        folders[path.parent] = folders.get(path.parent, 0) + (path.name != "__init__.py")
    large = {str(folder.relative_to(ROOT)): number for folder, number in folders.items() if number > MAX_MODULES}
    assert not large


def test_no_source_file_is_too_long():
    lines = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert not {file: number for file, number in lines.items() if number > MAX_LINES}


@pytest.mark.parametrize(
    "module", ["augment", "augment.commands", "distill.evaluation.statistics.measurement", "distill.privacy.epsilon"]
)
def test_pairs_and_statistics_need_no_torch(module):
    code = f"import sys, {module}; print(sorted({{'torch', 'transformers', 'accelerate'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
