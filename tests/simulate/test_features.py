"""Gradients of trained networks: finite differences, row by row, and identities that tie the matrices together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import simulate
from simulate.networks import forward, losses
from theory.features import gradient_outer_product
from theory.setting import Data, Ensemble, InvalidInput, Labels, Network, Setting, Training

DATA = Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=7)
SETTINGS = {
    "ReLU": Setting(data=DATA, network=Network(kind="mlp", hidden=(5,)), training=Training(steps=(0, 9))),
    "two layers, NTK, biases, classes": Setting(
        data=DATA,
        labels=Labels(kind="classes", classes=3),
        network=Network(kind="mlp", hidden=(5, 4), activation="tanh", parametrization="ntk", bias=True),
        training=Training(loss="cross-entropy", steps=(9,)),
    ),
    "linear, shared rows": Setting(
        data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=7, fixed=True),
        labels=Labels(outputs=2),
        training=Training(steps=(9,)),
    ),
}


def by_differences(function, x: np.ndarray) -> np.ndarray:
    """The gradient of every output of `function`, (C, d)."""
    h = 1e-5
    steps = [np.asarray((function(x + h * e) - function(x - h * e)) / (2 * h)) for e in np.eye(len(x))]
    return np.stack(steps, axis=1)


@pytest.mark.parametrize("name", SETTINGS)
def test_gradients_are_those_of_finite_differences(name):
    setting = SETTINGS[name]
    found = simulate.features(setting, replicas=2)
    inputs = simulate.replica_inputs(setting, range(2))
    trained = simulate.train(setting, inputs)
    assert [each.step for each in found.readings] == list(trained)
    for reading, parameters in zip(found.readings, trained.values(), strict=True):
        for r in range(2):
            one = tuple(w[r : r + 1] for w in parameters)
            rows = (inputs.x if inputs.shared else inputs.x[r]).numpy()

            def output(x, one=one):
                return forward(setting.network, one, torch.from_numpy(x)[None, None])[0, 0].numpy()

            gradients = np.stack([by_differences(output, x) for x in rows], axis=1)
            np.testing.assert_allclose(reading.agop[r], gradient_outer_product(gradients), rtol=1e-6, atol=1e-9)
            centred = gradient_outer_product(gradients, centred=True)
            np.testing.assert_allclose(reading.centred_agop[r], centred, rtol=1e-6, atol=1e-9)
            np.testing.assert_array_equal(reading.weights[r], one[0][0].numpy())
            moment = np.zeros((3, 3))
            for x, y in zip(rows, inputs.y[r], strict=True):

                def loss(x, y=y, one=one):
                    outputs = forward(setting.network, one, torch.from_numpy(x)[None, None])
                    return losses(outputs, y[None, None]).numpy()

                moment += by_differences(loss, x).T @ x[None] / 7
            np.testing.assert_allclose(reading.loss_moment[r], moment, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_agop_is_what_the_output_sees_of_the_units(name):
    setting = SETTINGS[name]
    scale = 1 / 3 if setting.network.parametrization == "ntk" else 1.0
    for reading in simulate.features(setting, replicas=3).readings:
        expected = scale * np.swapaxes(reading.weights, 1, 2) @ reading.sensitivity @ reading.weights
        np.testing.assert_allclose(reading.agop, expected, rtol=1e-12, atol=1e-14)


def test_replicas_are_those_of_the_ensemble_whatever_their_number():
    setting = SETTINGS["ReLU"]
    few, more = simulate.features(setting, replicas=3), simulate.features(setting, replicas=40)
    np.testing.assert_allclose(few.readings[1].agop, more.readings[1].agop[:3], rtol=1e-12)
    w = more.readings[1].weights
    moment = np.einsum("rmi,rmj->ij", w, w) / (40 * 5)
    np.testing.assert_allclose(simulate.run(setting, replicas=40).readings[1].second_moment, moment, rtol=1e-12)


def test_diverged_replicas_are_counted_and_left_out():
    wild = Setting(data=DATA, training=Training(learning_rate=1.5, steps=(0, 3000)), ensemble=Ensemble(replicas=20))
    found = simulate.features(wild)
    assert 0 < found.diverged <= 20
    assert {len(each.agop) for each in found.readings} == {20 - found.diverged}


@pytest.mark.parametrize(
    ("setting", "replicas", "key"),
    [
        (
            Setting(
                data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples="online"),
                training=Training(batch_size=4, sampling="fresh"),
            ),
            2,
            "data.samples",
        ),
        (Setting(data=Data(kind="photographs"), network=Network(kind="conv")), 2, "network.kind"),
        (SETTINGS["ReLU"], 0, "replicas"),
    ],
)
def test_what_has_no_gradients_by_rows_is_refused(setting, replicas, key):
    with pytest.raises(InvalidInput) as caught:
        simulate.features(setting, replicas=replicas)
    assert caught.value.key == key
