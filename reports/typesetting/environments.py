"""The jinja environments of all templates: HTML pages, which escape what they are given, and the LaTeX document.

A template is named after the file that it makes: report.html.jinja2.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from reports.files import file_name
from reports.foreign_text import visible
from reports.typesetting.markup import latex_code, latex_text, to_html, to_latex, to_plain
from reports.typesetting.tables import to_html_table, verdict_html, verdict_latex

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).resolve().parent / "templates"


def html_environment(*folders: Path) -> jinja2.Environment:
    """For HTML pages, whose templates lie in `folders` or here.

    Filters: `rich` and `plain` for text with math, `table` for a `Table`, `verdict` for the coloured word, `slug` for
    an id.
    """
    environment = _environment(
        *folders, autoescape=True, finalize=lambda value: visible(value) if type(value) is str else value
    )
    environment.filters |= {
        "rich": _markup(to_html),
        "plain": to_plain,
        "table": _markup(to_html_table),
        "verdict": _markup(verdict_html),
        "slug": file_name,
    }
    return environment


def latex_environment() -> jinja2.Environment:
    """For LaTeX, whose braces and percent signs are its own: ((* … *)) for statements, ((( … ))) for what is printed.

    Filters: `rich` for text with math, `code` and `literal` for text without, `bookmark` for ASCII without commands,
    `verdict`, `slug`.
    """
    environment = _environment(
        block_start_string="((*",
        block_end_string="*))",
        variable_start_string="(((",
        variable_end_string=")))",
        comment_start_string="((#",
        comment_end_string="#))",
    )
    environment.filters |= {
        "rich": to_latex,
        "code": latex_code,
        "literal": latex_text,
        "bookmark": lambda text: latex_text("".join(char for char in to_plain(text) if char.isascii())),
        "verdict": verdict_latex,
        "slug": file_name,
    }
    return environment


def _markup(convert: Callable[[Any], str]) -> Callable[[Any], Markup]:
    """A filter whose HTML is not escaped again."""
    return lambda value: Markup(convert(value))


def _environment(*folders: Path, **options: Any) -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, TEMPLATES]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )
