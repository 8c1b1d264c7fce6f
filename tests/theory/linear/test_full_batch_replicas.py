"""Second moments of the full-batch form against replicas of a plain loop."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy import stats

from tests.oracles.linear import (
    fixed_setting,
    rows_with_spectrum,
    train_all,
)
from tests.oracles.statistics import assert_second_moment, second_moment_test
from theory.catalogue import predict
from theory.eigenspaces import eigenspaces
from theory.linear.propagators import stability_limit
from theory.setting import Labels, Network, Setting, Training
from theory.testing.whole_matrix import whole_matrix_test


def random_setting(seed: int) -> tuple[Setting, np.ndarray]:
    """A setting of Gaussian labels and initial weights with fixed rows, from a seed."""
    generator = np.random.default_rng([seed, 0])
    n, d = (int(k) for k in generator.integers(2, 15, 2))
    eigenvalues = np.sort(generator.choice([0.0, 0.3, 1.0, *generator.uniform(0.1, 3, 3)], d))
    eigenvalues[: max(0, d - n)] = 0.0
    momentum = float(generator.choice([0.0, 0.5, 0.9]))
    training = Training(
        learning_rate=1.0,
        momentum=momentum,
        nesterov=bool(momentum and generator.integers(2)),
        weight_decay=float(generator.choice([0.0, 0.0, 0.2])),
        drops=((3, 0.5), (8, 0.5)) if generator.integers(2) else (),
        steps=int(generator.integers(1, 25)),
    )
    limit = stability_limit(training) / max(eigenvalues[-1] + training.weight_decay, 0.1)
    training = msgspec.structs.replace(training, learning_rate=float(generator.uniform(0.05, 0.9) * limit))
    rows = rows_with_spectrum(generator, n, eigenvalues)
    network = Network(
        init_variance=float(generator.choice([0.5, 1.0, 3.0])),
        parametrization=str(generator.choice(["standard", "ntk"])),
        init_spectrum=tuple(generator.uniform(0.2, 2, d).tolist()) if generator.integers(4) == 0 else (),
    )
    return fixed_setting(
        rows, training, network=network, labels=Labels(variance=float(generator.uniform(0.5, 3)))
    ), rows


def replicas(setting: Setting, rows: np.ndarray, seed: int, count: int = 50_000) -> np.ndarray:
    """Final weights (N, d) of `count` trainings of a NumPy loop, Gaussian labels and initial weights."""
    n, d = rows.shape
    generator = np.random.default_rng([seed, 1])
    network, ntk = setting.network, setting.network.parametrization == "ntk"
    variances = network.init_spectrum or network.layer_variances[0] / (1 if ntk else d)
    weights = generator.standard_normal((count, d)) * np.sqrt(variances)
    labels = generator.standard_normal((count, n)) * np.sqrt(setting.labels.variance)
    scaled = rows / np.sqrt(d) if ntk else rows
    return train_all(scaled, labels, weights, setting.training, setting.training.readings[-1])


@pytest.mark.parametrize("seed", range(12))
def test_second_moment_matrix(seed: int) -> None:
    """Replicas pass the literal test and the package's own."""
    setting, rows = random_setting(seed)
    predicted, weights = predict(setting, rows=rows).readings[0].second_moment, replicas(setting, rows, seed)
    assert_second_moment(weights, predicted, alpha=1e-7)
    sample = weights.T @ weights / len(weights)
    assert whole_matrix_test(predicted, sample, len(weights), gaussian=True).pvalue >= 1e-7


@pytest.mark.parametrize("seed", [0, 4, 9])
def test_seven_percent_in_one_tau_is_found(seed: int) -> None:
    setting, rows = random_setting(seed)
    reading = predict(setting, rows=rows).readings[0]
    projector = eigenspaces(rows.T @ rows / len(rows)).projectors[-1]
    stretch = np.eye(rows.shape[1]) + (1.07**0.5 - 1) * projector
    with pytest.raises(AssertionError):
        assert_second_moment(replicas(setting, rows, seed), stretch @ reading.second_moment @ stretch, alpha=1e-7)


@pytest.mark.slow
def test_second_moment_matrices_of_many_settings() -> None:
    """No rejection, uniform p-values, and 7 % planted in one τ is found, over 240 settings."""
    tests, found = [], []
    for seed in range(1000, 1240):
        setting, rows = random_setting(seed)
        reading = predict(setting, rows=rows).readings[0]
        weights = replicas(setting, rows, seed)
        tests.append(second_moment_test(weights, reading.second_moment))
        spaces = eigenspaces(rows.T @ rows / len(rows))
        space = seed % len(reading.tau)
        stretch = np.eye(rows.shape[1]) + (1.07**0.5 - 1) * spaces.projectors[space]
        wrong = stretch @ reading.second_moment @ stretch
        found.append(second_moment_test(weights, wrong).pvalue < 1e-6 / 240)
    assert min(test.pvalue for test in tests) >= 1e-6 / len(tests)
    for kind in ("likelihood_ratio", "diagonals"):
        assert stats.kstest([getattr(test, kind) for test in tests], "uniform").pvalue >= 5e-7
    assert np.mean(found) >= 0.95
