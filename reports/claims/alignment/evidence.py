"""The evidence that an ensemble gives about alignment, for the claims that test it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import binomtest

import simulate
from reports.claims.claim import Case, Context
from reports.judging.estimate import data_eigenspaces, data_symmetry
from reports.judging.rules import CONFIDENCE, LEVEL, POWER
from simulate.results import SimulatedReading, Simulation
from theory.eigenspaces import Eigenspaces
from theory.symmetry import SymmetryGroup, twirl
from theory.testing import (
    RandomizationTest,
    detectable_energy,
    detectable_mean,
    escalating_mean_randomization_test,
    escalating_randomization_test,
    randomization_test,
)

PARTS, PART_LEVEL = 16, 0.01  # power is the share of 16 disjoint parts of the ensemble that reject at this level


@dataclass(frozen=True, eq=False)
class AlignmentEvidence:
    """What the last reading of an ensemble says.

    Attributes
    ----------
    simulation : Simulation
    spaces : Eigenspaces
    group : SymmetryGroup
        The group under which the law of the weights should be invariant.
    test : RandomizationTest
        The exact test of that, on the energy outside the commutant.
    outside : float
        ‖S̄ − Π(S̄)‖ / ‖S̄‖ (Frobenius), not corrected for sampling noise.
    detectable : float or None
        The value of that ratio which the test at `LEVEL` would have found with probability .9; None if no value is.
    learned : float
        ‖Π(S̄) − (tr S̄ / d) I‖ / ‖S̄‖: how far the covariance is from isotropic, for which alignment says nothing.
    """

    simulation: Simulation
    spaces: Eigenspaces
    group: SymmetryGroup
    test: RandomizationTest
    outside: float
    detectable: float | None
    learned: float

    @property
    def replicas(self) -> int:
        return self.simulation.replicas

    @property
    def diverged(self) -> int:
        return self.simulation.diverged

    @property
    def reading(self) -> SimulatedReading:
        return self.simulation.readings[-1]

    @property
    def mean_weight(self) -> float:
        """|E w| in units of sqrt(tr Σ_w), the mean taken off the fixed directions; not corrected for noise."""
        free = self.group.basis[:, self.group.fixed :]
        return float(np.linalg.norm(free.T @ self.reading.mean) / np.trace(self.reading.second_moment) ** 0.5)

    @property
    def detectable_mean(self) -> float:
        """The |E w|, in the same units, that the test at `LEVEL` would have found with probability .9."""
        reading = self.reading
        size = detectable_mean(reading.means, self.group, counts=reading.counts, level=LEVEL, power=POWER)
        return float(size / np.trace(reading.second_moment) ** 0.5)


def gather(case: Case[Any], context: Context, *, mean: bool = False) -> AlignmentEvidence:
    """Run the ensemble of a case and test its last reading; with `mean`, under the group that fixes E x."""
    simulation = context.run(case.setting)
    spaces = data_eigenspaces(simulation)
    group = data_symmetry(spaces, simulate.population(case.setting).mean if mean else None)
    reading = simulation.readings[-1]
    moments, counts, seed = reading.second_moments, reading.counts, case.setting.ensemble.seed
    overall = reading.second_moment
    averaged = twirl(group, overall)
    norm = np.linalg.norm(overall)
    # a verdict needs p-values below LEVEL; outside the hypotheses there is none, and 2,000,000 draws would be wasted
    test = randomization_test if case.kind == "outside" else partial(escalating_randomization_test, level=LEVEL)
    isotropic = np.trace(overall) / len(overall) * np.eye(len(overall))
    return AlignmentEvidence(
        simulation=simulation,
        spaces=spaces,
        group=group,
        test=test(moments, group, counts=counts, seed=seed),
        outside=float(np.linalg.norm(overall - averaged) / norm),
        detectable=detectable_energy(moments, group, counts=counts, level=LEVEL, power=POWER, seed=seed).value,
        learned=float(np.linalg.norm(averaged - isotropic) / norm),
    )


def resolved_mean_test(evidence: AlignmentEvidence) -> RandomizationTest:
    """The exact test of E[w] in the span of the fixed directions, with more draws where the first ones are few."""
    reading, seed = evidence.reading, evidence.simulation.setting.ensemble.seed
    return escalating_mean_randomization_test(
        reading.means, evidence.group, counts=reading.counts, level=LEVEL, seed=seed
    )


def retested(evidence: AlignmentEvidence) -> RandomizationTest:
    """The same ensemble under the larger group that ignores the mean of the data."""
    reading, seed = evidence.reading, evidence.simulation.setting.ensemble.seed
    larger = data_symmetry(evidence.spaces)
    return escalating_randomization_test(reading.second_moments, larger, counts=reading.counts, level=LEVEL, seed=seed)


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


def measured_power(evidence: AlignmentEvidence) -> Power:
    """How often a sixteenth of the replicas would have been enough: blocks are dealt to parts, each part is tested."""
    reading, seed = evidence.reading, evidence.simulation.setting.ensemble.seed
    parts = min(PARTS, len(reading.counts) // 2)
    rejected = 0
    for part in range(parts):
        chosen = slice(part, None, parts)
        test = randomization_test(
            reading.second_moments[chosen],
            evidence.group,
            counts=reading.counts[chosen],
            draws=999,
            seed=seed + part + 1,
        )
        rejected += test.pvalue <= PART_LEVEL
    interval = binomtest(rejected, parts).proportion_ci(CONFIDENCE, method="exact")
    return Power(rejected, parts, reading.replicas // parts, interval.low, interval.high)
