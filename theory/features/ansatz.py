"""The neural feature ansatz WᵀW ∝ AGOP^α: how well it holds, which α fits best, and where α is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from theory.arrays import Array, like, namespace, symmetric, to_numpy, unit
from theory.errors import InvalidInput
from theory.features.matrices import feature_matrix

LARGEST = 4.0  # the largest α that a fit considers
GRID = np.linspace(0.02, LARGEST, 200)  # the values of α among which a fit starts at the best one
CUT = 1e-12  # the share of the largest eigenvalue below which eigenvalues are rounding
FLAT = 1e-6  # the relative spread of the eigenvalues of the AGOP below which every α fits alike


def correlation(first: Array, second: Array, /, *, traceless: bool = False) -> Array:
    """⟨A, B⟩/(‖A‖ ‖B‖), Frobenius; in [−1, 1], and in [0, 1] for positive semi-definite matrices.

    Any two matrices near the identity have a correlation near 1. With `traceless`, their multiples of the identity are
    subtracted first.

    `first` and `second` (..., d, d), symmetric, of one dtype → (...); NaN where a norm is 0.

    >>> float(correlation(np.diag([1.0, 3.0]), np.diag([3.0, 1.0])).round(6))
    0.6
    >>> float(correlation(np.diag([1.0, 3.0]), np.diag([3.0, 1.0]), traceless=True).round(6))
    -1.0
    """
    xp = namespace(first, second)
    a, b = symmetric("first", first), symmetric("second", second)
    if a.shape[-1] != b.shape[-1]:
        raise InvalidInput("second.shape", tuple(b.shape), f"must be (..., {a.shape[-1]}, {a.shape[-1]})")
    a, b = unit(a)[0], unit(b)[0]  # their squares may be no doubles
    if traceless:
        a, b = _traceless(a), _traceless(b)
    norms = xp.sqrt(xp.sum(a**2, axis=(-2, -1)) * xp.sum(b**2, axis=(-2, -1)))
    with np.errstate(invalid="ignore"):
        return xp.sum(a * b, axis=(-2, -1)) / norms


def matrix_power(matrix: Array, exponent: float, /) -> Array:
    """A^α of a positive semi-definite A (..., d, d); its null space, below 1e-12 of the largest eigenvalue, stays 0.

    Raises
    ------
    InvalidInput
        If α is not positive, or A has a negative eigenvalue.
    """
    if not exponent > 0:
        raise InvalidInput("exponent", exponent, "must be positive")
    values, vectors = _spectrum("matrix", matrix)
    powers = np.where(values > 0, values, 0.0) ** exponent
    return like((vectors * powers[..., None, :]) @ np.swapaxes(vectors, -1, -2), matrix)


@dataclass(frozen=True)
class Ansatz:
    """How well WᵀW ∝ AGOP^α fits.

    Attributes
    ----------
    exponent : float
        The α in (0, 4] of the largest correlation; NaN if every α fits equally well, as for an AGOP of rank one.
    correlation : float
        The correlation of WᵀW with AGOP^α at that α.
    at_one : float
        The correlation at α = 1.
    """

    exponent: float
    correlation: float
    at_one: float


def fit_ansatz(features: Array, gradients: Array, /) -> Ansatz:
    """The α for which AGOP^α is most similar to WᵀW, by `correlation`.

    Radhakrishnan et al. (2024). In the eigenbasis (a_k, u_k) of the AGOP the correlation is
    Σ_k n_k a_k^α / (‖N‖ (Σ_k a_k^(2α))^½) with n_k = u_kᵀ N u_k; its maximum is searched on a grid and then refined.
    For several networks, fit each separately, and average their exponents with `theory.testing.paired_mean`.

    Parameters
    ----------
    features : Array, shape (d, d)
        N = WᵀW.
    gradients : Array, shape (d, d)
        The AGOP.

    Raises
    ------
    InvalidInput
        If the matrices are not symmetric, positive semi-definite and of one shape, or are 0.

    Examples
    --------
    >>> agop = np.diag([1.0, 4.0, 9.0])
    >>> found = fit_ansatz(np.diag([1.0, 2.0, 3.0]), agop)
    >>> round(found.exponent, 6), round(found.correlation, 6)
    (0.5, 1.0)
    """
    namespace(features, gradients)
    if features.shape != gradients.shape or features.ndim != 2:
        raise InvalidInput("gradients.shape", tuple(gradients.shape), f"must be (d, d), as {tuple(features.shape)}")
    n_values, n_vectors = _spectrum("features", unit(features)[0])
    values, vectors = _spectrum("gradients", unit(gradients)[0])
    if not (n_values.max() > 0 and values.max() > 0):
        raise InvalidInput("features, gradients", 0.0, "must not be zero")
    n = (n_vectors * (n_values / n_values.max())) @ n_vectors.T
    a = values[values > 0] / values.max()
    along = np.einsum("ik,ij,jk->k", vectors, n, vectors)[values > 0]
    norm = float(np.linalg.norm(n))

    def like_at(exponent: float) -> float:
        powers = a**exponent
        return float(along @ powers / np.sqrt(powers @ powers) / norm)

    if np.ptp(a) < FLAT:
        return Ansatz(float("nan"), like_at(1.0), like_at(1.0))
    near = int(np.argmax([like_at(each) for each in GRID]))
    step = GRID[1] - GRID[0]
    bounds = (max(GRID[near] - step, step / 100), min(GRID[near] + step, LARGEST))
    best = minimize_scalar(lambda each: -like_at(each), bounds=bounds, method="bounded", options={"xatol": 1e-8})
    return Ansatz(float(best.x), -float(best.fun), like_at(1.0))


def change_correlation(weights: Array, initial: Array, sensitivity: Array, /) -> Array:
    """The correlation of ΔWᵀΔW with ΔWᵀKΔW, ΔW = W − W₀: the centred one of Beaglehole et al. (arXiv:2402.05271).

    With K the mean outer product of the outputs' gradients with respect to the units' pre-activations, summed over
    outputs, the AGOP is WᵀKW. With many units, a random W makes WᵀW and WᵀKW similar before anything is learned, but
    not their changes.

    `weights`, `initial` (..., m, d) and `sensitivity` K (..., m, m) → (...).
    """
    change = weights - initial
    if sensitivity.shape[-1] != change.shape[-2]:
        raise InvalidInput("sensitivity.shape", tuple(sensitivity.shape), f"must be (..., m, m), m={change.shape[-2]}")
    xp = namespace(change, sensitivity)
    k = symmetric("sensitivity", sensitivity)
    product = xp.matrix_transpose(change) @ k @ change
    return correlation(feature_matrix(change), (product + xp.matrix_transpose(product)) / 2)


def linear_exponent(layers: int, /) -> float:
    """α = 1/L of a linear network of L layers, balanced: W_{l+1}ᵀW_{l+1} = W_l W_lᵀ. Exact.

    There AGOP = (W_L … W_1)ᵀ(W_L … W_1) = (W_1ᵀW_1)^L (theory/derivations.md, section 3.9). Weights are balanced after
    training from small weights, and at every stationary point with weight decay.

    >>> linear_exponent(4)
    0.25
    """
    if layers < 1:
        raise InvalidInput("layers", layers, "must be at least 1")
    return 1 / layers


def _traceless(matrix: Array) -> Array:
    xp = namespace(matrix)
    d = matrix.shape[-1]
    identity = like(np.eye(d), matrix)
    return matrix - xp.sum(matrix * identity, axis=(-2, -1))[..., None, None] / d * identity


def _spectrum(name: str, matrix: Array) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors of a positive semi-definite matrix, rounding set to 0."""
    values, vectors = np.linalg.eigh(to_numpy(symmetric(name, matrix)))
    largest = np.abs(values).max(axis=-1, keepdims=True)
    # in single precision rounding is larger
    cut = max(CUT, 100 * float(namespace(matrix).finfo(matrix.dtype).eps) if matrix.dtype.itemsize < 8 else 0.0)
    if np.any(values < -1e3 * cut * largest):
        raise InvalidInput(name, float(values.min()), "must be positive semi-definite: this is an eigenvalue")
    return np.where(values > cut * largest, values, 0.0), vectors
