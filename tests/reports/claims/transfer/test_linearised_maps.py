"""Signs on maps by linearised training: planted failures that the rule detects, and the networks that it is about."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from reports.claims.claim import Case, Context
from reports.claims.transfer.digits import Digits
from reports.claims.transfer.effects import measure_effects
from reports.claims.transfer.linearised_maps import (
    LinearisedEffects,
    LinearisedGains,
    gains_by_linearisation,
    judge_maps,
    kernels_at_switch,
    measure_linearised,
)
from reports.claims.transfer.tangent_gains import silent
from simulate.devices import one_thread, resolve
from simulate.networks import forward
from simulate.transfer.experiment import Engine
from theory.errors import Diverged
from theory.network.empirical import empirical_ntk
from theory.transfer import KernelNumbers, MeanGain, kernel_numbers, linearised_training
from theory.transfer.training_transfer import mean_over_steps

NUMBERS = KernelNumbers(np.ones(8), np.ones(8), np.ones(8))
TINY = Digits(1.5, hidden=(8, 5), rows=40, batch=20, limit=4, until=False)


@pytest.fixture(autouse=True)
def _small_products():
    """They are fastest on one thread."""
    with one_thread():
        yield


def gain(value: float) -> MeanGain:
    return MeanGain(np.array([value]), value, None)


def point(real: float, predicted: float, *, loss: float = 0.3, squared: float = 1.0, noise: float = 0.01):
    """Eight replicas that gain about `real` over scratch in accuracy, and what is predicted of them."""
    scratch = 0.6 + 0.01 * np.random.default_rng(1).standard_normal(8)
    spread = noise * np.resize([1.0, -1.0], 8)
    accuracy = np.stack([scratch, scratch + real + spread])
    return LinearisedEffects(
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
        loss_gains=loss + spread,
        predicted=LinearisedGains(gain(predicted), gain(loss), gain(predicted)),
        squared_error=np.full(3, squared),
        before=NUMBERS,
        after=NUMBERS,
    )


REAL = [*np.linspace(0.05, 0.3, 13), *np.linspace(-0.4, -0.05, 12)]


def verdicts(points):
    return [found.verdict for found in judge_maps(points)]


def test_signs_that_are_all_right_hold_and_the_squared_error_is_seen_to_fail():
    """In loss all signs are positive, which a constant says as well: undecided."""
    found = judge_maps([point(real, real) for real in REAL])
    assert [each.verdict for each in found] == ["holds", "undecided", "holds", "holds"]
    assert [each.measurement for each in found] == [1.0, 1.0, 1.0, 13 / 25]
    assert found[3].kind == "control"
    assert "13 right by the better constant" in found[0].note
    assert "outputs are when training begins" in found[3].note


@pytest.mark.parametrize("wrong", [3, 12, 25])
def test_planted_flips_are_detected(wrong):
    """Three of 25 leave the lower end below .8; half of them, and all, refute."""
    points = [point(real, -real if number < wrong else real) for number, real in enumerate(REAL)]
    assert verdicts(points)[0] == ("undecided" if wrong == 3 else "refuted")


def test_predictions_of_other_points_are_detected():
    shuffled = np.random.default_rng(0).permutation(REAL)
    assert verdicts([point(real, other) for real, other in zip(REAL, shuffled, strict=True)])[0] == "refuted"


def test_the_old_condition_in_place_of_the_new_one_is_detected():
    """It calls every point positive."""
    assert verdicts([point(real, 1.0) for real in REAL])[0] == "refuted"


def test_one_sign_alone_shows_nothing():
    """25 of 25 right, as a constant has it; and with two exceptions, one of them missed, no better than it."""
    assert verdicts([point(abs(real), abs(real)) for real in REAL])[0] == "undecided"
    reals = [*np.abs(REAL), *np.abs(REAL), -0.1]
    assert verdicts([point(real, abs(real)) for real in reals])[0] == "undecided"


def test_a_control_that_is_right_does_not_hold():
    assert verdicts([point(real, real, squared=real) for real in REAL])[3] == "undecided"


def test_divergence_forbids_holds():
    points = [point(real, real) for real in REAL]
    assert verdicts([replace(points[0], diverged=1), *points[1:]])[0] == "undecided"


def test_nothing_decided_is_said():
    found = judge_maps([point(0.001, 1.0, noise=0.1, loss=0.0)])
    assert [each.measurement for each in found] == ["no sign is decided"] * 4
    assert [each.verdict for each in found] == ["undecided"] * 4
    assert not any("nan" in each.note for each in found)


def test_it_is_about_the_networks_that_are_trained():
    """Every replica's own networks, rows, labels and batches, one after the other; others give other numbers."""
    experiment = TINY.experiment(3)
    engine = Engine(experiment, resolve("cpu"), weights=False)
    trained = engine.upstream(silent)
    found = gains_by_linearisation(engine, trained)
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
    for found, parameters in zip(kernels_at_switch(engine, trained), (inputs.parameters, pretrained), strict=True):
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
    engine = Engine(msgspec.structs.replace(experiment, upstream=upstream), resolve("cpu"), weights=False)
    found = gains_by_linearisation(engine, engine.upstream(silent))
    assert np.abs(found.loss.each).max() < 1e-6  # the pretrained ones went through single precision


def test_no_finite_replica_is_no_gain():
    engine = Engine(TINY.experiment(2), resolve("cpu"), weights=False)
    trained = engine.upstream(silent)
    trained.ends.finite[...] = False
    with pytest.raises(Diverged, match="leaves no replica finite"):
        gains_by_linearisation(engine, trained)


def test_effects_are_those_of_the_experiment():
    tiny, context = Case("tiny", TINY.experiment(3), None, "outside"), Context(seed=999)
    found, expected = measure_linearised(tiny, context), measure_effects(tiny, context)
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(getattr(found, name), value)
    assert found.loss_gains.shape == found.predicted.accuracy.each.shape == (3,)
    assert found.squared_error.shape == found.before.trace.shape == found.after.trace.shape == (3,)
