"""Kernels against one nn.Module and torch.optim per replica; equivariance, and what breaks it."""

import dataclasses

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import simulate
from simulate.kernels import KERNELS, choose_kernel, dense, general, linear, one_hidden
from tests.oracles.training import naive_train
from tests.simulate.dense_settings import CLASSES, DATA, SETTINGS, mlp
from theory.setting import Data, InvalidInput, Labels, Network, Setting, Training

PAIRS = [
    pytest.param(name, kernel, id=f"{name}-{key}")
    for name, setting in SETTINGS.items()
    for key, kernel in KERNELS.items()
    if kernel.applies(setting)
]


@pytest.mark.parametrize(("name", "kernel"), PAIRS)
def test_a_kernel_is_the_naive_loop(name, kernel):
    setting = SETTINGS[name]
    inputs = simulate.replica_inputs(setting, [0, 1, 5])
    before = [w.clone() for w in inputs.parameters]
    trained, oracle = kernel.train(setting, inputs), naive_train(setting, inputs)
    assert list(trained) == list(setting.training.readings)
    for step in oracle:
        for mine, naive in zip(trained[step], oracle[step], strict=True):
            torch.testing.assert_close(mine, naive, rtol=1e-10, atol=1e-10)
    # Training moves what it should, and the inputs not at all.
    assert all(torch.equal(a, b) for a, b in zip(before, inputs.parameters, strict=True))
    moved = [not torch.equal(a, b) for a, b in zip(before, trained[setting.training.readings[-1]], strict=True)]
    assert moved == [i <= setting.network.bias or setting.network.train == "all" for i in range(len(moved))]


def test_the_oracle_can_disagree():
    # Nesterov's gradient uses the velocity after its update: the other order must be seen.
    setting = SETTINGS["nesterov"]
    inputs = simulate.replica_inputs(setting, [0])
    plain = msgspec.structs.replace(setting, training=msgspec.structs.replace(setting.training, nesterov=False))
    difference = general.train(setting, inputs)[12][0] - naive_train(plain, inputs)[12][0]
    assert difference.abs().max() > 1e-3


def test_the_setting_decides_which_kernel_runs():
    chosen = {name: choose_kernel(setting) for name, setting in SETTINGS.items()}
    assert chosen["linear"] is chosen["linear, bias, momentum"] is linear
    assert chosen["epochs"] is chosen["nesterov"] is one_hidden
    assert chosen["erf, ntk"] is chosen["l1"] is chosen["adam"] is dense


def test_a_kernel_can_be_asked_for():
    assert choose_kernel(SETTINGS["linear"], "general") is general
    moments = [
        simulate.run(SETTINGS["nesterov"], replicas=3, kernel=name).readings[0] for name in KERNELS if name != "linear"
    ]
    for reading in moments[1:]:
        np.testing.assert_allclose(reading.second_moments, moments[0].second_moments, rtol=1e-10)
    with pytest.raises(
        InvalidInput, match=r"kernel = 'linear': must be one of 'one-hidden', 'dense', 'module', 'general'"
    ):
        simulate.run(SETTINGS["nesterov"], replicas=3, kernel="linear")
    with pytest.raises(InvalidInput, match="kernel = 'fast': must be one of"):
        simulate.run(SETTINGS["nesterov"], replicas=3, kernel="fast")


def test_a_store_holds_what_the_setting_decides(tmp_path):
    with pytest.raises(InvalidInput, match="kernel = 'dense': must be left to the setting"):
        simulate.run(SETTINGS["nesterov"], replicas=3, kernel="dense", store=tmp_path)


def test_float32_follows_float64():
    setting = SETTINGS["deep, ntk"]
    inputs = simulate.replica_inputs(setting, [0, 1])
    single = simulate.train(setting, inputs.to(torch.device("cpu"), torch.float32))[12][0]
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), simulate.train(setting, inputs)[12][0], rtol=1e-4, atol=1e-5)


@st.composite
def equivariant_settings(draw):
    """Any architecture, any variant of SGD with coupled decay, any sampling."""
    d = draw(st.integers(1, 5))
    samples = draw(st.integers(2, 7))
    hidden = tuple(draw(st.lists(st.integers(1, 5), max_size=3)))
    network = Network(
        kind="mlp" if hidden else "linear",
        hidden=hidden,
        activation=draw(st.sampled_from(["relu", "tanh", "erf", "identity"])),
        parametrization=draw(st.sampled_from(["standard", "ntk"])),
        bias=draw(st.booleans()),
        train=draw(st.sampled_from(["all", "first"])),
    )
    momentum = draw(st.sampled_from([0.0, 0.5, 0.9]))
    loss = draw(st.sampled_from(["mse", "cross-entropy"]))
    training = Training(
        loss=loss,
        learning_rate=draw(st.sampled_from([0.01, 0.1])),
        momentum=momentum,
        nesterov=momentum > 0 and draw(st.booleans()),
        weight_decay=draw(st.sampled_from([0.0, 0.1])),
        batch_size=draw(st.one_of(st.just("full"), st.integers(1, samples))),
        sampling=draw(st.sampled_from(["epochs", "fresh", "replacement"])),
        steps=(0, 3, 10),
    )
    labels = CLASSES if loss == "cross-entropy" else Labels(outputs=draw(st.integers(1, 3)))
    data = Data(kind="gaussian", spectrum=(1.0,) * d, samples=samples, fixed=draw(st.booleans()))
    return Setting(data=data, labels=labels, network=network, training=training)


@given(equivariant_settings(), st.integers(0, 2**32 - 1))
def test_training_is_equivariant(setting, seed):
    """Training on (X Rᵀ, y) from W₀ Rᵀ gives W_t Rᵀ, at every step (arXiv:2006.10455, proof of Proposition 1)."""
    d = setting.data.dimension
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]
    inputs = simulate.replica_inputs(setting, [0, 1])
    plain = simulate.train(setting, inputs)
    turned = simulate.train(setting, inputs.rotated(rotation))
    for step in plain:
        first, *others = plain[step]
        turned_first, *turned_others = turned[step]
        if not all(w.isfinite().all() for w in plain[step]):  # a replica has diverged: so has the turned one
            assert not all(w.isfinite().all() for w in turned[step])
            continue
        scale = max(1.0, first.norm().item())
        assert (turned_first - first @ torch.from_numpy(rotation).T).norm() <= 1e-10 * scale
        for a, b in zip(others, turned_others, strict=True):
            assert (a - b).norm() <= 1e-10 * max(1.0, a.norm().item())


@pytest.mark.parametrize(
    "keys", [{"optimizer": "adam"}, {"optimizer": "rmsprop"}, {"optimizer": "signsgd"}, {"l1": 0.1}]
)
def test_what_is_not_equivariant(keys):
    setting = Setting(data=DATA, network=mlp(5), training=Training(steps=10, **keys))
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    inputs = simulate.replica_inputs(setting, [0, 1])
    plain = simulate.train(setting, inputs)[10][0] @ torch.from_numpy(rotation).T
    turned = simulate.train(setting, inputs.rotated(rotation))[10][0]
    assert (turned - plain).norm() > 1e-2 * plain.norm()


def test_a_rotation_that_forgets_the_weights_is_seen():
    setting = SETTINGS["linear"]
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    inputs = simulate.replica_inputs(setting, [0])
    wrong = dataclasses.replace(inputs.rotated(rotation), parameters=inputs.parameters)
    plain = simulate.train(setting, inputs)[12][0] @ torch.from_numpy(rotation).T
    assert (simulate.train(setting, wrong)[12][0] - plain).norm() > 1e-2


@pytest.mark.gpu
@pytest.mark.parametrize(("name", "kernel"), PAIRS)
def test_a_gpu_gives_the_same_numbers(name, kernel):
    setting = SETTINGS[name]
    inputs = simulate.replica_inputs(setting, [0, 1, 2])
    here = kernel.train(setting, inputs)
    there = kernel.train(setting, inputs.to(torch.device("cuda", 0), torch.float64))
    for step in here:
        for a, b in zip(here[step], there[step], strict=True):
            torch.testing.assert_close(a, b.cpu(), rtol=1e-9, atol=1e-9)
