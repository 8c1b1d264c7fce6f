"""For all tests of transfer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulate.devices import one_thread


@pytest.fixture(autouse=True)
def _small_products() -> Iterator[None]:
    """They are fastest on one thread."""
    with one_thread():
        yield
