"""The phase diagram of the transfer function: where it falls, rises and then falls, or rises.

In gradient flow the shape of f on data eigenvalues [s_min, s_max] depends on c = σ_0² n/(σ_y² η t) and on the two ends
u = ηt s alone (theory/derivations.md, section 1.7). Both boundaries are one curve, c*(u) = ½ − ½(ℰ(u) − 1)² with
ℰ(u) = (e^u − 1)/u, the inverse of u*(c) of `theory.linear.shape.flow_peak`:

    f rises on the whole range         iff  c < ½ and c <= c^{*}(ηt s_max),
    f falls on the whole range         iff  c >= c^{*}(ηt s_min)  (c^{*}(0) = ½),
    f rises, then falls                otherwise; the peak is where c = c^{*}(ηt s).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import exprel

from theory.errors import InvalidInput
from theory.linear.shape import flow_peak
from theory.shape import PANELS


def phase_boundary(u: np.ndarray | float) -> np.ndarray:
    """c*(u) = ½ − ½(ℰ(u) − 1)²: F_c rises at u iff c < c*(u). Exact for gradient flow; negative beyond u*(0) = 1.2564.

    >>> phase_boundary(0.0).tolist(), round(float(phase_boundary(1.2564312086)), 9)
    (0.5, 0.0)
    """
    u = np.asarray(u, dtype=float)
    with np.errstate(over="ignore"):
        return np.asarray(0.5 - 0.5 * (exprel(u) - 1) ** 2)


def peaks(c: np.ndarray) -> np.ndarray:
    """u*(c) for every c of an array, 0 where F_c only falls (c >= ½): the other coordinates of the same curve."""
    c = np.asarray(c, dtype=float)
    return np.array([flow_peak(float(value)) or 0.0 for value in c.ravel()]).reshape(c.shape)


def phase(c: np.ndarray | float, highest: np.ndarray | float, lowest: np.ndarray | float = 0.0) -> np.ndarray:
    """The shape on [lowest, highest] = ηt·[s_min, s_max] as an index into `theory.shape.PANELS`, arguments broadcast.

    0 falls, 1 rises and then falls, 2 rises. Exact for gradient flow; agrees with `theory.linear.shape.flow_shape`.

    Raises
    ------
    InvalidInput
        Unless c >= 0 and 0 <= lowest < highest everywhere.

    Examples
    --------
    >>> phase(np.array([[0.1], [0.6]]), np.array([1.0, 9.0])).tolist()
    [[2, 1], [0, 0]]
    """
    c, highest, lowest = np.broadcast_arrays(*(np.asarray(value, dtype=float) for value in (c, highest, lowest)))
    if not np.all(c >= 0):
        raise InvalidInput("c", float(np.min(c)), "must not be negative")
    if not np.all((lowest >= 0) & (lowest < highest)):
        raise InvalidInput("lowest, highest", (lowest.tolist(), highest.tolist()), "must satisfy 0 <= lowest < highest")
    falls = (c >= 0.5) | (c >= phase_boundary(lowest))
    rises = ~falls & (c <= phase_boundary(highest))
    return np.where(falls, 0, np.where(rises, 2, 1))


@dataclass(frozen=True, eq=False)
class PhaseDiagram:
    """A map of shapes to draw: regions on a grid, and their boundaries as curves.

    Attributes
    ----------
    c : ndarray, shape (k,)
    highest : ndarray, shape (l,)
        ηt s_max.
    spread : float
        s_min/s_max of the data.
    shape : ndarray, shape (k, l)
        Indices into `shapes`.
    shapes : tuple of str
    rises_below : ndarray, shape (l,)
        The c up to which f rises on the whole range; below 0: nowhere.
    falls_above : ndarray, shape (l,)
        The c from which f falls on the whole range; below 0: everywhere.
    """

    c: np.ndarray
    highest: np.ndarray
    spread: float
    shape: np.ndarray
    shapes: tuple[str, ...]
    rises_below: np.ndarray
    falls_above: np.ndarray


def phase_diagram(c: np.ndarray, highest: np.ndarray, spread: float = 0.0) -> PhaseDiagram:
    """The map over (c, ηt s_max) for data with s_min = `spread`·s_max.

    Raises
    ------
    InvalidInput
        Unless c >= 0, highest > 0, 0 <= spread < 1.

    Examples
    --------
    >>> diagram = phase_diagram(np.array([0.1]), np.array([0.5, 2.0, 20.0]), spread=0.1)
    >>> [diagram.shapes[k] for k in diagram.shape[0]]
    ['rises', 'rises, then falls', 'falls']
    """
    if not 0 <= spread < 1:
        raise InvalidInput("spread", spread, "must lie in [0, 1)")
    c, highest = np.asarray(c, dtype=float), np.asarray(highest, dtype=float)
    if c.ndim != 1 or highest.ndim != 1:
        raise InvalidInput("c, highest", (c.shape, highest.shape), "must be two lists of numbers")
    return PhaseDiagram(
        c=c,
        highest=highest,
        spread=spread,
        shape=phase(c[:, None], highest, spread * highest),
        shapes=PANELS,
        rises_below=phase_boundary(highest),
        falls_above=phase_boundary(spread * highest),
    )


def decay_peak(decay: float) -> float:
    """ηt s at the peak of f with weight decay and σ_0 = 0, gradient flow, for ℓ = λ·ηt >= 0.

    With v = (s + λ)ηt the only root v > ℓ of

        (v − ℓ)(2/v − 2/(e^v − 1)) = 1;    returned is v − ℓ.

    (1/(v − ℓ) = d log/dv of v²/(1 − e^{−v})²; unique, since v·(2/v − 2/(e^v − 1)) increases.) u*(0) = 1.2564312 without
    decay; tends to ℓ (s = λ) as training converges. Exact for flow.

    Raises
    ------
    InvalidInput
        If `decay` is negative or not finite.

    Examples
    --------
    >>> round(decay_peak(0.0), 7), round(decay_peak(1.0), 4), round(decay_peak(50.0), 6)
    (1.2564312, 1.6639, 50.0)
    """
    if not 0 <= decay < np.inf:
        raise InvalidInput("decay", decay, "must be finite and not negative")

    def excess(u: float) -> float:
        v = u + decay
        # 2/v − 2/(e^v − 1) = 2(ℰ(v) − 1)/(v ℰ(v)), and tends to 1 at 0
        growth = float(exprel(min(v, 700.0)))
        return 2 * (u / v) * ((growth - 1) / growth) - 1  # in this order, so that no product overflows

    return float(brentq(excess, 1e-9, 2 * decay + 3, xtol=1e-14, rtol=1e-14))
