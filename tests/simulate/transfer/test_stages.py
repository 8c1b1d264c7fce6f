"""Stages of upstream training, against experiments that end there."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch

from simulate.transfer import run_with_networks
from simulate.transfer.experiment import Engine
from simulate.transfer.stages import train_stages
from tests.simulate.transfer.experiments import bits, in_single, small
from theory.errors import Diverged, InvalidInput
from theory.setting import Until


def silent(count):
    """No progress is shown."""


def engine_of(experiment):
    return Engine(experiment, torch.device("cpu"), weights=False)


@pytest.mark.parametrize("network", [{}, {"hidden": (8,), "activation": "tanh"}, {"bias": True}])
def test_a_stage_is_an_experiment_that_ends_there(network):
    """Bits agree upstream and after every treatment, including those that draw from other replicas."""
    experiment = in_single(small(kinds=("scratch", "pretrained", "covariance"), steps=30, **network))
    engine = engine_of(experiment)
    for step, trained in zip((0, 7, 30), train_stages(engine, (0, 7, 30), silent), strict=True):
        training = msgspec.structs.replace(experiment.upstream.training, steps=step)
        upstream = msgspec.structs.replace(experiment.upstream, training=training)
        shorter, switched = run_with_networks(msgspec.structs.replace(experiment, upstream=upstream), weights=False)
        for mine, other in zip(trained.parameters, switched.trained.parameters, strict=True):
            assert torch.equal(mine, other)
        np.testing.assert_array_equal(trained.ends.steps, switched.ends.steps)
        np.testing.assert_array_equal(trained.ends.accuracy, switched.ends.accuracy)
        assert bits(engine.downstream(trained, silent)) == bits(shorter)


def test_progress_counts_replicas():
    told = []
    train_stages(engine_of(small(replicas=5)), (0, 30), told.append)
    assert sum(told) == 5


@pytest.mark.parametrize("steps", [(), (0, 7), (7, 0, 30), (-1, 30), (30, 30)])
def test_other_steps_are_refused(steps):
    with pytest.raises(InvalidInput, match="must ascend"):
        train_stages(engine_of(small()), steps, silent)


def test_a_criterion_is_refused():
    with pytest.raises(InvalidInput, match=r"upstream\.until"):
        train_stages(engine_of(small(until=Until(loss=0.5))), (30,), silent)


def test_divergence_is_said():
    experiment = small(replicas=3, activation="identity")
    training = msgspec.structs.replace(experiment.upstream.training, learning_rate=1e30)
    upstream = msgspec.structs.replace(experiment.upstream, training=training)
    with pytest.raises(Diverged, match="replicas finite"):
        train_stages(engine_of(msgspec.structs.replace(experiment, upstream=upstream)), (0, 30), silent)
