"""Is a layer aligned with its AGOP, the average outer product of the gradients of the outputs by its input?

The AGOP of a layer is WᵀKW, where K is the mean outer product of the gradients with respect to the layer's own outputs.
It shares W with WᵀW, so even random weights of many units make the two similar. The test is therefore whether they are
more similar than WᵀW and WᵀUKUᵀW, with U a random rotation of the units: is the layer large in the directions to which
the outputs respond?

The interval is for the mean effect in networks whose units have the law of this layer's units. Its error is the
jackknife's over units: W loses a row and K a row and a column. By Efron and Stein's inequality the jackknife's variance
is not too small on average. Of three networks or more it is the jackknife's over networks, where that is larger: few
networks seldom show how far some of them lie below the others. 1 − effect is the ratio of two squared distances, of
normalised matrices; the effect is therefore skewed to the left. The lower end is that of an interval for √(1 − effect):
with half the width w, it is effect − w − w²/(4 (1 − effect)). The upper end, on which the verdict depends, is
effect + w, which is above that of √(1 − effect). What chance gives with a unit left out is taken to change as its
closed form does, by the means over rotations U, with N = WᵀW, X = U K Uᵀ, m units:

    E ⟨N, WᵀXW⟩₀ = (tr K / m) ‖N‖₀²,    E ‖WᵀXW‖₀² = (α + β) ‖N‖² + β (tr N)² − (α (tr N)² + 2 β ‖N‖²) / d,
    β = (‖K‖² − (tr K)²/m) / ((m + 2)(m − 1)),    α = ((tr K)² − 2 m β) / m²,

‖·‖₀ being without multiples of the identity, and E X_ij X_kl = α δ_ij δ_kl + β (δ_ik δ_jl + δ_il δ_jk).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from reports.check.verdict import LEVEL, MARGIN, LayerVerdict
from theory.features import correlation
from theory.symmetry import haar

DRAWS = 199
LARGEST = 1024  # the most units of a layer: rotations of more would take minutes
HELD = 2**22  # the most numbers of the rotations that are drawn at once
ROUNDING = 1e-9
FEWEST_NETWORKS, FEWEST_UNITS = 3, 4  # of which the jackknife leaves one out
With = Literal["both", "data", "AGOP", "neither", "undecided"]


@dataclass(frozen=True)
class AgopAgreement:
    """The similarity of a layer's WᵀW and AGOP, averaged over networks.

    Attributes
    ----------
    correlation : float
        Correlation of WᵀW and WᵀKW, both without their multiples of the identity.
    chance : float
        The mean of the correlation over random rotations of the units.
    effect : float
        (correlation − chance)/(1 − chance): 0 by chance, 1 if they are proportional.
    pvalue : float
        The p-value of the hypothesis that the gradients are independent of W's left singular vectors: one-sided, .005
        or more.
    interval : (float, float) or None
        95 % interval of the effect, rather too long than too short: it covered 98 % or more in all studies of its
        calibration. None for fewer than four units.
    """

    correlation: float
    chance: float
    effect: float
    pvalue: float
    interval: tuple[float, float] | None

    @property
    def verdict(self) -> Literal["aligned", "not aligned", "undecided"]:
        """Aligned if more similar than by chance, by the test; otherwise not aligned if the interval ends below ½."""
        if self.pvalue <= LEVEL:
            return "aligned"
        return "not aligned" if self.interval is not None and self.interval[1] < MARGIN else "undecided"


def agreement(
    weights: Sequence[np.ndarray], sensitivities: Sequence[np.ndarray], *, seed: int = 0
) -> AgopAgreement | None:
    """Compare W (m, d) with K (m, m), one of each per network; None if there is nothing to compare.

    This is so if a layer has one unit, one direction, more than `LARGEST` units, no influence on the output, or a K
    that is a multiple of the identity, as in the last layer.
    """
    m, d = weights[0].shape
    if not (1 < m <= LARGEST and d > 1) or not all(np.any(k) for k in sensitivities):
        return None
    generator = np.random.default_rng(seed)
    likeness, by_chance = np.zeros(len(weights)), np.zeros((len(weights), DRAWS))
    at_once = max(1, HELD // (m * max(m, d)))
    for i, (w, k) in enumerate(zip(weights, sensitivities, strict=True)):
        n = w.T @ w
        likeness[i] = float(_likeness(n, w.T @ k @ w))
        columns = min(m, d)  # only the frame of W's columns matters
        r = np.linalg.qr(w)[1] if m > d else w
        for first in range(0, DRAWS, at_once):
            frames = haar(generator, m, min(at_once, DRAWS - first), columns)
            turned = frames @ r
            by_chance[i, first : first + at_once] = _likeness(n, turned.mT @ k @ turned)
    found, chances = float(likeness.mean()), by_chance.mean(axis=1)
    chance = float(chances.mean())
    if chance > 1 - ROUNDING:
        return None
    pvalue = (1 + np.count_nonzero(by_chance.mean(axis=0) >= found - ROUNDING)) / (DRAWS + 1)
    effect, interval = (found - chance) / (1 - chance), None
    if m >= FEWEST_UNITS:
        half = _half_width(weights, sensitivities, likeness, chances)
        interval = (effect - half - half**2 / (4 * max(1 - effect, ROUNDING)), min(effect + half, 1.0))
    return AgopAgreement(found, chance, effect, float(pvalue), interval)


def without_each(w: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The correlation of WᵀW and WᵀKW, and its closed form over rotations: of all m units first, then without each.

    Arrays (m + 1,), of W (m, d) and a symmetric K (m, m), without multiples of the identity; in m d (m + d) operations.
    """
    m, d = w.shape
    n, b = w.T @ w, k @ w
    a = w.T @ b
    wn, wa = w @ n, w @ a
    own = np.diag(k)
    q, c, e = (np.einsum("ud,ud->u", x, y) for x, y in ((w, w), (w, b), (b, b)))
    wnw, wnb, waw, wab = (np.einsum("ud,ud->u", x, y) for x, y in ((wn, w), (wn, b), (wa, w), (wa, b)))

    def both(whole: float, lost: np.ndarray) -> np.ndarray:
        return np.asarray(whole - np.concatenate(([0.0], lost)))

    trace_n, trace_a = both(np.trace(n), q), both(np.trace(a), 2 * c - own * q)
    n_n = both(np.sum(n * n), 2 * wnw - q**2)
    n_a = both(np.sum(n * a), 2 * wnb - own * wnw + waw - 2 * q * c + own * q**2)
    removed = 2 * q * e + 2 * c**2 - 4 * own * q * c + own**2 * q**2
    a_a = both(np.sum(a * a), 2 * (2 * wab - own * waw) - removed)
    trace_k, k_k = both(np.trace(k), own), both(np.sum(k * k), 2 * np.sum(k * k, axis=0) - own**2)
    units = np.concatenate(([m], np.full(m, m - 1.0)))
    beta = (k_k - trace_k**2 / units) / ((units + 2) * (units - 1))
    alpha = (trace_k**2 - 2 * units * beta) / units**2
    square = n_n - trace_n**2 / d
    turned = (alpha + beta) * n_n + beta * trace_n**2 - (alpha * trace_n**2 + 2 * beta * n_n) / d
    with np.errstate(divide="ignore", invalid="ignore"):
        likeness = (n_a - trace_n * trace_a / d) / np.sqrt(square * (a_a - trace_a**2 / d))
        chance = trace_k / units * np.sqrt(square / turned)
    return np.nan_to_num(likeness, posinf=0, neginf=0), np.nan_to_num(chance, posinf=0, neginf=0)


def _half_width(
    weights: Sequence[np.ndarray], sensitivities: Sequence[np.ndarray], likeness: np.ndarray, chances: np.ndarray
) -> float:
    """The larger of two half-widths: by the effects without each unit and, if there are several, each network."""
    count, whole, by_chance = len(weights), likeness.mean(), chances.mean()
    of_units = []
    for i, (w, k) in enumerate(zip(weights, sensitivities, strict=True)):
        left_out, closed = without_each(w, (k + k.T) / 2)
        scaled = chances[i] * closed[1:] / closed[0]
        of_units.append(
            _effect(whole + (left_out[1:] - likeness[i]) / count, by_chance + (scaled - chances[i]) / count)
        )
    if count < FEWEST_NETWORKS:
        return _student(of_units)
    left = [[np.delete(values, i).mean() for i in range(count)] for values in (likeness, chances)]
    return max(_student(of_units), _student([_effect(np.array(left[0]), np.array(left[1]))]))


def _student(parts: Sequence[np.ndarray]) -> float:
    """Student's quantile times the jackknife's error, of effects that lack one unit, or network, of each part."""
    variance = sum((len(part) - 1) / len(part) * float(np.sum((part - part.mean()) ** 2)) for part in parts)
    return float(stats.t.isf(0.025, sum(len(part) - 1 for part in parts)) * np.sqrt(variance))


def _effect(likeness: np.ndarray, chance: np.ndarray) -> np.ndarray:
    return np.asarray((likeness - chance) / (1 - np.minimum(chance, 1 - ROUNDING)))


def aligned_with(verdict: LayerVerdict, found: AgopAgreement | None) -> With:
    """What a layer is seen to be aligned with; "neither" if both are excluded, "undecided" if neither is seen.

    Where one of the two is named, the other is excluded or undecided.

    >>> aligned_with("partly aligned", AgopAgreement(0.9, 0.5, 0.8, 0.005, (0.6, 1.0)))
    'both'
    """
    agop = "undecided" if found is None else found.verdict
    if verdict in ("aligned", "partly aligned"):
        return "both" if agop == "aligned" else "data"
    if agop == "aligned":
        return "AGOP"
    return "neither" if verdict == agop == "not aligned" else "undecided"


def _likeness(n: np.ndarray, a: np.ndarray) -> np.ndarray:
    """The correlation of N with matrices (..., d, d), without multiples of the identity; 0 if nothing else is left."""
    return np.nan_to_num(correlation(np.broadcast_to(n, a.shape), (a + a.mT) / 2, traceless=True))
