"""Mini-batches averaged over Gaussian rows, number by number: the recursion on polynomials, strengths, budgets."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from numpy.polynomial import Polynomial

from theory.catalogue import predict
from theory.linear import averaged_batches
from theory.linear.averaged import averaged_variances, parameter
from theory.linear.averaged_batches import mini_batch_variances, noise_strength
from theory.linear.equivalent import deterministic_equivalent
from theory.setting import Data, Labels, Network, Setting, Training

S = np.array([0.0, 0.4, 1.0, 1.0, 2.0])


def moments(samples: int, most: int) -> np.ndarray:
    """E (S^k)_ii to leading order, (most + 1, d): the functional that stands for the average over X."""
    leading, _ = deterministic_equivalent(
        lambda z: np.stack([z**k for k in range(most + 1)]), S, samples, margin=S.max()
    )
    return leading


@pytest.mark.parametrize("gaussian", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_the_recursion_is_one_of_polynomials(gaussian: bool, decay: float) -> None:
    """p, q, u are polynomials in the eigenvalue z of S; only their averages meet those of X."""
    n, kappa, initial, variance = 9, 2.5, 0.7, 1.6
    training = Training(learning_rate=0.1, weight_decay=decay, drops=((1, 0.5), (3, 0.5)), steps=(0, 1, 2, 4))
    known, z = moments(n, 16), Polynomial([0.0, 1.0])

    def average(f: Polynomial) -> np.ndarray:
        return f.coef @ known[: len(f.coef)]

    p, q, u = Polynomial([1.0]), Polynomial([0.0]), Polynomial([0.0])
    expected = []
    for step in range(5):
        tau = initial * p**2 + variance / n * z * q**2 + u
        if step in training.readings:
            expected.append(average(tau))
        eta = 0.1 * (1.0, 0.5, 0.5, 0.25, 0.25)[step]
        residual = n * z * tau - 2 * variance * z * q + variance
        mean = (average(residual).sum() + (n - 5) * variance) / n
        noise = z * mean - z * residual / n
        if gaussian:
            noise = noise + 2 * z**2 * (tau - 2 * variance / n * q)
        shrink = 1 - eta * (z + decay)
        u = shrink**2 * u + eta**2 * kappa / n * noise
        p, q = shrink * p, shrink * q + eta
    found = mini_batch_variances(
        training, S, samples=n, sigma_y2=variance, initial=initial, kappa=kappa, gaussian_term=gaussian
    )
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


def setting_of(samples: int, parametrization: str = "standard", **training: object) -> Setting:
    return Setting(
        data=Data(kind="gaussian", spectrum=(0.0, 0.5, 1.0, 2.5), samples=samples),
        network=Network(init_variance=0.8, parametrization=parametrization),
        labels=Labels(variance=1.5),
        training=Training(
            **{"learning_rate": 0.02, "batch_size": 2, "sampling": "replacement", "steps": 30, **training}
        ),
    )


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_the_strength_of_the_noise(parametrization: str) -> None:
    """ε = η κ_B tr Σ/n: with replacement η tr Σ/B, without (n − B)/(n − 1) of that; tr Σ/d in ntk."""
    trace = 4.0 if parametrization == "standard" else 1.0
    drops = ((3, 0.5), (5, 8.0), (9, 0.25))  # .02, .01, .08, .02
    setting = setting_of(20, parametrization, drops=drops)
    assert noise_strength(setting) == pytest.approx(0.08 * trace / 2, rel=1e-12)
    for early, largest in ((((1, 0.5),), 0.02), (((0, 0.5),), 0.01)):
        assert noise_strength(setting_of(20, parametrization, drops=early)) == pytest.approx(largest * trace / 2)
    fresh = setting_of(20, parametrization, drops=drops, sampling="fresh")
    assert noise_strength(fresh) == pytest.approx(0.08 * trace / 2 * 18 / 19, rel=1e-12)


@pytest.mark.parametrize(("samples", "gaussian"), [(6, False), (7, True), (40, True)])
def test_budgets_add_up(samples: int, gaussian: bool) -> None:
    """ε/4 where rows are more than twice the three directions with variance, otherwise .8 ε; and 2 κ."""
    setting = setting_of(samples, learning_rate=0.01)
    s = np.array([0.0, 0.5, 1.0, 2.5])
    leading, correction = averaged_variances(setting.training, s, samples=samples, sigma_y2=1.5, initial=0.2)
    expected = (0.25 if gaussian else 0.8) * 0.01 * 4 / 2 + 2 * parameter(setting, leading, correction)
    prediction = predict(setting, formula="linear-averaged-mini-batch")
    assert prediction.error_budget == pytest.approx(expected, rel=1e-12)
    assert ("beyond Gaussian fourth moments" in " ".join(prediction.neglected)) == gaussian
    tau = mini_batch_variances(
        setting.training, s, samples=samples, sigma_y2=1.5, initial=0.2, kappa=samples / 2, gaussian_term=gaussian
    )
    np.testing.assert_array_equal(prediction.readings[0].tau, tau[0])


def test_the_noise_is_refused_from_one_half_on() -> None:
    for factor, refused in ((0.999, False), (1.001, True)):
        setting = setting_of(4000, learning_rate=factor * 0.5 / 4, batch_size=1)
        reason = averaged_batches.refusal(setting)
        assert (reason is not None) == refused
        assert reason is None or reason.startswith("training.learning_rate: the batch noise")


def test_what_it_refuses() -> None:
    for change, reason in (
        ({"batch_size": "full"}, "training.batch_size"),
        ({"sampling": "epochs"}, "training.sampling"),
        ({"momentum": 0.5}, "training.momentum = 0.5"),
        ({"loss": "mse"}, None),
    ):
        answer = averaged_batches.refusal(setting_of(50, **change))
        assert (answer or "none").startswith(reason or "none")
    fixed = msgspec.structs.replace(
        setting_of(50), data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples=50, fixed=True)
    )
    assert str(averaged_batches.refusal(fixed)).startswith("data.fixed")
