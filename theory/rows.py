"""The rows X on which a prediction is conditional, checked against the setting that they belong to."""

from __future__ import annotations

import numpy as np

from theory.errors import InvalidInput
from theory.setting import Setting


def checked_rows(setting: Setting, rows: np.ndarray | None) -> np.ndarray | None:
    """`rows` as float64 (n, d), checked against the setting: given if and only if the data are fixed.

    Raises
    ------
    InvalidInput
        If they are missing or not allowed, not real and finite, not n = data.samples rows, or of another dimension.
    """
    data = setting.data
    if not data.fixed:
        if rows is not None:
            raise InvalidInput("rows", f"array of shape {np.shape(rows)}", "must be absent when data.fixed = false")
        return None
    given = required_rows(rows)
    try:
        array = np.asarray(given)
    except (TypeError, ValueError):
        raise InvalidInput("rows", type(given).__name__, "must be an array (n, d)") from None
    if array.dtype.kind not in "fiu":
        raise InvalidInput("rows.dtype", str(array.dtype), "must be real numbers")
    if array.ndim != 2 or array.shape[1] == 0:
        raise InvalidInput("rows.shape", array.shape, "must be (n, d) with d >= 1")
    if array.shape[0] != data.samples:
        raise InvalidInput("rows.shape", array.shape, f"must have data.samples = {data.samples} rows")
    if data.dimension not in (None, array.shape[1]):
        raise InvalidInput("rows.shape", array.shape, f"must have {data.dimension} columns, one per eigenvalue")
    if not np.isfinite(array).all():
        raise InvalidInput("rows", "nan or inf", "must be finite")
    return array.astype(np.float64, copy=False)


def required_rows(rows: np.ndarray | None) -> np.ndarray:
    """`rows`, for a prediction that is conditional on them and requires them.

    Raises
    ------
    InvalidInput
        If there are none.
    """
    if rows is None:
        raise InvalidInput("rows", None, "is needed when data.fixed = true: the prediction is conditional on X")
    return rows
