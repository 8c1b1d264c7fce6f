"""F9, networks away from the kernel limit: one hidden layer whose weights move by as much as their own size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from reports.claims.claim import Case, Claim, Context, Outcome, Outcomes, Trial, at_budget
from reports.claims.forms.away_settings import TRIALS, Described, Sizes, Study
from reports.claims.forms.form_evidence import FormEvidence, form_evidence, form_judgement, scaled_change
from reports.claims.forms.given_outputs import change_of_networks, limit_at
from reports.claims.forms.lazy_predictions import predict_changes
from reports.claims.forms.size_law import SizeChange, of_size, power_of_size, size_change
from reports.findings import Exhibits, Figure, Judgement, Panel, Series, number, table_of, text
from reports.judging.changes import from_start
from reports.judging.intervals import bars, half_width
from reports.judging.needed import by_interval, with_need
from reports.judging.rules import asymptotic_verdict, control_above_verdict, one_left_verdict, within_budget
from reports.judging.shape import ONE_LEFT, simulated_shape
from theory.catalogue import choose_form
from theory.linear.population import spaces
from theory.network.dmft.form import NAME, error_budget, limit, prediction_of
from theory.network.dmft.problem import problem_of
from theory.prediction import Prediction
from theory.setting import Ensemble, Setting
from theory.shape import shape_of

DRAWS = 8  # the number of draws of the rows over which the theory of the kernel limit is averaged
ORDER, ORDER_BUDGET = -1.0, 0.25  # the power of d, and how far the fitted one may lie from it
SHAPED = 4  # the number of levels of σ from which on the shape of f is judged


def trials(context: Context) -> Mapping[str, Trial[Study]]:
    """Three activations, both losses, momentum, full batches and shuffled ones; narrow networks, loud labels.

    From the full budget on wider ones, steeper spectra, output layers that are trained and biases, and the same
    networks at three numbers of directions.
    """
    return {name: at_budget(trial, context) for name, trial in TRIALS.items()}


@dataclass(frozen=True, eq=False)
class MovedPrediction:
    """A prediction of τ, and what it rests on.

    Attributes
    ----------
    form : Prediction
    initial : float
        The variance of a weight at the start.
    uncertain : ndarray, shape (k,)
        The standard error of τ at the last reading, of the Monte Carlo.
    budgets : tuple of float
        The declared errors at the smaller sizes.
    """

    form: Prediction
    initial: float
    uncertain: np.ndarray
    budgets: tuple[float, ...]

    @property
    def change(self) -> np.ndarray:
        """τ − τ_0 at the last reading, by eigenspace."""
        return self.form.readings[-1].tau - self.initial


def predict(case: Case[Study]) -> MovedPrediction:
    """`network-dmft`; for the control its change is replaced by that of the kernel limit, its budget kept."""
    setting = case.setting
    choose_form(setting, NAME)
    problem, found = limit_at(setting) if isinstance(case.study, Sizes) else limit(setting)
    form = prediction_of(setting, problem, found)
    if isinstance(case.study, Described) and case.study.lazy:
        form = near_the_limit(setting, form)
    smaller = case.study.smaller if isinstance(case.study, Sizes) else ()
    budgets = tuple(error_budget(problem_of(of_size(setting, d)), found) for d in smaller)
    return MovedPrediction(form, problem.s0, found.error[-1], budgets)


def near_the_limit(setting: Setting, form: Prediction) -> Prediction:
    """Every term of order 1/m, at any displacement, averaged over draws of the rows, in place of the τ of `form`."""
    width, initial = setting.network.widths[0], problem_of(setting).s0
    given = msgspec.structs.replace(setting, data=msgspec.structs.replace(setting.data, fixed=True))
    eigenvalues = np.array(setting.data.eigenvalues)
    order, first, _ = spaces(eigenvalues)
    axes = np.eye(len(eigenvalues))[:, order]
    found = [
        predict_changes(msgspec.structs.replace(given, ensemble=Ensemble(replicas=1, seed=seed)), axes)
        for seed in range(DRAWS)
    ]
    readings = []
    for at, reading in enumerate(form.readings):
        change = np.mean([each[at].change for each in found], axis=0) / width
        tau = initial + np.array([part.mean() for part in np.split(change, first[1:])])
        moment = axes @ np.diag(initial + change) @ axes.T
        readings.append(replace(reading, tau=tau, second_moment=moment))
    return replace(form, formula="network-lazy at any displacement", readings=tuple(readings))


@dataclass(frozen=True, eq=False)
class MovedEvidence:
    """Ensembles after training, of one size or of several.

    Attributes
    ----------
    last : FormEvidence or None
        The last reading; None where output weights are given, and all sizes are judged by their changes.
    shape : str or None
        The only shape of f that simultaneous 99 % intervals allow.
    sizes : tuple of SizeChange
        The changes at each size, ascending; the last is that of the setting.
    """

    last: FormEvidence | None
    shape: str | None
    sizes: tuple[SizeChange, ...]

    @property
    def replicas(self) -> int:
        """How many replicas all sizes have together."""
        return sum(each.replicas for each in self.sizes)

    @property
    def diverged(self) -> int:
        """How many of them diverged."""
        return sum(each.diverged for each in self.sizes)


def measure(case: Case[Study], context: Context) -> MovedEvidence:
    """The last reading of an ensemble and what has changed since the start; of several sizes, the changes alone."""
    setting = case.setting
    if isinstance(case.study, Sizes):
        smaller = [_apart(of_size(setting, d)) for d in case.study.smaller]
        sizes = [change_of_networks(each, setting.ensemble.replicas) for each in (*smaller, setting)]
        return MovedEvidence(None, None, tuple(sizes))
    simulation = context.run(from_start(setting))
    shape = simulated_shape(simulation) if len(set(setting.data.eigenvalues)) >= SHAPED else None
    return MovedEvidence(form_evidence(simulation), shape, (size_change(simulation),))


def _apart(setting: Setting) -> Setting:
    """The setting with a seed of its own size."""
    seed = np.random.SeedSequence((setting.ensemble.seed, len(setting.data.eigenvalues))).generate_state(1)
    return msgspec.structs.replace(setting, ensemble=msgspec.structs.replace(setting.ensemble, seed=int(seed[0])))


def decide(case: Case[Study], prediction: MovedPrediction, evidence: MovedEvidence) -> tuple[Judgement, ...]:
    """Within the declared error, at every size, and of the predicted shape; the error of order 1/d.

    The control holds where the theory of the kernel limit surely is outside of the declared error.
    """
    if evidence.last is None:
        budgets = (*prediction.budgets, prediction.form.error_budget or 0.0)
        pairs = zip(evidence.sizes, budgets, strict=True)
        return (*(_size_judgement(prediction, *pair) for pair in pairs), _order_judgement(prediction, evidence))
    judgement = form_judgement(case, prediction.form, evidence.last, r"largest relative error of $\tau$")
    if case.kind == "control":
        return (_outside(prediction, judgement, evidence.diverged),)
    shaped = len(prediction.change) >= SHAPED
    return (judgement, _shape_judgement(prediction, evidence)) if shaped else (judgement,)


def _outside(prediction: MovedPrediction, judgement: Judgement, diverged: int) -> Judgement:
    """The control's finding: the lower end of the error of the kernel limit is above the declared error."""
    budget, interval = prediction.form.error_budget or 0.0, judgement.interval
    if interval is None:
        return judgement
    verdict = control_above_verdict(max(interval[0], -interval[1]), budget, diverged)
    note = "the theory of order $1/m$ at a displacement beyond its range, to be refuted"
    return replace(judgement, verdict=verdict, prediction=f"above {budget:.2g}", note=note)


def _shape_judgement(prediction: MovedPrediction, evidence: MovedEvidence) -> Judgement:
    """The shape of the predicted values, and the only one that the intervals of the measured ones allow."""
    predicted, measured = shape_of(prediction.form.readings[-1].tau), evidence.shape
    return Judgement(
        quantity="shape of $f$",
        prediction=predicted,
        measurement=measured or "not decided by the interval",
        power=ONE_LEFT if measured else "several shapes are possible",
        verdict=one_left_verdict(measured, predicted, evidence.diverged),
    )


def _size_judgement(prediction: MovedPrediction, size: SizeChange, budget: float) -> Judgement:
    """τ at one size, by simultaneous intervals, within the error that is declared there."""
    tau, (change, error) = prediction.form.readings[-1].tau, size.change
    relative, half = (change - prediction.change) / tau, half_width(error / tau, tests=len(tau), degrees=size.degrees)
    worst = int(np.argmax(np.abs(relative)))
    return Judgement(
        quantity=rf"largest relative error of $\tau$, $d = {size.directions}$",
        prediction=f"within {budget:.2g}",
        measurement=float(relative[worst]),
        standard_error=float(error[worst] / tau[worst]),
        interval=(float(relative[worst] - half[worst]), float(relative[worst] + half[worst])),
        verdict=within_budget(relative, half, budget, size.diverged),
        note="each replica's own initial variance subtracted; the interval is simultaneous",
    )


def _order_judgement(prediction: MovedPrediction, evidence: MovedEvidence) -> Judgement:
    """The power of d with which the error of the change falls, by its 95 % interval."""
    quantity = "exponent of $d$ in the error of the change of $\\tau$"
    law = power_of_size(evidence.sizes, prediction.change, prediction.uncertain)
    if law is None:
        return Judgement(quantity, ORDER, "no error is seen", "undecided")
    half = float(half_width(law.error, degrees=law.degrees))
    low, high = law.exponent - half, law.exponent + half
    verdict = asymptotic_verdict(low - ORDER, high - ORDER, ORDER_BUDGET, evidence.diverged)
    sizes = ", ".join(str(each.directions) for each in evidence.sizes)
    fit = f"one power law over $d$ = {sizes} fits with $p$ = {law.quality:.2g}, the error of the prediction included"
    bounds = (ORDER - ORDER_BUDGET, ORDER + ORDER_BUDGET)
    return Judgement(
        quantity=quantity,
        prediction=ORDER,
        measurement=law.exponent,
        standard_error=law.error,
        interval=(low, high),
        power=f"holds within {ORDER_BUDGET}",
        verdict=verdict,
        note=with_need(fit, verdict, by_interval(evidence.replicas, low, high, bounds)),
    )


def scaled(prediction: MovedPrediction, factor: float) -> MovedPrediction:
    """What training changes of the variances, times a factor."""
    return replace(prediction, form=scaled_change(prediction.form, factor, prediction.initial))


MovedOutcome = Outcome[Study, MovedPrediction, MovedEvidence]


def illustrate(outcomes: Outcomes[Study, MovedPrediction, MovedEvidence]) -> Exhibits:
    """The change of τ in every case, at the smallest and the largest σ; its error at every size; f where it bends."""
    table = table_of(
        "f9-away-from-lazy",
        "One hidden layer away from the kernel limit: the change $\\tau/s_0^2-1$ at the smallest and the largest "
        "$\\sigma$, predicted and measured (standard error), and the declared relative error of $\\tau$.",
        outcomes,
        text("setting", lambda outcome: outcome.case.name),
        number("smallest $\\sigma$: predicted", "1", lambda outcome: _predicted(outcome, 0)),
        number("smallest $\\sigma$: measured", "1", lambda outcome: _measured(outcome, 0)),
        number("largest $\\sigma$: predicted", "1", lambda outcome: _predicted(outcome, -1)),
        number("largest $\\sigma$: measured", "1", lambda outcome: _measured(outcome, -1)),
        number("declared error", "1", lambda outcome: outcome.prediction.form.error_budget, digits=2),
    )
    families = [outcome for outcome in outcomes if len(outcome.measurement.sizes) > 1]
    if not families:
        return Exhibits((table,), ())
    sizes = table_of(
        "f9-sizes",
        "The part of the predicted change of $\\tau$ that is too much, by the number of directions $d$ (standard error "
        "of the networks): it falls as $1/d$. $n/d$, the batch over $n$ and the learning rate over $d$ are kept.",
        [(outcome, size) for outcome in families for size in outcome.measurement.sizes],
        text("setting", lambda row: row[0].case.name, once=True),
        number("$d$", "count", lambda row: row[1].directions),
        number("networks", "count", lambda row: row[1].replicas),
        number("too much", "1", lambda row: row[1].gap(row[0].prediction.change)),
        number("times $d$", "1", lambda row: _by_size(*row)),
    )
    series = tuple(_gaps(outcome) for outcome in families)
    panel = Panel("error of the change", "directions $d$", "too much", series, xlog=True, ylog=True)
    caption = (
        "The part of the predicted change of $\\tau$ that is too much, by the number of directions (95 % intervals)."
    )
    return Exhibits((table, sizes), (Figure("f9-sizes", caption, (panel,)),))


def _by_size(outcome: MovedOutcome, size: SizeChange) -> tuple[float, float]:
    """The gap times d, and its standard error."""
    gap, error = size.gap(outcome.prediction.change)
    return size.directions * gap, size.directions * error


def _gaps(outcome: MovedOutcome) -> Series:
    """The size of the gap, |gap|, by d."""
    gaps = np.array([size.gap(outcome.prediction.change) for size in outcome.measurement.sizes])
    d = np.array([float(size.directions) for size in outcome.measurement.sizes])
    return Series(outcome.case.name, d, np.abs(gaps[:, 0]), bars(gaps[:, 1]))


def _predicted(outcome: MovedOutcome, place: int) -> float:
    """The predicted relative change, τ/s_0² − 1."""
    return float(outcome.prediction.change[place] / outcome.prediction.initial)


def _measured(outcome: MovedOutcome, place: int) -> tuple[float, float]:
    """The same as measured, and its standard error."""
    change, error = outcome.measurement.sizes[-1].change
    return float(change[place] / outcome.prediction.initial), float(error[place] / outcome.prediction.initial)


CLAIM = Claim(
    id="F9",
    title="Networks away from the kernel limit",
    statement="The weight covariance of one hidden layer of any width that is trained on random labels follows, for "
    "many rows in many dimensions, from closed equations, however far the weights and the tangent kernel move.",
    reference="arXiv:2006.10455 asks for $f$ of networks; the form is derived in theory/derivations.md, section 2.7",
    method="Narrow erf, ReLU and tanh networks, whose weights move by a third of their size or more, are trained with "
    "full batches, momentum, shuffled batches, squared error and cross-entropy. Every $\\tau$ is compared with the "
    "prediction: simultaneous intervals must lie within the declared error; on spectra of several levels, the shape of "
    "$f$, too. As a control, the theory of the kernel limit (F4) must be outside that error for the first of these "
    "networks, already after half of its steps. From the full budget on, wider networks, steeper spectra, trained "
    "output layers and biases are added, and the same networks at three numbers of directions, whose error must fall "
    "as $1/d$: the interval of the exponent, which includes the error of the prediction, must lie within 0.25 of $-1$.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
    scaled=scaled,
)
