"""Is it aligned? Exact, random-basis and whole-matrix tests, intervals, and their power."""

from theory.testing.interval import MisalignmentInterval, misalignment_interval
from theory.testing.mean import detectable_mean, escalating_mean_randomization_test
from theory.testing.paired import MeanRatio, PairedMean, mean_ratio, paired_mean
from theory.testing.power import (
    Detectable,
    RotationPower,
    detectable_energy,
    detectable_rotation,
    neighbour_rotation,
    rotation_power_table,
)
from theory.testing.random_basis import RandomBasisTest, random_basis_test
from theory.testing.randomization import (
    RandomizationTest,
    escalating_randomization_test,
    mean_randomization_test,
    randomization_test,
)
from theory.testing.variances import VariancesTest, variances_test
from theory.testing.whole_matrix import WholeMatrixTest, tau_zscores, whole_matrix_test

__all__ = [
    "Detectable",
    "MeanRatio",
    "MisalignmentInterval",
    "PairedMean",
    "RandomBasisTest",
    "RandomizationTest",
    "RotationPower",
    "VariancesTest",
    "WholeMatrixTest",
    "detectable_energy",
    "detectable_mean",
    "detectable_rotation",
    "escalating_mean_randomization_test",
    "escalating_randomization_test",
    "mean_randomization_test",
    "mean_ratio",
    "misalignment_interval",
    "neighbour_rotation",
    "paired_mean",
    "random_basis_test",
    "randomization_test",
    "rotation_power_table",
    "tau_zscores",
    "variances_test",
    "whole_matrix_test",
]
