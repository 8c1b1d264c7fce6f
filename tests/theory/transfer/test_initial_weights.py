"""Transfer through initial weights: the losses against enumeration and simulation, the gains and their signs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles.linear import fixed_setting, train_all
from tests.oracles.statistics import largest_z
from theory.errors import InvalidInput
from theory.linear.full_batch import predict
from theory.setting import Data, Labels, Network, Setting, Training
from theory.transfer import (
    initial_weight_test_loss,
    initial_weight_training_loss,
    initial_weight_transfer,
    initial_weight_transfer_of,
)

OPTIMIZERS = {
    "descent": {},
    "heavy ball": {"momentum": 0.5},
    "nesterov, drops": {"momentum": 0.5, "nesterov": True, "drops": ((2, 0.5),)},
    "decay": {"weight_decay": 0.25},
}


def task(n: int, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows, a target, Σ_init in general position and Σ_x."""
    generator = np.random.default_rng([n, d])
    rows, target = generator.standard_normal((n, d)), generator.standard_normal(d)
    init = generator.standard_normal((d, d + 2))
    test = generator.standard_normal((d, d + 2))
    return rows, target, init @ init.T / d, test @ test.T / d


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("n", "d"), [(4, 2), (2, 3)])
def test_losses_by_enumeration(optimizer: str, n: int, d: int) -> None:
    """All sign vectors of the noise and of w_0 = Σ_init^½ (±1, …), trained in a loop: equal to rounding."""
    rows, target, init, covariance = task(n, d)
    noise, steps = 0.7, (0, 1, 5)
    training = Training(learning_rate=0.2, steps=steps, **OPTIMIZERS[optimizer])
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=n + d)))
    labels = rows @ target + np.sqrt(noise) * signs[:, :n]
    start = signs[:, n:] @ np.linalg.cholesky(init).T
    s, basis = np.linalg.eigh(rows.T @ rows / n)
    s = np.where(s < 1e-12, 0, s)
    diagonal, squares = np.diag(basis.T @ init @ basis), (basis.T @ target) ** 2
    fit = initial_weight_training_loss(s, diagonal, squares, noise, n, training)
    test = initial_weight_test_loss(rows.T @ rows / n, covariance, init, target, noise, n, training)
    for k, step in enumerate(steps):
        w = train_all(rows, labels, start, training, step)
        expected = ((w @ rows.T - labels) ** 2).sum(axis=1).mean() / (2 * n)
        assert fit[k] == pytest.approx(expected, rel=1e-12)
        error = w - target
        expected = np.einsum("ki,ij,kj->k", error, covariance, error).mean() / 2 + noise / 2
        assert test[k] == pytest.approx(expected, rel=1e-12)


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, Training]:
    d = draw(st.integers(1, 6))
    s, tau = (np.array(draw(st.lists(st.floats(0, 2), min_size=d, max_size=d))) for _ in range(2))
    optimizer = draw(st.sampled_from(sorted(OPTIMIZERS)))
    return s, tau, Training(learning_rate=draw(st.floats(0.01, 0.9)), steps=(0, 1, 8), **OPTIMIZERS[optimizer])


@given(problem=problems(), init_variance=st.floats(0, 2), noise=st.floats(0, 1))
def test_gains_are_differences_of_losses(
    problem: tuple[np.ndarray, np.ndarray, Training], init_variance: float, noise: float
) -> None:
    """Gains are differences of losses for any task; −(d/2) Cov is the explicit sum ½ Σ ω_i (τ̄ − τ_i)."""
    s, tau, training = problem
    found = initial_weight_transfer(s, tau, training, init_variance=init_variance)
    squares = np.linspace(0, 2, len(s))

    def loss(variances: np.ndarray) -> np.ndarray:
        return initial_weight_training_loss(s, variances, squares, noise, len(s) + 1, training)

    scale = 1e-12 * (1 + np.abs(loss(tau)).max() + np.abs(loss(np.full(len(s), init_variance))).max())
    assert found.raw is not None
    np.testing.assert_allclose(found.raw, loss(np.full(len(s), init_variance)) - loss(tau), atol=scale)
    np.testing.assert_allclose(found.trace_matched, loss(np.full(len(s), tau.mean())) - loss(tau), atol=scale)
    np.testing.assert_allclose(
        found.trace_matched, found.weights @ (tau.mean() - tau) / 2, atol=scale + 1e-12 * found.weights.max()
    )
    np.testing.assert_allclose(found.trace_matched, -len(s) / 2 * found.covariance)
    assert found.trace_matched_sign == tuple(
        "positive" if gain > 0 else "negative" if gain < 0 else "none" for gain in found.trace_matched
    )


def test_gain_in_test_loss() -> None:
    """The gain is a difference of test losses, for Σ_init diagonal in the basis of S and any Σ_x."""
    rows, target, _, covariance = task(6, 3)
    s, basis = np.linalg.eigh(rows.T @ rows / 6)
    tau, training = np.array([0.5, 2.0, 1.0]), Training(learning_rate=0.2, steps=(0, 2, 9))
    population = np.diag(basis.T @ covariance @ basis)
    found = initial_weight_transfer(s, tau, training, init_variance=0.8, population=population)
    losses = [
        initial_weight_test_loss(rows.T @ rows / 6, covariance, basis @ np.diag(t) @ basis.T, target, 0.3, 6, training)
        for t in (tau, np.full(3, 0.8), np.full(3, tau.mean()))
    ]
    np.testing.assert_allclose(found.raw, losses[1] - losses[0], rtol=1e-10)
    np.testing.assert_allclose(found.trace_matched, losses[2] - losses[0], rtol=1e-10)


@given(st.lists(st.integers(10, 1000), min_size=2, max_size=6, unique=True), st.booleans())
def test_falling_helps_and_rising_hurts_at_the_start(levels: list[int], falls: bool) -> None:
    """Before the first step ω_i = s_i: Chebyshev's sum inequality; levels that rounding cannot merge."""
    s = np.sort(levels) / 1000
    tau = s[::-1] if falls else s
    (sign,) = initial_weight_transfer(s, tau, Training(steps=0)).trace_matched_sign
    assert sign == ("positive" if falls else "negative")


def test_the_sign_flips_during_training() -> None:
    """ω = s(1 − ηs)^{2t} peaks at ηs = 1/(2t + 1): once the peak has passed below the data, the rule is reversed."""
    s, eta = np.linspace(0.2, 1.0, 9), 0.5
    training = Training(learning_rate=eta, steps=tuple(range(40)))
    found = initial_weight_transfer(s, 1 / s, training)
    assert found.trace_matched_sign[0] == "positive"
    assert found.trace_matched_sign[-1] == "negative"
    for t, weights in zip(found.steps, found.weights, strict=True):
        if t and 1 / (eta * (2 * t + 1)) < s[0]:
            assert np.all(np.diff(weights) < 0)
            assert found.trace_matched[t] < 0


def test_signs_at_the_boundary() -> None:
    """Nothing is gained exactly on the boundary; there is a sign one part in a million beside it."""
    s, training = np.array([0.5, 1.0]), Training(learning_rate=0.5, steps=0)
    for shift, sign in ((0.0, "none"), (1e-6, "negative"), (-1e-6, "positive")):
        # ½ [s_1 (1 − τ_1) + s_2 (1 − τ_2)] = 0 at τ = (3, 0)
        found = initial_weight_transfer(s, [3.0 + shift, 0.0], training, init_variance=1.0)
        assert found.raw_sign == (sign,)
    flat = initial_weight_transfer(s, [2.0, 2.0], Training(steps=(0, 3)))
    assert flat.trace_matched_sign == ("none", "none")
    assert flat.raw is None
    assert flat.raw_sign is None
    same = initial_weight_transfer([1.0, 1.0], [3.0, 1.0], Training(learning_rate=0.5, steps=(0, 4)))
    assert same.trace_matched_sign == ("none", "none")


# ---- pre-training and transfer, as it happens


def simulated_gains(
    rows: np.ndarray, upstream: Setting, downstream: Training, runs: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Gains (runs, r) raw and trace-matched of linear models that are pre-trained on labels of their own."""
    generator = np.random.default_rng(seed)
    n, d = rows.shape
    variance = upstream.network.layer_variances[0] / d
    fresh = generator.standard_normal((runs, d)) * np.sqrt(variance)
    random = generator.standard_normal((runs, n)) * np.sqrt(upstream.labels.variance)
    trained = train_all(rows, random, fresh, upstream.training, upstream.training.readings[0])
    matched = fresh * np.sqrt(predict(upstream, rows).readings[0].tau.mean() / variance)
    # one task of unit weights and noise ¼; its noise, and the fresh weights, are shared between the treatments
    labels = rows @ np.ones(d) + 0.5 * generator.standard_normal((runs, n))

    def losses(start: np.ndarray) -> np.ndarray:
        at = [train_all(rows, labels, start, downstream, t) for t in downstream.readings]
        return np.stack([((w @ rows.T - labels) ** 2).mean(axis=1) / 2 for w in at], axis=1)

    reference = losses(trained)
    return losses(fresh) - reference, losses(matched) - reference


CASES = {
    "long, τ falls": (Labels(variance=1.0), 1.0, 200),
    "short, τ rises": (Labels(variance=4.0), 0.05, 2),
    "tiny labels, the init decays": (Labels(variance=1e-3), 6.0, 30),
}


def check_simulated(case: str, runs: int) -> None:
    labels, init, steps = CASES[case]
    rows = np.random.default_rng(21).standard_normal((12, 6)) * np.sqrt(np.linspace(0.3, 2, 6))
    upstream = fixed_setting(
        rows, Training(learning_rate=0.1, steps=steps), labels=labels, network=Network(init_variance=init)
    )
    downstream = Training(learning_rate=0.1, steps=(0, 10, 40))
    (found,) = initial_weight_transfer_of(upstream, rows, downstream)
    raw, matched = simulated_gains(rows, upstream, downstream, runs, seed=22)
    assert found.raw is not None
    for predicted, measured in ((found.raw, raw), (found.trace_matched, matched)):
        z, bound = largest_z(measured, predicted)
        assert z < bound
        wrong, bound = largest_z(measured, -predicted)
        assert wrong > bound


@pytest.mark.parametrize("case", CASES)
def test_predicted_gains_by_training_models(case: str) -> None:
    check_simulated(case, runs=4000)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_predicted_gains_by_training_many_models(case: str) -> None:
    check_simulated(case, runs=40_000)


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_upstream_setting_and_its_parts(parametrization: str) -> None:
    rows = np.random.default_rng(23).standard_normal((8, 3))
    network = Network(init_variance=0.6, parametrization=parametrization)
    upstream = fixed_setting(rows, Training(learning_rate=0.3, steps=(0, 4)), network=network)
    downstream = Training(learning_rate=0.2, steps=(0, 3))
    start, later = initial_weight_transfer_of(upstream, rows, downstream)
    np.testing.assert_allclose(start.raw, 0, atol=1e-15)
    np.testing.assert_allclose(start.trace_matched, 0, atol=1e-15)
    s = np.linalg.eigvalsh(rows.T @ rows / 8) / (3 if parametrization == "ntk" else 1)
    by_hand = initial_weight_transfer(
        s,
        predict(upstream, rows).readings[1].tau,
        downstream,
        init_variance=0.6 / (1 if parametrization == "ntk" else 3),
    )
    np.testing.assert_allclose(later.raw, by_hand.raw, rtol=1e-10)
    np.testing.assert_allclose(later.trace_matched, by_hand.trace_matched, rtol=1e-10, atol=1e-14)
    equal = fixed_setting(rows, Training(steps=1), network=Network(init_spectrum=(0.4, 0.4, 0.4)))
    assert initial_weight_transfer_of(equal, rows, downstream)[0].init_variance == 0.4


# ---- bad input


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: initial_weight_transfer([], [], Training()), r"eigenvalues\.shape"),
        (lambda: initial_weight_transfer([1.0], [1.0, 2.0], Training()), r"tau\.shape"),
        (lambda: initial_weight_transfer([-1.0], [1.0], Training()), "eigenvalues = "),
        (lambda: initial_weight_transfer([1.0], [np.nan], Training()), "tau = "),
        (lambda: initial_weight_transfer([1.0], [1.0], Training(), init_variance=-1.0), "init_variance"),
        (lambda: initial_weight_transfer([1.0], [1.0], Training(), population=[1.0, 1.0]), r"population\.shape"),
        (lambda: initial_weight_transfer([1.0], [1.0], Training(optimizer="adam")), "training = "),
        (lambda: initial_weight_transfer([1.0], [1.0], Training(batch_size=2)), "training = "),
        (lambda: initial_weight_transfer([1.0], [1.0], Training(l1=0.1)), "training = "),
        (lambda: initial_weight_training_loss([1.0], [1.0], [1.0], -1.0, 2, Training()), "noise"),
        (lambda: initial_weight_training_loss([1.0], [1.0], [1.0], 1.0, 0, Training()), "samples"),
        (
            lambda: initial_weight_test_loss(np.eye(2), np.eye(2), np.eye(3), [1.0, 1.0], 0.0, 2, Training()),
            "must all be",
        ),
        (lambda: initial_weight_test_loss(np.eye(2), np.eye(2), np.eye(2), [1.0], 0.0, 2, Training()), "target"),
    ],
)
def test_bad_calls(call: object, match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        call()  # type: ignore[operator]


def test_upstream_must_be_a_full_batch_linear_model() -> None:
    rows = np.eye(2)
    data = Data(kind="gaussian", spectrum=(1.0, 1.0), samples=2, fixed=True)
    for keys in ({"training": Training(optimizer="adam")}, {"network": Network(kind="mlp")}):
        with pytest.raises(InvalidInput, match="upstream"):
            initial_weight_transfer_of(Setting(data=data, **keys), rows, Training())
    with pytest.raises(InvalidInput, match=r"upstream\.network\.init_spectrum"):
        initial_weight_transfer_of(Setting(data=data, network=Network(init_spectrum=(1.0, 2.0))), rows, Training())
    with pytest.raises(InvalidInput, match="rows"):
        initial_weight_transfer_of(Setting(data=data), np.eye(3), Training())
