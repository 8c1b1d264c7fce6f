"""The condition at the switch: of the very networks that are trained, block by block, whoever computes it."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch

import reports.transfer.condition as module
import simulate.transfer
from reports.experiment_file import load
from reports.transfer.condition import condition, conditions, linearise
from simulate.devices import one_thread
from simulate.networks import forward
from tests.reports.experiments import REST, UPSTREAM
from tests.simulate.transfer.experiments import squares
from theory.errors import InvalidInput
from theory.network.empirical import empirical_ntk
from theory.transfer import kernel_numbers, training_transfer


@pytest.fixture(scope="module")
def switched(tmp_path_factory):
    path = tmp_path_factory.mktemp("experiment") / "experiment.toml"
    path.write_text(UPSTREAM + REST)
    return simulate.transfer.train_upstream_alone(load(path))


def test_it_is_about_the_networks_that_would_be_trained(switched):
    """Replica by replica, each from its own treated parameters, on its own rows, labels and batches."""
    found = conditions(switched)
    experiment = switched.experiment
    kinds = [treatment for treatment in experiment.treatment.each if treatment.kind != "scratch"]
    assert [each.treatment for each in found] == [kind.name for kind in kinds]
    for kind, each in zip(kinds, found, strict=True):
        for replica in range(4):
            inputs, start = switched.downstream([replica]), switched.start(kind, [replica])
            for subtracted, gains in ((False, each.accuracy), (True, each.by_kernels)):
                alone = training_transfer(
                    experiment.upstream.network,
                    experiment.downstream.training,
                    start,
                    inputs.parameters,
                    inputs.x,
                    inputs.y,
                    batches=inputs.orders,
                    subtracted=subtracted,
                )
                assert gains.each[replica] == pytest.approx(alone.train_accuracy.mean, abs=1e-12)
            for parameters, numbers in ((inputs.parameters, each.before), (start, each.after)) if replica == 2 else ():
                kernel = empirical_ntk(
                    lambda w, x: forward(experiment.upstream.network, tuple(one[None] for one in w), x[None])[0],
                    tuple(w[0] for w in parameters),
                    inputs.x[0, : module.KERNEL_ROWS],
                    full=True,
                )
                assert numbers.trace[replica] == pytest.approx(kernel_numbers(kernel[None]).trace[0], rel=1e-9)


def same(some, others):
    for one, other in zip(some, others, strict=True):
        for name in ("accuracy", "loss", "by_kernels"):
            np.testing.assert_array_equal(getattr(one, name).each, getattr(other, name).each)
        for name in ("before", "after"):
            np.testing.assert_array_equal(getattr(one, name).trace, getattr(other, name).trace)


@pytest.mark.slow
def test_workers_give_the_same_bits(switched, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 2)
    same(conditions(switched), conditions(switched, processes=2))


def test_networks_that_diverged_upstream_are_left_out(switched):
    ends = switched.trained.ends
    finite = ends.finite.copy()
    finite[1] = False
    ends_left = type(ends)(ends.parameters, ends.steps, ends.fitted, ends.loss, ends.accuracy, finite)
    fewer = type(switched)(switched.engine, type(switched.trained)(ends_left, switched.trained.moment, ()))
    pretrained, _, _ = conditions(fewer)
    whole, _, _ = conditions(switched)
    assert pretrained.replicas == 3
    np.testing.assert_allclose(pretrained.accuracy.each, whole.accuracy.each[[0, 2, 3]], atol=1e-12)


def test_one_output_has_no_centred_kernel_and_no_accuracy():
    found = simulate.transfer.train_upstream_alone(squares(replicas=3))
    (pretrained,) = conditions(found)
    assert pretrained.accuracy is pretrained.before is pretrained.after is None
    assert pretrained.gain is pretrained.loss
    assert len(pretrained.by_kernels.each) == 3


def test_the_gradients_of_large_filters_are_not_formed(monkeypatch):
    from theory.setting import Network, Training

    monkeypatch.setattr(module, "KERNEL_HELD", 10)
    network = Network(kind="conv", filters=3, hidden=(4,), kernel=(2, 2))
    generator = torch.Generator().manual_seed(0)
    shapes = ((1, 3, 4), (1, 4, 27), (1, 2, 4))
    weights = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    rows, labels = torch.randn(1, 5, 1, 4, 4, generator=generator, dtype=torch.float64), torch.tensor([[0, 1, 0, 1, 0]])
    inputs = simulate.Inputs(rows, labels, tuple(weights), None)
    with one_thread():
        found = linearise(network, Training(loss="cross-entropy", learning_rate=0.1, steps=3), weights, inputs)
    assert found.kernels is None


def test_where_every_linearised_training_diverges_nothing_is_predicted(switched):
    inputs = switched.downstream([0, 1])
    training = msgspec.structs.replace(switched.experiment.downstream.training, learning_rate=1e308)
    network = switched.experiment.upstream.network
    (kind,) = [each for each in switched.experiment.treatment.each if each.kind == "pretrained"]
    after, before = (
        linearise(network, training, parameters, inputs)
        for parameters in (switched.start(kind, [0, 1]), inputs.parameters)
    )
    found = condition("pretrained", training, after, before)
    assert found.gain is found.by_kernels is None
    assert found.before is not None
    assert found.unstable == 2


def test_linearised_losses_that_rise_are_counted(switched):
    """Ten times the rate is too much for the linearisations, finite as they stay."""
    assert [each.unstable for each in conditions(switched)] == [0, 0, 0]
    network, inputs = switched.experiment.upstream.network, switched.downstream([0, 1])
    training = msgspec.structs.replace(switched.experiment.downstream.training, learning_rate=30.0)
    only = linearise(network, training, inputs.parameters, inputs)
    assert np.all(only.whole.train_loss.numpy()[:, -1] > only.whole.train_loss.numpy()[:, 0])
    assert condition("pretrained", training, only, only).unstable == 2


def test_scratch_alone_is_refused(switched):
    experiment = msgspec.structs.replace(
        switched.experiment, treatment=msgspec.structs.replace(switched.experiment.treatment, kinds=("scratch",))
    )
    with pytest.raises(InvalidInput, match=r"treatment\.kinds"):
        module.require_others(experiment)
