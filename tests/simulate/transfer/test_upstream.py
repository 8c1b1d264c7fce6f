"""Upstream training: each replica ends at its own first good check."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch

from simulate.networks import forward
from simulate.transfer import run
from simulate.transfer.draws import TransferDraws
from simulate.transfer.upstream import train_upstream
from tests.oracles.training import naive_train
from tests.simulate.transfer.experiments import bits, filters, small
from theory.setting import (
    Setting,
    Until,
)


@pytest.mark.parametrize("until", [Until(accuracy=0.7), Until(loss=0.8, every=5), Until(accuracy=1.0)])
@pytest.mark.parametrize("network", [{}, {"bias": True, "train": "first"}])
def test_each_replica_ends_at_its_own_first_good_check(until, network):
    """Steps and weights are those of a loop of nn.Module and torch.optim that is read at every check."""
    experiment = small(replicas=6, until=until, **network)
    setting, inputs = experiment.upstream_setting, TransferDraws(experiment).take(range(6)).upstream
    ended = train_upstream(setting, until, inputs)
    every = 26 // 8 if until.every == "epoch" else until.every
    checks = (*range(0, 30, every), 30)
    read = naive_train(with_steps(setting, checks), inputs)
    for replica in range(6):
        step, fitted = first_good(setting, until, read, inputs, checks, replica)
        assert (int(ended.steps[replica]), bool(ended.fitted[replica])) == (step, fitted)
        for mine, theirs in zip(ended.parameters, read[step], strict=True):
            torch.testing.assert_close(mine[replica], theirs[replica], rtol=1e-9, atol=1e-11)


def test_the_checks_of_replicas_differ():
    """Replicas end at more than two different checks; otherwise the test above would show nothing."""
    steps = run(small(kinds=("scratch",), replicas=12, until=Until(accuracy=0.7))).upstream.steps
    assert len(set(steps.tolist())) > 2


def with_steps(setting: Setting, steps: tuple[int, ...]) -> Setting:
    return msgspec.structs.replace(setting, training=msgspec.structs.replace(setting.training, steps=steps))


def first_good(setting, until, read, inputs, checks, replica) -> tuple[int, bool]:
    y = inputs.y[replica]
    for step in checks:
        one = tuple(w[replica : replica + 1] for w in read[step])
        outputs = forward(setting.network, one, inputs.x[replica : replica + 1])[0]
        accuracy = (outputs.argmax(1) == y).double().mean()
        loss = torch.nn.functional.cross_entropy(outputs, y)
        if (accuracy >= until.accuracy) if until.accuracy else (loss <= until.loss):
            return step, True
    return checks[-1], False


def test_filters_are_trained_until_they_fit(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((40, 2, 5, 5)))
    experiment = filters(str(tmp_path / "x.npy"))
    result = run(experiment)
    assert result.upstream.fitted.all()
    assert (result.upstream.accuracy == 1).all()
    assert result["covariance"].weights[0].second_moment.shape == (18, 18)
    assert result["scratch"].layers.active.shape == (3, 2, 2)
    assert bits(run(experiment, chunk=1)) == bits(result)
