"""Overlaps with initial weights: literal loops over the replicas of `run`, whatever is trained, and what diverges."""

from __future__ import annotations

import numpy as np
import pytest

import simulate
from theory.setting import Data, Ensemble, InvalidInput, Labels, Network, Setting, Student, Training

DATA = Data(kind="gaussian", spectrum=(0.5, 1.0, 3.0), samples=12)
SETTINGS = {
    "linear": Setting(data=DATA, training=Training(learning_rate=0.1, steps=(0, 4)), ensemble=Ensemble(seed=3)),
    "two hidden layers": Setting(
        data=DATA,
        labels=Labels(kind="classes", classes=3),
        network=Network(kind="mlp", hidden=(5, 4), bias=True),
        training=Training(loss="cross-entropy", learning_rate=0.1, momentum=0.5, batch_size=4, steps=(0, 6)),
        ensemble=Ensemble(seed=4),
    ),
    "filters": Setting(
        data=Data(kind="photographs", crop=(4, 4), samples=20),
        labels=Labels(kind="classes"),
        network=Network(kind="conv", filters=3, hidden=(4,)),
        training=Training(loss="cross-entropy", learning_rate=0.1, steps=(0, 3)),
        ensemble=Ensemble(seed=5),
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_overlaps_of_every_replica(name: str) -> None:
    setting = SETTINGS[name]
    found = simulate.initial_overlaps(setting, replicas=5)
    values, basis = np.linalg.eigh(found.data_moment)
    np.testing.assert_allclose(found.eigenvalues, values)
    inputs = simulate.replica_inputs(setting, range(5))
    trained = simulate.train(setting, inputs)
    for r in range(5):
        start = inputs.parameters[0][r].numpy() @ basis
        for t, parameters in enumerate(trained.values()):
            end = parameters[0][r].numpy() @ basis
            np.testing.assert_allclose(found.cross[r, t], (start * end).mean(axis=0), rtol=1e-7, atol=1e-12)
            np.testing.assert_allclose(found.trained[r, t], (end * end).mean(axis=0), rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(found.initial[r], (start * start).mean(axis=0), rtol=1e-7)
    np.testing.assert_allclose(found.cross[:, 0], found.initial, rtol=1e-12)
    assert found.width == len(inputs.parameters[0][0])


def test_they_are_the_replicas_of_run() -> None:
    """tr Σ_w of every reading, and the matrix the directions belong to."""
    setting = SETTINGS["two hidden layers"]
    found, simulation = simulate.initial_overlaps(setting, replicas=70), simulate.run(setting, replicas=70)
    np.testing.assert_array_equal(found.data_moment, simulation.data_moment)
    for t, reading in enumerate(simulation.readings):
        total = np.trace(reading.second_moment)
        assert found.trained[:, t].sum(axis=1).mean() == pytest.approx(total, rel=1e-9)
    assert (found.replicas, found.diverged, found.width) == (70, 0, 5)


def test_replicas_that_diverge_are_left_out() -> None:
    data = Data(kind="elliptical", spectrum=(0.5, 1.0), radial=Student(dof=3.0), samples=4)
    setting = Setting(data=data, training=Training(learning_rate=1.5, steps=(0, 3000)))
    found = simulate.initial_overlaps(setting, replicas=40)
    assert 0 < found.diverged < 40
    assert len(found.initial) == len(found.trained) == 40 - found.diverged
    assert np.isfinite(found.trained).all()


def test_what_is_refused() -> None:
    with pytest.raises(InvalidInput, match="replicas = 0: must be at least 1"):
        simulate.initial_overlaps(SETTINGS["linear"], replicas=0)
    with pytest.raises(InvalidInput, match="kernel"):
        simulate.initial_overlaps(SETTINGS["filters"], replicas=1, kernel="linear")
