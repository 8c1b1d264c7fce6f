"""The progress of long predictions: announced by the forms that take more than seconds, received by listeners.

>>> with listening(lambda done, most: print(f"{done} of at most {most}")):
...     tell(1, 32)
1 of at most 32
>>> tell(2, 32)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[int, int], None]


def _nobody(done: int, most: int) -> None:
    """The listener outside of `listening`: does nothing."""


_listener: ContextVar[Listener] = ContextVar("listener", default=_nobody)


def tell(done: int, most: int) -> None:
    """Announce that `done` runs of at most `most` are done; fewer may turn out to be enough."""
    _listener.get()(done, most)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call `listener` with everything announced within the block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
