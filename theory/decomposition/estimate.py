"""The decomposition from networks whose initial weights are known, with standard errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from theory.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class EstimatedParts:
    """τ_k = A_k² τ_k(0) + F_k as estimated from n independent groups of weights. Arrays of shape (k,).

    Attributes
    ----------
    groups : int
        n.
    multiplicity : tuple of int, length k
    initial, tau : ndarray
        τ(0) and τ, means over groups.
    amplitude, carried, written : ndarray
        A, A² τ(0) and F; the latter two add up to τ.
    errors : dict of str to ndarray
        Jackknife standard errors of "amplitude", "carried", "written", "tau"; NaN for fewer than three groups.
    share, share_error : float
        tr F / tr Σ_w over all directions: how much of Σ_w training has written.
    gain, gain_error : float
        tr A² Σ_0 / tr Σ_0: the factor by which training has multiplied the variance of initial weights.
    """

    groups: int
    multiplicity: tuple[int, ...]
    initial: np.ndarray
    tau: np.ndarray
    amplitude: np.ndarray
    carried: np.ndarray
    written: np.ndarray
    errors: dict[str, np.ndarray]
    share: float
    share_error: float
    gain: float
    gain_error: float

    def half_width(self, error: Any, *, tests: int = 1, confidence: float = 0.95) -> Any:
        """Half-widths of `tests` simultaneous intervals by Student's law with n − 1 degrees of freedom (Bonferroni)."""
        return stats.t.isf((1 - confidence) / 2 / tests, self.groups - 1) * error

    def interval(self, value: Any, error: Any) -> tuple[Any, Any]:
        """The 95 % interval of F, or of another mean of squares that may be near 0, from its standard error.

        The lower end is Student's. The upper end, where few skewed values are too small more often than too large, is
        that of the logarithm, h (e^x − 1)/x with x = h/F at most 1.
        """
        half = self.half_width(error)
        with np.errstate(divide="ignore", invalid="ignore"):
            x = np.clip(np.where(value > 0, half / value, 1.0), 1e-9, 1.0)
        return value - half, value + half * np.expm1(x) / x


def estimated_parts(
    initial: np.ndarray, cross: np.ndarray, trained: np.ndarray, *, multiplicity: Sequence[int] | None = None
) -> EstimatedParts:
    """The parts from means, within each group r, of w_0², w_0 w_t and w_t² along every eigendirection, (n, k) each.

    Groups are independent and identically distributed: networks, or the units of one network. Sums over them give

        A = Σ_r c_r / Σ_r z_r,    A² τ(0) = z̄ Σ_{r≠s} c_r c_s / Σ_{r≠s} z_r z_s,    F = τ̄ − A² τ(0).

    Products of different groups have the expectation (E c)² and (E z)². The square of an estimated A would be too large
    by its variance, F/(τ(0) m) from m independent weights. F may come out negative where it is near 0. Standard errors
    are those of the jackknife over groups, with √2 τ(0) SE(A)² added in quadrature to those of A² τ(0) and F: the
    remaining scatter of a square whose mean is near 0, and NaN where fewer than three groups have initial weights. The
    units of one network share its rows and labels: their errors
    say how well the law of *this* network's units is known.

    Parameters
    ----------
    initial, cross, trained : ndarray, shape (n, k)
        Means over the directions of an eigenspace, and over the weights in a group. n >= 2.
    multiplicity : sequence of int, length k
        Dimensions of the eigenspaces, for the totals; 1 each if None.

    Raises
    ------
    InvalidInput
        If shapes differ, numbers are not finite, there are fewer than two groups, or initial weights are all 0.

    Examples
    --------
    >>> z, c = np.array([[1.0], [3.0], [2.0]]), np.array([[2.0], [6.0], [4.0]])
    >>> parts = estimated_parts(z, c, np.array([[5.0], [13.0], [9.0]]))
    >>> parts.amplitude.tolist(), parts.carried.tolist(), parts.written.tolist()
    ([2.0], [8.0], [1.0])
    """
    initial, cross, trained = (np.asarray(each, dtype=float) for each in (initial, cross, trained))
    if initial.ndim != 2 or len({each.shape for each in (initial, cross, trained)}) > 1:
        found = ", ".join(str(each.shape) for each in (initial, cross, trained))
        raise InvalidInput("initial, cross, trained", found, "must have one shape (n, k)")
    if len(initial) < 2:
        raise InvalidInput("groups", len(initial), "must be at least 2: products of different groups are needed")
    if not all(np.isfinite(each).all() for each in (initial, cross, trained)):
        raise InvalidInput("initial, cross, trained", "nan or inf", "must be finite")
    if np.any(np.count_nonzero(initial > 0, axis=0) < 2):
        raise InvalidInput("initial", 0.0, "must be positive in two groups along every eigendirection")
    sizes = tuple(multiplicity) if multiplicity is not None else (1,) * initial.shape[1]
    if len(sizes) != initial.shape[1]:
        raise InvalidInput("multiplicity", sizes, f"must have one entry for each of {initial.shape[1]} eigenspaces")
    whole = _quantities(tuple(each[None] for each in _sums(initial, cross, trained)), len(initial), np.array(sizes))
    errors = {name: np.full_like(value[0], np.nan) for name, value in whole.items()}
    count = len(initial)
    if count > 2:
        singles = _terms(initial, cross, trained)
        without = tuple(total[None] - each for total, each in zip(_sums(initial, cross, trained), singles, strict=True))
        fewer = _quantities(without, count - 1, np.array(sizes))
        with np.errstate(invalid="ignore"):
            for name, values in fewer.items():
                errors[name] = np.sqrt((count - 1) / count * ((values - values.mean(axis=0)) ** 2).sum(axis=0))
        # without one of two groups there is no product of different ones, and its rounding is no number
        scarce = np.count_nonzero(initial > 0, axis=0) < 3
        for name in ("carried", "written"):
            errors[name] = np.where(scarce, np.nan, errors[name])
        for name in ("share", "gain"):
            errors[name] = np.where(scarce.any(), np.nan, errors[name])
        # the jackknife sees the linear part of A²: where A is near 0, that is none of it
        bent = np.sqrt(2) * errors["amplitude"] ** 2 * whole["initial"][0]
        errors["carried"], errors["written"] = (np.hypot(errors[name], bent) for name in ("carried", "written"))
        total = float(np.linalg.norm(bent * sizes))
        errors["share"] = np.hypot(errors["share"], total / (whole["tau"][0] @ sizes))
        errors["gain"] = np.hypot(errors["gain"], total / (whole["initial"][0] @ sizes))
    return EstimatedParts(
        groups=count,
        multiplicity=sizes,
        initial=whole["initial"][0],
        tau=whole["tau"][0],
        amplitude=whole["amplitude"][0],
        carried=whole["carried"][0],
        written=whole["written"][0],
        errors={name: errors[name] for name in ("amplitude", "carried", "written", "tau")},
        share=float(whole["share"][0]),
        share_error=float(errors["share"]),
        gain=float(whole["gain"][0]),
        gain_error=float(errors["gain"]),
    )


def _terms(initial: np.ndarray, cross: np.ndarray, trained: np.ndarray) -> tuple[np.ndarray, ...]:
    """What is summed over groups: z, c, τ, z², c²."""
    return initial, cross, trained, initial**2, cross**2


def _sums(initial: np.ndarray, cross: np.ndarray, trained: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(each.sum(axis=0) for each in _terms(initial, cross, trained))


def _quantities(sums: tuple[np.ndarray, ...], count: int, sizes: np.ndarray) -> dict[str, np.ndarray]:
    """All estimates from the sums of `_terms` over `count` groups, (…, k); totals (…,)."""
    z, c, t, zz, cc = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        initial, tau, amplitude = z / count, t / count, c / z
        carried = initial * (c**2 - cc) / (z**2 - zz)
    written = tau - carried
    trace = tau @ sizes
    return {
        "initial": initial,
        "tau": tau,
        "amplitude": amplitude,
        "carried": carried,
        "written": written,
        "share": (written @ sizes) / trace,
        "gain": (carried @ sizes) / (initial @ sizes),
    }
