"""Statistics against Monte Carlo: means, and whole second-moment matrices (theory/derivations.md, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

FALSE_ALARM = 1e-7  # of one statistical test


def largest_z(samples: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """The largest |z| over the entries of the mean of `samples` (R, …), and the bound that it passes by chance with
    probability FALSE_ALARM at most (Bonferroni). Entries that never vary must agree to 1e-10.
    """
    r = len(samples)
    error = samples.std(axis=0, ddof=1) / np.sqrt(r)
    difference = np.abs(samples.mean(axis=0) - expected)
    constant = error < 1e-12
    assert np.all(difference[constant] < 1e-10)
    z = difference[~constant] / error[~constant]
    return float(z.max(initial=0.0)), float(stats.norm.isf(FALSE_ALARM / 2 / max(z.size, 1)))


def has_mean(samples: np.ndarray, expected: np.ndarray | float) -> bool:
    """Whether the mean of `samples` (R, …) is `expected`, by `largest_z`."""
    z, bound = largest_z(samples, np.asarray(expected))
    return z < bound


@dataclass(frozen=True)
class SecondMomentTest:
    """Two p-values, each uniform when the weights are Gaussian with the predicted second moment."""

    likelihood_ratio: float
    diagonals: float

    @property
    def pvalue(self) -> float:
        """The smaller one, Bonferroni-corrected."""
        return min(1.0, 2 * min(self.likelihood_ratio, self.diagonals))


def second_moment_test(weights: np.ndarray, predicted: np.ndarray) -> SecondMomentTest:
    """Is `predicted` (d, d) the second moment of the Gaussian `weights` (N, d)?

    Whitened by the prediction on its column space, N times the sample second moment is Wishart(N, I): its diagonals
    are independent χ²_N, and the likelihood ratio has a χ² law with k(k+1)/2 degrees of freedom.
    """
    count = len(weights)
    values, vectors = np.linalg.eigh(predicted)
    inside = values > 1e-12 * values[-1]
    outside = weights @ vectors[:, ~inside]
    assert np.all(np.abs(outside.T @ outside / count) <= 1e-12 * values[-1])
    white = weights @ (vectors[:, inside] / np.sqrt(values[inside]))
    sample = white.T @ white / count
    rank = inside.sum()
    ratio = count * (np.trace(sample) - np.linalg.slogdet(sample)[1] - rank)
    chi2 = count * sample.diagonal()
    tails = 2 * np.minimum(stats.chi2.cdf(chi2, count), stats.chi2.sf(chi2, count))
    return SecondMomentTest(
        likelihood_ratio=float(stats.chi2.sf(ratio, rank * (rank + 1) / 2)),
        diagonals=float(-np.expm1(rank * np.log1p(-min(tails.min(), 1 - 1e-16)))),  # Šidák: they are independent
    )


def assert_second_moment(weights: np.ndarray, predicted: np.ndarray, *, alpha: float) -> None:
    """Fail if the sample second moment of `weights` rejects `predicted` at level `alpha`."""
    test = second_moment_test(weights, predicted)
    assert test.pvalue >= alpha, test
