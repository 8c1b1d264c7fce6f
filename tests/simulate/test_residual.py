"""Residual networks against modules of torch.nn, and what is refused of them."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch

import simulate
from simulate.networks import forward, layer_outputs, layer_shapes, losses, row_numbers, slices
from simulate.tiles import Trainer
from tests.oracles.residual import WideResNet, module_of, trained
from theory.errors import InvalidInput
from theory.network.frozen_gates import freeze
from theory.setting import (
    Data,
    Downstream,
    Ensemble,
    Experiment,
    Labels,
    Network,
    Setting,
    TaskSequence,
    Training,
    Upstream,
)
from theory.setting.network import RESNET_18, WRN_28_4

SMALL = Network(kind="resnet", kernel=(5, 3), blocks=((3,), (4, 4), (6,)), init_variance=2.0)
TRAINING = Training(
    loss="cross-entropy", learning_rate=0.1, momentum=0.9, weight_decay=1e-3, batch_size=4, steps=(0, 1, 7)
)


@pytest.fixture
def setting(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(30, 2, 7, 6)))
    return Setting(
        data=Data(kind="array", path=str(tmp_path / "x.npy"), samples=10),
        labels=Labels(kind="classes", classes=3),
        network=SMALL,
        training=TRAINING,
        ensemble=Ensemble(replicas=3),
    )


def test_outputs_are_those_of_a_module(setting):
    inputs = simulate.replica_inputs(setting, [0, 1, 2])
    generator = torch.Generator().manual_seed(0)
    parameters = tuple(w + 0.1 * torch.randn(w.shape, generator=generator, dtype=w.dtype) for w in inputs.parameters)
    found = forward(SMALL, parameters, inputs.x)
    for r in range(3):
        net = module_of(SMALL, [w[r] for w in parameters], 2)
        torch.testing.assert_close(found[r], net(inputs.x[r]), rtol=0, atol=1e-10)


@pytest.mark.parametrize("step", [1, 7])
def test_updates_are_those_of_sgd_on_a_module(setting, step):
    setting = msgspec.structs.replace(setting, training=msgspec.structs.replace(TRAINING, steps=step))
    inputs = simulate.replica_inputs(setting, [0, 1, 2])
    found = simulate.train(setting, inputs)[step]
    for r in range(3):
        for mine, theirs in zip(found, trained(setting, inputs, r), strict=True):
            torch.testing.assert_close(mine[r], theirs, rtol=0, atol=1e-10)
    assert all(not torch.equal(a, b) for a, b in zip(found, inputs.parameters, strict=True))


def test_the_loss_is_read_in_batches_as_in_training(setting):
    found = simulate.run(setting)
    inputs = simulate.replica_inputs(setting, [0, 1, 2])
    parameters = simulate.train(setting, inputs)[7]
    by_hand = 0.0
    for r in range(3):
        net = module_of(SMALL, [w[r] for w in parameters], 2)
        for rows in (slice(0, 4), slice(4, 8), slice(8, 10)):
            part, labels = inputs.x[r, rows], inputs.y[r, rows]
            by_hand += torch.nn.functional.cross_entropy(net(part), labels, reduction="sum").item() / 30
    assert found.readings[-1].losses.mean() == pytest.approx(by_hand, rel=1e-10)
    whole = losses(forward(SMALL, parameters, inputs.x), inputs.y).mean().item()
    assert abs(whole - by_hand) > 1e-3


def test_rows_of_a_batch_interact_and_are_never_cut(setting, monkeypatch):
    inputs = simulate.replica_inputs(setting, [0])
    alone = forward(SMALL, inputs.parameters, inputs.x[:, :2])
    together = forward(SMALL, inputs.parameters, inputs.x)[:, :2]
    assert (alone - together).abs().max() > 1e-3
    monkeypatch.setattr("simulate.networks.HELD", 1)
    assert [part.shape[1] for part, _ in slices(SMALL, inputs.parameters, inputs.x, inputs.y)] == [10]
    assert [part.shape[1] for part, _ in slices(SMALL, inputs.parameters, inputs.x, inputs.y, 4)] == [4, 4, 2]


def test_a_batch_of_one_number_per_channel_is_normalised_to_the_shift(setting):
    inputs = simulate.replica_inputs(setting, [0])
    outputs = forward(SMALL, inputs.parameters, inputs.x[:, :1, :, :2, :2])
    torch.testing.assert_close(outputs, torch.zeros_like(outputs), rtol=0, atol=1e-12)


def test_initial_values_are_those_of_the_law(setting):
    network = msgspec.structs.replace(SMALL, init_variance=tuple(1.0 + i for i in range(SMALL.layers)))
    big = msgspec.structs.replace(setting, network=network)
    parameters = simulate.replica_inputs(big, list(range(300))).parameters
    for i, w in enumerate(parameters[: SMALL.layers]):
        expected, count = (1.0 + i) / w.shape[2], w.numel()
        assert abs(w.square().mean().item() / expected - 1) < 5.5 * (2 / count) ** 0.5
    assert all((scale == 1).all() for scale in parameters[SMALL.layers :: 2])
    assert all((shift == 0).all() for shift in parameters[SMALL.layers + 1 :: 2])


@pytest.mark.parametrize(
    ("blocks", "kernel", "layers", "millions"), [(WRN_28_4, (5, 5), 29, 5.85), (RESNET_18, (3, 3), 21, 11.17)]
)
def test_the_papers_networks_have_their_shapes(blocks, kernel, layers, millions):
    network = Network(kind="resnet", blocks=blocks, kernel=kernel)
    shapes = layer_shapes(network, (3, 32, 32), 10)
    net = WideResNet(kernel, blocks, 3, 10)
    assert [w.numel() for w in net.ordered()] == [a * b for a, b in shapes]
    assert sum(w.numel() for w in net.ordered()) / 1e6 == pytest.approx(millions, abs=0.01)
    assert network.layers == layers  # the three shortcuts 1 × 1 included
    assert Network(kind="resnet").blocks == WRN_28_4
    # products and activations of the stem alone are more than its outputs
    assert row_numbers(network, shapes) > 2 * 32 * 32 * blocks[1][0]


def test_hidden_layers_hand_on_what_is_normalised(setting):
    inputs = simulate.replica_inputs(setting, [0, 1])
    handed = list(layer_outputs(SMALL, inputs.parameters, inputs.x))
    assert [tuple(h.shape) for h in handed] == [
        *(
            (2, 10, channels * places)
            for channels, places in ((3, 42), (4, 42), (4, 42), (4, 42), (4, 42), (6, 12), (6, 12))
        ),
        (2, 10, 3),
    ]


def test_two_processes_train_the_same_replicas(setting):
    one, two = simulate.run(setting), simulate.run(setting, chunk=1)
    np.testing.assert_array_equal(one.readings[-1].second_moment, two.readings[-1].second_moment)
    assert Trainer(setting, torch.device("cpu"), None).draws.shapes == layer_shapes(SMALL, (2, 7, 6), 3)


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"blocks": ((4,),)}, "of a resnet are the stem, one number, and at least one group"),
        ({"blocks": ((4, 4), (4,))}, "of a resnet are the stem, one number"),
        ({"blocks": ((4,), ())}, "network.blocks[1] = (): a block has at least one layer"),
        ({"hidden": (4,)}, "a resnet has no dense hidden layer"),
        ({"bias": True}, "network.bias = True: must be false"),
        ({"parametrization": "ntk"}, "must be 'standard' for a resnet"),
        ({"kernel": (4, 3)}, "sides must be odd for a resnet"),
        ({"filters": 4}, "network.filters = 4: belongs to network.kind 'conv', not to 'resnet'"),
        ({"init_variance": (1.0, 2.0)}, "must be one number, or one per layer"),
    ],
)
def test_what_a_residual_network_cannot_be(keys, why):
    with pytest.raises(InvalidInput) as error:
        Network(**{"kind": "resnet", **keys})
    assert why in str(error.value)


def test_where_rows_must_not_interact_it_is_refused(setting):
    inputs = simulate.replica_inputs(setting, [0])
    with pytest.raises(InvalidInput, match="the rows of a batch interact"):
        freeze(SMALL, list(inputs.parameters), inputs.x)
    with pytest.raises(InvalidInput, match=r"kernel = 'module': must be one of 'general'"):
        simulate.run(setting, kernel="module")
    with pytest.raises(InvalidInput, match=r"upstream\.network\.kind = 'resnet'"):
        Experiment(
            upstream=Upstream(data=setting.data, labels=setting.labels, network=SMALL),
            downstream=Downstream(samples=4, labels=setting.labels),
        )
    with pytest.raises(InvalidInput, match=r"sequence\.task\.network\.kind = 'resnet'"):
        TaskSequence(task=setting)
