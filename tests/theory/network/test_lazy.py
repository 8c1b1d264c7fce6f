"""The order-1/m theory of one hidden layer: the four terms against literal sums, the form, and its refusals."""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from scipy.special import erf

import theory
from tests.oracles.lazy import matrices_by_steps, relu_terms, smooth_terms, terms_after
from theory.errors import NoClosedForm
from theory.network.lazy import FORM, KernelLimit, displacement, kernel_limit, terms
from theory.network.model import Model
from theory.network.propagators import Propagators, descent_step, flow, kernel_propagators
from theory.setting import Data, Labels, Network, Setting, Training

SMOOTH = {
    "erf": (erf, lambda z: 2 / np.sqrt(np.pi) * np.exp(-(z**2)), lambda z: -4 / np.sqrt(np.pi) * z * np.exp(-(z**2))),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2, lambda z: -2 * np.tanh(z) * (1 - np.tanh(z) ** 2)),
}
PARTS = ("motion", "own_output", "gates", "output_weights")


def sample(seed: int, n: int, d: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)) * np.linspace(0.6, 1.4, d)


def any_matrices(seed: int, n: int) -> Propagators:
    """Terms are linear in A, B and C: any will do. A and C are symmetric, B is not."""
    a, b, c = np.random.default_rng(seed).standard_normal((3, n, n))
    return Propagators(a + a.T, b, c + c.T)


def test_terms_of_relu_are_sums_over_pairs_of_rows() -> None:
    x, s0, sa = sample(1, 7, 3), 0.3, 1.7
    matrices = any_matrices(2, 7)
    found = terms(kernel_limit(x, "relu", s0, sa, both=True), matrices)
    expected = relu_terms(x, s0, sa, matrices.a, matrices.b, matrices.c)
    for name, exact in zip(PARTS, expected, strict=True):
        np.testing.assert_allclose(getattr(found, name), exact, rtol=0, atol=1e-12 * np.abs(exact).max(), err_msg=name)


@pytest.mark.parametrize("activation", ["erf", "tanh"])
def test_terms_of_smooth_activations_are_gaussian_averages(activation: str) -> None:
    """E over w by quadrature of the terms as they are derived, before Stein's lemma; i = k included."""
    x, s0, sa = sample(3, 4, 2), 0.15, 1.3
    matrices = any_matrices(4, 4)
    found = terms(kernel_limit(x, activation, s0, sa, both=True), matrices)
    expected = smooth_terms(x, SMOOTH[activation], s0, sa, matrices.a, matrices.b, matrices.c)
    for name, exact in zip(PARTS, expected, strict=True):
        np.testing.assert_allclose(getattr(found, name), exact, rtol=0, atol=1e-8 * np.abs(exact).max(), err_msg=name)


@pytest.mark.parametrize("activation", ["relu", "erf", "tanh"])
@pytest.mark.parametrize("both", [False, True])
def test_a_training_is_the_sum_over_its_steps(activation: str, both: bool) -> None:
    x, labels, rate, steps = sample(5, 6, 3), 0.8, 0.05, 11
    limit = kernel_limit(x, activation, 0.2, 1.4, both=both)
    kernel = limit.basis * limit.kappa @ limit.basis.T
    start = limit.basis @ limit.residual(labels) @ limit.basis.T
    expected = terms(limit, Propagators(*matrices_by_steps(kernel, start, rate, steps)))
    found = terms_after(limit, descent_step(limit.kappa, rate).repeated(steps), labels)
    np.testing.assert_allclose(found.total, expected.total, rtol=0, atol=1e-11 * np.abs(expected.motion).max())
    assert both == bool(found.output_weights.any())


def test_the_kernel_trains_what_is_said() -> None:
    """K = K_W = s_a² XXᵀ ∘ P, and K_a = k beside it where the output layer is trained."""
    x = sample(6, 5, 3)
    first, both = (kernel_limit(x, "relu", 0.3, 2.0, both=flag) for flag in (False, True))
    np.testing.assert_allclose(_kernel(first), 2.0 * (x @ x.T) * first.p, atol=1e-13)
    covariance = first.basis @ first.start @ first.basis.T
    np.testing.assert_allclose(_kernel(both) - _kernel(first), covariance / 2.0, atol=1e-13)
    np.testing.assert_allclose(np.diagonal(covariance), 2.0 * 0.3 * (x**2).sum(axis=1) / 2, rtol=1e-12)


def _kernel(limit: KernelLimit) -> np.ndarray:
    return limit.basis * limit.kappa @ limit.basis.T


def test_repeated_opposite_and_zero_rows() -> None:
    """Pairs of rows without a plane between them move no gate; K is singular, its null modes are never divided by."""
    x = sample(7, 4, 3)
    x = np.vstack([x, x[0], 2 * x[1], -x[2], np.zeros(3)])
    limit = kernel_limit(x, "relu", 0.3, 1.0, both=True)
    found = terms_after(limit, flow(limit.kappa, 0.7), 1.0)
    assert all(np.isfinite(getattr(found, name)).all() for name in PARTS)
    assert abs(np.trace(found.gates)) <= 1e-10 * np.abs(found.gates).max()


def test_rotations_turn_the_terms() -> None:
    x = sample(8, 6, 3)
    turn, _ = np.linalg.qr(np.random.default_rng(9).standard_normal((3, 3)))
    found, turned = (
        terms_after(limit, flow(limit.kappa, 0.5), 1.0).total
        for limit in (kernel_limit(rows, "relu", 0.3, 1.0, both=True) for rows in (x, x @ turn.T))
    )
    np.testing.assert_allclose(turned, turn @ found @ turn.T, rtol=0, atol=1e-11 * np.abs(found).max())


def lazy_setting(n: int = 12, d: int = 3, width: int = 4096, **keys: object) -> Setting:
    """A setting inside the hypotheses; `keys` are those of the network, or whole tables."""
    tables = {name: keys.pop(name) for name in ("labels", "training") if name in keys}
    network = {"kind": "mlp", "hidden": (width,), "train": "first", **keys}
    return Setting(
        data=Data(kind="gaussian", spectrum=(1.0,) * d, samples=n, fixed=True),
        network=Network(**network),
        **{"labels": Labels(), "training": Training(learning_rate=0.5, steps=(0, 7, 20)), **tables},
    )


@pytest.mark.parametrize("activation", ["relu", "erf", "tanh"])
@pytest.mark.parametrize("keys", [{}, {"parametrization": "ntk"}, {"parametrization": "ntk", "train": "all"}])
def test_a_prediction_is_s0_and_the_terms_over_m(activation: str, keys: dict) -> None:
    """The terms are sums over steps on the rows in the scale of raw weights; at step 0 only s_0² is left."""
    x, (v1, v2), d, m = sample(10, 12, 3), (0.9, 1.3), 3, 4096
    setting = lazy_setting(activation=activation, init_variance=(v1, v2), **keys)
    ntk = "parametrization" in keys
    felt, s0, rate = (x / np.sqrt(d), v1, 0.5) if ntk else (x, v1 / d, 0.5)
    limit = kernel_limit(felt, activation, s0, v2, both="train" in keys)
    kernel, residual = _kernel(limit), limit.basis @ limit.residual(1.0) @ limit.basis.T
    prediction = theory.predict(setting, rows=x, formula="network-lazy")
    assert (prediction.status, prediction.order) == ("asymptotic", "m^-1/2" if activation == "relu" else "1/m")
    eigenvectors = np.linalg.eigh(x.T @ x / 12)[1]
    for reading in prediction.readings:
        matrices = Propagators(*matrices_by_steps(kernel, residual, rate / 12, reading.step))
        moment = s0 * np.eye(d) + terms(limit, matrices).total / m
        np.testing.assert_allclose(reading.second_moment, moment, rtol=0, atol=1e-12)
        np.testing.assert_allclose(reading.tau, np.diag(eigenvectors.T @ moment @ eigenvectors), rtol=1e-10)


def test_repeated_eigenvalues_are_averaged() -> None:
    x = np.kron([[1.0], [-0.5], [2.0]], np.eye(3)) + 0.0
    setting = lazy_setting(n=9)
    (*_, reading) = theory.predict(setting, rows=x).readings
    assert reading.multiplicity == (3,)
    assert reading.tau[0] == pytest.approx(np.trace(reading.second_moment) / 3)


def test_outputs_add_up() -> None:
    """C independent outputs give C times the terms; so do classes, with variance (C − 1)/C² per output."""
    x = sample(11, 12, 3)
    one = theory.predict(lazy_setting(labels=Labels(variance=2 / 9)), rows=x).readings[-1].tau
    three = theory.predict(lazy_setting(labels=Labels(variance=2 / 9, outputs=3)), rows=x).readings[-1].tau
    classes = theory.predict(lazy_setting(labels=Labels(kind="classes", classes=3)), rows=x).readings[-1].tau
    np.testing.assert_allclose(three - 1 / 3, 3 * (one - 1 / 3), rtol=1e-9)
    np.testing.assert_allclose(classes, three, rtol=1e-12)


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (lazy_setting(train="all"), "ntk"),
        (lazy_setting(activation="identity"), "identity"),
        (lazy_setting(init_variance=(0.0, 1.0)), "init_variance"),
        (lazy_setting(training=Training(momentum=0.5)), "momentum"),
        (lazy_setting(training=Training(batch_size=4)), "batch_size"),
        (lazy_setting(labels=Labels(kind="teacher")), "labels.kind"),
        (msgspec.structs.replace(lazy_setting(), data=Data(kind="gaussian", spectrum=(1.0, 1.0))), "data.fixed"),
    ],
)
def test_hypotheses(setting: Setting, reason: str) -> None:
    assert reason in (FORM.refusal(setting) or "")


def test_outside_its_regime_it_refuses() -> None:
    x = sample(12, 12, 3)
    with pytest.raises(NoClosedForm, match="not stable"):
        theory.predict(lazy_setting(training=Training(learning_rate=40.0)), rows=x, formula="network-lazy")
    with pytest.raises(NoClosedForm, match="weights move by"):
        theory.predict(lazy_setting(width=4), rows=x, formula="network-lazy")
    late = Training(learning_rate=0.5, steps=3000)
    keys = {"parametrization": "ntk", "train": "all", "init_variance": (1.0, 0.01), "width": 64, "training": late}
    with pytest.raises(NoClosedForm, match="weights move by"):  # output weights, which were next to nothing
        theory.predict(lazy_setting(**keys), rows=x, formula="network-lazy")


def test_the_budget_falls_with_the_width() -> None:
    """The budget falls by m^{-3/2} for ReLU and by m^{-2} for erf, whereas the change of τ falls by 1/m."""
    x = sample(13, 12, 3)
    for activation, rate in (("relu", 1.5), ("erf", 2.0)):
        narrow, wide = (
            theory.predict(lazy_setting(width=width, activation=activation), rows=x) for width in (10**6, 4 * 10**6)
        )
        assert np.log(narrow.error_budget / wide.error_budget) / np.log(4) == pytest.approx(rate, abs=1e-3)
        changes = [each.readings[-1].tau - each.readings[0].tau for each in (narrow, wide)]
        np.testing.assert_allclose(changes[0] / changes[1], 4, rtol=1e-6)


def test_displacement_is_a_mean_square_of_motions() -> None:
    """ε² by its definition: E (x·dw)² and E da² of one neuron, over what they are at the start."""
    x, model = sample(14, 6, 3), Model("relu", width=100, outputs=2, s0=0.2, sa=1.4, a4=0.0, sy=0.8)
    limit = kernel_limit(x, "relu", model.s0, model.sa, both=True)
    matrices = kernel_propagators(flow(limit.kappa, 0.7), limit.basis, limit.residual(model.sy))
    first = sum(row @ terms(limit, matrices).motion @ row for row in x) / sum(model.s0 * row @ row for row in x)
    second = sum(matrices.c[i, k] * limit.k[i, k] for i in range(6) for k in range(6)) / model.sa
    assert displacement(limit, matrices, model) ** 2 == pytest.approx(2 / 100 * (first + second))
    lone = replace(limit, both=False)
    assert displacement(lone, matrices, model) ** 2 == pytest.approx(2 / 100 * first)


def test_nothing_to_move_and_nothing_to_move_from() -> None:
    """Without rows or output weights nothing moves; trained output weights that start at zero are refused."""
    still = lazy_setting(init_variance=(1.0, 0.0))
    np.testing.assert_allclose(theory.predict(still, rows=sample(15, 12, 3)).readings[-1].tau, 1 / 3, rtol=1e-14)
    zeros = theory.predict(lazy_setting(), rows=np.zeros((12, 3)), formula="network-lazy")
    assert zeros.readings[-1].tau.tolist() == [1 / 3]
    moving = lazy_setting(init_variance=(1.0, 0.0), parametrization="ntk", train="all")
    with pytest.raises(NoClosedForm, match="inf of what they were"):
        theory.predict(moving, rows=sample(15, 12, 3), formula="network-lazy")


@pytest.mark.slow
def test_two_thousand_rows() -> None:
    """A prediction at two steps: under a minute of one core, and a few dozen matrices (n, n)."""
    n, d = 2000, 50
    x = np.random.default_rng(999).standard_normal((n, d))
    keys = {"parametrization": "ntk", "train": "all", "width": 10**6}
    setting = lazy_setting(n=n, d=d, training=Training(learning_rate=0.5, steps=(10, 100)), **keys)
    tracemalloc.start()
    started = time.process_time()
    prediction = theory.predict(setting, rows=x, formula="network-lazy")
    seconds = time.process_time() - started
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.isfinite(prediction.readings[-1].tau).all()
    assert seconds < 60
    assert peak < 30 * 8 * n**2
