"""What comments say of a module's constants, which have no docstrings of their own."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pdoc.doc

_FOR_TOOLS = re.compile(r"#\s*(fmt|noqa|pragma|type)\b")


def take_comments(module: pdoc.doc.Module) -> None:
    """Make the comment of every constant of `module` its docstring."""
    import pdoc.doc

    found = comments_of(module.source)
    for member in module.own_members:
        if isinstance(member, pdoc.doc.Variable) and not member.docstring:
            member.docstring = found.get(member.name, "")


def comments_of(source: str) -> dict[str, str]:
    r"""The comments of the constants of a module: at the end of their first or last line, otherwise those right above.

    >>> comments_of("# ours,\n# not theirs\nA = 1\nB: int = 2  # of `b`\nC = (  # all\n    1,\n)\nD = 4  # noqa\n")
    {'A': 'ours, not theirs', 'B': 'of `b`', 'C': 'all'}
    """
    alone: dict[int, str] = {}
    beside: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not _FOR_TOOLS.match(token.string):
            text = token.string.removeprefix("#").strip()
            (beside if token.line[: token.start[1]].strip() else alone)[token.start[0]] = text
    found = {}
    for node in ast.parse(source).body:
        name = _constant(node)
        if name:
            first, last = node.lineno, node.end_lineno or node.lineno
            found[name] = beside.get(first) or beside.get(last) or _above(alone, first)
    return {name: comment for name, comment in found.items() if comment}


def _constant(node: ast.stmt) -> str:
    """The name to which a statement assigns, if it is one name alone."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""


def _above(alone: dict[int, str], line: int) -> str:
    lines: list[str] = []
    while line - 1 in alone:
        line -= 1
        lines.insert(0, alone[line])
    return " ".join(lines)
