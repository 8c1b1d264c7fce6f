"""Linearised training against a literal loop by torch.func and torch.optim, kernel forms, and real linear training."""

from __future__ import annotations

from importlib import import_module

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import simulate
from simulate.devices import one_thread
from simulate.networks import forward
from tests.oracles.linearised import function_of, linearised_outputs, loss_of
from tests.strategies import seeds
from tests.theory.small_networks import NETWORKS, OUTPUTS, REPLICAS, ROWS, classes, draw, mlp
from theory.errors import InvalidInput
from theory.network.empirical import empirical_ntk
from theory.setting import Data, Labels, Network, Setting, Training
from theory.transfer import LinearisedNetwork, linearised_loss, linearised_training
from theory.transfer.linearised_task import checked_task

EXACT = {"rtol": 1e-10, "atol": 1e-10}
STEPS = (0, 1, 7)
ENTROPY = Training(loss="cross-entropy", learning_rate=0.2, momentum=0.9, batch_size=4, steps=STEPS)
TRAININGS = {
    "cross-entropy, momentum, batches": ENTROPY,
    "cross-entropy, whole": Training(loss="cross-entropy", learning_rate=0.3, steps=STEPS),
    "nesterov, decay, drops": Training(
        loss="cross-entropy",
        learning_rate=0.2,
        momentum=0.8,
        nesterov=True,
        weight_decay=0.05,
        drops=((2, 0.5), (5, 0.1)),
        batch_size=4,
        steps=STEPS,
    ),
    "squared error, momentum, batches": Training(learning_rate=0.02, momentum=0.5, batch_size=4, steps=STEPS),
    "squared error, l1": Training(learning_rate=0.02, l1=0.05, steps=STEPS),
    "adam": Training(loss="cross-entropy", learning_rate=0.02, optimizer="adam", batch_size=4, steps=STEPS),
    "rmsprop, decay": Training(learning_rate=0.01, optimizer="rmsprop", weight_decay=0.1, steps=STEPS),
    "signsgd": Training(loss="cross-entropy", learning_rate=0.01, optimizer="signsgd", batch_size=4, steps=STEPS),
}


@pytest.fixture(autouse=True)
def _small_products():
    """They are fastest on one thread."""
    with one_thread():
        yield


def orders(training, seed=3, n=ROWS):
    """Batches (R, T, B) where the training has them."""
    if training.batch_size == "full":
        return None
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.integers(0, n, (REPLICAS, training.readings[-1], training.batch_size)))


def labels_of(training, seed, n=ROWS):
    if training.loss == "cross-entropy":
        return classes(seed, n=n)
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((REPLICAS, n, OUTPUTS)))


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
    """Where nothing fits into memory: replica by replica, row by row, frozen anew at every step."""
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


@settings(max_examples=25)
@given(
    seed=seeds, hidden=st.lists(st.integers(1, 4), min_size=1, max_size=3), activation=st.sampled_from(["relu", "erf"])
)
def test_permuted_units_change_nothing(seed, hidden, activation):
    network = mlp(*hidden, activation=activation, bias=True)
    parameters, rows = draw(network, seed)
    generator, moved = np.random.default_rng(seed), [w.clone() for w in parameters]
    for layer, width in enumerate(hidden):
        order = torch.from_numpy(generator.permutation(width))
        moved[2 * layer], moved[2 * layer + 1] = moved[2 * layer][:, order], moved[2 * layer + 1][:, order]
        moved[2 * layer + 2] = moved[2 * layer + 2][:, :, order]
    y, index = classes(seed), orders(ENTROPY, seed)
    first, second = (linearised_training(network, ENTROPY, w, rows, y, batches=index) for w in (parameters, moved))
    torch.testing.assert_close(first.train_loss, second.train_loss, rtol=1e-8, atol=1e-9)


@settings(max_examples=25)
@given(
    seed=seeds, hidden=st.lists(st.integers(1, 4), max_size=3), factor=st.floats(0.3, 3.0), momentum=st.floats(0, 0.9)
)
def test_scale_of_a_homogeneous_network(seed, hidden, factor, momentum):
    """Weights times a, targets times a^L, rate over a^(2L − 2): f_t times a^L, for L layers of ReLU without biases."""
    network, depth = mlp(*hidden) if hidden else Network(), len(hidden) + 1
    parameters, rows = draw(network, seed)
    y = labels_of(Training(), seed)
    training = Training(learning_rate=1e-3, momentum=momentum, steps=(0, 3))
    larger = Training(learning_rate=1e-3 * factor ** (2 - 2 * depth), momentum=momentum, steps=(0, 3))
    plain = linearised_training(network, training, parameters, rows, y)
    scaled = linearised_training(network, larger, [factor * w for w in parameters], rows, factor**depth * y)
    torch.testing.assert_close(scaled.train_loss, factor ** (2 * depth) * plain.train_loss, rtol=1e-9, atol=1e-12)


@settings(max_examples=25)
@given(seed=seeds, momentum=st.floats(0, 0.9), whole=st.sampled_from(["full", ROWS]))
def test_the_order_of_rows_in_a_whole_batch_changes_nothing(seed, momentum, whole):
    network = mlp(4, 3)
    parameters, rows = draw(network, seed)
    training = Training(loss="cross-entropy", learning_rate=0.1, momentum=momentum, batch_size=whole, steps=(0, 4))
    generator = np.random.default_rng(seed)
    index = torch.from_numpy(generator.permuted(np.tile(np.arange(ROWS), (REPLICAS, 4, 1)), axis=2))
    y = classes(seed)
    shuffled = linearised_training(network, training, parameters, rows, y, batches=index)
    plain = linearised_training(network, training, parameters, rows, y)
    torch.testing.assert_close(shuffled.train_loss, plain.train_loss, **EXACT)


def test_replicas_share_what_has_no_axis_of_theirs_and_nothing_else():
    """Shared rows, labels and batches are those of each; a replica alone gives its own curves."""
    network = mlp(5)
    parameters, rows = draw(network)
    y, index = classes(4), orders(ENTROPY)
    shared = linearised_training(
        network, ENTROPY, parameters, rows[0], y[0], batches=index[0], held_out=(rows[1], y[1])
    )
    for r in range(REPLICAS):
        alone = linearised_training(
            network,
            ENTROPY,
            [w[r : r + 1] for w in parameters],
            rows[:1],
            y[:1],
            batches=index[:1],
            held_out=(rows[1:], y[1:]),
        )
        for curve in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
            torch.testing.assert_close(getattr(shared, curve)[r], getattr(alone, curve)[0], **EXACT)


# ---- kinds of arrays, and what is refused


def test_numpy_in_numpy_out():
    network = NETWORKS["vgg"]
    parameters, rows = draw(network)
    y, index = classes(4), orders(ENTROPY)
    tensors = linearised_training(network, ENTROPY, parameters, rows, y, batches=index)
    arrays = linearised_training(
        network, ENTROPY, [w.numpy() for w in parameters], rows.numpy(), y.numpy(), batches=index.numpy()
    )
    assert isinstance(arrays.train_loss, np.ndarray)
    assert arrays.test_loss is arrays.test_accuracy is None
    np.testing.assert_allclose(arrays.train_loss, tensors.train_loss.numpy(), rtol=1e-10)
    np.testing.assert_array_equal(arrays.train_accuracy, tensors.train_accuracy.numpy())


def test_parameters_of_a_module_in_single_precision():
    """They carry gradients, which are left alone; curves are in double precision."""
    network = mlp(5)
    parameters, rows = draw(network)
    exact = linearised_training(network, ENTROPY, parameters, rows, classes(4), batches=orders(ENTROPY))
    single = [w.float().requires_grad_() for w in parameters]
    found = linearised_training(network, ENTROPY, single, rows, classes(4), batches=orders(ENTROPY))
    assert found.train_loss.dtype == torch.float64
    assert not found.train_loss.requires_grad
    assert all(w.grad is None for w in single)
    torch.testing.assert_close(found.train_loss, exact.train_loss, rtol=1e-5, atol=1e-5)


def test_one_output_has_no_accuracy():
    network = mlp(5)
    parameters, rows = draw(network, outputs=1)
    found = linearised_training(network, Training(learning_rate=0.01, steps=(0, 2)), parameters, rows, rows[..., :1])
    assert found.train_accuracy is None
    assert found.train_loss.shape == (REPLICAS, 2)


def test_divergence_is_said_by_the_curves():
    network = Network()
    parameters, rows = draw(network)
    training = Training(learning_rate=1e6, steps=(0, 100))
    found = linearised_training(
        network, training, [w.numpy() for w in parameters], rows.numpy(), labels_of(training, 4).numpy()
    )
    assert np.isfinite(found.train_loss[:, 0]).all()
    assert not np.isfinite(found.train_loss[:, 1]).any()
    assert np.isnan(found.train_accuracy[:, 1]).all()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"labels": torch.zeros(REPLICAS, ROWS)}, r"labels.dtype = 'torch.float32': must be integers"),
        ({"labels": torch.zeros(ROWS + 1, dtype=torch.int64)}, r"labels.shape = \(7,\): must be \(6,\) or \(2, 6\)"),
        ({"labels": torch.full((ROWS,), OUTPUTS)}, r"labels = 3: must name classes 0 … 2"),
        ({"labels": torch.full((ROWS,), -1)}, r"labels = -1: must name classes"),
        ({"rows": torch.zeros(3)}, r"rows.shape = \(3,\): must be \(n, d\) or \(R, n, d\)"),
        ({"rows": torch.zeros(REPLICAS, 0, 4)}, "without a 0"),
        ({"batches": None}, r"batches = None: are needed where training.batch_size = 4, of 6 rows"),
        ({"batches": torch.zeros(REPLICAS, 7, 4)}, r"batches.dtype"),
        ({"batches": torch.zeros(REPLICAS, 7, 3, dtype=torch.int64)}, r"at least 7 updates by B = 4 rows"),
        ({"batches": torch.zeros(REPLICAS, 6, 4, dtype=torch.int64)}, r"batches.shape = \(2, 6, 4\)"),
        ({"batches": torch.zeros(3, 7, 4, dtype=torch.int64)}, r"batches.shape = \(3, 7, 4\)"),
        ({"batches": torch.full((7, 4), ROWS)}, r"batches = 6: must name rows 0 … 5"),
        ({"parameters": ()}, r"parameters = \[\]: must be weights"),
        ({"parameters": (torch.ones(3, 4), torch.ones(2, 3))}, r"must be weights \(R, out, in\)"),
        ({"parameters": (torch.ones(2, 5, 4), torch.ones(2, 3, 5, dtype=torch.int64))}, r"dtype"),
        ({"held_out": (torch.zeros(2, 4, 4, 4), torch.zeros(4))}, r"held_out\[0\].shape"),
        ({"held_out": (torch.zeros(5, 4), torch.zeros(6, dtype=torch.int64))}, r"held_out\[1\].shape = \(6,\)"),
        ({"rows": np.zeros((6, 4))}, "must all be NumPy arrays, or all be torch tensors"),
    ],
)
def test_what_does_not_fit_is_refused(change, match):
    network = mlp(5)
    parameters, rows = draw(network)
    given = {
        "parameters": parameters,
        "rows": rows,
        "labels": classes(4),
        "batches": orders(ENTROPY),
        **change,
    }
    with pytest.raises(InvalidInput, match=match):
        linearised_training(network, ENTROPY, **given)


def test_classes_are_refused_by_the_squared_error_and_replacement_needs_its_batches():
    network = mlp(5)
    parameters, rows = draw(network)
    with pytest.raises(InvalidInput, match="must be real for the squared error"):
        linearised_training(network, Training(), parameters, rows, classes(4))
    drawn = Training(batch_size=ROWS, sampling="replacement", steps=1)
    with pytest.raises(InvalidInput, match="batches = None"):
        linearised_training(network, drawn, parameters, rows, labels_of(drawn, 4))
    with pytest.raises(InvalidInput, match="labels = 'nan or inf'"):
        linearised_training(network, Training(), parameters, rows, labels_of(Training(), 4) * np.inf)


def test_a_task_says_what_a_row_holds():
    parameters, rows = draw(mlp(5))
    task = checked_task(mlp(5), ENTROPY, parameters, rows, classes(4), orders(ENTROPY))
    assert task.numbers_per_row == 4 + 5 + 5 + OUTPUTS
    assert [len(group.rows) for group in task.groups(task.numbers_per_row * ROWS)] == [1, 1]
