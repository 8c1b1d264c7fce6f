"""How much memory one array may take, and how many updates a form may compute, before a run is refused.

A few bytes can request any amount of work: a shape declared in a file, an archive that unpacks to a thousand times its
size, a dimension in a setting. Such requests are refused before the work starts.
"""

from __future__ import annotations

import os

from theory.checked import require
from theory.errors import NoClosedForm

VARIABLE = "EIGENALIGN_MEMORY"  # the environment variable that sets the largest array, in GiB
UPDATES = "EIGENALIGN_UPDATES"  # the environment variable that sets the most updates that a form computes one by one
MOST_UPDATES = 2**24  # the most updates that a form computes one by one, where the environment does not set it
GIB = 2**30  # bytes per GiB
_DEFAULT = 4.0


def memory() -> int:
    """The bytes that one array may take: 4 GiB, or as many GiB as the environment variable EIGENALIGN_MEMORY says.

    Raises
    ------
    InvalidInput
        If EIGENALIGN_MEMORY is not a positive number.
    """
    text = os.environ.get(VARIABLE, "")
    try:
        found = float(text) if text else _DEFAULT
    except ValueError:
        found = 0.0
    require(0 < found < 2**20, VARIABLE, text, "must be a positive number of GiB, such as 16")
    return int(found * GIB)


def require_updates(count: int) -> None:
    """Refuse a closed form that computes its updates one by one if there are more than 2^24.

    Raises
    ------
    NoClosedForm
        If the limit is exceeded; the message names it, and how to raise it.
    InvalidInput
        If the environment variable that sets the limit is not a number.
    """
    text = os.environ.get(UPDATES, "")
    require(not text or (text.isascii() and text.isdecimal() and len(text) < 16), UPDATES, text, "must be a number")
    most = int(text or MOST_UPDATES)
    if count > most:
        rule = f"this form computes updates one by one, at most {most}: raise the environment variable {UPDATES}"
        raise NoClosedForm("training.steps", count, rule)


def require_memory(needed: float, key: str, value: object, what: str) -> None:
    """Raise InvalidInput(key, value, …) if `what`, an array of `needed` bytes, is larger than the limit.

    Raises
    ------
    InvalidInput

    Examples
    --------
    >>> require_memory(1e13, "data.samples", 10**9, "the rows")
    Traceback (most recent call last):
        ...
    theory.errors.InvalidInput: data.samples = 1000000000: the rows need 9.3e+03 GiB, and the limit for one array is \
4 GiB: set the environment variable EIGENALIGN_MEMORY to more GiB to raise it
    """
    limit = memory()
    rule = (
        f"{what} need {needed / GIB:.2g} GiB, and the limit for one array is {limit / GIB:.3g} GiB: set the "
        f"environment variable {VARIABLE} to more GiB to raise it"
    )
    require(needed <= limit, key, value, rule)
