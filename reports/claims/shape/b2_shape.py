"""B2, the shape of f: it falls, rises then falls, or rises, as the closed form of full-batch training says."""

from __future__ import annotations

from functools import partial

import msgspec
import numpy as np

from reports.claims.claim import Case, Claim, Context, Outcome
from reports.findings import Column, Figure, Finding, Panel, Series, Table, Verdict
from reports.judging.compare import Verification, compare, found
from reports.judging.estimate import data_eigenspaces
from reports.judging.verify import fixed_rows
from reports.judging.verify import predict as predicted_readings
from theory.eigenspaces import weight_variances
from theory.linear import full_batch
from theory.linear.shape import predicted_shape
from theory.prediction import Prediction
from theory.setting import Data, Ensemble, Network, Setting, Training
from theory.shape import PANELS, classify_interval, shape_of

CONFIDENCE = 0.99


def cases(context: Context) -> tuple[Case, ...]:
    """The three panels by gradient descent, and the optimizer variants of the same closed form."""
    base = Setting(
        data=Data(kind="gaussian", spectrum=tuple(np.linspace(0.2, 3.0, 8).round(3)), samples=40, fixed=True),
        network=Network(init_variance=0.02),
    )
    variants = {
        "falls: large init": ({"init_variance": 1.0}, Training(learning_rate=0.1, steps=20)),
        "rises, then falls: small init, long training": ({}, Training(learning_rate=0.1, steps=20)),
        "rises: small init, short training": ({"init_variance": 0.002}, Training(learning_rate=0.05, steps=3)),
        "heavy ball": ({}, Training(learning_rate=0.05, momentum=0.6, steps=20)),
        "Nesterov, weight decay": (
            {},
            Training(learning_rate=0.05, momentum=0.6, nesterov=True, weight_decay=0.2, steps=20),
        ),
        "a drop of the learning rate": ({}, Training(learning_rate=0.2, drops=((10, 0.2),), steps=30)),
    }
    return tuple(
        Case(
            name,
            msgspec.structs.replace(
                base,
                network=msgspec.structs.replace(base.network, **network),
                training=training,
                ensemble=Ensemble(replicas=51200, seed=context.seed_of("B2", number)),
            ),
        )
        for number, (name, (network, training)) in enumerate(variants.items())
    )


def predict(case: Case) -> Prediction:
    """The full-batch closed form, conditional on X."""
    return predicted_readings(case.setting)


def measure(case: Case, context: Context) -> Verification:
    """An ensemble of linear models on the same X, held against the prediction."""
    return compare(predict(case), context.run(case.setting))


def simulated_shape(verification: Verification) -> str | None:
    """The shape that simultaneous 99 % intervals of adjacent differences leave; None if they leave several."""
    reading = verification.simulation.readings[-1]
    tau = weight_variances(data_eigenspaces(verification.simulation), reading.second_moments)
    return classify_interval(
        reading.counts / reading.replicas @ tau, blocks=tau, confidence=CONFIDENCE, alternatives=PANELS
    )


def decide(case: Case, prediction: Prediction, measured: Verification) -> tuple[Finding, ...]:
    """The values by the whole-matrix test; the shape where the interval decides it."""
    compared, predicted = measured.comparison[-1], prediction.readings[-1]
    shape, simulated = shape_of(predicted.tau), simulated_shape(measured)
    diverged = measured.simulation.diverged
    finding = partial(Finding, claim="B2", case=case.name, replicas=measured.simulation.replicas, diverged=diverged)
    verdict: Verdict = "undecided" if simulated is None or diverged else "holds" if simulated == shape else "refuted"
    return (
        finding(
            kind="exact",
            quantity=r"largest relative error of $\tau$",
            prediction=0.0,
            measurement=compared.max_relative_error,
            pvalue=compared.pvalue,
            power=found(compared.detectable),
            verdict=compared.verdict,
            note=f"{prediction.formula}; largest |z| {compared.max_abs_z:.2f}",
        ),
        finding(
            kind="exact",
            quantity="shape of $f$",
            prediction=shape,
            measurement=simulated or "not decided by the interval",
            pvalue=None,
            power="one of three shapes is left by simultaneous 99 % intervals"
            if simulated
            else "several shapes are left",
            verdict=verdict,
            note=_interval_note(case),
        ),
    )


def _interval_note(case: Case) -> str:
    """What the closed form says of the whole interval between the extreme eigenvalues, for plain gradient descent."""
    training = case.setting.training
    if training.momentum or training.weight_decay or training.drops:
        return "predicted shape read from the predicted values"
    rows = fixed_rows(case.setting)
    assert rows is not None
    return f"criterion in closed form: {predicted_shape(case.setting, rows)[-1]}"


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Predicted curves with simulated points: the three panels, then the variants."""
    panels, rows = [], []
    for outcome in outcomes:
        verification: Verification = outcome.measurement
        predicted, estimated = verification.prediction.readings[-1], verification.estimates[-1]
        panels.append(
            Panel(
                outcome.case.name.split(":")[0],
                r"$\sigma$",
                r"$f(\sigma)$",
                (
                    _curve(outcome.case.setting, predicted.sigma),
                    Series(
                        "simulation",
                        estimated.sigma,
                        np.sqrt(estimated.tau),
                        1.96 * estimated.tau_se / (2 * np.sqrt(estimated.tau)),
                    ),
                ),
                from_zero=True,
            )
        )
        compared = verification.comparison[-1]
        rows.append(
            (
                outcome.case.name,
                shape_of(predicted.tau),
                simulated_shape(verification) or "undecided",
                100 * compared.max_relative_error,
                compared.max_abs_z,
                compared.pvalue,
            )
        )
    table = Table(
        name="b2-shape",
        caption="The shape of $f$ and the values of $\\tau$ under full-batch training, closed form against simulation.",
        columns=(
            Column("setting", "text"),
            Column("predicted", "text"),
            Column("simulated", "text"),
            Column("largest error, %"),
            Column("largest $|z|$"),
            Column("$p$"),
        ),
        rows=tuple(rows),
    )
    caption = "The transfer function of linear models trained by full-batch descent on random labels: closed form "
    caption += "(lines) and simulation (points, 95 % intervals)"
    return (table,), (
        Figure("b2-panels", caption + ", in its three shapes.", tuple(panels[:3])),
        Figure("b2-variants", caption + ", for other optimizers.", tuple(panels[3:])),
    )


def _curve(setting: Setting, sigma: np.ndarray) -> Series:
    """f over the whole range of σ, where the closed form is a smooth function."""
    fine = np.linspace(sigma[0], sigma[-1], 200)
    assert setting.data.samples != "online"
    tau = full_batch.tau(setting, fine**2, setting.data.samples, len(setting.data.eigenvalues))[-1]
    return Series("closed form", fine, np.sqrt(tau), style="line")


CLAIM = Claim(
    id="B2",
    title="The shape of $f$",
    statement="$f$ typically rises, then falls; either part can be missing.",
    reference="arXiv:2006.10455, Figures 4 and 20",
    method="Full-batch linear models on fixed data, where the closed form is exact: the values of $\\tau$ by a test "
    "of the whole matrix ($p < 10^{-6}$ refutes, 5 % must be detectable), the shape where simultaneous 99 % intervals "
    "of the simulated $\\tau$ leave one of the three.",
    cases=cases,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
