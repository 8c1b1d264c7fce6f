"""The shape of a transfer function: falls, rises, rises then falls, … read from numbers, or from noisy numbers.

A shape is the sequence of the monotone runs of τ over ascending σ, in words: "falls", "rises, then falls". "flat"
where nothing changes. (f = sqrt(τ) has the same shape.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from scipy import stats

from theory.errors import InvalidInput

FALLS, RISES, RISES_THEN_FALLS = "falls", "rises", "rises, then falls"
PANELS = (FALLS, RISES_THEN_FALLS, RISES)  # the shapes of f in the three panels of arXiv:2006.10455, Fig. 20
FLAT, OTHER = "flat", "other"

_Pattern = tuple[int, ...]  # the signs of the runs, alternating


def shape_of(tau: Sequence[float] | np.ndarray) -> str:
    """The shape of τ, shape (k,), listed with σ ascending. Exact: every difference counts, however small.

    >>> shape_of([1.0, 2.0, 3.0, 2.5]), shape_of([3.0, 2.0]), shape_of([2.0, 1.0, 1.5]), shape_of([1.0])
    ('rises, then falls', 'falls', 'falls, then rises', 'flat')
    """
    values = _vector("tau", tau)
    return _words(_runs(np.sign(np.diff(values)).astype(int)))


def classify_interval(
    tau: Sequence[float] | np.ndarray,
    *,
    standard_errors: Sequence[float] | np.ndarray | None = None,
    covariance: np.ndarray | None = None,
    blocks: np.ndarray | None = None,
    confidence: float = 0.99,
    alternatives: Sequence[str] | None = None,
) -> str | None:
    """The shape of the true τ, if simultaneous intervals leave only one shape; otherwise None (undecided).

    Adjacent differences τ_{i+1} − τ_i get intervals of joint confidence by Bonferroni, from Gaussian errors: with
    `standard_errors` of independent τ_i, with their `covariance`, or with `blocks`, independent block means of equal
    weight, whose jackknife gives the errors of the differences themselves (Student's quantile, B − 1 degrees of
    freedom). A shape is left if some sequence of differences within all intervals has it; "flat" is never left.

    With `alternatives` (such as `PANELS`), only those shapes are considered possible: the answer is the one that is
    left, "other" if none is left, or None if several are. Without `alternatives` every shape is possible, so an
    undecided difference between two equal signs, or at an end, leaves the shape undecided.

    Parameters
    ----------
    tau : shape (k,), k >= 2, listed with σ ascending
    standard_errors : shape (k,)
    covariance : shape (k, k)
    blocks : shape (B, k), B >= 2
        Block means of τ, whose mean need not be `tau` exactly.
    confidence : float in (0, 1)
        Lower bound for the probability that the answer is right or None, when the true shape is possible.

    Raises
    ------
    InvalidInput
        Unless exactly one kind of error is given, of the shape that fits; or if an alternative is not a shape.

    Examples
    --------
    >>> classify_interval([1.0, 2.0, 2.1, 1.0], standard_errors=[0.1] * 4)
    'rises, then falls'
    >>> classify_interval([1.0, 2.0, 2.1], standard_errors=[0.1] * 3) is None
    True
    """
    values, standard_errors, covariance, blocks = _of_order_one(
        _vector("tau", tau), standard_errors, covariance, blocks
    )
    if len(values) < 2:
        raise InvalidInput("tau", values.tolist(), "needs at least two eigenspaces to have a shape")
    if not 0 < confidence < 1:
        raise InvalidInput("confidence", confidence, "must lie in (0, 1)")
    errors, quantile = _difference_errors(
        len(values), standard_errors, covariance, blocks, (1 - confidence) / (len(values) - 1)
    )
    differences, margin = np.diff(values), quantile * errors
    signs = [
        tuple(sign for sign, possible in ((1, upper > 0), (-1, lower < 0)) if possible)
        for lower, upper in zip(differences - margin, differences + margin, strict=True)
    ]
    left = _patterns(signs)
    if alternatives is None:
        return _words(left.pop()) if len(left) == 1 else None
    possible = [shape for shape in alternatives if _pattern(shape) in left]
    return OTHER if not possible else possible[0] if len(possible) == 1 else None


def _of_order_one(
    tau: np.ndarray,
    standard_errors: Sequence[float] | np.ndarray | None,
    covariance: np.ndarray | None,
    blocks: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """All over one power of two, the covariance over its square: no shape depends on it, and no square overflows."""
    scale = float(np.ldexp(1.0, min(int(np.frexp(np.abs(tau).max())[1]), 1023)))
    errors, spread = (None if part is None else np.asarray(part, float) / scale for part in (standard_errors, blocks))
    return tau / scale, errors, None if covariance is None else np.asarray(covariance, float) / scale / scale, spread


def _vector(name: str, values: Sequence[float] | np.ndarray) -> np.ndarray:
    vector = np.asarray(values, dtype=float)
    if vector.ndim != 1 or not len(vector):
        raise InvalidInput(f"{name}.shape", vector.shape, "must be (k,) with k >= 1")
    if not np.isfinite(vector).all():
        raise InvalidInput(name, "nan or inf", "must be finite")
    return vector


def _difference_errors(
    k: int,
    standard_errors: Sequence[float] | np.ndarray | None,
    covariance: np.ndarray | None,
    blocks: np.ndarray | None,
    alpha: float,
) -> tuple[np.ndarray, float]:
    """Standard errors of the k − 1 adjacent differences, and the two-sided quantile that belongs to them."""
    given = {"standard_errors": standard_errors, "covariance": covariance, "blocks": blocks}
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) != 1:
        raise InvalidInput("errors", chosen, "give one of standard_errors, covariance, blocks")
    values = np.asarray(given[chosen[0]], dtype=float)
    rule = {"standard_errors": f"({k},)", "covariance": f"({k}, {k})", "blocks": f"(B, {k}) with B >= 2"}[chosen[0]]
    fits = {
        "standard_errors": values.shape == (k,),
        "covariance": values.shape == (k, k),
        "blocks": values.ndim == 2 and values.shape[1] == k and len(values) >= 2,
    }[chosen[0]]
    if not fits:
        raise InvalidInput(f"{chosen[0]}.shape", values.shape, f"must be {rule}")
    if not np.isfinite(values).all():
        raise InvalidInput(chosen[0], "nan or inf", "must be finite")
    if blocks is not None:
        spread = np.diff(values, axis=1).std(axis=0, ddof=1)
        return spread / np.sqrt(len(values)), float(stats.t.isf(alpha / 2, len(values) - 1))
    matrix = np.diag(values**2) if standard_errors is not None else values
    variances = matrix.diagonal()[1:] + matrix.diagonal()[:-1] - matrix.diagonal(1) - matrix.diagonal(-1)
    if np.any(values < 0 if standard_errors is not None else variances < -1e-12 * np.abs(matrix).max()):
        raise InvalidInput(chosen[0], values.tolist(), "must not give a negative variance")
    return np.sqrt(np.maximum(variances, 0)), float(stats.norm.isf(alpha / 2))


def _patterns(signs: Sequence[tuple[int, ...]]) -> set[_Pattern]:
    """All sequences of runs that the possible signs of the differences allow; at most two of each length."""
    left: set[_Pattern] = {()}
    for possible in signs:
        left = {pattern if pattern[-1:] == (sign,) else (*pattern, sign) for pattern in left for sign in possible}
    return left


def _runs(signs: Iterable[int]) -> _Pattern:
    runs: list[int] = []
    for sign in signs:
        if sign and runs[-1:] != [sign]:
            runs.append(sign)
    return tuple(runs)


def _words(pattern: _Pattern) -> str:
    return ", then ".join(RISES if sign > 0 else FALLS for sign in pattern) or FLAT


def _pattern(shape: str) -> _Pattern:
    signs = {RISES: 1, FALLS: -1}
    words = shape.split(", then ")
    if not all(word in signs for word in words) or any(a == b for a, b in pairwise(words)):
        raise InvalidInput("alternatives", shape, 'must be shapes such as "falls" or "rises, then falls"')
    return tuple(signs[word] for word in words)
