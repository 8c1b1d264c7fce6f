"""Second layers against their own activations, whose moments are compared with rows; networks that diverge."""

from __future__ import annotations

import numpy as np
import pytest

import simulate
from reports.claims.alignment import b4_deeper
from simulate.datasets import load
from tests.reports.claims.alignment.ensembles import QUICK, case_of, outcome_of, smaller_case
from theory.eigenspaces import eigenspaces
from theory.errors import InvalidInput
from theory.misalignment import misalignment_squared

GAUSSIAN = "Gaussian data, random labels"


def test_activations_of_gaussian_rows():
    """The closed form agrees with 200,000 rows: the largest |z| of the 300 entries is below 6.2.

    By chance it exceeds that with probability 2e-7.
    """
    setting = case_of(b4_deeper.CLAIM, GAUSSIAN).setting
    parameters = simulate.replica_inputs(setting, [2]).parameters
    root = np.linalg.cholesky(simulate.population(setting).second_moment)
    x = np.random.default_rng(6).standard_normal((200_000, 16)) @ root.T
    h = np.maximum(x @ parameters[0][0].numpy().T, 0)
    exact = b4_deeper.activation_moments(setting, parameters)[0]
    mean, square = h.T @ h / len(h), (h**2).T @ (h**2) / len(h)
    z = (mean - exact) / np.sqrt((square - mean**2) / len(h))
    assert np.abs(z).max() < 6.2
    # Without its activation the layer's second moment is another one.
    linear = parameters[0][0].numpy() @ root
    assert np.abs((linear @ linear.T - mean) / np.sqrt((square - mean**2) / len(h))).max() > 100


def test_activations_of_digits_are_those_of_the_whole_set():
    setting = case_of(b4_deeper.CLAIM, "digits 8x8, random labels").setting
    parameters = simulate.replica_inputs(setting, [0, 1]).parameters
    rows = load(setting.data, real_labels=False)[0]
    found = b4_deeper.activation_moments(setting, parameters)
    for w, moment in zip(parameters[0].numpy(), found, strict=True):
        expected = np.zeros((24, 24))
        for x in rows:
            h = np.maximum(w @ x, 0)
            expected += np.outer(h, h) / len(rows)
        np.testing.assert_allclose(moment, expected, rtol=1e-10, atol=1e-12)


def test_second_layers_are_held_against_their_own_activations():
    outcome = outcome_of(b4_deeper.CLAIM, smaller_case(b4_deeper.CLAIM, GAUSSIAN, 3, steps=(0, 5)))
    found, setting = outcome.measurement.orientation, outcome.case.setting
    assert found.squared.shape == (2, 3)
    trained = simulate.train(setting, simulate.replica_inputs(setting, [0, 1, 2]))[5]
    below = b4_deeper.activation_moments(setting, trained)
    for r, w in enumerate(trained[1].numpy()):
        expected = misalignment_squared(eigenspaces(below[r]), w.T @ w / 256)
        assert found.squared[1, r] == pytest.approx(expected, rel=1e-9)
    assert outcome.judgements[1].verdict == "undecided"
    shown = b4_deeper.illustrate((outcome,))
    assert [row[0] for row in shown.tables[0].rows] == [GAUSSIAN, " "]
    assert [panel.title for panel in shown.figures[0].panels] == [GAUSSIAN]


def test_networks_that_diverged_are_left_out(monkeypatch):
    with pytest.raises(InvalidInput, match="networks = 0: at least two must not diverge"):
        b4_deeper.measure(smaller_case(b4_deeper.CLAIM, GAUSSIAN, 4, steps=(0, 30), learning_rate=1e6), QUICK)
    draw = simulate.replica_inputs

    def with_a_large_one(setting, replicas):
        inputs = draw(setting, replicas)
        inputs.parameters[0][1] *= 1e200
        return inputs

    monkeypatch.setattr(simulate, "replica_inputs", with_a_large_one)
    outcome = outcome_of(b4_deeper.CLAIM, smaller_case(b4_deeper.CLAIM, GAUSSIAN, 4, steps=(0, 30)))
    assert (outcome.measurement.diverged, outcome.measurement.orientation.networks) == (1, 3)
    assert outcome.judgements[1].verdict == "undecided"
