"""How far a mean curve lies from a given one: its root mean square, with an interval that knows the curve's noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, ncx2

from reports.judging.rules import CONFIDENCE
from theory.errors import Diverged

DRAWS = 100  # the number of quantiles of the law of σ² over which P is averaged
ALLOWED = 0.75  # the share of the degrees of freedom of s² that is counted, since variances differ between places


@dataclass(frozen=True)
class Misfit:
    """The root mean square over places of the true mean curve's distance from a given one.

    Attributes
    ----------
    rms : float
        The root of the mean square of the measured mean less that of its noise; 0 where the noise is larger.
    low, high : float
        The ends of its interval.
    noise : float
        The standard error of the mean curve, root mean square over places.
    """

    rms: float
    low: float
    high: float
    noise: float


def misfit(off: np.ndarray, *, confidence: float = CONFIDENCE) -> Misfit:
    r"""The misfit of R independent curves (R, p), given as what they exceed the given curve by, from their mean.

    Where noise is Gaussian, independent between places and of one variance σ², R Σ_k mean_k²/σ² has the noncentral
    χ² law with p degrees of freedom and noncentrality R p rms²/σ², and the variance s² between curves, averaged over
    places, is σ² χ²_ν/ν with ν = (R − 1) p, of which three quarters are counted. The interval has those rms for which

        P(rms) = E_σ [χ²_p(R p rms²/σ²) law at R Σ_k mean_k²/σ²],    σ² = s² ν/χ²_ν,

    lies between its tails: Student's interval where rms is far above the noise, a test by Fisher's F where it is 0. It
    keeps its coverage for variances that differ by a factor of four. Where places share 3 % of their noise, which the
    networks of claim B5 nearly do, it covers in 91 to 93 of 100: see the guide on calibration.

    Raises
    ------
    Diverged
        If there are fewer than two curves, or the curves have no scatter.
    """
    count, places = off.shape
    if count < 2:
        raise Diverged("networks", count, "an interval needs at least two that do not diverge")
    variance = float(off.var(axis=0, ddof=1).mean())
    if not variance > 0:
        raise Diverged("networks", count, "an interval needs curves that differ")
    square = float((off.mean(axis=0) ** 2).mean())
    freedom = ALLOWED * (count - 1) * places
    variances = variance * freedom / chi2.ppf((np.arange(DRAWS) + 0.5) / DRAWS, freedom)  # of the law of σ²
    tail = (1 - confidence) / 2
    low, high = (_square_at(count * places / variances, places, square, level) for level in (1 - tail, tail))
    return Misfit(
        rms=max(square - variance / count, 0.0) ** 0.5,
        low=low**0.5,
        high=high**0.5,
        noise=(variance / count) ** 0.5,
    )


def _square_at(weights: np.ndarray, places: int, square: float, level: float) -> float:
    """The rms² at which P is `level`; 0 where it is smaller everywhere. `weights` (B,) are R p/σ²."""

    def excess(candidate: float) -> float:
        return float(ncx2.cdf(weights * square, places, weights * candidate).mean()) - level

    if excess(0.0) <= 0:
        return 0.0
    upper = square + places / float(weights.min())
    while excess(upper) > 0:
        upper *= 2
    return float(brentq(excess, 0.0, upper, xtol=1e-6 * upper))
