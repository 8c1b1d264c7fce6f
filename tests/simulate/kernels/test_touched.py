"""What kernels say of a step: how many numbers it goes through, counted by hand; where one way ends."""

from __future__ import annotations

import msgspec
import pytest
import torch

import simulate
from simulate import networks
from simulate.kernels import choose_kernel, dense, general, linear, minibatches, module, one_hidden
from simulate.kernels.minibatches import Minibatches
from tests.oracles.training import naive_train
from tests.simulate.image_settings import setting_of
from theory.setting import Data, Labels, Network, Setting, Training

DEEP = ((5, 3), (4, 5), (2, 4))  # (out, in) of three layers: 15 + 20 + 8 weights


def mlp(*hidden: int, **training: object) -> Setting:
    data = Data(kind="gaussian", spectrum=(1.0,) * 3, samples=7)
    return Setting(data=data, network=Network(kind="mlp", hidden=hidden), training=Training(**training))


def test_numbers_of_a_step_through_dense_layers() -> None:
    """Each of 7 rows has 3 numbers, 11 activations and as many derivatives; the 43 weights count three times."""
    assert dense.touched(mlp(5, 4), DEEP, 7, 100) == 7 * (3 + 11 + 11) + 3 * 43
    for kernel in (general, module):
        assert kernel.touched(mlp(5, 4), DEEP, 7, 100) == 2 * 7 * (3 + 11) + 3 * 43


def test_numbers_of_a_step_through_filters() -> None:
    setting = Setting(data=Data(kind="photographs"), network=Network(kind="conv", filters=4, hidden=()))
    shapes = networks.layer_shapes(setting.network, (1, 6, 5), 2)
    assert shapes == ((4, 9), (2, 4 * 4 * 3))
    row = networks.row_numbers(setting.network, shapes)
    for kernel in (general, module):
        assert kernel.touched(setting, shapes, 7, 100) == 2 * 7 * row + 3 * (36 + 96)


@pytest.mark.parametrize(("outputs", "hidden"), [(1, 1), (2, 2)])
def test_numbers_of_a_step_through_one_hidden_layer(outputs: int, hidden: int) -> None:
    """Each of 7 rows has 3 numbers and 5 activations, with several outputs also 5 of D; 5 neurons have the weights."""
    assert one_hidden.touched(mlp(5), ((5, 3), (outputs, 5)), 7, 100) == 7 * (3 + hidden * 5) + 5 * (3 + outputs)


@pytest.mark.parametrize(
    ("samples", "training", "moments"),
    [
        (3, Training(steps=3), True),
        (3, Training(steps=(0, 3)), True),
        (2, Training(steps=3), False),  # fewer rows than directions
        (3, Training(steps=2), False),  # too few steps to pay for S
        (3, Training(steps=3, batch_size=2), False),
        (3, Training(steps=3, loss="cross-entropy"), False),
    ],
)
def test_numbers_of_a_step_of_linear_models(samples: int, training: Training, moments: bool) -> None:
    """S and Q, (3 + 2) × 3, where they are worth it; otherwise all rows, which batches are gathered from."""
    data = Data(kind="gaussian", spectrum=(1.0,) * 3, samples=samples)
    labels = Labels(outputs=2) if training.loss == "mse" else Labels(kind="classes", classes=2)
    setting = Setting(data=data, labels=labels, training=training)
    assert linear.touched(setting, ((2, 3),), 1, samples) == (15 if moments else 3 * samples)


def test_which_kernels_apply() -> None:
    deep, sign, penalty = mlp(5, 4), mlp(5, optimizer="signsgd"), mlp(5, l1=0.1)
    plain = msgspec.structs.replace(deep, network=Network())
    filters = Setting(data=Data(kind="photographs"), network=Network(kind="conv"))
    for setting, kernels in (
        (plain, (linear, dense, module, general)),
        (mlp(5), (one_hidden, dense, module, general)),
        (deep, (dense, module, general)),
        (sign, (dense, general)),
        (penalty, (dense, general)),
        (filters, (module, general)),
    ):
        every = (linear, one_hidden, dense, module, general)
        assert tuple(kernel for kernel in every if kernel.applies(setting)) == kernels


@pytest.mark.parametrize(
    ("filters", "hidden", "chosen"),
    [(2**13, (1,), module), (2**13 - 1, (1,), general), (1, (2**13, 1), module), (1, (1, 2**13), general)],
)
def test_from_which_size_on_replicas_are_trained_one_by_one(filters: int, hidden: tuple, chosen) -> None:
    network = Network(kind="conv", filters=filters, hidden=hidden)
    assert choose_kernel(Setting(data=Data(kind="photographs"), network=network)) is chosen


def test_networks_of_blocks_are_trained_one_by_one() -> None:
    vgg = Setting(data=Data(kind="photographs"), network=Network(kind="vgg", blocks=((1,),)))
    assert choose_kernel(vgg) is module
    assert choose_kernel(msgspec.structs.replace(vgg, training=Training(optimizer="adam"))) is general


@pytest.mark.parametrize("loss", ["mse", "cross-entropy"])
def test_rows_in_parts_weigh_by_their_number(loss: str, path, monkeypatch) -> None:
    """Parts of 7 rows that are not of one size: each counts by its rows, in the general way, too."""
    name = {"mse": "mse", "cross-entropy": "bias, nesterov, cross-entropy"}[loss]
    setting = setting_of(name, path)
    inputs = simulate.replica_inputs(setting, [0, 1])
    oracle = naive_train(setting, inputs)
    per_row = networks.row_numbers(
        setting.network, tuple(w.shape[1:] for w in inputs.parameters[:: 1 + setting.network.bias])
    )
    monkeypatch.setattr(networks, "HELD", 3 * 2 * per_row)  # 3, 3 and 1 rows of two replicas
    for step, parameters in general.train(setting, inputs).items():
        for mine, naive in zip(parameters, oracle[step], strict=True):
            torch.testing.assert_close(mine, naive, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("batch", "steps", "gathered"),
    [(3, 10, [3, 3, 3, 1]), (4, 5, [2, 2, 1]), (7, 3, [1, 1, 1]), (2, 3, [3]), (1, 9, [9])],
)
def test_batches_are_gathered_an_epoch_at_a_time(batch: int, steps: int, gathered: list[int], monkeypatch) -> None:
    """With n = 9, an epoch's number of steps is gathered at once, or as many as there are; once each, in order."""
    training = Training(steps=steps, batch_size=batch, sampling="epochs")
    setting = Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples=9), training=training)
    inputs = simulate.replica_inputs(setting, [0, 1])
    lengths: list[int] = []
    select = torch.index_select

    def counting(rows, dimension, index, out):
        lengths.append(len(index))
        return select(rows, dimension, index, out=out)

    monkeypatch.setattr(minibatches.torch, "index_select", counting)
    batches = Minibatches(setting, inputs)
    assert batches.size == batch
    for step in range(steps):
        x, y = batches.at(step)
        assert (x.shape, y.shape) == ((2, batch, 2), (2, batch, 1))
    assert lengths == [size * 2 * batch for size in gathered for _ in ("rows", "labels")]


def test_online_batches_are_rows_one_after_the_other() -> None:
    data = Data(kind="gaussian", spectrum=(1.0, 2.0), samples="online")
    setting = Setting(data=data, training=Training(steps=3, batch_size=2, sampling="fresh"))
    inputs = simulate.replica_inputs(setting, [0, 1])
    batches = Minibatches(setting, inputs, scale=0.5)
    assert batches.size == 2
    for step in range(3):
        x, y = batches.at(step)
        assert torch.equal(x, 0.5 * inputs.x[:, 2 * step : 2 * step + 2])
        assert torch.equal(y, inputs.y[:, 2 * step : 2 * step + 2])
