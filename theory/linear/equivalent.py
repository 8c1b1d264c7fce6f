"""The average of a function of S = X'X/n over Gaussian rows: deterministic equivalents, by contour integration.

For rows N(0, Σ), S has no fixed eigenbasis, but E[g(S)] has that of Σ. With m̃(z) the solution of

    −1/m̃ = z − (1/n) Σ_j s_j/(1 + m̃ s_j),      Im m̃ > 0 for Im z > 0,

and u_i = 1/(1 + m̃ s_i), the resolvent is E[(z − S)⁻¹]_ii = u_i/z + O(1/n), hence

    E[g(S)]_ii ≃ (1/2πi) ∮ g(z) u_i(z)/z dz                                                                     (1/n)

for g analytic inside a contour around the spectrum and 0 (Silverstein and Bai 1995).

**The term of order 1/n.** Gaussian integration by parts, E[x f(x)] = Σ E[∇f], on E[x xᵀ Q], Q = (S − z)⁻¹, gives

    1 + z E[Q] = Σ (α E[Q] − (1/n) d/dz (z E[Q])) + O(1/n²),      α = 1 − (1/n) E tr(S Q):

since tr(S Q) and Q_ii have a covariance of order 1/n, which enters divided by n. The derivative is the additional term
for real rows, compared with complex ones. To leading order Q_ii = 1/(α s_i − z), which is the above with α = −z m̃; the
next order is

    E[(z − S)⁻¹]_ii = u/z + (1/n) [s δ u²/z² + s² m̃' u³/z] + O(1/n²),     u = u_i, s = s_i,
    δ = (m̃'/n) Σ_j s_j² u_j³ / (1 − (1/(nz)) Σ_j s_j u_j²),      m̃' = 1/(1/m̃² − (1/n) Σ_j s_j² u_j²).

With it E[S] and E[S²] are exact. Nodes come in conjugate pairs: only those above the real axis are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from scipy.optimize import brentq

from theory.errors import InvalidInput

AnalyticFunction = Callable[[np.ndarray], np.ndarray]
"""g: complex z (m,) → (r, m), real on the real axis, analytic inside the contour."""

COARSE_NODES, FEWEST_NODES = 64, 400
MOST_NODES = 1 << 17  # the most nodes on a contour
# The change, relative to the largest value, below which the nodes are not doubled again.
STABLE = 1e-10


@dataclass(frozen=True)
class Edge:
    """The upper end of the spectrum of S as n and d grow, and the scatter of the largest eigenvalue of a draw about it.

    Attributes
    ----------
    position : float
        x_+.
    scale : float
        The largest eigenvalue is x_+ + scale · (a Tracy–Widom variable, β = 1), of order n^(−2/3).
    """

    position: float
    scale: float


def upper_edge(spectrum: np.ndarray, samples: int) -> Edge:
    """x_+ = min over −1/s_max < m < 0 of x(m) = −1/m + (1/n) Σ_j s_j/(1 + s_j m).

    Exact for the limiting spectrum: x' has one zero there, where the support ends (Silverstein and Choi 1995), and the
    largest eigenvalue fluctuates about it by (x''/2)^{1/3} n^{−2/3} (El Karoui 2007; Lee and Schnelli 2016).

    Parameters
    ----------
    spectrum : ndarray, shape (d,)
        Eigenvalues of Σ, at least one positive.
    samples : int

    Examples
    --------
    Σ = 1: (1 + sqrt(d/n))².

    >>> round(upper_edge(np.ones(25), 100).position, 12)
    2.25
    """
    s = np.asarray(spectrum, dtype=float)
    relative = s / s.max()  # in units of the largest eigenvalue, m = −r, 0 < r < 1

    def excess(r: float) -> float:
        return float(np.sum((relative * r / (1 - relative * r)) ** 2)) / samples - 1

    # the sum has between 1 and d terms as large as the largest one
    low, high = 1 / (1 + np.sqrt(len(s) / samples)), 1 / (1 + np.sqrt(1 / samples))
    r = brentq(excess, low * (1 - 1e-9), high * (1 + 1e-9 / samples), xtol=1e-15, rtol=1e-14)
    v = relative / (1 - relative * r)
    curvature = 2 / r**3 + 2 * np.sum(v**3) / samples
    position = s.max() * (1 / r + np.sum(v) / samples)
    return Edge(float(position), float(s.max() * (curvature / 2) ** (1 / 3) * samples ** (-2 / 3)))


def companion(z: np.ndarray, spectrum: np.ndarray, samples: int, guess: np.ndarray | None = None) -> np.ndarray:
    """m̃(z) for Im z > 0, (m,) → (m,): the Stieltjes transform of the limiting spectrum of X X'/n.

    Newton's method, from a `guess` if it is given and leads into the upper half plane, in which the solution is unique;
    otherwise by following z down from a point high above it, where m̃ ≈ −1/z: each move halves the distance to the real
    axis, so it stays inside the disc where m̃ is analytic. Solved to rounding.

    >>> z, s = np.array([1.0 + 1.0j]), np.array([1.0, 2.0])
    >>> m = companion(z, s, 3)[0]
    >>> bool(abs(-1 / m - z[0] + (s / (1 + m * s)).sum() / 3) < 1e-14), bool(m.imag > 0)
    (True, True)
    """
    z = np.asarray(z, dtype=complex)
    s, weight = _levels(spectrum)
    weight = weight / samples
    if guess is not None:
        m, solved = _newton(z, s, weight, guess, 12)
        if not solved.all():
            m[~solved] = companion(z[~solved], spectrum, samples)
        return m
    top = 4 * (s.max() * (1 + np.sqrt(weight.sum())) ** 2 + np.abs(z).max())
    lifts = int(np.ceil(np.log2(top / z.imag.min()))) + 1
    m = -1 / (z + 1j * top)
    for k in range(lifts):
        m, _ = _newton(z + 1j * top * 0.5**k, s, weight, m, 2)
    m, solved = _newton(z, s, weight, m, 50)
    if not solved.all():
        raise InvalidInput("samples", samples, "and this spectrum have no solution m̃ that rounding lets us find")
    return m


def _newton(
    z: np.ndarray, s: np.ndarray, weight: np.ndarray, start: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Newton's method for m̃, and where it has converged (a small last step, Im m̃ > 0): (m,) each."""
    m = np.array(start, dtype=complex)
    size = np.full(len(m), np.inf)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for _ in range(most):
            v = s / (1 + m[:, None] * s)
            step = (1 / m + z - v @ weight) / (1 / m**2 - (v * v) @ weight)
            m, size = m + step, np.abs(step / m)
            if np.all(size < 1e-9):  # convergence is quadratic: what is left is its square
                break
    return m, (size < 1e-9) & (m.imag > 0)


def deterministic_equivalent(
    function: AnalyticFunction, spectrum: np.ndarray, samples: int, *, margin: float, nodes: int = FEWEST_NODES
) -> tuple[np.ndarray, np.ndarray]:
    """E[g(S)]_ii for rows N(0, Σ): the leading order, and the term of order 1/n to be added to it; both (r, d).

    The contour is the ellipse with foci 0 and x_+ and horizontal semi-axis x_+/2 + ε (ε = `margin`), so its vertical
    one is sqrt(ε² + ε x_+); trapezoidal rule in its angle, nodes at half-offset angles, doubled until neither result
    moves by more than 1e-10 of its largest entry.

    Parameters
    ----------
    function : callable, (m,) complex → (r, m) complex
        g, several at once; analytic inside the ellipse.
    spectrum : ndarray, shape (d,)
        Eigenvalues of Σ.
    samples : int
        n.
    margin : float
        ε: small enough that g stays of order one on the ellipse, and its poles outside.
    nodes : int
        The number of nodes to start with.

    Returns
    -------
    leading, correction : ndarray, shape (r, d)

    Raises
    ------
    InvalidInput
        If g is not finite on the ellipse, or 2^17 nodes are not enough.

    Examples
    --------
    E[S²] = s² + s tr Σ/n + s²/n.

    >>> leading, correction = deterministic_equivalent(lambda z: z[None] ** 2, np.array([1.0, 2.0]), 10, margin=0.5)
    >>> leading.round(9).tolist(), correction.round(9).tolist()
    ([[1.3, 4.6]], [[0.1, 0.4]])
    """
    s, back = np.unique(np.asarray(spectrum, dtype=float), return_inverse=True)
    before: np.ndarray | None = None
    for path in contours(spectrum, samples, margin, nodes):
        with np.errstate(over="ignore", invalid="ignore"):
            values = function(path.z) * path.weight
        if not np.isfinite(values).all():
            raise InvalidInput("margin", margin, "is too wide: the function is not finite on the contour")
        after = np.stack([(values @ kernel).imag for kernel in resolvent(path, spectrum, samples, s)])
        if before is not None and settled(before, after, STABLE):
            if s[0] == 0:  # rows never move there, and g(0) may be tiny: without the rounding of the contour
                after[:, :, 0] = function(np.zeros(1, complex)).real[:, 0], np.zeros(len(values))
            return after[0][:, back], after[1][:, back]
        before = after
    raise InvalidInput("margin", margin, f"is too small: {MOST_NODES} nodes do not resolve the contour")


@dataclass(frozen=True, eq=False)
class Contour:
    """The upper half of the ellipse around [0, x_+]: nodes, weights, and m̃ there; (m,) each.

    For f real on the real axis, (1/2πi) ∮ f dz ≃ Im Σ_k weight_k f(z_k).
    """

    z: np.ndarray
    weight: np.ndarray
    m: np.ndarray


def contours(spectrum: np.ndarray, samples: int, margin: float, nodes: int = FEWEST_NODES) -> Iterator[Contour]:
    """The ellipse with so many nodes, then with twice as many, … up to `MOST_NODES`; m̃ refined from one to the next.

    >>> path = next(contours(np.array([1.0]), 10, 0.5))
    >>> round(float((path.weight * np.exp(path.z) / path.z).sum().imag), 12)
    1.0
    """
    edge = upper_edge(spectrum, samples).position
    across, up = edge / 2 + margin, np.sqrt(margin**2 + margin * edge)
    known: tuple[np.ndarray, np.ndarray] | None = None
    for count in (COARSE_NODES, *takewhile(lambda k: k <= MOST_NODES, (nodes << j for j in range(64)))):
        angles = 2 * np.pi * (np.arange(count // 2) + 0.5) / count
        z = edge / 2 + across * np.cos(angles) + 1j * up * np.sin(angles)
        m = companion(z, spectrum, samples, None if known is None else np.interp(angles, *known))
        if known is not None:
            # (1/2πi) ∮ is (1/π) Im of the upper half
            yield Contour(z, (-across * np.sin(angles) + 1j * up * np.cos(angles)) * 2 / count, m)
        known = (angles, m)


def resolvent(path: Contour, spectrum: np.ndarray, samples: int, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E[(z − S)⁻¹] in directions of eigenvalue `at` (k,): leading order and the term of order 1/n, both (m, k).

    On the nodes of a contour; see the module docstring.
    """
    levels, weight = _levels(spectrum)
    weight = weight / samples
    z, m = path.z, path.m
    u = 1 / (1 + m[:, None] * levels)
    slope = 1 / (1 / m**2 - (levels * u) ** 2 @ weight)  # m̃'
    delta = slope * (levels**2 * u**3 @ weight) / (1 - (levels * u**2) @ weight / z)
    u = 1 / (1 + m[:, None] * at)
    over = 1 / z[:, None]
    correction = (at * delta[:, None] * over + at**2 * slope[:, None] * u) * u**2 * over / samples
    return u * over, correction


def settled(before: np.ndarray, after: np.ndarray, tolerance: float) -> bool:
    """Whether no entry changed by more than `tolerance` of its reading's largest entry; (…, r, k), one scale per r."""
    scale = np.max(np.abs(after), axis=tuple(k for k in range(after.ndim) if k != after.ndim - 2), keepdims=True)
    return bool(np.all(np.abs(after - before) <= tolerance * scale))


def _levels(spectrum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct eigenvalues, and how often each occurs."""
    return np.unique(np.asarray(spectrum, dtype=float), return_counts=True)
