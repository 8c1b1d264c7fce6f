"""A predicted second moment, held as a whole against a simulated one.

The entries of a sample second moment are correlated and skewed, so a mean of z² over entries fails correct code. The
tests here whiten by the prediction first, after which the law is known, or nearly (theory/derivations.md, section 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from theory.arrays import Array, symmetric, to_numpy
from theory.eigenspaces import Eigenspaces, weight_variances
from theory.errors import InvalidInput
from theory.testing.blocks import block_moments

_COLUMN_SPACE = 1e-12


@dataclass(frozen=True, eq=False)
class WholeMatrixTest:
    """The outcome of a test of a whole predicted second moment.

    Attributes
    ----------
    pvalue : float
        Bonferroni over everything that was tested: P(p ≤ α) ≤ α. 0 where weights leave the predicted column space.
    diagonal_pvalue : float
        Of the largest deviation among the whitened diagonals, Bonferroni over them.
    joint_pvalue : float or None
        Gaussian: of the likelihood ratio. Otherwise: of the largest whitened off-diagonal entry, Bonferroni over them.
        None where there is nothing of the kind (rank 1 and not Gaussian).
    diagonal_zscores : ndarray, shape (k,)
        The whitened diagonals as standard normal scores, eigenvalues of the prediction ascending.
    rank : int
        k, the dimension of the column space of the prediction.
    outside : float
        The largest |entry| of the sample outside that space, relative to the largest eigenvalue of the prediction.
    replicas : int
        N, the number of independent vectors.
    detectable : float
        The relative error of one whitened diagonal (one τ) that is found at `level` with probability `power`.
    level, power : float
    """

    pvalue: float
    diagonal_pvalue: float
    joint_pvalue: float | None
    diagonal_zscores: np.ndarray
    rank: int
    outside: float
    replicas: int
    detectable: float
    level: float
    power: float


def whole_matrix_test(
    predicted: Array,
    second_moment: Array,
    replicas: int | None = None,
    /,
    *,
    gaussian: bool,
    counts: Array | None = None,
    level: float = 1e-6,
    power: float = 0.9,
) -> WholeMatrixTest:
    """Test H0: the simulated weight vectors have second moment Σ (`predicted`), of rank k.

    The sample second moment Ŝ is whitened in the column space of Σ (eigenvalues above 1e-12 of the largest); outside it
    every entry must vanish up to 1e-12 of the largest eigenvalue, else p = 0.

    **gaussian=True**: N independent vectors w ~ N(0, Σ), so N·Ŝ ~ Wishart(N, I_k). Each diagonal is χ²_N / N *exactly*.
    The likelihood ratio N (tr Ŝ − log det Ŝ − k), times the Bartlett factor 1 − (2k² + 3k − 1) / (6N(k + 1)) (Muirhead,
    Aspects of Multivariate Statistical Theory, theorem 8.4.9), is χ² with k(k + 1)/2 degrees of freedom up to O(N⁻²);
    N ≥ 10 k² keeps p right to a few per cent at 1e-6, and N > k is required. The diagonals find the error of one τ, the
    likelihood ratio one of orientation; p = 2 min(both), at most 1.

    **gaussian=False**: `second_moment` (K, d, d) gives independent block means; the variance of each whitened entry
    is estimated between them. Diagonals are compared on the cube-root scale (Wilson–Hilferty: for q ~ χ²_ν/ν, q^(1/3)
    is nearly N(1 − 2/(9ν), 2/(9ν)), ν = 2/SE²), off-diagonal entries as they are, both against Student's t with K − 1
    degrees of freedom. Asymptotic in the replicas a block; meant for K ≥ 100 and N ≥ 50,000.

    Parameters
    ----------
    predicted : Array, shape (d, d)
    second_moment : Array, shape (d, d) or (K, d, d)
        The sample second moment about zero, or block means (weighted by `counts`).
    replicas : int, optional
        N, how many independent vectors the sample averages. A linear model with C outputs whose labels are
        independent has C independent rows a replica: N = C · replicas. Outputs that share labels (one-hot classes) are
        dependent: use gaussian=False. Defaults to the sum of `counts`, one vector a replica.
    gaussian : bool
        Whether the vectors are exactly Gaussian: full batch, Gaussian labels and init, X fixed.
    counts : (K,), optional
    level, power : float
        For `detectable`.

    Raises
    ------
    InvalidInput
        For bad shapes, N ≤ k, a prediction that is zero or not positive semidefinite, gaussian=False without blocks.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.random.default_rng(0).standard_normal((50_000, 3)) * np.sqrt([1.0, 2.0, 0.0])
    >>> found = whole_matrix_test(np.diag([1.0, 2.0, 0.0]), w.T @ w / 50_000, 50_000, gaussian=True)
    >>> found.rank, found.pvalue > 1e-6, round(found.detectable, 3)
    (2, True, 0.041)
    >>> whole_matrix_test(np.diag([1.0, 2.2, 0.0]), w.T @ w / 50_000, 50_000, gaussian=True).pvalue < 1e-6
    True
    """
    sigma = symmetric("predicted", to_numpy(predicted))
    if sigma.ndim != 2:
        raise InvalidInput("predicted.shape", sigma.shape, "must be (d, d)")
    if not 0 < level < 1 or not 0 < power < 1:
        raise InvalidInput("level, power", (level, power), "must lie between 0 and 1")
    if not gaussian and second_moment.ndim != 3:
        rule = "without Gaussian vectors the variances come from block means: must be (K, d, d)"
        raise InvalidInput("second_moment.shape", tuple(second_moment.shape), rule)
    if second_moment.ndim == 2:
        second_moment = second_moment[None]
    moments, sizes = block_moments(second_moment, len(sigma), counts, at_least=1 if gaussian else 2)
    n = _vectors(replicas, counts, sizes)
    whitener, outer, top = _column_space(sigma)
    k = whitener.shape[1]
    if gaussian and n <= k:
        raise InvalidInput("replicas", n, f"must exceed the rank of the prediction, {k}")
    mean = np.einsum("k,kij->ij", sizes / sizes.sum(), moments)
    outside = float(np.max(np.abs(outer.T @ mean), initial=0.0) / top)
    joint: float | None
    if gaussian:
        scores, joint = _wishart(whitener.T @ mean @ whitener, n)
        detectable = _detectable_gaussian(n, k, level, power)
    else:
        scores, joint, spread = _estimated(whitener.T @ moments @ whitener, sizes)
        detectable = float((stats.norm.isf(level / (4 * k)) + stats.norm.ppf(power)) * spread)
    diagonal = min(1.0, k * float(2 * stats.norm.sf(np.max(np.abs(scores)))))
    pvalue = diagonal if joint is None else min(1.0, 2 * min(diagonal, joint))
    if outside > _COLUMN_SPACE:
        pvalue = 0.0
    return WholeMatrixTest(pvalue, diagonal, joint, scores, k, outside, n, detectable, level, power)


def tau_zscores(
    spaces: Eigenspaces, predicted: Array, second_moments: Array, /, *, counts: Array | None = None
) -> np.ndarray:
    """How many standard errors each measured τ_i lies from the predicted one: nearly N(0, 1) each, shape (k,).

    τ̂_i = Σ_k N_k τ_ik / Σ N_k over independent block means, with its standard error between blocks, on the cube-root
    scale, (q^(1/3) − 1 + SE²/9) / (SE/3), q = τ̂_i / τ_i, which takes out the skewness of a mean of squares; Student's t
    (K − 1) is carried over to the normal scale. Asymptotic in the replicas. The z of different i are dependent.
    A predicted τ_i = 0 gives 0 where τ̂_i is below 1e-12 of the largest τ, else ±inf.

    Parameters
    ----------
    spaces : Eigenspaces
    predicted : Array, shape (k,)
        τ_i, one an eigenspace.
    second_moments : Array, shape (K, d, d)
    counts : (K,), optional

    Raises InvalidInput for bad shapes and negative predictions.
    """
    moments, sizes = block_moments(second_moments, spaces.dimension, counts)
    tau = to_numpy(predicted)
    if tau.shape != (len(spaces.multiplicity),) or not np.all(np.isfinite(tau)) or np.any(tau < 0):
        rule = f"must be {len(spaces.multiplicity)} finite numbers, none negative, one an eigenspace"
        raise InvalidInput("predicted", tau.tolist(), rule)
    local = Eigenspaces(to_numpy(spaces.eigenvalues), spaces.multiplicity, to_numpy(spaces.basis), spaces.gap)
    measured = weight_variances(local, moments)
    zero = tau == 0
    with np.errstate(invalid="ignore"):
        scores, _ = _cube_root_scores(measured / np.where(zero, 1.0, tau), sizes)
    largest = np.max(np.abs(measured), initial=0.0)
    nothing = np.max(np.abs(measured), axis=0) <= _COLUMN_SPACE * largest
    return np.where(zero, np.where(nothing, 0.0, np.inf), scores)


def _vectors(replicas: int | None, counts: Array | None, sizes: np.ndarray) -> int:
    if replicas is None and counts is None:
        raise InvalidInput("replicas", None, "is missing: how many independent vectors were averaged?")
    n = int(sizes.sum()) if replicas is None else replicas
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise InvalidInput("replicas", n, "must be a positive integer")
    return int(n)


def _column_space(sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """The whitener U Λ^{-1/2} (d, k) of the column space, a basis of its complement (d, d − k), the top eigenvalue."""
    values, vectors = np.linalg.eigh(sigma)
    top = float(values[-1])
    if top <= 0 or values[0] < -_COLUMN_SPACE * top:
        rule = "must be positive semidefinite, and not zero"
        raise InvalidInput("predicted", f"eigenvalues {values[0]:.3g} … {top:.3g}", rule)
    kept = values > _COLUMN_SPACE * top
    return vectors[:, kept] / np.sqrt(values[kept]), vectors[:, ~kept], top


def _wishart(white: np.ndarray, n: int) -> tuple[np.ndarray, float]:
    """Exact normal scores of the diagonals, and the p-value of the Bartlett-corrected likelihood ratio."""
    k = len(white)
    quantile = n * np.diag(white)
    low, high = stats.chi2.cdf(quantile, n), stats.chi2.sf(quantile, n)
    # from the smaller tail: 1 − cdf has no digits left in the upper one; isf(5e-324) keeps the score finite
    scores = np.where(low < high, stats.norm.ppf(np.maximum(low, 5e-324)), stats.norm.isf(np.maximum(high, 5e-324)))
    sign, logdet = np.linalg.slogdet(white)
    if sign <= 0:  # N > k vectors of the predicted law span the space almost surely
        return scores, 0.0
    ratio = n * (np.trace(white) - logdet - k)
    bartlett = 1 - (2 * k * k + 3 * k - 1) / (6 * n * (k + 1))
    return scores, float(stats.chi2.sf(ratio * max(bartlett, 0.0), k * (k + 1) / 2))


def _estimated(white: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, float | None, float]:
    """Scores of the diagonals, the p-value of the off-diagonal entries, the largest standard error of a diagonal."""
    k = white.shape[-1]
    index = np.arange(k)
    scores, errors = _cube_root_scores(white[:, index, index], sizes)
    i, j = np.triu_indices(k, 1)
    if not len(i):
        return scores, None, float(np.max(errors))
    mean, error = _mean_and_error(white[:, i, j], sizes)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(mean == 0, 0.0, mean / error)
    joint = float(2 * stats.t.sf(np.max(np.abs(t)), len(sizes) - 1))
    return scores, min(1.0, len(i) * joint), float(np.max(errors))


def _cube_root_scores(ratios: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normal scores (q,) of block ratios (K, q) whose mean should be 1, and their standard errors."""
    mean, error = _mean_and_error(ratios, sizes)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (np.cbrt(mean) - 1 + error**2 / 9) / (error / 3)
    t = np.where((error == 0) & (mean == 1), 0.0, t)
    tail = stats.t.sf(np.abs(t), len(sizes) - 1)
    return np.sign(t) * stats.norm.isf(np.maximum(tail, 5e-324)), error


def _mean_and_error(values: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weighted mean of block means (K, q) and its standard error: Var(block k) = s²/N_k gives SE² = s²/ΣN_k."""
    mean = sizes / sizes.sum() @ values
    variance = sizes @ (values - mean) ** 2 / (len(sizes) - 1)
    return mean, np.sqrt(variance / sizes.sum())


def _detectable_gaussian(n: int, k: int, level: float, power: float) -> float:
    """The ε with P(one diagonal (1 ± ε) χ²_N / N is rejected) = power, the larger of the two signs.

    Two tests, k diagonals, two tails: each tail is rejected at level / (4k).
    """
    alpha = level / (4 * k)
    above = stats.chi2.isf(alpha, n) / stats.chi2.ppf(1 - power, n) - 1
    below = 1 - stats.chi2.ppf(alpha, n) / stats.chi2.ppf(power, n)
    return float(max(above, below))
