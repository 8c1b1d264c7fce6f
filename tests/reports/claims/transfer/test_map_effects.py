"""What is measured on the maps of claim C3, and the networks that predictions are about."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch

from reports.claims.claim import Case, Context
from reports.claims.transfer import map_effects
from reports.claims.transfer.digits import Digits
from reports.claims.transfer.effects import measure_effects
from reports.claims.transfer.map_effects import condition_at_switch, gains_of, kernels_of, measure_mapped
from reports.claims.transfer.map_points import LINE
from simulate.devices import one_thread, resolve
from simulate.networks import forward
from simulate.transfer.experiment import Engine, silent
from theory.errors import Diverged
from theory.network.empirical import empirical_ntk
from theory.transfer import kernel_numbers, linearised_training
from theory.transfer.training_transfer import mean_over_steps

TINY = Digits(1.5, hidden=(8, 5), rows=40, batch=20, limit=4, until=False)


@pytest.fixture(autouse=True)
def _small_products():
    """Run on one thread, on which small products are fastest."""
    with one_thread():
        yield


def test_it_is_about_the_networks_that_are_trained():
    """Every replica's own networks, rows, labels and batches, one after the other; others give other numbers."""
    experiment = TINY.experiment(3)
    engine = Engine(experiment, resolve("cpu"), weights=False)
    trained = engine.upstream(silent)
    found = gains_of(condition_at_switch(engine, trained))
    training = experiment.downstream.training

    def accuracy(parameters, down, subtracted):
        curves = linearised_training(
            engine.network, training, parameters, down.x, down.y, batches=down.orders, subtracted=subtracted
        )
        return mean_over_steps(training.readings, curves.train_accuracy.numpy())[0]

    for subtracted, gains in ((False, found.accuracy), (True, found.by_kernels)):
        for replica in range(3):
            down = engine.draws.take([replica]).downstream
            own, other = ([w[r : r + 1].double() for w in trained.parameters] for r in (replica, (replica + 1) % 3))
            scratch = accuracy(down.parameters, down, subtracted)
            assert gains.each[replica] == pytest.approx(accuracy(own, down, subtracted) - scratch, abs=1e-12)
            assert gains.each[replica] != pytest.approx(accuracy(other, down, subtracted) - scratch, abs=1e-4)


def test_kernels_are_those_of_each_network_before_and_after():
    engine = Engine(TINY.experiment(2), resolve("cpu"), weights=False)
    trained = engine.upstream(silent)
    inputs = engine.draws.take([0, 1]).downstream
    pretrained = [w.double() for w in trained.parameters]
    for found, parameters in zip(
        kernels_of(condition_at_switch(engine, trained)), (inputs.parameters, pretrained), strict=True
    ):
        for r in range(2):
            kernel = empirical_ntk(
                lambda w, x: forward(engine.network, tuple(one[None] for one in w), x[None])[0],
                tuple(w[r] for w in parameters),
                inputs.x[r, :30],
                full=True,
            )
            alone = kernel_numbers(kernel[None])
            assert found.trace[r] == pytest.approx(alone.trace[0], rel=1e-9)
            assert found.effective_rank[r] == pytest.approx(alone.effective_rank[0], rel=1e-9)


def test_untrained_networks_gain_nothing():
    experiment = TINY.experiment(2)
    still = msgspec.structs.replace(experiment.upstream.training, steps=0)
    upstream = msgspec.structs.replace(experiment.upstream, training=still)
    still_case = Case("still", msgspec.structs.replace(experiment, upstream=upstream), None, "outside")
    found = measure_mapped(still_case, Context())
    assert np.abs(found.linearised.loss.each).max() < 1e-6  # the pretrained ones went through single precision
    assert np.abs(found.by_squared_error).max() < 1e-6


def test_no_finite_replica_is_no_gain():
    engine = Engine(TINY.experiment(2), resolve("cpu"), weights=False)
    trained = engine.upstream(silent)
    trained.ends.finite[...] = False
    with pytest.raises(Diverged, match="leaves no replica finite"):
        gains_of(condition_at_switch(engine, trained))


def test_effects_are_those_of_the_experiment():
    tiny, context = Case("tiny", TINY.experiment(3), None, "outside"), Context(seed=999)
    found, expected = measure_mapped(tiny, context), measure_effects(tiny, context)
    assert found.treatments == ("scratch", "pretrained")  # rescaled networks are shown on the line alone
    for name, value in vars(expected).items():
        trained = value[:2] if name in ("treatments", "curves", "accuracy", "active") else value
        np.testing.assert_array_equal(getattr(found, name), trained)
    assert found.loss_gains.shape == found.linearised.accuracy.each.shape == (3,)
    assert found.by_squared_error.shape == (3,)
    assert found.before is None
    assert found.after is None
    shown = measure_mapped(replace(tiny, study=LINE[0]), context)
    np.testing.assert_array_equal(shown.accuracy, expected.accuracy)
    assert shown.before is not None
    assert shown.after is not None
    assert shown.before.trace.shape == shown.after.trace.shape == (3,)
    assert not np.array_equal(shown.before.trace, shown.after.trace)


def test_the_squared_error_is_that_of_plain_loops(monkeypatch):
    """Gradients one by one, descent of the linearised networks step by step, trapezoids by hand."""
    monkeypatch.setattr(map_effects, "ROWS", 4)
    experiment = TINY.experiment(2)
    found = measure_mapped(Case("tiny", experiment, None, "outside"), Context()).by_squared_error
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
