"""Every bound of an argument from both sides: what lies on it is taken, and what lies beyond is refused by its name."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from theory.containment import containment
from theory.eigenspaces import eigenspaces
from theory.errors import InvalidInput
from theory.features.ansatz import linear_exponent, matrix_power
from theory.features.decay import decay_factor
from theory.features.means import mean_correlation
from theory.linear.averaged_limits import effective_decay, least_norm, least_squares, ridge
from theory.linear.flow import flow_time
from theory.linear.phase_diagram import decay_peak, phase, phase_diagram
from theory.linear.shape import descent_peak, descent_shape, flow_peak, flow_shape
from theory.linear.two_layer_converged import converged_average
from theory.misalignment import null_floor
from theory.overlaps import merged
from theory.setting import Training
from theory.symmetry import SymmetryGroup
from theory.testing import (
    misalignment_interval,
    paired_mean,
    random_basis_test,
    randomization_test,
    rotation_power_table,
)
from theory.transfer.initial_weights import initial_weight_transfer
from theory.transfer.linearised import RandomLabels

TINY, BELOW_ONE = 5e-324, math.nextafter(1.0, 0.0)
S = np.array([0.5, 1.0, 2.0])
SPACES = eigenspaces(np.diag([1.0, 3.0]))
GROUP = SymmetryGroup(np.eye(2), 0, (1, 1))
ONE = np.ones(1)
RNG = np.random.default_rng(8)
MOMENTS = (lambda w: w.mT @ w)(RNG.standard_normal((4, 5, 2)))
VECTORS = RNG.standard_normal((3, 2))


def powers(replicas: int = 2, width: int = 1, ensembles: int = 1, level: float = 0.1, draws: int = 9) -> object:
    options = {"width": width, "ensembles": ensembles, "level": level, "draws": draws}
    return rotation_power_table([0.1], [replicas], tau=(1.0, 2.0), **options)


# what is asked, a value on the bound, one beyond it, and the argument that is then named
BOUNDS: list[tuple[Callable[..., object], object, object, str]] = [
    # of closed forms
    (lambda x: effective_decay(S, 2, x), 0.0, -TINY, "decay"),
    (lambda n: least_squares(S, n, 1.0), 4, 3, "samples"),
    (lambda n: least_norm(S, n, 1.0, 1.0), 2, 3, "samples"),
    (lambda x: ridge(S, 2, 1.0, x), 1e-300, 0.0, "decay"),
    (lambda t: flow_time(Training(), t), 0, -1, "step"),
    (flow_peak, 0.0, -TINY, "c"),
    (lambda x: flow_shape(0.1, x, 1.0), 0.0, -TINY, "lowest, highest"),
    (lambda x: flow_shape(0.1, x, 1.0), BELOW_ONE, 1.0, "lowest, highest"),
    (descent_peak, 1, 0, "steps"),
    (lambda t: descent_shape(0.1, t, 0.1, 0.5), 1, 0, "steps"),
    (lambda c: descent_shape(c, 2, 0.1, 0.5), 0.0, -TINY, "c"),
    (lambda x: descent_shape(0.1, 2, x, 0.5), 0.0, -TINY, "lowest, highest"),
    (lambda x: descent_shape(0.1, 2, 0.1, x), BELOW_ONE, 1.0, "lowest, highest"),
    (lambda x: phase(x, 1.0), 0.0, -TINY, "c"),
    (lambda x: phase(0.1, 1.0, x), 0.0, -TINY, "lowest, highest"),
    (lambda x: phase(0.1, 1.0, x), BELOW_ONE, 1.0, "lowest, highest"),
    (lambda x: phase_diagram(ONE / 4, ONE, x), 0.0, -TINY, "spread"),
    (lambda x: phase_diagram(ONE / 4, ONE, x), BELOW_ONE, 1.0, "spread"),
    (decay_peak, 0.0, -TINY, "decay"),
    (decay_peak, 1e300, math.inf, "decay"),
    (lambda x: converged_average(np.array([0.0, x])), 1e-300, 0.0, "variances"),
    (lambda x: converged_average(np.array([x, 1.0])), 0.0, -TINY, "variances"),
    # of features
    (lambda x: matrix_power(np.eye(2), x), TINY, 0.0, "exponent"),
    (linear_exponent, 1, 0, "layers"),
    (decay_factor, 1e-300, 0.0, "decay"),
    (lambda n: mean_correlation(*[np.stack([np.eye(2)] * n)] * 2), 3, 2, "first.shape"),
    # of matrices
    (lambda x: eigenspaces(np.eye(2), gap=x), 0.0, -TINY, "gap"),
    (lambda x: containment(SPACES, np.eye(2), error_b=x), 0.0, -TINY, "error_b"),
    (lambda x: containment(SPACES, np.eye(2), error_b=x), 1e300, math.inf, "error_b"),
    (lambda x: merged(SPACES, SPACES, tolerance=x), 0.0, -TINY, "tolerance"),
    (lambda x: merged(SPACES, SPACES, tolerance=x), math.nextafter(0.5, 0), 0.5, "tolerance"),
    (lambda n: null_floor((1, 1), n), 2, 1, "vectors"),
    (lambda n: null_floor((1, 1), 2, draws=n), 2, 1, "draws"),
    (lambda m: null_floor((1, m), 5), 1, 0, "multiplicity"),
    # of tests and intervals
    (lambda n: randomization_test(MOMENTS, GROUP, draws=n), 1, 0, "draws"),
    (lambda n: randomization_test(MOMENTS, GROUP, draws=1, seed=n), 0, -1, "seed"),
    (lambda n: randomization_test(MOMENTS, GROUP, draws=1, blocks=n), 2, 1, "blocks"),
    (lambda n: randomization_test(MOMENTS[:n], GROUP, draws=1), 2, 1, "second_moments.shape[0]"),
    (lambda n: random_basis_test(SPACES, MOMENTS[0], draws=n), 1, 0, "draws"),
    (lambda n: misalignment_interval(SPACES, vectors=VECTORS[:n]), 3, 2, "vectors.shape"),
    (lambda n: paired_mean(np.arange(n)), 2, 1, "differences.shape"),
    (lambda x: paired_mean(S, confidence=x), 1e-300, 0.0, "confidence"),
    (lambda x: paired_mean(S, confidence=x), BELOW_ONE, 1.0, "confidence"),
    (lambda n: powers(replicas=n), 2, 1, "replicas"),
    (lambda n: powers(width=n), 1, 0, "replicas"),
    (lambda n: powers(ensembles=n), 1, 0, "replicas"),
    (lambda x: powers(level=x), 1 / 10, math.nextafter(0.1, 0), "level"),
    (lambda x: powers(level=x), BELOW_ONE, 1.0, "level"),
    # of transfer
    (lambda x: RandomLabels(variance=x), 0.0, -TINY, "variance"),
    (lambda x: RandomLabels(variance=x), 1e300, math.inf, "variance"),
    (lambda n: RandomLabels(outputs=n), 1, 0, "outputs"),
    (lambda x: initial_weight_transfer(S, S, Training(), init_variance=x), 0.0, -TINY, "init_variance"),
    (lambda x: initial_weight_transfer(S, np.array([x, 1.0, 1.0]), Training()), 0.0, -TINY, "tau"),
]


@pytest.mark.parametrize(("ask", "on", "beyond", "named"), BOUNDS)
def test_what_lies_on_a_bound_is_taken_and_what_lies_beyond_is_refused(
    ask: Callable[..., object], on: object, beyond: object, named: str
) -> None:
    ask(on)
    with pytest.raises(InvalidInput) as refused:
        ask(beyond)
    assert refused.value.key == named
