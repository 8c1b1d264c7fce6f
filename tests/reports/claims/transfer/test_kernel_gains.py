"""Gains of wide networks by plain loops: what is trained, towards what, and what is subtracted and added again."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

import simulate
from reports.claims.transfer import kernel_gains
from reports.claims.transfer.kernel_gains import (
    SET_APART,
    KeptOutput,
    PretrainedWeights,
    WideStudy,
    law_of_weights,
    scaled_rows,
    train_wide,
)
from theory.network.kernels import ntk
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

STEPS = (2, 5)


def setting_of(width: int = 6, replicas: int = 3, labels: float = 2.0) -> Setting:
    return Setting(
        data=Data(kind="gaussian", spectrum=(2.0, 1.0, 0.5), samples=7, fixed=True),
        labels=Labels(variance=labels),
        network=Network(kind="mlp", hidden=(width,), parametrization="ntk"),
        training=Training(learning_rate=0.4, steps=STEPS),
        ensemble=Ensemble(replicas=replicas, seed=999),
    )


def relu(z: np.ndarray) -> np.ndarray:
    return np.where(z > 0, z, 0.0)


def outputs(x: np.ndarray, w: np.ndarray, a: np.ndarray) -> np.ndarray:
    return relu(x @ w.T) @ a / np.sqrt(len(a))


def descend(
    x: np.ndarray, y: np.ndarray, w: np.ndarray, a: np.ndarray, steps: int, *, last: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Both layers of a ReLU network, or the last alone, a step at a time."""
    for _ in range(steps):
        error, h = (outputs(x, w, a) - y) / len(y), relu(x @ w.T)
        down = ((error[:, None] * a * (h > 0)).T @ x) / np.sqrt(len(a))
        a = a - 0.4 * h.T @ error / np.sqrt(len(a))
        w = w if last else w - 0.4 * down
    return w, a


def half(residual: np.ndarray) -> float:
    return float(residual @ residual) / (2 * len(residual))


def drawn(setting: Setting, replica: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """w, a and y of a replica."""
    inputs = simulate.replica_inputs(setting, [replica])
    w, a = (each[0].numpy() for each in inputs.parameters)
    return w, a[0], inputs.y[0, :, 0].numpy()


def roots(x: np.ndarray, study: PretrainedWeights) -> list[np.ndarray]:
    """Σ_w^½ of the pretrained weights, of isotropic ones of their trace, and of the same tr Σ_w S."""
    law = law_of_weights(x, 0.75)
    values, basis = np.linalg.eigh(law)
    s = x.T @ x
    same = np.trace(law @ s) / np.trace(s)
    return [basis @ np.diag(np.sqrt(np.maximum(values, 0))) @ basis.T, np.eye(3), np.sqrt(same) * np.eye(3)]


def target_of(study: WideStudy, x: np.ndarray) -> np.ndarray:
    """The target of a study: a principal direction of the rows, or the sum of all coordinates; of mean square 1."""
    if isinstance(study, KeptOutput):
        found = x.sum(axis=1)
    else:
        place = {"high variance": 0, "low variance": 2}[study.target]
        found = np.linalg.svd(x, full_matrices=False)[0][:, place]  # descending
    return found / np.sqrt(np.mean(found**2))


@pytest.mark.parametrize("study", [PretrainedWeights("high variance", STEPS), PretrainedWeights("low variance", STEPS)])
def test_pretrained_weights_on_a_target(study: PretrainedWeights) -> None:
    """No variate: the gains are those of the networks, and their mean losses at the start are known."""
    setting = setting_of()
    x = scaled_rows(setting)
    y, gains = target_of(study, x), []
    sign = np.sign(y @ study.targets(x))
    for replica in range(3):
        w = drawn(setting, replica)[0]
        losses = [
            [half(outputs(x, own, descend(x, sign * y, own, np.zeros(6), t, last=True)[1]) - sign * y) for t in STEPS]
            for own in (w @ root for root in roots(x, study))
        ]
        gains.append([np.subtract(other, losses[0]) for other in losses[1:]])
    found = train_wide(study, setting)
    np.testing.assert_allclose(found.mean, np.mean(gains, axis=0), rtol=1e-9)
    np.testing.assert_allclose(found.error, np.std(gains, axis=0, ddof=1) / np.sqrt(3), rtol=1e-9)
    np.testing.assert_allclose(found.start, [0.5, 0.5])
    assert np.abs(found.mean).min() > 1e-4


def kept_gains(study: KeptOutput, setting: Setting, replica: int) -> tuple[np.ndarray, list[float]]:
    """The gain of a network that goes on over the same before, and both losses at the start."""
    x, z = study.rows(setting)
    y = target_of(study, z)
    w, a, labels = drawn(setting, replica)
    starts = descend(x, labels, w, a, study.length), (w, a)
    after, fresh = ([half(outputs(z, *descend(z, y, *start, t)) - y) for t in STEPS] for start in starts)
    return np.subtract(fresh, after), [half(outputs(z, *start) - y) for start in starts]


def fixed_gains(study: KeptOutput, setting: Setting, replica: int, kernels: list[np.ndarray]) -> list[float]:
    """The same at fixed kernels, one step after the other: of the upstream rows, of the others, and across."""
    x, z = study.rows(setting)
    w, a, labels = drawn(setting, replica)
    begun, error = outputs(z, w, a), labels - outputs(x, w, a)
    went = begun
    for _ in range(study.length):
        went, error = went + 0.4 / len(x) * kernels[2] @ error, error - 0.4 / len(x) * kernels[0] @ error
    y, losses = target_of(study, z), []
    for start in (went, begun):
        residual, curve = start - y, []
        for step in range(1, STEPS[-1] + 1):
            residual = residual - 0.4 / len(z) * kernels[1] @ residual
            if step in STEPS:
                curve.append(half(residual))
        losses.append(curve)
    return np.subtract(losses[1], losses[0]).tolist()


@pytest.mark.parametrize("new", [False, True])
def test_a_kept_output_layer(new: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gains are those of networks less those of fixed kernels from their starts, plus the latter's mean over others."""
    monkeypatch.setattr(kernel_gains, "UNTRAINED", 2)
    monkeypatch.setattr(kernel_gains, "NARROW", 4)
    study, setting = KeptOutput(4, new, STEPS), setting_of()
    rows, others = study.rows(setting)
    assert np.array_equal(rows, others) is not new
    w, a = kernel_gains.pilot_neurons(setting)
    kernels = [np.zeros((7, 7)) for _ in range(3)]
    for each, b in zip(w, a, strict=True):
        for kernel, (x, z) in zip(kernels, ((rows, rows), (others, others), (others, rows)), strict=True):
            u, v = x @ each, z @ each
            kernel += (np.outer(relu(u), relu(v)) + b**2 * (x @ z.T) * np.outer(u > 0, v > 0)) / len(w)
    narrow = msgspec.structs.replace(setting, network=msgspec.structs.replace(setting.network, hidden=(4,)))
    own = np.array([fixed_gains(study, setting, replica, kernels) for replica in range(3)])
    more = np.array([fixed_gains(study, narrow, SET_APART + number, kernels) for number in range(6)])
    plain, starts = zip(*(kept_gains(study, setting, replica) for replica in range(3)), strict=True)
    samples, found = np.array(plain) - own, train_wide(study, setting)
    np.testing.assert_allclose(found.mean[0], samples.mean(axis=0) + more.mean(axis=0), rtol=1e-8)
    error = np.hypot(samples.std(axis=0, ddof=1) / np.sqrt(3), more.std(axis=0, ddof=1) / np.sqrt(6))
    np.testing.assert_allclose(found.error[0], error, rtol=1e-8)
    np.testing.assert_allclose(found.start, np.mean(starts, axis=0).max(), rtol=1e-9)


def test_random_labels_on_pretrained_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gains are those of plain loops less a variate, which depends on the labels alone, plus its mean."""
    monkeypatch.setattr(kernel_gains, "UNTRAINED", 2)
    study, setting = PretrainedWeights("random", STEPS), setting_of()
    x, samples, own = scaled_rows(setting), [], []
    pilot = kernel_gains.pilot_neurons(setting)[0]
    kernels = [relu(x @ root @ pilot.T) @ relu(x @ root @ pilot.T).T / len(pilot) for root in roots(x, study)]

    def fixed(y: np.ndarray) -> list[np.ndarray]:
        curves = []
        for kernel in kernels:
            once = np.eye(7) - 0.4 / 7 * kernel
            curves.append([half(np.linalg.matrix_power(once, step) @ y) for step in STEPS])
        return [np.subtract(curve, curves[0]) for curve in curves[1:]]

    for replica in range(3):
        w, _, y = drawn(setting, replica)
        losses = [
            [half(outputs(x, each, descend(x, y, each, np.zeros(6), t, last=True)[1]) - y) for t in STEPS]
            for each in (w @ root for root in roots(x, study))
        ]
        samples.append(np.subtract([np.subtract(other, losses[0]) for other in losses[1:]], fixed(y)))
        own.append(half(y))
    more = np.array([fixed(drawn(setting, SET_APART + number)[2]) for number in range(6)])
    found = train_wide(study, setting)
    np.testing.assert_allclose(found.mean, np.mean(samples, axis=0) + more.mean(axis=0), rtol=1e-8)
    np.testing.assert_allclose(found.start, np.full(2, np.mean(own)), rtol=1e-9)


def test_pilots_have_the_kernel_of_the_limit() -> None:
    """The kernel of pilots is that of the limit, for the rows with themselves and with others.

    There are 16 pilot neurons per neuron of a wide network.
    """
    setting = setting_of(width=2048)
    pilot = kernel_gains.pilot_neurons(setting)
    assert len(pilot[1]) == 16 * 2048
    rows, others = KeptOutput(4, True, STEPS).rows(setting)
    for x, z in ((rows, rows), (others, rows)):
        expected = ntk("relu", x, z)
        np.testing.assert_allclose(kernel_gains.tangent_kernel(pilot, x, z), expected, atol=0.04 * expected.max())


def test_networks_that_diverge_are_counted_and_left_out() -> None:
    setting = msgspec.structs.replace(setting_of(64), training=Training(learning_rate=10.0, steps=STEPS))
    found = train_wide(KeptOutput(60, False, STEPS), setting)
    assert found.diverged == found.replicas == 3
    assert np.isnan(found.mean).all()
    assert np.isnan(found.start).all()
