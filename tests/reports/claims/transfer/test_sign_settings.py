"""Comparisons of claim F8: gains of every kind of pre-training by plain loops."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch

import simulate
from reports.claims.transfer.sign_settings import Actual, Linear, SlantedWeights, begun, slanted
from simulate.networks import forward
from theory.linear import full_batch
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training
from theory.transfer import frozen_feature_transfer, initial_weight_transfer


def linear(frozen: bool, matched: bool, samples: int) -> Linear:
    """Five directions; 128 replicas are two networks of frozen features."""
    setting = Setting(
        data=Data(kind="gaussian", spectrum=(0.2, 0.5, 1.0, 1.5, 2.0), samples=samples, fixed=True),
        labels=Labels(variance=9.0, outputs=8),
        network=Network(init_variance=0.7),
        training=Training(learning_rate=0.1, steps=6),
        ensemble=Ensemble(replicas=128, seed=999),
    )
    return Linear(setting, 0.3, 3, 1.5, 0.2, matched, frozen)


def descend(x: np.ndarray, y: np.ndarray, w: np.ndarray, rate: float, steps: int) -> np.ndarray:
    """Full-batch descent of linear models w (C, d) on y (n, C)."""
    for _ in range(steps):
        w = w - rate * (w @ x.T - y.T) @ x / len(x)
    return w


@pytest.mark.parametrize("samples", [3, 12])
@pytest.mark.parametrize(("frozen", "matched"), [(False, False), (False, True), (True, True)])
def test_linear_gains_by_plain_loops_and_by_the_formulas(frozen: bool, matched: bool, samples: int) -> None:
    found = linear(frozen, matched, samples)
    x, upstream = simulate.rows(found.setting), simulate.replica_inputs(found.setting, range(128))
    expected = found.predict()
    other = simulate.replica_inputs(found.task(0.1), range(128, 256))
    moment = x.T @ x / samples
    values, basis = np.linalg.eigh(moment)
    readings = full_batch.predict(found.setting, x).readings
    tau = np.repeat(readings[0].tau, readings[0].multiplicity)
    # the target: energies s_i w_i² ∝ s_i^2.5 that add up to 1, along every direction of the rows
    seen = values > 1e-9
    squares = np.where(seen, np.abs(values) ** 1.5, 0)
    squares /= values @ squares
    target = x @ basis @ np.sqrt(squares)
    assert np.mean(target**2) == pytest.approx(1)
    s, n, noise = np.where(seen, values, 0), samples, 0.2
    after = [descend(x, y, w, 0.1, 6) for y, w in zip(upstream.y.numpy(), upstream.parameters[0].numpy(), strict=True)]
    own = np.square(np.concatenate(after) @ basis).mean(axis=0)  # τ of the trained weights: the rate is no prediction
    rate = 0.3 / max(values[-1] * own.mean() if frozen else 0, np.max(s * own) if frozen else values[-1])
    assert found.learning_rate() == pytest.approx(rate, rel=1e-9)
    training = Training(learning_rate=rate, steps=3)
    if frozen:
        formula = frozen_feature_transfer(s, tau, squares, noise, n, training).trace_matched[0]
        unit = (1 + noise) / 2
    else:
        given = initial_weight_transfer(s, tau, training, init_variance=0.7 / 5)
        formula = (given.trace_matched if matched else given.raw)[0]
        unit = (1 + noise + max(s @ tau, s.sum() * (tau.mean() if matched else 0.14))) / 2
    assert expected == pytest.approx(formula / unit, rel=1e-9)

    fresh = list(other.parameters[0].numpy())
    if matched:
        fresh = [
            np.array([u * np.sqrt((w @ w) / (u @ u)) for u, w in zip(us, ws, strict=True)])
            for us, ws in zip(fresh, after, strict=True)
        ]
    labels = other.y.numpy() + target[:, None]
    gains, starts = [], []
    for number in range(2 if frozen else 128):
        y, losses, before = labels[number], [], []
        for weights in (fresh, after):
            if frozen:
                rows = x @ np.concatenate(weights[64 * number : 64 * number + 64]).T / np.sqrt(512)
                first = np.zeros((8, 512))
            else:
                rows, first = x, weights[number]
            w = descend(rows, y, first, rate, 3)
            before.append(np.mean((first @ rows.T - y.T) ** 2) / 2)
            losses.append(np.mean((w @ rows.T - y.T) ** 2) / 2)
        gains.append(losses[0] - losses[1])
        starts.append(before)
    gains = np.array(gains) / np.mean(starts, axis=0).max()
    assert np.mean(starts, axis=0).max() == pytest.approx(unit, rel=0.3)
    realised = found.realise()
    assert realised.gain == pytest.approx(np.mean(gains), rel=1e-7)
    assert realised.error == pytest.approx(np.std(gains, ddof=1) / np.sqrt(len(gains)), rel=1e-6)
    assert (realised.trainings, realised.diverged) == (len(gains), 0)


def actual(kept: bool, filters: bool = False) -> Actual:
    network = Network(kind="mlp", hidden=(7, 6), activation="erf", parametrization="ntk")
    data = Data(kind="digits", samples=5)
    if filters:
        network = Network(kind="conv", filters=3, hidden=(6,), activation="erf", parametrization="ntk")
        data = Data(kind="photographs", crop=(4, 4), samples=5)
    setting = Setting(
        data=data,
        labels=Labels(variance=2.0, outputs=2 if filters else 10),
        network=network,
        training=Training(learning_rate=0.3, steps=20),
        ensemble=Ensemble(replicas=1, seed=999),
    )
    return Actual(setting, 0.5, 4, kept)


@pytest.mark.parametrize(("kept", "filters"), [(True, False), (False, False), (True, True)])
def test_an_actual_network_by_autograd(kept: bool, filters: bool) -> None:
    """Trained, and as its own linearisation, one step after the other."""
    found = actual(kept, filters)
    setting = found.setting
    upstream = simulate.replica_inputs(setting, [0])
    task = simulate.replica_inputs(msgspec.structs.replace(setting, labels=Labels(kind="real")), [0])
    assert torch.equal(upstream.x, task.x)
    x, y = task.x, task.y[0]

    def outputs(parameters):
        return forward(setting.network, tuple(parameters), x)[0]

    def trained(parameters, labels, rate, steps):
        for _ in range(steps):
            parameters = [w.detach().requires_grad_() for w in parameters]
            loss = (outputs(parameters) - labels).square().sum() / (2 * len(labels))
            parameters = [w - rate * g for w, g in zip(parameters, torch.autograd.grad(loss, parameters), strict=True)]
        return [w.detach() for w in parameters]

    def kernel(parameters):
        parameters = [w.detach().requires_grad_() for w in parameters]
        rows = [
            torch.cat([g.flatten() for g in torch.autograd.grad(f, parameters, retain_graph=True)])
            for f in outputs(parameters).flatten()
        ]
        jacobian = torch.stack(rows)
        return (jacobian @ jacobian.T).numpy()

    before = list(upstream.parameters)
    after = trained(before, upstream.y[0], 0.3, 20)
    if not kept:
        after[-1] = before[-1]
    kernels = [kernel(start) for start in (before, after)]
    rate = 0.5 * len(y) / max(np.linalg.norm(each, 2) for each in kernels)
    real, linearised = [], []
    for start, own in zip((before, after), kernels, strict=True):
        residual = (outputs(start) - y).detach().numpy().ravel()
        ends = residual.copy()
        for _ in range(4):
            ends = ends - rate / len(y) * own @ ends
        linearised.append([part @ part / (2 * len(y)) for part in (residual, ends)])
        final = outputs(trained(start, y, rate, 4)) - y
        real.append(float(final.square().sum() / (2 * len(y))))
    unit = max(linearised[0][0], linearised[1][0])
    expected = found.predict()
    assert expected == pytest.approx((linearised[0][1] - linearised[1][1]) / unit, rel=1e-8)
    assert found.training(begun(found)[1]).learning_rate == pytest.approx(rate, rel=1e-8)
    realised = found.realise()
    assert realised.gain == pytest.approx((real[0] - real[1]) / unit, rel=1e-8)
    assert (realised.trainings, realised.diverged) == (1, 0)
    assert 0 < realised.error < 1e-9 * abs(realised.gain)
    assert not np.isclose(expected, realised.gain, rtol=1e-4)  # it is a linearisation, after all


def test_pre_training_that_diverges_predicts_nothing() -> None:
    found = actual(True)
    training = msgspec.structs.replace(found.setting.training, learning_rate=1e6, steps=200)
    wild = replace(found, setting=msgspec.structs.replace(found.setting, labels=Labels(outputs=10), training=training))
    linear_network = Network(kind="mlp", hidden=(7,), activation="relu", parametrization="ntk")
    wild = replace(wild, setting=msgspec.structs.replace(wild.setting, network=linear_network))
    assert np.isnan(wild.predict())
    assert wild.realise().diverged == 1


@pytest.mark.parametrize("samples", [4, 30])
def test_targets_and_weights_are_slanted(samples: int) -> None:
    rows = np.random.default_rng(999).standard_normal((samples, 6)) * np.sqrt([4, 2, 1, 1, 0.5, 0.2])
    values, basis = np.linalg.eigh(rows.T @ rows / samples)
    values, basis = values[-min(samples, 6) :], basis[:, -min(samples, 6) :]
    energies = (rows @ basis / np.sqrt(values)).T @ slanted(rows, -1.3) / samples
    np.testing.assert_allclose(energies**2, values**-1.3 / np.sum(values**-1.3), rtol=1e-8)
    law = SlantedWeights("slanted", (1,), exponent=-0.7, slant=0.0).law(rows)
    np.testing.assert_allclose(basis.T @ law @ basis, np.diag(values**-0.7 * 6 / np.sum(values**-0.7)), atol=1e-8)
