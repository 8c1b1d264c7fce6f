"""Treatments of one replica, against the formulas that their words say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from simulate.networks import draw_parameters, forward
from simulate.streams import Purpose, Streams
from simulate.transfer.draws import TransferDraws
from simulate.transfer.experiment import Engine
from simulate.transfer.moments import one
from simulate.transfer.rainbow import chosen, references, rotations
from simulate.transfer.treatments import Switch, principal_variances, treat
from tests.simulate.transfer.experiments import (
    small,
)
from theory.setting import InvalidInput, Network, Treatment

SHAPES = ((9, 4), (7, 9), (5, 7), (3, 5))


def parameters(rng: np.random.Generator, bias: bool, scale: float = 1.0) -> tuple[np.ndarray, ...]:
    found: list[np.ndarray] = []
    for shape in SHAPES:
        found.append(scale * rng.standard_normal(shape))
        if bias:
            found.append(scale * rng.standard_normal(shape[0]))
    return tuple(found)


def switch(bias: bool = False, activation: str = "relu") -> Switch:
    rng = np.random.default_rng(3)
    network = Network(kind="mlp", hidden=(9, 7, 5), bias=bias, activation=activation)
    init, new, trained = (parameters(rng, bias, scale) for scale in (1.0, 1.0, 2.5))
    factor = rng.standard_normal((4, 4))
    rows = rng.standard_normal((30, 4)) * [1, 2, 3, 4]
    variances = (rng.uniform(0.5, 2, 9), rng.uniform(0.5, 2, 7))
    return Switch(network, init, new, trained, rows, factor @ factor.T, variances, Streams(5), 2)


def normals(*shapes: tuple[int, int]) -> list[np.ndarray]:
    """The numbers that weights of these shapes are drawn from, in turn."""
    generator = Streams(5).at(Purpose.DRAWN_WEIGHTS, 2)
    return [generator.standard_normal(shape) for shape in shapes]


def expected_normals(here: Switch, layer: int) -> np.ndarray:
    """The numbers that the initial weights of a layer were drawn from: N(0, 1/fan-in) by the setting."""
    w = here.init[layer * here.step]
    return w * np.sqrt(w.shape[1])


def same(mine: tuple[np.ndarray, ...], theirs: tuple[np.ndarray, ...]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))


@pytest.mark.parametrize("bias", [False, True])
def test_layers_are_kept_or_made_anew(bias):
    here = switch(bias)
    step = 1 + bias
    assert same(treat(Treatment(kind="scratch"), here), here.init)
    assert same(treat(Treatment(kind="pretrained"), here), here.trained)
    for layers in (1, 2, 4):
        kept = treat(Treatment(kind="first-layers", layers=layers), here)
        assert same(kept[: layers * step], here.trained[: layers * step])
        assert same(kept[layers * step :], here.new[layers * step :])
        rescaled = treat(Treatment(kind="first-layers", layers=layers, rescale=True), here)
        assert same(rescaled[layers * step :], here.new[layers * step :])
        assert same(rescaled[: layers * step], treat(Treatment(kind="rescaled"), here)[: layers * step])


@pytest.mark.parametrize("bias", [False, True])
def test_rescaled_layers_have_their_first_norms_and_a_relu_network_its_function_but_for_a_factor(bias):
    here = switch(bias)
    rescaled = treat(Treatment(kind="rescaled"), here)
    for w, first in zip(rescaled[:: 1 + bias], here.init[:: 1 + bias], strict=True):
        np.testing.assert_allclose(np.linalg.norm(w), np.linalg.norm(first), rtol=1e-13)
    x = torch.tensor(here.rows)[None]
    before, after = (
        forward(here.network, tuple(torch.tensor(w)[None] for w in found), x).numpy()
        for found in (here.trained, rescaled)
    )
    ratio = np.prod(
        [np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(here.init, here.trained, strict=True)][:: 1 + bias]
    )
    np.testing.assert_allclose(after, ratio * before, rtol=1e-10)


def test_layers_of_zeros_stay_zeros():
    here = switch()
    zero = (np.zeros(SHAPES[0]), *here.trained[1:])
    dead = Switch(here.network, here.init, here.new, zero, here.rows, here.moment, (), here.streams, here.replica)
    assert not treat(Treatment(kind="rescaled"), dead)[0].any()


def of_norm(w: np.ndarray, like: np.ndarray) -> np.ndarray:
    return w / np.linalg.norm(w) * np.linalg.norm(like)


def test_covariance_is_a_root_of_the_moment_on_normals():
    """Rows are U z with U Uᵀ = Σ_w; any root has the same law, and this one is V Λ^½."""
    here = switch()
    drawn = treat(Treatment(kind="covariance"), here)
    values, basis = np.linalg.eigh(here.moment)
    (z,) = normals(SHAPES[0])
    np.testing.assert_allclose(drawn[0], of_norm(z @ (basis * np.sqrt(values)).T, here.init[0]), rtol=1e-12)
    assert same(drawn[1:], here.init[1:])


def test_spectrum_has_the_eigenvalues_in_a_random_basis():
    here = switch()
    drawn, (z,) = treat(Treatment(kind="spectrum"), here), normals(SHAPES[0])
    assert same(drawn[1:], here.init[1:])
    # W = z Λ^½ Qᵀ: W Wᵀ knows nothing of Q, and Q is orthogonal
    scaled = of_norm(z * np.sqrt(np.linalg.eigvalsh(here.moment)), here.init[0])
    np.testing.assert_allclose(drawn[0] @ drawn[0].T, scaled @ scaled.T, rtol=1e-10, atol=1e-12)
    basis = np.linalg.lstsq(scaled, drawn[0], rcond=None)[0].T
    np.testing.assert_allclose(basis @ basis.T, np.eye(4), atol=1e-12)
    eigenvectors = np.linalg.eigh(here.moment)[1]
    assert np.abs(np.abs(basis.T @ eigenvectors) - np.eye(4)).max() > 0.3


def test_eigenvectors_takes_the_covariance_away():
    here = switch()
    own = here.trained[0].T @ here.trained[0] / 9
    mine = Switch(here.network, here.init, here.new, here.trained, here.rows, own, (), here.streams, here.replica)
    whitened = treat(Treatment(kind="eigenvectors"), mine)
    size = np.linalg.norm(here.init[0]) ** 2 / 4
    np.testing.assert_allclose(whitened[0].T @ whitened[0], size * np.eye(4), atol=1e-12 * size)
    # the nearest such matrix to W*: W* Σ^-½ is the orthogonal factor of its polar decomposition
    u, _, v = np.linalg.svd(here.trained[0], full_matrices=False)
    np.testing.assert_allclose(whitened[0], of_norm(u @ v, here.init[0]), rtol=1e-10)
    assert same(whitened[1:], here.new[1:])


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("layers", [0, 1, 2])
def test_recursive_draws_each_layer_in_the_basis_of_what_is_below(bias, layers):
    here = switch(bias, activation="tanh")
    step = 1 + bias
    drawn = treat(Treatment(kind="recursive", layers=layers), here)
    h = here.rows
    expected = [treat(Treatment(kind="covariance"), here)[0]]
    for layer in range(1, layers or 3):
        h = np.tanh(h @ expected[-1].T + (here.init[2 * layer - 1] if bias else 0))
        basis = np.linalg.eigh(h.T @ h / len(h))[1]
        w = (expected_normals(here, layer) @ basis * np.sqrt(here.variances[layer - 1])) @ basis.T
        expected.append(of_norm(w, here.init[layer * step]))
    for layer, w in enumerate(expected):
        np.testing.assert_allclose(drawn[layer * step], w, rtol=1e-8, atol=1e-10)
    assert same(drawn[len(expected) * step :], here.init[len(expected) * step :])


def test_principal_variances_are_those_along_the_principal_directions():
    here = switch(activation="tanh")
    found = principal_variances(here.network, here.trained, here.rows)
    h = here.rows
    assert [len(values) for values in found] == [9, 7]
    for layer, values in enumerate(found):
        h = np.tanh(h @ here.trained[layer].T)
        w = here.trained[layer + 1]
        basis = np.linalg.eigh(h.T @ h)[1]
        moment = w.T @ w / len(w)
        np.testing.assert_allclose(values, [v @ moment @ v for v in basis.T], rtol=1e-9)


def test_moments_are_those_of_all_other_replicas():
    """Each replica's own Σ_w and variances are left out."""
    experiment = small(kinds=("scratch", "recursive"), replicas=5)
    engine = Engine(experiment, torch.device("cpu"), None)
    trained = engine.upstream(lambda count: None)
    draws = TransferDraws(experiment)
    first = [w.numpy() for w in trained.parameters[0]]
    variances = [
        principal_variances(engine.network, tuple(w[r].numpy() for w in trained.parameters), draws.upstream_rows(r))[0]
        for r in range(5)
    ]
    for replica in range(5):
        found = engine.handover.switch(replica, one(trained.parameters, replica), trained, draws.take([replica]), 0)
        others = [r for r in range(5) if r != replica]
        np.testing.assert_allclose(
            found.moment, np.mean([first[r].T @ first[r] / 8 for r in others], axis=0), atol=1e-14
        )
        np.testing.assert_allclose(found.variances[0], np.mean([variances[r] for r in others], axis=0), atol=1e-14)


def procrustes(mine: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The orthogonal factor of the polar decomposition of HᵀH_k: Newton's iteration, without an SVD."""
    x = mine.T @ other
    for _ in range(200):
        x = (x + np.linalg.inv(x).T) / 2
    return x


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", ["rainbow", "unrotated"])
@pytest.mark.parametrize("layers", [0, 1, 2])
def test_layers_are_drawn_in_the_basis_of_what_is_below(kind, layers, bias):
    """Each row of each reference is rotated before mean and covariance are taken."""
    here = switch(bias, activation="tanh")
    rng, step = np.random.default_rng(8), 1 + bias
    trained = [parameters(rng, bias, 1.5) for _ in range(3)]
    found = references(here.network, [np.stack(column) for column in zip(*trained, strict=True)], here.rows)
    drawn = treat(Treatment(kind=kind, layers=layers), replace(here, references=found))
    h = here.rows
    expected = [treat(Treatment(kind="covariance"), here)[0]]
    theirs = [here.rows] * 3
    for layer in range(1, layers or 3):
        h = np.tanh(h @ expected[-1].T + (here.init[2 * layer - 1] if bias else 0))
        below = (layer - 1) * step
        theirs = [
            np.tanh(g @ own[below].T + (own[below + 1] if bias else 0)) for g, own in zip(theirs, trained, strict=True)
        ]
        rows = []
        for g, own in zip(theirs, trained, strict=True):
            a = procrustes(h, g) if kind == "rainbow" else np.eye(h.shape[1])
            rows += [a @ w for w in own[layer * step]]
        mean = np.mean(rows, axis=0)
        covariance = np.mean([np.outer(w - mean, w - mean) for w in rows], axis=0)
        got = drawn[layer * step]
        np.testing.assert_allclose(np.linalg.norm(got), np.linalg.norm(here.init[layer * step]), rtol=1e-12)
        expected.append(got)
        moments = found.moments(layer - 1, h if kind == "rainbow" else None)
        np.testing.assert_allclose(moments[0], mean, atol=1e-9)
        np.testing.assert_allclose(moments[1], covariance, atol=1e-9)
        again = moments[0] + expected_normals(here, layer) @ symmetric_root(moments[1])
        np.testing.assert_allclose(got, of_norm(again, here.init[layer * step]), rtol=1e-9, atol=1e-12)
    assert same(drawn[len(expected) * step :], here.init[len(expected) * step :])


def symmetric_root(covariance: np.ndarray) -> np.ndarray:
    values, basis = np.linalg.eigh(covariance)
    return np.asarray((basis * np.sqrt(np.maximum(values, 0.0))) @ basis.T)


def test_a_layer_drawn_with_the_moments_of_the_init_is_the_initial_one():
    """Layers are drawn from the normals of the init, so that treatments differ by their moments alone."""
    here = switch()
    flat = replace(here, variances=(np.ones(9), np.ones(7)))
    for drawn, first in zip(treat(Treatment(kind="recursive"), flat)[1:3], here.init[1:3], strict=True):
        np.testing.assert_allclose(drawn, first, atol=1e-12)


def test_normals_are_those_that_initial_weights_are_drawn_from():
    network = Network(kind="mlp", hidden=(9, 7), parametrization="ntk", init_variance=(1.0, 4.0, 0.0))
    rng = np.random.default_rng(6)
    init = [np.empty(shape) for shape in ((9, 4), (7, 9), (3, 7))]
    draw_parameters(network, rng, init)
    here = replace(switch(), network=network, init=tuple(init))
    rng = np.random.default_rng(6)
    _, z = (rng.standard_normal(w.shape) for w in init[:2])
    np.testing.assert_allclose(here.normals_above(1), z, rtol=1e-14)
    assert not here.normals_above(2).any()


def test_rotations_are_orthogonal_and_undo_a_rotation():
    rng = np.random.default_rng(2)
    h, turns = rng.standard_normal((30, 5)), np.linalg.qr(rng.standard_normal((4, 5, 5)))[0]
    found = rotations(h, h @ turns)
    np.testing.assert_allclose(found, turns, atol=1e-12)
    noisy = h @ turns + 0.3 * rng.standard_normal((4, 30, 5))
    found = rotations(h, noisy)
    np.testing.assert_allclose(found @ np.swapaxes(found, 1, 2), np.broadcast_to(np.eye(5), (4, 5, 5)), atol=1e-12)
    for k in range(4):
        least = np.linalg.norm(h @ found[k] - noisy[k])
        others = np.linalg.qr(rng.standard_normal((50, 5, 5)))[0]
        assert all(np.linalg.norm(h @ other - noisy[k]) > least for other in others)
        np.testing.assert_allclose(found[k], procrustes(h, noisy[k]), atol=1e-9)


def test_units_in_another_order_are_found_again():
    """A reference whose units are permuted, and the layer above with them, gives the same moments; not unrotated."""
    rng = np.random.default_rng(5)
    network = Network(kind="mlp", hidden=(6, 5))
    own = [rng.standard_normal(shape) for shape in ((6, 4), (5, 6), (3, 5))]
    rows, order = rng.standard_normal((40, 4)), rng.permutation(6)
    permuted = [own[0][order], own[1][:, order], own[2]]
    one_of, other = (references(network, [w[None] for w in each], rows) for each in (own, permuted))
    h = one_of.given[0][0]
    for a, b in zip(one_of.moments(0, h), other.moments(0, h), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)
    assert np.abs(one_of.moments(0, None)[1] - other.moments(0, None)[1]).max() > 0.1


def test_references_are_the_next_finite_replicas_and_never_the_replica_itself():
    finite = np.ones(12, dtype=bool)
    finite[4] = False
    assert chosen(2, finite).tolist() == [3, 5, 6, 7, 8, 9, 10, 11]
    assert chosen(9, finite).tolist() == [10, 11, 0, 1, 2, 3, 5, 6]
    for replica in range(12):
        assert replica not in chosen(replica, finite)


def test_the_engine_gives_the_references():
    experiment = small(kinds=("scratch", "rainbow", "unrotated"), replicas=4)
    engine = Engine(experiment, torch.device("cpu"), None)
    trained = engine.upstream(lambda count: None)
    draws = TransferDraws(experiment)
    found = engine.handover.switch(1, one(trained.parameters, 1), trained, draws.take([1]), 0).others
    rows = draws.upstream_rows(1)
    for k, replica in enumerate((2, 3, 0)):
        mine = one(trained.parameters, replica)
        np.testing.assert_allclose(found.given[0][k], np.maximum(rows @ mine[0].T, 0), atol=1e-12)
        np.testing.assert_array_equal(found.weights[0][k], mine[1])


def test_what_asks_for_other_replicas_is_refused_without_them():
    alone = replace(switch(), moment_of_others=None)
    for ask in (lambda: alone.moment, lambda: alone.others):
        with pytest.raises(InvalidInput, match="replica = 2: is to be treated as other replicas were trained"):
            ask()
