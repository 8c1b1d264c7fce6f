"""Signs on the maps of claim C3: kernel gains against plain loops, and a share that a wrong sign lowers."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch
from scipy import stats

from reports.claims.claim import Case, Context
from reports.claims.transfer import map_signs
from reports.claims.transfer.digits import Digits
from reports.claims.transfer.effects import Effects, measure_effects
from reports.claims.transfer.map_signs import MappedEffects, agreement, measure_mapped
from reports.claims.transfer.tangent_gains import silent
from simulate.devices import resolve
from simulate.transfer.experiment import Engine
from tests.reports.claims.transfer.made import mapped as mapped_effects

TINY = Digits(1.5, hidden=(8, 5), rows=40, batch=20, limit=4, until=False)


def mapped(gain: float, predicted: float, *, noise: float = 0.01) -> MappedEffects:
    """Eight replicas that gain about as much over scratch, and three networks whose kernels say `predicted`."""
    scratch = 0.6 + 0.01 * np.random.default_rng(1).standard_normal(8)
    accuracy = np.stack([scratch, scratch + gain + noise * np.resize([1.0, -1.0], 8)])
    effects = Effects(
        treatments=("scratch", "pretrained"),
        steps=np.array([0, 6]),
        curves=np.repeat(accuracy[:, :, None], 2, axis=2),
        accuracy=accuracy,
        active=np.full((2, 8, 2, 2), 0.5),
        upstream_accuracy=np.ones(8),
        upstream_steps=np.full(8, 10),
        fitted=8,
        replicas=8,
        diverged=0,
    )
    return mapped_effects(effects, predicted)


GAINS = (0.1, -0.1, 0.2, -0.2, 0.05, -0.05)


def test_a_planted_flip_lowers_the_share():
    """All right, one wrong, all wrong; the interval is that of the beta quantiles."""
    for wrong in (0, 1, 6):
        signs = [-1 if number < wrong else 1 for number in range(6)]
        found = agreement([mapped(g, s * g) for g, s in zip(GAINS, signs, strict=True)])
        right = 6 - wrong
        assert found.measurement == right / 6
        low = stats.beta.ppf(0.025, right, 7 - right) if right else 0.0
        high = stats.beta.ppf(0.975, right + 1, 6 - right) if right < 6 else 1.0
        assert found.interval == pytest.approx((low, high), abs=1e-9)
        assert (found.kind, found.verdict) == ("outside", "outside the hypotheses")


def test_undecided_points_do_not_count():
    noise = mapped(0.001, -0.1, noise=0.1)
    found = agreement([*(mapped(g, g) for g in GAINS[:3]), noise])
    assert found.measurement == 1.0
    assert found.power == "4 points, 1 of them undecided"
    none = agreement([noise])
    assert (none.measurement, none.interval) == ("no sign is decided", None)
    assert "nan" not in none.note


def test_predictions_of_one_sign_are_no_better_than_shuffled():
    found = agreement([mapped(g, -1.0) for g in GAINS])
    assert found.measurement == 0.5
    assert "0.50 by shuffled predictions, which do as well with probability 1" in found.note


def test_kernel_gains_are_those_of_plain_loops(monkeypatch):
    """Gradients one by one, descent of the linearised networks step by step, trapezoids by hand."""
    monkeypatch.setattr(map_signs, "ROWS", 4)
    experiment = TINY.experiment(2)
    found = measure_mapped(Case("tiny", experiment, None, "outside"), Context()).predicted
    engine = Engine(experiment, resolve("cpu"), None)
    trained = engine.upstream(silent)
    assert found.shape == (2,)
    steps = experiment.downstream.training.readings
    for replica in range(2):
        inputs = engine.draws.take([replica])
        rows = inputs.downstream.x[0, :4]
        labels = np.full((4, 10), -0.1)
        for row, label in enumerate(inputs.downstream.y[0, :4].tolist()):
            labels[row, label] += 1
        kernels, outputs = [], []
        for weights in ([w[0] for w in inputs.init], [w[replica].double() for w in trained.parameters]):
            gradients, values = [], []
            for row in rows:
                for output in range(10):
                    own = [w.clone().requires_grad_() for w in weights]
                    value = torch.relu(torch.relu(row @ own[0].T) @ own[1].T) @ own[2][output]
                    gradients.append(torch.cat([g.flatten() for g in torch.autograd.grad(value, own)]))
                    values.append(value.item())
            matrix = torch.stack(gradients)
            kernels.append((matrix @ matrix.T).numpy())
            outputs.append(np.array(values))
        rate = 0.5 / max(np.linalg.norm(kernel, 2) / 4 for kernel in kernels)
        losses = []
        for kernel, output in zip(kernels, outputs, strict=True):
            curve = []
            for step in range(steps[-1] + 1):
                if step in steps:
                    curve.append(((output - labels.ravel()) ** 2).sum() / 8)
                output = output - rate * kernel @ (output - labels.ravel()) / 4
            losses.append(curve)
        gain = [(before - after) / max(losses[0][0], losses[1][0]) for before, after in zip(*losses, strict=True)]
        area = sum((steps[k + 1] - steps[k]) * (gain[k] + gain[k + 1]) / 2 for k in range(len(steps) - 1))
        assert found[replica] == pytest.approx(area / steps[-1], rel=1e-9, abs=1e-12)
    assert np.abs(found).min() > 1e-3


def test_untrained_networks_gain_nothing():
    experiment = TINY.experiment(2)
    still = msgspec.structs.replace(experiment.upstream.training, steps=0)
    upstream = msgspec.structs.replace(experiment.upstream, training=still)
    still_case = Case("still", msgspec.structs.replace(experiment, upstream=upstream), None, "outside")
    assert np.abs(measure_mapped(still_case, Context()).predicted).max() < 1e-6  # trained in float32


def test_effects_are_those_of_the_experiment():
    tiny, context = Case("tiny", TINY.experiment(3), None, "outside"), Context(seed=999)
    found, expected = measure_mapped(tiny, context), measure_effects(tiny, context)
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(getattr(found, name), value)
    assert found.predicted.shape == (3,)
