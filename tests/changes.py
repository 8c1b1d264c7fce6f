"""Settings and experiments with other values."""

from __future__ import annotations

from typing import Any

import msgspec


def changed(struct: Any, **parts: Any) -> Any:
    """A setting or experiment with other values, by section; `kinds` and the like are replaced as they are."""
    return msgspec.structs.replace(
        struct, **{name: changed(getattr(struct, name), **new) if isinstance(new, dict) else new
                   for name, new in parts.items()}
    )  # fmt: skip
