"""An average over two Gaussian rows that the first step of ReLU needs: g_l = E[x_l z_l P(x, z) k(x, z)].

With x, z ~ N(0, Σ), θ their angle, P = (π − θ)/2π, k = |x||z| [sin θ + (π − θ) cos θ]/2π (weights of variance 1), g is
diagonal in eig(Σ). Only the part of P k that is odd in ρ = cos θ remains, |x||z| times ρ/16 + 𝒜(ρ)/4π² with

    𝒜(ρ) = arcsin(ρ) sqrt(1 − ρ²) + ρ arcsin²(ρ) = Σ_k A_k ρ^{2k+1},
    A_0 = 1,   A_k = 4^k (k + 1) / [2 C(2k, k) k² (2k + 1)],

so that, with c_0 = 1/16 + 1/4π²,

    g_l = c_0 s_l² + (1/4π²) Σ_{k≥1} A_k E[x_l z_l (x·z)^{2k+1} (|x||z|)^{−2k}].

The first term is the limit of many directions. The others are two-dimensional integrals of smooth functions:
|x|^{−2k} is a mixture of exp(−α|x|²/2), under which x is Gaussian again, and the moments of x·z are the coefficients of
Π_j (1 − γ² s_j²/((1 + αs_j)(1 + βs_j)))^{−1/2}. Derived in theory/derivations.md, section 2.3.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, zeta

from theory.errors import InvalidInput

LEADING = 1 / 16 + 1 / (4 * np.pi**2)  # c_0, the coefficient of s² in the limit of many directions
# The step h of the trapezoidal rule in log α and log β, with an error of e^(−π²/h): poles lie at ±iπ, and
# ±iπ/2 is safe for all k.
STEP = 0.35
LEFT = 27.0  # how far nodes reach towards α = 0, in log α: the integrands fall at least as α, by e^-27
# The factor by which integrands have fallen at the largest α: they fall at least as Π (1 +
# αs_j)^{−1/2} towards infinity.
TINY = 1e-14
TERMS, ROUNDING = 400, 1e-18
DEGREE = 6  # the degree of the polynomial in 1/k by which the terms beyond the last are extrapolated


def two_row_average(s: np.ndarray, multiplicity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """g_l for distinct eigenvalues s (k,) of Σ with their multiplicities (k,), and a bound of its numerical error (k,).

    Terms beyond the 400th fall as k^{−(d + 2)/2} times a series in 1/k, whose sum is extrapolated; the error is how
    much the 200 terms before the last matter, about 1e-10 of g unless few eigenvalues are very uneven, such as 1 and
    0.01 alone (1e-4). If extrapolation fails, the error is everything that could be missing: A_k sums to π²/4 − 1, and
    E[x_l z_l (x·z)^{2k+1} (|x||z|)^{−2k}] has been observed to fall with k (not proved).

    Raises
    ------
    InvalidInput
        If eigenvalues are negative or not finite, or all zero.

    Examples
    --------
    In one dimension θ is 0 or π, and g = s²/8; in many it is c_0 s².

    >>> one, many = two_row_average(np.ones(1), np.array([1])), two_row_average(np.ones(1), np.array([10_000]))
    >>> one[0].round(9).tolist(), (many[0] / LEADING).round(3).tolist()
    ([0.125], [1.0])
    """
    if not np.all(np.isfinite(s)) or np.any(s < 0) or not np.any(s > 0):
        raise InvalidInput("s", s.tolist(), "must be finite eigenvalues, none negative, not all zero")
    top = s.max()
    positive = s > 0
    terms = np.zeros((TERMS, len(s)))
    terms[:, positive] = _terms(s[positive] / top, multiplicity[positive])
    directions = int(multiplicity[positive].sum())
    total, half = (terms[:count].sum(axis=0) + _beyond(terms[:count], directions) for count in (TERMS, TERMS // 2))
    spread = np.abs(total - half)
    # Σ_{k>K} A_k ≈ sqrt(π/K)/2, over A_K
    missing = terms[-1] * (np.sqrt(np.pi / TERMS) / 2) / _coefficient(TERMS)
    error = np.where(spread < missing / 100, spread, missing)
    unit = top**2 / (4 * np.pi**2)
    return LEADING * s**2 + unit * total, unit * error


def _coefficient(k: int) -> float:
    """The coefficient A_k of the series."""
    central = np.exp(k * np.log(4) + 2 * gammaln(k + 1) - gammaln(2 * k + 1))
    return float(central * (k + 1) / (2 * k**2 * (2 * k + 1)))


def _terms(s: np.ndarray, multiplicity: np.ndarray) -> np.ndarray:
    """A_k E[x_l z_l (x·z)^{2k+1} (|x||z|)^{−2k}] for k = 1 … TERMS, (TERMS, l), eigenvalues s (l,) positive.

    With c_j = αβ s_j²/((1 + αs_j)(1 + βs_j)) and h_k the coefficient of γ^{2k} in Π_j (1 − γ²c_j)^{−1/2}, the moment of
    x_l z_l (x·z)^{2k+1} is (2k + 1)! c_l Σ_p c_l^p h_{k−p}, up to powers of αβ, and 2k h_k = Σ_{j,p} c_j^p h_{k−p}.
    """
    alpha, weight = _nodes(s, multiplicity)
    first, second = np.triu_indices(len(alpha))
    weight = weight[first] * weight[second] * np.where(first == second, 1, 2)
    share = alpha * s[:, None] / (1 + alpha * s[:, None])
    c = share[:, first] * share[:, second]
    weight = weight / (alpha[first] * alpha[second])
    h, sums = np.ones(c.shape[1]), np.ones_like(c)  # h_k and Σ_p c_l^p h_{k−p}
    found = np.zeros((TERMS, len(s)))
    for k in range(1, TERMS + 1):
        h = multiplicity @ (c * sums) / (2 * k)
        sums = h + c * sums
        scale = np.exp(gammaln(2 * k + 2) - 2 * gammaln(k) - k * np.log(4))
        found[k - 1] = _coefficient(k) * scale * ((c * sums) @ weight)
        if np.all(found[k - 1] <= ROUNDING * s**2):
            break
    return found


def _nodes(s: np.ndarray, multiplicity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes α (u,), equidistant in log α, and their weights times Π_j (1 + αs_j)^{−1/2}."""
    low = -LEFT - np.log(multiplicity @ s)
    high = np.log(TERMS / s.min()) + 2 * -np.log(TINY) / multiplicity.sum() + 1
    alpha = np.exp(np.arange(low, high, STEP))
    return alpha, STEP * np.exp(-multiplicity @ np.log1p(alpha * s[:, None]) / 2)


def _beyond(terms: np.ndarray, directions: int) -> np.ndarray:
    """The sum of all terms after those of (K, l), from t_k ≈ k^{−p} Σ_i r_i k^{−i}, p = (d + 2)/2."""
    count, powers = len(terms), np.arange(DEGREE + 1)
    exponent = (directions + 2) / 2
    k = np.round(count * 2.0 ** (-powers / 2)).astype(int)
    r = np.linalg.solve((count / k)[:, None] ** powers, terms[k - 1] * (k[:, None] / count) ** exponent)
    # Σ_{k>K} (k/K)^{−q} = K^q ζ(q, K + 1), written so that it neither over- nor underflows for large q
    q = exponent + powers
    return np.asarray(_zeta_tail(q, count) @ r)


def _zeta_tail(q: np.ndarray, count: int) -> np.ndarray:
    """Σ_{k>K} (k/K)^{−q}, by ζ(q, K + 1) where that is representable; nothing that matters beyond."""
    small = q < 100
    return np.where(small, float(count) ** np.where(small, q, 1) * zeta(np.where(small, q, 2.0), count + 1), 0.0)
