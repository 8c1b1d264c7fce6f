"""Claim T1: gains predicted by theory's own transfer formulas, trained as in a plain loop, and able to say no."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

import simulate
from reports.claims.claim import Case, Context
from reports.claims.transfer import t1_linear_transfer as t1
from reports.judging.verify import fixed_rows
from theory.linear import full_batch
from theory.transfer import frozen_feature_transfer, initial_weight_transfer_of

QUICK = Context(seed=999)
CASES = {case.name: case for case in t1.cases(QUICK)}


def smaller(name: str, replicas: int) -> Case:
    setting = CASES[name].setting
    ensemble = msgspec.structs.replace(setting.ensemble, replicas=replicas)
    return replace(CASES[name], setting=msgspec.structs.replace(setting, ensemble=ensemble))


def trained(rows: np.ndarray, labels: np.ndarray, start: np.ndarray, rate: float, steps: int) -> np.ndarray:
    """Full-batch descent of one linear model (C, d), a step at a time."""
    w = start.copy()
    for _ in range(steps):
        w -= rate * (w @ rows.T - labels.T) @ rows / len(rows)
    return w


def literal_gains(case: Case) -> np.ndarray:
    """The gains of every replica or network, (R, 2, u, r), with NumPy and loops alone."""
    upstream, task, rows = case.setting, t1.downstream_of(case), fixed_rows(case.setting)
    total = upstream.ensemble.replicas
    first = simulate.replica_inputs(upstream, range(total))
    other = simulate.replica_inputs(task, range(total, 2 * total))
    fresh = other.parameters[0].numpy()
    readings = full_batch.predict(upstream, rows).readings
    trace = [np.repeat(reading.tau, reading.multiplicity).mean() for reading in readings]
    drawn = upstream.network.layer_variances[0] / rows.shape[1]

    def loss(weights: np.ndarray, number: int, step: int) -> float:
        labels = other.y[number].numpy()
        if case.name != t1.FEATURES:
            w = trained(rows, labels, weights[number], task.training.learning_rate, step)
            return ((w @ rows.T - labels.T) ** 2).mean() / 2
        layer = weights.reshape(-1, t1.WIDTH, rows.shape[1])[number]
        hidden = rows @ layer.T / np.sqrt(t1.WIDTH)
        second = trained(hidden, labels, np.zeros((t1.OUTPUTS, t1.WIDTH)), task.training.learning_rate, step)
        return ((second @ hidden.T - labels.T) ** 2).mean() / 2

    networks = total * t1.OUTPUTS // t1.WIDTH if case.name == t1.FEATURES else total
    gains = np.empty((networks, 2, len(readings), len(task.training.readings)))
    for at, length in enumerate(upstream.training.readings):
        rate = upstream.training.learning_rate
        after = np.stack(
            [
                trained(rows, y.numpy(), w.numpy(), rate, length)
                for y, w in zip(first.y, first.parameters[0], strict=True)
            ]
        )
        matched = fresh * np.sqrt(trace[at] / drawn)
        for number in range(networks):
            for i, step in enumerate(task.training.readings):
                pre = loss(after, number, step)
                gains[number, :, at, i] = loss(fresh, number, step) - pre, loss(matched, number, step) - pre
    return gains


@pytest.mark.parametrize(("name", "replicas"), [(t1.WEIGHTS, 6), (t1.DECAYS, 6), (t1.FEATURES, 128)])
def test_gains_are_those_of_a_plain_loop(name, replicas):
    case = smaller(name, replicas)
    literal, measured = literal_gains(case), t1.measure(case, QUICK)
    np.testing.assert_allclose(measured.gains, literal.mean(axis=0), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(measured.errors, literal.std(axis=0, ddof=1) / np.sqrt(len(literal)), rtol=1e-6)
    assert (measured.replicas, measured.diverged) == (len(literal), 0)


@pytest.mark.parametrize("name", [t1.WEIGHTS, t1.DECAYS])
def test_initial_weights_are_predicted_by_their_own_formula(name):
    case = CASES[name]
    predicted = t1.predict(case)
    found = initial_weight_transfer_of(case.setting, fixed_rows(case.setting), t1.downstream_of(case).training)
    np.testing.assert_allclose(predicted.gains[0], [each.raw for each in found], atol=1e-12)
    np.testing.assert_allclose(predicted.gains[1], [each.trace_matched for each in found], atol=1e-12)


@pytest.mark.parametrize("name", [t1.FEATURES, t1.CONTROL])
def test_features_are_predicted_by_theirs_and_the_control_wrongly_so(name):
    case = CASES[name]
    task, rows = t1.downstream_of(case), fixed_rows(case.setting)
    s, basis = np.linalg.eigh(rows.T @ rows / len(rows))
    squares = ((basis.T @ t1.teacher(task, rows)) ** 2).mean(axis=1)
    predicted = t1.predict(case)
    for at, reading in enumerate(full_batch.predict(case.setting, rows).readings):
        tau = np.repeat(reading.tau, reading.multiplicity)
        found = frozen_feature_transfer(s, tau, squares, t1.TASK.noise, len(rows), task.training)
        np.testing.assert_allclose(predicted.gains[1, at], found.trace_matched, atol=1e-12)


def test_the_teacher_is_the_one_that_made_the_labels():
    """What is left of noisy labels is the noise of the task: its variance, to six standard errors of χ²."""
    task, rows = t1.downstream_of(CASES[t1.WEIGHTS]), fixed_rows(CASES[t1.WEIGHTS].setting)
    noise = simulate.replica_inputs(task, range(200)).y.numpy() - rows @ t1.teacher(task, rows)
    assert abs(noise.var() / t1.TASK.noise - 1) < 6 * np.sqrt(2 / noise.size)


def test_cases_of_either_sign_are_fixed_beforehand():
    """Short and long pre-training: the signs of the two mechanisms are opposite, on average over draws of the rows.

    Short pre-training hardly turns features, so that on some rows, one draw in twenty, their gain is about nothing.
    """
    gains: dict[str, list[list[float]]] = {t1.WEIGHTS: [], t1.FEATURES: []}
    for seed in (0, 1, 2, 3, 5, 999):
        cases = {case.name: case for case in t1.cases(Context(seed=seed))}
        for name, found in gains.items():
            predicted = t1.predict(cases[name])
            found.append([predicted.gains[1, predicted.lengths.index(length), 0] for length in (t1.SHORT, t1.LONG)])
        assert np.all(t1.predict(cases[t1.DECAYS]).gains[0] > 0)
    weights, features = np.array(gains[t1.WEIGHTS]), np.array(gains[t1.FEATURES])
    assert np.all(weights[:, 0] < 0)
    assert np.all(weights[:, 1] > 0)
    assert np.all(features[:, 1] < 0)
    assert np.all(features[:, 0] > -1e-3)
    assert features[:, 0].mean() > 0.01


def test_a_wrong_sign_and_a_wrong_mechanism_are_refuted():
    case = smaller(t1.WEIGHTS, 2048)
    predicted, measured = t1.predict(case), t1.measure(case, QUICK)
    assert "refuted" not in {finding.verdict for finding in t1.decide(case, predicted, measured)}
    for wrong in (replace(predicted, gains=-predicted.gains), t1.predict(replace(case, kind="control"))):
        assert {finding.verdict for finding in t1.decide(case, wrong, measured)} == {"refuted"}
    control = replace(case, kind="control")
    (seen,) = (f for f in t1.decide(control, t1.predict(control), measured) if f"{t1.LONG} steps" in f.case)
    assert seen.verdict == "holds"
    assert {finding.verdict for finding in t1.decide(control, predicted, measured)} == {"undecided"}


def test_features_of_the_wrong_sign_are_refuted_and_few_decide_nothing():
    case = smaller(t1.FEATURES, 1024)
    predicted, measured = t1.predict(case), t1.measure(case, QUICK)
    assert "refuted" not in {finding.verdict for finding in t1.decide(case, predicted, measured)}
    wrong = replace(predicted, gains=-predicted.gains)
    assert {finding.verdict for finding in t1.decide(case, wrong, measured)} == {"refuted"}
    blind = replace(measured, errors=10 * measured.errors)
    assert "holds" not in {finding.verdict for finding in t1.decide(case, predicted, blind)}
    assert {f.verdict for f in t1.decide(case, predicted, replace(measured, diverged=1))} == {"undecided"}


def test_tables_and_figures_have_every_case():
    from reports.claims.claim import Outcome

    outcomes = []
    for name in CASES:
        case = smaller(name, 128)
        predicted, measured = t1.predict(case), t1.measure(case, QUICK)
        outcomes.append(Outcome(case, predicted, measured, t1.decide(case, predicted, measured)))
    (table,), (figure,) = t1.illustrate(tuple(outcomes))
    assert len(table.rows) == 2 * sum(len(outcome.measurement.lengths) for outcome in outcomes)
    assert [panel.title for panel in figure.panels] == [t1.WEIGHTS, t1.FEATURES]
