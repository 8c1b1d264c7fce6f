"""What a replica is given: initial weights, fixed rows, second moments of data, and the scheme of its numbers."""

import numpy as np
import pytest

import simulate
from simulate.inputs import Draws
from simulate.streams import SCHEME
from tests.oracles.statistics import has_mean
from theory.setting import Data, Ensemble, InvalidInput, Network, Setting, Training

SPECTRUM = (0.5, 1.0, 1.0, 3.0)


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_initial_weights(parametrization):
    network = Network(
        kind="mlp", hidden=(50, 40), init_variance=(2.0, 1.0, 3.0), parametrization=parametrization, bias=True
    )
    setting = Setting(data=Data(kind="gaussian", spectrum=SPECTRUM, samples=2), network=network)
    inputs = simulate.replica_inputs(setting, range(100))
    shapes = [tuple(p.shape[1:]) for p in inputs.parameters]
    assert shapes == [(50, 4), (50,), (40, 50), (40,), (1, 40), (1,)]
    fan_in = (4, 50, 40) if parametrization == "standard" else (1, 1, 1)
    for w, variance, fan in zip(inputs.parameters[::2], network.layer_variances, fan_in, strict=True):
        flat = w.numpy().reshape(-1, 1)
        assert has_mean(flat, 0)
        assert has_mean(flat**2, variance / fan)
    assert all((b == 0).all() for b in inputs.parameters[1::2])


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_initial_spectrum(parametrization):
    spectrum = (0.0, 1.0, 2.0, 5.0)
    network = Network(kind="mlp", hidden=(200,), init_spectrum=spectrum, parametrization=parametrization)
    setting = Setting(data=Data(kind="gaussian", spectrum=SPECTRUM, samples=2), network=network)
    w = simulate.replica_inputs(setting, range(100)).parameters[0].numpy().reshape(-1, 4)
    assert (w[:, 0] == 0).all()
    assert has_mean(np.einsum("ni,nj->nij", w, w), np.diag(spectrum))


def test_the_random_scheme_is_pinned():
    """A change of these numbers is another `streams.SCHEME`, since stored ensembles would no longer be continued."""
    data = Data(kind="gaussian", spectrum=(1.0, 4.0), rotate=False, samples=3)
    setting = Setting(data=data, training=Training(batch_size=2, steps=2), ensemble=Ensemble(seed=5))
    inputs = simulate.replica_inputs(setting, [17])
    assert SCHEME == 1
    np.testing.assert_allclose(inputs.x[0, 0], [-1.2968979269650251, -0.36688852627903124], rtol=1e-15)
    np.testing.assert_allclose(
        inputs.y[0, :, 0], [-0.6497992022809379, 1.3193215566117582, -2.3570446507858036], rtol=1e-15
    )
    np.testing.assert_allclose(inputs.parameters[0][0, 0], [0.589669983156693, -0.3551729910229885], rtol=1e-15)
    assert inputs.orders[0].tolist() == [[2, 0], [1, 2]]


def test_fixed_rows():
    setting = Setting(data=Data(kind="gaussian", spectrum=SPECTRUM, samples=7, fixed=True))
    x = simulate.rows(setting)
    inputs = simulate.replica_inputs(setting, [0, 5])
    assert np.array_equal(inputs.x.numpy(), x)
    assert not np.array_equal(inputs.y[0], inputs.y[1])
    assert np.array_equal(Draws(setting).data_moment, x.T @ x / 7)
    with pytest.raises(InvalidInput, match=r"data\.fixed = False: must be true"):
        simulate.rows(Setting(data=Data(kind="gaussian", spectrum=SPECTRUM)))


def test_data_moment():
    data = {"kind": "gaussian", "spectrum": (1.0, 2.0), "rotate": False}
    plain, shifted = Setting(data=Data(**data)), Setting(data=Data(**data, mean=(0.0, 1.0)))
    assert np.array_equal(Draws(plain).data_moment, np.diag([1.0, 2.0]))
    assert np.array_equal(Draws(shifted).data_moment, np.diag([1.0, 2.0]))
    assert np.array_equal(simulate.population(shifted).second_moment, np.diag([1.0, 3.0]))


def test_replicas_with_rows_of_their_own_share_none():
    data = Data(kind="gaussian", spectrum=(1.0, 2.0), samples=4)
    with pytest.raises(InvalidInput, match=r"data\.fixed = False: must be true"):
        _ = Draws(Setting(data=data)).rows
