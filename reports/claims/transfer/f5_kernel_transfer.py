"""F5, transfer in wide networks: through the kernel of pre-trained weights, and with the output layer kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from reports.claims.claim import Case, Claim, Context, Outcome, Outcomes, Trial
from reports.claims.transfer.kernel_gains import (
    KeptOutput,
    MeasuredGains,
    PretrainedWeights,
    WideStudy,
    budget,
    infinite_gains,
    start_losses,
    train_wide,
)
from reports.findings import Exhibits, Figure, Judgement, Kind, Panel, Series, number, table_of, text
from reports.judging.intervals import bars, half_width, pvalue_beyond, sign_words, signs_seen
from reports.judging.rules import Ruling, control_verdict, seen_verdict, within_budget
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

FEATURES_STEPS, KEPT_STEPS = (5, 40), (5, 30)
REPLICAS, QUICK_REPLICAS = 24, 18
HIGH = PretrainedWeights("high variance", FEATURES_STEPS)
LOW = PretrainedWeights("low variance", FEATURES_STEPS)
RANDOM = PretrainedWeights("random", FEATURES_STEPS)
SHORT = KeptOutput(20, False, KEPT_STEPS)
LONG = KeptOutput(100, False, KEPT_STEPS)
NEW = KeptOutput(100, True, KEPT_STEPS)


def trials(context: Context) -> Mapping[str, Trial[WideStudy]]:
    """Weights of an aligned covariance on three targets, and output layers kept with little or much to remember."""

    def trial(study: WideStudy, variance: float, kind: Kind = "asymptotic") -> Trial[WideStudy]:
        kept = isinstance(study, KeptOutput)
        spectrum = np.geomspace(4.0, 0.2, 10 if kept else 20).round(3)
        setting = Setting(
            data=Data(kind="gaussian", spectrum=tuple(spectrum.tolist()), samples=40 if kept else 100, fixed=True),
            labels=Labels(variance=variance),
            network=Network(kind="mlp", hidden=(1024 if kept else 2048,), parametrization="ntk"),
            training=Training(learning_rate=1.0, steps=study.steps),
            ensemble=Ensemble(replicas=context.replicas(REPLICAS, quick=QUICK_REPLICAS)),
        )
        return Trial(setting, study, kind)

    return {
        "weights, target of high variance": trial(HIGH, 1.0),
        "weights, target of low variance": trial(LOW, 1.0),
        "weights, random labels": trial(RANDOM, 1.0),
        "kept output layer, little to remember": trial(SHORT, 0.09),
        "kept output layer, much to remember": trial(LONG, 4.0),
        "kept output layer, new inputs": trial(NEW, 4.0),
        "kept output layer, its memory of the labels left out": trial(LONG, 4.0, "control"),
    }


@dataclass(frozen=True, eq=False)
class PredictedWideGains:
    """Gains by the kernels of infinitely wide networks, as a share of the larger of the two losses at the start.

    Attributes
    ----------
    references : tuple of str, length k
    steps : tuple of int, length r
    gains : ndarray, shape (k, r)
        The gains over each reference, at every step downstream.
    units : ndarray, shape (k,)
        The larger of the two losses at the start, for each reference.
    along : ndarray, shape (k, t), or None
        The gains at every step up to the last; None for the control, which is not drawn.
    """

    references: tuple[str, ...]
    steps: tuple[int, ...]
    gains: np.ndarray
    units: np.ndarray
    along: np.ndarray | None


def predict(case: Case[WideStudy]) -> PredictedWideGains:
    """The gains by the kernels of infinitely wide networks; the control's mistake is labels of variance 0 upstream."""
    study, setting, control = case.study, case.setting, case.kind == "control"
    units, variance = start_losses(study, setting), 0.0 if control else None
    along = tuple(range(study.steps[-1] + 1))
    return PredictedWideGains(
        references=study.references,
        steps=study.steps,
        gains=infinite_gains(study, setting, study.steps, units, variance=variance),
        units=units,
        along=None if control else infinite_gains(study, setting, along, units),
    )


def measure(case: Case[WideStudy], context: Context) -> MeasuredGains:
    """Networks pre-trained and trained, and fresh ones from the same random numbers; in units of the loss."""
    return train_wide(case.study, case.setting)


def shares(prediction: PredictedWideGains, measured: MeasuredGains) -> tuple[np.ndarray, np.ndarray]:
    """The measured gains (k, r) and their errors in the units of the predicted ones."""
    units = prediction.units[:, None]
    return measured.mean / units, measured.error / np.abs(units)


def decide(case: Case[WideStudy], prediction: PredictedWideGains, measured: MeasuredGains) -> tuple[Judgement, ...]:
    """Judge each reference: both steps within the budget, and the signs that the budget leaves no doubt of."""
    return tuple(_judge_gain(case, prediction, measured, k) for k in range(len(prediction.references)))


def _judge_gain(case: Case[WideStudy], prediction: PredictedWideGains, measured: MeasuredGains, k: int) -> Judgement:
    expected, value, error = (each[k] for each in (prediction.gains, *shares(prediction, measured)))
    (early, late), tests, allowed = prediction.steps, len(prediction.steps), budget(case.study, case.setting)
    degrees, control = measured.replicas - measured.diverged - 1, case.kind == "control"
    half = half_width(error, tests=tests, degrees=degrees)
    pvalue = pvalue_beyond(value - expected, error, allowed, degrees)
    seen = signs_seen(value, error, tests=tests, degrees=degrees)
    if control:
        verdict: Ruling = control_verdict(pvalue, measured.diverged)
    else:
        clear = np.abs(expected) > allowed
        ruling = within_budget(value - expected, half, allowed, measured.diverged)
        verdict = seen_verdict(ruling, seen[clear], expected[clear])
    return Judgement(
        quantity=f"gain after step {early} over {prediction.references[k]}, as a share",
        prediction=f"not {expected[0]:.4f}" if control else float(expected[0]),
        measurement=float(value[0]),
        standard_error=float(error[0]),
        interval=(float(value[0] - half[0]), float(value[0] + half[0])),
        pvalue=pvalue if control else None,
        power=f"within {allowed:.1%} of the loss; signs seen early and late: {sign_words(seen)}",
        verdict=verdict,
        note=f"after step {late} predicted {expected[1]:+.4f}, measured {value[1]:+.4f} ± {error[1]:.4f}",
    )


def scaled(prediction: PredictedWideGains, factor: float) -> PredictedWideGains:
    """The gains times a factor."""
    return replace(prediction, gains=factor * prediction.gains)


@dataclass(frozen=True)
class WideGainRow:
    """A gain over one reference at one step."""

    case: str
    reference: str
    step: int
    predicted: float
    measured: float
    error: float


WideOutcome = Outcome[WideStudy, PredictedWideGains, MeasuredGains]


def _rows(outcome: WideOutcome) -> Iterator[WideGainRow]:
    prediction = outcome.prediction
    shown = (prediction.gains, *shares(prediction, outcome.measurement))
    for k, reference in enumerate(prediction.references):
        for i, step in enumerate(prediction.steps):
            yield WideGainRow(outcome.case.name, reference, step, *(float(each[k, i]) for each in shown))


def illustrate(outcomes: Outcomes[WideStudy, PredictedWideGains, MeasuredGains]) -> Exhibits:
    """Every gain, predicted and measured; the predicted ones along the whole training, with the measured points."""
    table = table_of(
        "f5-gains",
        "By how much pre-training lowers the downstream loss of wide ReLU networks, in per cent of the loss at the "
        "start: through first-layer weights of covariance $\\propto S^{3/4}$, second layer trained, against isotropic "
        "weights of the same trace and of the same $\\mathrm{tr}\\,\\Sigma_w S$; and with the output layer kept after "
        "training on random labels, against a fresh network. The last case is the control: predicted as if the labels "
        "were not remembered at all.",
        (row for outcome in outcomes for row in _rows(outcome)),
        text("case", lambda row: row.case, once=True),
        text("against", lambda row: row.reference, once=True),
        number("step", "count", lambda row: row.step),
        number("predicted", "%", lambda row: 100 * row.predicted),
        number("measured", "%", lambda row: (100 * row.measured, 100 * row.error)),
    )
    figure = Figure(
        name="f5-gains",
        caption="The gain as a share of the loss at the start, along the downstream training: kernel regime (lines) "
        "and networks (points, 95 % intervals). Below zero pre-training hurts.",
        panels=tuple(
            _panel(outcome, outcome.prediction.along) for outcome in outcomes if outcome.prediction.along is not None
        ),
    )
    return Exhibits((table,), (figure,))


def _panel(outcome: WideOutcome, along: np.ndarray) -> Panel:
    prediction, every = outcome.prediction, np.arange(along.shape[1])
    series = [Series("no gain", every[[0, -1]], np.zeros(2), style="dashed")]
    for k, (gains, errors) in enumerate(zip(*shares(prediction, outcome.measurement), strict=True)):
        series.append(Series(f"over {prediction.references[k]}", every, along[k], style="line"))
        series.append(Series("networks", np.array(prediction.steps), gains, bars(errors)))
    return Panel(outcome.case.name, "step", "gain", tuple(series))


CLAIM = Claim(
    id="F5",
    title="Transfer in wide networks",
    statement="In the kernel regime the downstream loss after pre-training has a closed form, and with it the sign of "
    "transfer. Weights of an aligned covariance help where the target lies along their large directions and hurt "
    "where it lies along the small ones; much of the apparent gain at equal trace comes from the larger scale of "
    "their kernel. With the output layer kept, the memory of the random labels works against the benefit of having "
    "forgotten the initial weights.",
    reference="arXiv:2006.10455 asks when transfer is positive; the conditions are derived in theory/derivations.md",
    method="ReLU networks with one hidden layer are trained downstream, the compared ones from the same random "
    "numbers, and are read early and late. The noise of labels and initial weights is removed by a control variate, "
    "the gain at the fixed kernel of drawn neurons; its mean is taken from networks that are not trained, with its "
    "error included in the interval, so the measurement does not depend on the prediction. The closed form neglects "
    "what a finite width adds, within a budget of $0.5\\,m^{-1/2}$ of the loss at the start for weights and "
    "$2\\,m^{-1/2}$ for kept networks, whose kernel has moved: simultaneous 95 % intervals must lie within it, and "
    "every predicted gain larger than that must be observed with its sign. As a control, the form without the memory "
    "of the upstream labels must be refuted.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
    scaled=scaled,
)
