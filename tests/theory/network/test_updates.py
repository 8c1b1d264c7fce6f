"""The update rules against torch.optim, step by step, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.oracles.linearised import optimizer_of
from theory.network.updates import Updates
from theory.setting import Training

TRAININGS = {
    "plain": Training(learning_rate=0.1),
    "drops": Training(learning_rate=0.1, drops=((0, 0.5), (3, 0.1)), momentum=0.4),
    "momentum": Training(learning_rate=0.1, momentum=0.9),
    "nesterov, decay": Training(learning_rate=0.1, momentum=0.7, nesterov=True, weight_decay=0.05),
    "decay": Training(learning_rate=0.1, weight_decay=0.2),
    "momentum, decay, l1": Training(learning_rate=0.1, momentum=0.5, weight_decay=0.2, l1=0.3),
    "adam": Training(learning_rate=0.1, optimizer="adam"),
    "adam, decay, l1, drops": Training(
        learning_rate=0.1, optimizer="adam", weight_decay=0.2, l1=0.1, drops=((2, 0.5),)
    ),
    "rmsprop": Training(learning_rate=0.1, optimizer="rmsprop", weight_decay=0.2),
    "signsgd": Training(learning_rate=0.1, optimizer="signsgd", weight_decay=0.2),
}


def gradients(seed=0, steps=8):
    """Two parameters' gradients at every step; one entry never has any."""
    generator = np.random.default_rng(seed)
    drawn = [(generator.standard_normal((2, 3)), generator.standard_normal(4)) for _ in range(steps)]
    for first, _ in drawn:
        first[0, 0] = 0.0
    return drawn


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("name", TRAININGS)
def test_every_rule_is_that_of_torch(name, kind):
    """θ_0 + δ after every step of an optimizer that is given the same gradients at the same parameters."""
    training = TRAININGS[name]
    generator = np.random.default_rng(1)
    start = generator.standard_normal((2, 3)), generator.standard_normal(4)
    weights = [torch.from_numpy(w.copy()) for w in start]
    optimizer = optimizer_of(training, weights)
    own = start if kind == "numpy" else tuple(map(torch.from_numpy, start))
    updates = Updates(training, own)
    for step, drawn in enumerate(gradients()):
        for w, g in zip(weights, drawn, strict=True):
            w.grad = torch.from_numpy(g) + training.l1 * w.sign()
        optimizer.param_groups[0]["lr"] = training.learning_rate_at(step)
        optimizer.step()
        updates.step([g.copy() if kind == "numpy" else torch.from_numpy(g.copy()) for g in drawn])
        for w, w0, change in zip(weights, start, updates.changes, strict=True):
            np.testing.assert_allclose(w0 + np.asarray(change), w.numpy(), rtol=1e-12, atol=1e-12)


def test_nesterov_by_hand():
    """η = 1, μ = ½, g = 1, 1: v = 1, 1.5 and steps of 1 + ½ v."""
    updates = Updates(Training(learning_rate=1.0, momentum=0.5, nesterov=True), [np.zeros(1)])
    updates.step([np.ones(1)])
    assert updates.changes[0].item() == -1.5
    updates.step([np.ones(1)])
    assert updates.changes[0].item() == -1.5 - 1.75


def test_the_start_is_left_as_it_is():
    start = np.ones(3)
    Updates(Training(weight_decay=0.1, momentum=0.5), [start]).step([np.ones(3)])
    assert start.tolist() == [1.0, 1.0, 1.0]
