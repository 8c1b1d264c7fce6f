"""How far off the forms near the kernel limit declare themselves, term by term."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import theory
from tests.oracles.lazy import matrices_by_steps
from theory.errors import NoClosedForm
from theory.network.lazy import LazyTerms, declared_share, displacement, error_budget, kernel_limit, motion, terms
from theory.network.model import Model
from theory.network.propagators import Propagators, descent_step
from theory.network.softmax_lazy import logit_variance, softmax_lazy_terms, softmax_limit, softmax_residual
from theory.setting import Data, Labels, Network, Setting, Training

D, N = 3, 12
ROWS = np.random.default_rng(21).standard_normal((N, D)) * np.linspace(0.6, 1.4, D)


def setting_of(width: int = 4096, labels: Labels | None = None, loss: str = "mse", **network: object) -> Setting:
    return Setting(
        data=Data(kind="gaussian", spectrum=(1.0,) * D, samples=N, fixed=True),
        network=Network(**{"kind": "mlp", "hidden": (width,), "train": "first", **network}),
        labels=labels or Labels(),
        training=Training(learning_rate=0.5, steps=(2, 9), loss=loss),
    )


@pytest.mark.parametrize(("activation", "power", "share"), [("relu", 1, 0.8), ("erf", 2, 3.0), ("tanh", 2, 3.0)])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("outputs", [1, 2])
def test_the_budget_of_the_squared_error(activation: str, power: int, share: float, both: bool, outputs: int) -> None:
    """c ε^p times the largest diagonal entry of |T_1| + … + |T_4| over m and the least τ; the largest over steps."""
    v1, v2, m = 0.9, 1.3, 4096
    keys = {"parametrization": "ntk", "train": "all" if both else "first", "init_variance": (v1, v2)}
    felt = ROWS / np.sqrt(D)
    limit = kernel_limit(felt, activation, v1, v2, both=both)
    kernel = limit.basis * limit.kappa @ limit.basis.T
    start = limit.basis @ limit.residual(1.0) @ limit.basis.T
    bounds = []
    for step in (2, 9):
        matrices = Propagators(*matrices_by_steps(kernel, start, 0.5 / N, step))
        parts = terms(limit, matrices)
        every = [parts.motion, parts.own_output, parts.gates, parts.output_weights]
        size = max(outputs * sum(abs(part[i, i]) for part in every) for i in range(D))
        moved = sum(row @ parts.motion @ row for row in felt)
        scale = sum(v1 * row @ row for row in felt)
        square = moved / (scale if activation == "relu" else min(scale, N))
        if both:
            square += np.sum(matrices.c * limit.k) / v2
        epsilon = np.sqrt(outputs / m * square)
        moment = v1 * np.eye(D) + outputs * sum(every) / m
        eigenvectors = np.linalg.eigh(ROWS.T @ ROWS)[1]
        least = min(np.diag(eigenvectors.T @ moment @ eigenvectors))
        bounds.append(share * epsilon**power * size / (m * least))
    setting = setting_of(activation=activation, labels=Labels(outputs=outputs), **keys)
    found = theory.predict(setting, rows=ROWS, formula="network-lazy").error_budget
    assert found == pytest.approx(max(bounds), rel=1e-8)


@pytest.mark.parametrize(("activation", "scale"), [("relu", 40.0), ("erf", 4.0), ("tanh", 4.0)])
def test_motions_beyond_one_are_held_against_one_where_activations_bend(activation: str, scale: float) -> None:
    """Four rows have s_0² |X|² = 40; ReLU has no scale, whereas erf and tanh bend at 1 per row."""
    x = np.random.default_rng(3).standard_normal((4, 2))
    x *= np.sqrt(40 / np.sum(x**2))
    limit = kernel_limit(x, activation, 1.0, 0.7, both=False)
    c = np.diag([0.1, 0.2, 0.3, 0.4])
    moved = sum(row @ motion(limit, c) @ row for row in x)
    model = Model(activation, width=50, outputs=3, s0=1.0, sa=0.7, a4=0.0, sy=1.0)
    found = displacement(limit, Propagators(c, c, c), model)
    assert found == pytest.approx(np.sqrt(3 / 50 * moved / scale), rel=1e-10)


def test_what_does_not_move_has_no_displacement() -> None:
    limit = kernel_limit(ROWS, "relu", 0.3, 1.0, both=True)
    none = np.zeros((N, N))
    model = Model("relu", width=50, outputs=1, s0=0.3, sa=1.0, a4=0.0, sy=1.0)
    assert displacement(limit, Propagators(none, none, none), model) == 0.0


def test_sizes_do_not_cancel_and_scale() -> None:
    one = np.diag([1.0, -2.0])
    parts = LazyTerms(one, -one, 0.5 * one, np.array([[0.0, 9.0], [9.0, 1.0]]))
    assert parts.size == 2 + 2 + 1 + 1
    np.testing.assert_array_equal(parts.total, 0.5 * one + parts.output_weights)
    assert parts.scaled(3.0).size == 18.0
    model = Model("erf", width=10, outputs=1, s0=1.0, sa=1.0, a4=3.0, sy=1.0)
    assert declared_share(model, 0.1) == pytest.approx(0.03, rel=1e-12)
    assert declared_share(replace(model, activation="relu"), 0.1) == pytest.approx(0.08, rel=1e-12)
    assert error_budget(model, parts, 0.1, 0.5) == pytest.approx(0.03 * 6 / (10 * 0.5), rel=1e-12)


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_the_expansion_ends_where_weights_move_by_half(activation: str) -> None:
    """ε ∝ m^(−½): the width that makes it ½ at the last step, rounded up, is inside; rounded down, it is not."""
    limit = kernel_limit(ROWS, activation, 1 / 3, 1.0, both=False)
    kernel = limit.basis * limit.kappa @ limit.basis.T
    start = limit.basis @ limit.residual(1.0) @ limit.basis.T
    matrices = Propagators(*matrices_by_steps(kernel, start, 0.5 / N, 9))
    model = Model(activation, width=1, outputs=1, s0=1 / 3, sa=1.0, a4=3.0, sy=1.0)
    least = displacement(limit, matrices, model) ** 2 * 4
    theory.predict(setting_of(int(np.ceil(least)), activation=activation), rows=ROWS, formula="network-lazy")
    with pytest.raises(NoClosedForm, match=r"by step 9 weights move by 0\.5"):
        theory.predict(setting_of(int(np.floor(least)), activation=activation), rows=ROWS, formula="network-lazy")


def test_the_budget_of_cross_entropy() -> None:
    """The budget is that of the terms, with residuals summed over classes, plus .4 times the variance of a logit."""
    classes, m = 4, 4096
    limit = softmax_limit(kernel_limit(ROWS, "erf", 1 / 3, 1.0, both=False), classes)
    bounds = []
    for step in (2, 9):
        kernel = limit.basis * limit.kappa @ limit.basis.T
        start = limit.basis @ softmax_residual(limit, classes) @ limit.basis.T
        matrices = Propagators(*matrices_by_steps(kernel, start, 0.5 / N, step))
        parts = softmax_lazy_terms(limit, matrices, classes)
        size = max(abs(parts.motion[i, i]) + abs(parts.own_output[i, i]) + abs(parts.gates[i, i]) for i in range(D))
        moved = sum(row @ parts.motion @ row for row in ROWS)
        square = moved / min(sum(row @ row for row in ROWS) / 3, N) / m
        moment = np.eye(D) / 3 + parts.total / m
        eigenvectors = np.linalg.eigh(ROWS.T @ ROWS)[1]
        least = min(np.diag(eigenvectors.T @ moment @ eigenvectors))
        spread = logit_variance(limit, descent_step(limit.kappa, 0.5 / N).repeated(step), classes)
        bounds.append((3 * square + 0.4 * spread) * size / (m * least))
    setting = setting_of(labels=Labels(kind="classes", classes=classes), loss="cross-entropy", activation="erf")
    found = theory.predict(setting, rows=ROWS, formula="softmax-lazy").error_budget
    assert found == pytest.approx(max(bounds), rel=1e-8)
