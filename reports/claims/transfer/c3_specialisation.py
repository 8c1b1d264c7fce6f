"""C3, negative transfer: upper layers specialise and lose active units, and widening them restores the gain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reports.claims.claim import Case, Claim, Context, Outcome, Outcomes, Trial
from reports.claims.transfer import paper_transfer
from reports.claims.transfer.effects import Effects, judge_sign, measure_effects
from reports.claims.transfer.map_effects import MappedEffects, measure_mapped
from reports.claims.transfer.map_figures import maps_figure, mechanism_figure, points_table, switch_figure
from reports.claims.transfer.map_points import (
    EPOCHS,
    LARGE,
    LINE,
    LOWER,
    NARROW,
    SMALL,
    WIDEST,
    MapPoint,
    grid_of,
    points_of,
)
from reports.claims.transfer.map_signs import CHANCE, judge_maps
from reports.claims.transfer.paper_transfer import Vgg
from reports.claims.transfer.tangent_gains import RATES, TangentGains, kernel_experiment, tangent_gains
from reports.findings import Exhibits, Judgement
from reports.judging.intervals import simultaneous
from reports.judging.rules import SHARE, Sign, same_sign_verdict
from theory.testing import paired_mean

KERNEL_REPLICAS = 6


@dataclass(frozen=True)
class LinearisedInit:
    """Networks held against their own linearisations, by the factor on He's standard deviation."""

    factor: float


SpecialisationStudy = MapPoint | LinearisedInit | Vgg
SpecialisationEffects = MappedEffects | TangentGains | Effects


def trials(context: Context) -> Mapping[str, Trial[SpecialisationStudy]]:
    """Tangent kernels at two scales of the init, then the points of the line of widths and of the maps.

    Where CIFAR-10 is given, VGG16 besides, from weights larger than He's; factor, rate, rows and epochs are ours.
    """
    found: dict[str, Trial[SpecialisationStudy]] = {}
    for factor in RATES:
        upstream = MapPoint(factor=factor).digits.experiment(1).upstream
        experiment = kernel_experiment(upstream, factor, context.replicas(KERNEL_REPLICAS))
        found[f"tangent kernels, factor {factor:g}"] = Trial(experiment, LinearisedInit(factor), "asymptotic")
    for point in points_of(grid_of(context)):
        experiment = point.digits.experiment(context.replicas(point.replicas, quick=point.quick_replicas))
        found[point.name] = Trial(experiment, point, "asymptotic" if point in LINE else "outside")
    if context.cifar10 is not None:
        for vgg in paper_transfer.LOSSES:
            found[vgg.name] = Trial(vgg.experiment(context), vgg, "asymptotic")
    return found


def predict(case: Case[SpecialisationStudy]) -> Sign | None:
    """The sign of the gain at the ends of the line of widths, and of VGG16; nothing of points that are only shown.

    What linearisations say is not known before the networks are trained upstream.
    """
    study = case.study
    if isinstance(study, Vgg):
        return "negative"
    if study not in LINE:
        return None
    return "negative" if study.width in NARROW else "positive" if study.width == WIDEST else None


def measure(case: Case[SpecialisationStudy], context: Context) -> SpecialisationEffects:
    """The gains of a point, or those of one task, and the kernels of the networks, by which they are predicted."""
    if isinstance(case.study, LinearisedInit):
        return tangent_gains(case.experiment, context.device, context.store)
    return measure_effects(case, context) if isinstance(case.study, Vgg) else measure_mapped(case, context)


def decide(
    case: Case[SpecialisationStudy], prediction: Sign | None, measured: SpecialisationEffects
) -> tuple[Judgement, ...]:
    """The line of widths by its ends, VGG16 as its narrow end, kernels by their signs; other points are only shown."""
    if isinstance(measured, TangentGains):
        return tuple(_judge_kernels(measured, k) for k in range(1, len(measured.steps)))
    if prediction is None:
        return ()
    if prediction == "positive":
        return (_judge_gain(measured, prediction, 1),)
    return _judge_gain(measured, prediction, 2), _judge_active(measured)


def _judge_gain(measured: Effects, sign: Sign, count: int) -> Judgement:
    rescaled = measured.difference("rescaled")
    return judge_sign(
        measured.difference("pretrained", confidence=simultaneous(count)),
        sign,
        measured.diverged,
        quantity="gain in mean train accuracy, pretrained",
        note=f"rescaled {rescaled.mean:+.4f} (standard error {rescaled.standard_error:.4f}); "
        f"upstream accuracy {measured.upstream_accuracy.mean():.3f}",
    )


def _judge_active(measured: Effects) -> Judgement:
    before, after = (measured.active_at_switch(kind)[:, -1] for kind in ("scratch", "pretrained"))
    return judge_sign(
        paired_mean(after - before, confidence=simultaneous(2)),
        "negative",
        measured.diverged,
        quantity="share of active units of the upper layer, at the switch minus before upstream training",
        note=f"{before.mean():.3f} before, {after.mean():.3f} at the switch",
    )


def _judge_kernels(measured: TangentGains, k: int) -> Judgement:
    confidence = simultaneous(2 * (len(measured.steps) - 1))
    predicted, seen = (paired_mean(v[:, k], confidence=confidence) for v in (measured.predicted, measured.measured))
    return Judgement(
        quantity=f"gain after step {measured.steps[k]} as a share of the loss at the start, every layer rescaled",
        prediction=predicted.mean,
        measurement=seen.mean,
        standard_error=seen.standard_error,
        interval=(seen.low, seen.high) if seen.estimable else None,
        verdict=same_sign_verdict((predicted.low, predicted.high), (seen.low, seen.high)),
        power=f"predicted with standard error {predicted.standard_error:.2g}; signs must agree",
        note="by the tangent kernels of these networks, squared error",
    )


SpecialisationOutcome = Outcome[SpecialisationStudy, Sign | None, SpecialisationEffects]
SpecialisationOutcomes = Outcomes[SpecialisationStudy, Sign | None, SpecialisationEffects]


def conclude(outcomes: SpecialisationOutcomes) -> tuple[tuple[Judgement, SpecialisationOutcomes], ...]:
    """How far the signs of all points are those that linearised training predicts."""
    mapped = tuple(outcome for outcome in outcomes if isinstance(outcome.measurement, MappedEffects))
    judgements = judge_maps(tuple(_mapped(outcomes).values())) if mapped else ()
    return tuple((judgement, mapped) for judgement in judgements)


def _mapped(outcomes: SpecialisationOutcomes) -> dict[MapPoint, MappedEffects]:
    """What is found at the points of the line and of the maps, but where networks have diverged."""
    return {
        o.case.study: o.measurement
        for o in outcomes
        if isinstance(o.case.study, MapPoint) and isinstance(o.measurement, MappedEffects)
    }


def illustrate(outcomes: SpecialisationOutcomes) -> Exhibits:
    """All points; the line of widths with active units, the state around the switch, and the maps; VGG16."""
    found = _mapped(outcomes)
    names = {o.case.study: o.case.name for o in outcomes if isinstance(o.case.study, MapPoint)}
    vggs = {
        o.case.name: o.measurement
        for o in outcomes
        if isinstance(o.case.study, Vgg) and isinstance(o.measurement, Effects)
    }
    vgg = paper_transfer.show_vgg(vggs) if vggs else Exhibits()
    shown = Exhibits()
    if found:
        grid = LARGE if set(found) - set(points_of(SMALL)) else SMALL
        shown = Exhibits(
            (points_table(found, names),), (switch_figure(found), maps_figure(found, grid), mechanism_figure(found))
        )
    return Exhibits((*shown.tables, *vgg.tables), (*shown.figures, *vgg.figures))


CLAIM = Claim(
    id="C3",
    title="Negative transfer",
    statement="With large initial weights the pretrained network learns a fresh task more slowly: its upper layer "
    "specialises, and at the switch few of its units are active. A wider upper layer restores positive transfer.",
    reference="arXiv:2006.10455, Figures 1, 7 and 8",
    method=f"An MLP 64-{LOWER}-width-10 on digits, 300 rows per task, batches of 32, momentum 0.9, twice He's standard "
    f"deviation; {EPOCHS} epochs of random labels, which narrow networks do not fit. Paired differences to "
    "training from scratch, and changes of active shares, are judged by their signs: negative at widths "
    f"{' and '.join(map(str, NARROW))}, positive at width {WIDEST}; each holds if its 95 % interval (simultaneous "
    "over a case) lies on the expected side of 0, and is refuted on the other. To compare with the kernel regime, each "
    "network "
    "is linearised where downstream training on the squared error begins, and the predicted sign of the gain must be "
    "the observed one. The signs at the points of two maps are predicted by linearised training: each network "
    "is replaced by its linearisation at the switch, which follows the downstream optimizer, loss and batches; the "
    "predicted sign is that of the mean gain in accuracy (or in loss). The prediction holds if Clopper and Pearson's "
    f"interval of the share of decided signs that are right lies above {SHARE:g}, shuffled predictions do as well with "
    f"a probability below {CHANCE:g}, and no constant sign does as well. With $f_0:=0$ the prediction uses the tangent "
    "kernels alone. The control is the condition for the squared error, which has to fail. At least 17 signs must be "
    f"decided for all of this: the quick budget takes {len(points_of(SMALL))} points, the others "
    f"{len(points_of(LARGE))}. The "
    "quick budget's replicas were raised from 8 to 12 per point of the maps after eight had left 16 signs decided at "
    "seed 0, all of them right. "
    "`--budget paper --cifar10 DIR` adds VGG16 on CIFAR-10, real and new "
    f"random labels downstream, at {paper_transfer.LOSSES[0].factor:g} times He's standard deviation, judged as the "
    "narrow networks are: the paper does not give the values of its settings; these are ours. Command: `eigenalign "
    "report --only C3 --budget full` (some 10 minutes of a core).",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
    conclude=conclude,
)
