"""Claim T1: gains predicted by theory's own transfer formulas, trained as in a plain loop, and able to say no."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from scipy.stats import norm

import simulate
from reports.claims.claim import Case, Context, Outcome
from reports.claims.transfer import t1_linear_transfer as t1
from reports.claims.transfer.pretraining import OUTPUTS, WIDTH, teacher
from reports.claims.transfer.t1_linear_transfer import (
    DECAYS,
    FEATURES,
    MISTAKEN,
    WEIGHTS,
    LinearStudy,
    TrainedLinearGains,
)
from reports.judging import intervals
from theory.linear import full_batch
from theory.transfer import frozen_feature_transfer, initial_weight_transfer_of

QUICK = Context(seed=999)


def case_of(study: LinearStudy, context: Context = QUICK) -> Case[LinearStudy]:
    (found,) = (case for case in t1.CLAIM.cases(context) if case.study == study)
    return found


def smaller(study: LinearStudy, replicas: int) -> Case[LinearStudy]:
    case = case_of(study)
    ensemble = msgspec.structs.replace(case.setting.ensemble, replicas=replicas)
    return replace(case, trained=msgspec.structs.replace(case.setting, ensemble=ensemble))


def trained(rows: np.ndarray, labels: np.ndarray, start: np.ndarray, rate: float, steps: int) -> np.ndarray:
    """Full-batch descent of one linear model (C, d), a step at a time."""
    w = start.copy()
    for _ in range(steps):
        w -= rate * (w @ rows.T - labels.T) @ rows / len(rows)
    return w


def literal_gains(case: Case[LinearStudy]) -> np.ndarray:
    """The gains of every replica or network, (R, 2, u, r), with NumPy and loops alone."""
    upstream, task, rows = case.setting, t1.downstream_of(case), simulate.rows(case.setting)
    total, frozen = upstream.ensemble.replicas, case.study.carrier == "frozen features"
    first = simulate.replica_inputs(upstream, range(total))
    other = simulate.replica_inputs(task, range(total, 2 * total))
    fresh = other.parameters[0].numpy()

    def loss(weights: np.ndarray, number: int, step: int) -> float:
        labels = other.y[number].numpy()
        if not frozen:
            w = trained(rows, labels, weights[number], task.training.learning_rate, step)
            return ((w @ rows.T - labels.T) ** 2).mean() / 2
        layer = weights.reshape(-1, WIDTH, rows.shape[1])[number]
        hidden = rows @ layer.T / np.sqrt(WIDTH)
        second = trained(hidden, labels, np.zeros((OUTPUTS, WIDTH)), task.training.learning_rate, step)
        return ((second @ hidden.T - labels.T) ** 2).mean() / 2

    networks = total * OUTPUTS // WIDTH if frozen else total
    gains = np.empty((networks, 2, len(upstream.training.readings), len(task.training.readings)))
    for at, length in enumerate(upstream.training.readings):
        rate = upstream.training.learning_rate
        after = np.stack(
            [
                trained(rows, y.numpy(), w.numpy(), rate, length)
                for y, w in zip(first.y, first.parameters[0], strict=True)
            ]
        )
        matched = np.empty_like(fresh)
        for replica, output in np.ndindex(fresh.shape[:2]):
            u, w = fresh[replica, output], after[replica, output]
            matched[replica, output] = u * np.sqrt((w @ w) / (u @ u))
        for number in range(networks):
            for i, step in enumerate(task.training.readings):
                pre = loss(after, number, step)
                gains[number, :, at, i] = loss(fresh, number, step) - pre, loss(matched, number, step) - pre
    return gains


@pytest.mark.parametrize(("study", "replicas"), [(WEIGHTS, 6), (DECAYS, 6), (FEATURES, 128)])
def test_gains_are_those_of_a_plain_loop(study, replicas):
    case = smaller(study, replicas)
    literal, measured = literal_gains(case), t1.measure(case, QUICK)
    np.testing.assert_allclose(measured.gains, literal.mean(axis=0), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(measured.errors, literal.std(axis=0, ddof=1) / np.sqrt(len(literal)), rtol=1e-6)
    assert (measured.replicas, measured.diverged) == (len(literal), 0)


@pytest.mark.parametrize("study", [WEIGHTS, DECAYS])
def test_initial_weights_are_predicted_by_their_own_formula(study):
    case = case_of(study)
    predicted = t1.predict(case)
    found = initial_weight_transfer_of(case.setting, simulate.rows(case.setting), t1.downstream_of(case).training)
    np.testing.assert_allclose(predicted.gains[0], [each.raw for each in found], atol=1e-12)
    np.testing.assert_allclose(predicted.gains[1], [each.trace_matched for each in found], atol=1e-12)


@pytest.mark.parametrize("study", [FEATURES, MISTAKEN])
def test_features_are_predicted_by_theirs_and_the_control_wrongly_so(study):
    case = case_of(study)
    task, rows = t1.downstream_of(case), simulate.rows(case.setting)
    s, basis = np.linalg.eigh(rows.T @ rows / len(rows))
    squares = ((basis.T @ teacher(task, rows)) ** 2).mean(axis=1)
    predicted = t1.predict(case)
    for at, reading in enumerate(full_batch.predict(case.setting, rows).readings):
        tau = np.repeat(reading.tau, reading.multiplicity)
        found = frozen_feature_transfer(s, tau, squares, t1.TASK.noise, len(rows), task.training)
        np.testing.assert_allclose(predicted.gains[1, at], found.trace_matched, atol=1e-12)


def test_a_sweep_is_predicted_at_every_length():
    predicted = t1.predict(case_of(WEIGHTS))
    dense = predicted.along
    assert dense is not None
    assert dense.lengths == tuple(range(1, t1.SWEEP[-1] + 1))
    at = [length - 1 for length in predicted.lengths]
    np.testing.assert_allclose(dense.gains[:, at], predicted.gains, rtol=1e-9, atol=1e-14)
    assert t1.predict(case_of(DECAYS)).along is None


def test_the_teacher_is_the_one_that_made_the_labels():
    """What is left of noisy labels is the noise of the task: its variance, to six standard errors of χ²."""
    case = case_of(WEIGHTS)
    task, rows = t1.downstream_of(case), simulate.rows(case.setting)
    noise = simulate.replica_inputs(task, range(200)).y.numpy() - rows @ teacher(task, rows)
    assert abs(noise.var() / t1.TASK.noise - 1) < 6 * np.sqrt(2 / noise.size)


def test_cases_of_either_sign_are_fixed_beforehand():
    """Short and long pre-training: the signs of the two mechanisms are opposite, on average over draws of the rows.

    Short pre-training hardly turns features, so that on some rows, one draw in twenty, their gain is about nothing.
    """
    gains: dict[LinearStudy, list[list[float]]] = {WEIGHTS: [], FEATURES: []}
    for seed in (0, 1, 2, 3, 5, 999):
        context = Context(seed=seed)
        for study, found in gains.items():
            predicted = t1.predict(case_of(study, context))
            found.append([predicted.gains[1, predicted.lengths.index(length), 0] for length in (t1.SHORT, t1.LONG)])
        assert np.all(t1.predict(case_of(DECAYS, context)).gains[0] > 0)
    weights, features = np.array(gains[WEIGHTS]), np.array(gains[FEATURES])
    assert np.all(weights[:, 0] < 0)
    assert np.all(weights[:, 1] > 0)
    assert np.all(features[:, 1] < 0)
    assert np.all(features[:, 0] > -1e-3)
    assert features[:, 0].mean() > 0.01


def verdicts(case: Case[LinearStudy], predicted, measured) -> set[str]:
    return {judgement.verdict for judgement in t1.decide(case, predicted, measured)}


def test_a_wrong_sign_and_a_wrong_mechanism_are_refuted():
    case = smaller(WEIGHTS, 2048)
    mistaken = replace(case, study=replace(WEIGHTS, formula="frozen features"))
    predicted, other = t1.predict(case), t1.predict(mistaken)
    measured = t1.measure(case, QUICK)
    assert "refuted" not in verdicts(case, predicted, measured)
    for wrong in (replace(predicted, gains=-predicted.gains), other):
        assert verdicts(case, wrong, measured) == {"refuted"}
    control = replace(case, study=MISTAKEN, kind="control")
    assert verdicts(control, other, measured) == {"holds"}
    assert verdicts(control, predicted, measured) == {"undecided"}


def test_every_length_is_judged_over_both_references_by_its_own_numbers():
    """Numbers that tell where they are from: reference, length, step."""
    case = case_of(WEIGHTS)
    predicted = t1.predict(case)
    shape = predicted.gains.shape
    numbers = 1 + np.arange(predicted.gains.size, dtype=float).reshape(shape)
    measured = TrainedLinearGains(predicted.lengths, predicted.steps, numbers, 10 * numbers + 7, numbers / 100, 50, 0)
    found = t1.decide(case, replace(predicted, gains=numbers + 0.5), measured)
    asked = [(length, reference) for length in (t1.SHORT, t1.LONG) for reference in (t1.DRAWN, t1.MATCHED)]
    for judgement, (length, reference) in zip(found, asked, strict=True):
        own, late = numbers[reference, predicted.lengths.index(length)]
        assert judgement.about == f"{case.name}, {length} steps of pre-training"
        assert judgement.quantity.endswith(f"over weights {('as drawn', 'of the same trace')[reference]}, as a share")
        unit = 10 * own + 7
        assert judgement.measurement == pytest.approx(own / unit)
        assert judgement.prediction == pytest.approx((own + 0.5) / unit)
        assert judgement.standard_error == pytest.approx(own / 100 / unit)
        far = 10 * late + 7
        assert judgement.note == (
            f"after step {predicted.steps[1]} predicted {(late + 0.5) / far:+.4f}, measured {late / far:+.4f} "
            f"(standard error {late / 100 / far:.4f})"
        )
        assert judgement.interval is None
        assert judgement.pvalue == pytest.approx(min(1.0, 4 * norm.sf(50 / min(own, late))))
    few = t1.decide(replace(case, kind="asymptotic"), replace(predicted, gains=numbers + 0.5), measured)
    for judgement, exact in zip(few, found, strict=True):
        half = norm.isf(0.05 / 4) * exact.standard_error
        assert judgement.pvalue is None
        assert judgement.interval == pytest.approx((exact.measurement - half, exact.measurement + half))


def test_a_control_is_judged_over_weights_of_the_same_trace():
    """Over weights as drawn, the size of the initial weights alone would decide whether their control holds."""
    case = case_of(MISTAKEN)
    predicted = t1.predict(case)
    losses, errors = np.ones_like(predicted.gains), np.full_like(predicted.gains, 0.01)
    for wrong, verdict in ((t1.MATCHED, "holds"), (t1.DRAWN, "undecided")):
        gains = predicted.gains.copy()
        gains[wrong] += 1.0
        measured = TrainedLinearGains(predicted.lengths, predicted.steps, gains, losses, errors, 50, 0)
        (judgement,) = t1.decide(case, predicted, measured)
        assert judgement.verdict == verdict
        assert judgement.quantity.endswith("over weights of the same trace, as a share")
        early = predicted.gains[t1.MATCHED, predicted.lengths.index(case.study.judged[0]), 0]
        assert judgement.prediction == f"not {early:.3f}"


def test_features_of_the_wrong_sign_are_refuted_and_few_decide_nothing():
    case = smaller(FEATURES, 1024)
    predicted = t1.predict(case)
    measured = t1.measure(case, QUICK)
    assert "refuted" not in verdicts(case, predicted, measured)
    assert verdicts(case, replace(predicted, gains=-predicted.gains), measured) == {"refuted"}
    assert "holds" not in verdicts(case, predicted, replace(measured, errors=10 * measured.errors))
    assert verdicts(case, predicted, replace(measured, diverged=1)) == {"undecided"}


def test_tables_and_figures_have_every_case():
    outcomes = []
    for study in (WEIGHTS, DECAYS, FEATURES, MISTAKEN):
        case = smaller(study, 128)
        predicted = t1.predict(case)
        measured = t1.measure(case, QUICK)
        outcomes.append(Outcome(case, predicted, measured, t1.decide(case, predicted, measured)))
    shown = t1.illustrate(tuple(outcomes))
    (table,), (figure,) = shown.tables, shown.figures
    assert len(table.rows) == 2 * sum(len(outcome.measurement.lengths) for outcome in outcomes)
    assert [panel.title for panel in figure.panels] == [outcomes[0].case.name, outcomes[2].case.name]


def test_intervals_and_power_are_those_of_two_steps():
    """An early and a late step are judged; the larger of their errors limits what is detected."""
    case = case_of(WEIGHTS)
    predicted = t1.predict(case)
    ones, errors = np.ones_like(predicted.gains), np.full_like(predicted.gains, 0.01)
    errors[..., 1] = 0.02
    measured = TrainedLinearGains(predicted.lengths, predicted.steps, 0.3 * ones, 2 * ones, errors, 50, 0)
    given = replace(predicted, gains=0.3 * ones)
    for judgement in t1.decide(case, given, measured):
        assert (
            judgement.power
            == f"{intervals.found(intervals.detectable(0.01, tests=2))}; signs seen early and late: positive, positive"
        )
        assert (judgement.verdict, judgement.pvalue) == ("undecided", 1.0)
    half = norm.isf(0.05 / 4) * 0.005
    for judgement in t1.decide(replace(case, kind="asymptotic"), given, measured):
        assert judgement.interval == pytest.approx((0.15 - half, 0.15 + half))
        assert judgement.power == "signs seen early and late: positive, positive"
    faint = replace(measured, errors=10 * errors)
    for judgement in t1.decide(case, given, faint):
        assert judgement.power.endswith("positive, no sign")
