"""A3, the alignment theorem: Σ_w is aligned with Σ_x and E[w] = 0, at every training time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from reports.claims.alignment.distance import (
    DistanceFromAlignment,
    distance_table,
    measure_distance,
    misalignment_panel,
    transfer_panel,
)
from reports.claims.alignment.evidence import (
    AlignmentEvidence,
    MeanWeightEvidence,
    measure_alignment,
    measure_mean_weight,
    train_ensemble,
)
from reports.claims.claim import Case, Claim, Context, Outcomes, Trial
from reports.claims.linear_variants import linear_variants
from reports.findings import OUTSIDE, Exhibits, Figure, Judgement, Table, number, table_of, text
from reports.judging.intervals import found
from reports.judging.rules import exact_verdict
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

SPECTRUM = (0.1, 0.3, 0.7, 1.2, 2.0, 3.0)
PLAIN = Data(kind="gaussian", spectrum=SPECTRUM, samples=24)
RELU = Network(kind="mlp", hidden=(32,), init_variance=(0.02, 1.0))


@dataclass(frozen=True)
class ShownAlone:
    """A case in the table of misalignments; `panel` is what its panels are called, None where it has none."""

    panel: str | None = None


@dataclass(frozen=True)
class ShownByTraining:
    """A linear model or network, in the table of the theorem by training."""

    training: str


TheoremStudy = ShownAlone | ShownByTraining

# The settings inside the theorem's hypotheses, with the replicas by which an off-commutant part of 4 % is detected with
# 90 % power, by ensembles of another seed: the rule asks for 5 %, and what is detected depends on the seed's basis by
# some tenths of itself. Where the unit of larger budgets detects smaller parts than that, the quick one takes no more
# replicas than 4 % needs.
INSIDE: dict[str, tuple[int, ShownAlone, Setting]] = {
    "ReLU network, Gaussian data": (
        2000,
        ShownAlone("ReLU network"),
        Setting(data=PLAIN, network=RELU, training=Training(learning_rate=0.3, steps=(0, 20, 100))),
    ),
    "ReLU network, repeated eigenvalues, cross-entropy, mini-batches, momentum": (
        1400,
        ShownAlone(),
        Setting(
            data=Data(kind="gaussian", spectrum=(0.3, 0.3, 0.3, 2.0, 2.0, 4.0), samples=24),
            labels=Labels(kind="classes", classes=4),
            network=RELU,
            training=Training(loss="cross-entropy", learning_rate=0.2, momentum=0.5, batch_size=8, steps=(0, 15, 60)),
        ),
    ),
    "deep tanh network, Student data, weight decay": (
        4500,
        ShownAlone(),
        Setting(
            data=Data(kind="elliptical", spectrum=SPECTRUM, samples=24),
            network=Network(kind="mlp", hidden=(24, 16), activation="tanh", init_variance=(0.02, 1.0, 1.0)),
            training=Training(learning_rate=0.3, weight_decay=0.01, steps=(0, 20, 60)),
        ),
    ),
    "linear model, online SGD": (
        20000,
        ShownAlone(),
        Setting(
            data=Data(kind="gaussian", spectrum=SPECTRUM, samples="online"),
            network=Network(init_variance=0.1),
            training=Training(learning_rate=0.05, batch_size=4, sampling="fresh", steps=(0, 60)),
        ),
    ),
}
QUICK = {
    "ReLU network, repeated eigenvalues, cross-entropy, mini-batches, momentum": 1024,
    "linear model, online SGD": 16128,
}
VARIANT_REPLICAS = 3072
QUICK_VARIANTS = {"two layers, converged": 1536}
REAL_REPLICAS, QUICK_REAL_REPLICAS = 120, 80  # the quick budget's are trained as one batch


def _on_real_data(data: Data, batch_size: int) -> Setting:
    return Setting(
        data=data,
        labels=Labels(kind="classes"),
        network=Network(kind="mlp", hidden=(64,), init_variance=(0.5, 1.0)),
        training=Training(
            loss="cross-entropy", learning_rate=0.1, momentum=0.9, batch_size=batch_size, steps=(0, 40, 160)
        ),
    )


ON_REAL_DATA: dict[str, tuple[ShownAlone, Setting]] = {
    "digits 8x8, ReLU network, random classes": (
        ShownAlone("digits 8x8"),
        _on_real_data(Data(kind="digits", samples=128), 32),
    ),
    "photograph patches 3x3x3, ReLU network, random classes": (
        ShownAlone("photograph patches 3x3x3"),
        _on_real_data(Data(kind="photographs", samples=256), 64),
    ),
}


def trials(context: Context) -> Mapping[str, Trial[TheoremStudy]]:
    """Four settings inside the theorem's hypotheses, two on real data outside them, and linear models by training."""
    real = context.replicas(REAL_REPLICAS, quick=QUICK_REAL_REPLICAS)
    in_single_precision = Ensemble(replicas=real, dtype="float32")
    chosen: dict[str, Trial[TheoremStudy]] = {}
    for name, (replicas, study, setting) in INSIDE.items():
        # rounding, of 1e-7, is far below what is tested: per cents
        ensemble = Ensemble(
            replicas=context.replicas(replicas, quick=QUICK.get(name)),
            dtype="float64" if setting.network.kind == "linear" else "float32",
        )
        chosen[name] = Trial(msgspec.structs.replace(setting, ensemble=ensemble), study, parts=context.parts(2))
    for name, (study, setting) in ON_REAL_DATA.items():
        chosen[name] = Trial(msgspec.structs.replace(setting, ensemble=in_single_precision), study, kind="outside")
    for variant in linear_variants():
        replicas = context.replicas(VARIANT_REPLICAS * variant.effort, quick=QUICK_VARIANTS.get(variant.name))
        setting = msgspec.structs.replace(variant.setting, ensemble=Ensemble(replicas=replicas))
        chosen[f"linear: {variant.name}"] = Trial(setting, ShownByTraining(variant.name))
    return chosen


def predict(case: Case[TheoremStudy]) -> float | str:
    """The theorem predicts an off-commutant part of exactly 0; outside its hypotheses it predicts nothing."""
    return "none" if case.kind == "outside" else 0.0


@dataclass(frozen=True, eq=False)
class TheoremTests:
    """What is judged of an ensemble inside the hypotheses, and how far it is from alignment where that is shown."""

    alignment: AlignmentEvidence
    mean_weight: MeanWeightEvidence
    distance: DistanceFromAlignment | None

    @property
    def replicas(self) -> int:
        return self.alignment.replicas

    @property
    def diverged(self) -> int:
        return self.alignment.diverged


@dataclass(frozen=True, eq=False)
class OutsideTheorem:
    """How far an ensemble outside the hypotheses is from alignment."""

    distance: DistanceFromAlignment
    replicas: int
    diverged: int


def measure(case: Case[TheoremStudy], context: Context) -> TheoremTests | OutsideTheorem:
    """Train the ensemble; test alignment and E[w] = 0 exactly where the theorem predicts them; estimate M."""
    trained = train_ensemble(case, context)
    if case.kind == "outside":
        simulation = trained.simulation
        return OutsideTheorem(measure_distance(trained), simulation.replicas, simulation.diverged)
    distance = measure_distance(trained) if isinstance(case.study, ShownAlone) else None
    return TheoremTests(measure_alignment(trained), measure_mean_weight(trained), distance)


def decide(
    case: Case[TheoremStudy], prediction: float | str, measured: TheoremTests | OutsideTheorem
) -> tuple[Judgement, ...]:
    """Refuted below p = 1e-6; holds if an off-commutant part of 5 % would have been found; outside: no verdict."""
    if isinstance(measured, OutsideTheorem):
        return (_distance_alone(prediction, measured.distance),)
    alignment, mean = measured.alignment, measured.mean_weight
    # of linear models the table by training has it, online SGD too
    linear = isinstance(case.study, ShownByTraining) or case.setting.network.kind == "linear"
    return (
        Judgement(
            quantity=r"part of $\Sigma_w$ outside the commutant",
            prediction=prediction,
            measurement=alignment.outside,
            pvalue=alignment.pvalue,
            power=found(alignment.detectable),
            verdict=exact_verdict(alignment.pvalue, alignment.detectable, measured.diverged),
            note="" if linear else f"anisotropy after training: {alignment.learned:.0%}",
        ),
        Judgement(
            quantity=r"$|\mathrm{E}\,w|$, in units of $\sqrt{\mathrm{tr}\,\Sigma_w}$",
            prediction=prediction,
            measurement=mean.size,
            pvalue=mean.pvalue,
            power=found(mean.detectable),
            verdict=exact_verdict(mean.pvalue, mean.detectable, measured.diverged),
        ),
    )


def _distance_alone(prediction: float | str, distance: DistanceFromAlignment) -> Judgement:
    last = distance.along[-1]
    return Judgement(
        quantity="misalignment $M$ of $\\Sigma_w$ against the data eigenvectors, corrected for sampling noise",
        prediction=prediction,
        measurement=distance.corrected,
        interval=distance.interval,
        power=f"sampling alone gives $M$ = {distance.floor:.2g}",
        verdict=OUTSIDE,
        note=f"{last.effect:.0%} below a random basis ($p$ = {last.pvalue:.2g})",
    )


TheoremOutcomes = Outcomes[TheoremStudy, float | str, TheoremTests | OutsideTheorem]


def illustrate(outcomes: TheoremOutcomes) -> Exhibits:
    """Misalignment beside its floor and a random basis; the theorem by training; the transfer functions; M in time."""
    shown = [
        (outcome.case, outcome.measurement.distance) for outcome in outcomes if outcome.measurement.distance is not None
    ]
    drawn = [
        (case.study.panel, distance, case.kind == "outside")
        for case, distance in shown
        if isinstance(case.study, ShownAlone) and case.study.panel is not None
    ]
    distances = distance_table(
        "a3-misalignment",
        "Misalignment $M$ of the mean weight covariance against the data eigenspaces; its floor, the value "
        "that the same sampling noise gives under perfect alignment; a 95 % interval for the $M$ of $\\Sigma_w$ "
        "itself, corrected for that bias; the median over random bases, and the effect size $1 - "
        "M/\\mathrm{median}$.",
        ((case.name, distance) for case, distance in shown),
    )
    transfer = Figure(
        name="a3-transfer",
        caption="The transfer function $f$ before and after training, inside the hypotheses and on real data; bars are "
        "95 % intervals over replicas. The $\\sigma$ of real data span decades, so their axis is logarithmic.",
        panels=tuple(transfer_panel(panel, distance, decades=real) for panel, distance, real in drawn),
    )
    training = Figure(
        name="a3-training",
        caption="Misalignment during training on random labels, against the data eigenvectors and against random "
        "orthonormal bases (band: 95 % of them). Real data lie outside the hypotheses: an effect size, no verdict.",
        panels=tuple(misalignment_panel(panel, distance) for panel, distance, real in drawn if real),
    )
    return Exhibits((distances, variants_table(outcomes)), (transfer, training))


def variants_table(outcomes: TheoremOutcomes) -> Table:
    """What the theorem says, held against every way of training linear models that has a closed form."""
    rows = [
        (outcome.case.study, outcome.measurement)
        for outcome in outcomes
        if isinstance(outcome.case.study, ShownByTraining) and isinstance(outcome.measurement, TheoremTests)
    ]
    return table_of(
        "a3-linear",
        "The theorem by training variant: linear models and linear networks of two layers, data and labels "
        "redrawn in every replica. The part of $\\Sigma_w$ outside the commutant, and $|\\mathrm{E}\\,w|$ in units of "
        "$\\sqrt{\\mathrm{tr}\\,\\Sigma_w}$, both with their sampling noise; the $p$-values of the exact tests; what "
        "these would have detected with 90 % power; and the anisotropy after training.",
        rows,
        text("training", lambda row: row[0].training),
        number("outside", "%", lambda row: 100 * row[1].alignment.outside),
        number("$p$", "p", lambda row: row[1].alignment.pvalue),
        number("detectable outside", "%", lambda row: _percent(row[1].alignment.detectable), digits=2),
        number(r"$|\mathrm{E}\,w|$", "%", lambda row: 100 * row[1].mean_weight.size),
        number("$p$", "p", lambda row: row[1].mean_weight.pvalue),
        number(r"detectable $|\mathrm{E}\,w|$", "%", lambda row: 100 * row[1].mean_weight.detectable, digits=2),
        number("anisotropy", "%", lambda row: 100 * row[1].alignment.learned, digits=2),
    )


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


CLAIM = Claim(
    id="A3",
    title="The alignment theorem",
    statement="If the law of the data is invariant under the orthogonal group that commutes with $\\Sigma_x$, the "
    "first layer starts isotropic and the labels are independent of the data, then $\\mathrm{E}\\,w = 0$ and "
    "$\\Sigma_w$ is aligned with $\\Sigma_x$ at every training time.",
    reference="arXiv:2006.10455, Proposition 1",
    method="An exact randomization test of invariance under that group, on the part of $\\Sigma_w$ outside its "
    "commutant and on the mean weight; every replica draws its own data, labels and init. A finding is refuted below "
    "$p = 10^{-6}$; otherwise it holds if the test detects a part of 5 % with 90 % power.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
