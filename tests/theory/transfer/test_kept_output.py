"""Transfer with a kept output layer: mode by mode, and wide networks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.testing.strategies import seeds
from tests.oracles.network import TRAINABLE, descend
from tests.theory.transfer.measurements import RATE, summary, within
from theory.network.kernels import nngp, ntk
from theory.setting import Training
from theory.transfer import (
    kept_output_transfer,
)


@given(seed=seeds, variance=st.floats(0.0, 4.0), steps=st.integers(0, 60), activation=st.sampled_from(["relu", "erf"]))
def test_same_inputs_mode_by_mode(seed: int, variance: float, steps: int, activation: str) -> None:
    """−1/(2n) Σ ϱ^2t₂ bracket is the gain by matrices; the same inputs may be given as new ones."""
    rows = np.random.default_rng(seed).standard_normal((6, 3))
    upstream, downstream = Training(learning_rate=0.05, steps=steps), Training(learning_rate=0.1, steps=(0, 3, 20))
    targets = np.arange(6.0)
    found = kept_output_transfer(rows, upstream, targets, downstream, label_variance=variance, activation=activation)
    rho = 1 - 0.1 * found.kappa / 6
    gain = [-(rho ** (2 * t) @ found.bracket) / 12 for t in (0, 3, 20)]
    scale = found.transfer.reference_loss[0]
    np.testing.assert_allclose(found.transfer.gain, gain, atol=1e-9 * scale)
    again = kept_output_transfer(
        rows, upstream, targets, downstream, label_variance=variance, others=rows, activation=activation
    )
    np.testing.assert_allclose(again.transfer.gain, found.transfer.gain, atol=1e-9 * scale)
    assert again.mode_sign is None
    # by definition: K_ZX A (y_1 − f_0) + f_0, over columns of roots of the laws of y_1 and f_0
    kernel, law = ntk(activation, rows), nngp(activation, rows)
    left = np.linalg.matrix_power(np.eye(6) - 0.05 / 6 * kernel, steps)
    kept = left @ law @ left + variance * (np.eye(6) - left) @ (np.eye(6) - left)
    for t, loss in zip((0, 3, 20), found.transfer.loss, strict=True):
        right = np.linalg.matrix_power(np.eye(6) - 0.1 / 6 * kernel, t)
        expected = (((right @ targets) ** 2).sum() + np.trace(right @ kept @ right)) / 12
        assert loss == pytest.approx(expected, rel=1e-9)


def test_the_sign_of_a_mode_under_flow() -> None:
    """Small steps: a mode hurts iff s_y² tanh(κηt₁/2n) > N_aa."""
    rows = np.random.default_rng(12).standard_normal((20, 6))
    upstream = Training(learning_rate=1e-3, steps=20_000)
    found = kept_output_transfer(rows, upstream, np.ones(20), Training(steps=1), label_variance=0.6)
    _, vectors = np.linalg.eigh(ntk("relu", rows))
    variances = np.einsum("ia,ij,ja->a", vectors, nngp("relu", rows), vectors)
    hurts = 0.6 * np.tanh(found.kappa * 20 / 40) > variances
    assert 0 < hurts.sum() < 20
    assert found.mode_sign == tuple("negative" if hurt else "positive" for hurt in hurts)


def kept_gains(
    seed: int, activation: str, label: float, pretraining: int, new: bool, width: int, networks: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """(measured, sampling, predicted) gains at t_2 = 0, 5, 30, and the larger initial loss."""
    generator = np.random.default_rng(seed)
    rows, others, n = generator.standard_normal((30, 8)), generator.standard_normal((30, 8)), 30
    z = others if new else rows
    steps, targets = (0, 5, 30), np.sin(np.arange(n))
    found = kept_output_transfer(
        rows,
        Training(learning_rate=RATE, steps=pretraining),
        targets,
        Training(learning_rate=RATE, steps=steps),
        label_variance=label**2,
        others=others if new else None,
        activation=activation,
    )
    kernel, here, between = ntk(activation, rows), ntk(activation, z), ntk(activation, z, rows)
    left = np.linalg.matrix_power(np.eye(n) - RATE / n * kernel, pretraining)
    moved = between @ np.linalg.solve(kernel, np.eye(n) - left)
    powers = [np.linalg.matrix_power(np.eye(n) - RATE / n * here, t) for t in steps]
    phi = TRAINABLE[activation][0]
    samples = []
    for r in range(networks):
        generator = np.random.default_rng([seed, r, width])
        w, a, y = (generator.standard_normal(shape) for shape in ((width, 8), width, n))
        trained, _ = descend(activation, rows, label * y, (w, a), RATE, pretraining)
        kept = descend(activation, z, targets, trained, RATE, steps[-1])[1][list(steps)]
        fresh = descend(activation, z, targets, (w, a), RATE, steps[-1])[1][list(steps)]
        initial, start = (phi(x @ w.T) @ a / width**0.5 for x in (rows, z))
        went = start + moved @ (label * y - initial)
        known = [((p @ (targets - start)) ** 2).sum() - ((p @ (targets - went)) ** 2).sum() for p in powers]
        samples.append(fresh - kept - np.array(known) / (2 * n) + found.transfer.gain)
    initial_loss = max(found.transfer.loss[0], found.transfer.reference_loss[0])
    return *summary(np.array(samples)), found.transfer.gain, initial_loss


@pytest.mark.parametrize(
    ("activation", "label", "pretraining", "new", "signs"),
    [("relu", 0.3, 20, False, "++"), ("relu", 2.0, 100, False, "--"), ("erf", 1.0, 60, True, "+")],
)
def test_kept_networks(activation: str, label: float, pretraining: int, new: bool, signs: str) -> None:
    """Little to remember helps, much hurts; new inputs. The opposite sign is refuted."""
    measured, sampling, predicted, start = kept_gains(0, activation, label, pretraining, new, 1024, 12)
    budget = 2 * 1024**-0.5 * start
    assert within(measured, sampling, predicted, budget), (measured, sampling, predicted)
    assert not within(measured, sampling, -predicted, budget)
    at = {"++": (0, 1), "--": (1, 2), "+": (0,)}[signs]
    for k, sign in zip(at, signs, strict=True):
        assert np.sign(predicted[k]) == np.sign(measured[k]) == {"+": 1, "-": -1}[sign]


@pytest.mark.slow
def test_the_error_of_kept_networks_falls_with_the_width() -> None:
    """From m = 256 to 4096 the largest bias at least halves, where a rate of m^-½ would give a quarter."""
    biases = []
    for width, networks in ((256, 64), (4096, 24)):
        measured, sampling, predicted, _ = kept_gains(1, "relu", 2.0, 100, False, width, networks)
        biases.append((np.abs(measured - predicted).max(), sampling.max()))
    (small, small_sampling), (large, large_sampling) = biases
    assert small > small_sampling
    assert large - large_sampling < small / 2
