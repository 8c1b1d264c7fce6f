"""Eigenspaces, misalignment, containment, groups and overlaps, in bases that are known."""

from __future__ import annotations

import numpy as np
import torch

from tests.pinning.table import Call, outcome, outcomes
from tests.theory.pins.arguments import array, group, moment, moments, rotation, spaces
from theory.arrays import power_of_two, symmetric, unit
from theory.containment import Containment, anisotropy, containment, leakage, turning_angle
from theory.eigenspaces import eigenspaces, matching, transfer_function, weight_variances
from theory.misalignment import closest_aligned, jeffreys, misalignment, misalignment_squared, null_floor
from theory.overlaps import merged, overlaps
from theory.symmetry import haar, symmetry_group, twirl

SPACES = spaces(2, 1, 3)
OTHERS = spaces(1, 2, 1, 2, salt=2)
B = moment(6)
STACK = moments(4, 6)
GROUP = group(2, 3, fixed=1)


def levels(*values: float) -> np.ndarray:
    """A matrix of these eigenvalues, in a basis that is no axis."""
    turn = rotation(len(values))
    return (turn * np.array(values)) @ turn.T


def invariant(matrix: np.ndarray, **keys: object) -> list[object]:
    """What does not depend on the basis that eigh has chosen within an eigenspace."""
    found = eigenspaces(matrix, **keys)
    return [
        found.eigenvalues,
        found.multiplicity,
        found.gap * 1e12,
        found.spread,
        found.separations,
        found.projectors,
        found.matrix,
        found.dimension,
        found.slices,
    ]


def contained(*arguments: object, **keys: float) -> list[object]:
    found: Containment = containment(*arguments, **keys)
    return [
        found.values,
        found.leakage,
        found.anisotropy,
        found.leakage_margin,
        found.anisotropy_margin,
        found.angle,
        found.tolerance * 1e12,
        found.verdicts,
        found.verdict,
    ]


LOOSE = {"eigenspaces": 1e-7}  # measured: 1e-8
ROWS: dict[str, Call] = {
    "symmetric": lambda: [
        symmetric("matrix", B + 1e-9 * np.triu(array(6, 6))),
        *outcomes(lambda x: symmetric("matrix", np.eye(2) + x * np.array([[0.0, 1.0], [0.0, 0.0]])), 1.4e-8, 1.6e-8),
        *outcomes(lambda shape: symmetric("matrix", np.ones(shape)).shape, (1, 1), (2, 2), (2, 1), (0, 0), (3,)),
        symmetric("matrix", np.array([[2, 1], [1, 3]])).dtype.name,
        *outcomes(lambda kind: symmetric("matrix", np.eye(2, dtype=kind)).dtype.name, "f4", "f2", "c16", "i4", "?"),
        outcome(symmetric, "matrix", np.diag([1.0, np.nan])),
        outcome(symmetric, "matrix", torch.ones((2, 3))),
    ],
    "powers of two": lambda: [
        power_of_two(0.0),
        power_of_two(-5.0),
        power_of_two(1.7e308),
        power_of_two(1e-310),
        power_of_two(4.0),
        unit(np.stack([B, 100 * B])),
        unit(np.zeros((2, 2))),
        unit(np.full((1, 1), 1.7e308)),
        unit(np.full((1, 1), 3e38, np.float32)),
    ],
    "eigenspaces": lambda: [
        invariant(levels(1.0, 1.0, 2.5, 4.0)),
        invariant(levels(3.0)),
        invariant(levels(1.0, 1.0 + 1e-7, 2.0), gap=1e-6),
        invariant(levels(1.0, 1.0 + 1e-7, 2.0), gap=0.0),
        invariant(levels(1.0, 1.4, 2.0), standard_errors=[0.1, 0.2, 0.25]),
        invariant(levels(1.0, 1.4, 2.0), standard_errors=[0.05, 0.19, 0.3]),
        invariant(levels(1.0, 1.4, 2.0), standard_errors=[0.0, 0.1, 0.0], gap=0.31),
        invariant(levels(-4.0, 1.0, 2.0), gap=0.26),
        *outcomes(lambda x: eigenspaces(np.diag([1.0, 1.0 + x])).multiplicity, 2.8e-14, 2.9e-14),
        *outcomes(lambda x: eigenspaces(np.diag([1.0, 1 + x]).astype(np.float32)).multiplicity, 1.5e-5, 1.6e-5),
        *outcomes(lambda x: eigenspaces(np.diag([1.0, 3.0]), gap=x).multiplicity, 2 / 3, 0.66, 0.0, -1e-9),
        *outcomes(lambda x: eigenspaces(np.eye(2), standard_errors=x).multiplicity, [0.0, 1.0], [1.0], [1.0, -0.1]),
        *outcomes(eigenspaces, moments(2, 3)),
    ],
    "variances": lambda: [
        weight_variances(SPACES, B),
        weight_variances(SPACES, STACK),
        transfer_function(SPACES, B),
        *outcomes(lambda x: transfer_function(SPACES, x * np.eye(6)), 0.0, -1e-9),
        *outcomes(lambda shape: weight_variances(SPACES, np.ones(shape)), (6, 6), (6,), (6, 5), (5, 5), (2, 6, 6)),
        matching(SPACES, "matrix", B),
        *outcomes(lambda kind: matching(SPACES, "matrix", B.astype(kind)).dtype.name, "f8", "f4"),
    ],
    "misalignment": lambda: [
        misalignment_squared(SPACES, B),
        misalignment(SPACES, STACK),
        closest_aligned(SPACES, B),
        closest_aligned(OTHERS, 1e-3 * STACK),
        misalignment_squared(spaces(6), B),
        misalignment_squared(spaces(1, 1), moment(2)),
        jeffreys(B, STACK[1]),
        jeffreys(STACK, 3 * STACK[::-1]),
        *outcomes(
            lambda x: misalignment_squared(spaces(1, 1), np.diag([1.0, x])), 1e-12, 4.4e-16, 4.5e-16, -4.4e-16, -1e-3
        ),
        outcome(jeffreys, np.eye(2), np.eye(3)),
        outcome(jeffreys, np.eye(2), np.eye(2, dtype=np.float32)),
        outcome(jeffreys, np.diag([1.0, 0.0]), np.eye(2)),
        misalignment_squared(eigenspaces(torch.diag(torch.tensor([1.0, 2.0]))), torch.tensor([[2.0, 0.5], [0.5, 1.0]])),
    ],
    "null floor": lambda: [
        null_floor((1, 2, 1, 2), 9),
        null_floor((2, 2), 4),
        null_floor((1,), 3),
        null_floor((1, 1), 3),
        null_floor((2,), 3),
        null_floor((3, 1, 3), 12, draws=7),
        null_floor((4, 2), 7, draws=5, seed=3),
        null_floor((5,), 12, draws=3),
        *outcomes(lambda n: null_floor((2, 1), n), 2, 3, 4, True),
        *outcomes(lambda m: null_floor(m, 9), (), (0, 1), (True, 1)),
        *outcomes(lambda n: null_floor((3,), 9, draws=n).value, 1, 2, True),
    ],
    "containment": lambda: [
        leakage(SPACES, STACK),
        anisotropy(SPACES, STACK),
        leakage(spaces(3), moment(3)),
        anisotropy(spaces(1, 1), moment(2)),
        contained(SPACES, B),
        contained(SPACES, B, tolerance=0.5),
        contained(SPACES, B, tolerance=0.2, error_b=0.3),
        contained(SPACES, B, tolerance=0.35, error_a=0.1),
        contained(SPACES, 2 * np.eye(6), error_b=0.1, tolerance=0.04),
        contained(spaces(1, 1), np.diag([1.0, -3.0]), tolerance=0.3),
        contained(spaces(2), np.diag([1.0, 3.0]), error_b=0.2),
        contained(spaces(2, 1), np.diag([1.0, 3.0, 2.0]), tolerance=0.1, error_b=0.2),
        contained(spaces(2, 1), np.zeros((3, 3))),
        contained(eigenspaces(levels(1.0, 1.2, 3.0)), moment(3), tolerance=0.1, error_a=0.11),
        *(contained(spaces(1, 2), levels(1.0, 2.0, 2.0), tolerance=x) for x in (1e-15, 0.02, 0.2, 0.6)),
        turning_angle(np.array([0.5, 1.0, 0.2, np.inf]), 0.1),
        turning_angle(np.array([0.2]), 0.1),
        *outcomes(lambda x: contained(spaces(1, 1), np.eye(2), error_a=x), 0.0, -1e-9, np.inf),
        outcome(containment, SPACES, STACK),
    ],
    "groups": lambda: [
        twirl(GROUP, STACK),
        twirl(group(2, 1), moment(3)),
        GROUP.slices,
        GROUP.dimension,
        twirl(symmetry_group(spaces(2, 1, 3), mean=array(6, salt=2)), STACK),
        [
            (found.fixed, found.sizes)
            for found in (
                symmetry_group(SPACES),
                symmetry_group(SPACES, mean=np.zeros(6)),
                symmetry_group(SPACES, mean=SPACES.basis[:, 1]),
                symmetry_group(SPACES, mean=SPACES.basis[:, 1] + 2e-10 * SPACES.basis[:, 2]),
                symmetry_group(SPACES, mean=SPACES.basis[:, 1] + 0.9e-10 * SPACES.basis[:, 2]),
            )
        ],
        *outcomes(lambda n: symmetry_group(SPACES, mean=np.ones(n)).fixed, 6, 5),
        outcome(lambda: symmetry_group(SPACES, mean=np.full(6, np.nan))),
        *outcomes(lambda shape: twirl(GROUP, np.ones(shape)), (6, 6), (6,), (5, 6)),
        GROUP.draw(np.random.default_rng(3), 2),
        haar(np.random.default_rng(3), 1, 4),
        haar(np.random.default_rng(3), 4, 2),
        haar(np.random.default_rng(3), 4, 2, 2),
        haar(np.random.default_rng(3), 5, 2, 3),
        haar(np.random.default_rng(3), 4, 1, 1),
    ],
    "overlaps": lambda: [
        overlaps(SPACES, OTHERS),
        overlaps(OTHERS, SPACES),
        *(str(merged(spaces(2, 1, 3), spaces(3, 3), tolerance=x)) for x in (0.0, 0.1, 0.3, 0.499)),
        *outcomes(lambda x: str(merged(spaces(1, 1), spaces(1, 1), tolerance=x)), 1e-12, 0.499, 0.5, -1e-9),
        outcome(overlaps, spaces(1, 1), spaces(1, 2)),
    ],
}
