"""Mini-batches averaged over Gaussian rows: limits, Monte Carlo over rows and batches, budgets, hypotheses."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tests.theory.linear.gaussian_rows import BASE, POWER
from theory.catalogue import choose_form, predict
from theory.linear import averaged_batches
from theory.linear.averaged import averaged_variances
from theory.linear.averaged_batches import mini_batch_variances
from theory.linear.online import variances
from theory.setting import Data, Setting, Training

BATCHES = msgspec.structs.replace(
    BASE,
    data=Data(kind="gaussian", spectrum=(0.1, 0.5, 1.0, 1.0, 3.0), samples=60),
    training=Training(learning_rate=0.05, batch_size=6, sampling="fresh", steps=(10, 80)),
)


def test_without_batch_noise_it_is_the_full_batch() -> None:
    training = Training(learning_rate=0.05, weight_decay=0.1, drops=((10, 0.5),), steps=(0, 5, 40))
    leading, _ = averaged_variances(training, POWER, samples=20, sigma_y2=1.3, initial=0.2)
    found = mini_batch_variances(training, POWER, samples=20, sigma_y2=1.3, initial=0.2, kappa=0.0, gaussian_term=True)
    np.testing.assert_allclose(found, leading, rtol=1e-7)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_the_first_batch_is_a_fresh_sample(size: int) -> None:
    """One step from w_0 = 0 gives exactly η² σ_y² s/B."""
    n, kappa = 8, 8 * (8 - size) / (size * 7)
    for gaussian_term in (True, False):
        found = mini_batch_variances(
            Training(learning_rate=0.2, steps=1),
            POWER,
            samples=n,
            sigma_y2=1.3,
            initial=0.0,
            kappa=kappa,
            gaussian_term=gaussian_term,
        )
        np.testing.assert_allclose(found[0], 0.04 * 1.3 * POWER / size, rtol=1e-7)


def test_with_very_many_rows_it_is_online() -> None:
    """κ_B/n → 1/B; the difference falls like 1/n."""
    s, training = np.array([0.1, 1.0, 3.0]), Training(learning_rate=0.05, steps=(10, 200))
    exact = variances(training, s, np.full(3, 0.2), batch_size=4, sigma_y2=1.3)
    errors = []
    for n in (100_000, 1_000_000):
        found = mini_batch_variances(training, s, samples=n, sigma_y2=1.3, initial=0.2, kappa=n / 4, gaussian_term=True)
        errors.append(np.abs(found / exact - 1).max())
    assert errors[1] < 5e-4
    np.testing.assert_allclose(errors[0] / errors[1], 10, rtol=0.1)


def train_on_batches(setting: Setting, replicas: int, seed: int) -> np.ndarray:
    """τ (r, K, d) in blocks of replicas, each with rows, labels, weights and batches of its own."""
    generator, training = np.random.default_rng(seed), setting.training
    s, n, size = np.array(setting.data.eigenvalues), setting.data.samples, training.batch_size
    d, blocks = len(s), 50
    x = generator.standard_normal((replicas, n, d)) * np.sqrt(s)
    y = generator.standard_normal((replicas, n)) * np.sqrt(setting.labels.variance)
    w = generator.standard_normal((replicas, d)) * np.sqrt(setting.network.layer_variances[0] / d)
    found, each = [], np.arange(replicas)[:, None]
    for step in range(training.readings[-1] + 1):
        if step in training.readings:
            found.append((w**2).reshape(blocks, -1, d).mean(axis=1))
        if training.sampling == "replacement":
            picks = generator.integers(n, size=(replicas, size))
        else:
            picks = np.argpartition(generator.random((replicas, n)), size - 1, axis=1)[:, :size]
        rows, residual = x[each, picks], -y[each, picks]
        residual += np.einsum("rbd,rd->rb", rows, w)
        gradient = np.einsum("rb,rbd->rd", residual, rows) / size + training.weight_decay * w
        w = w - training.learning_rate_at(step) * gradient
    return np.stack(found)


def batch_errors(setting: Setting, replicas: int, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Relative errors of τ, their standard errors, and the budget; (r, k)."""
    prediction = predict(setting, formula="linear-averaged-mini-batch")
    blocks = train_on_batches(setting, replicas, seed)
    order = np.argsort(setting.data.eigenvalues, kind="stable")
    tau = np.array([np.repeat(reading.tau, reading.multiplicity) for reading in prediction.readings])
    mean, error = blocks.mean(axis=1)[:, order], blocks.std(axis=1, ddof=1)[:, order] / np.sqrt(blocks.shape[1])
    return mean / tau - 1, error / tau, prediction.error_budget


@pytest.mark.parametrize("sampling", ["fresh", "replacement"])
def test_mini_batches_averaged_over_rows(sampling: str) -> None:
    setting = msgspec.structs.replace(
        BATCHES, training=msgspec.structs.replace(BATCHES.training, sampling=sampling, steps=(5, 40))
    )
    assert choose_form(setting) is averaged_batches.FORM
    error, noise, budget = batch_errors(setting, 10_000, 3)
    assert budget < 0.12
    assert np.all(np.abs(error) <= budget + 6 * noise)


@pytest.mark.slow
@pytest.mark.parametrize("samples", [8, 30, 60, 300])
@pytest.mark.parametrize("rate", [0.02, 0.08])
def test_budgets_of_mini_batches(samples: int, rate: float) -> None:
    setting = msgspec.structs.replace(
        BATCHES,
        data=msgspec.structs.replace(BATCHES.data, samples=samples),
        training=Training(learning_rate=rate, batch_size=4, sampling="fresh", steps=(10, 100), weight_decay=0.05),
    )
    error, noise, budget = batch_errors(setting, 20_000, samples)
    assert np.all(np.abs(error) <= budget + 5 * noise)
    full = averaged_variances(
        setting.training, np.sort(setting.data.eigenvalues), samples=samples, sigma_y2=1.0, initial=0.06
    )
    if samples >= 60:  # the batch noise is most of τ there
        assert np.abs(train_on_batches(setting, 2000, 1).mean(axis=1) / full[0] - 1).max() > 0.1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"batch_size": "full"}, "training.batch_size"),
        ({"sampling": "epochs"}, 'training.sampling = "epochs"'),
        ({"momentum": 0.5}, "training.momentum = 0.5"),
        ({"batch_size": 1, "learning_rate": 0.1}, "training.learning_rate: the batch noise"),
    ],
)
def test_each_missing_hypothesis_of_mini_batches_is_named(changes: dict, reason: str) -> None:
    training = msgspec.structs.replace(BATCHES.training, **changes)
    answer = averaged_batches.refusal(msgspec.structs.replace(BATCHES, training=training))
    assert answer is not None
    assert answer.startswith(reason)
