"""T1, linear transfer by two mechanisms of opposite sign rules: initial weights, and frozen features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
import torch
from scipy.stats import norm

import simulate
from reports.claims.claim import Case, Claim, Context, Outcome
from reports.findings import CONTINUED, Column, Figure, Finding, Panel, Series, Table, Verdict
from reports.judging.compare import CONFIDENCE, LEVEL, POWER, asymptotic_verdict, control_verdict, exact_verdict, found
from reports.judging.estimate import mean_with_error
from reports.judging.verify import fixed_rows
from simulate import Inputs
from theory.linear import full_batch
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training
from theory.transfer import frozen_feature_loss, initial_weight_training_loss

DATA = Data(kind="gaussian", spectrum=(0.3, 0.64, 0.98, 1.32, 1.66, 2.0), samples=24, fixed=True)
OUTPUTS = 8  # of the models that are pre-trained, each with labels of its own, and of the tasks downstream
TASK = Labels(kind="teacher", outputs=OUTPUTS, noise=0.25)
# downstream: early, where the sign rules are read, and late, where those of initial weights have turned
WEIGHTS_TASK = Training(learning_rate=0.2, steps=(1, 10))
FEATURES_TASK = Training(learning_rate=0.1, steps=(2, 8))  # stable for isotropic features of the same trace too
SWEEP = (1, 4, 8, 16, 128)
SHORT, LONG = 4, 128  # the lengths of pre-training that are judged: τ rises, τ falls
BATCH = 512  # replicas that are pre-trained at once
WIDTH = OUTPUTS * 64  # of a frozen first layer: the weights of 64 pre-trained models
BUDGET = 20 / WIDTH  # of the loss, for what the width adds to the gain of features
SEEN = 0.01  # a sign is seen where simultaneous 99 % intervals exclude 0
WEIGHTS, DECAYS = "initial weights", "initial weights, tiny labels: the init decays"
FEATURES, CONTROL = "frozen features", "initial weights, predicted as frozen features"
COMPARISONS = ("as drawn", "trace-matched")


def cases(context: Context) -> tuple[Case, ...]:
    """The pre-training of each; what follows it is `downstream_of`."""
    strong, small = Labels(variance=25.0, outputs=OUTPUTS), 0.1
    swept = Training(learning_rate=0.2, steps=SWEEP)
    chosen = {
        WEIGHTS: (strong, small, swept, 3072),
        DECAYS: (Labels(variance=1e-3, outputs=OUTPUTS), 6.0, Training(learning_rate=0.2, steps=8), 3072),
        FEATURES: (strong, small, swept, 4096),
        CONTROL: (strong, small, Training(learning_rate=0.2, steps=LONG), 1024),
    }
    return tuple(
        Case(
            name,
            Setting(
                data=DATA,
                labels=labels,
                network=Network(init_variance=init_variance),
                training=training,
                ensemble=Ensemble(replicas=context.replicas(replicas), seed=context.seed_of("T1", number)),
            ),
            kind="control" if name == CONTROL else "asymptotic" if name == FEATURES else "exact",
        )
        for number, (name, (labels, init_variance, training, replicas)) in enumerate(chosen.items())
    )


def downstream_of(case: Case) -> Setting:
    """The task that follows: the same rows, labels of a noisy linear teacher."""
    training = FEATURES_TASK if case.name == FEATURES else WEIGHTS_TASK
    return msgspec.structs.replace(case.setting, labels=TASK, training=training)


@dataclass(frozen=True, eq=False)
class Gains:
    """What pre-training takes off the downstream training loss, at u lengths of it and r steps downstream.

    Attributes
    ----------
    lengths, steps : tuple of int, lengths u and r
    gains, losses : ndarray, shape (2, u, r)
        The gain over fresh weights as drawn, and over fresh weights of the predicted trace of the pre-trained ones;
        and the larger of the two losses of which it is the difference.
    errors : ndarray, shape (2, u, r), or None
        Standard errors of measured gains.
    replicas, diverged : int
    """

    lengths: tuple[int, ...]
    steps: tuple[int, ...]
    gains: np.ndarray
    losses: np.ndarray
    errors: np.ndarray | None = None
    replicas: int = 0
    diverged: int = 0


def predict(case: Case, *, lengths: tuple[int, ...] = ()) -> Gains:
    """The losses of `theory.transfer` with τ of the pre-trained weights, of the fresh ones, and of τ̄ everywhere.

    The mistake of the control is to take initial weights for features. `lengths` of pre-training may be others.
    """
    upstream, task = case.setting, downstream_of(case)
    if lengths:
        training = msgspec.structs.replace(upstream.training, steps=lengths)
        upstream = msgspec.structs.replace(upstream, training=training)
    rows = fixed_rows(upstream)
    assert rows is not None
    s, basis = np.linalg.eigh(rows.T @ rows / len(rows))
    target = ((basis.T @ teacher(task, rows)) ** 2).mean(axis=1)
    form = initial_weight_training_loss if case.kind == "exact" else frozen_feature_loss

    def loss(tau: np.ndarray) -> np.ndarray:
        return form(s, tau, target, TASK.noise, len(rows), task.training)

    tau = pretrained(upstream, rows)
    start = loss(np.full(len(s), upstream.network.layer_variances[0] / len(s)))
    after = np.array([loss(each) for each in tau])
    matched = np.array([loss(np.full(len(s), each.mean())) for each in tau])
    losses = np.stack([np.broadcast_to(start, matched.shape), matched])
    return Gains(upstream.training.readings, task.training.readings, losses - after, np.maximum(losses, after))


def pretrained(upstream: Setting, rows: np.ndarray) -> np.ndarray:
    """τ of the pre-trained weights along the eigenvectors of S, at every length of pre-training, (u, d)."""
    readings = full_batch.predict(upstream, rows).readings
    return np.array([np.repeat(reading.tau, reading.multiplicity) for reading in readings])


def teacher(task: Setting, rows: np.ndarray) -> np.ndarray:
    """w_* of each output, (d, C): what noiseless labels say of it."""
    clean = msgspec.structs.replace(task, labels=msgspec.structs.replace(TASK, noise=0.0))
    labels = simulate.replica_inputs(clean, [0]).y[0].numpy()
    return np.asarray(np.linalg.lstsq(rows, labels, rcond=None)[0])


def measure(case: Case, context: Context) -> Gains:
    """Pre-train, go on, and compare: every start has the same rows and labels downstream, so that gains are paired.

    Frozen features are the weights of 64 models that were pre-trained on the same rows; on them a second layer is
    trained from zero.
    """
    upstream, task, frozen = case.setting, downstream_of(case), case.name == FEATURES
    rows = fixed_rows(upstream)
    assert rows is not None
    variance = upstream.network.layer_variances[0] / rows.shape[1]
    ratios = np.sqrt(pretrained(upstream, rows).mean(axis=1) / variance)
    found = []
    for weights, other in _batches(upstream, task):
        (fresh,) = other.parameters
        drawn, *rest = task_losses(task, other, [fresh, *weights, *(fresh * float(ratio) for ratio in ratios)], frozen)
        after, matched = np.stack(rest[: len(weights)]), np.stack(rest[len(weights) :])
        found.append(np.stack([np.broadcast_to(drawn, matched.shape), matched, after]))
    losses = np.moveaxis(np.concatenate(found, axis=2), 2, 0)  # (R, 3, u, r)
    finite = np.isfinite(losses).all(axis=(1, 2, 3))
    *isotropic, after = np.moveaxis(losses[finite], 1, 0)
    gains = np.stack(isotropic, axis=1) - after[:, None]
    mean, error = mean_with_error(gains, np.ones(len(gains)))
    return Gains(
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


def task_losses(task: Setting, other: Inputs, starts: list[torch.Tensor], frozen: bool) -> np.ndarray:
    """½ mean (f − y)² at each downstream step, (S, R, r), from S initial weights (R, C, d) or from 0 on their features.

    With features R/64 networks have WIDTH of these weights each: f = w_2ᵀ W x/√m is a linear model in W x/√m. Starts
    share the rows and labels of a replica; they are trained as replicas, laid end to end.
    """
    assert not frozen or len(other.y) * OUTPUTS % WIDTH == 0
    count, replicas = len(starts), len(other.y)
    weights, rows = torch.cat(starts), other.x
    if frozen:
        layers = weights.reshape(-1, WIDTH, weights.shape[2])
        replicas = len(layers) // count
        rows, weights = other.x @ layers.transpose(1, 2) / WIDTH**0.5, weights.new_zeros(len(layers), OUTPUTS, WIDTH)
    labels = other.y[:replicas].repeat(count, 1, 1)
    trained = simulate.train(task, Inputs(rows, labels, (weights,), None))
    errors = [trained[step][0] @ rows.transpose(-2, -1) - labels.transpose(1, 2) for step in task.training.readings]
    # the loss is a sum over outputs: their mean is that of one model
    losses = torch.stack([torch.linalg.vecdot(e, e).mean(dim=1) / (2 * e.shape[2]) for e in errors], dim=1)
    return losses.reshape(count, replicas, len(errors)).numpy()


def decide(case: Case, prediction: Gains, measured: Gains) -> tuple[Finding, ...]:
    """Each judged length of pre-training, over fresh weights as drawn and trace-matched; a control by one of them."""
    lengths = [k for k in measured.lengths if k in (SHORT, LONG)] or list(measured.lengths)
    return tuple(
        _finding(case, prediction, measured, comparison, measured.lengths.index(length))
        for length in lengths
        for comparison in range(len(COMPARISONS))
        if case.kind != "control" or COMPARISONS[comparison] == "trace-matched"
    )


def _finding(case: Case, prediction: Gains, measured: Gains, comparison: int, at: int) -> Finding:
    """The gain early and late downstream, in units of the larger of the two losses."""
    assert measured.errors is not None
    unit = measured.losses[comparison, at]
    expected, value, error = (
        each[comparison, at] / unit for each in (prediction.gains, measured.gains, measured.errors)
    )
    (early, late), tests, diverged = measured.steps, len(measured.steps), measured.diverged
    pvalue = min(1.0, 2 * tests * float(norm.sf(np.abs((value - expected) / error).max())))
    detectable = float((norm.isf(LEVEL / 2 / tests) + norm.ppf(POWER)) * error.max())
    half = norm.isf((1 - CONFIDENCE) / 2 / tests) * error
    if case.kind == "control":
        verdict: Verdict = control_verdict(pvalue, diverged)
    elif case.kind == "asymptotic":
        off = value - expected
        bounds = zip(off - half, off + half, strict=True)
        verdicts = {asymptotic_verdict(low, high, BUDGET, diverged) for low, high in bounds}
        verdict = "refuted" if "refuted" in verdicts else "undecided" if "undecided" in verdicts else "holds"
    else:
        verdict = exact_verdict(pvalue, detectable, diverged)
    seen = np.sign(value) * (np.abs(value) > norm.isf(SEEN / 2 / tests) * error)
    if case.kind != "control" and verdict == "holds" and not np.array_equal(seen, np.sign(expected)):
        verdict = "undecided"
    length = measured.lengths[at]
    return Finding(
        claim="T1",
        case=f"{case.name}, {length} steps of pre-training",
        kind=case.kind,
        quantity=f"gain after step {early} over weights {_over(comparison)}, as a share",
        prediction=f"not {expected[0]:.3f}" if case.kind == "control" else float(expected[0]),
        measurement=float(value[0]),
        standard_error=float(error[0]),
        interval=(float(value[0] - half[0]), float(value[0] + half[0])) if case.kind == "asymptotic" else None,
        pvalue=None if case.kind == "asymptotic" else pvalue,
        power=f"{_words(seen)} seen, early and late"
        if case.kind == "asymptotic"
        else f"{found(detectable)}; {_words(seen)} seen",
        verdict=verdict,
        note=f"after step {late} predicted {expected[1]:+.4f}, measured {value[1]:+.4f} ± {error[1]:.4f}",
        replicas=measured.replicas,
        diverged=diverged,
    )


def _over(comparison: int) -> str:
    return "as drawn" if comparison == 0 else "of the same trace"


def _words(signs: np.ndarray) -> str:
    return ", ".join("positive" if sign > 0 else "negative" if sign < 0 else "no sign" for sign in signs)


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """The gains of every case; the trace-matched gain against the length of pre-training, where its sign changes."""
    rows = []
    for outcome in outcomes:
        prediction, measured = outcome.prediction, outcome.measurement
        for at, length in enumerate(measured.lengths):
            for early, step in enumerate(measured.steps):
                first = at == early == 0
                rows.append(
                    (
                        outcome.case.name if first else CONTINUED,
                        length if early == 0 else CONTINUED,
                        step,
                        *(
                            cell
                            for i in range(len(COMPARISONS))
                            for cell in (
                                float(prediction.gains[i, at, early]),
                                (float(measured.gains[i, at, early]), float(measured.errors[i, at, early])),
                            )
                        ),
                    )
                )
    table = Table(
        name="t1-gains",
        caption="What pre-training on random labels takes off the training loss of a task, by the mechanism of its "
        "transfer, against the steps of pre-training and of the task: over fresh weights as drawn, and over fresh "
        "weights of the same trace. The last case is the control: measured through initial weights, predicted as "
        "frozen features.",
        columns=(
            Column("case", "text"),
            Column("pre-training", "text"),
            Column("task"),
            Column("as drawn: predicted"),
            Column("measured"),
            Column("trace-matched: predicted"),
            Column("measured"),
        ),
        rows=tuple(rows),
    )
    panels = tuple(_panel(outcome) for outcome in outcomes if outcome.case.name in (WEIGHTS, FEATURES))
    figure = Figure(
        name="t1-sign",
        caption="The gain over fresh weights of the same trace, as a share of the larger of the two losses, against "
        "the length of pre-training: closed form (lines) and simulation (points, 95 % intervals). Short pre-training "
        "makes $\\tau$ rise, long pre-training makes it fall; early in the task, rising $\\tau$ hurts as initial "
        "weights and helps as frozen features, and where it turns both gains change their sign.",
        panels=panels,
    )
    return (table,), (figure,)


def _panel(outcome: Outcome) -> Panel:
    """Predicted at every length up to the longest, measured at those of the sweep."""
    measured, matched = outcome.measurement, COMPARISONS.index("trace-matched")
    every = tuple(range(1, SWEEP[-1] + 1))
    dense = predict(outcome.case, lengths=every)
    series = []
    for i, step in enumerate(measured.steps):
        unit, shown = dense.losses[matched, :, i], f"after step {step}"
        series.append(Series(f"closed form {shown}", np.array(every), dense.gains[matched, :, i] / unit, style="line"))
        unit = measured.losses[matched, :, i]
        half = 1.96 * measured.errors[matched, :, i] / unit
        series.append(Series(shown, np.array(measured.lengths), measured.gains[matched, :, i] / unit, half))
    zero = Series("none", np.array([1, SWEEP[-1]]), np.zeros(2), style="dashed")
    return Panel(outcome.case.name, "steps of pre-training", "gain", (*series, zero), xlog=True)


CLAIM = Claim(
    id="T1",
    title="Linear transfer, by two mechanisms",
    statement="Whether pre-training on random labels helps is the sign of an explicit quantity, and it depends on what "
    "is kept. As the initial weights of a linear model a rising $f$ hurts early in the task, and a falling one helps; "
    "as frozen features under a second layer a rising $f$ helps, and a falling one hurts.",
    reference="arXiv:2006.10455 asks when transfer is positive; the conditions are derived in theory/derivations.md",
    method="Models are pre-trained on random labels and go on with a linear teacher's labels of the same rows, beside "
    "fresh weights as drawn and fresh weights of the same trace, and are read early and late. A gain is a share of the "
    "larger of the two losses that it is the difference of. Through initial weights its form is exact: refuted below "
    "$p = 10^{-6}$; holds if not, a discrepancy of 5 % of the loss would have been found, and the predicted signs are "
    f"seen. Through frozen features the form neglects terms of order $1/m$: at $m = {WIDTH}$ simultaneous 95 % "
    f"intervals must lie within {100 * BUDGET:.2g} % of the loss. As a control, the formula of features must be "
    "refuted for initial weights.",
    cases=cases,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
