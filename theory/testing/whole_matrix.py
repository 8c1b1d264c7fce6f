"""A predicted second moment, compared as a whole with a simulated one.

The entries of a sample second moment are correlated and skewed, so a test of the mean of z² over entries rejects
correct code. The tests here first whiten by the prediction; the law is then known, exactly or nearly
(theory/derivations.md, section 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from theory.arrays import Array, symmetric, to_numpy
from theory.eigenspaces import Eigenspaces, weight_variances
from theory.errors import InvalidInput
from theory.testing.blocks import block_moments
from theory.testing.estimated import ROUNDING, beyond_noise, block_shape, estimated_means, normal_scores, unskewed
from theory.testing.likelihood_ratio import likelihood_ratio_sf
from theory.testing.variances import ZERO, checked_variances

_COLUMN_SPACE = 1e-12
_COLUMNS = 2**16  # off-diagonal entries that are looked at together: they need not all fit into memory


@dataclass(frozen=True, eq=False)
class WholeMatrixTest:
    """The outcome of a test of a whole predicted second moment.

    Attributes
    ----------
    pvalue : float
        The p-value by Bonferroni over everything that was tested: P(p ≤ α) ≤ α. 0 where weights leave the predicted
        column space.
    diagonal_pvalue : float
        The p-value of the largest deviation among the whitened diagonals, by Bonferroni over them.
    joint_pvalue : float or None
        The p-value of the likelihood ratio for Gaussian vectors; otherwise that of the largest whitened off-diagonal
        entry, by Bonferroni over them. None if there is none (rank 1 and not Gaussian).
    diagonal_zscores : ndarray, shape (k,)
        The whitened diagonals as standard normal scores, eigenvalues of the prediction ascending.
    rank : int
        k, the dimension of the column space of the prediction.
    outside : float
        The largest |entry| of the sample outside that space, relative to the largest eigenvalue of the prediction.
    replicas : int
        N, the number of independent vectors.
    detectable : float
        The relative error of one whitened diagonal (one τ) that a test at `level` detects with probability `power`,
        on the harder side. inf if only gross errors are detected.
    level, power : float
    sharp : bool
        Whether the law of the statistics is known well enough: always for Gaussian vectors. Otherwise p comes from a
        bound that holds for every law, and only a gross error makes it small.
    needed : int
        The number of replicas from which on it is, estimated from these.
    variance_bound : float or None
        An upper 95 % bound for the relative variance of a whitened diagonal over replicas; None for Gaussian vectors.
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
    sharp: bool
    needed: int
    variance_bound: float | None


def whole_matrix_test(
    predicted: Array,
    second_moment: Array,
    replicas: int | None = None,
    /,
    *,
    gaussian: bool,
    counts: Array | None = None,
    variance: float | None = None,
    level: float = 1e-6,
    power: float = 0.9,
) -> WholeMatrixTest:
    """Test H0: the simulated weight vectors have second moment Σ (`predicted`), of rank k.

    The sample second moment Ŝ is whitened in the column space of Σ (eigenvalues above 1e-12 of the largest); outside
    it, every entry must vanish up to 1e-12 of the largest eigenvalue; otherwise p = 0.

    **gaussian=True**: N independent vectors w ~ N(0, Σ), so N·Ŝ ~ Wishart(N, I_k). Each diagonal is χ²_N / N *exactly*.
    The law of the likelihood ratio N (tr Ŝ − log det Ŝ − k) is known as well, `likelihood_ratio_sf`: p is exact in all
    tails at every N > k. The diagonals detect an error of one τ, the likelihood ratio an error of orientation; p is
    twice the smaller of both, at most 1.

    **gaussian=False**: `second_moment` (K, d, d) gives independent block means, between which the variance of each
    whitened entry is estimated. Diagonals are tested as `estimated_means`; off-diagonal entries by Student's t with
    K − 1 degrees of freedom, corrected for the skewness of the blocks in the same way. These tests are used from N =
    1,000 replicas on. With fewer replicas, and if a few blocks dominate the sum, `sharp` is false: only bounds on the
    diagonals are used, which hold for every law.

    Parameters
    ----------
    predicted : Array, shape (d, d)
    second_moment : Array, shape (d, d) or (K, d, d)
        The sample second moment about zero, or block means (weighted by `counts`).
    replicas : int, optional
        N, how many independent vectors the sample averages. A linear model with C outputs whose labels are
        independent has C independent rows per replica: N = C · replicas. Outputs that share labels (one-hot classes)
        are dependent: use gaussian=False. Defaults to the sum of `counts`, one vector per replica.
    gaussian : bool
        Whether the vectors are exactly Gaussian: full batch, Gaussian labels and init, X fixed.
    counts : (K,), optional
    variance : float, optional
        gaussian=False: the relative variance of (vᵀw)² over replicas, if it is predicted: the largest over directions
        v, or an upper bound; may be inf. It determines how many replicas are needed, and makes errors downwards
        detectable.
    level, power : float
        The level and the power for `detectable`.

    Raises
    ------
    InvalidInput
        If shapes are bad, N ≤ k, the prediction is zero or not positive semidefinite, or gaussian=False without blocks.

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
    bound: float | None = None
    if gaussian:
        scores, joint = _wishart(whitener.T @ mean @ whitener, n)
        diagonal = min(1.0, k * float(2 * stats.norm.sf(np.max(np.abs(scores)))))
        detectable, sharp, needed = detectable_variance(n, k, level, power), True, k + 1
    else:
        white = whitener.T @ moments @ whitener
        spread = None if variance is None else np.full(k, float(variance))
        found = estimated_means(white[:, np.arange(k), np.arange(k)], sizes, spread)
        joint = _off_diagonal(white, sizes, sharp=found.sharp)
        scores, diagonal, bound = found.scores, found.pvalue, found.variance_bound
        sharp, needed = found.sharp, found.needed
        detectable = found.detectable(level, power, k if joint is None else 2 * k)
    pvalue = diagonal if joint is None else min(1.0, 2 * min(diagonal, joint))
    if outside > _COLUMN_SPACE:
        pvalue = 0.0
    return WholeMatrixTest(
        pvalue, diagonal, joint, scores, k, outside, n, detectable, level, power, sharp, needed, bound
    )


def tau_zscores(
    spaces: Eigenspaces, predicted: Array, second_moments: Array, /, *, counts: Array | None = None
) -> np.ndarray:
    """How many standard errors each measured τ_i lies from the predicted one: nearly N(0, 1) each, shape (k,).

    τ̂_i = Σ_k N_k τ_ik / Σ N_k over independent block means, with its standard error c τ̂_i between blocks, on the
    cube-root scale, 3 (q^{1/3} − 1 + c²/9) / c, q = τ̂_i / τ_i, which removes the skewness of a mean of squares;
    Student's t is converted to the normal scale, with the degrees of freedom of `estimated_means`. Correct if block
    means have gamma laws; with few replicas, heavier tails give too many scores far below 0, for which `variances_test`
    allows. The z of different i are dependent. A predicted τ_i = 0 gives 0 where τ̂_i is below 1e-12 of the largest τ,
    otherwise inf.

    Parameters
    ----------
    spaces : Eigenspaces
    predicted : Array, shape (k,)
        τ_i, one per eigenspace.
    second_moments : Array, shape (K, d, d)
    counts : (K,), optional

    Raises
    ------
    InvalidInput
        If shapes are bad, or predictions are negative.
    """
    moments, sizes = block_moments(second_moments, spaces.dimension, counts)
    tau = checked_variances(predicted, len(spaces.multiplicity))
    local = Eigenspaces(to_numpy(spaces.eigenvalues), spaces.multiplicity, to_numpy(spaces.basis), spaces.gap)
    measured = weight_variances(local, moments)
    zero = tau == 0
    scores = estimated_means(measured / np.where(zero, 1.0, tau), sizes).scores
    largest = np.max(np.abs(measured), initial=0.0)
    nothing = np.max(np.abs(measured), axis=0) <= ZERO * largest
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
    """Exact normal scores of the diagonals, and the p-value of the likelihood ratio."""
    k = len(white)
    quantile = n * np.diag(white)
    low, high = stats.chi2.cdf(quantile, n), stats.chi2.sf(quantile, n)
    # from the smaller tail: 1 − cdf has no digits left in the upper one; isf(5e-324) keeps the score finite
    scores = np.where(low < high, stats.norm.ppf(np.maximum(low, 5e-324)), stats.norm.isf(np.maximum(high, 5e-324)))
    sign, logdet = np.linalg.slogdet(white)
    if sign <= 0:  # N > k vectors of the predicted law span the space almost surely
        return scores, 0.0
    return scores, likelihood_ratio_sf(n * float(np.trace(white) - logdet - k), k, n)


def _off_diagonal(white: np.ndarray, sizes: np.ndarray, *, sharp: bool) -> float | None:
    """The p-value of the off-diagonal entries of whitened block means, Bonferroni; None at rank 1.

    Their mean is 0, so that t itself has skewness −2γ/√K where blocks have γ.
    """
    rows, columns = np.triu_indices(white.shape[-1], 1)
    if not len(rows):
        return None
    if not sharp:
        return 1.0
    largest = 0.0
    for first in range(0, len(rows), _COLUMNS):
        here = slice(first, first + _COLUMNS)
        mean, error, skewness, _ = block_shape(white[:, rows[here], columns[here]], sizes)
        scores = normal_scores(mean / np.maximum(error, ROUNDING), len(sizes) - 1)
        remaining = beyond_noise(2 * skewness / np.sqrt(len(sizes)), len(sizes))
        corrected = unskewed(np.abs(scores), remaining)
        largest = max(largest, float(np.max(corrected)))
    return min(1.0, len(rows) * float(2 * stats.norm.sf(largest)))


def detectable_variance(vectors: int, rank: int, level: float, power: float) -> float:
    """The ε with P(one diagonal (1 ± ε) χ²_N / N is rejected) = power, the larger of the two signs.

    For `whole_matrix_test(gaussian=True)`: two tests, k diagonals, two tails, so that each tail is rejected at
    level / (4k). The likelihood ratio, which is tested too, adds at most a few per cent to the power.
    """
    alpha = level / (4 * rank)
    above = stats.chi2.isf(alpha, vectors) / stats.chi2.ppf(1 - power, vectors) - 1
    below = 1 - stats.chi2.ppf(alpha, vectors) / stats.chi2.ppf(power, vectors)
    return float(max(above, below))
