"""What is measured of trained networks: the states of layers, accuracies, curves, readings."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from simulate.transfer import run
from simulate.transfer.measures import PROBED, layer_states, scores
from tests.simulate.transfer.experiments import small
from theory.setting import (
    Data,
    Downstream,
    Ensemble,
    Experiment,
    InvalidInput,
    Network,
    Training,
    Treatments,
    Upstream,
)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_layer_states_are_what_their_words_say(activation):
    network = Network(kind="mlp", hidden=(7, 5), activation=activation)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, PROBED + 40, 3))
    weights = [rng.standard_normal((2, *shape)) for shape in ((7, 3), (5, 7), (2, 5))]
    weights[1][1] = -np.abs(weights[1][1])  # relu: the second replica's second layer is dead
    found = layer_states(network, tuple(map(torch.tensor, weights)), torch.tensor(x)).numpy()
    act = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh}[activation]
    for replica in range(2):
        h = x[replica, :PROBED]
        for layer in range(2):
            h = act(h @ weights[layer][replica].T)
            spectrum = np.linalg.eigvalsh(np.cov(h.T))
            rank = spectrum.sum() ** 2 / np.square(spectrum).sum() if h.any() else 0.0
            expected = [(h > 0).mean(), (h > 0).any(axis=0).mean(), rank]
            np.testing.assert_allclose(found[replica, layer], expected, rtol=1e-10)


def test_wide_layers_have_the_rank_of_their_rows():
    network = Network(kind="mlp", hidden=(50,))
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((1, 12, 3)), rng.standard_normal((1, 50, 3))
    parameters = (torch.tensor(w), torch.zeros(1, 1, 50, dtype=torch.float64))
    spectrum = np.linalg.eigvalsh(np.cov(np.maximum(x[0] @ w[0].T, 0).T))
    rank = layer_states(network, parameters, torch.tensor(x))[0, 0, 2]
    np.testing.assert_allclose(rank, spectrum.sum() ** 2 / np.square(spectrum).sum(), rtol=1e-9)


def test_accuracy_of_classes_and_of_centred_targets():
    network = Network(kind="linear")
    x, w = torch.eye(3).expand(2, 3, 3), torch.eye(3).expand(2, 3, 3)
    classes = torch.tensor([[0, 1, 2], [1, 1, 0]])
    targets = torch.nn.functional.one_hot(classes).float() - 1 / 3
    for y in (classes, targets):
        assert scores(network, (w,), x, y, classes=True)[1].tolist() == [1.0, 1 / 3]
    loss, accuracy = scores(network, (w,), x, targets, classes=False)
    assert accuracy is None
    np.testing.assert_allclose(loss, 0.5 * (torch.eye(3) - targets).square().sum(2).mean(1), rtol=1e-6)


def test_curves_are_averaged_over_steps_not_readings():
    curves = run(small(kinds=("scratch",), replicas=3))["scratch"].curves
    loss = curves.train_loss
    expected = (4 * (loss[:, 0] + loss[:, 1]) / 2 + 5 * (loss[:, 1] + loss[:, 2]) / 2) / 9
    np.testing.assert_allclose(curves.mean_loss(), expected, rtol=1e-14)
    np.testing.assert_allclose(curves.mean_loss(4), (loss[:, 0] + loss[:, 1]) / 2, rtol=1e-14)
    np.testing.assert_array_equal(curves.mean_accuracy(0), curves.train_accuracy[:, 0])
    with pytest.raises(InvalidInput, match="last = 5: must be a reading"):
        curves.mean_loss(5)


def test_steps_to_an_accuracy():
    curves = run(small(kinds=("scratch",), replicas=2))["scratch"].curves
    given = with_accuracy(curves, np.array([[0.1, 0.9, 0.5], [0.1, 0.2, 0.3]]))
    assert given.steps_to(0.9).tolist() == [4, np.inf]
    assert given.steps_to(0.1).tolist() == [0, 0]


def with_accuracy(curves, accuracy):
    return type(curves)(curves.steps, curves.train_loss, accuracy, None, None)


def test_readings_hold_the_weights_and_their_norms():
    result = run(small(kinds=("scratch", "pretrained")))
    for treated in result.treated:
        for k, reading in enumerate(treated.weights):
            sizes = np.square(treated.layers.norm[:, k, 0])
            np.testing.assert_allclose(8 * reading.second_moments.trace(axis1=1, axis2=2), sizes, rtol=1e-12)
    with pytest.raises(InvalidInput, match="treatment = 'recursive': must be one of scratch, pretrained"):
        result["recursive"]


def test_labels_that_are_reals_have_no_accuracy():
    experiment = Experiment(
        upstream=Upstream(
            data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples=10),
            network=Network(kind="linear"),
            training=Training(learning_rate=0.01, steps=3),
        ),
        treatment=Treatments(kinds=("scratch", "rescaled", "spectrum")),
        downstream=Downstream(samples=6, training=Training(learning_rate=0.01, steps=(0, 3))),
        ensemble=Ensemble(replicas=3),
    )
    result = run(experiment)
    curves = result["rescaled"].curves
    assert curves.train_accuracy is curves.test_loss is result.upstream.accuracy is None
    assert result["rescaled"].layers.active.shape == (3, 2, 0)
    with pytest.raises(InvalidInput, match="must be classes for an accuracy to exist"):
        curves.mean_accuracy()


def test_without_ranks_the_other_states_are_the_same():
    generator = np.random.default_rng(3)
    network = Network(kind="mlp", hidden=(6, 4))
    weights = tuple(torch.tensor(generator.standard_normal((2, *s))) for s in ((6, 3), (4, 6), (2, 4)))
    x = torch.tensor(generator.standard_normal((2, 20, 3)))
    whole, without = (layer_states(network, weights, x, ranks=ranks) for ranks in (True, False))
    assert torch.equal(whole[..., :2], without[..., :2])
    assert torch.isfinite(whole).all()
    assert torch.isnan(without[..., 2]).all()
