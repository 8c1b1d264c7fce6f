"""The identity of an ensemble: which settings draw the same replicas."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from simulate.datasets import data_files
from simulate.streams import SCHEME
from theory.setting import Data, Experiment, InvalidInput, Setting


def digest(setting: Setting) -> str:
    """SHA-256 of everything that determines replica r of a setting, as 64 hexadecimal digits.

    These are the setting's values, without the number of replicas (an ensemble may grow), the contents of its data
    files in place of their paths, and the version of the random scheme.

    Raises
    ------
    InvalidInput
        If a data file cannot be read.

    Examples
    --------
    >>> from theory.setting import Data, Ensemble
    >>> data = Data(kind="gaussian", spectrum=(1.0, 2.0))
    >>> a, b, c = (Setting(data=data, ensemble=Ensemble(replicas=r, seed=s)) for r, s in ((5, 0), (9, 0), (5, 1)))
    >>> digest(a) == digest(b), digest(a) == digest(c)
    (True, False)
    """
    values = msgspec.to_builtins(setting)
    return _digest(values, setting.data, values["data"], "data")


def experiment_digest(experiment: Experiment) -> str:
    """SHA-256 of everything that determines replica r of a transfer experiment, likewise.

    If weights are drawn from the moments of other replicas, their number matters, too; it is left out nevertheless.
    """
    values = msgspec.to_builtins(experiment)
    return _digest(values, experiment.upstream.data, values["upstream"]["data"], "upstream.data")


def _digest(values: dict[str, Any], data: Data, section: dict[str, Any], key: str) -> str:
    """The digest of the values, in which `section`, called `key` in messages, is the data's."""
    del values["ensemble"]["replicas"]
    for name, files in data_files(data).items():
        section[name] = _content(f"{key}.{name}", section[name], files)
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
