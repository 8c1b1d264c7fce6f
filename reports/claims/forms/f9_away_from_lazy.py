"""F9, networks away from the kernel limit: one hidden layer whose weights move by as much as their own size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from reports.claims.claim import Case, Claim, Context, Outcome, Outcomes, Trial, at_budget
from reports.claims.forms.form_evidence import FormEvidence, form_evidence, form_judgement, scaled_change
from reports.claims.forms.lazy_predictions import predict_changes
from reports.findings import Exhibits, Judgement, number, table_of, text
from reports.judging.rules import control_above_verdict
from reports.judging.verify import predict as predicted_readings
from theory.network.dmft.problem import problem_of
from theory.prediction import Prediction
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

# two eigenspaces of forty directions: no direction has more than a fiftieth of a row's variance
SPECTRUM = (0.5,) * 40 + (1.5,) * 40
ROWS, SPIKE_ROWS = 160, 120
REPLICAS, WRONG_REPLICAS = 256, 64
DRAWS = 8  # of the rows, over which the theory of the kernel limit is averaged


@dataclass(frozen=True)
class Described:
    """By which theory a case is described.

    Attributes
    ----------
    lazy : bool
        By that of the kernel limit, which must fail, instead of `network-dmft`.
    """

    lazy: bool = False


def _setting(
    activation: str,
    width: int,
    labels: Labels,
    training: Training,
    spectrum: tuple[float, ...] = SPECTRUM,
    rows: int = ROWS,
) -> Setting:
    network = {"kind": "mlp", "hidden": [width], "activation": activation, "parametrization": "ntk", "train": "first"}
    return Setting(
        data=Data(kind="gaussian", spectrum=spectrum, samples=rows, rotate=False),
        labels=labels,
        network=msgspec.convert(network, Network),
        training=training,
        ensemble=Ensemble(replicas=REPLICAS),
    )


LOUD = Labels(variance=4.0)
PLAIN = _setting("erf", 3, LOUD, Training(learning_rate=24.0, steps=24))
# weights have moved by a third: where the theory of the kernel limit is off by five times the budget
HALF_AS_LONG = Training(learning_rate=24.0, steps=12)
TRIALS: dict[str, Trial[Described]] = {
    "erf, full batch": Trial(PLAIN, Described(), "asymptotic"),
    "ReLU, momentum": Trial(
        _setting("relu", 2, LOUD, Training(learning_rate=5.0, momentum=0.7, steps=16)), Described(), "asymptotic"
    ),
    "tanh, cross-entropy, shuffled batches, momentum": Trial(
        _setting(
            "tanh",
            3,
            Labels(kind="classes", classes=3),
            Training(loss="cross-entropy", learning_rate=32.0, momentum=0.5, batch_size=40, steps=16),
        ),
        Described(),
        "asymptotic",
    ),
    "erf, full batch, as if near the kernel limit": Trial(
        msgspec.structs.replace(PLAIN, training=HALF_AS_LONG, ensemble=Ensemble(replicas=WRONG_REPLICAS)),
        Described(lazy=True),
        "control",
    ),
}


# one direction has a third of a row's variance; each takes half a minute to predict
DOMINATED = (*(0.5,) * 20, *(1.5,) * 20, 18.0)
LARGER: dict[str, Trial[Described]] = {
    "erf, one direction dominates": Trial(
        _setting("erf", 3, LOUD, Training(learning_rate=3.0, steps=24), DOMINATED, SPIKE_ROWS),
        Described(),
        "asymptotic",
    ),
    "ReLU, one direction dominates": Trial(
        _setting("relu", 4, LOUD, Training(learning_rate=1.0, steps=20), DOMINATED, SPIKE_ROWS),
        Described(),
        "asymptotic",
    ),
}


def trials(context: Context) -> Mapping[str, Trial[Described]]:
    """Three activations, both losses, momentum, full batches and shuffled ones; narrow networks, loud labels.

    From the full budget on, spectra that one direction dominates, too.
    """
    found = TRIALS if context.budget == "quick" else TRIALS | LARGER
    return {name: at_budget(trial, context) for name, trial in found.items()}


@dataclass(frozen=True, eq=False)
class MovedPrediction:
    """A prediction, and the variance of a weight at the start."""

    form: Prediction
    initial: float


def predict(case: Case[Described]) -> MovedPrediction:
    """`network-dmft`; for the control its change is replaced by that of the kernel limit, its budget kept."""
    form, initial = predicted_readings(case.setting, formula="network-dmft"), problem_of(case.setting).s0
    return MovedPrediction(near_the_limit(case.setting, form) if case.study.lazy else form, initial)


def near_the_limit(setting: Setting, form: Prediction) -> Prediction:
    """Every term of order 1/m, at any displacement, averaged over draws of the rows, in place of the τ of `form`."""
    width, initial = setting.network.widths[0], problem_of(setting).s0
    given = msgspec.structs.replace(setting, data=msgspec.structs.replace(setting.data, fixed=True))
    found = [
        predict_changes(msgspec.structs.replace(given, ensemble=Ensemble(replicas=1, seed=seed)), np.eye(len(SPECTRUM)))
        for seed in range(DRAWS)
    ]
    readings = []
    for at, reading in enumerate(form.readings):
        change = np.mean([each[at].change for each in found], axis=0) / width
        tau = initial + np.array([part.mean() for part in np.split(change, len(reading.tau))])
        readings.append(replace(reading, tau=tau, second_moment=np.diag(initial + change)))
    return replace(form, formula="network-lazy at any displacement", readings=tuple(readings))


def measure(case: Case[Described], context: Context) -> FormEvidence:
    """The last reading of an ensemble."""
    return form_evidence(context.run(case.setting))


def decide(case: Case[Described], prediction: MovedPrediction, evidence: FormEvidence) -> tuple[Judgement, ...]:
    """Within the declared error; the control holds where the theory of the kernel limit surely is not."""
    judgement = form_judgement(case, prediction.form, evidence, r"largest relative error of $\tau$")
    budget = prediction.form.error_budget or 0.0
    if case.kind != "control" or judgement.interval is None:
        return (judgement,)
    low = max(judgement.interval[0], -judgement.interval[1])
    verdict = control_above_verdict(low, budget, evidence.diverged)
    note = "the theory of order $1/m$ at a displacement beyond its range, to be refuted"
    return (replace(judgement, verdict=verdict, prediction=f"above {budget:.2g}", note=note),)


def scaled(prediction: MovedPrediction, factor: float) -> MovedPrediction:
    """What training changes of the variances, times a factor."""
    return replace(prediction, form=scaled_change(prediction.form, factor, prediction.initial))


MovedOutcome = Outcome[Described, MovedPrediction, FormEvidence]


def illustrate(outcomes: Outcomes[Described, MovedPrediction, FormEvidence]) -> Exhibits:
    """The change of τ in every case, at the smaller and the larger σ."""
    table = table_of(
        "f9-away-from-lazy",
        "One hidden layer away from the kernel limit: the change $\\tau/s_0^2-1$ at the smaller and the larger "
        "$\\sigma$, predicted and measured (standard error), and the relative error of $\\tau$ that is declared.",
        outcomes,
        text("setting", lambda outcome: outcome.case.name),
        number("smaller $\\sigma$", lambda outcome: _predicted(outcome, 0)),
        number("measured", lambda outcome: _measured(outcome, 0)),
        number("larger $\\sigma$", lambda outcome: _predicted(outcome, -1)),
        number("measured", lambda outcome: _measured(outcome, -1)),
        number("declared", lambda outcome: outcome.prediction.form.error_budget, digits=2),
    )
    return Exhibits((table,), ())


def _predicted(outcome: MovedOutcome, place: int) -> float:
    """τ/s_0² − 1."""
    return float(outcome.prediction.form.readings[-1].tau[place] / outcome.prediction.initial - 1)


def _measured(outcome: MovedOutcome, place: int) -> tuple[float, float]:
    """The same as measured, and its standard error."""
    estimated, initial = outcome.measurement.estimate, outcome.prediction.initial
    return float(estimated.tau[place] / initial - 1), float(estimated.tau_se[place] / initial)


CLAIM = Claim(
    id="F9",
    title="Networks away from the kernel limit",
    statement="The weight covariance of one hidden layer of any width that is trained on random labels follows, for "
    "many rows of many directions, from closed equations, however far the weights and the tangent kernel move.",
    reference="arXiv:2006.10455 asks for $f$ of networks; the form is derived in theory/derivations.md, section 2.7",
    method="Narrow erf, ReLU and tanh networks whose weights move by a third of their size or more: full batches, "
    "momentum, shuffled batches, squared error and cross-entropy; every $\\tau$ against the prediction, whose "
    "simultaneous intervals must lie within the declared error. As a control, the theory of the kernel limit (F4) "
    "must be outside that error by half of the steps of the first of these networks. From the full budget on, spectra "
    "that one direction dominates are added.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
    scaled=scaled,
)
