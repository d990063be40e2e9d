"""Templates: what they escape, and that no name may be missing."""

import sys

import jinja2
import pytest

from distill.templates import render


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a template `page` in HTML and in Markdown."""
    (tmp_path / "with_templates").mkdir()
    (tmp_path / "with_templates" / "__init__.py").touch()
    text = "{% for name in names %}\n- {{ name }}\n{% endfor %}\n{{ title }}\n"
    for suffix in ("html", "md"):
        (tmp_path / "with_templates" / f"page.{suffix}").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield "with_templates"
    sys.modules.pop("with_templates", None)


def test_html_is_escaped_and_markdown_is_not(package):
    values = {"names": ["a & b", "c"], "title": "<t>"}
    assert render(package, "page.html", **values) == "- a &amp; b\n- c\n&lt;t&gt;\n"
    assert render(package, "page.md", **values) == "- a & b\n- c\n<t>\n"


def test_a_name_that_is_not_given_is_an_error(package):
    with pytest.raises(jinja2.UndefinedError, match="'title' is undefined"):
        render(package, "page.html", names=[])
