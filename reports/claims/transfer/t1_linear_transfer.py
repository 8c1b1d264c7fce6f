"""T1, linear transfer by two mechanisms of opposite sign rules: initial weights, and frozen features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
import numpy as np
import torch

import simulate
from reports.claims.claim import Case, Claim, Context, Outcome, Outcomes, Trial
from reports.claims.transfer.pretraining import BUDGET, OUTPUTS, WIDTH, of_lengths, pretrained, task_losses, teacher
from reports.findings import Exhibits, Figure, Judgement, Kind, Panel, Series, number, table_of, text
from reports.judging.intervals import (
    bars,
    detectable,
    found,
    half_width,
    largest_pvalue,
    mean_with_error,
    sign_words,
    signs_seen,
)
from reports.judging.rules import Ruling, control_verdict, exact_verdict, seen_verdict, within_budget
from simulate import Inputs
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training
from theory.transfer import frozen_feature_loss, initial_weight_training_loss

Carrier = Literal["initial weights", "frozen features"]

SPECTRUM = (0.3, 0.64, 0.98, 1.32, 1.66, 2.0)
DATA = Data(kind="gaussian", spectrum=SPECTRUM, samples=24, fixed=True)
TASK = Labels(kind="teacher", outputs=OUTPUTS, noise=0.25)
SWEEP = (1, 4, 8, 16, 128)
SHORT, LONG = 4, 128  # the lengths of pre-training that are judged: τ rises, τ falls
BATCH = 512  # the number of replicas that are pre-trained at once
DRAWN, MATCHED = 0, 1  # what gains are over: fresh weights as drawn, and of the same trace
OVER = ("as drawn", "of the same trace")


@dataclass(frozen=True)
class LinearStudy:
    """What is kept of pre-training, what is predicted of it, and the task that follows.

    Attributes
    ----------
    carrier : "initial weights" or "frozen features"
        Whether the models go on, or a second layer is trained from zero upon them.
    formula : "initial weights" or "frozen features"
        The formula by which gains are predicted; the control's mistake is the other one.
    task : Training
        The training downstream, read early, where the sign rules are read, and late, where those of initial weights
        have turned.
    judged : tuple of int
        The lengths of pre-training that are judged, of those that are trained.
    """

    carrier: Carrier
    formula: Carrier
    task: Training
    judged: tuple[int, ...]


WEIGHTS_TASK = Training(learning_rate=0.2, steps=(1, 10))
# The training on a task from frozen features, which is stable for isotropic features of the same trace, too.
FEATURES_TASK = Training(learning_rate=0.1, steps=(2, 8))
WEIGHTS = LinearStudy("initial weights", "initial weights", WEIGHTS_TASK, (SHORT, LONG))
DECAYS = LinearStudy("initial weights", "initial weights", WEIGHTS_TASK, (8,))
FEATURES = LinearStudy("frozen features", "frozen features", FEATURES_TASK, (SHORT, LONG))
MISTAKEN = LinearStudy("initial weights", "frozen features", WEIGHTS_TASK, (LONG,))


def trials(context: Context) -> Mapping[str, Trial[LinearStudy]]:
    """The pre-training of each; what follows it is `downstream_of`."""

    def trial(
        study: LinearStudy, kind: Kind, replicas: int, steps: int | tuple[int, ...], *, tiny: bool = False
    ) -> Trial[LinearStudy]:
        setting = Setting(
            data=DATA,
            labels=Labels(variance=1e-3 if tiny else 25.0, outputs=OUTPUTS),
            network=Network(init_variance=6.0 if tiny else 0.1),
            training=Training(learning_rate=0.2, steps=steps),
            ensemble=Ensemble(replicas=context.replicas(replicas)),
        )
        return Trial(setting, study, kind)

    return {
        "initial weights": trial(WEIGHTS, "exact", 3072, SWEEP),
        "initial weights, tiny labels: the init decays": trial(DECAYS, "exact", 3072, 8, tiny=True),
        "frozen features": trial(FEATURES, "asymptotic", 4096, SWEEP),
        "initial weights, predicted as frozen features": trial(MISTAKEN, "control", 1024, LONG),
    }


def downstream_of(case: Case[LinearStudy]) -> Setting:
    """The task that follows: the same rows, labels of a noisy linear teacher."""
    return msgspec.structs.replace(case.setting, labels=TASK, training=case.study.task)


@dataclass(frozen=True, eq=False)
class LinearGains:
    """How much pre-training lowers the downstream training loss, at u lengths of it and r steps downstream.

    Attributes
    ----------
    lengths, steps : tuple of int, lengths u and r
    gains, losses : ndarray, shape (2, u, r)
        The gain over fresh weights as drawn, and over fresh weights of the trace of the pre-trained ones;
        and the larger of the two losses of which it is the difference.
    """

    lengths: tuple[int, ...]
    steps: tuple[int, ...]
    gains: np.ndarray
    losses: np.ndarray


@dataclass(frozen=True, eq=False)
class PredictedLinearGains(LinearGains):
    """Predicted gains.

    Attributes
    ----------
    along : LinearGains or None
        The gains at every length up to the longest, if several are trained.
    """

    along: LinearGains | None


@dataclass(frozen=True, eq=False)
class TrainedLinearGains(LinearGains):
    """Measured gains, with standard errors (2, u, r); a replica is a model, or a network of frozen features."""

    errors: np.ndarray
    replicas: int
    diverged: int


def predict(case: Case[LinearStudy]) -> PredictedLinearGains:
    """The losses of `theory.transfer` with τ of the pre-trained weights, of the fresh ones, and of τ̄ everywhere."""
    trained = case.setting.training.readings
    along = _gains_at(case, tuple(range(1, trained[-1] + 1))) if len(trained) > 1 else None
    return PredictedLinearGains(**vars(_gains_at(case, trained)), along=along)


def _gains_at(case: Case[LinearStudy], lengths: tuple[int, ...]) -> LinearGains:
    """The gains after so long a pre-training."""
    upstream, task = case.setting, downstream_of(case)
    upstream = msgspec.structs.replace(upstream, training=msgspec.structs.replace(upstream.training, steps=lengths))
    rows = simulate.rows(upstream)
    s, basis = np.linalg.eigh(rows.T @ rows / len(rows))
    target = ((basis.T @ teacher(task, rows)) ** 2).mean(axis=1)
    form = initial_weight_training_loss if case.study.formula == "initial weights" else frozen_feature_loss

    def loss(tau: np.ndarray) -> np.ndarray:
        return form(s, tau, target, TASK.noise, len(rows), task.training)

    tau = pretrained(upstream, rows)
    start = loss(np.full(len(s), upstream.network.layer_variances[0] / len(s)))
    after = np.array([loss(each) for each in tau])
    matched = np.array([loss(np.full(len(s), each.mean())) for each in tau])
    losses = np.stack([np.broadcast_to(start, matched.shape), matched])
    return LinearGains(lengths, task.training.readings, losses - after, np.maximum(losses, after))


def measure(case: Case[LinearStudy], context: Context) -> TrainedLinearGains:
    """Pre-train, go on, and compare: every start has the same rows and labels downstream, so that gains are paired.

    Frozen features are the weights of 64 models that were pre-trained on the same rows; on them a second layer is
    trained from zero. Weights of the same trace are fresh ones of the lengths of the pre-trained.
    """
    upstream, task, frozen = case.setting, downstream_of(case), case.study.carrier == "frozen features"
    parts = []
    for weights, other in _batches(upstream, task):
        (fresh,) = other.parameters
        starts = [fresh, *weights, *(of_lengths(fresh, each) for each in weights)]
        drawn, *rest = task_losses(task, other, starts, frozen=frozen)
        after, matched = np.stack(rest[: len(weights)]), np.stack(rest[len(weights) :])
        parts.append(np.stack([np.broadcast_to(drawn, matched.shape), matched, after]))
    losses = np.moveaxis(np.concatenate(parts, axis=2), 2, 0)  # (R, 3, u, r)
    finite = np.isfinite(losses).all(axis=(1, 2, 3))
    *isotropic, after = np.moveaxis(losses[finite], 1, 0)
    gains = np.stack(isotropic, axis=1) - after[:, None]
    mean, error = mean_with_error(gains, np.ones(len(gains)))
    return TrainedLinearGains(
        lengths=upstream.training.readings,
        steps=task.training.readings,
        gains=mean,
        losses=np.maximum(np.mean(isotropic, axis=1), after.mean(axis=0)),
        errors=error,
        replicas=len(losses),
        diverged=int((~finite).sum()),
    )


def _batches(upstream: Setting, task: Setting) -> Iterator[tuple[list[torch.Tensor], Inputs]]:
    """Pre-trained weights (R, C, d) at every length, and the inputs of other replicas downstream, a batch at a time.

    Other replicas, since the streams of one replica's labels upstream and noise downstream are the same.
    """
    total = upstream.ensemble.replicas
    for first in range(0, total, BATCH):
        numbers = range(first, min(first + BATCH, total))
        trained = simulate.train(upstream, simulate.replica_inputs(upstream, numbers))
        other = simulate.replica_inputs(task, [total + number for number in numbers])
        yield [trained[step][0] for step in upstream.training.readings], other


def decide(
    case: Case[LinearStudy], prediction: PredictedLinearGains, measured: TrainedLinearGains
) -> tuple[Judgement, ...]:
    """Each judged length of pre-training, over fresh weights as drawn and trace-matched; a control by one of them."""
    return tuple(
        _judge_gain(case, prediction, measured, comparison, measured.lengths.index(length))
        for length in case.study.judged
        for comparison in ((MATCHED,) if case.kind == "control" else (DRAWN, MATCHED))
    )


def _judge_gain(
    case: Case[LinearStudy], prediction: PredictedLinearGains, measured: TrainedLinearGains, comparison: int, at: int
) -> Judgement:
    """The gain early and late downstream, in units of the larger of the two losses."""
    unit = measured.losses[comparison, at]
    expected, value, error = (
        each[comparison, at] / unit for each in (prediction.gains, measured.gains, measured.errors)
    )
    (early, late), tests, diverged = measured.steps, len(measured.steps), measured.diverged
    pvalue, smallest = largest_pvalue((value - expected) / error), detectable(float(error.max()), tests=tests)
    half, seen = half_width(error, tests=tests), signs_seen(value, error, tests=tests)
    asymptotic = case.kind == "asymptotic"
    if case.kind == "control":
        verdict: Ruling = control_verdict(pvalue, diverged)
    elif asymptotic:
        verdict = seen_verdict(within_budget(value - expected, half, BUDGET, diverged), seen, expected)
    else:
        verdict = seen_verdict(exact_verdict(pvalue, smallest, diverged), seen, expected)
    signs = f"signs seen early and late: {sign_words(seen)}"
    return Judgement(
        about=f"{case.name}, {measured.lengths[at]} steps of pre-training",
        quantity=f"gain after step {early} over weights {OVER[comparison]}, as a share",
        prediction=f"not {expected[0]:.3f}" if case.kind == "control" else float(expected[0]),
        measurement=float(value[0]),
        standard_error=float(error[0]),
        interval=(float(value[0] - half[0]), float(value[0] + half[0])) if asymptotic else None,
        pvalue=None if asymptotic else pvalue,
        power=signs if asymptotic else f"{found(smallest)}; {signs}",
        verdict=verdict,
        note=f"after step {late} predicted {expected[1]:+.4f}, measured {value[1]:+.4f} "
        f"(standard error {error[1]:.4f})",
    )


def scaled(prediction: PredictedLinearGains, factor: float) -> PredictedLinearGains:
    """The gains times a factor."""
    return replace(prediction, gains=factor * prediction.gains)


@dataclass(frozen=True)
class LinearGainRow:
    """One length of pre-training at one step of the task: gains over weights as drawn, and of the same trace."""

    case: str
    length: int
    step: int
    predicted: list[float]
    measured: list[tuple[float, float]]


def _rows(outcome: Outcome[LinearStudy, PredictedLinearGains, TrainedLinearGains]) -> Iterator[LinearGainRow]:
    prediction, measured = outcome.prediction, outcome.measurement
    for at, length in enumerate(measured.lengths):
        for i, step in enumerate(measured.steps):
            gains, errors = (each[:, at, i].tolist() for each in (measured.gains, measured.errors))
            expected = prediction.gains[:, at, i].tolist()
            yield LinearGainRow(outcome.case.name, length, step, expected, list(zip(gains, errors, strict=True)))


def illustrate(outcomes: Outcomes[LinearStudy, PredictedLinearGains, TrainedLinearGains]) -> Exhibits:
    """The gains of every case; the trace-matched gain against the length of pre-training, where its sign changes."""
    table = table_of(
        "t1-gains",
        "By how much pre-training on random labels lowers the training loss of a task, in units of that loss, by the "
        "mechanism of transfer, against the steps of pre-training and of the task: over fresh weights as drawn, and "
        "over fresh weights of the same trace. The last case is the control: measured through initial weights, "
        "predicted as frozen features.",
        (row for outcome in outcomes for row in _rows(outcome)),
        text("case", lambda row: row.case, once=True),
        text("pre-training, steps", lambda row: row.length, once=True),
        number("task", "steps", lambda row: row.step),
        number("as drawn: predicted", "1", lambda row: row.predicted[DRAWN]),
        number("as drawn: measured", "1", lambda row: row.measured[DRAWN]),
        number("trace-matched: predicted", "1", lambda row: row.predicted[MATCHED]),
        number("trace-matched: measured", "1", lambda row: row.measured[MATCHED]),
    )
    figure = Figure(
        name="t1-sign",
        caption="The gain over fresh weights of the same trace, as a share of the larger of the two losses, against "
        "the length of pre-training: closed form (lines) and simulation (points, 95 % intervals). Short pre-training "
        "makes $\\tau$ rise, long pre-training makes it fall; early in the task, rising $\\tau$ hurts as initial "
        "weights and helps as frozen features, and where it turns both gains change their sign.",
        panels=tuple(
            _panel(outcome.case.name, outcome.prediction.along, outcome.measurement)
            for outcome in outcomes
            if outcome.prediction.along is not None
        ),
    )
    return Exhibits((table,), (figure,))


def _panel(title: str, dense: LinearGains, measured: TrainedLinearGains) -> Panel:
    """Predicted at every length up to the longest, measured at those of the sweep."""
    every, lengths = np.array(dense.lengths), np.array(measured.lengths)
    series = []
    for i, step in enumerate(measured.steps):
        unit, shown = dense.losses[MATCHED, :, i], f"after step {step}"
        series.append(Series(f"closed form {shown}", every, dense.gains[MATCHED, :, i] / unit, style="line"))
        unit = measured.losses[MATCHED, :, i]
        half = bars(measured.errors[MATCHED, :, i]) / unit
        series.append(Series(shown, lengths, measured.gains[MATCHED, :, i] / unit, half))
    zero = Series("no gain", every[[0, -1]], np.zeros(2), style="dashed")
    return Panel(title, "steps of pre-training", "gain", (*series, zero), xlog=True)


CLAIM = Claim(
    id="T1",
    title="Linear transfer, by two mechanisms",
    statement="Whether pre-training on random labels helps is the sign of an explicit quantity, and it depends on what "
    "is kept. As the initial weights of a linear model a rising $f$ hurts early in the task, and a falling one helps; "
    "as frozen features under a second layer a rising $f$ helps, and a falling one hurts.",
    reference="arXiv:2006.10455 asks when transfer is positive; the conditions are derived in theory/derivations.md",
    method="Models are pre-trained on random labels and continue on a linear teacher's labels of the same rows. They "
    "are compared with fresh weights as drawn and with fresh weights of the same trace, early and late. A gain "
    "is a share of the larger of the two losses. Through initial weights its form is exact: refuted "
    "below $p = 10^{-6}$; it holds if it is not refuted, a discrepancy of 5 % of the loss would have been detected, "
    "and the predicted signs are observed. Through frozen features the form neglects terms of order $1/m$: at $m = "
    f"{WIDTH}$ simultaneous 95 "
    f"% intervals must lie within {100 * BUDGET:.2g} % of the loss. As a control, the formula of features must be "
    "refuted for initial weights.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
    scaled=scaled,
)
