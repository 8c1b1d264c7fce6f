"""The Jacobian's two products against automatic differentiation of the networks that are trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import vjp

from simulate.networks import forward
from tests.oracles.linearised import forward_product, function_of
from tests.processes import python
from tests.theory import small_networks
from tests.theory.small_networks import NETWORKS, OUTPUTS, draw, mlp
from theory.errors import InvalidInput
from theory.network.frozen_gates import ACTIVATIONS, freeze, pick
from theory.setting import Network

EXACT = {"rtol": 1e-10, "atol": 1e-10}


def directions(parameters, seed=1):
    generator = np.random.default_rng(seed)
    return tuple(torch.from_numpy(generator.standard_normal(tuple(w.shape))) for w in parameters)


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_are_those_of_the_network_that_is_trained(name):
    network = NETWORKS[name]
    parameters, rows = draw(network)
    torch.testing.assert_close(
        freeze(network, parameters, rows).outputs, forward(network, parameters, rows), rtol=1e-13, atol=1e-13
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_both_products_against_automatic_differentiation(name):
    """J δ by forward mode, Jᵀ r by reverse mode, of every replica alone; what is not trained has neither."""
    network = NETWORKS[name]
    parameters, rows = draw(network)
    frozen = freeze(network, parameters, rows)
    count = len(parameters) if network.train == "all" else 1 + network.bias
    changes = directions(parameters)
    residual = torch.from_numpy(np.random.default_rng(2).standard_normal(tuple(frozen.outputs.shape)))
    moved, gradients = frozen.forward(changes[:count]), frozen.backward(residual)
    assert len(gradients) == count
    for r in range(len(rows)):
        function, at = function_of(network, rows[r]), tuple(w[r] for w in parameters)
        still = tuple(change[r] if i < count else torch.zeros_like(change[r]) for i, change in enumerate(changes))
        torch.testing.assert_close(moved[r], forward_product(function, at, still), **EXACT)
        wanted = vjp(function, *at)[1](residual[r])
        for found, by_autograd in zip(gradients, wanted, strict=False):
            torch.testing.assert_close(found[r], by_autograd, **EXACT)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_numbers_from_numpy_arrays(name):
    network = NETWORKS[name]
    parameters, rows = draw(network)
    frozen = freeze(network, parameters, rows)
    plain = freeze(network, [w.numpy() for w in parameters], rows.numpy())
    changes = directions(parameters)[: frozen.trained]
    moved = plain.forward([change.numpy() for change in changes])
    assert isinstance(moved, np.ndarray)
    np.testing.assert_allclose(moved, frozen.forward(changes).numpy(), rtol=1e-12, atol=1e-12)
    for mine, theirs in zip(plain.backward(moved), frozen.backward(torch.from_numpy(moved)), strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["three relu, ntk, bias", "conv", "vgg, bias, ntk, erf, dense"])
def test_rows_that_are_taken_are_those_rows(name):
    """Repeated, in any order, others for every replica."""
    network = NETWORKS[name]
    parameters, rows = draw(network)
    index = torch.tensor([[0, 5, 5, 2], [4, 1, 0, 3]])
    taken, alone = freeze(network, parameters, rows).take(index), freeze(network, parameters, *pick(index, rows))
    changes = directions(parameters)
    torch.testing.assert_close(taken.outputs, alone.outputs, **EXACT)
    torch.testing.assert_close(taken.forward(changes), alone.forward(changes), **EXACT)
    for a, b in zip(taken.backward(alone.outputs), alone.backward(alone.outputs), strict=True):
        torch.testing.assert_close(a, b, **EXACT)


def test_a_last_window_that_is_the_whole_image(monkeypatch):
    """Two maxima take a 4 × 4 image to one number per filter, in torch and in NumPy."""
    monkeypatch.setattr(small_networks, "IMAGE", (2, 4, 4))
    network = Network(kind="vgg", blocks=((3,), (2,)), hidden=(4,))
    parameters, rows = draw(network)
    frozen = freeze(network, parameters, rows)
    residual = torch.ones_like(frozen.outputs)
    plain = freeze(network, [w.numpy() for w in parameters], rows.numpy()).backward(residual.numpy())
    for r in range(len(rows)):
        wanted = vjp(function_of(network, rows[r]), *(w[r] for w in parameters))[1](residual[r])
        for mine, theirs, by_autograd in zip(frozen.backward(residual), plain, wanted, strict=True):
            torch.testing.assert_close(mine[r], by_autograd, **EXACT)
            torch.testing.assert_close(torch.from_numpy(theirs[r]), by_autograd, **EXACT)


def test_equal_maxima_send_back_to_the_first_place_as_training_does():
    """Constant images, so that all places of a filter are equal inside the border."""
    network = Network(kind="vgg", blocks=((2,),), activation="tanh")
    parameters, rows = draw(network)
    rows = torch.ones_like(rows)
    residual = torch.ones(2, rows.shape[1], OUTPUTS, dtype=rows.dtype)
    found = freeze(network, parameters, rows).backward(residual)
    for r in range(2):
        wanted = vjp(function_of(network, rows[r]), *(w[r] for w in parameters))[1](residual[r])
        for a, b in zip(found, wanted, strict=True):
            torch.testing.assert_close(a[r], b, **EXACT)


def test_every_activation_of_the_vocabulary_is_known():
    for name in ACTIVATIONS:
        assert mlp(2, activation=name).activation == name
    with pytest.raises(InvalidInput, match="one of") as caught:
        mlp(2, activation="none")
    assert all(repr(name) in str(caught.value) for name in ACTIVATIONS)
    assert caught.value.rule.count("'") == 2 * len(ACTIVATIONS)


def test_single_precision_stays():
    network = NETWORKS["conv"]
    parameters, rows = draw(network)
    frozen = freeze(network, [w.float() for w in parameters], rows.float())
    moved = frozen.forward([w.float() for w in directions(parameters)])
    assert frozen.outputs.dtype == moved.dtype == frozen.backward(moved)[0].dtype == torch.float32


def test_numbers_count_everything_that_is_held():
    """A 2-3-1 network holds x, h, its gates and f: 2 + 3 + 3 + 1."""
    network = mlp(3)
    frozen = freeze(network, [np.ones((1, 3, 2)), np.ones((1, 1, 3))], np.ones((1, 5, 2)))
    assert frozen.numbers == 5 * 9


@pytest.mark.parametrize(
    ("network", "shapes", "row", "match"),
    [
        (mlp(3), [(1, 3, 2)], (2,), r"parameters = '1 arrays': must be 2"),
        (mlp(3), [(1, 3, 2), (1, 1, 3)], (2, 2), r"rows.shape = \(1, 4, 2, 2\): must be \(R, n, d\)"),
        (mlp(3), [(1, 4, 2), (1, 1, 4)], (2,), r"parameters\[0\].shape = \(1, 4, 2\): must be \(1, 3, …\)"),
        (mlp(3), [(2, 3, 2), (2, 1, 3)], (2,), r"one network per replica"),
        (mlp(3), [(1, 3, 2), (1, 1, 4)], (2,), r"weights of layer 2 = \(1, 1, 4\): must be \(…, 3\)"),
        (mlp(3), [(1, 3), (1, 1, 3)], (2,), r"parameters\[0\].shape"),
        (mlp(3, bias=True), [(1, 3, 2), (1, 2), (1, 1, 3), (1, 1)], (2,), r"parameters\[1\].shape = \(1, 2\)"),
        (Network(kind="conv", filters=2), [(1, 2, 9), (1, 256, 2), (1, 1, 256)], (1, 2, 3), "no place to look at"),
        (Network(kind="vgg", blocks=((2,),)), [(1, 2, 9), (1, 1, 2)], (1, 1, 3), "no place to look at"),
        (Network(kind="conv", filters=2, hidden=()), [(1, 2, 8), (1, 1, 2)], (1, 3, 3), r"must be \(…, 9\)"),
    ],
)
def test_what_does_not_fit_is_refused(network, shapes, row, match):
    with pytest.raises(InvalidInput, match=match):
        freeze(network, [np.ones(shape) for shape in shapes], np.ones((1, 4, *row)))


def test_numbers_that_are_none_and_mixed_kinds_are_refused():
    weights, rows = [np.ones((1, 3, 2)), np.ones((1, 1, 3))], np.ones((1, 5, 2))
    with pytest.raises(InvalidInput, match=r"rows = 'nan or inf'"):
        freeze(mlp(3), weights, rows * np.nan)
    with pytest.raises(InvalidInput, match=r"parameters\[1\] = 'nan or inf'"):
        freeze(mlp(3), [weights[0], weights[1] * np.inf], rows)
    with pytest.raises(InvalidInput, match=r"parameters\[0\].dtype = 'float32'"):
        freeze(mlp(3), [weights[0].astype(np.float32), weights[1]], rows)
    with pytest.raises(InvalidInput, match=r"rows.dtype = 'int64'"):
        freeze(mlp(3), weights, rows.astype(int))
    with pytest.raises(InvalidInput, match="must all be NumPy arrays, or all be torch tensors"):
        freeze(mlp(3), weights, torch.from_numpy(rows))


def test_frozen_gates_of_numpy_arrays_load_no_torch():
    script = (
        "import sys, numpy as np\nfrom theory.network.frozen_gates import freeze\nfrom theory.setting import Network\n"
        "freeze(Network(), [np.ones((1, 1, 2))], np.ones((1, 3, 2)))\nsys.exit('torch' in sys.modules)"
    )
    assert python(script).returncode == 0


@pytest.mark.gpu
@pytest.mark.parametrize("name", NETWORKS)
def test_on_a_gpu(name):
    network = NETWORKS[name]
    parameters, rows = draw(network)
    here = freeze(network, parameters, rows)
    there = freeze(network, [w.cuda() for w in parameters], rows.cuda())
    changes = directions(parameters)[: here.trained]
    moved = there.forward([change.cuda() for change in changes])
    torch.testing.assert_close(moved.cpu(), here.forward(changes), **EXACT)
    for a, b in zip(there.backward(moved), here.backward(moved.cpu()), strict=True):
        torch.testing.assert_close(a.cpu(), b, **EXACT)
