"""Transfer through frozen features: the loss against a trained second layer, and the sign rule, opposite to weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.oracles.linear import train_all
from theory.errors import InvalidInput
from theory.setting import Training
from theory.symmetry import haar
from theory.transfer import frozen_feature_loss, frozen_feature_transfer, initial_weight_transfer

OPTIMIZERS = {
    "descent": {},
    "heavy ball": {"momentum": 0.5},
    "nesterov, decay": {"momentum": 0.5, "nesterov": True, "weight_decay": 0.2},
}


def exact_features(generator: np.random.Generator, width: int, sigma: np.ndarray) -> np.ndarray:
    """W_1 (m, d) with W_1ᵀW_1/m = Σ_w exactly: the limit m → ∞ without its fluctuations."""
    values, vectors = np.linalg.eigh(sigma)
    root = (vectors * np.sqrt(values)) @ vectors.T
    return np.sqrt(width) * haar(generator, width, 1)[0][:, : len(sigma)] @ root


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("n", "d"), [(6, 3), (2, 4)])
def test_loss_of_a_trained_second_layer(optimizer: str, n: int, d: int) -> None:
    """Features of exactly the covariance Σ_w, w_2 trained from zero, noise by linearity: equal to rounding."""
    generator = np.random.default_rng([n, d])
    rows, target, noise, width = generator.standard_normal((n, d)), generator.standard_normal(d), 0.6, 7
    s, basis = np.linalg.eigh(rows.T @ rows / n)
    s = np.where(s < 1e-12, 0, s)
    tau = generator.uniform(0.2, 1.5, d)
    features = rows @ exact_features(generator, width, (basis * tau) @ basis.T).T / np.sqrt(width)
    training = Training(learning_rate=0.3, steps=(0, 1, 6), **OPTIMIZERS[optimizer])
    found = frozen_feature_loss(s, tau, (basis.T @ target) ** 2, noise, n, training)
    labels = np.concatenate([[rows @ target], np.sqrt(noise) * np.eye(n)])
    for k, step in enumerate(training.readings):
        w = train_all(features, labels, np.zeros((n + 1, width)), training, step)
        expected = ((w @ features.T - labels) ** 2).sum() / (2 * n)
        assert found[k] == pytest.approx(expected, rel=1e-11)


def measured_gains(width: int, runs: int, tau: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gains (runs, 3) of random Gaussian features over isotropic ones from the same z, and the eigenvalues of S.

    w_2 from zero stays in the span of the features, so the kernel is iterated; it needs zᵀz/m, a Wishart matrix, only.
    """
    n, d = 20, len(tau)
    rows = np.random.default_rng(31).standard_normal((n, d)) * np.sqrt(np.linspace(0.2, 1.5, d))
    s, basis = np.linalg.eigh(rows.T @ rows / n)
    wishart = stats.wishart.rvs(width, np.eye(d) / width, size=runs, random_state=np.random.default_rng(width))
    labels = np.concatenate([[rows @ (basis @ np.ones(d))], 0.5 * np.eye(n)])  # one task, and its noise by linearity
    losses = []
    for variances in (np.full(d, tau.mean()), tau):
        half = rows @ (basis * np.sqrt(variances))
        kernel = half @ wishart @ half.T / n
        residual, at = np.broadcast_to(labels.T, (runs, n, n + 1)), []
        for t in range(31):
            if t in (1, 5, 30):
                at.append((residual**2).sum(axis=(1, 2)) / (2 * n))
            residual = residual - 0.2 * kernel @ residual
        losses.append(np.stack(at, axis=1))
    return losses[0] - losses[1], s


def check_wide(width: int, runs: int, rises: bool) -> np.ndarray:
    """Bias times m at t = 1, 5, 30, which stays below 2; and the sign of the first step."""
    tau = np.linspace(0.3, 1.7, 8)[:: 1 if rises else -1]
    gains, s = measured_gains(width, runs, tau)
    found = frozen_feature_transfer(s, tau, np.ones(8), 0.25, 20, Training(learning_rate=0.2, steps=(1, 5, 30)))
    bias, error = gains.mean(axis=0) - found.trace_matched, gains.std(axis=0, ddof=1) / np.sqrt(runs)
    assert np.all(np.abs(bias) <= 2 / width + 6 * error)
    sign = 1 if rises else -1
    assert found.early_sign == ("positive" if rises else "negative")
    assert sign * found.trace_matched[0] > 0.2
    assert np.all(sign * gains.mean(axis=0)[0] > 0.2)
    return bias * width


@pytest.mark.parametrize("rises", [True, False])
def test_gains_of_random_features(rises: bool) -> None:
    for width in (300, 3000):
        check_wide(width, 1000, rises)


@pytest.mark.slow
@pytest.mark.parametrize("rises", [True, False])
def test_the_error_falls_like_one_over_the_width(rises: bool) -> None:
    """10,000 runs: the bias times m is the same at m = 50 and 200, to a third of its largest.

    At t = 30 it is below 2/m like the others, but orders beyond 1/m still show at m = 50.
    """
    first, second = (check_wide(width, 10_000, rises) for width in (50, 200))
    assert np.abs(first).max() > 0.1
    np.testing.assert_allclose(first[:2], second[:2], atol=np.abs(first).max() / 3)


@given(
    levels=st.lists(st.floats(0.01, 1), min_size=2, max_size=6, unique=True),
    rises=st.booleans(),
    noise=st.floats(0, 1),
)
def test_the_sign_rules_of_the_two_mechanisms_are_opposite(levels: list[float], rises: bool, noise: float) -> None:
    """An isotropic task, τ monotone in s: what helps frozen features early hurts initial weights early."""
    s = np.sort(levels)
    tau = 0.1 + (s if rises else s[::-1])
    training = Training(learning_rate=1e-3, steps=1)
    features = frozen_feature_transfer(s, tau, np.ones(len(s)), noise, 10, training)
    weights = initial_weight_transfer(s, tau, training)
    assert features.early_sign == ("positive" if rises else "negative")
    assert weights.trace_matched_sign == ("negative" if rises else "positive",)


@given(
    s=st.lists(st.floats(0, 2), min_size=3, max_size=3),
    tau=st.lists(st.floats(0, 2), min_size=3, max_size=3),
    target=st.lists(st.floats(0, 2), min_size=3, max_size=3),
    noise=st.floats(0, 1),
)
def test_gain_as_an_explicit_sum_and_as_training_starts(
    s: list[float], tau: list[float], target: list[float], noise: float
) -> None:
    """½ Σ_{s_i>0} (s_i w_*² + σ²/n)(ρ̄_i² − ρ_i²); per ηt, at a rate of 1e-7, the covariance form."""
    n, eta = 5, 0.2
    found = frozen_feature_transfer(s, tau, target, noise, n, Training(learning_rate=eta, steps=(0, 4)))
    values, variances, squares = (np.array(v) for v in (s, tau, target))
    rho, isotropic = (1 - eta * values * variances) ** 4, (1 - eta * values * variances.mean()) ** 4
    gain = ((values * squares + noise / n) * (isotropic**2 - rho**2))[values > 0].sum() / 2
    np.testing.assert_allclose(found.trace_matched, [0, gain], atol=1e-12)
    np.testing.assert_allclose(found.isotropic_loss - found.loss, found.trace_matched)
    early = frozen_feature_transfer(s, tau, target, noise, n, Training(learning_rate=1e-7, steps=1))
    assert early.trace_matched[0] / 1e-7 == pytest.approx(found.early_gain, rel=1e-4, abs=1e-5)
    assert found.early_gain == pytest.approx(3 * found.covariance)


def test_signs_at_the_boundary() -> None:
    """Σ s_i (τ_i − τ̄)(s_i w_*²) = 0 where s²w_*² is the same in all directions."""
    for shift, sign in ((0.0, "none"), (1e-6, "positive"), (-1e-6, "negative")):
        found = frozen_feature_transfer([0.5, 1.0], [1.0, 3.0], [4.0, 1.0 + shift], 0.0, 4, Training(steps=0))
        assert found.early_sign == sign
        assert found.trace_matched_sign == ("none",)
    equal = frozen_feature_transfer([0.5, 1.0], [2.0, 2.0], [4.0, 1.0], 0.3, 4, Training(steps=(0, 9)))
    assert equal.trace_matched_sign == ("none", "none")
    assert equal.early_sign == "none"


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([1.0], [1.0, 1.0], [1.0], 0.0, 2, Training()), r"tau\.shape"),
        (([1.0], [1.0], [-1.0], 0.0, 2, Training()), "target"),
        (([1.0], [1.0], [1.0], -0.1, 2, Training()), "noise"),
        (([1.0], [1.0], [1.0], 0.1, 0, Training()), "samples"),
        (([1.0], [1.0], [1.0], 0.1, 2, Training(optimizer="signsgd")), "training"),
    ],
)
def test_bad_calls(arguments: tuple, match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        frozen_feature_transfer(*arguments)
