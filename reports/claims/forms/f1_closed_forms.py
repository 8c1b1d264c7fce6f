"""F1, the closed forms of linear models: each held against an ensemble, a wrong approximation beside the right one."""

from __future__ import annotations

import re

import msgspec
import numpy as np

from reports.claims.claim import Case, Claim, Context, Outcome
from reports.claims.forms.finding import form_finding
from reports.claims.forms.orders import orders_table
from reports.findings import Column, Figure, Finding, Panel, Series, Table
from reports.judging.compare import Verification, compare
from reports.judging.verify import predict as predicted_readings
from theory.prediction import Prediction
from theory.setting import Data, Ensemble, Labels, Network, Setting, Student, Training

SPECTRUM = (0.1, 0.3, 0.7, 1.2, 2.0, 3.0)
# outputs have independent labels: eight weight vectors a training, dependent only through rows and batches, which
# standard errors between replicas account for
REPLICAS, OUTPUTS = 20480, 8
# one output, as the form wants, and a thousand steps: fewer replicas, whose error is still a fifth of the budget
CONVERGED, CONVERGED_REPLICAS = "two-layer linear network, converged", 8192
INDEPENDENT = "shuffled epochs, taken for independent batches"


def cases(context: Context) -> tuple[Case, ...]:
    """A setting or more for every form; the full batch has claim B2."""
    rows = Data(kind="gaussian", spectrum=SPECTRUM, samples=24, fixed=True)
    # two directions that are learnt at nearly one rate
    few = Data(kind="gaussian", spectrum=(1.0, 1.3), samples=40, fixed=True)
    redrawn = Data(kind="gaussian", spectrum=SPECTRUM, samples=60)
    online = msgspec.structs.replace(redrawn, samples="online")
    student = Data(kind="elliptical", spectrum=SPECTRUM, samples="online", radial=Student(dof=30.0))
    fresh = Training(learning_rate=0.05, batch_size=6, sampling="fresh", steps=30)
    epochs = Training(learning_rate=0.05, batch_size=6, steps=40)
    chosen: dict[str, tuple[Data, Training, str | None]] = {
        "fresh mini-batches": (rows, fresh, None),
        "mini-batches with replacement, Nesterov": (
            rows,
            Training(learning_rate=0.03, momentum=0.5, nesterov=True, batch_size=6, sampling="replacement", steps=30),
            None,
        ),
        "fresh mini-batches, diagonal only": (rows, fresh, "linear-mini-batch-scalar"),
        "shuffled epochs": (rows, epochs, "linear-shuffled"),
        "shuffled epochs, closed form at epoch ends": (rows, epochs, "linear-shuffled-ends"),
        INDEPENDENT: (rows, epochs, None),
        "online, Gaussian rows": (online, fresh, None),
        "online, Student rows": (student, fresh, None),
        "online, as a diffusion": (online, fresh, "linear-diffusion"),
        "rows redrawn, full batch": (redrawn, Training(learning_rate=0.1, steps=20), "linear-averaged"),
        "rows redrawn, second order": (
            redrawn,
            Training(learning_rate=0.1, steps=20),
            "linear-averaged-second-order",
        ),
        "rows redrawn, plug-in": (redrawn, Training(learning_rate=0.1, steps=20), "linear-plug-in"),
        "two-layer linear network, first step": (rows, Training(learning_rate=0.2, steps=1), None),
        "two-layer linear network, early": (rows, Training(learning_rate=0.02, steps=10), "two-layer-early"),
        CONVERGED: (few, Training(learning_rate=0.2, steps=1000), "two-layer-converged"),
        "mini-batches, averaged over redrawn rows": (
            redrawn,
            Training(learning_rate=0.05, batch_size=12, sampling="fresh", steps=30),
            "linear-averaged-mini-batch",
        ),
        "online, as a diffusion with the labels' noise alone": (online, fresh, "linear-diffusion-additive"),
    }
    return tuple(
        Case(
            name,
            Setting(
                data=data,
                labels=Labels(outputs=1 if name == CONVERGED else OUTPUTS),
                network=_network(name),
                training=training,
                ensemble=Ensemble(
                    replicas=context.replicas(CONVERGED_REPLICAS if name == CONVERGED else REPLICAS),
                    seed=context.seed_of("F1", number),
                ),
            ),
            kind="control" if name == INDEPENDENT else "exact" if formula is None else "asymptotic",
            formula=formula,
        )
        for number, (name, (data, training, formula)) in enumerate(chosen.items())
    )


def _network(name: str) -> Network:
    """A linear model, or a linear network of two layers with a small init."""
    if name == CONVERGED:
        return Network(kind="mlp", hidden=(1,), activation="identity", init_variance=1.2e-3)
    if name.startswith("two-layer"):
        small = 0.3 if "first step" in name else 1e-4
        return Network(kind="mlp", hidden=(8,), activation="identity", parametrization="ntk", init_variance=small)
    return Network(init_variance=0.05)


def predict(case: Case) -> Prediction:
    """The form that the case names, or the preferred one; the control is predicted as if every batch were fresh."""
    setting = case.setting
    if case.kind == "control":
        setting = msgspec.structs.replace(setting, training=msgspec.structs.replace(setting.training, sampling="fresh"))
    return predicted_readings(setting, formula=case.formula)


def measure(case: Case, context: Context) -> Verification:
    """An ensemble held against the prediction."""
    return compare(predict(case), context.run(case.setting))


def decide(case: Case, prediction: Prediction, measured: Verification) -> tuple[Finding, ...]:
    """Exact forms by their p-value, asymptotic ones by their budget; the control holds when its form is rejected."""
    return (form_finding("F1", case, prediction, measured, r"largest relative error of $\tau$"),)


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Every form with its order, budget and measured error; the average over rows beside the plug-in."""
    rows = []
    for outcome in outcomes:
        prediction, compared = outcome.prediction, outcome.measurement.comparison[-1]
        rows.append(
            (
                outcome.case.name,
                prediction.formula,
                order(prediction),
                prediction.error_budget,
                100 * compared.max_relative_error,
                compared.max_abs_z,
                compared.pvalue,
            )
        )
    table = Table(
        name="f1-closed-forms",
        caption="Closed forms of linear models against simulation: the order of what a form neglects, the relative "
        "error of $\\tau$ that it declares beforehand, the largest measured one, the largest $|z|$, and the p-value "
        "of exact forms.",
        columns=(
            Column("setting", "text"),
            Column("form", "text"),
            Column("order", "text"),
            Column("budget", digits=2),
            Column("error, %"),
            Column("largest $|z|$"),
            Column("$p$", digits=2),
        ),
        rows=tuple(rows),
    )
    return (table, orders_table()), (_figure([o for o in outcomes if o.case.name.startswith("rows redrawn")]),)


def _figure(redrawn: list[Outcome]) -> Figure:
    """f averaged over rows by its three forms, and how far each is from the simulation, whose own interval is drawn."""
    estimated = redrawn[-1].measurement.estimates[-1]
    measured = np.sqrt(estimated.tau)
    half = 1.96 * estimated.tau_se / (2 * measured)
    simulated = Series("simulation", estimated.sigma, measured, half)
    apart = Series("simulation", estimated.sigma, np.zeros_like(measured), 100 * half / measured)
    curves, deviations = [], []
    for outcome in redrawn:
        reading, label = outcome.prediction.readings[-1], outcome.prediction.formula
        curves.append(Series(label, reading.sigma, reading.f, style="line"))
        deviations.append(Series(label, reading.sigma, 100 * (reading.f / measured - 1), style="both"))
    title = "rows redrawn in every replica"
    return Figure(
        name="f1-averaged",
        caption="The transfer function averaged over Gaussian rows: deterministic equivalent, its second order, and "
        "the plug-in that takes $X^\\top X/n$ for $\\Sigma_x$; and by how much each is off the simulation, whose 95 % "
        "intervals stand around zero.",
        panels=(
            Panel(title, r"$\sigma$", r"$f(\sigma)$", (*curves, simulated), from_zero=True),
            Panel("the same, less the simulation", r"$\sigma$", "deviation of $f$, %", (apart, *deviations)),
        ),
    )


def order(prediction: Prediction) -> str:
    r"""What a form neglects to leading order, its powers as math.

    Forms write them in plain text: "1/n^2", "eta", "orders^-1/2".
    """
    found = re.sub(r"\beta\b", "η", prediction.order or "exact")
    return re.sub(r"\b[\w/]*\^\(?-?[\d/]+\)?", lambda power: f"${_braced(power[0])}$", found)


def _braced(power: str) -> str:
    base, exponent = power.split("^")
    words = rf"\mathrm{{{base}}}" if base.isalpha() and len(base) > 1 else base
    return f"{words}^{{{exponent.strip('()')}}}"


CLAIM = Claim(
    id="F1",
    title="Closed forms of linear models",
    statement="The weight covariance of linear models trained on random labels has closed forms: with mini-batches, "
    "shuffled epochs, fresh rows, and averaged over the rows.",
    reference="arXiv:2006.10455 asks for $f$; the forms are derived in theory/derivations.md",
    method="Exact forms as in B2. Asymptotic forms declare an error budget beforehand and hold when the whole "
    "simultaneous 95 % interval of the relative error of every $\\tau$ lies inside it. As a control, the recursion for "
    "independent batches must be refuted where epochs are shuffled.",
    cases=cases,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
