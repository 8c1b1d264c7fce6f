"""Estimated means, intervals, ratios, random bases and whole matrices."""

from __future__ import annotations

import numpy as np

from tests.pinning.table import Call, outcome, outcomes
from tests.theory.pins.arguments import array, group, moment, moments, positive, spaces
from theory import testing
from theory.symmetry import SymmetryGroup
from theory.testing import estimated
from theory.testing.interval import MisalignmentPath, misalignment_interval, widening
from theory.testing.likelihood_ratio import likelihood_ratio_sf
from theory.testing.whole_matrix import detectable_variance

SPACES = spaces(2, 1)
COUNTS = [1.0, 2.0, 4.0, 1.0, 3.0, 2.0, 1.0, 1.0]
RATIOS = 1 + 0.2 * array(40, 3) - 0.01 * array(40, 3, salt=2) ** 3
MANY = np.arange(30.0, 90.0, 1.5)  # counts of blocks that suffice for the sharp test
DIFFERENCES = np.array([0.3, -0.1, 0.7, 0.2, 0.5, 0.9])


def many(d: int) -> np.ndarray:
    """Eight block means that are nearly aligned."""
    return np.stack([np.diag(np.arange(1.0, d + 1)) + 0.3 * (m + m.T) for m in array(8, d, d)])


def turned(of: SymmetryGroup) -> np.ndarray:
    basis = np.asarray(of.basis)
    return basis @ many(of.dimension) @ basis.T


def means(ratios: np.ndarray, counts: np.ndarray, variance: np.ndarray | None = None) -> list[object]:
    found = estimated.estimated_means(ratios, counts, variance)
    return [
        found,
        found.typical,
        found.variance_bound,
        found.pvalue,
        found.interval(0.95),
        found.interval(0.5),
        found.detectable(0.01, 0.9, 3),
        found.detectable(1e-6, 0.5, 1),
    ]


def interval(**keys: object) -> object:
    given = keys.pop("moments", None)
    return outcome(lambda: _ends(misalignment_interval(spaces(2, 1), given, resamples=19, **keys)))


def _ends(found: testing.MisalignmentInterval) -> list[object]:
    return [
        found,
        found.misalignment,
        found.low,
        found.high,
        *(found.aligned_within(x) for x in (found.high, 1.001 * found.high)),
    ]


def whole(predicted: np.ndarray, second: np.ndarray, *arguments: object, **keys: object) -> object:
    return outcome(lambda: testing.whole_matrix_test(predicted, second, *arguments, **keys))


def path() -> list[object]:
    found = MisalignmentPath(SPACES, moment(3), moments(6, 3), 1.3)
    return [
        found.longest,
        found.noiseless,
        *(found.exact(x) for x in (0.0, 0.5, 1.0, 3.0)),
        *(found.sample(x) for x in (0.0, 0.7, 2.0)),
    ]


VARIANCES = np.array([0.5, 1.0, 2.0])
LOOSE = {"intervals": 1e-7}  # measured: 1e-8
ROWS: dict[str, Call] = {
    "estimated means": lambda: [
        means(RATIOS, MANY),
        means(RATIOS, MANY / 9),
        means(RATIOS[:5], MANY[:5]),
        means(RATIOS[:5], MANY[:5] / 9, np.array([2.0, np.inf, 0.3])),
        means(1.3 * RATIOS, MANY, VARIANCES),
        means(0.4 * RATIOS[:6], MANY[:6] / 30, VARIANCES),
        means(0.5 * RATIOS, np.full(40, 9.0), VARIANCES / 4),
        means(2.4 * RATIOS[:6], MANY[:6] / 30, VARIANCES),
        means(np.exp(4 * array(40, 3)), MANY),
        means(RATIOS[:, :1], MANY),
        means(np.ones((4, 2)), 500 * np.ones(4)),
        means(RATIOS - RATIOS.mean(axis=0), MANY),
        *outcomes(lambda n: means(RATIOS[:n], MANY[:n]), 1, 2),
        *(estimated.estimated_means(RATIOS[:10], np.full(10, c)).sharp for c in (99.9, 100.0)),
        *(estimated.estimated_means(RATIOS, MANY, np.full(3, v)).needed for v in (1.0, 6.0, 9.0)),
    ],
    "laws of estimated means": lambda: [
        estimated.block_shape(RATIOS, MANY),
        estimated.block_shape(np.ones((3, 1)), np.ones(3)),
        estimated.normal_scores(np.array([-9.0, -1.0, 0.0, 2.0, 80.0]), 5),
        estimated.normal_scores(np.array([3.0]), np.inf),
        estimated.beyond_noise(np.array([-2.0, 0.1, 1.0]), 20),
        estimated.unskewed(np.array([0.5, 1.0, 1.001, 3.0, 9.0]), np.array(0.4)),
        estimated.unskewed(np.array([2.0]), np.array(0.0)),
        estimated.critical_values(np.array([4.0, 30.0]), np.array([0.1, -0.4]), 0.01),
        estimated.detectable_error(0.05, 12, 0.01, 0.9),
        estimated.detectable_error(0.02, 30, 1e-6, 0.6, skewness=0.3),
        estimated.detectable_error(2.0, 5, 1e-6, 0.9),
        *(
            estimated.replicas_to_find(d, v, b, 0.01, 0.9, n)
            for d, v, b, n in (
                (0.05, 3.0, 20, 1),
                (0.05, 3.0, 20, 7),
                (0.5, 0.1, 8, 1),
                (0.2, 1e-9, 4, 1),
                (0.01, 3.0, 3, 2),
            )
        ),
        estimated.replicas_to_find(0.05, np.inf, 20, 0.01, 0.9),
        estimated.replicas_to_find(1e-9, 3.0, 20, 0.01, 0.9),
        estimated.replicas_to_find(0.3, 2.004, 9, 1e-6, 0.9),
    ],
    "intervals": lambda: [
        interval(moments=turned(group(2, 1))),
        interval(moments=turned(group(2, 1)), counts=COUNTS, confidence=0.6, seed=3),
        interval(vectors=array(9, 3)),
        interval(vectors=array(30, 3), confidence=0.5, seed=1),
        interval(moments=np.stack([moment(3)] * 4)),
        interval(moments=moments(5, 3), confidence=0.1),
        interval(moments=100 * moments(3, 3)),
    ],
    "interval's refusals": lambda: [
        interval(),
        interval(moments=moments(5, 3), vectors=array(9, 3)),
        *(interval(moments=moments(5, 3), confidence=x) for x in (0.0, 1.0)),
        *(interval(moments=moments(n, 3)) for n in (2, 3)),
        *(interval(vectors=array(n, 3)) for n in (3, 4)),
        interval(vectors=array(9, 2)),
        interval(vectors=np.full((9, 3), np.inf)),
        interval(moments=np.stack([np.diag([1.0, 1.0, 0.0])] * 4)),
        interval(moments=np.stack([np.diag([1.0, 1.0, 2e-15])] * 4)),
        interval(moments=np.stack([np.diag([1.0, 0.0, 1.0])] * 4)),
        interval(vectors=np.arange(27.0).reshape(9, 3)),
    ],
    "the path of an interval": lambda: [path(), widening(5, 0.025), widening(60, 0.2)],
    "likelihood ratio": lambda: [
        [
            likelihood_ratio_sf(x, 3, n)
            for x in (0.0, 0.1, 3.0, 6.0, 7.0, 30.0, 200.0, 1499.0, 1600.0)
            for n in (4, 9, 300)
        ],
        [likelihood_ratio_sf(x, 1, 2) for x in (0.3, 2.0, 50.0)],
        likelihood_ratio_sf(500.0, 30, 31),
        likelihood_ratio_sf(56.0, 10, 20),
        likelihood_ratio_sf(-1.0, 2, 5),
    ],
    "paired means": lambda: [
        testing.paired_mean(DIFFERENCES),
        testing.paired_mean(-DIFFERENCES, confidence=0.6),
        testing.paired_mean(DIFFERENCES, bounds=(DIFFERENCES - positive(6) / 9, DIFFERENCES + positive(6, salt=1) / 9)),
        testing.paired_mean(np.ones(4)),
        testing.paired_mean([1.0, 2.0]),
        testing.paired_mean([1.0, 1.0 + 1e-14]),
        testing.paired_mean([1.0, 1.0 + 2e-14]).pvalue,
        testing.paired_mean(DIFFERENCES, bounds=(np.zeros(6) - 1, DIFFERENCES)),
        testing.paired_mean([1.0, 2.0]).estimable,
        testing.paired_mean([1.0, 1.0]).estimable,
        testing.mean_ratio(positive(6), positive(6, salt=1)),
        testing.mean_ratio(positive(6), 3 + positive(6, salt=1), confidence=0.5),
        testing.mean_ratio(positive(6), array(6)),
        testing.mean_ratio(2 * positive(6), positive(6)),
        testing.mean_ratio(positive(6), np.ones(6)),
        testing.mean_ratio(-positive(4, salt=2), positive(4) + 1),
        *outcomes(testing.paired_mean, [1.0], [1.0, np.nan], [[1.0, 2.0]]),
        *outcomes(lambda x: testing.paired_mean(DIFFERENCES, confidence=x), 0.0, 1.0),
        outcome(testing.mean_ratio, [1.0, 2.0], [1.0, 2.0, 3.0]),
        outcome(lambda: testing.paired_mean([1.0, 2.0], bounds=([1.0, 2.1], [3.0, 3.0]))),
        outcome(lambda: testing.paired_mean([1.0, 2.0], bounds=([1.0, 2.0], [3.0, 1.9]))),
        outcome(lambda: testing.paired_mean([1.0, 2.0], bounds=([1.0, 2.0, 2.0], [3.0, 3.0]))),
    ],
    "random bases": lambda: [
        testing.random_basis_test(spaces(2, 1), moment(3), draws=9),
        testing.random_basis_test(spaces(1, 1, 2), moment(4), draws=19, seed=5),
        testing.random_basis_test(spaces(3), moment(3), draws=3),
        testing.random_basis_test(spaces(2, 1), np.eye(3), draws=3),
        *outcomes(
            lambda x: testing.random_basis_test(spaces(1, 1), np.diag([1.0, x]), draws=2).pvalue,
            1e-12,
            1.8e-15,
            1.7e-15,
            0.0,
        ),
        outcome(testing.random_basis_test, spaces(1, 1), moments(2, 2)),
        outcome(testing.random_basis_test, spaces(1, 1), moment(3)),
    ],
    "variances": lambda: [
        testing.variances_test(VARIANCES, VARIANCES * RATIOS, counts=MANY, level=0.01),
        testing.variances_test(VARIANCES, VARIANCES * RATIOS[:6], variance=VARIANCES, power=0.5),
        testing.variances_test(
            np.array([0.0, 1.0]), np.array([[0.0, 1.1], [1e-13, 0.9]]), variance=np.array([9.0, 2.0])
        ),
        *(
            testing.variances_test(np.array([0.0, 1.0]), np.array([[0.0, 1.0], [x, 0.9]])).pvalue
            for x in (1e-12, 1.1e-12)
        ),
        testing.variances_test(np.zeros(2), np.zeros((2, 2))),
        *outcomes(
            lambda x: testing.variances_test(x, np.ones((2, 2))).pvalue,
            np.ones(2),
            np.ones(3),
            np.array([1.0, -1e-9]),
            np.array([1.0, np.inf]),
        ),
        *outcomes(lambda x: testing.variances_test(np.ones(2), np.ones((2, 2)), level=x).pvalue, 0.0, 1.0),
        *outcomes(lambda x: testing.variances_test(np.ones(2), np.ones((2, 2)), power=x).pvalue, 0.0, 1.0),
        outcome(testing.variances_test, np.ones(2), np.ones(2)),
        outcome(testing.variances_test, np.ones(2), np.ones((1, 2))),
    ],
    "whole matrices": lambda: [
        whole(moment(3), moment(3, 1), 9, gaussian=True),
        whole(moment(3), 1.1 * moments(4, 3), counts=[3, 9, 2, 4], gaussian=True, level=0.01),
        whole(np.diag([1.0, 2.0, 0.0]), np.diag([1.1, 1.8, 0.0]), 5, gaussian=True, power=0.5),
        whole(np.diag([1.0, 2.0, 0.0]), np.diag([1.1, 1.8, 1e-11]), 5, gaussian=True),
        whole(np.diag([1.0, 2.0]), np.diag([1.0, 0.0]), 5, gaussian=True),
        whole(np.eye(2), 30 * np.eye(2), 80, gaussian=True),
        whole(np.eye(2), 1e-9 * np.eye(2), 80, gaussian=True),
        whole(np.eye(3), 1.05 * np.eye(3) + 0.1 * (array(40, 3, 3) + array(40, 3, 3).mT), counts=MANY, gaussian=False),
        whole(
            np.eye(3),
            np.eye(3) + 0.1 * (array(6, 3, 3) + array(6, 3, 3).mT),
            counts=MANY[:6] / 9,
            gaussian=False,
            variance=2.0,
        ),
        whole(np.eye(1), 1 + 0.1 * array(40, 1, 1), counts=MANY, gaussian=False),
        testing.tau_zscores(spaces(2, 1), np.array([0.3, 0.4]), moments(9, 3)),
        testing.tau_zscores(
            spaces(1, 1),
            np.array([0.0, 0.4]),
            np.stack([np.diag([0.0, x]) for x in (0.3, 0.5, 0.35)]),
            counts=[1, 2, 3],
        ),
        testing.tau_zscores(spaces(1, 1), np.array([0.0, 0.4]), moments(3, 2)),
        detectable_variance(20, 3, 0.01, 0.9),
        detectable_variance(500, 2, 1e-6, 0.5),
    ],
    "whole matrices, refusals": lambda: [
        *(whole(np.eye(2), np.eye(2), n, gaussian=True) for n in (2, 3, True, 0, 2.0, None)),
        whole(np.eye(2), np.eye(2), 9, gaussian=False),
        whole(np.eye(2), moments(1, 2), 9, gaussian=False),
        *(whole(np.diag([1.0, x]), np.eye(2), 9, gaussian=True) for x in (-0.9e-12, -1.1e-12)),
        whole(np.zeros((2, 2)), np.eye(2), 9, gaussian=True),
        whole(moments(2, 2), np.eye(2), 9, gaussian=True),
        *(whole(np.eye(2), np.eye(2), 9, gaussian=True, level=x) for x in (0.0, 1.0)),
        *(whole(np.eye(2), np.eye(2), 9, gaussian=True, power=x) for x in (0.0, 1.0)),
        *(whole(np.diag([1.0, x]), np.eye(2), 9, gaussian=True).rank for x in (0.9e-12, 1.1e-12)),
    ],
}
