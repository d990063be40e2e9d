"""Fill in Jinja2 templates for pages and tables. A template lies beside the module that uses it."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import BaseLoader, Environment, PackageLoader, StrictUndefined, select_autoescape


def environment(loader: BaseLoader) -> Environment:
    """The settings for all templates of this project: an undefined name is an error, and block tags leave no lines."""
    return Environment(
        loader=loader,
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(package: str, template: str, **values: Any) -> str:
    """Fill in a template of `package`, e.g. ("distill.evaluation.report", "report.html").

    Values are escaped in .html templates only. Raises jinja2.UndefinedError if the template uses a name that `values`
    lacks. Lines that hold only a block tag leave nothing behind.
    """
    return _package_templates(package).get_template(template).render(values)


@cache  # it keeps the templates that it has read
def _package_templates(package: str) -> Environment:
    return environment(PackageLoader(package, ""))
