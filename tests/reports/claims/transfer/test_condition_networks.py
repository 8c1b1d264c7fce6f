"""The networks of claim C5: one tiny setting against literal loops of torch.optim, real and linearised."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pytest
import torch
from torch.nn import functional

from reports.claims.transfer.condition_design import (
    HORIZONS,
    REPLICAS,
    SHORT,
    UPDATES,
    DrawnSetting,
    drawn_setting,
)
from reports.claims.transfer.condition_networks import begin, horizon_means, measure_settings, realised_curves
from reports.claims.transfer.condition_predictions import predict_settings
from simulate.networks import forward
from simulate.transfer.draws import TransferDraws
from tests.oracles.linearised import linearised_outputs
from theory.setting import Treatments

CPU = torch.device("cpu")
EPOCHS = (0, 0.25, 0.5, 0.75, 1, 2, 3, 4, 5, 6)


def tiny(*, momentum: float) -> DrawnSetting:
    """Digits, 61-6-5-10, few rows; three epochs upstream."""
    drawn = drawn_setting(0, 7)
    network = msgspec.structs.replace(
        drawn.experiment.upstream.network, hidden=(6, 5), init_variance=(2.5,) * 3, activation="relu"
    )
    training = msgspec.structs.replace(
        drawn.experiment.upstream.training, batch_size=4, steps=36, learning_rate=0.05, momentum=momentum
    )
    data = msgspec.structs.replace(drawn.experiment.upstream.data, samples=48)
    upstream = msgspec.structs.replace(drawn.experiment.upstream, network=network, training=training, data=data)
    readings = drawn.experiment.downstream.training.readings
    downstream = msgspec.structs.replace(
        drawn.experiment.downstream, samples=48, training=msgspec.structs.replace(training, steps=readings)
    )
    ensemble = msgspec.structs.replace(drawn.experiment.ensemble, dtype="float64")
    treatments = Treatments(kinds=("scratch", "pretrained"))
    experiment = msgspec.structs.replace(
        drawn.experiment, upstream=upstream, downstream=downstream, ensemble=ensemble, treatment=treatments
    )
    return DrawnSetting(0, experiment, SHORT, again=True)


@cache
def setting(momentum: float) -> DrawnSetting:
    return tiny(momentum=momentum)


def trained(network, training, start, x, y, batches, steps):
    """Parameters of one network at some steps, by torch.optim."""
    w = [each.clone().requires_grad_() for each in start]
    optimizer = torch.optim.SGD(w, training.learning_rate, momentum=training.momentum)
    read = {}
    for step in range(steps[-1] + 1):
        if step in steps:
            read[step] = [each.detach().clone() for each in w]
        if step < steps[-1]:
            chosen = batches[step]
            optimizer.zero_grad()
            functional.cross_entropy(
                forward(network, tuple(each[None] for each in w), x[None, chosen])[0], y[chosen]
            ).backward()
            optimizer.step()
    return read


def literal(drawn, replica):
    """Both networks of a replica where training downstream begins, and what they are trained on there."""
    draws = TransferDraws(drawn.experiment)
    inputs, network = draws.take([replica]), drawn.experiment.upstream.network
    up, down = inputs.upstream, inputs.downstream
    init = [w[0] for w in inputs.init]
    training = drawn.experiment.upstream.training
    last = training.readings[-1]
    end = trained(network, training, init, up.x[0], up.y[0], up.orders[0], (last,))[last]
    return init, end, down.x[0], down.y[0], down.orders[0]


def means(curves):
    """Trapezoids up to every short horizon, in epochs."""
    found = []
    for horizon in HORIZONS[:SHORT]:
        last = EPOCHS.index(horizon)
        area = sum((EPOCHS[i + 1] - EPOCHS[i]) * (curves[i] + curves[i + 1]) / 2 for i in range(last))
        found.append(area / horizon)
    return np.array(found)


def scored(outputs, y):
    return (outputs.argmax(1) == y).double().mean().item(), functional.cross_entropy(outputs, y).item()


def test_gains_against_literal_training():
    drawn = setting(0.9)
    beginning = begin(drawn, CPU)
    assert beginning is not None
    gained, saved = (horizon_means(drawn, curves) for curves in realised_curves(beginning))
    network, training = drawn.experiment.upstream.network, drawn.experiment.downstream.training
    for replica in (0, 5):
        init, end, x, y, batches = literal(drawn, replica)
        curves = []
        for start in (init, end):
            read = trained(network, training, start, x, y, batches, training.readings)
            curves.append(
                [scored(forward(network, tuple(w[None] for w in each), x[None])[0], y) for each in read.values()]
            )
        (before, after) = np.array(curves)
        np.testing.assert_allclose(gained[:SHORT, replica], means((after - before)[:, 0]), atol=1e-12)
        np.testing.assert_allclose(saved[:SHORT, replica], means((before - after)[:, 1]), rtol=1e-8, atol=1e-10)
    assert np.isnan(gained[SHORT:]).all()


def test_predictions_against_literal_linearised_training():
    """Once where training begins and, without momentum, again after the first epoch."""
    drawn = setting(0.0)
    found = predict_settings((drawn,))
    network, training = drawn.experiment.upstream.network, drawn.experiment.downstream.training
    replica = 3
    init, end, x, y, batches = literal(drawn, replica)
    once, again = [], []
    for start in (init, end):
        linear = linearised_outputs(network, training, start, x, y, batches, x)
        once.append([scored(outputs, y) for _, outputs in linear])
        moved = trained(network, training, start, x, y, batches, (UPDATES,))[UPDATES]
        rest = msgspec.structs.replace(training, steps=tuple(UPDATES * epoch for epoch in range(6)))
        linear = linearised_outputs(network, rest, moved, x, y, batches[UPDATES:], x)
        again.append([scored(outputs, y) for _, outputs in linear])
    (before, after) = np.array(once)
    np.testing.assert_allclose(found.accuracy[0, :SHORT, replica], means((after - before)[:, 0]), atol=1e-12)
    np.testing.assert_allclose(found.loss[0, :SHORT, replica], means((before - after)[:, 1]), rtol=1e-8, atol=1e-10)
    (before, after) = np.array(again)
    for h, epochs in ((1, 2), (2, 5)):
        gain = np.trapezoid((after - before)[: epochs + 1, 0]) / epochs
        assert found.again_accuracy[0, h, replica] == pytest.approx(gain, abs=1e-12)
        gain = np.trapezoid((before - after)[: epochs + 1, 1]) / epochs
        assert found.again_loss[0, h, replica] == pytest.approx(gain, rel=1e-8, abs=1e-10)
    assert np.isnan(found.again_accuracy[0, 0]).all()
    assert np.isfinite(found.trace).all()
    assert np.isfinite(found.squared).all()


def test_networks_that_diverge_upstream_have_no_gain():
    drawn = setting(0.0)
    upstream = drawn.experiment.upstream
    training = msgspec.structs.replace(upstream.training, learning_rate=1e200)
    experiment = msgspec.structs.replace(
        drawn.experiment, upstream=msgspec.structs.replace(upstream, training=training)
    )
    lost = DrawnSetting(0, experiment, SHORT, again=True)
    found, predicted = measure_settings([lost], CPU), predict_settings([lost])
    assert np.isnan(found.accuracy).all()
    assert found.diverged == found.replicas == REPLICAS
    assert np.isnan(predicted.accuracy).all()


def test_a_linearisation_after_a_lost_epoch_is_left_out():
    """If real training of the first epoch diverges, nothing is predicted of what follows."""
    drawn = setting(0.0)
    downstream = drawn.experiment.downstream
    training = msgspec.structs.replace(downstream.training, learning_rate=1e200)
    experiment = msgspec.structs.replace(
        drawn.experiment, downstream=msgspec.structs.replace(downstream, training=training)
    )
    wild = DrawnSetting(0, experiment, SHORT, again=True)
    assert np.isnan(predict_settings([wild]).again_accuracy).all()
    assert measure_settings([wild], CPU).diverged == REPLICAS
