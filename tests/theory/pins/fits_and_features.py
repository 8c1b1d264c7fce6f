"""Shapes, features, and what f is made of: estimates, laws and their fits."""

from __future__ import annotations

from functools import partial

import numpy as np
import sympy

from tests.pinning.table import Call, outcome, outcomes
from tests.theory.pins.arguments import array, moment, moments, positive, rotation, spaces
from theory import features
from theory.decomposition import estimated_parts, fit_law, fit_shape, law_tau
from theory.decomposition.shape_laws import LAWS
from theory.shape import classify_interval, shape_of
from theory.symbolic import exact_aligned, exact_containment, exact_eigenspaces, exact_misalignment_squared, exact_twirl

SPACES = spaces(2, 1, 3)
B = moment(6)
STACK = moments(4, 6)
TAU = np.array([0.4, 1.0, 1.7, 1.6, 0.3])
ERRORS = np.array([0.1, 0.05, 0.2, 0.1, 0.3])
SIGMA = np.array([0.2, 0.5, 0.9, 1.4, 2.2, 3.0])
MEASURED = np.array([0.08, 0.3, 0.42, 0.44, 0.3, 0.21])
COVARIANCE = moment(6, salt=3) / 5000
PAIR = sympy.Matrix([[2, 1, 0], [1, 2, 0], [0, 0, 3]]), sympy.Matrix([[5, 1, 2], [1, 4, 1], [2, 1, 6]])


def levels(*values: float) -> np.ndarray:
    """A matrix of these eigenvalues, in a basis that is no axis."""
    turn = rotation(len(values))
    return (turn * np.array(values)) @ turn.T


def classified(tau: np.ndarray, **keys: object) -> object:
    return outcome(lambda: classify_interval(tau, **keys))


def parts(count: int, **keys: object) -> object:
    start, cross, end = positive(count, 3), 0.5 * array(count, 3, salt=1), positive(count, 3, salt=2)
    return outcome(lambda: estimated_parts(start, cross, end, **keys))


def ends_of_parts() -> list[object]:
    found = estimated_parts(positive(5, 3), array(5, 3, salt=1), positive(5, 3, salt=2))
    return [
        found.half_width(0.3),
        found.half_width(0.3, tests=4, confidence=0.9),
        found.interval(0.5, 0.1),
        found.interval(0.1, 2.0),
        found.interval(-0.2, 0.1),
        found.interval(0.0, 0.0),
    ]


def fitted(law: str, tau: np.ndarray, *, scale: float = 1.0, **keys: object) -> object:
    return outcome(lambda: fit_law(law, SIGMA[: len(tau)], tau, scale * COVARIANCE[: len(tau), : len(tau)], **keys))


def exact(first: sympy.Matrix, second: sympy.Matrix) -> list[object]:
    return [
        [[space.eigenvalue, space.multiplicity, space.projector] for space in exact_eigenspaces(first)],
        exact_containment(first, second),
        exact_aligned(first, second),
        exact_twirl(first, second),
        exact_misalignment_squared(first, second),
    ]


LOOSE = {"ansatz": 1e-4} | dict.fromkeys(("fits", "fits, refusals", "fit of ridge", "fit of flow"), 1e-4)  # flat curves
ROWS: dict[str, Call] = {
    "shapes": lambda: [
        [shape_of(tau) for tau in (TAU, TAU[::-1], -TAU, [1.0], [1.0, 1.0], [1.0, 2.0, 2.0, 3.0], [2.0, 1.0, 1.0])],
        [classified(TAU, standard_errors=f * ERRORS) for f in (0.0, 0.01, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 9.0)],
        [
            classified(TAU[:3], standard_errors=f * ERRORS[:3], confidence=c)
            for f in (0.8, 1.5, 2.2, 2.6)
            for c in (0.5, 0.9, 0.99)
        ],
        [classified(TAU, covariance=f * moment(5)) for f in (1e-4, 1e-3, 1e-2, 3e-2, 0.1)],
        [classified(TAU, blocks=TAU + f * array(7, 5)) for f in (1e-3, 0.1, 0.3, 0.6, 1.0)],
        [
            classified(TAU, standard_errors=f * ERRORS, alternatives=("falls", "rises, then falls", "rises"))
            for f in (0.1, 0.5, 1.0, 3.0)
        ],
        [
            classified(TAU[::-1], standard_errors=f * ERRORS, alternatives=("falls", "rises"))
            for f in (0.1, 0.5, 1.0, 3.0)
        ],
        [
            classified(TAU, standard_errors=ERRORS, alternatives=(word,))
            for word in ("falls, then falls", "up", "rises")
        ],
        [classified(TAU[:n], standard_errors=ERRORS[:n]) for n in (0, 1, 2)],
        classified(TAU),
        classified(TAU, standard_errors=ERRORS, blocks=array(3, 5)),
        classified(TAU, blocks=array(1, 5)),
        classified(TAU, blocks=array(2, 5)),
        classified(TAU, blocks=array(3, 4)),
        classified(TAU, covariance=moment(4)),
        classified(TAU, standard_errors=-ERRORS),
        classified(TAU, standard_errors=ERRORS[:4]),
        classified(TAU, covariance=-moment(5)),
        [classified(TAU[:2], covariance=np.array([[1.0, 1 + x], [1 + x, 1.0]])) for x in (4e-13, 6e-13)],
        [classified(TAU, standard_errors=ERRORS, confidence=x) for x in (0.0, 1.0)],
        [
            classified(np.array(x), standard_errors=[0.0] * 3)
            for x in ([1.0, 1.0, 2.0], [1.0, 1.0, 0.5], [1.0, 1.0, 1.0])
        ],
        [classified(np.array([0.0, x]), standard_errors=[0.0, 1.0], confidence=0.99) for x in (2.575, 2.576)],
        [classified(np.array([0.0, 0.1, x]), standard_errors=[0.0, 0.0, 1.0], confidence=0.99) for x in (2.9, 2.91)],
    ],
    "symbolic": lambda: [
        exact(*PAIR),
        exact(sympy.diag(1, 1, 2), sympy.diag(3, 3, 1)),
        exact(sympy.diag(2, 1), sympy.diag(1, 2)),
        exact(sympy.Matrix([[1, sympy.sqrt(2)], [sympy.sqrt(2), 3]]), PAIR[1][:2, :2]),
    ],
    "symbolic refusals": lambda: [
        *outcomes(
            lambda b: exact_misalignment_squared(sympy.eye(2), b), sympy.diag(1, 0), sympy.diag(1, -1), sympy.diag(2, 5)
        ),
        *outcomes(
            lambda a: exact_aligned(a, sympy.eye(2)),
            sympy.eye(3),
            sympy.Matrix([[1, 2], [3, 4]]),
            sympy.zeros(0, 0),
            sympy.Matrix([[1, 2, 3], [4, 5, 6]]),
            sympy.Matrix([[0.5, 0], [0, 1]]),
            sympy.diag(sympy.I, 1),
            "a",
        ),
    ],
    "features": lambda: [
        features.feature_matrix(array(2, 4, 3)),
        features.gradient_outer_product(array(2, 5, 3)),
        features.gradient_outer_product(array(2, 2, 5, 3), centred=True),
        features.correlation(B, STACK),
        features.correlation(B, STACK[1], traceless=True),
        features.correlation(np.eye(2), np.eye(2), traceless=True),
        features.matrix_power(STACK, 0.3),
        features.matrix_power(levels(1.0, 1e-13, 2.0), 0.1),
        features.matrix_power(np.diag([1.0, 0.0]), 2.5),
        features.change_correlation(array(4, 3), array(4, 3, salt=1), moment(4)),
        features.linear_exponent(3),
        features.fit_ansatz(np.diag([1.0, 2.0]), np.diag([1.0, 1 - 9e-7])),
        features.decay_factor(0.3),
        features.decay_residual(array(4, 3), array(5, 3, salt=1), array(5, 3, salt=2), 0.3),
        features.mean_correlation(moments(4, 3), moments(4, 3, salt=1)),
        features.aligned_part(spaces(2, 1), moments(5, 3)),
        features.axis_part(spaces(2, 1), moments(5, 3)),
        features.axis_chance(spaces(2, 1)),
        features.axis_chance(spaces(1)),
        features.axis_chance(spaces(2)),
        features.axis_chance(SPACES),
        features.jackknife(positive(5, 2)),
        features.mean_correlation(moments(3, 2), -moments(3, 2)),
        features.aligned_part(spaces(2), np.stack([np.eye(2)] * 3)),
    ],
    "ansatz": lambda: [
        features.fit_ansatz(B, STACK[2]),
        features.fit_ansatz(features.matrix_power(STACK[2], 0.7), STACK[2]),
        features.fit_ansatz(B, np.eye(6)),
        features.fit_ansatz(np.diag([1.0, 0.0]), np.diag([2.0, 0.5])),
        features.fit_ansatz(np.eye(2), np.diag([2.0, 0.5])),
        features.fit_ansatz(np.eye(2), np.diag([1.0, 1 - 2e-6])),
    ],
    "features refusals": lambda: [
        *outcomes(lambda shape: features.feature_matrix(np.ones(shape)), (1, 1), (3,), (0, 2)),
        *outcomes(lambda shape: features.gradient_outer_product(np.ones(shape)), (1, 1, 1), (2, 2), (1, 0, 2)),
        outcome(features.feature_matrix, np.full((1, 1), 1e200)),
        outcome(features.feature_matrix, np.full((1, 1), np.inf)),
        *outcomes(lambda x: features.matrix_power(np.diag([1.0, x]), 0.5), 1.1e-12, 0.9e-12, -0.9e-9, -1.1e-9),
        *outcomes(
            lambda x: features.matrix_power(np.diag([1.0, x]).astype(np.float32), 0.5), 1.3e-5, 1.1e-5, -0.011, -0.013
        ),
        *outcomes(lambda x: features.matrix_power(np.eye(2), x), 1e-300, 0.0),
        *outcomes(features.linear_exponent, 1, 0),
        *outcomes(features.decay_factor, 1e-9, 0.0),
        outcome(features.correlation, np.eye(2), np.eye(3)),
        outcome(features.fit_ansatz, np.eye(2), np.eye(3)),
        outcome(features.fit_ansatz, np.ones((1, 2, 2)), np.ones((1, 2, 2))),
        outcome(features.fit_ansatz, np.zeros((2, 2)), np.eye(2)),
        outcome(features.fit_ansatz, np.eye(2), np.zeros((2, 2))),
        outcome(features.change_correlation, array(4, 3), array(4, 3, salt=1), moment(3)),
        outcome(features.decay_residual, array(4, 3), array(5, 2), array(5, 2), 0.3),
        outcome(features.decay_residual, array(4, 3), array(5, 3), array(4, 3), 0.3),
        *outcomes(lambda n: features.mean_correlation(moments(n, 2), moments(n, 2)), 2, 3),
        outcome(features.mean_correlation, moments(3, 2), moments(4, 2)),
        outcome(features.mean_correlation, moments(3, 2)[:, :1], moments(3, 2)),
        outcome(features.aligned_part, spaces(2), moments(3, 3)),
        outcome(features.axis_part, spaces(2), moments(3, 3)),
        outcome(features.mean_correlation, np.full((3, 2, 2), np.nan), moments(3, 2)),
    ],
    "estimated parts": lambda: [parts(5), parts(5, multiplicity=(2, 1, 4)), parts(2), parts(3), ends_of_parts()],
    "estimated parts, refusals": lambda: [
        parts(1),
        parts(5, multiplicity=(1, 1)),
        outcome(estimated_parts, array(3, 2), array(3, 3), array(3, 2)),
        outcome(estimated_parts, array(3), array(3), array(3)),
        outcome(estimated_parts, np.array([[1.0], [0.0]]), np.ones((2, 1)), np.ones((2, 1))),
        outcome(estimated_parts, np.array([[1.0], [0.0], [1.0]]), np.ones((3, 1)), np.ones((3, 1))),
        outcome(estimated_parts, np.ones((2, 1)), np.full((2, 1), np.nan), np.ones((2, 1))),
    ],
    "shape laws": lambda: [
        *(LAWS[law](np.array([0.0, 0.3, 1.0, 2.5, 9.0])) for law in LAWS),
        *(law_tau(law, SIGMA, rate=0.7, written=0.3, initial=0.04) for law in LAWS),
    ],
    "fits": lambda: [
        *(
            fitted(law, MEASURED, groups=9, **keys)
            for law in LAWS
            for keys in (
                {},
                {"initial": 0.07},
                {"multiplicity": (3, 1, 1, 2, 1, 1)},
                {"initial": 0.07, "scale": 90.0},
                {"scale": 1e-3},
                {"initial": 0.2},
            )
        ),
        *(fitted(law, law_tau(law, SIGMA, rate=0.7, written=1.3, initial=0.04), groups=5, scale=0.01) for law in LAWS),
        fitted("ridge", MEASURED[::-1].copy(), groups=9),
        fitted("flow", 1 / SIGMA, groups=6),
        fitted("flow", SIGMA, groups=6, initial=1e-3),
        fitted("ridge", MEASURED, groups=9, scale=0.0),
        fitted("flow", np.full(6, 0.5), groups=9, initial=0.5, scale=0.0),
        fit_shape(SIGMA, MEASURED, COVARIANCE, groups=9).better.law,
        fit_shape(SIGMA, MEASURED, COVARIANCE, groups=9, initial=0.2).better,
    ],
    "fits, refusals": lambda: [
        *(fitted("ridge", MEASURED[:n], groups=9).rate for n in (4,)),
        *(fitted("ridge", MEASURED[:n], groups=9) for n in (3,)),
        *(fitted("ridge", MEASURED[:n], groups=9, initial=0.1) for n in (2, 3)),
        *(fitted("ridge", MEASURED, groups=n) for n in (3, 4)),
        fitted("ridge", -MEASURED, groups=9),
        fitted("ridge", 0 * MEASURED, groups=9),
        fitted("ridge", MEASURED, groups=9, initial=0.0),
        fitted("ridge", MEASURED, groups=9, multiplicity=(1, 2)),
        outcome(lambda: fit_law("flow", -SIGMA, MEASURED, COVARIANCE, groups=9)),
        outcome(lambda: fit_law("flow", SIGMA, MEASURED, COVARIANCE * np.nan, groups=9)),
        outcome(lambda: fit_law("flow", SIGMA, MEASURED, COVARIANCE[:5, :5], groups=9)),
    ],
}


for _law in LAWS:
    ROWS[f"fit of {_law}"] = partial(fitted, _law, MEASURED[:5], groups=12, multiplicity=(1, 4, 2, 1, 1))
