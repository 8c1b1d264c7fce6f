"""What is kept of the weights and gradients of networks: the neural feature ansatz, exact tests, their way together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from reports.claims.alignment.evidence import AlignmentEvidence, ensemble_of, measure_alignment
from reports.judging.estimate import data_symmetry
from simulate.features import FeatureReading, Features
from theory.eigenspaces import eigenspaces
from theory.features import aligned_part, fit_ansatz, mean_correlation

LEFT = 0.9  # the part of the weights aligned with Σ_x below which they have left the data


@dataclass(frozen=True, eq=False)
class ConvergedFeatures:
    """Single networks at the last reading.

    Attributes
    ----------
    exponents, correlations, at_one : ndarray, shape (R,)
        The best α, the correlation of WᵀW with AGOP^α there, and at α = 1.
    products : ndarray, shape (R, 3)
        ⟨N, N⟩, ⟨N, G⟩ and ⟨G, G⟩ of N = WᵀW and G = (1/n) Σ ∇ℓ xᵀ, in units of the first.
    replicas, diverged : int
    """

    exponents: np.ndarray
    correlations: np.ndarray
    at_one: np.ndarray
    products: np.ndarray
    replicas: int
    diverged: int


@dataclass(frozen=True)
class BothAlignments:
    """The exact tests of the mean AGOP and of Σ_w at the last reading; of a control only the first, as A4 has Σ_w's."""

    gradients: AlignmentEvidence
    weights: AlignmentEvidence | None

    @property
    def replicas(self) -> int:
        return self.gradients.replicas

    @property
    def diverged(self) -> int:
        return self.gradients.diverged


@dataclass(frozen=True, eq=False)
class FeatureCourse:
    """Means over networks along training, of the changes of WᵀW and AGOP since its beginning.

    Attributes
    ----------
    epochs : ndarray, shape (T,)
    weights, gradients : ndarray, shape (T, R + 1)
        The part of the mean that is aligned with Σ_x, for all networks, and without each of them.
    agreement : ndarray, shape (T, R + 1)
        The correlation of the mean WᵀW with the mean AGOP, for the same sets of networks.
    diverged : int
    """

    epochs: np.ndarray
    weights: np.ndarray
    gradients: np.ndarray
    agreement: np.ndarray
    diverged: int

    @property
    def replicas(self) -> int:
        return self.weights.shape[1] - 1 + self.diverged

    @property
    def left(self) -> np.ndarray:
        """The epoch at which the part of the weights falls below `LEFT` for good, (R + 1,); infinite if it does not."""
        return np.array([_last_crossing(self.epochs, part) for part in self.weights.T])


def _last_crossing(epochs: np.ndarray, part: np.ndarray) -> float:
    above = np.flatnonzero(~(part < LEFT))
    if len(above) == 0:
        return float(epochs[0])
    last = above[-1]
    if last + 1 == len(part):
        return float("inf")
    share = (part[last] - LEFT) / (part[last] - part[last + 1])
    return float(epochs[last] + share * (epochs[last + 1] - epochs[last]))


MeasuredFeatures = ConvergedFeatures | BothAlignments | FeatureCourse


def _squares(reading: FeatureReading) -> np.ndarray:
    return np.asarray(np.swapaxes(reading.weights, 1, 2) @ reading.weights)


def converged_features(trained: Features) -> ConvergedFeatures:
    """The ansatz and the products of every network, for training that has converged."""
    reading = trained.readings[-1]
    n, g = _squares(reading), reading.loss_moment
    fits = [fit_ansatz(one, agop) for one, agop in zip(n, reading.agop, strict=True)]
    products = np.stack([np.sum(a * b, axis=(1, 2)) for a, b in ((n, n), (n, g), (g, g))], axis=1)
    return ConvergedFeatures(
        exponents=np.array([fit.exponent for fit in fits]),
        correlations=np.array([fit.correlation for fit in fits]),
        at_one=np.array([fit.at_one for fit in fits]),
        products=products / products[:, :1],
        replicas=trained.replicas,
        diverged=trained.diverged,
    )


def both_alignments(trained: Features, *, weights: bool) -> BothAlignments:
    """The exact test of the mean AGOP at the last reading, and that of Σ_w if `weights` is true."""
    reading = trained.readings[-1]
    second_moments = _squares(reading) / reading.weights.shape[1]
    return BothAlignments(
        gradients=_alignment(trained, reading.agop),
        weights=_alignment(trained, second_moments) if weights else None,
    )


def _alignment(trained: Features, matrices: np.ndarray) -> AlignmentEvidence:
    """The exact test of the mean of matrices (R, d, d); diverged networks are not among them."""
    group = data_symmetry(eigenspaces(trained.data_moment, gap=1e-9))
    found_here = measure_alignment(ensemble_of(trained.setting, trained.data_moment, matrices, group))
    return replace(found_here, replicas=trained.replicas, diverged=trained.diverged)


def feature_course(trained: Features, updates: int) -> FeatureCourse:
    """The course of training that is read along its way; an epoch has `updates` updates."""
    spaces = eigenspaces(trained.data_moment, gap=1e-9)
    first, *later = trained.readings
    weights, gradients, agreement = [], [], []
    for reading in later:
        n, a = _squares(reading) - _squares(first), reading.agop - first.agop
        weights.append(aligned_part(spaces, n))
        gradients.append(aligned_part(spaces, a))
        agreement.append(mean_correlation(n, a))
    epochs = np.array([reading.step for reading in later]) / updates
    return FeatureCourse(epochs, np.array(weights), np.array(gradients), np.array(agreement), trained.diverged)
