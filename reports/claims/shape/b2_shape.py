"""B2, the shape of f: it falls, rises then falls, or rises, as the closed form of full-batch training says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

import simulate
import theory
from reports.claims.claim import Case, Claim, Context, Outcome, Outcomes, Trial
from reports.claims.forms.form_evidence import FormEvidence, form_evidence, scaled_form
from reports.findings import Exhibits, Figure, Judgement, Panel, Series, number, table_of, text
from reports.judging.intervals import found, root_bars
from reports.judging.rules import one_left_verdict
from reports.judging.shape import ONE_LEFT, simulated_shape
from theory.linear import full_batch
from theory.linear.hypotheses import not_plain_descent
from theory.linear.shape import predicted_shape
from theory.prediction import Prediction
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training
from theory.shape import shape_of

# whatever the budget: the whole-matrix test then finds 4 %; outputs have independent labels, and on the same rows
# independent weights, so that eight of them cost little more than one
REPLICAS, OUTPUTS = 8192, 8
FINE = 200  # the number of points of a dense curve
ROWS = Data(kind="gaussian", spectrum=tuple(np.linspace(0.2, 3.0, 8).round(3)), samples=40, fixed=True)
SMALL = 0.02  # a small init variance: the weights are soon those that the labels teach
TRAININGS = {
    "falls: large init": (1.0, Training(learning_rate=0.1, steps=20)),
    "rises, then falls: small init, long training": (SMALL, Training(learning_rate=0.1, steps=20)),
    "rises: small init, short training": (0.002, Training(learning_rate=0.05, steps=3)),
    "heavy ball": (SMALL, Training(learning_rate=0.05, momentum=0.6, steps=20)),
    "Nesterov, weight decay": (
        SMALL,
        Training(learning_rate=0.05, momentum=0.6, nesterov=True, weight_decay=0.2, steps=20),
    ),
    "a drop of the learning rate": (SMALL, Training(learning_rate=0.2, drops=((10, 0.2),), steps=30)),
}
SETTINGS = {
    name: Setting(
        data=ROWS,
        labels=Labels(outputs=OUTPUTS),
        network=Network(init_variance=variance),
        training=training,
        ensemble=Ensemble(replicas=REPLICAS),
    )
    for name, (variance, training) in TRAININGS.items()
}


def trials(context: Context) -> Mapping[str, Trial[None]]:
    """The three panels by gradient descent, and the optimizer variants of the same closed form."""
    return {name: Trial(setting) for name, setting in SETTINGS.items()}


@dataclass(frozen=True, eq=False)
class PredictedCurve:
    """What the full-batch closed form says of one setting, conditional on X.

    Attributes
    ----------
    prediction : Prediction
    shape : str
        The shape of the predicted τ at the eigenvalues, after training.
    criterion : str or None
        The shape on the whole interval between the extreme eigenvalues; None where descent is not plain, and the
        criterion does not apply.
    sigma, f : ndarray, shape (FINE,)
        The curve between the extreme eigenvalues, where the form is a smooth function.
    """

    prediction: Prediction
    shape: str
    criterion: str | None
    sigma: np.ndarray
    f: np.ndarray


def predict(case: Case[None]) -> PredictedCurve:
    """The full-batch closed form on the rows that all replicas share."""
    setting, rows = case.setting, simulate.rows(case.setting)
    prediction = theory.predict(setting, rows=rows)
    reading = prediction.readings[-1]
    plain = not_plain_descent(setting) is None
    sigma = np.linspace(reading.sigma[0], reading.sigma[-1], FINE)
    return PredictedCurve(
        prediction=prediction,
        shape=shape_of(reading.tau),
        criterion=predicted_shape(setting, rows)[-1] if plain else None,
        sigma=sigma,
        f=np.sqrt(full_batch.tau(setting, sigma**2, *rows.shape)[-1]),
    )


@dataclass(frozen=True, eq=False)
class SimulatedCurve:
    """An ensemble after training.

    Attributes
    ----------
    evidence : FormEvidence
        The last reading of the ensemble, against which the values are held.
    shape : str or None
        The shape that simultaneous 99 % intervals leave; None where they leave several.
    """

    evidence: FormEvidence
    shape: str | None

    @property
    def replicas(self) -> int:
        return self.evidence.replicas

    @property
    def diverged(self) -> int:
        return self.evidence.diverged


def measure(case: Case[None], context: Context) -> SimulatedCurve:
    """An ensemble of linear models on the same X."""
    simulation = context.run(case.setting)
    return SimulatedCurve(form_evidence(simulation), simulated_shape(simulation))


def decide(case: Case[None], prediction: PredictedCurve, measured: SimulatedCurve) -> tuple[Judgement, ...]:
    """The values by the whole-matrix test; the shape where the interval decides it."""
    compared, simulated = measured.evidence.against(prediction.prediction), measured.shape
    largest = "" if compared.max_abs_z is None else f"; largest |z| {compared.max_abs_z:.2f}"
    return (
        Judgement(
            quantity=r"largest relative error of $\tau$",
            prediction=0.0,
            measurement=compared.max_relative_error,
            pvalue=compared.pvalue,
            power=found(compared.detectable),
            verdict=compared.verdict,
            note=f"{prediction.prediction.formula}{largest}",
        ),
        Judgement(
            quantity="shape of $f$",
            prediction=prediction.shape,
            measurement=simulated or "not decided by the interval",
            power=ONE_LEFT if simulated else "several shapes are possible",
            verdict=one_left_verdict(simulated, prediction.shape, measured.diverged),
            note="predicted shape read from the predicted values"
            if prediction.criterion is None
            else f"criterion in closed form: {prediction.criterion}",
        ),
    )


def scaled(prediction: PredictedCurve, factor: float) -> PredictedCurve:
    """The values times a factor; the shape stays."""
    return replace(prediction, prediction=scaled_form(prediction.prediction, factor))


def illustrate(outcomes: Outcomes[None, PredictedCurve, SimulatedCurve]) -> Exhibits:
    """Predicted curves with simulated points: the three panels of plain descent, then the variants."""
    table = table_of(
        "b2-shape",
        "The shape of $f$ and the values of $\\tau$ under full-batch training, closed form against simulation.",
        [(outcome, outcome.measurement.evidence.against(outcome.prediction.prediction)) for outcome in outcomes],
        text("setting", lambda row: row[0].case.name),
        text("predicted", lambda row: row[0].prediction.shape),
        text("simulated", lambda row: row[0].measurement.shape or "undecided"),
        number("largest error", "%", lambda row: 100 * row[1].max_relative_error),
        number("largest $|z|$", "1", lambda row: row[1].max_abs_z),
        number("$p$", "p", lambda row: row[1].pvalue),
    )
    plain = tuple(_panel(o.prediction.shape, o) for o in outcomes if o.prediction.criterion is not None)
    variants = tuple(_panel(o.case.name, o) for o in outcomes if o.prediction.criterion is None)
    caption = "The transfer function of linear models trained by full-batch descent on random labels: closed form "
    caption += "(lines) and simulation (points, 95 % intervals)"
    return Exhibits(
        (table,),
        (
            Figure("b2-panels", caption + ", in its three shapes.", plain),
            Figure("b2-variants", caption + ", for other optimizers.", variants),
        ),
    )


def _panel(title: str, outcome: Outcome[None, PredictedCurve, SimulatedCurve]) -> Panel:
    predicted, evidence = outcome.prediction, outcome.measurement.evidence
    measured = evidence.estimate
    half = root_bars(measured.tau, measured.tau_se, evidence.degrees)
    points = Series("simulation", measured.sigma, np.sqrt(measured.tau), half)
    line = Series("closed form", predicted.sigma, predicted.f, style="line")
    return Panel(title, r"$\sigma$", r"$f(\sigma)$", (line, points), from_zero=True)


CLAIM = Claim(
    id="B2",
    title="The shape of $f$",
    statement="$f$ typically rises, then falls; either part can be missing.",
    reference="arXiv:2006.10455, Figures 4 and 20",
    method="Full-batch linear models on fixed data, where the closed form is exact. The values of $\\tau$ are judged "
    "by a test of the whole matrix: $p < 10^{-6}$ refutes, and an error of 5 % must be detectable. The shape holds if "
    "simultaneous 99 % intervals of the simulated $\\tau$ allow it, and neither of the other two.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
    scaled=scaled,
)
