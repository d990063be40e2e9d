"""Pages and tables from Jinja2 templates, which lie beside the module that fills them in."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


def render(package: str, template: str, **values: Any) -> str:
    """Fill in a template of `package`, e.g. ("distill.evaluation.report", "report.html").

    Values are escaped in .html templates only. Raises jinja2.UndefinedError if the template uses a name that `values`
    lacks. Lines that hold only a block tag leave nothing behind.
    """
    environment = Environment(
        loader=PackageLoader(package, ""),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)
