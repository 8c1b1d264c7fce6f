"""The evidence that an ensemble gives about alignment, for the claims that test it: what is kept, and how it is found.

What is kept are p-values, effects and what would have been found; simulations and null distributions are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import simulate
from reports.claims.claim import Case, Context
from reports.judging.estimate import data_eigenspaces, data_symmetry
from reports.judging.intervals import share_interval
from reports.judging.rules import LEVEL, POWER
from simulate.results import SimulatedReading, Simulation
from theory.eigenspaces import Eigenspaces, eigenspaces
from theory.features import axis_chance, axis_part, jackknife
from theory.setting import Setting
from theory.symmetry import SymmetryGroup, twirl
from theory.testing import (
    detectable_energy,
    detectable_mean,
    escalating_mean_randomization_test,
    escalating_randomization_test,
    randomization_test,
)

KEPT_BLOCKS = 64  # the most blocks over which networks are averaged whose second moments are given one by one
# The blocks in tests with many draws: two million draws on 64 blocks take a second, on 32 half of it; where alignment
# is broken both reject as surely.
TESTED_BLOCKS = 32
PARTS, PART_LEVEL = 16, 0.01  # power is the share of 16 disjoint parts of the ensemble that reject at this level


@dataclass(frozen=True, eq=False)
class TrainedEnsemble:
    """An ensemble beside the symmetry that the hypotheses give to it; it is tested, and not kept.

    Attributes
    ----------
    simulation : Simulation
    spaces : Eigenspaces
        The eigenspaces of the data.
    group : SymmetryGroup
        The group under which the law of the weights should be invariant.
    """

    simulation: Simulation
    spaces: Eigenspaces
    group: SymmetryGroup

    @property
    def reading(self) -> SimulatedReading:
        """The last reading, on which everything is tested."""
        return self.simulation.readings[-1]

    @property
    def seed(self) -> int:
        return self.simulation.setting.ensemble.seed

    @property
    def unit(self) -> float:
        """sqrt(tr Σ_w), in which mean weights are given."""
        return float(np.trace(self.reading.second_moment) ** 0.5)


def train_ensemble(case: Case[Any], context: Context, *, fixing_mean: bool = False) -> TrainedEnsemble:
    """Train the ensemble of a case; its group fixes E x where that is asked for."""
    simulation = context.run(case.setting)
    spaces = data_eigenspaces(simulation)
    mean = simulate.population(case.setting).mean if fixing_mean else None
    return TrainedEnsemble(simulation, spaces, data_symmetry(spaces, mean))


@dataclass(frozen=True)
class AlignmentEvidence:
    """What the last reading of an ensemble says of Σ_w.

    Attributes
    ----------
    pvalue : float
        The p-value of the exact test that the law of the weights is invariant, on the energy outside the commutant.
    outside : float
        ‖S̄ − Π(S̄)‖ / ‖S̄‖ (Frobenius), not corrected for sampling noise.
    detectable : float or None
        The value of that ratio which the test at `LEVEL` would have detected with 90 % power; None if no value is.
    learned : float
        ‖Π(S̄) − (tr S̄ / d) I‖ / ‖S̄‖: how far the covariance is from isotropic, for which alignment says nothing.
    replicas, diverged : int
    """

    pvalue: float
    outside: float
    detectable: float | None
    learned: float
    replicas: int
    diverged: int


def measure_alignment(trained: TrainedEnsemble) -> AlignmentEvidence:
    """Test the last reading under the group of the ensemble, with as many draws as p-values below `LEVEL` need."""
    reading, group = trained.reading, trained.group
    moments, counts, overall = reading.second_moments, reading.counts, reading.second_moment
    averaged = twirl(group, overall)
    norm = np.linalg.norm(overall)
    isotropic = np.trace(overall) / len(overall) * np.eye(len(overall))
    return AlignmentEvidence(
        pvalue=invariance_pvalue(trained, group),
        outside=float(np.linalg.norm(overall - averaged) / norm),
        detectable=detectable_energy(moments, group, counts=counts, level=LEVEL, power=POWER, seed=trained.seed).value,
        learned=float(np.linalg.norm(averaged - isotropic) / norm),
        replicas=trained.simulation.replicas,
        diverged=trained.simulation.diverged,
    )


def ensemble_of(
    setting: Setting, data_moment: np.ndarray, matrices: np.ndarray, group: SymmetryGroup
) -> TrainedEnsemble:
    """The ensemble of any second moments (R, d, d), one per network; those that are not finite have diverged."""
    finite = np.isfinite(matrices).all(axis=(1, 2))
    kept = matrices[finite]
    blocks = min(KEPT_BLOCKS, len(kept))
    counts = np.array([len(kept[k::blocks]) for k in range(blocks)])
    moments = np.stack([kept[k::blocks].mean(axis=0) for k in range(blocks)])
    nothing, unknown = np.zeros((blocks, matrices.shape[1])), np.full(blocks, np.nan)
    reading = SimulatedReading(setting.training.readings[-1], counts, moments, nothing, unknown)
    diverged = int(np.count_nonzero(~finite))
    simulation = Simulation(setting, len(matrices), diverged, "cpu", 1, data_moment, (reading,))
    return TrainedEnsemble(simulation, eigenspaces(data_moment, gap=1e-9), group)


def invariance_pvalue(trained: TrainedEnsemble, group: SymmetryGroup) -> float:
    """The p-value of the exact test that the law of the weights is invariant under a group, its own or a larger one."""
    reading = trained.reading
    return escalating_randomization_test(
        reading.second_moments, group, counts=reading.counts, level=LEVEL, blocks=TESTED_BLOCKS, seed=trained.seed
    ).pvalue


@dataclass(frozen=True)
class AxisEvidence:
    """Where the part of Σ_w outside the commutant lies.

    Attributes
    ----------
    share, standard_error : float
        The share of the squared norm of this part that diagonal matrices account for, less sampling noise, and its
        standard error; NaN where noise is all there is.
    chance : float
        The mean share of a random direction: 1 where every direction is diagonal, which says nothing.
    """

    share: float
    standard_error: float
    chance: float

    @property
    def tells(self) -> bool:
        """Whether there is a share with an error, and one that could differ from chance."""
        return bool(np.isfinite(self.share + self.standard_error) and 0 < self.chance < 1)


def measure_axes(trained: TrainedEnsemble) -> AxisEvidence:
    """Compare what is outside with the coordinate axes, at the last reading."""
    share, error = jackknife(axis_part(trained.spaces, trained.reading.second_moments))
    return AxisEvidence(float(share), float(error), axis_chance(trained.spaces))


@dataclass(frozen=True)
class MeanWeightEvidence:
    """What the last reading of an ensemble says of E[w] outside the directions that its group fixes.

    Attributes
    ----------
    size : float
        |E w| in units of sqrt(tr Σ_w), not corrected for sampling noise.
    pvalue : float
        The p-value of the exact test that it is 0.
    detectable : float
        The value which that test at `LEVEL` detects with 90 % power, in the same units.
    """

    size: float
    pvalue: float
    detectable: float


def measure_mean_weight(trained: TrainedEnsemble) -> MeanWeightEvidence:
    """Test that E[w] lies in the span of the fixed directions, with more draws where the first ones are few."""
    reading, group, unit = trained.reading, trained.group, trained.unit
    free = group.basis[:, group.fixed :]
    test = escalating_mean_randomization_test(
        reading.means, group, counts=reading.counts, level=LEVEL, seed=trained.seed
    )
    detectable = detectable_mean(reading.means, group, counts=reading.counts, level=LEVEL, power=POWER)
    return MeanWeightEvidence(
        size=float(np.linalg.norm(free.T @ reading.mean) / unit),
        pvalue=test.pvalue,
        detectable=float(detectable / unit),
    )


@dataclass(frozen=True)
class Power:
    """The share of disjoint parts of an ensemble in which alignment is rejected, with its exact 95 % interval."""

    rejected: int
    parts: int
    replicas: int
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.rejected / self.parts

    def __str__(self) -> str:
        share = f"{self.rejected} of {self.parts} parts of {self.replicas} replicas reject at {PART_LEVEL:g}"
        return f"{share} (power {self.low:.2f} to {self.high:.2f})"


def measure_power(trained: TrainedEnsemble) -> Power:
    """How often a sixteenth of the replicas would have been enough: blocks are dealt to parts, each part is tested."""
    reading, group = trained.reading, trained.group
    parts = min(PARTS, len(reading.counts) // 2)
    rejected = 0
    for part in range(parts):
        chosen = slice(part, None, parts)
        moments, counts = reading.second_moments[chosen], reading.counts[chosen]
        test = randomization_test(moments, group, counts=counts, draws=999, seed=trained.seed + part + 1)
        rejected += test.pvalue <= PART_LEVEL
    low, high = share_interval(rejected, parts) or (0.0, 1.0)
    return Power(rejected, parts, reading.replicas // parts, low, high)
