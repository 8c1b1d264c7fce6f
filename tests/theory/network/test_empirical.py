"""Kernels of actual networks: against gradients row by row, and towards the closed forms as the width grows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import simulate
from simulate.networks import forward
from theory.errors import InvalidInput
from theory.network import empirical
from theory.network.empirical import empirical_ntk
from theory.network.kernels import ntk
from theory.setting import Data, Labels, Network, Setting, Training

NETWORKS = {
    "one hidden layer": Network(kind="mlp", hidden=(6,), parametrization="ntk"),
    "deep, biases": Network(kind="mlp", hidden=(5, 4), activation="tanh", bias=True),
    "filters": Network(kind="conv", filters=4, kernel=(3, 2), hidden=(5,), activation="erf", parametrization="ntk"),
}


def network_of(network: Network, outputs: int, trained: int = 0) -> tuple:
    """(function, parameters, rows) of one replica through simulate, after some steps of training."""
    setting = Setting(
        data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=7),
        labels=Labels(outputs=outputs),
        network=network if network.kind == "mlp" else Network(kind="mlp", hidden=(5,)),
        training=Training(learning_rate=0.1, steps=trained),
    )
    inputs = simulate.replica_inputs(setting, [0])
    rows = inputs.x[0]
    parameters = tuple(w[0] for w in simulate.train(setting, inputs)[trained])
    if network.kind == "conv":
        generator = np.random.default_rng(4)
        rows = torch.tensor(generator.standard_normal((3, 2, 5, 4)))
        shapes = ((4, 12), (5, 4 * 3 * 3), (outputs, 5))
        parameters = tuple(torch.tensor(generator.standard_normal(shape)) for shape in shapes)

    def function(some: tuple[Tensor, ...], x: Tensor) -> Tensor:
        return forward(network, tuple(w[None] for w in some), x[None])[0]

    return function, parameters, rows


def by_gradients(function, parameters: tuple[Tensor, ...], rows: Tensor, among: tuple[int, ...]) -> np.ndarray:
    """K (n, n, C, C) from one backward pass for every row and output."""
    with torch.no_grad():
        count, outputs = function(parameters, rows).shape
    gradients = np.empty((count, outputs), dtype=object)
    for i in range(count):
        for c in range(outputs):
            leaves = tuple(w.clone().requires_grad_() for w in parameters)
            function(leaves, rows[i : i + 1])[0, c].backward()
            gradients[i, c] = np.concatenate([leaves[k].grad.numpy().ravel() for k in among])
    return np.array([[[[a @ b for b in second] for a in first] for second in gradients] for first in gradients])


@pytest.mark.parametrize(("outputs", "trained"), [(1, 0), (3, 4)])
@pytest.mark.parametrize("name", NETWORKS)
def test_against_gradients_row_by_row(name: str, outputs: int, trained: int, monkeypatch) -> None:
    """All parameters, the first layer's only, any two; with others; in chunks of one row too."""
    function, parameters, rows = network_of(NETWORKS[name], outputs, trained)
    for among in (tuple(range(len(parameters))), (0,), (0, len(parameters) - 1)):
        expected = by_gradients(function, parameters, rows, among)
        scale = np.abs(expected).max()
        contracted = np.trace(expected, axis1=2, axis2=3) / outputs
        assert 8 * empirical.HELD == 2**28  # bytes in double precision: a quarter of a gigabyte
        for held in (empirical.HELD, 1):
            monkeypatch.setattr(empirical, "HELD", held)
            found = empirical_ntk(function, parameters, rows, among=among, full=True)
            np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-10 * scale)
            found = empirical_ntk(function, parameters, rows, rows[1:3], among=among)
            np.testing.assert_allclose(found.numpy(), contracted[:, 1:3], rtol=0, atol=1e-10 * scale)
        monkeypatch.undo()
    assert torch.equal(empirical_ntk(function, parameters, rows), empirical_ntk(function, parameters, rows))


def draws(activation: str, trained: str, width: int, count: int) -> np.ndarray:
    """Relative deviations of kernels of `count` networks from the closed form, in the root mean square."""
    network = Network(kind="mlp", hidden=(width,), activation=activation, parametrization="ntk")
    data = Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0, 4.0), samples=6, fixed=True)
    setting = Setting(data=data, network=network, training=Training(steps=0))
    inputs = simulate.replica_inputs(setting, range(count))
    rows = inputs.x
    expected = ntk(activation, rows.numpy() / 2, trained=trained)
    among = {"first": (0,), "last": (1,), "all": (0, 1)}[trained]

    def function(some: tuple[Tensor, ...], x: Tensor) -> Tensor:
        return forward(network, tuple(w[None] for w in some), x[None])[0]

    replicas = [tuple(w[r] for w in inputs.parameters) for r in range(count)]
    found = np.stack([empirical_ntk(function, parameters, rows, among=among).numpy() for parameters in replicas])
    return (found - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize(
    ("activation", "trained"), [("relu", "first"), ("relu", "last"), ("relu", "all"), ("erf", "all"), ("tanh", "all")]
)
def test_wide_networks_approach_the_closed_form_like_the_root_of_the_width(activation: str, trained: str) -> None:
    """The mean over networks is the closed form at every width; the root mean square deviation halves when m does
    by four: a slope of −½ ± .1 over m = 64 and 1024, declared beforehand, whose standard error is below .04.
    """
    deviations = [draws(activation, trained, width, 40) for width in (64, 1024)]
    for deviation in deviations:
        error = deviation.std(axis=0, ddof=1) / 40**0.5
        assert np.all(np.abs(deviation.mean(axis=0)) <= 10 * error)  # Student with 39 degrees of freedom: 3e-12 each
    sizes = [np.sqrt((deviation**2).sum(axis=(1, 2)).mean()) for deviation in deviations]
    assert np.log(sizes[1] / sizes[0]) / np.log(16) == pytest.approx(-0.5, abs=0.1)


def test_no_more_gradients_are_held_at_once_than_said(monkeypatch) -> None:
    """Rows a chunk: HELD over the numbers of a row's gradients, 2 outputs by 6 parameters; the last one is shorter."""
    sizes: list[int] = []
    vmap = torch.func.vmap

    def counting(*arguments, **options):
        mapped = vmap(*arguments, **options)
        return lambda parameters, rows: sizes.append(len(rows)) or mapped(parameters, rows)

    rows, weights = torch.randn(7, 3, dtype=torch.float64), (torch.randn(2, 3, dtype=torch.float64),)
    monkeypatch.setattr(torch.func, "vmap", counting)
    for held, chunks in ((3 * 12, (3, 3, 1)), (3 * 12 - 1, (2, 2, 2, 1)), (7 * 12, (7,)), (1, (1,) * 7)):
        monkeypatch.setattr(empirical, "HELD", held)
        sizes.clear()
        found = empirical_ntk(lambda w, x: x @ w[0].T, weights, rows)
        torch.testing.assert_close(found, rows @ rows.T)
        # a chunk against itself is not computed twice
        assert sizes == [size for i, first in enumerate(chunks) for size in (first, *chunks[:i], *chunks[i + 1 :])]


@pytest.mark.gpu
def test_the_device_stays() -> None:
    function, parameters, rows = network_of(NETWORKS["one hidden layer"], 2)
    there = empirical_ntk(function, tuple(w.cuda() for w in parameters), rows.cuda())
    assert there.device.type == "cuda"
    np.testing.assert_allclose(there.cpu().numpy(), empirical_ntk(function, parameters, rows).numpy(), rtol=1e-10)


def test_bad_calls() -> None:
    function, parameters, rows = network_of(NETWORKS["one hidden layer"], 2)
    for among in ((), (2,), (0, 0), (-1,)):
        with pytest.raises(InvalidInput, match="among"):
            empirical_ntk(function, parameters, rows, among=among)
    with pytest.raises(InvalidInput, match=r"rows\.shape"):
        empirical_ntk(function, parameters, rows[:0])
    with pytest.raises(InvalidInput, match="must return"):
        empirical_ntk(lambda w, x: function(w, x)[None], parameters, rows)
    with pytest.raises(InvalidInput, match="finite gradients"):
        empirical_ntk(function, (parameters[0] * float("nan"), parameters[1]), rows)
