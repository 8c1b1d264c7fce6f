"""Filters on images: crops and patches counted literally, training against nn.Module, and what is refused."""

import itertools

import msgspec
import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image
from torch import nn

import simulate
from simulate import networks
from simulate.data import open_source
from simulate.devices import one_thread
from simulate.streams import Purpose, Streams
from tests.oracles.training import naive_train
from tests.simulate.image_settings import IMAGES, SETTINGS, conv, setting_of
from theory.setting import Data, Ensemble, InvalidInput, Labels, Network, Setting, Training


def test_channels_are_scaled_together_or_each_by_its_own(path):
    """The scale is the root mean square of each channel less its mean, counted over all images and positions."""
    raw = [IMAGES[:, c] - IMAGES[:, c].mean() for c in range(2)]
    own = [np.sqrt((channel**2).mean()) for channel in raw]
    together = np.sqrt((own[0] ** 2 + own[1] ** 2) / 2)
    for scale, divisors in ((True, (together, together)), ("channels", own), (False, (1.0, 1.0))):
        setting = setting_of("mse", path, scale=scale)
        source, _ = open_source(setting, Streams(0))
        drawn = np.empty((12, 2, 6, 5))
        picked = source.draw(np.random.default_rng(1), drawn)
        for c in range(2):
            np.testing.assert_allclose(drawn[:, c], raw[c][picked] / divisors[c], rtol=1e-12)
        patches = np.lib.stride_tricks.sliding_window_view(drawn, (3, 2), axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)
        rows = patches.reshape(-1, 12)
        np.testing.assert_allclose(source.population.second_moment, rows.T @ rows / len(rows), rtol=1e-10, atol=1e-12)


def test_channels_need_filters_and_must_vary(path, tmp_path):
    with pytest.raises(InvalidInput, match=r"data.scale = 'channels': needs a network of filters"):
        Setting(data=Data(kind="photographs", scale="channels"))
    flat = IMAGES.copy()
    flat[:, 1] = 2.0
    np.save(tmp_path / "flat.npy", flat)
    with pytest.raises(InvalidInput, match="every pixel of a channel is the same"):
        open_source(setting_of("mse", str(tmp_path / "flat.npy"), scale="channels"), Streams(0))
    open_source(setting_of("mse", str(tmp_path / "flat.npy")), Streams(0))


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("name", SETTINGS)
def test_training_is_the_naive_loop(name, fixed, path):
    setting = setting_of(name, path, fixed=fixed)
    inputs = simulate.replica_inputs(setting, [0, 1, 5])
    trained = simulate.train(setting, inputs)
    for step, oracle in naive_train(setting, inputs).items():
        for mine, naive in zip(trained[step], oracle, strict=True):
            torch.testing.assert_close(mine, naive, rtol=1e-10, atol=1e-10)


def test_rows_in_parts_are_the_same_gradient(path, monkeypatch):
    setting = setting_of("mse", path)
    inputs = simulate.replica_inputs(setting, [0, 1])
    whole, simulation = simulate.train(setting, inputs)[6], simulate.run(setting, replicas=2).readings[-1]
    monkeypatch.setattr(networks, "HELD", 3000)
    parts = [len(x[0]) for x, _ in networks.slices(setting.network, inputs.parameters, inputs.x, inputs.y)]
    assert parts == [5, 2]
    for a, b in zip(whole, simulate.train(setting, inputs)[6], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(simulate.run(setting, replicas=2).readings[-1].losses, simulation.losses, rtol=1e-12)


def test_parameters_fit_an_nn_module(path):
    """Loaded into Conv2d and Linear as they are stored, they give the same outputs; variances are 1 / fan_in."""
    setting = setting_of("bias, nesterov, cross-entropy", path)
    inputs = simulate.replica_inputs(setting, [3])
    net = nn.Sequential(
        nn.Conv2d(2, 4, (3, 2)),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 5),
        nn.ReLU(),
        nn.Linear(5, 4),
        nn.ReLU(),
        nn.Linear(4, 3),
    ).double()
    with torch.no_grad():
        for stored, p in zip(inputs.parameters, net.parameters(), strict=True):
            p.copy_(stored[0].view(p.shape))
        outputs = networks.forward(setting.network, inputs.parameters, inputs.x)[0]
        torch.testing.assert_close(net(inputs.x[0]), outputs, rtol=1e-12, atol=1e-12)
    wide = msgspec.structs.replace(setting, network=conv(filters=500, hidden=(60,)))
    filters, dense, _ = simulate.replica_inputs(wide, [0]).parameters
    assert (filters.shape, dense.shape) == ((1, 500, 12), (1, 60, 500 * 4 * 4))
    # Relative standard errors are sqrt(2 / count), 0.018 and 0.0014.
    assert abs(filters.square().mean() * 12 - 1) < 0.1
    assert abs(dense.square().mean() * 8000 - 1) < 0.01


def test_images_of_an_array(path):
    """Each channel loses its mean, all are divided by one root mean square; the moment is that of all patches."""
    setting = setting_of("mse", path)
    population = simulate.population(setting)
    centred = IMAGES - IMAGES.mean((0, 2, 3), keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean())
    found = [
        image[:, i : i + 3, j : j + 2].ravel() for image in scaled for i, j in itertools.product(range(4), range(4))
    ]
    np.testing.assert_allclose(population.second_moment, np.mean([np.outer(p, p) for p in found], 0), rtol=1e-12)
    np.testing.assert_allclose(population.mean, np.mean(found, 0), atol=1e-14)
    assert (population.rows, population.dropped) == (12, 0)
    x = simulate.replica_inputs(setting, [0]).x[0].numpy()
    drawn = [int(np.argmin(np.abs(scaled - row).max((1, 2, 3)))) for row in x]
    assert len(set(drawn)) == 7
    np.testing.assert_allclose(x, scaled[drawn], rtol=1e-12, atol=1e-14)


def test_fixed_images_have_patches_of_their_own(path):
    setting = setting_of("mse", path, fixed=True)
    x = simulate.rows(setting)
    assert x.shape == (7, 2, 6, 5)
    found = [image[:, i : i + 3, j : j + 2].ravel() for image in x for i, j in itertools.product(range(4), range(4))]
    simulation = simulate.run(setting, replicas=3)
    np.testing.assert_allclose(simulation.data_moment, np.mean([np.outer(p, p) for p in found], 0), rtol=1e-12)
    assert simulation.readings[0].second_moments.shape == (3, 12, 12)
    assert simulation.width == 4


def test_crops_of_photographs():
    """Every place of both photographs can be drawn, and its label is the photograph."""
    data = Data(kind="photographs", crop=(8, 6), samples=200, center=False, scale=False)
    setting = Setting(data=data, labels=Labels(kind="real"), network=conv(), training=Training(loss="cross-entropy"))
    inputs = simulate.replica_inputs(setting, [0])
    photographs = [np.moveaxis(load_sample_image(name), 2, 0) for name in ("china.jpg", "flower.jpg")]
    streams = Streams(setting.ensemble.seed)
    with one_thread():
        source, _ = open_source(setting, streams)
    assert source.population.rows == 2 * 420 * 635
    picked = source.draw(streams.at(Purpose.DATA, 0), np.empty((200, 3, 8, 6)))
    for x, y, index in zip(inputs.x[0].numpy(), inputs.y[0].tolist(), picked, strict=True):
        i, j = divmod(int(index) % (420 * 635), 635)
        assert y == index // (420 * 635)
        np.testing.assert_array_equal(x, photographs[y][:, i : i + 8, j : j + 6])
    assert 60 < inputs.y.sum() < 140


def test_patches_count_as_often_as_crops_show_them(tmp_path, monkeypatch):
    monkeypatch.setattr("simulate.images.read_images", lambda data, real_labels: (IMAGES, None))
    monkeypatch.setattr("simulate.images.HELD", 200)
    data = Data(kind="photographs", crop=(4, 4), center=False, scale=False, samples=3)
    population = simulate.population(Setting(data=data, network=conv()))
    crops = [image[:, i : i + 4, j : j + 4] for image in IMAGES for i, j in itertools.product(range(3), range(2))]
    found = [crop[:, i : i + 3, j : j + 2].ravel() for crop in crops for i, j in itertools.product(range(2), range(3))]
    np.testing.assert_allclose(population.second_moment, np.mean([np.outer(p, p) for p in found], 0), rtol=1e-12)
    np.testing.assert_allclose(population.mean, np.mean(found, 0), rtol=1e-12)
    assert population.rows == len(crops)


def test_cifar10_images(tmp_path):
    rng = np.random.default_rng(1)
    labels, pixels = rng.integers(10, size=(9, 1), dtype=np.uint8), rng.integers(256, size=(9, 3072), dtype=np.uint8)
    labels[:, 0] = np.arange(9)
    np.concatenate([labels, pixels], 1).tofile(tmp_path / "data_batch_1.bin")
    data = Data(kind="cifar10", path=str(tmp_path), samples=9, center=False, scale=False)
    setting = Setting(
        data=data, labels=Labels(kind="real"), network=conv(kernel=(3, 3)), training=Training(loss="cross-entropy")
    )
    inputs = simulate.replica_inputs(setting, [0])
    np.testing.assert_array_equal(inputs.x[0], pixels.reshape(9, 3, 32, 32)[inputs.y[0]])
    assert inputs.parameters[0].shape == (1, 4, 27)


def test_bits_do_not_depend_on_chunks(path):
    setting = msgspec.structs.replace(setting_of("ntk, tanh, first", path), ensemble=Ensemble(dtype="float32"))
    whole, pieces = simulate.run(setting, replicas=20), simulate.run(setting, replicas=20, chunk=3)
    assert whole.readings[0].second_moments.tobytes() == pieces.readings[0].second_moments.tobytes()
    assert whole.readings[0].losses.tobytes() == pieces.readings[0].losses.tobytes()


def test_filters_learn():
    setting = Setting(
        data=Data(kind="photographs", crop=(8, 8), samples=60),
        labels=Labels(kind="real"),
        network=Network(kind="conv", filters=16, hidden=(32,)),
        training=Training(loss="cross-entropy", steps=(0, 60), learning_rate=0.01, momentum=0.9, batch_size=20),
        ensemble=Ensemble(dtype="float32"),
    )
    simulation = simulate.run(setting, replicas=4)
    assert simulation.data_moment.shape == (27, 27)
    first, last = simulation.readings
    assert last.losses.mean() < 0.7 * first.losses.mean()


@pytest.mark.parametrize(
    ("keys", "network", "labels", "message"),
    [
        ({}, {"kernel": (7, 2)}, Labels(), r"network.kernel = \(7, 2\): must not exceed the images, 6 × 5"),
        ({"samples": 13}, {}, Labels(), "data.samples = 13: must not exceed the 12 rows"),
        ({}, {"init_spectrum": (1.0,)}, Labels(), "network.init_spectrum = .*one entry per dimension .12;"),
        ({}, {}, Labels(kind="teacher"), "labels.kind = 'teacher': is a function of rows of numbers"),
    ],
)
def test_what_is_refused(keys, network, labels, message, path):
    data = Data(kind="array", path=path, **{"samples": 3, **keys})
    with pytest.raises(InvalidInput, match=message):
        simulate.run(Setting(data=data, labels=labels, network=conv(**network)), replicas=1)


def test_more_that_is_refused(path, tmp_path):
    small = Data(kind="photographs", crop=(428, 2), samples=3)
    with pytest.raises(InvalidInput, match=r"data.crop = \(428, 2\): must not exceed the photographs, 427 × 640"):
        simulate.population(Setting(data=small, network=conv()))
    np.save(tmp_path / "rows.npy", IMAGES.reshape(12, -1))
    rows = Data(kind="array", path=str(tmp_path / "rows.npy"), samples=3)
    with pytest.raises(InvalidInput, match=r"data.path = .*: filters need n × C × H × W, not \(12, 60\)"):
        simulate.population(Setting(data=rows, network=conv()))
    np.save(tmp_path / "grey.npy", np.ones((3, 1, 4, 4)))
    with pytest.raises(InvalidInput, match="every pixel is the same"):
        simulate.population(Setting(data=Data(kind="array", path=str(tmp_path / "grey.npy")), network=conv()))
    with pytest.raises(InvalidInput, match="acts on rows of numbers, not on images"):
        simulate.replica_inputs(setting_of("mse", path), [0]).rotated(np.eye(12))


@pytest.mark.gpu
@pytest.mark.parametrize("name", SETTINGS)
def test_a_gpu_gives_the_same_numbers(name, path):
    setting = setting_of(name, path)
    inputs = simulate.replica_inputs(setting, [0, 1])
    here = simulate.train(setting, inputs)
    there = simulate.train(setting, inputs.to(torch.device("cuda", 0), torch.float64))
    for step in here:
        for a, b in zip(here[step], there[step], strict=True):
            torch.testing.assert_close(a, b.cpu(), rtol=1e-9, atol=1e-9)
