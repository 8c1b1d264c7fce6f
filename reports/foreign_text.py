r"""Text from outside (names, paths, arguments, records), made harmless for where it is printed.

What a terminal, a spreadsheet or a shell would obey becomes text that they show. LaTeX and HTML have their own escapes
in `reports.typesetting.markup`.
"""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections.abc import Sequence

_ORDERS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # of text that runs the other way
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # how a cell begins that a spreadsheet computes; some take wide signs, too
_SAFE_WORD = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


def visible(text: str) -> str:
    r"""`text` with control characters, lone surrogates and changes of direction as their escapes; only \n breaks lines.

    >>> print(visible("a\x1b[31mb"))
    a\x1b[31mb
    """
    return "".join(char if _harmless(char) else repr(char)[1:-1] for char in text)


def inert(cell: object) -> object:
    """A cell of CSV that no spreadsheet takes for a formula: text that begins as one is quoted by an apostrophe.

    Numbers, and text that is one, stay what they are.

    >>> inert("=cmd"), inert(-1.5), inert("-1.5"), inert("- a")
    ("'=cmd", -1.5, '-1.5', "'- a")
    """
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        try:
            float(cell)
        except ValueError:
            return f"'{cell}"
    return cell


def command_line(arguments: Sequence[str]) -> str:
    r"""Arguments as one line that a shell splits into the same arguments.

    Quoted as POSIX shells do; an argument with characters that cannot be printed as $'…', which bash and zsh have.

    >>> print(command_line(["report", "--out", "my report", "a\nb", "it's"]))
    report --out 'my report' $'a\nb' 'it'"'"'s'
    """
    return " ".join(map(_quoted, arguments))


def _quoted(argument: str) -> str:
    if _SAFE_WORD.fullmatch(argument):
        return argument
    if all(_harmless(char) and char != "\n" and char != "\t" for char in argument):
        return shlex.quote(argument)
    known = {"\n": r"\n", "\t": r"\t", "\\": r"\\", "'": r"\'"}
    shown = (
        known.get(char) or (char if _harmless(char) else "".join(f"\\x{byte:02x}" for byte in os.fsencode(char)))
        for char in argument
    )
    return f"$'{''.join(shown)}'"


def _harmless(char: str) -> bool:
    if char.isascii():
        return char.isprintable() or char in "\n\t"
    return unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") and char not in _ORDERS
