"""C3, negative transfer: upper layers specialise and lose active units, and widening them restores the gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reports.claims.claim import Case, Claim, Context, Outcome, Outcomes, Trial
from reports.claims.transfer import paper_transfer
from reports.claims.transfer.effects import Effects, in_words, judge_sign, measure_effects
from reports.claims.transfer.map_points import (
    EPOCHS,
    HURT,
    LARGE,
    LINE,
    LOWER,
    NARROW,
    SMALL,
    WIDEST,
    MapGrid,
    MapPoint,
    grid_of,
    points_of,
)
from reports.claims.transfer.map_signs import NETWORKS, ROWS, MappedEffects, agreement, measure_mapped
from reports.claims.transfer.paper_transfer import Vgg
from reports.claims.transfer.tangent_gains import RATES, TangentGains, kernel_experiment, tangent_gains
from reports.findings import Exhibits, Figure, Judgement, Panel, Picture, Series, Table, number, table_of, text
from reports.judging.intervals import means_and_halves, sample_mean, simultaneous
from reports.judging.rules import Sign, same_sign_verdict
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
        experiment = point.digits.experiment(context.replicas(point.replicas))
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


def measure(case: Case[SpecialisationStudy], prediction: Sign | None, context: Context) -> SpecialisationEffects:
    """The gains of a point and what kernels predict, or the gains of networks and of their linearisations."""
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
    """How far the signs of all points are those that kernels predict."""
    mapped = tuple(outcome for outcome in outcomes if isinstance(outcome.measurement, MappedEffects))
    return ((agreement(tuple(_mapped(outcomes).values())), mapped),) if mapped else ()


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
        shown = Exhibits((_points_table(found, names),), (_switch_figure(found), _maps_figure(found, grid)))
    return Exhibits((*shown.tables, *vgg.tables), (*shown.figures, *vgg.figures))


def _points_table(found: Mapping[MapPoint, MappedEffects], names: Mapping[MapPoint, str]) -> Table:
    def gain(measured: Effects) -> tuple[float, float]:
        each = measured.difference("pretrained")
        return each.mean, each.standard_error

    def interval(measured: Effects) -> str:
        each = measured.difference("pretrained")
        return in_words(each, 3)

    return table_of(
        "c3-points",
        "Every point of the line of widths and of the maps: the train accuracy reached on random labels, the "
        "gain in mean train accuracy over 6 epochs of real labels, the share of active units of the upper layer at "
        f"the switch, and the gain in loss that tangent kernels of {NETWORKS} networks predict.{_change(found)}",
        found.items(),
        text("point", lambda row: names[row[0]]),
        number("upstream", lambda row: float(row[1].upstream_accuracy.mean())),
        number("pretrained minus scratch", lambda row: gain(row[1])),
        text("95 % interval", lambda row: interval(row[1])),
        number("active, upper layer", lambda row: sample_mean(row[1].active_at_switch("pretrained")[:, 1])),
        number("by kernels", lambda row: float(row[1].predicted.mean())),
    )


def _change(found: Mapping[MapPoint, Effects]) -> str:
    """What the widest upper layer changes, in words; nothing where networks of either width have diverged."""
    narrow, widest = MapPoint(), LINE[-1]
    if not {narrow, widest} <= found.keys():
        return ""
    small, wide = (found[point].difference("pretrained") for point in (narrow, widest))
    error = float(np.hypot(small.standard_error, wide.standard_error))
    return (
        f" From width {narrow.width} to {widest.width} the gain changes by ${wide.mean - small.mean:+.3f} "
        f"\\pm {error:.3f}$ (standard error; replicas are independent)."
    )


def _switch_figure(found: Mapping[MapPoint, Effects]) -> Figure:
    line = [found[point] for point in LINE if point in found]
    widths = np.log2([point.width for point in LINE if point in found])
    ends = np.log2([LINE[0].width, LINE[-1].width])
    gains = [Series("none", ends, np.zeros(2), style="dashed")]
    for kind in ("pretrained", "rescaled"):
        each = [measured.difference(kind) for measured in line]
        half = np.array([gain.high - gain.mean for gain in each])
        gains.append(Series(f"{kind} minus scratch", widths, np.array([gain.mean for gain in each]), half, "both"))
    shares = []
    for layer in (0, 1):
        values = [means_and_halves(measured.active_at_switch("pretrained")) for measured in line]
        mean, half = (np.array([value[part][layer] for value in values]) for part in (0, 1))
        shares.append(Series(f"layer {layer + 1}, pretrained", widths, mean, half, "both"))
    narrow = found.get(MapPoint())
    along = (
        []
        if narrow is None
        else [
            Series(
                f"layer {layer + 1}, {kind}",
                narrow.steps,
                *means_and_halves(narrow.active[narrow.treatments.index(kind), :, :, layer]),
                "band",
            )
            for layer in (0, 1)
            for kind in ("pretrained", "scratch")
        ]
    )
    return Figure(
        name="c3-switch",
        caption=f"At init factor {HURT:g}, {EPOCHS} epochs upstream: the gain in mean train accuracy against the width "
        "of the upper layer; the share of active units at the switch; and that share along downstream training at "
        f"width {MapPoint().width}, where scratch at step 0 is the network before upstream training. 95 % intervals.",
        panels=(
            Panel("gain", r"$\log_2$ upper width", "minus scratch", tuple(gains)),
            Panel("active at the switch", r"$\log_2$ upper width", "share of active units", tuple(shares)),
            Panel("around the switch", "step", "share of active units", tuple(along)),
        ),
    )


def _maps_figure(found: Mapping[MapPoint, MappedEffects], grid: MapGrid) -> Figure:
    def picture(title: str, label: str, rows: Sequence[Sequence[MapPoint]]) -> Panel:
        gains, predicted = np.full((2, len(rows), len(rows[0])), np.nan)
        for i, row in enumerate(rows):
            for j, point in enumerate(row):
                if point in found:
                    gains[i, j] = found[point].difference("pretrained").mean
                    predicted[i, j] = found[point].predicted.mean()
        return Panel(title, pictures=(Picture(label, gains, predicted),))

    def listed(numbers: Sequence[float]) -> str:
        return ", ".join(f"{number:g}" for number in numbers)

    return Figure(
        name="c3-maps",
        caption="Where pretraining on random labels helps (red) and hurts (blue): gain in mean train accuracy. Left, "
        f"by init factor (rows, from the top: {listed(grid.factors)}) and learning rate (columns: "
        f"{listed(grid.rates)}), upper width {MapPoint().width}. Right, at factor {HURT:g}, by the width of the upper "
        f"layer (rows: {listed(grid.widths)}) and epochs of upstream training (columns: {listed(grid.epochs)}). "
        "Signs in the cells, and the lines between them, are predicted by the empirical tangent kernels of "
        f"{NETWORKS} of the pretrained networks, on {ROWS} of the rows: an estimate, which neglects cross-entropy, "
        "mini-batches and momentum, and that kernels move; and a squared error, unlike accuracy, counts how large "
        "outputs are when training begins. No closed form predicts the boundary in such networks. "
        f"Of decided signs it gets right, over all points of the table, {agreement(tuple(found.values())).note}. "
        "Numbers with errors are in table c3-points.",
        panels=(
            picture("init scale and learning rate", "factor down, rate across", grid.scale),
            picture("width and length", "width down, epochs across", grid.length),
        ),
    )


CLAIM = Claim(
    id="C3",
    title="Negative transfer",
    statement="With large initial weights the pretrained network learns a fresh task more slowly: its upper layer "
    "specialises, and at the switch few of its units are active. A wider upper layer restores positive transfer.",
    reference="arXiv:2006.10455, Figures 1, 7 and 8",
    method=f"An MLP 64-{LOWER}-width-10 on digits, 300 rows a task, batches of 32, momentum 0.9, twice He's standard "
    f"deviation; {EPOCHS} epochs of random labels, which narrow networks don't fit. Paired differences to training "
    "from scratch, and of active shares, by their signs: negative at widths "
    f"{' and '.join(map(str, NARROW))}, positive at width {WIDEST}; each holds where its 95 % interval (simultaneous "
    "over a case) lies on its side of 0, and is refuted on the other. What the kernel regime says of these networks: "
    "each is linearised where downstream training on the squared error begins, and the predicted sign of the gain "
    "must be that of what happens. Maps are shown, not judged: 2×2 points by the quick budget, 5×3 and 5×5 by "
    "the others. The same condition, on pretrained networks of every point, predicts the signs of the maps: how many "
    "are right is an estimate without a rule. `--budget paper --cifar10 DIR` adds VGG16 on CIFAR-10, real and new "
    f"random labels downstream, at {paper_transfer.LOSSES[0].factor:g} times He's standard deviation, judged as the "
    "narrow networks are: the paper does not give the values of its settings, and these are ours. Command: "
    "`eigenalign report --only C3 --budget full` (some 10 minutes of a core).",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
    conclude=conclude,
)
