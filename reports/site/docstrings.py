"""Docstrings and values as the reference shows them: what pdoc would lose, inherit from elsewhere or print in full."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    import pdoc.doc

OURS = ("eigenalign", "theory", "simulate", "reports")
LONGEST_VALUE = 300

_KEPT = re.compile(r"\x08\n(.*?)(?=\n\s*\n|\s*\Z)", re.DOTALL)
_LIKE_A_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_HELD = "\ue000"  # a character of the private use area: Markdown and the highlighting of code leave it alone
_OBJECT = re.compile(r"<(?:function|class|built-in|bound) |functools\.partial\(")
_NUMPY = re.compile(r"np\.\w+\(([^()]*)\)")
_FIELD = re.compile(r"Alias for field number \d+")


def kept_lines(docstring: str) -> str:
    """The paragraphs whose lines click is told to keep, as code: not a box, and headings where comments stand."""
    return _KEPT.sub(lambda found: f"```\n{textwrap.dedent(found[1])}\n```", docstring)


def hold_signs(docstring: str) -> str:
    """`docstring` with a stand-in for every < that Markdown would take for the start of a tag, as in Σ_{s<t}."""
    return _LIKE_A_TAG.sub(_HELD, docstring)


def release_signs(html: str) -> Markup:
    """What became of `hold_signs`, its stand-ins as < again.

    >>> release_signs(hold_signs("a <b and c < d"))
    Markup('a &lt;b and c < d')
    """
    return Markup(str(html).replace(_HELD, "&lt;"))  # html may be a Markup, which would escape the &


def short_value(text: str) -> str:
    """A value as the reference prints it: numbers as Python has them; "" where it is long, or names objects by type.

    >>> short_value("(np.float64(0.5), 1)"), short_value("{'relu': <function relu>}")
    ('(0.5, 1)', '')
    """
    text = _NUMPY.sub(r"\1", text)
    return "" if len(text) > LONGEST_VALUE or _OBJECT.search(text) else text


def forget_foreign_docstrings(module: pdoc.doc.Module) -> None:
    """Empty the docstrings that methods and fields of `module` inherit from classes that are not ours.

    torch.nn.Module says of `forward` that it should be overridden, which here it is.
    """
    import pdoc.doc

    for _class in module.flattened_own_members:
        for member in _class.own_members if isinstance(_class, pdoc.doc.Class) else ():
            if _FIELD.fullmatch(member.docstring) or _inherits(_class.obj, member.name):
                member.docstring = ""


def _inherits(_class: type, name: str) -> bool:
    """Whether the docstring of a method comes from a class that is not ours."""
    for base in _class.__mro__:
        if getattr(vars(base).get(name), "__doc__", None):
            return base.__module__.partition(".")[0] not in OURS
    return False
