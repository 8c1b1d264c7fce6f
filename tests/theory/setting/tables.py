"""Tables of a setting that tests change."""

from __future__ import annotations

import tomllib

from theory.setting import (
    Data,
    Setting,
)

GAUSSIAN = Data(kind="gaussian", spectrum=(1.0, 2.0))


def build(text: str) -> Setting:
    """A setting from TOML text."""
    return Setting(**tomllib.loads(text))


def data(**keys: object) -> Data:
    """Gaussian data with changes."""
    return Data(**{"kind": "gaussian", "spectrum": (1.0, 2.0), **keys})  # type: ignore[arg-type]
