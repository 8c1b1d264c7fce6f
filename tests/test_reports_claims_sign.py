"""Claim F8: gains of every comparison by plain loops, counts by enumeration, and verdicts that can say no."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import msgspec
import numpy as np
import pytest
import torch
from scipy import stats

import simulate
from reports.claims.claim import Case, Context, Outcome
from reports.claims.transfer import f8_transfer_sign as f8
from reports.claims.transfer import sign_design as design
from reports.claims.transfer.sign_settings import Actual, Aligned, Linear, slanted
from simulate.networks import forward
from theory.linear import full_batch
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training
from theory.transfer import frozen_feature_transfer, initial_weight_transfer

QUICK = Context(seed=999)
CASES = {case.name: case for case in f8.cases(QUICK)}


def few(name: str, settings: int) -> Case:
    """A case with some of its settings."""
    case = CASES[name]
    ensemble = case.setting.ensemble
    each = ensemble.replicas // f8.MECHANISMS[name].settings
    setting = msgspec.structs.replace(
        case.setting, ensemble=msgspec.structs.replace(ensemble, replicas=settings * each)
    )
    return replace(case, setting=setting)


# ---- comparisons


def linear(frozen: bool, matched: bool, samples: int) -> Linear:
    """Five directions; 128 replicas are two networks of frozen features."""
    setting = Setting(
        data=Data(kind="gaussian", spectrum=(0.2, 0.5, 1.0, 1.5, 2.0), samples=samples, fixed=True),
        labels=Labels(variance=9.0, outputs=8),
        network=Network(init_variance=0.7),
        training=Training(learning_rate=0.1, steps=6),
        ensemble=Ensemble(replicas=128, seed=999),
    )
    return Linear(setting, 0.3, 3, 1.5, 0.2, matched, frozen)


def descend(x: np.ndarray, y: np.ndarray, w: np.ndarray, rate: float, steps: int) -> np.ndarray:
    """Full-batch descent of linear models w (C, d) on y (n, C)."""
    for _ in range(steps):
        w = w - rate * (w @ x.T - y.T) @ x / len(x)
    return w


@pytest.mark.parametrize("samples", [3, 12])
@pytest.mark.parametrize(("frozen", "matched"), [(False, False), (False, True), (True, True)])
def test_linear_gains_by_plain_loops_and_by_the_formulas(frozen: bool, matched: bool, samples: int) -> None:
    found = linear(frozen, matched, samples)
    x, upstream = found.rows, simulate.replica_inputs(found.setting, range(128))
    other = simulate.replica_inputs(found.task, range(128, 256))
    moment = x.T @ x / samples
    values, basis = np.linalg.eigh(moment)
    readings = full_batch.predict(found.setting, x).readings
    tau = np.repeat(readings[0].tau, readings[0].multiplicity)
    # the target: energies s_i w_i² ∝ s_i^2.5 that add up to 1, along every direction of the rows
    seen = values > 1e-9
    squares = np.where(seen, np.abs(values) ** 1.5, 0)
    squares /= values @ squares
    target = x @ basis @ np.sqrt(squares)
    assert np.mean(target**2) == pytest.approx(1)
    s, n, noise = np.where(seen, values, 0), samples, 0.2
    rate = 0.3 / max(values[-1] * tau.mean() if frozen else 0, np.max(s * tau) if frozen else values[-1])
    training = Training(learning_rate=rate, steps=3)
    if frozen:
        formula = frozen_feature_transfer(s, tau, squares, noise, n, training).trace_matched[0]
        unit = (1 + noise) / 2
    else:
        given = initial_weight_transfer(s, tau, training, init_variance=0.7 / 5)
        formula = (given.trace_matched if matched else given.raw)[0]
        unit = (1 + noise + max(s @ tau, s.sum() * (tau.mean() if matched else 0.14))) / 2
    assert found.predict() == pytest.approx(formula / unit, rel=1e-9)

    ratio = np.sqrt(tau.mean() / 0.14) if matched else 1.0
    after = [descend(x, y, w, 0.1, 6) for y, w in zip(upstream.y.numpy(), upstream.parameters[0].numpy(), strict=True)]
    fresh = list(ratio * other.parameters[0].numpy())
    labels = other.y.numpy() + target[:, None]
    gains = []
    for number in range(2 if frozen else 128):
        y, losses = labels[number], []
        for weights in (fresh, after):
            if frozen:
                rows = x @ np.concatenate(weights[64 * number : 64 * number + 64]).T / np.sqrt(512)
                w = descend(rows, y, np.zeros((8, 512)), rate, 3)
            else:
                rows, w = x, descend(x, y, weights[number], rate, 3)
            losses.append(np.mean((w @ rows.T - y.T) ** 2) / 2)
        gains.append((losses[0] - losses[1]) / unit)
    realised = found.realise()
    assert realised.gain == pytest.approx(np.mean(gains), rel=1e-7)
    assert realised.error == pytest.approx(np.std(gains, ddof=1) / np.sqrt(len(gains)), rel=1e-6)
    assert (realised.trainings, realised.diverged) == (len(gains), 0)


def actual(kept: bool, filters: bool = False) -> Actual:
    network = Network(kind="mlp", hidden=(7, 6), activation="erf", parametrization="ntk")
    data = Data(kind="digits", samples=5)
    if filters:
        network = Network(kind="conv", filters=3, hidden=(6,), activation="erf", parametrization="ntk")
        data = Data(kind="photographs", crop=(4, 4), samples=5)
    setting = Setting(
        data=data,
        labels=Labels(variance=2.0, outputs=2 if filters else 10),
        network=network,
        training=Training(learning_rate=0.3, steps=20),
        ensemble=Ensemble(replicas=1, seed=999),
    )
    return Actual(setting, 0.5, 4, kept)


@pytest.mark.parametrize(("kept", "filters"), [(True, False), (False, False), (True, True)])
def test_an_actual_network_by_autograd(kept: bool, filters: bool) -> None:
    """Trained, and as its own linearisation, one step after the other."""
    found = actual(kept, filters)
    setting = found.setting
    upstream = simulate.replica_inputs(setting, [0])
    task = simulate.replica_inputs(msgspec.structs.replace(setting, labels=Labels(kind="real")), [0])
    assert torch.equal(upstream.x, task.x)
    x, y = task.x, task.y[0]

    def outputs(parameters):
        return forward(setting.network, tuple(parameters), x)[0]

    def trained(parameters, labels, rate, steps):
        for _ in range(steps):
            parameters = [w.detach().requires_grad_() for w in parameters]
            loss = (outputs(parameters) - labels).square().sum() / (2 * len(labels))
            parameters = [w - rate * g for w, g in zip(parameters, torch.autograd.grad(loss, parameters), strict=True)]
        return [w.detach() for w in parameters]

    def kernel(parameters):
        parameters = [w.detach().requires_grad_() for w in parameters]
        rows = [
            torch.cat([g.flatten() for g in torch.autograd.grad(f, parameters, retain_graph=True)])
            for f in outputs(parameters).flatten()
        ]
        jacobian = torch.stack(rows)
        return (jacobian @ jacobian.T).numpy()

    before = list(upstream.parameters)
    after = trained(before, upstream.y[0], 0.3, 20)
    if not kept:
        after[-1] = before[-1]
    kernels = [kernel(start) for start in (before, after)]
    rate = 0.5 * len(y) / max(np.linalg.norm(each, 2) for each in kernels)
    real, linearised = [], []
    for start, own in zip((before, after), kernels, strict=True):
        residual = (outputs(start) - y).detach().numpy().ravel()
        ends = residual.copy()
        for _ in range(4):
            ends = ends - rate / len(y) * own @ ends
        linearised.append([part @ part / (2 * len(y)) for part in (residual, ends)])
        final = outputs(trained(start, y, rate, 4)) - y
        real.append(float(final.square().sum() / (2 * len(y))))
    unit = max(linearised[0][0], linearised[1][0])
    assert found.predict() == pytest.approx((linearised[0][1] - linearised[1][1]) / unit, rel=1e-8)
    realised = found.realise()
    assert realised.gain == pytest.approx((real[0] - real[1]) / unit, rel=1e-8)
    assert (realised.trainings, realised.diverged) == (1, 0)
    assert 0 < realised.error < 1e-9 * abs(realised.gain)
    assert not np.isclose(found.predict(), realised.gain, rtol=1e-4)  # it is a linearisation, after all


def test_pre_training_that_diverges_predicts_nothing() -> None:
    found = actual(True)
    training = msgspec.structs.replace(found.setting.training, learning_rate=1e6, steps=200)
    wild = replace(found, setting=msgspec.structs.replace(found.setting, labels=Labels(outputs=10), training=training))
    linear_network = Network(kind="mlp", hidden=(7,), activation="relu", parametrization="ntk")
    wild = replace(wild, setting=msgspec.structs.replace(wild.setting, network=linear_network))
    assert np.isnan(wild.predict())
    assert wild.realise().diverged == 1


@pytest.mark.parametrize("samples", [4, 30])
def test_targets_and_weights_are_slanted(samples: int) -> None:
    rows = np.random.default_rng(999).standard_normal((samples, 6)) * np.sqrt([4, 2, 1, 1, 0.5, 0.2])
    values, basis = np.linalg.eigh(rows.T @ rows / samples)
    values, basis = values[-min(samples, 6) :], basis[:, -min(samples, 6) :]
    energies = (rows @ basis / np.sqrt(values)).T @ slanted(rows, -1.3) / samples
    np.testing.assert_allclose(energies**2, values**-1.3 / np.sum(values**-1.3), rtol=1e-8)
    law = Aligned("slanted", (1,), exponent=-0.7).law(rows)
    np.testing.assert_allclose(basis.T @ law @ basis, np.diag(values**-0.7 * 6 / np.sum(values**-0.7)), atol=1e-8)


# ---- the design


@pytest.mark.parametrize("draw", [*design.MECHANISMS])
def test_the_design_is_fixed_whatever_the_seed(draw) -> None:
    """Another seed draws other rows and labels of the same settings; no setting is there twice."""
    first, second = ([design.comparison(draw, number, seed) for number in range(12)] for seed in (7, 7000))
    assert first == [design.comparison(draw, number, 7) for number in range(12)]
    for a, b in zip(first, second, strict=True):
        assert a != b
        ensemble = msgspec.structs.replace(b.setting.ensemble, seed=a.setting.ensemble.seed)
        assert a == replace(b, setting=msgspec.structs.replace(b.setting, ensemble=ensemble))
    assert len({msgspec.json.encode(each.setting) for each in first}) == 12


def test_a_larger_budget_goes_on_with_the_same_settings() -> None:
    some, more = (f8.comparisons(few(f8.INITIAL, settings)) for settings in (2, 5))
    assert len(more) == 5
    assert more[:2] == some
    for quick, full in zip(f8.cases(QUICK), f8.cases(Context(budget="full", seed=999)), strict=True):
        assert full.setting.ensemble.replicas == 8 * quick.setting.ensemble.replicas
        assert quick == few(quick.name, f8.MECHANISMS[quick.name].settings)
    assert 8 * sum(mechanism.settings for name, mechanism in f8.MECHANISMS.items() if name != f8.CONTROL) >= 100


# ---- counts and verdicts

PREDICTED = np.array([0.5, -0.2, 0.04, -0.02, 0.002, -0.2, 0.4, 0.001])
SIGNS = np.array([1.0, -1.0, 0.0, 1.0, -1.0, -1.0, -1.0, 1.0])


def realised(signs: np.ndarray, diverged: int = 0) -> f8.Realised:
    return f8.Realised(signs * 0.1, np.full(len(signs), 0.01), signs, len(signs), diverged)


def test_counts_bins_and_intervals() -> None:
    every = f8.count(PREDICTED, realised(SIGNS))
    assert (every.settings, every.decided, every.right) == (8, 7, 4)
    low, high = every.interval
    assert stats.binom.sf(3, 7, low) == pytest.approx(0.025)
    assert stats.binom.cdf(4, 7, high) == pytest.approx(0.025)
    parts = f8.binned(PREDICTED, realised(SIGNS))
    assert [(part.settings, part.decided, part.right) for part in parts] == [
        (2, 2, 1),
        (0, 0, 0),
        (1, 1, 0),
        (1, 0, 0),
        (4, 4, 3),
    ]
    assert parts[1].share is None
    assert parts[1].interval is None


def test_chances_by_every_permutation() -> None:
    decided = SIGNS != 0
    shares = [np.mean(np.sign(each) == SIGNS[decided]) for each in permutations(PREDICTED[decided])]
    mean, pvalue = f8.chances(PREDICTED, realised(SIGNS))
    assert mean == pytest.approx(np.mean(shares))
    assert pvalue == pytest.approx(np.mean(np.array(shares) >= 4 / 7 - 1e-12))


def verdict(name: str, predicted: np.ndarray, signs: np.ndarray, diverged: int = 0) -> str:
    (finding,) = f8.decide(CASES[name], predicted, realised(signs, diverged))
    return finding.verdict


def test_verdicts() -> None:
    rng = np.random.default_rng(999)
    predicted = rng.uniform(0.1, 1, 40) * rng.choice([-1, 1], 40)
    signs = np.sign(predicted)
    for name in (f8.INITIAL, f8.KERNEL):
        assert verdict(name, predicted, signs) == "holds"
        assert verdict(name, predicted, signs, diverged=1) == "undecided"
        assert verdict(name, predicted[:10], signs[:10]) == "undecided"
        assert verdict(name, predicted, 0 * signs) == "undecided"
        assert verdict(name, -predicted, signs) == "refuted"
        assert verdict(name, rng.permutation(predicted), signs) == "refuted"
    wrong = np.arange(40) < 6
    six = np.where(wrong, -signs, signs)  # of forty: more than chance makes of a size of .005
    assert verdict(f8.INITIAL, predicted, six) == "refuted"
    assert verdict(f8.KERNEL, np.where(wrong, 0.02 * signs, predicted), six) == "undecided"
    assert verdict(f8.CONTROL, rng.permutation(predicted), signs) == "holds"
    assert verdict(f8.CONTROL, predicted, signs) == "undecided"


# ---- the claim


# settings of which the gain is predicted to be far beyond the margin
CLEAR = {f8.INITIAL: 10, f8.FEATURES: 5, f8.KERNEL: 10, f8.KEPT: 12, f8.ACTUAL: 14}


@pytest.mark.parametrize("name", CLEAR)
def test_networks_are_near_their_prediction(name: str) -> None:
    """Within the margin and eight standard errors; of the other sign they would not be."""
    mechanism = f8.MECHANISMS[name]
    found = design.comparison(mechanism.draw, CLEAR[name], CASES[name].setting.ensemble.seed)
    predicted, measured = found.predict(), found.realise()
    allowed = mechanism.margin + 8 * measured.error
    assert abs(measured.gain - predicted) <= allowed < abs(measured.gain + predicted)
    assert measured.diverged == 0


def test_opposite_signs_are_refuted() -> None:
    case = few(f8.INITIAL, 7)
    predicted, measured = f8.predict(case), f8.measure(case, QUICK)
    every = f8.count(predicted, measured)
    assert every.right == every.decided >= 4
    for given, verdict in ((predicted, "undecided"), (-predicted, "refuted")):
        assert f8.decide(case, given, measured)[0].verdict == verdict


def test_the_control_shuffles_and_nothing_else() -> None:
    case = few(f8.CONTROL, 6)
    honest = f8.predict(replace(case, kind="exact"))
    shuffled = f8.predict(case)
    assert sorted(shuffled) == sorted(honest)
    assert not np.array_equal(shuffled, honest)
    np.testing.assert_array_equal(shuffled, f8.predict(case))


def test_table_and_figure() -> None:
    outcomes = []
    for name in (f8.INITIAL, f8.ACTUAL):
        case, found = CASES[name], realised(SIGNS)
        outcomes.append(Outcome(case, PREDICTED, found, f8.decide(case, PREDICTED, found)))
    (table,), (figure,) = f8.illustrate(tuple(outcomes))
    assert len(table.rows) == 2 * len(f8.EDGES)
    assert table.rows[len(f8.EDGES) - 1][1:6] == ("all", 8, 1, 4, 3)
    assert [panel.title for panel in figure.panels] == [f8.INITIAL, f8.ACTUAL]
    _, band, points = figure.panels[0].series
    np.testing.assert_allclose(points.y, [0.5, 0, 0.75])
    assert np.all((band.y - band.error <= points.y) & (points.y <= band.y + band.error))
    np.testing.assert_allclose(points.x, [np.sqrt(0.002 * 0.001), 0.02, (0.5 * 0.2 * 0.2 * 0.4) ** 0.25])
