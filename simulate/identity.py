"""The identity of an ensemble: which settings draw the same replicas."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from simulate.datasets import data_files
from simulate.streams import SCHEME
from theory.setting import InvalidInput, Setting


def digest(setting: Setting) -> str:
    """SHA-256 of all that decides what replica r of a setting is, as 64 hexadecimal digits.

    These are the setting's values, without the number of replicas (an ensemble may grow), the contents of its data
    files in place of their paths, and the version of the random scheme.

    Raises
    ------
    InvalidInput
        Where a data file cannot be read.

    >>> from theory.setting import Data, Ensemble
    >>> data = Data(kind="gaussian", spectrum=(1.0, 2.0))
    >>> a, b, c = (Setting(data=data, ensemble=Ensemble(replicas=r, seed=s)) for r, s in ((5, 0), (9, 0), (5, 1)))
    >>> digest(a) == digest(b), digest(a) == digest(c)
    (True, False)
    """
    values = msgspec.to_builtins(setting)
    del values["ensemble"]["replicas"]
    for key, files in data_files(setting.data).items():
        values["data"][key] = _content(f"data.{key}", values["data"][key], files)
    values["random_scheme"] = SCHEME
    return hashlib.sha256(msgspec.json.encode(values, order="sorted")).hexdigest()


def _content(key: str, path: str | None, files: list[Path]) -> str:
    """The SHA-256 of the files' own SHA-256, in order."""
    hashed = hashlib.sha256()
    try:
        for file in files:
            with open(file, "rb") as stream:
                hashed.update(hashlib.file_digest(stream, "sha256").digest())
    except OSError as error:
        raise InvalidInput(key, path, f"cannot be read ({error.strerror})") from None
    return hashed.hexdigest()
