"""Shrinking a setting: its algebra, exactly; what it refuses; and that a wrong way to shrink is seen."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

import simulate
from reports.judging.changes import movements, relative
from simulate.networks import forward
from simulate.scaling import LayerFactors, layer_factors, operations, run_shrunken, shrink
from tests.changes import changed
from tests.oracles.training import Net
from tests.simulate.dense_settings import CLASSES
from theory.setting import Data, Ensemble, InvalidInput, Labels, Network, Setting, Training

DATA = Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=24)


def classifier(**network):
    return Setting(
        data=DATA,
        labels=CLASSES,
        network=Network(kind="mlp", hidden=(8, 4), **network),
        training=Training(
            loss="cross-entropy", learning_rate=0.05, momentum=0.6, batch_size=4, steps=(0, 4, 12), drops=((8, 0.5),)
        ),
    )


def test_rows_widths_and_updates_are_divided_and_nothing_else():
    setting = classifier(bias=True, init_variance=(0.5, 1.0, 2.0))
    small = shrink(setting, 4)
    assert (small.data.samples, small.network.hidden) == (6, (2, 1))
    assert (small.training.steps, small.training.drops) == ((0, 1, 3), ((2, 0.5),))
    grown = changed(
        small,
        data={"samples": 24},
        network={"hidden": (8, 4)},
        training={"steps": (0, 4, 12), "drops": ((8, 0.5),)},
    )
    assert grown == setting
    assert shrink(setting, 1) == setting
    assert shrink(shrink(setting, 2), 2) == small


def test_full_batches_stay_full():
    """n/b rows in one batch take steps/b updates: θ = steps/n is kept, epochs are not."""
    setting = changed(classifier(), training={"batch_size": 24})
    small = shrink(setting, 2)
    assert small.full_batch
    assert small.training.steps == (0, 2, 6)
    drawn = changed(setting, training={"sampling": "replacement", "batch_size": 12})
    assert shrink(drawn, 2).training.batch_size == 12


@pytest.mark.parametrize(
    ("network", "factors"),
    [
        ({}, (1.0, 4.0, 4.0)),
        ({"bias": True}, (1.0, 4.0, 4.0)),
        ({"parametrization": "ntk"}, (1.0, 1.0, 1.0)),
        ({"train": "first"}, (1.0, 1.0, 1.0)),
    ],
)
def test_which_layers_learn_faster(network, factors):
    assert layer_factors(classifier(**network).network, 4) == factors


def trained(setting, inputs, factors=None):
    return simulate.train(setting, inputs) if factors is None else LayerFactors(factors).train(setting, inputs)


def test_factors_are_a_reparametrization_where_the_vocabulary_has_one():
    """Weights moved between ReLU layers: a_l W_l at one rate η' is W_l at η'/a_l², and Π a_l = 1 keeps the function.

    With L layers and rates (1, b, …, b) η: η' = η b^{1 − 1/L}, a_1² = b^{1 − 1/L} and a_l² = b^{−1/L} above; a² on
    init variances does the same to initial weights. Biases would need other rates, so there it is no equivalence.
    """
    b, setting = 4, classifier()
    layers = 3
    roots = (b ** (1 - 1 / layers), *(b ** (-1 / layers) for _ in range(layers - 1)))
    moved = changed(
        setting,
        network={"init_variance": roots},
        training={"learning_rate": setting.training.learning_rate * b ** (1 - 1 / layers)},
    )
    inputs, others = (simulate.replica_inputs(each, [0, 1, 2]) for each in (setting, moved))
    mine, theirs = trained(setting, inputs, layer_factors(setting.network, b)), trained(moved, others)
    plain = trained(setting, inputs)
    for step in setting.training.readings:
        outputs = forward(setting.network, mine[step], inputs.x)
        torch.testing.assert_close(outputs, forward(moved.network, theirs[step], inputs.x), rtol=1e-10, atol=1e-11)
        for w, u, root in zip(mine[step], theirs[step], roots, strict=True):
            torch.testing.assert_close(w * math.sqrt(root), u, rtol=1e-10, atol=1e-11)
    assert (forward(setting.network, plain[12], inputs.x) - outputs).abs().max() > 1e-2


def test_the_rule_of_the_standard_parametrization_is_that_of_ntk():
    """NTK weights u_l = sqrt(fan_in) W_l at rate η are W_l at η/fan_in: the rates of the full size, times those of b.

    That is: whoever trains W_l at rate ρ_l at full size, in NTK parametrization at ρ_l fan_in, which is kept, trains
    it at b ρ_l in a layer of fan_in/b. Biases included, and any activation.
    """
    b = 2
    full = changed(classifier(bias=True, activation="tanh", parametrization="ntk"), data={"samples": 48})
    ntk = shrink(full, b)
    standard = changed(ntk, network={"parametrization": "standard"})
    at_full_size = (1 / 3, 1 / 8, 1 / 4)
    rates = tuple(rate * factor for rate, factor in zip(at_full_size, layer_factors(standard.network, b), strict=True))
    inputs, others = (simulate.replica_inputs(each, [0, 5]) for each in (ntk, standard))
    mine, theirs = trained(ntk, inputs), trained(standard, others, rates)
    for step in ntk.training.readings:
        outputs = forward(ntk.network, mine[step], inputs.x)
        torch.testing.assert_close(outputs, forward(standard.network, theirs[step], inputs.x), rtol=1e-10, atol=1e-11)
        torch.testing.assert_close(mine[step][0] / math.sqrt(3), theirs[step][0], rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize(
    "network", [{"bias": True, "activation": "tanh"}, {"activation": "erf"}, {"train": "first", "bias": True}]
)
@pytest.mark.parametrize("nesterov", [False, True])
def test_factors_are_parameter_groups_of_torch(network, nesterov):
    setting = changed(classifier(**network), training={"nesterov": nesterov})
    factors = (1.0, 3.0, 0.5)
    inputs = simulate.replica_inputs(setting, [2])
    found = LayerFactors(factors).train(setting, inputs)[12]
    net = Net(setting.network, [w[0].clone() for w in inputs.parameters])
    groups = [{"params": [w], "lr": 0.05 * factor} for w, factor in zip(net.weights, factors, strict=True)]
    biases = list(net.biases)
    if setting.network.train == "first":
        groups, biases = groups[:1], biases[:1]
    if biases:
        groups.append({"params": biases, "lr": 0.05})
    optimizer = torch.optim.SGD(groups, lr=0.05, momentum=0.6, nesterov=nesterov)
    for step in range(12):
        if step == 8:
            for group in optimizer.param_groups:
                group["lr"] *= 0.5
        chosen = inputs.orders[0, step]
        optimizer.zero_grad()
        functional.cross_entropy(net(inputs.x[0][chosen]), inputs.y[0][chosen]).backward()
        optimizer.step()
    for mine, naive in zip(found, net.flat(), strict=True):
        torch.testing.assert_close(mine[0], naive.detach(), rtol=1e-10, atol=1e-11)


def test_the_smaller_ensemble_has_its_own_draws_and_more_replicas():
    setting = changed(classifier(bias=True), ensemble={"replicas": 3})
    halves, same = run_shrunken(setting, 2), run_shrunken(setting, 2, replicas=6)
    assert halves.replicas == 6
    np.testing.assert_array_equal(halves.readings[-1].second_moments, same.readings[-1].second_moments)
    assert halves.setting.ensemble.seed not in (setting.ensemble.seed, run_shrunken(setting, 4).setting.ensemble.seed)
    with pytest.raises(InvalidInput, match="processes = 2: must be 1 for a kernel that is not named"):
        simulate.run(setting, kernel=LayerFactors((1.0, 2.0, 2.0)), processes=2)


def test_operations():
    # 6 · batch 4 · (8·3 + 4·8 + 3·4 weights) · 12 updates
    assert operations(classifier(), 3) == 6 * 4 * 68 * 12
    assert operations(changed(classifier(), training={"batch_size": "full"}), 3) == 6 * 24 * 68 * 12


@pytest.mark.parametrize(
    ("setting", "b", "key"),
    [
        (classifier(), 0, "b"),
        (changed(classifier(), network={"hidden": (8, 6)}), 4, "network.hidden"),
        (changed(classifier(), data={"samples": 23}), 2, "data.samples"),
        (changed(classifier(), training={"steps": (0, 5)}), 4, "training.steps"),
        (changed(classifier(), training={"drops": ((7, 0.5),)}), 4, "training.drops"),
        (changed(classifier(), training={"batch_size": 16}), 2, "training.batch_size"),
        (changed(classifier(), training={"weight_decay": 0.1}), 2, "training.weight_decay"),
        (changed(classifier(), training={"l1": 0.1}), 2, "training.l1"),
        (changed(classifier(), training={"momentum": 0.0, "optimizer": "adam"}), 2, "training.optimizer"),
        (changed(classifier(), data={"fixed": True}), 2, "data.fixed"),
        (
            changed(classifier(), training={"sampling": "fresh"}, data={"samples": "online"}),
            2,
            "data.samples",
        ),
        (classifier(init_spectrum=(1.0, 2.0, 3.0)), 2, "network.init_spectrum"),
        (Setting(data=DATA), 2, "network.kind"),
        (
            Setting(data=DATA, labels=Labels(kind="teacher"), network=Network(kind="mlp", hidden=(8,))),
            2,
            "labels.kind",
        ),
    ],
)
def test_what_cannot_be_shrunk_is_named(setting, b, key):
    with pytest.raises(InvalidInput) as refused:
        shrink(setting, b)
    assert refused.value.key == key


# ---- wrong ways to shrink, found by Monte Carlo

LEVELS = (0.3,) * 8 + (2.0,) * 8
STANDARD = Setting(
    data=Data(kind="gaussian", spectrum=LEVELS, samples=800),
    labels=Labels(kind="classes"),
    network=Network(kind="mlp", hidden=(128, 64), bias=True),
    training=Training(loss="cross-entropy", learning_rate=0.01, momentum=0.9, batch_size=20, steps=(0, 800)),
    ensemble=Ensemble(replicas=24, dtype="float32"),
)
NTK = changed(
    STANDARD,
    network={"parametrization": "ntk", "bias": False},
    training={"learning_rate": 1.0, "momentum": 0.5},
)
FULL_BATCH = changed(
    NTK, data={"samples": 400}, training={"batch_size": "full", "learning_rate": 0.5, "steps": (0, 80)}
)
B = 4
ONES = (1.0, 1.0, 1.0)

WRONG = {
    "widths alone": (NTK, {"data": {"samples": 800}, "training": {"steps": (0, 800)}}, None),
    "rows kept": (NTK, {"data": {"samples": 800}}, None),
    "one learning rate": (STANDARD, {}, ONES),
    "second width kept": (STANDARD, {"network": {"hidden": (32, 64)}}, None),
    "epochs of full batches": (FULL_BATCH, {"training": {"steps": (0, 80)}}, None),
}


@pytest.fixture(scope="module")
def full_size():
    """Each full-size ensemble, trained once."""
    return {id(setting): movements(simulate.run(setting))[-1] for setting in (STANDARD, NTK, FULL_BATCH)}


def most_and_least(setting, full, ensemble):
    """Bounds of the largest |relative error of τ|, six standard errors wide on each side: false below 1e-8."""
    measured = movements(ensemble)[-1]
    error = np.abs(relative(measured, full)[0])
    margin = 6 * np.hypot(measured.change_se, full.change_se) / full.tau
    return np.max(error + margin), np.max(error - margin)


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_way_to_shrink_is_seen_to_be_worse(wrong, full_size):
    setting, tables, factors = WRONG[wrong]
    small = changed(shrink(setting, B), ensemble={"seed": 1, "replicas": B * setting.ensemble.replicas})
    right, planted = (
        simulate.run(each, kernel=LayerFactors(rates))
        for each, rates in (
            (small, layer_factors(setting.network, B)),
            (changed(small, **tables), factors or layer_factors(setting.network, B)),
        )
    )
    most, _ = most_and_least(setting, full_size[id(setting)], right)
    _, least = most_and_least(setting, full_size[id(setting)], planted)
    assert least > most
