"""F3, first steps of networks with one hidden layer: exact at every width, and what a neuron's own output does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
import numpy as np

from reports.claims.claim import Case, Claim, Context, Outcome, Outcomes, Trial, at_budget
from reports.claims.forms.form_evidence import FormEvidence, form_evidence, form_judgement, scaled_change
from reports.findings import Cell, Exhibits, Figure, Judgement, Panel, Series, number, table_of, text
from reports.judging.intervals import bars
from reports.judging.verify import fixed_rows
from reports.judging.verify import predict as predicted_readings
from theory.errors import InvalidInput
from theory.network.first_step import first_rate, first_step_mean, first_step_readings, first_step_terms
from theory.network.model import hidden_layer_constants, model_of
from theory.prediction import PredictedReading, Prediction
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

SPECTRUM = (0.2, 0.6, 1.0, 1.6, 3.0)
REPLICAS = 18432
# loud labels, redrawn rows and a narrow network whose weights shrink have heavy tails and want more replicas; smooth
# activations, several outputs, the budget of cross-entropy and the control want fewer
LOUD_REPLICAS, REDRAWN_REPLICAS, SHRINKING_REPLICAS = 36864, 36864, 81920
FEWER_REPLICAS, ENTROPY_REPLICAS, WRONG_REPLICAS = 9216, 4096, 6144

ROWS = Data(kind="gaussian", spectrum=SPECTRUM, samples=12, fixed=True)
REDRAWN = msgspec.structs.replace(ROWS, fixed=False)
QUIET, LOUD = Labels(variance=0.1), Labels(variance=4.0)
CLASSES = Labels(kind="classes", classes=10)

DescribedAs = Literal["right", "both", "without the own output"]


@dataclass(frozen=True)
class StepAsked:
    """How a first step is described, and whether it is drawn.

    Attributes
    ----------
    description : "right", "both" or "without the own output"
        The prediction that describes the step: the closed form; the closed form, with the wrong description drawn
        beside it; or the wrong description, which takes weights and outputs for independent.
    drawn : bool
    """

    description: DescribedAs = "right"
    drawn: bool = False


def _network(activation: str, width: int, **keys: str) -> Network:
    table = {"kind": "mlp", "hidden": [width], "activation": activation, **keys}
    return msgspec.convert(table, Network)


def _step(data: Data, labels: Labels, network: Network, training: Training, replicas: int = REPLICAS) -> Setting:
    ensemble = Ensemble(replicas=replicas)
    return Setting(data=data, labels=labels, network=network, training=training, ensemble=ensemble)


SHRINKS = _step(ROWS, QUIET, _network("relu", 4), Training(learning_rate=0.4, steps=1), SHRINKING_REPLICAS)
GROWS = _step(ROWS, LOUD, _network("relu", 16), Training(learning_rate=3.0, steps=1), LOUD_REPLICAS)
ERF = _step(ROWS, CLASSES, _network("erf", 8), Training(learning_rate=2.0, steps=1))
TANH = _step(
    ROWS,
    Labels(kind="rademacher"),
    _network("tanh", 8, train="first"),
    Training(learning_rate=1.0, momentum=0.5, nesterov=True, weight_decay=0.05, steps=1),
    FEWER_REPLICAS,
)
THREE = _step(
    ROWS,
    Labels(outputs=3),
    _network("relu", 8, parametrization="ntk"),
    Training(learning_rate=3.0, steps=1),
    FEWER_REPLICAS,
)
AVERAGED = _step(REDRAWN, QUIET, _network("relu", 16), Training(learning_rate=2.0, steps=1), REDRAWN_REPLICAS)
ENTROPY = _step(
    ROWS,
    CLASSES,
    _network("relu", 64),
    Training(learning_rate=8.0, loss="cross-entropy", steps=1),
    ENTROPY_REPLICAS,
)

TRIALS: dict[str, Trial[StepAsked]] = {
    "ReLU, weights shrink": Trial(SHRINKS, StepAsked("both", drawn=True)),
    "ReLU, weights grow": Trial(GROWS, StepAsked(drawn=True)),
    "erf, one-hot classes": Trial(ERF, StepAsked()),
    "tanh, first layer alone, Nesterov, weight decay": Trial(TANH, StepAsked()),
    "ReLU, three outputs, NTK": Trial(THREE, StepAsked()),
    "ReLU, rows redrawn": Trial(AVERAGED, StepAsked()),
    "ReLU, cross-entropy, ten classes": Trial(ENTROPY, StepAsked(), "asymptotic"),
    "ReLU, without the neuron's own output": Trial(
        msgspec.structs.replace(SHRINKS, ensemble=Ensemble(replicas=WRONG_REPLICAS)),
        StepAsked("without the own output"),
        "control",
    ),
}


def trials(context: Context) -> Mapping[str, Trial[StepAsked]]:
    """Both signs of the change; other activations, outputs, layers and optimizers; redrawn rows; cross-entropy."""
    return {name: at_budget(trial, context) for name, trial in TRIALS.items()}


@dataclass(frozen=True, eq=False)
class StepPrediction:
    """What is predicted of a first step.

    Attributes
    ----------
    form : Prediction
        What the ensemble is held against.
    beside : PredictedReading or None
        The wrong description, where it is drawn beside the right one.
    initial : float
        The variance of a weight before the step.
    """

    form: Prediction
    beside: PredictedReading | None
    initial: float


def predict(case: Case[StepAsked]) -> StepPrediction:
    """The preferred form; with, or replaced by, one that lacks the term of the neuron's own output."""
    setting, description = case.setting, case.study.description
    form, beside = predicted_readings(setting), None
    if description == "both":
        beside = without_own_output(setting, form).readings[-1]
    elif description == "without the own output":
        form = without_own_output(setting, form)
    return StepPrediction(form, beside, hidden_layer_constants(setting, len(SPECTRUM)).s0)


def without_own_output(setting: Setting, right: Prediction) -> Prediction:
    """The first step with the cross term left out, as if w and the output were independent: wrong at order η/m.

    `right` is the exact form, `network-first-step`.

    Raises
    ------
    InvalidInput
        If rows are not fixed, or the form does not give the second moment.
    """
    rows, moved = fixed_rows(setting), right.readings[-1].second_moment
    if rows is None or moved is None:
        raise InvalidInput("right", right.formula, "must be the exact form of a first step on fixed rows")
    model, felt = model_of(setting, rows)
    rate = first_rate(setting.training)
    kept = 1 - rate * setting.training.weight_decay
    own = kept * rate / model.width * first_step_terms(felt, model).own
    wrong = first_step_readings(setting, rows, model, moved - own, first_step_mean(felt, model, rate))
    return replace(right, formula="without the neuron's own output", neglected=(), readings=wrong)


def measure(case: Case[StepAsked], context: Context) -> FormEvidence:
    """The last reading of an ensemble."""
    return form_evidence(context.run(case.setting))


def decide(case: Case[StepAsked], prediction: StepPrediction, evidence: FormEvidence) -> tuple[Judgement, ...]:
    """Exact forms by their p-value, asymptotic ones by their budget; the control holds when its form is rejected."""
    return (form_judgement(case, prediction.form, evidence, r"largest relative error of $\tau$ after a step"),)


def scaled(prediction: StepPrediction, factor: float) -> StepPrediction:
    """What the step changes of the variances, times a factor: that is what the form predicts."""
    return replace(prediction, form=scaled_change(prediction.form, factor, prediction.initial))


StepOutcome = Outcome[StepAsked, StepPrediction, FormEvidence]


def illustrate(outcomes: Outcomes[StepAsked, StepPrediction, FormEvidence]) -> Exhibits:
    """The change of τ by a step in every case; the figure sets the two signs side by side."""
    table = table_of(
        "f3-first-steps",
        "First steps of networks with one hidden layer: the change $\\tau/s_0^2-1$ at the smallest and the "
        "largest $\\sigma$, predicted and measured (standard error), the largest $|z|$, and the p-value of the whole "
        "matrix for exact forms.",
        [(outcome, outcome.measurement.against(outcome.prediction.form)) for outcome in outcomes],
        text("setting", lambda row: row[0].case.name),
        text("form", lambda row: row[0].prediction.form.formula),
        number("smallest $\\sigma$: predicted", "1", lambda row: float(_predicted_change(row[0])[0])),
        number("smallest $\\sigma$: measured", "1", lambda row: _measured_at(row[0], 0)),
        number("largest $\\sigma$: predicted", "1", lambda row: float(_predicted_change(row[0])[-1])),
        number("largest $\\sigma$: measured", "1", lambda row: _measured_at(row[0], -1)),
        number("largest $|z|$", "1", lambda row: row[1].max_abs_z),
        number("$p$", "p", lambda row: row[1].pvalue),
    )
    panels = tuple(_panel(outcome) for outcome in outcomes if outcome.case.study.drawn)
    figure = Figure(
        name="f3-first-steps",
        caption="The change of the weight variances by the first step, predicted and simulated: a neuron's own output "
        "pulls its weights back (left, dashed: without it), labels and the output of the other neurons push (right).",
        panels=panels,
    )
    return Exhibits((table,), (figure,) if panels else ())


def _predicted_change(outcome: StepOutcome) -> np.ndarray:
    """The predicted relative change, τ/s_0² − 1, (k,)."""
    return outcome.prediction.form.readings[-1].tau / outcome.prediction.initial - 1


def _measured_change(outcome: StepOutcome) -> tuple[np.ndarray, np.ndarray]:
    """The same as measured, and its standard error, (k,) each."""
    estimated, initial = outcome.measurement.estimate, outcome.prediction.initial
    return estimated.tau / initial - 1, estimated.tau_se / initial


def _measured_at(outcome: StepOutcome, place: int) -> Cell:
    value, error = _measured_change(outcome)
    return float(value[place]), float(error[place])


def _panel(outcome: StepOutcome) -> Panel:
    (measured, error), beside = _measured_change(outcome), outcome.prediction.beside
    sigma = outcome.prediction.form.readings[-1].sigma
    series = [
        Series("prediction", sigma, _predicted_change(outcome), style="line"),
        Series("simulation", sigma, measured, bars(error)),
    ]
    if beside is not None:
        wrong = beside.tau / outcome.prediction.initial - 1
        series.append(Series("without its own output", sigma, wrong, style="dashed"))
    return Panel(outcome.case.name, r"$\sigma$", r"$\tau/s_0^2-1$", tuple(series))


CLAIM = Claim(
    id="F3",
    title="First steps of networks",
    statement="The first step of full-batch gradient descent on random labels changes the weight covariance of one "
    "hidden layer by a closed form, exact at every width; it lengthens or shortens the weights.",
    reference="arXiv:2006.10455 asks for $f$ of networks; the forms are derived in theory/derivations.md, section 2.3",
    method="ReLU, erf and tanh networks of small width, where terms of order $1/m$ are large, are compared with the "
    "prediction of the whole matrix $E[ww^\\top]$, as in F1, once averaged over redrawn rows. For cross-entropy the "
    "prediction takes the logits of infinite width, within a budget of order $1/m^2$. As a control, the prediction for "
    "independent weights and outputs must be refuted.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
    scaled=scaled,
)
