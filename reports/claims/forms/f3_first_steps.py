"""F3, first steps of networks with one hidden layer: exact at every width, and what a neuron's own output does."""

from __future__ import annotations

import msgspec
import numpy as np

from reports.claims.claim import Case, Claim, Context, Outcome
from reports.claims.forms.finding import form_finding
from reports.findings import Column, Figure, Finding, Panel, Series, Table
from reports.judging.compare import Verification, compare
from reports.judging.verify import fixed_rows
from reports.judging.verify import predict as predicted_readings
from theory.network.first_step import first_rate, first_step_mean, first_step_readings, first_step_terms
from theory.network.model import model_of
from theory.prediction import Prediction
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

SPECTRUM = (0.2, 0.6, 1.0, 1.6, 3.0)
GROWS, REDRAWN, ENTROPY = "ReLU, weights grow", "ReLU, rows redrawn", "ReLU, cross-entropy, ten classes"
SHRINKS = "ReLU, weights shrink"
CONTROL = "ReLU, without the neuron's own output"
# loud labels and redrawn rows have heavy tails and want more replicas; the budget of cross-entropy wants fewer
REPLICAS, OTHER_REPLICAS = 18432, {GROWS: 28672, REDRAWN: 36864, ENTROPY: 8192}


def cases(context: Context) -> tuple[Case, ...]:
    """Both signs of the change; other activations, outputs, layers and optimizers; redrawn rows; cross-entropy."""
    rows = Data(kind="gaussian", spectrum=SPECTRUM, samples=12, fixed=True)
    redrawn = msgspec.structs.replace(rows, fixed=False)
    quiet, loud = Labels(variance=0.1), Labels(variance=4.0)
    descent = Training(learning_rate=0.4, steps=1)
    entropy = Training(learning_rate=8.0, loss="cross-entropy", steps=1)
    classes = Labels(kind="classes", classes=10)
    chosen: dict[str, tuple[Data, Labels, Network, Training]] = {
        SHRINKS: (rows, quiet, _network("relu", 4), descent),
        GROWS: (rows, loud, _network("relu", 16), Training(learning_rate=3.0, steps=1)),
        "erf, one-hot classes": (rows, classes, _network("erf", 8), Training(learning_rate=2.0, steps=1)),
        "tanh, first layer alone, Nesterov, weight decay": (
            rows,
            Labels(kind="rademacher"),
            _network("tanh", 8, train="first"),
            Training(learning_rate=1.0, momentum=0.5, nesterov=True, weight_decay=0.05, steps=1),
        ),
        "ReLU, three outputs, NTK": (
            rows,
            Labels(outputs=3),
            _network("relu", 8, parametrization="ntk"),
            Training(learning_rate=3.0, steps=1),
        ),
        REDRAWN: (redrawn, quiet, _network("relu", 16), Training(learning_rate=2.0, steps=1)),
        ENTROPY: (rows, classes, _network("relu", 64), entropy),
        CONTROL: (rows, quiet, _network("relu", 4), descent),
    }
    return tuple(
        Case(
            name,
            Setting(
                data=data,
                labels=labels,
                network=network,
                training=training,
                ensemble=Ensemble(
                    replicas=context.replicas(OTHER_REPLICAS.get(name, REPLICAS)), seed=context.seed_of("F3", number)
                ),
            ),
            kind="control" if name == CONTROL else "asymptotic" if training is entropy else "exact",
        )
        for number, (name, (data, labels, network, training)) in enumerate(chosen.items())
    )


def _network(activation: str, width: int, **keys: str) -> Network:
    table = {"kind": "mlp", "hidden": [width], "activation": activation, **keys}
    return msgspec.convert(table, Network)


def predict(case: Case) -> Prediction:
    """The preferred form; the control's lacks the term of the neuron's own output."""
    return without_own_output(case.setting) if case.kind == "control" else predicted_readings(case.setting)


def without_own_output(setting: Setting) -> Prediction:
    """The first step with the cross term left out, as if w and the output were independent: wrong at order η/m."""
    rows = fixed_rows(setting)
    assert rows is not None
    prediction = predicted_readings(setting, formula="network-first-step")
    model, felt = model_of(setting, rows)
    rate = first_rate(setting.training)
    kept = 1 - rate * setting.training.weight_decay
    own = kept * rate / model.width * first_step_terms(felt, model).own
    moved = prediction.readings[-1].second_moment
    assert moved is not None
    wrong = first_step_readings(setting, rows, model, moved - own, first_step_mean(felt, model, rate))
    return Prediction("without the own output", "exact", None, None, prediction.assumptions, (), wrong)


def measure(case: Case, context: Context) -> Verification:
    """An ensemble held against the prediction."""
    return compare(predict(case), context.run(case.setting))


def decide(case: Case, prediction: Prediction, measured: Verification) -> tuple[Finding, ...]:
    """Exact forms by their p-value, asymptotic ones by their budget; the control holds when its form is rejected."""
    return (form_finding("F3", case, prediction, measured, r"largest relative error of $\tau$ after a step"),)


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """The change of τ by a step in every case; the figure sets the two signs side by side."""
    table = Table(
        name="f3-first-steps",
        caption="First steps of networks with one hidden layer: the change $\\tau/s_0^2-1$ at the smallest and the "
        "largest $\\sigma$, predicted and measured (standard error), the largest $|z|$, and the p-value of the whole "
        "matrix for exact forms.",
        columns=(
            Column("setting", "text"),
            Column("form", "text"),
            Column("smallest $\\sigma$"),
            Column("measured"),
            Column("largest $\\sigma$"),
            Column("measured"),
            Column("largest $|z|$"),
            Column("$p$", digits=2),
        ),
        rows=tuple(_row(outcome) for outcome in outcomes),
    )
    panels = tuple(_panel(outcome, outcomes) for outcome in outcomes[:2])
    figure = Figure(
        name="f3-first-steps",
        caption="The change of the weight variances by the first step, predicted and simulated: a neuron's own output "
        "pulls its weights back (left, dashed: without it), labels and the output of the other neurons push (right).",
        panels=panels,
    )
    return (table,), (figure,)


def _row(outcome: Outcome) -> tuple[object, ...]:
    predicted, measured, error = _change(outcome)
    compared = outcome.measurement.comparison[-1]
    ends = ((float(predicted[i]), (float(measured[i]), float(error[i]))) for i in (0, -1))
    numbers = [cell for pair in ends for cell in pair]
    return (outcome.case.name, outcome.prediction.formula, *numbers, compared.max_abs_z, compared.pvalue)


def _change(outcome: Outcome) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """τ/s_0² − 1 predicted, measured, and its standard error, (k,) each."""
    setting, estimated = outcome.case.setting, outcome.measurement.estimates[-1]
    variance = setting.network.layer_variances[0]
    start = variance if setting.network.parametrization == "ntk" else variance / len(SPECTRUM)
    return outcome.prediction.readings[-1].tau / start - 1, estimated.tau / start - 1, estimated.tau_se / start


def _panel(outcome: Outcome, outcomes: tuple[Outcome, ...]) -> Panel:
    predicted, measured, error = _change(outcome)
    sigma = outcome.prediction.readings[-1].sigma
    series = [Series("prediction", sigma, predicted, style="line"), Series("simulation", sigma, measured, 1.96 * error)]
    if outcome.case.name == SHRINKS:
        # a seed of its own means rows of its own: the wrong prediction is made for these
        wrong = without_own_output(outcome.case.setting).readings[-1]
        start = outcome.prediction.readings[-1].tau / (predicted + 1)
        series.append(Series("without the own output", sigma, wrong.tau / start - 1, style="dashed"))
    return Panel(outcome.case.name, r"$\sigma$", r"$\tau/s_0^2-1$", tuple(series))


CLAIM = Claim(
    id="F3",
    title="First steps of networks",
    statement="The first step of full-batch gradient descent on random labels changes the weight covariance of one "
    "hidden layer by a closed form, exact at every width; it grows or shrinks the weights.",
    reference="arXiv:2006.10455 asks for $f$ of networks; the forms are derived in theory/derivations.md, section 2.3",
    method="ReLU, erf and tanh networks of small width, where terms of order $1/m$ are large, against the prediction "
    "of the whole matrix $E[ww^\\top]$, as in F1; averaged over redrawn rows; cross-entropy with logits of infinite "
    "width, within a budget of order $1/m^2$. As a control, the prediction that takes weights and outputs for "
    "independent must be refuted.",
    cases=cases,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
