"""A9, features: the weights, their data, and the gradients of the output; where they agree, and where they part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

import simulate
from reports.claims.alignment.feature_judging import (
    FeaturePrediction,
    alignment_judgements,
    converged_judgements,
    course_judgements,
)
from reports.claims.alignment.feature_networks import (
    BothAlignments,
    ConvergedFeatures,
    FeatureCourse,
    MeasuredFeatures,
    both_alignments,
    converged_features,
    feature_course,
)
from reports.claims.claim import Case, Claim, Context, Outcomes, Trial, at_budget
from reports.findings import Exhibits, Figure, Judgement, Panel, Series, number, table_of, text
from reports.judging.intervals import bars
from theory.features import decay_factor, jackknife, linear_exponent
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

SPECTRUM = (0.2, 0.4, 0.7, 1.0, 1.5, 2.0)
ROWS = Data(kind="gaussian", spectrum=SPECTRUM, samples=24)
# Learning rate, decay and steps of linear networks, by their number of layers: more layers take longer to balance, and
# more decay would take all of them to 0.
LINEAR: dict[int, tuple[float, float, int]] = {2: (0.05, 0.02, 800), 3: (0.03, 0.02, 1200), 4: (0.02, 0.01, 3000)}
CONVERGED = Setting(
    data=ROWS,
    labels=Labels(outputs=2, variance=4.0),
    network=Network(kind="mlp", hidden=(16,), activation="tanh"),
    training=Training(learning_rate=0.2, momentum=0.9, weight_decay=0.1, steps=2000),
    ensemble=Ensemble(replicas=12),
)
RANDOM = Setting(
    data=Data(kind="gaussian", spectrum=(0.1, 0.3, 0.7, 1.2, 2.0, 3.0), samples=24),
    labels=Labels(outputs=4),
    network=Network(kind="mlp", hidden=(32,), init_variance=(0.02, 1.0)),
    training=Training(learning_rate=0.3, steps=40),
    ensemble=Ensemble(replicas=3500, dtype="float32"),  # rounding, of 1e-7, is far below what is found: per cents
)
ROWS_OF_DIGITS, BATCH = 256, 32
EPOCHS = (0, 2, 4, 6, 8, 16)
DIGITS = Setting(
    data=Data(kind="digits", samples=ROWS_OF_DIGITS),
    labels=Labels(kind="classes"),
    network=Network(kind="mlp", hidden=(32,), init_variance=0.01),
    training=Training(
        loss="cross-entropy", learning_rate=0.05, momentum=0.9, batch_size=BATCH,
        steps=tuple(epoch * ROWS_OF_DIGITS // BATCH for epoch in EPOCHS),
    ),
    ensemble=Ensemble(replicas=28),
)  # fmt: skip

Asks = Literal["exponent", "convergence", "alignment", "course"]


@dataclass(frozen=True)
class FeatureStudy:
    """What is asked of a case: α, WᵀW at convergence, exact alignment, or the course of training."""

    asks: Asks


def trials(context: Context) -> Mapping[str, Trial[FeatureStudy]]:
    """Linear networks, networks with decay, random labels and a fixed teacher on Gaussian rows, digits."""
    chosen: dict[str, Trial[FeatureStudy]] = {}
    for layers, (rate, decay, steps) in LINEAR.items():
        setting = Setting(
            data=ROWS,
            labels=Labels(outputs=3, variance=4.0),
            network=Network(kind="mlp", hidden=(8,) * (layers - 1), activation="identity", init_variance=0.5),
            training=Training(learning_rate=rate, momentum=0.9, weight_decay=decay, steps=steps),
            ensemble=Ensemble(replicas=12),
        )
        chosen[f"linear, {layers} layers"] = Trial(setting, FeatureStudy("exponent"), kind="asymptotic")
    relu = msgspec.structs.replace(CONVERGED.network, activation="relu")
    teacher = msgspec.structs.replace(RANDOM, labels=Labels(kind="teacher", outputs=4))
    few = msgspec.structs.replace(teacher, ensemble=Ensemble(replicas=500, dtype="float32"))
    real = msgspec.structs.replace(DIGITS, labels=Labels(kind="real"))
    chosen |= {
        "tanh, decay": Trial(CONVERGED, FeatureStudy("convergence")),
        "ReLU, decay": Trial(
            msgspec.structs.replace(CONVERGED, network=relu), FeatureStudy("convergence"), kind="outside"
        ),
        "Gaussian rows, random labels": Trial(RANDOM, FeatureStudy("alignment")),
        "Gaussian rows, a fixed teacher": Trial(few, FeatureStudy("alignment"), kind="control"),
        "digits 8x8, random labels": Trial(DIGITS, FeatureStudy("course"), kind="asymptotic"),
        "digits 8x8, real labels": Trial(real, FeatureStudy("course"), kind="asymptotic"),
    }
    # one network that is stationary says all, and the slowest of many would need more steps
    return {
        name: trial if trial.study.asks in ("exponent", "convergence") else at_budget(trial, context)
        for name, trial in chosen.items()
    }


def predict(case: Case[FeatureStudy]) -> FeaturePrediction:
    """1/L of linear networks, −1/λ at convergence; labels that are not random make weights leave Σ_x."""
    setting, asks = case.setting, case.study.asks
    factor = decay_factor(setting.training.weight_decay) if asks in ("exponent", "convergence") else None
    return FeaturePrediction(
        exponent=linear_exponent(setting.network.layers) if asks == "exponent" else None,
        factor=factor,
        leaves=setting.labels.kind in ("real", "teacher"),
    )


def scaled(prediction: FeaturePrediction, factor: float) -> FeaturePrediction:
    """The prediction with its numbers wrong by a factor."""
    numbers = {
        key: None if value is None else value * factor
        for key, value in (("exponent", prediction.exponent), ("factor", prediction.factor))
    }
    return FeaturePrediction(**numbers, leaves=prediction.leaves)


def measure(case: Case[FeatureStudy], context: Context) -> MeasuredFeatures:
    """Train, and read weights and gradients."""
    trained = simulate.features(case.setting, device=context.device)
    if case.study.asks == "course":
        return feature_course(trained, updates=ROWS_OF_DIGITS // BATCH)
    if case.study.asks == "alignment":
        return both_alignments(trained, weights=case.kind != "control")
    return converged_features(trained)


def decide(
    case: Case[FeatureStudy], prediction: FeaturePrediction, measured: MeasuredFeatures
) -> tuple[Judgement, ...]:
    """α and WᵀW against their predictions; exact tests; who is with whom at the end of training."""
    if isinstance(measured, BothAlignments):
        return alignment_judgements(prediction, measured)
    if isinstance(measured, FeatureCourse):
        return course_judgements(prediction, measured)
    return converged_judgements(prediction, measured, case.kind)


@dataclass(frozen=True)
class _Row:
    case: str
    alpha: tuple[float, float]
    correlation: float
    at_one: float


def illustrate(outcomes: Outcomes[FeatureStudy, FeaturePrediction, MeasuredFeatures]) -> Exhibits:
    """The ansatz in networks at convergence; who is with whom along training on digits."""
    rows = []
    for outcome in outcomes:
        found_here = outcome.measurement
        if isinstance(found_here, ConvergedFeatures):
            count = len(found_here.exponents)
            error = float(found_here.exponents.std(ddof=1) / count**0.5)
            alpha = (float(found_here.exponents.mean()), error)
            rows.append(
                _Row(outcome.case.name, alpha, float(found_here.correlations.mean()), float(found_here.at_one.mean()))
            )
    table = table_of(
        "a9-ansatz",
        r"The neural feature ansatz in networks at convergence: the $\alpha$ for which $\mathrm{AGOP}^\alpha$ is most "
        r"like $W_1^\top W_1$, their correlation there and at $\alpha=1$; means over networks, with standard errors.",
        rows,
        text("network", lambda row: row.case),
        number(r"$\alpha$", "1", lambda row: row.alpha),
        number("correlation", "1", lambda row: row.correlation, digits=6),
        number(r"at $\alpha=1$", "1", lambda row: row.at_one),
    )
    panels = tuple(
        _panel(outcome.case.name, outcome.measurement)
        for outcome in outcomes
        if isinstance(outcome.measurement, FeatureCourse)
    )
    figure = Figure(
        name="a9-course",
        caption=r"Digits along training: the parts of the mean $W_1^\top W_1$ and of the mean AGOP that are aligned "
        r"with $\Sigma_x$, and the correlation of one with the other, for the change since initialisation; estimated "
        "from products of different networks. Bars: 95 % intervals. Random labels keep all three near 1, real labels "
        "only the last.",
        panels=panels,
    )
    return Exhibits((table,), (figure,) if panels else ())


def _panel(title: str, course: FeatureCourse) -> Panel:
    curves = (
        (r"$W_1^\top W_1$ with $\Sigma_x$", course.weights),
        (r"AGOP with $\Sigma_x$", course.gradients),
        (r"$W_1^\top W_1$ with AGOP", course.agreement),
    )
    series = tuple(
        Series(label, course.epochs, value, error=bars(error, values.shape[1] - 2), style="both")
        for label, values in curves
        for value, error in [jackknife(values.T)]
    )
    return Panel(title, "epoch", "correlation", series)


CLAIM = Claim(
    id="A9",
    title="Features",
    statement="With random labels the mean AGOP, the average outer product of the output's gradients, is aligned with "
    r"$\Sigma_x$ as $\Sigma_w$ is. With real labels both move away from $\Sigma_x$, together. In linear networks of "
    r"$L$ layers $W_1^\top W_1\propto\mathrm{AGOP}^{1/L}$ at stationary points with decay, and in any network "
    r"$W_1^\top W_1=-\frac{1}{n\lambda}\sum\nabla\ell\,x^\top$ there.",
    reference="arXiv:2006.10455, section 2; theory/derivations.md, section 3.9; arXiv:2507.05644",
    method=r"$\alpha$ is the exponent for which $\mathrm{AGOP}^\alpha$ correlates best with $W_1^\top W_1$; the 95 % "
    r"interval of its mean over networks must lie within 0.02 of $1/L$. "
    "The residual of the second identity must be below $10^{-3}$ in every network. Alignment is "
    "tested as in A3; a fixed teacher is the control. Along training on digits the part of a mean that is aligned "
    "with $\\Sigma_x$, and the correlation of the two means, are estimated from products of different networks; the "
    "part must stay above 0.9 with random labels and fall below it with real ones, below the correlation with the "
    "AGOP. The bound of 0.9, learning rates and decays were set after pilots.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
    scaled=scaled,
)
