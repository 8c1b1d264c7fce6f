"""For all tests of transfer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulate.devices import one_thread


@pytest.fixture(autouse=True)
def _small_products() -> Iterator[None]:
    """Run on one thread, on which small products are fastest."""
    with one_thread():
        yield
