"""Deep networks of filters: against nn.Module, replica by replica, in parts, and through a transfer experiment."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

import simulate
from simulate import networks, tiles
from simulate.filters import convolutions, filter_shapes, held
from simulate.images import patch_moment
from simulate.kernels import choose_kernel, general, module
from simulate.transfer import experiment as experiment_module
from simulate.transfer import run as run_transfer
from tests.oracles.training import naive_train
from tests.simulate.dense_settings import CLASSES
from tests.simulate.vgg_settings import IMAGES, SETTINGS, TRAINING, setting_of, vgg
from theory.setting import (
    Data,
    Downstream,
    Ensemble,
    Experiment,
    InvalidInput,
    Network,
    Training,
    Treatments,
    Until,
    Upstream,
)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    file = tmp_path_factory.mktemp("images") / "images.npy"
    np.save(file, IMAGES)
    return str(file)


def test_the_default_is_vgg16():
    """13 layers of filters with 14,710,464 weights, and the outputs on what is left of 32 × 32 pixels: one place."""
    network = Network(kind="vgg")
    shapes = networks.layer_shapes(network, (3, 32, 32), 10)
    assert len(shapes) == network.layers == 14
    assert (shapes[0], shapes[2], shapes[-2], shapes[-1]) == ((64, 27), (128, 576), (512, 4608), (10, 512))
    assert sum(map(math.prod, shapes[:-1])) == 14_710_464
    assert [layer.pools for layer in convolutions(network)] == [width == "M" for width in "-M-M--M--M--M"]


@pytest.mark.parametrize("name", SETTINGS)
def test_training_is_the_naive_loop(name, images):
    setting = setting_of(images, *SETTINGS[name])
    inputs = simulate.replica_inputs(setting, [0, 1, 5])
    oracle = naive_train(setting, inputs)
    for kernel in (general, module) if module.applies(setting) else (general,):
        trained = kernel.train(setting, inputs)
        for step, expected in oracle.items():
            for mine, naive in zip(trained[step], expected, strict=True):
                torch.testing.assert_close(mine, naive, rtol=1e-10, atol=1e-10)


def test_parameters_fit_an_nn_module(images):
    setting = setting_of(images, vgg(bias=True, hidden=(6,)))
    inputs = simulate.replica_inputs(setting, [3])
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(5 * 1 * 2, 6),
        nn.ReLU(),
        nn.Linear(6, 3),
    ).double()
    with torch.no_grad():
        for stored, p in zip(inputs.parameters, net.parameters(), strict=True):
            p.copy_(stored[0].view(p.shape))
        handed = list(networks.layer_outputs(setting.network, inputs.parameters, inputs.x))
        assert [h.shape[2] for h in handed] == [3 * 56, 4 * 12, 5 * 2, 6, 3]
        for here, at in zip(handed, (2, 5, 8, 11, 12), strict=True):
            torch.testing.assert_close(net[:at](inputs.x[0]).flatten(1), here[0], rtol=1e-12, atol=1e-12)


def test_replicas_are_trained_one_by_one_unless_the_optimizer_forbids_it(images):
    assert choose_kernel(setting_of(images)) is module
    assert choose_kernel(setting_of(images, training=Training(optimizer="adam"))) is general


@pytest.mark.parametrize("kernel", [None, "general"])
def test_replicas_keep_their_bits_whatever_the_chunk(kernel, images, monkeypatch):
    monkeypatch.setitem(tiles.MOST, "cpu", 4)
    setting = setting_of(images, dtype="float32")
    whole, pieces = (simulate.run(setting, chunk=chunk, kernel=kernel).readings[-1] for chunk in (None, 2))
    assert np.array_equal(whole.second_moments, pieces.second_moments)
    assert np.array_equal(whole.losses, pieces.losses)


def test_filters_and_data_meet_in_the_dimension_of_a_patch(images):
    """The data of the first layer are patches of the image itself; the border of zeros is no data."""
    simulation = simulate.run(setting_of(images))
    assert simulation.data_moment.shape == simulation.readings[0].second_moments.shape[1:] == (18, 18)
    means = IMAGES.mean((0, 2, 3), keepdims=True)
    scaled = (IMAGES - means) / np.sqrt(np.square(IMAGES - means).mean())
    np.testing.assert_allclose(simulation.data_moment, patch_moment(scaled, (3, 3)), rtol=1e-12)


def test_rows_in_parts_are_the_same_gradient(images, monkeypatch):
    setting = setting_of(images)
    inputs = simulate.replica_inputs(setting, [0, 1])
    whole = {kernel: kernel.train(setting, inputs)[6] for kernel in (general, module)}
    monkeypatch.setattr(networks, "HELD", 2000)
    parts = [len(x[0]) for x, _ in networks.slices(setting.network, inputs.parameters, inputs.x, inputs.y)]
    assert len(parts) > 1
    assert sum(parts) == 7
    for kernel, expected in whole.items():
        for a, b in zip(expected, kernel.train(setting, inputs)[6], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_what_a_pass_holds_is_counted():
    """Products and activations of each layer at each of its places, by hand: sides 8 × 8, then 4 × 4."""
    network = Network(kind="vgg", blocks=((3, 4), (5,)))
    shapes = networks.layer_shapes(network, (2, 8, 8), 3)
    assert held(network, shapes) == 2 * (3 * 64 + 4 * 64 + 5 * 16)
    assert networks.row_numbers(network, shapes) == held(network, shapes) + 3


def test_images_that_pooling_leaves_nothing_of_are_refused(images):
    with pytest.raises(InvalidInput, match="pooling leaves nothing of images of 7 × 8"):
        simulate.run(setting_of(images, vgg(blocks=((2,), (2,), (2,)))))
    assert filter_shapes(vgg(blocks=((2,), (2,))), (1, 4, 5)) == (((2, 9), (2, 18)), 2)


def test_a_transfer_experiment(images, monkeypatch):
    monkeypatch.setitem(experiment_module.MOST, "cpu", 2)
    training = msgspec.structs.replace(TRAINING, steps=40)
    experiment = Experiment(
        upstream=Upstream(
            data=Data(kind="array", path=images, samples=8),
            labels=CLASSES,
            network=vgg(),
            training=training,
            until=Until(accuracy=0.9),
        ),
        treatment=Treatments(
            kinds=("scratch", "rescaled", {"kind": "first-layers", "layers": 2}, "covariance", "eigenvectors")
        ),
        downstream=Downstream(
            samples=8,
            held_out=4,
            labels=CLASSES,
            training=msgspec.structs.replace(training, steps=(0, 10)),
        ),
        ensemble=Ensemble(replicas=3),
    )
    result = run_transfer(experiment)
    assert result["covariance"].weights[0].second_moment.shape == (18, 18)
    assert result["scratch"].layers.active.shape == (3, 2, 3)
    start = result["scratch"].curves.train_loss[:, 0]
    assert (start != result["rescaled"].curves.train_loss[:, 0]).all()
    again = run_transfer(experiment, chunk=1)
    for treated, other in zip(result.treated, again.treated, strict=True):
        assert np.array_equal(treated.curves.train_loss, other.curves.train_loss)


def test_recursive_draws_need_dense_layers(images):
    upstream = Upstream(data=Data(kind="array", path=images, samples=8), labels=CLASSES, network=vgg())
    treatment = Treatments(kinds=("scratch", "recursive"))
    downstream = Downstream(samples=8, labels=CLASSES)
    with pytest.raises(InvalidInput, match="needs dense hidden layers"):
        Experiment(upstream=upstream, treatment=treatment, downstream=downstream)


@pytest.mark.gpu
def test_a_cuda_device_gives_the_same_numbers_twice_and_the_hosts(images):
    setting = setting_of(images)
    host, device, again = (simulate.run(setting, device=where).readings[-1] for where in ("cpu", "cuda", "cuda"))
    np.testing.assert_allclose(device.second_moments, host.second_moments, rtol=1e-8)
    assert np.array_equal(device.second_moments, again.second_moments)
