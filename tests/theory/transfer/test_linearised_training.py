"""Linearised training against a literal loop by torch.func and torch.optim, kernel forms, and real linear training."""

from __future__ import annotations

from importlib import import_module

import msgspec
import numpy as np
import pytest
import torch

import simulate
from simulate.networks import forward
from tests.oracles.linearised import function_of, linearised_outputs, loss_of
from tests.theory.small_networks import NETWORKS, OUTPUTS, REPLICAS, ROWS, classes, draw, mlp
from tests.theory.transfer.linearised_cases import (
    ENTROPY,
    EXACT,
    STEPS,
    TRAININGS,
    labels_of,
    orders,
)
from theory.errors import InvalidInput
from theory.network.empirical import empirical_ntk
from theory.setting import Data, Labels, Network, Setting, Training
from theory.transfer import LinearisedNetwork, linearised_loss, linearised_training


def compare(network, training, subtracted=False):
    """All four curves of the fast form against the literal loop."""
    parameters, rows = draw(network)
    y, index, seen = labels_of(training, 4), orders(training), draw(network, 9, n=5)[1]
    held_out = seen, labels_of(training, 5, n=5)
    found = linearised_training(
        network, training, parameters, rows, y, batches=index, held_out=held_out, subtracted=subtracted
    )
    for r in range(REPLICAS):
        for other, loss, accuracy in (
            ((rows[r], y[r]), found.train_loss, found.train_accuracy),
            ((held_out[0][r], held_out[1][r]), found.test_loss, found.test_accuracy),
        ):
            batches = None if index is None else index[r]
            start = [w[r] for w in parameters]
            literal = linearised_outputs(network, training, start, rows[r], y[r], batches, other[0], subtracted)
            for k, (step, outputs) in enumerate(literal):
                assert found.steps[k] == step
                torch.testing.assert_close(loss[r, k], loss_of(training, outputs, other[1]), **EXACT)
                wanted = other[1].argmax(1) if other[1].ndim == 2 else other[1]
                assert accuracy[r, k] == (outputs.argmax(1) == wanted).double().mean()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_against_the_literal_loop(name):
    compare(NETWORKS[name], ENTROPY)


@pytest.mark.parametrize("name", TRAININGS)
def test_every_training_against_the_literal_loop(name):
    compare(mlp(5, 4, activation="tanh", bias=True), TRAININGS[name])


def test_without_the_initial_outputs_against_the_literal_loop():
    compare(mlp(5, 4), ENTROPY, subtracted=True)


@pytest.mark.parametrize("name", ["three relu, ntk, bias", "conv", "vgg, tanh, first layer only"])
@pytest.mark.parametrize("training", ["cross-entropy, momentum, batches", "squared error, l1"])
def test_in_parts_as_in_one_piece(name, training, monkeypatch):
    """If nothing fits into memory, replicas and rows are taken one by one, frozen anew at every step."""
    network, training = NETWORKS[name], TRAININGS[training]
    parameters, rows = draw(network)
    y, index = labels_of(training, 4), orders(training)
    whole = linearised_training(network, training, parameters, rows, y, batches=index, held_out=(rows, y))
    # by its name the package has the function, not the module
    monkeypatch.setattr(import_module("theory.transfer.linearised_training"), "HELD", 1)
    parts = linearised_training(network, training, parameters, rows, y, batches=index, held_out=(rows, y))
    torch.testing.assert_close(parts.train_loss, whole.train_loss, **EXACT)
    torch.testing.assert_close(parts.train_accuracy, whole.train_accuracy, **EXACT)
    torch.testing.assert_close(parts.test_loss, whole.train_loss, **EXACT)


@pytest.mark.parametrize("name", ["tanh, bias", "four relu", "conv", "vgg"])
@pytest.mark.parametrize("momentum", [0.0, 0.6])
def test_squared_error_against_the_kernel_form(name, momentum):
    """Full batch: ½ n⁻¹ ‖p_t(K/n)(f_0 − y)‖² of the empirical tangent kernel between all outputs."""
    network = NETWORKS[name]
    parameters, rows = draw(network, replicas=1)
    y = labels_of(Training(), 4)[:1]
    function = function_of(network, rows[0])
    kernel = empirical_ntk(
        lambda w, x: function_of(network, x)(*w), tuple(w[0] for w in parameters), rows[0], full=True
    ).numpy()
    largest = np.linalg.eigvalsh(kernel.transpose(0, 2, 1, 3).reshape(ROWS * OUTPUTS, -1))[-1] / ROWS
    training = Training(learning_rate=0.7 / float(largest), momentum=momentum, steps=(0, 1, 5, 40))
    found = linearised_training(network, training, parameters, rows, y)
    start = function(*(w[0] for w in parameters)).numpy()
    wanted = linearised_loss(LinearisedNetwork(kernel, outputs=start), y[0].numpy(), training)
    np.testing.assert_allclose(found.train_loss[0].numpy(), wanted, rtol=1e-9)
    without = linearised_training(network, training, parameters, rows, y, subtracted=True)
    wanted = linearised_loss(LinearisedNetwork(kernel), y[0].numpy(), training)
    np.testing.assert_allclose(without.train_loss[0].numpy(), wanted, rtol=1e-9)


def test_cross_entropy_against_its_recursion_in_function_space():
    """u ← μ u + K[:, B] (softmax f − y)_B / B, f ← f − η u: batches and momentum, without parameters."""
    network = mlp(7, 5)
    parameters, rows = draw(network, replicas=1)
    y, index = classes(4)[0].numpy(), orders(ENTROPY)[:1]
    at, one_hot = tuple(w[0] for w in parameters), np.eye(OUTPUTS)[y]
    kernel = empirical_ntk(lambda w, x: function_of(network, x)(*w), at, rows[0], full=True).numpy()
    f, u, losses = forward(network, parameters, rows)[0].numpy(), np.zeros((ROWS, OUTPUTS)), []
    for step in range(STEPS[-1] + 1):
        shares = np.exp(f) / np.exp(f).sum(1, keepdims=True)
        if step in STEPS:
            losses.append(-np.log(shares[np.arange(ROWS), y]).mean())
        if step < STEPS[-1]:
            here = index[0, step].numpy()
            u = ENTROPY.momentum * u + np.einsum("ijcd,jd->ic", kernel[:, here], (shares - one_hot)[here]) / len(here)
            f = f - ENTROPY.learning_rate * u
    found = linearised_training(network, ENTROPY, parameters, rows, classes(4)[:1], batches=index)
    np.testing.assert_allclose(found.train_loss[0].numpy(), losses, rtol=1e-10)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("network", [Network(bias=True), mlp(5, activation="identity", train="first")])
def test_training_that_goes_on_with_its_velocity(network, nesterov):
    """Half way: from the parameters and the velocity that an optimizer of torch has there, the rest is the same."""
    half, training = 3, msgspec.structs.replace(ENTROPY, nesterov=nesterov, steps=(0, 3, 4, 7))
    parameters, rows = draw(network)
    y, index = labels_of(training, 4), orders(training)
    whole = linearised_training(network, training, parameters, rows, y, batches=index)
    trained = [w.clone() for w in parameters]
    count = len(parameters) if network.train == "all" else 1 + network.bias
    optimizer = torch.optim.SGD(trained[:count], training.learning_rate, momentum=0.9, nesterov=nesterov)
    for step in range(half):
        for w in trained:
            w.requires_grad_()
        chosen = index[:, step]
        outputs = forward(network, tuple(trained), torch.stack([x[i] for x, i in zip(rows, chosen, strict=True)]))
        wanted = torch.stack([each[i] for each, i in zip(y, chosen, strict=True)])
        torch.nn.functional.cross_entropy(outputs.transpose(1, 2), wanted).mul(REPLICAS).backward()
        optimizer.step()
        optimizer.zero_grad()
        trained = [w.requires_grad_(False) for w in trained]
    velocity = [optimizer.state[w]["momentum_buffer"] for w in trained[:count]]
    rest = msgspec.structs.replace(training, steps=(0, 1, 4))
    found = linearised_training(network, rest, trained, rows, y, batches=index[:, half:], velocity=velocity)
    torch.testing.assert_close(found.train_loss, whole.train_loss[:, 1:], **EXACT)
    without = linearised_training(network, rest, trained, rows, y, batches=index[:, half:])
    assert (without.train_loss[:, -1] - found.train_loss[:, -1]).abs().min() > 1e-3


def test_a_velocity_must_fit():
    network = mlp(5)
    parameters, rows = draw(network)
    y, index = labels_of(ENTROPY, 4), orders(ENTROPY)
    plain = msgspec.structs.replace(ENTROPY, momentum=0.0)
    with pytest.raises(InvalidInput, match=r"velocity = 'given': needs training.momentum"):
        linearised_training(network, plain, parameters, rows, y, batches=index, velocity=parameters)
    with pytest.raises(InvalidInput, match="must have the shapes of what is trained"):
        linearised_training(network, ENTROPY, parameters, rows, y, batches=index, velocity=parameters[:1])


def test_decay_draws_a_homogeneous_network_to_a_negative_multiple_of_its_outputs():
    """J θ = f + (L − 1) f_0 for L layers of ReLU without biases: f ← f − η [K (f − y)/n + λ (f + (L − 1) f_0)]."""
    network = NETWORKS["four relu"]
    parameters, rows = draw(network, replicas=1)
    at, y = tuple(w[0] for w in parameters), labels_of(Training(), 4)[:1]
    training = Training(learning_rate=1e-2, weight_decay=0.7, steps=(0, 1, 5, 30))
    kernel = empirical_ntk(lambda w, x: function_of(network, x)(*w), at, rows[0], full=True).numpy()
    start = function_of(network, rows[0])(*at).numpy()
    f, losses = start, []
    for step in range(31):
        if step in training.readings:
            losses.append(0.5 * ((f - y[0].numpy()) ** 2).sum(1).mean())
        pull = training.weight_decay * (f + 4 * start)
        f = f - training.learning_rate * (np.einsum("ijcd,jd->ic", kernel, f - y[0].numpy()) / ROWS + pull)
    found = linearised_training(network, training, parameters, rows, y)
    np.testing.assert_allclose(found.train_loss[0].numpy(), losses, rtol=1e-10)


@pytest.mark.parametrize(
    "network", [Network(bias=True), Network(parametrization="ntk"), mlp(5, activation="identity", train="first")]
)
@pytest.mark.parametrize("name", [name for name in TRAININGS if name not in ("signsgd", "rmsprop, decay")])
def test_a_network_that_is_linear_in_what_is_trained_is_its_own_linearisation(network, name):
    """The losses of `simulate.train` itself, on the batches that it draws."""
    training = TRAININGS[name]
    setting = Setting(
        data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=ROWS),
        labels=Labels(kind="classes", classes=OUTPUTS),
        network=network,
        training=training,
    )
    inputs = simulate.replica_inputs(setting, range(REPLICAS))
    read = simulate.train(setting, inputs)
    found = linearised_training(network, training, inputs.parameters, inputs.x, inputs.y, batches=inputs.orders)
    for k, step in enumerate(STEPS):
        outputs = forward(network, read[step], inputs.x)
        wanted = [loss_of(training, f, y) for f, y in zip(outputs, inputs.y, strict=True)]
        torch.testing.assert_close(found.train_loss[:, k], torch.stack(wanted), **EXACT)


def test_it_neglects_that_the_kernel_moves():
    """Forty steps of tanh networks in NTK parametrization: an error of order 1/m, a sixteenth at 16 times the width."""
    errors = []
    for width in (256, 4096):
        network = mlp(width, activation="tanh", parametrization="ntk")
        training = Training(learning_rate=0.5, steps=(0, 40))
        setting = Setting(
            data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=ROWS), network=network, training=training
        )
        inputs = simulate.replica_inputs(setting, range(20))
        outputs = forward(network, simulate.train(setting, inputs)[40], inputs.x)
        found = linearised_training(network, training, inputs.parameters, inputs.x, inputs.y)
        real = 0.5 * (outputs - inputs.y).square().sum(2).mean(1)
        torch.testing.assert_close(found.train_loss[:, 1], real, rtol=0.3, atol=0)
        errors.append(float((found.train_loss[:, 1] - real).abs().mean()))
    assert errors[0] > 8 * errors[1] > 1e-4


# ---- what leaves the curves as they are
