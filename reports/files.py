"""Files that are whole or absent: written beside their place, then moved into it; and names that all systems take."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from theory.errors import InvalidInput

_LONGEST = 120  # characters of a name, of which file systems take 255 bytes


def write_atomically(path: Path, content: bytes | str) -> Path:
    r"""Write `content` to `path`, creating its folder; a reader never sees half a file, text is UTF-8 with "\n".

    What UTF-8 has not, such as the lone surrogates of a file's name that is no text, is written as its escape.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:32]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def require_apart(key: str, path: Path, sources: Iterable[str]) -> None:
    """Raise InvalidInput(key, path, …) where a file is to be written in place of one that is read, FILE or FILE:KEY."""
    for source in sources:
        names = [source, *(source[: found.start()] for found in re.finditer(":", source))]
        if os.path.exists(path) and any(os.path.exists(name) and os.path.samefile(path, name) for name in names):
            raise InvalidInput(key, str(path), "is read: another name keeps what it holds")


def file_name(name: str) -> str:
    """A table's or figure's name as every file system, LaTeX and HTML's ids take it; a long one ends with its hash.

    >>> file_name("A4_many rows/σ: 50%")
    'A4-many-rows-50'
    """
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.") or "unnamed"
    if len(plain) <= _LONGEST:
        return plain
    return f"{plain[:_LONGEST]}-{hashlib.sha256(name.encode(errors='backslashreplace')).hexdigest()[:8]}"


def _umask() -> int:
    """The process's mask: mkstemp makes private files, a report is to be read by others."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
