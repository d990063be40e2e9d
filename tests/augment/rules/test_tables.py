"""The word lists of the rules: every list that a module reads exists, and every list that exists is read."""

import re
from pathlib import Path

import pytest

import augment.rules
from augment.rules.tables import word_lists

RULES = Path(augment.rules.__file__).parent

SHARED = {"names": ["titled_names"]}  # other modules that read the lists of a file


@pytest.mark.parametrize("name", ["frames", "names", "pronouns", "titles", "topics", "vocatives"])
def test_module_reads_exactly_the_lists_of_its_file(name: str) -> None:
    modules = [name, *SHARED.get(name, [])]
    code = "".join((RULES / f"{module}.py").read_text(encoding="utf-8") for module in modules)
    read = set(re.findall(r"_WORDS\.(\w+)", code))
    assert read == set(vars(word_lists(name)))


def test_a_list_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no_such_list"):
        word_lists("frames").no_such_list  # noqa: B018
