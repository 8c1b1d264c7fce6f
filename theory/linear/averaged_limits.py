"""Where full-batch training averaged over Gaussian rows ends, t → ∞ (theory/derivations.md, section 1.5).

n > d without decay: the labels are fitted by least squares, E[S⁻¹] = n Σ⁻¹/(n − d − 1). Otherwise ridge regression,
with a scale k that solves k = λ + (k/n) Σ_j s_j/(s_j + k): as if Σ were known, but with the decay k > λ.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from theory.arrays import power_of_two
from theory.errors import InvalidInput


def effective_decay(spectrum: np.ndarray, samples: int, decay: float = 0.0) -> float:
    """k >= λ with k = λ + (k/n) Σ_j s_j/(s_j + k): the effective decay of decay λ with n rows.

    Without decay and with fewer rows than directions, Σ_j s_j/(s_j + k) = n; with more rows, 0.

    >>> [round(effective_decay(np.ones(4), n, decay), 9) for n, decay in ((2, 0.0), (8, 0.0), (8, 0.5))]
    [1.0, 0.0, 0.707106781]
    """
    s = np.asarray(spectrum, dtype=float)
    if not decay >= 0:
        raise InvalidInput("decay", decay, "must not be negative")
    if decay == 0 and np.count_nonzero(s) <= samples:
        return 0.0
    power = power_of_two(max(float(s.max(initial=0)), decay))  # k is searched for among numbers of order one
    s, decay = s / power, decay / power

    def excess(k: float) -> float:  # increases with k
        return 1 - decay / k - float(np.sum(s / (s + k))) / samples

    high = decay + s.sum() / samples  # Σ s/(s + k) <= tr Σ/k
    low = max(decay, 1e-300) if decay else high * 1e-300
    return power * (high if excess(high) <= 0 else float(brentq(excess, low, high, xtol=1e-300, rtol=1e-14)))


def least_squares(spectrum: np.ndarray, samples: int, sigma_y2: float) -> np.ndarray:
    """λ = 0, n > d: τ(s) = σ_y²/(s(n − d − 1)), (d,). Exact (E of an inverse Wishart matrix).

    Infinite for n <= d + 1: some X are nearly singular. d counts the directions with s > 0; the others are not
    trained, and 0 here: add σ_0². The deterministic equivalent has n − d in place of n − d − 1.

    Raises InvalidInput for n <= d, where `least_norm` holds.

    >>> least_squares(np.array([1.0, 2.0]), 5, 1.0).tolist()
    [0.5, 0.25]
    """
    s = np.asarray(spectrum, dtype=float)
    rank = np.count_nonzero(s)
    if samples <= rank:
        raise InvalidInput("samples", samples, f"must exceed the {rank} directions with a positive eigenvalue")
    freedom = samples - rank - 1
    with np.errstate(divide="ignore"):
        return np.where(s > 0, sigma_y2 / (np.where(s > 0, s, 1.0) * np.float64(freedom)), 0.0)


def least_norm(spectrum: np.ndarray, samples: int, sigma_y2: float, initial: float) -> np.ndarray:
    """λ = 0, n < d: τ(s) ≃ σ_0² k_0/(s + k_0) + (σ_y²/n) s/((s + k_0)² (1 − df_2/n)), (d,).

    k_0 = `effective_decay`, df_2 = Σ_j s_j²/(s_j + k_0)². Relative error O(1/n). The label part rises up to s = k_0 and
    falls beyond: labels write most where the variance of the rows is just large enough to be resolved.

    Raises InvalidInput for n >= d, where `least_squares` holds.

    >>> least_norm(np.ones(4), 2, 1.0, 1.0).round(9).tolist()
    [0.75, 0.75, 0.75, 0.75]
    """
    s = np.asarray(spectrum, dtype=float)
    rank = np.count_nonzero(s)
    if samples >= rank:
        raise InvalidInput("samples", samples, f"must be below the {rank} directions with a positive eigenvalue")
    k = effective_decay(s, samples)
    return initial * k / (s + k) + _label_part(s, samples, sigma_y2, k)


def ridge(spectrum: np.ndarray, samples: int, sigma_y2: float, decay: float) -> np.ndarray:
    """λ > 0: τ(s) ≃ (σ_y²/n) s/((s + k)² (1 − df_2/n)), (d,), k = `effective_decay`; relative error O(1/n).

    The initial weights are forgotten. The peak is at s = k.

    >>> ridge(np.ones(4), 8, 1.0, 0.5).round(6).tolist()
    [0.051777, 0.051777, 0.051777, 0.051777]
    """
    s = np.asarray(spectrum, dtype=float)
    if not decay > 0:
        raise InvalidInput("decay", decay, "must be positive")
    return _label_part(s, samples, sigma_y2, effective_decay(s, samples, decay))


def _label_part(s: np.ndarray, samples: int, sigma_y2: float, k: float) -> np.ndarray:
    power = power_of_two(max(float(s.max(initial=0)), k))
    s, k = s / power, k / power  # so that no square overflows
    seen = np.sum((s / (s + k)) ** 2) / samples
    return np.asarray(sigma_y2 / samples * s / ((s + k) ** 2 * (1 - seen)) / power)
