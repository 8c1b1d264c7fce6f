"""From the moments of a simulation to estimates: τ with standard errors, misalignment, the test of alignment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reports.judging.intervals import mean_with_error
from simulate.results import SimulatedReading, Simulation
from theory.eigenspaces import Eigenspaces, eigenspaces, weight_variances
from theory.errors import InvalidInput
from theory.misalignment import misalignment
from theory.symmetry import SymmetryGroup, symmetry_group
from theory.testing import randomization_test


@dataclass(frozen=True, eq=False)
class Estimate:
    """The estimates of Σ_w from one reading of a simulation.

    Attributes
    ----------
    step : int
    sigma, tau, tau_se : ndarray, shape (k,)
        σ, ascending; τ, which is NaN where all replicas have diverged; and its standard errors between blocks of
        replicas, NaN for a single block.
    multiplicity : tuple of int, length k
    mean_weight_norm : float
        ‖E[w]‖, estimated without subtracting its noise; NaN where all replicas have diverged.
    misalignment : float or None
        M of the mean second moment; None where that is singular.
    alignment_pvalue : float or None
        The p-value of the exact randomization test (energy); None for a single block, or if it was not asked for.
    """

    step: int
    sigma: np.ndarray
    multiplicity: tuple[int, ...]
    tau: np.ndarray
    tau_se: np.ndarray
    mean_weight_norm: float
    misalignment: float | None
    alignment_pvalue: float | None


def data_eigenspaces(simulation: Simulation) -> Eigenspaces:
    """The eigenspaces for which τ is estimated. Population eigenvalues are exact, so only equal ones are merged."""
    return eigenspaces(simulation.data_moment, gap=1e-9)


def data_symmetry(spaces: Eigenspaces, mean: np.ndarray | None = None) -> SymmetryGroup:
    """The group that leaves the law of the data invariant: it fixes `mean` where there is one."""
    return symmetry_group(spaces, mean=None if mean is None or not np.any(mean) else mean)


def estimate(simulation: Simulation, *, mean: np.ndarray | None = None, tested: bool = True) -> tuple[Estimate, ...]:
    """One estimate per reading.

    Parameters
    ----------
    simulation : Simulation
    mean : ndarray, shape (d,), optional
        The population mean that the symmetry group has to fix.
    tested : bool
        Whether alignment is tested. With an eigenspace of forty directions that costs more than most ensembles do.
    """
    spaces = data_eigenspaces(simulation)
    group = data_symmetry(spaces, mean) if tested else None
    return tuple(_estimate(reading, spaces, group) for reading in simulation.readings)


def _estimate(reading: SimulatedReading, spaces: Eigenspaces, group: SymmetryGroup | None) -> Estimate:
    tau, standard_error = tau_with_error(reading, spaces)
    try:
        distance = float(misalignment(spaces, reading.second_moment))
    except InvalidInput:  # fewer weight vectors than dimensions, or none where all replicas have diverged
        distance = None
    test = None
    if group is not None and len(reading.counts) > 1:
        test = randomization_test(reading.second_moments, group, counts=reading.counts, seed=reading.step)
    return Estimate(
        step=reading.step,
        sigma=np.sqrt(np.maximum(spaces.eigenvalues, 0)),
        multiplicity=spaces.multiplicity,
        tau=tau,
        tau_se=standard_error,
        mean_weight_norm=float(np.linalg.norm(reading.mean)) if reading.replicas else np.nan,
        misalignment=distance,
        alignment_pvalue=None if test is None else test.pvalue,
    )


def tau_with_error(reading: SimulatedReading, spaces: Eigenspaces) -> tuple[np.ndarray, np.ndarray]:
    """τ (k,) and its standard error (k,), from the scatter between blocks of replicas."""
    return mean_with_error(weight_variances(spaces, reading.second_moments), reading.counts)
