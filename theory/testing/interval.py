"""How far from aligned: a confidence interval for M, and "aligned within δ".

The sample M² is biased upward: near alignment it is a sum of squares of noise. A percentile bootstrap adds the bias a
second time and never covers 0; a basic bootstrap subtracts it, but its upper end is too low. The interval here inverts
a test instead, along a path from the aligned matrix through the estimate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from theory.arrays import Array, to_numpy
from theory.eigenspaces import Eigenspaces
from theory.errors import InvalidInput
from theory.testing.blocks import block_moments, rotated
from theory.testing.randomization import check_draws, generator_of

_FARTHEST = 30.0  # how far the path is followed, in logarithms of the variances: to ratios of 1e13


@dataclass(frozen=True, eq=False)
class MisalignmentInterval:
    """A confidence interval for the misalignment of Σ_w.

    Attributes
    ----------
    squared : float
        M² of the sample, biased upward by about `null_floor`.
    squared_low, squared_high : float
        The interval for M² of Σ_w; its upper end is infinite if nothing bounds M².
    null_floor : float
        The median M² that the same noise gives if Σ_w is aligned (inf if most resamples are singular).
    confidence : float
    blocks : int
        How many independent blocks, or weight vectors, were resampled.
    optimistic : bool
        True for the vectors of one network, which are not independent: the interval is then too short.
    resamples : ndarray
        M² of the resampled means, unshifted (they carry the bias twice).
    """

    squared: float
    squared_low: float
    squared_high: float
    null_floor: float
    confidence: float
    blocks: int
    optimistic: bool
    resamples: np.ndarray

    @property
    def misalignment(self) -> float:
        """The misalignment M of the sample."""
        return float(np.sqrt(self.squared))

    @property
    def low(self) -> float:
        """The lower end for M."""
        return float(np.sqrt(self.squared_low))

    @property
    def high(self) -> float:
        """The upper end for M."""
        return float(np.sqrt(self.squared_high))

    def aligned_within(self, delta: float) -> bool:
        """Whether M(Σ_x, Σ_w) < δ with at least (1 + confidence)/2 confidence: the upper end for M lies below δ."""
        return self.high < delta


def misalignment_interval(
    spaces: Eigenspaces,
    second_moments: Array | None = None,
    /,
    *,
    counts: Array | None = None,
    vectors: Array | None = None,
    confidence: float = 0.95,
    resamples: int = 999,
    seed: int = 0,
) -> MisalignmentInterval:
    """An equal-tailed confidence interval for M² (and M) of Σ_w against the eigenspaces of A, by test inversion.

    Blocks are resampled with replacement. In units where Π(S̄) = I (M is unchanged by a commuting scaling), S̄ = e^L, the
    resampled means are e^{L/2} E_b e^{L/2}; the noise E_b is raised to the power `widening` of K blocks. Along the path
    B_λ = e^{λL}, from aligned (λ = 0) through the estimate (λ = 1), M² of a sample is M²(e^{λL/2} E_b e^{λL/2}). The
    interval is M²(B_λ) for all λ at which M² of the sample is neither in the upper nor in the lower (1 − confidence)/2
    tail (test inversion bootstrap, Carpenter 1999). Lower end 0: alignment is not rejected. For the upper end, a sample
    M² below the null median counts as the median, so that favourable noise does not shorten the interval. Resamples
    that are not positive definite (with fewer distinct vectors than dimensions, for example) exclude no value. There is
    no upper end if more than (1 − confidence)/2 of all resamples are of this kind, or if even variances that the path
    has moved apart by factors of 1e13 are not excluded. Asymptotic in K.

    The guide on calibration counts its coverage for 5 to 200 replicas and for vectors of one network: from 5 replicas
    on, it is at least the nominal one. Coverage is higher if K m is not large compared with d² (the noise of a
    resampled mean is then wider than that of a new one). For one network it assumes independent vectors, which the
    neurons of a trained network are not.

    Parameters
    ----------
    spaces : Eigenspaces
        The eigenspaces of A.
    second_moments : Array, shape (K, d, d)
        Second moments of K independent replicas, or block means, weighted by `counts`. K ≥ 3; K ≥ 30 is advised.
    vectors : Array, shape (n, d)
        The weight vectors of a single network, n > d, in place of `second_moments`. The result is flagged `optimistic`.
    confidence : float
    resamples : int
    seed : int

    Raises
    ------
    InvalidInput
        Unless exactly one of `second_moments` and `vectors` is given; or if shapes are bad, K < 3, or the mean is
        singular.

    Examples
    --------
    >>> import numpy as np
    >>> from theory.eigenspaces import eigenspaces
    >>> w = np.random.default_rng(0).standard_normal((100, 20, 4)) * [1.0, 2.0, 3.0, 4.0]
    >>> found = misalignment_interval(eigenspaces(np.diag([4.0, 3.0, 2.0, 1.0])), w.mT @ w / 20)
    >>> found.low, found.aligned_within(0.2), found.aligned_within(0.01)
    (0.0, True, False)
    """
    check_draws(resamples)
    if not 0 < confidence < 1:
        raise InvalidInput("confidence", confidence, "must lie between 0 and 1")
    if (second_moments is None) == (vectors is None):
        given = "both" if vectors is not None else "neither"
        raise InvalidInput("second_moments, vectors", given, "exactly one must be given")
    generator = generator_of(seed)
    if second_moments is not None:
        moments, sizes = block_moments(second_moments, spaces.dimension, counts, at_least=3)
        blocks = len(sizes)
        mean, means = _resampled_blocks(rotated(spaces.basis, moments), sizes, resamples, generator)
    else:
        points = _checked_vectors(vectors, spaces.dimension) @ to_numpy(spaces.basis)
        blocks = len(points)
        mean, means = _resampled_vectors(points, resamples, generator)
    tail = (1 - confidence) / 2
    path = MisalignmentPath(spaces, mean, means, widening(blocks, tail))
    squared, null = path.exact(1.0), path.sample(0.0)
    floor = float(np.quantile(null, 0.5, method="inverted_cdf"))
    low, high = (squared, squared) if path.noiseless else (0.0, np.inf)
    if not path.noiseless and np.mean(null >= squared) <= tail:
        low = path.exact(_last(lambda t: bool(np.mean(path.sample(t) >= squared) <= tail), 1.0))
    reference = max(squared, floor)

    def possible(position: float) -> bool:
        # noise that is not positive definite says nothing, and cannot speak against a position
        sample = path.sample(position)
        return bool(np.mean((sample <= reference) | np.isinf(sample)) > tail)

    farthest = 1.0
    while 2 * farthest <= path.longest and possible(farthest):
        farthest *= 2
    if not path.noiseless and not possible(farthest):
        high = path.exact(_last(possible, farthest))
    optimistic = vectors is not None
    return MisalignmentInterval(squared, low, high, floor, confidence, blocks, optimistic, path.sample(1.0))


def widening(blocks: int, tail: float) -> float:
    """The factor by which the resampled noise of K blocks is widened: sqrt(K/(K − 1)) t_{K−1}(tail)/z(tail).

    The root makes the variance unbiased; the ratio of quantiles gives the noise the tails of a mean over K Gaussian
    values in units of its own estimated error.
    """
    quantiles = stats.t.isf(tail, blocks - 1) / stats.norm.isf(tail)
    return float(np.sqrt(blocks / (blocks - 1)) * quantiles)


class MisalignmentPath:
    """B_λ = e^{λL}, and the sample M² there under the resampled noise; all in the basis of the eigenspaces.

    It can be followed up to λ = `longest`, where variances are 1e13 apart, and is `noiseless` if all means are equal.
    B_1 is `mean` (d, d), in units in which B_0 is the identity. The noise is that of the resampled `means` (b, d, d)
    about it, to the power `widening`.
    """

    def __init__(self, spaces: Eigenspaces, mean: np.ndarray, means: np.ndarray, widening: float) -> None:
        d = spaces.dimension
        self._slices, self._multiplicity = spaces.slices, spaces.multiplicity
        diagonal = np.diagonal(mean)
        scale = np.concatenate([np.full(s.stop - s.start, np.mean(diagonal[s])) for s in spaces.slices])
        if np.min(scale) <= 0:
            raise InvalidInput("second_moments", "singular mean", _SINGULAR)
        units = 1 / np.sqrt(np.outer(scale, scale))
        values, self._vectors = np.linalg.eigh(mean * units)
        if values[0] <= 4 * d * np.finfo(float).eps * values[-1]:
            raise InvalidInput("second_moments", "singular mean", _SINGULAR)
        self._log = np.log(values)
        self.longest = float(_FARTHEST / max(np.abs(self._log).max(), 1e-8))
        root = (self._vectors / np.sqrt(values)) @ self._vectors.T
        spectrum, vectors = np.linalg.eigh(root @ (means * units) @ root)
        self._regular = spectrum[:, 0] > 1e-12 * spectrum[:, -1]
        spectrum, vectors = spectrum[self._regular], vectors[self._regular]
        self.noiseless = bool(spectrum.size and np.all(np.abs(spectrum - 1) <= 64 * d * np.finfo(float).eps))
        # a power of the noise widens it as a factor on its deviation does, and keeps it positive definite
        wide = spectrum**widening
        # symmetric, as are the matrices that they are multiplied by: a triangle each, what is off the diagonal twice
        self._triangle = np.triu_indices(d)
        twice = np.where(self._triangle[0] == self._triangle[1], 1.0, 2.0)
        self._direct = ((vectors * wide[:, None]) @ vectors.mT)[:, *self._triangle] * twice
        self._inverse = ((vectors / wide[:, None]) @ vectors.mT)[:, *self._triangle] * twice

    def _power(self, exponent: float) -> np.ndarray:
        return (self._vectors * np.exp(exponent * self._log)) @ self._vectors.T

    def exact(self, position: float) -> float:
        """The exact M²(B_λ)."""
        direct, inverse = np.diagonal(self._power(position)), np.diagonal(self._power(-position))
        pairs = zip(self._slices, self._multiplicity, strict=True)
        return max(0.0, float(sum(np.sqrt(direct[s].sum() * inverse[s].sum()) - m for s, m in pairs)))

    def sample(self, position: float) -> np.ndarray:
        """M²(e^{λL/2} E_b e^{λL/2}) for every resample, inf where E_b is not positive definite."""
        forward, backward = self._power(position / 2), self._power(-position / 2)
        total = np.full(len(self._direct), -float(sum(self._multiplicity)))
        for first in range(0, len(self._slices), _AT_ONCE):
            # tr(P F E F) = ⟨F P F, E⟩: one product of matrices for all resamples and many eigenspaces
            chosen = self._slices[first : first + _AT_ONCE]
            direct, inverse = (
                noise @ np.stack([(root[:, s] @ root[s])[self._triangle] for s in chosen], axis=1)
                for noise, root in ((self._direct, forward), (self._inverse, backward))
            )
            total += np.sqrt(direct * inverse).sum(axis=1)
        result = np.full(len(self._regular), np.inf)
        result[self._regular] = np.maximum(total, 0)
        return result


_HALVINGS = 24  # of an interval whose ends the resamples know to some per cent
_AT_ONCE = 64  # eigenspaces whose traces are taken by one product
_SINGULAR = "M is infinite for fewer independent weight vectors than dimensions: project on their span first"


def _last(holds: Callable[[float], bool], end: float) -> float:
    """The end of the interval [0, t] on which `holds`, by bisection on [0, end]: from below, to within 1e-7 of it."""
    start = 0.0
    for _ in range(_HALVINGS):
        middle = (start + end) / 2
        start, end = (middle, end) if holds(middle) else (start, middle)
    return start


def _resampled_blocks(
    moments: np.ndarray, sizes: np.ndarray, resamples: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The weighted mean (d, d), and that of `resamples` draws of K blocks with replacement."""
    k = len(sizes)
    weights = generator.multinomial(k, np.full(k, 1 / k), size=resamples) * sizes
    flat = moments.reshape(k, -1)
    means = (weights / weights.sum(axis=1, keepdims=True)) @ flat
    return (sizes / sizes.sum() @ flat).reshape(moments.shape[1:]), means.reshape(-1, *moments.shape[1:])


def _resampled_vectors(
    points: np.ndarray, resamples: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    n, d = points.shape
    means = np.empty((resamples, d, d))
    for b in range(resamples):
        counts = generator.multinomial(n, np.full(n, 1 / n))
        means[b] = (points * counts[:, None]).T @ points / n
    return points.T @ points / n, means


def _checked_vectors(vectors: Array, dimension: int) -> np.ndarray:
    if vectors.ndim != 2 or vectors.shape[1] != dimension or vectors.shape[0] <= dimension:
        rule = f"must be (n, {dimension}) with n > {dimension}"
        raise InvalidInput("vectors.shape", tuple(vectors.shape), rule)
    points = to_numpy(vectors)
    if not np.all(np.isfinite(points)):
        raise InvalidInput("vectors", "nan or inf", "must be finite")
    return points
