"""C3, negative transfer: upper layers specialise and lose active units, and widening them restores the gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reports.claims import paper_networks
from reports.claims.claim import Case, Claim, Context, Outcome
from reports.claims.transfer import paper_transfer
from reports.claims.transfer.digits import (
    Digits,
    Effects,
    case,
    means_and_halves,
    measure_effects,
    sign_finding,
    simultaneous,
)
from reports.claims.transfer.map_signs import NETWORKS, ROWS, MappedEffects, agreement, measure_mapped
from reports.claims.transfer.tangent_gains import RATES, TangentGains, experiment, tangent_gains
from reports.findings import Column, Figure, Finding, Panel, Picture, Series, Table, Verdict
from theory.testing import PairedMean, paired_mean

LOWER, RATE, EPOCHS = 128, 0.01, 40  # units of the first layer; what maps vary one or two at a time
HURT = 2.0  # the factor on He's standard deviation at which transfer is negative
WIDTHS = (16, 32, 128, 256)  # of the upper layer
NARROW, WIDEST = WIDTHS[:2], WIDTHS[-1]
KERNEL_REPLICAS = 6


@dataclass(frozen=True, order=True)
class Point:
    """One experiment of the maps: init factor, learning rate, width of the upper layer, epochs upstream."""

    factor: float = HURT
    rate: float = RATE
    width: int = 32
    epochs: int = EPOCHS

    @property
    def name(self) -> str:
        return f"factor {self.factor:g}, rate {self.rate:g}, width {self.width}, {self.epochs} epochs"

    @property
    def digits(self) -> Digits:
        """Upstream for a fixed number of epochs, since where transfer is negative labels are never fitted."""
        return Digits(
            self.factor, (LOWER, self.width), rows=300, batch=32, rate=self.rate, limit=self.epochs, until=False
        )

    @property
    def replicas(self) -> int:
        """By the quick budget: about as many as are trained at once, at no more cost than fewer."""
        return 20 if self.width <= 64 else 10 if self.width <= 128 else 6


@dataclass(frozen=True)
class Grid:
    """The values of two maps: init factor × learning rate, and width × epochs upstream at factor 2."""

    factors: tuple[float, ...]
    rates: tuple[float, ...]
    widths: tuple[int, ...]
    epochs: tuple[int, ...]

    @property
    def scale(self) -> list[list[Point]]:
        return [[Point(factor=factor, rate=rate) for rate in self.rates] for factor in self.factors]

    @property
    def length(self) -> list[list[Point]]:
        return [[Point(width=width, epochs=epochs) for epochs in self.epochs] for width in self.widths]


SMALL = Grid((0.5, 2.0), (0.003, 0.01), (16, 128), (5, 40))
LARGE = Grid((0.5, 0.7, 1.0, 1.4, 2.0), (0.003, 0.01, 0.03), (16, 32, 64, 128, 256), (5, 10, 20, 40, 80))
LINE = tuple(Point(width=width) for width in WIDTHS)


def grid(context: Context) -> Grid:
    """2×2 maps by the quick budget; 5×3 and 5×5 by a larger one, some 10 minutes of a core at the full one."""
    return SMALL if context.budget == "quick" else LARGE


def points(values: Grid) -> tuple[Point, ...]:
    """Every point once, the line of widths first, then those of the small maps, so that budgets share numbers."""
    found = dict.fromkeys(LINE)
    for each in (SMALL, values):
        found |= dict.fromkeys(point for row in (*each.scale, *each.length) for point in row)
    return tuple(found)


def cases(context: Context) -> tuple[Case, ...]:
    """Tangent kernels at two scales of the init, then the points of the line of widths and of the maps.

    Where CIFAR-10 is given, VGG16 besides, from weights larger than He's; factor, rate, rows and epochs are ours.
    """
    kernels = tuple(
        case(
            f"tangent kernels, factor {factor:g}",
            experiment(
                Point(factor=factor).digits.experiment(1, 0).upstream,
                factor,
                context.replicas(KERNEL_REPLICAS),
                context.seed_of("C3", number),
            ),
        )
        for number, factor in enumerate(RATES)
    )
    trained = tuple(
        case(
            point.name,
            point.digits.experiment(context.replicas(point.replicas), context.seed_of("C3", number)),
            "asymptotic" if point in LINE else "outside",
        )
        for number, point in enumerate(points(grid(context)), start=len(kernels))
    )
    if context.cifar10 is None:
        return kernels + trained
    # numbers of their own, since the maps of budgets differ in length
    vggs = tuple(
        case(vgg.name, vgg.experiment(context, context.seed_of("C3 VGG16", number)))
        for number, vgg in enumerate(paper_transfer.LOSSES)
    )
    return kernels + trained + vggs


Measured = Effects | TangentGains  # mapped effects are effects, too


def measure(case: Case, context: Context) -> Measured:
    """The gains of a point and what kernels predict, or the gains of networks and of their linearisations."""
    assert case.experiment is not None
    if case.name.startswith("tangent"):
        return tangent_gains(case.experiment, context.device, context.store)
    if paper_networks.is_paper(case.setting):
        return measure_effects(case, context)
    return measure_mapped(case, context)


def decide(case: Case, prediction: str, measured: Measured) -> tuple[Finding, ...]:
    """The line of widths by its ends, VGG16 as its narrow end, kernels by their signs; other points are only shown."""
    if isinstance(measured, TangentGains):
        return _kernel_findings(case, measured)
    width = next((point.width for point in LINE if point.name == case.name), None)
    if width in NARROW or paper_networks.is_paper(case.setting):
        return (_gain_finding(case, measured, "negative", 2), _active_finding(case, measured))
    return (_gain_finding(case, measured, "positive", 1),) if width == WIDEST else ()


def _gain_finding(case: Case, measured: Effects, sign: Literal["positive", "negative"], count: int) -> Finding:
    rescaled = measured.difference("rescaled")
    return sign_finding(
        "C3",
        case,
        measured,
        "gain in mean train accuracy, pretrained",
        measured.difference("pretrained", confidence=simultaneous(count)),
        sign,
        note=f"rescaled {rescaled.mean:+.4f} ± {rescaled.standard_error:.4f}; "
        f"upstream accuracy {measured.upstream_accuracy.mean():.3f}",
    )


def _active_finding(case: Case, measured: Effects) -> Finding:
    before, after = (measured.active_at_switch(kind)[:, -1] for kind in ("scratch", "pretrained"))
    return sign_finding(
        "C3",
        case,
        measured,
        "share of active units of the upper layer, at the switch minus before upstream training",
        paired_mean(after - before, confidence=simultaneous(2)),
        "negative",
        note=f"{before.mean():.3f} before, {after.mean():.3f} at the switch",
    )


def _kernel_findings(case: Case, measured: TangentGains) -> tuple[Finding, ...]:
    found = []
    for k, step in enumerate(measured.steps[1:], start=1):
        confidence = simultaneous(2 * (len(measured.steps) - 1))
        predicted, seen = (paired_mean(v[:, k], confidence=confidence) for v in (measured.predicted, measured.measured))
        found.append(
            Finding(
                claim="C3",
                case=case.name,
                kind=case.kind,
                quantity=f"gain after step {step} as a share of the loss at the start, every layer rescaled",
                prediction=predicted.mean,
                measurement=seen.mean,
                standard_error=seen.standard_error,
                interval=(seen.low, seen.high),
                verdict=same_sign(predicted, seen),
                power=f"predicted ± {predicted.standard_error:.2g}; signs must agree",
                note="by the tangent kernels of these networks, squared error",
                replicas=len(measured.measured),
            )
        )
    return tuple(found)


def same_sign(predicted: PairedMean, seen: PairedMean) -> Verdict:
    """Holds where both intervals lie on the same side of 0, refuted where on different ones, else undecided."""
    signs = [int(found.low > 0) - int(found.high < 0) for found in (predicted, seen)]
    return "undecided" if 0 in signs else "holds" if signs[0] == signs[1] else "refuted"


def _mapped(outcomes: tuple[Outcome, ...]) -> dict[str, MappedEffects]:
    return {o.case.name: o.measurement for o in outcomes if isinstance(o.measurement, MappedEffects)}


def conclude(outcomes: tuple[Outcome, ...]) -> tuple[Finding, ...]:
    """How far the signs of all points are those that kernels predict."""
    return (agreement(_mapped(outcomes)),)


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """All points; the line of widths with active units, the state around the switch, and the maps; VGG16."""
    found = _mapped(outcomes)
    small, wide = (found[point.name].difference("pretrained") for point in (Point(), LINE[-1]))
    error = float(np.hypot(small.standard_error, wide.standard_error))
    rows = []
    for name, measured in found.items():
        gain, active = measured.difference("pretrained"), measured.active_at_switch("pretrained")[:, 1]
        rows.append(
            (
                name,
                float(measured.upstream_accuracy.mean()),
                (gain.mean, gain.standard_error),
                f"[{gain.low:+.3f}, {gain.high:+.3f}]",
                (float(active.mean()), float(active.std(ddof=1) / len(active) ** 0.5)),
                float(measured.predicted.mean()),
            )
        )
    table = Table(
        name="c3-points",
        caption="Every point of the line of widths and of the maps: the train accuracy reached on random labels, the "
        "gain in mean train accuracy over 6 epochs of real labels, the share of active units of the upper layer at "
        f"the switch, and the gain in loss that tangent kernels of {NETWORKS} networks predict. "
        f"From width {Point().width} to {WIDEST} the gain changes by ${wide.mean - small.mean:+.3f} "
        f"\\pm {error:.3f}$ (standard error; replicas are independent).",
        columns=(
            Column("point", "text"),
            Column("upstream"),
            Column("pretrained minus scratch"),
            Column("95 % interval", "text"),
            Column("active, upper layer"),
            Column("by kernels"),
        ),
        rows=tuple(rows),
    )
    values = LARGE if all(point.name in found for point in points(LARGE)) else SMALL
    vggs = tuple(outcome for outcome in outcomes if paper_networks.is_paper(outcome.case.setting))
    tables, figures = paper_transfer.illustrate(vggs) if vggs else ((), ())
    return (table, *tables), (_switch_figure(found), _maps_figure(found, values), *figures)


def _switch_figure(found: Mapping[str, Effects]) -> Figure:
    line = [found[point.name] for point in LINE]
    widths = np.log2(WIDTHS)
    gains = [Series("none", widths[[0, -1]], np.zeros(2), style="dashed")]
    for kind in ("pretrained", "rescaled"):
        each = [measured.difference(kind) for measured in line]
        half = np.array([gain.high - gain.mean for gain in each])
        gains.append(Series(f"{kind} minus scratch", widths, np.array([gain.mean for gain in each]), half, "both"))
    shares = []
    for layer in (0, 1):
        values = [means_and_halves(measured.active_at_switch("pretrained")) for measured in line]
        mean, half = (np.array([value[part][layer] for value in values]) for part in (0, 1))
        shares.append(Series(f"layer {layer + 1}, pretrained", widths, mean, half, "both"))
    narrow = found[Point().name]
    along = [
        Series(
            f"layer {layer + 1}, {kind}",
            narrow.steps,
            *means_and_halves(narrow.active[narrow.treatments.index(kind), :, :, layer]),
            "band",
        )
        for layer in (0, 1)
        for kind in ("pretrained", "scratch")
    ]
    return Figure(
        name="c3-switch",
        caption=f"At init factor {HURT:g}, {EPOCHS} epochs upstream: the gain in mean train accuracy against the width "
        "of the upper layer; the share of active units at the switch; and that share along downstream training at "
        f"width {Point().width}, where scratch at step 0 is the network before upstream training. 95 % intervals.",
        panels=(
            Panel("gain", r"$\log_2$ upper width", "minus scratch", tuple(gains)),
            Panel("active at the switch", r"$\log_2$ upper width", "share of active units", tuple(shares)),
            Panel("around the switch", "step", "share of active units", tuple(along)),
        ),
    )


def _maps_figure(found: Mapping[str, MappedEffects], values: Grid) -> Figure:
    def picture(title: str, label: str, rows: Sequence[Sequence[Point]]) -> Panel:
        gains = [[found[point.name].difference("pretrained").mean for point in row] for row in rows]
        predicted = [[found[point.name].predicted.mean() for point in row] for row in rows]
        return Panel(title, pictures=(Picture(label, np.array(gains), np.array(predicted)),))

    def listed(numbers: Sequence[float]) -> str:
        return ", ".join(f"{number:g}" for number in numbers)

    return Figure(
        name="c3-maps",
        caption="Where pretraining on random labels helps (red) and hurts (blue): gain in mean train accuracy. Left, "
        f"by init factor (rows, from the top: {listed(values.factors)}) and learning rate (columns: "
        f"{listed(values.rates)}), upper width {Point().width}. Right, at factor {HURT:g}, by the width of the upper "
        f"layer (rows: {listed(values.widths)}) and epochs of upstream training (columns: {listed(values.epochs)}). "
        "Signs in the cells, and the lines between them, are predicted by the empirical tangent kernels of "
        f"{NETWORKS} of the pretrained networks, on {ROWS} of the rows: an estimate, which neglects cross-entropy, "
        "mini-batches and momentum, and that kernels move; and a squared error, unlike accuracy, counts how large "
        "outputs are when training begins. No closed form predicts the boundary in such networks. "
        f"Of decided signs it gets right, over all points of the table, {agreement(found).note}. Numbers with "
        "errors are in table c3-points.",
        panels=(
            picture("init scale and learning rate", "factor down, rate across", values.scale),
            picture("width and length", "width down, epochs across", values.length),
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
    cases=cases,
    predict=lambda case: "by the sign",
    measure=measure,
    decide=decide,
    illustrate=illustrate,
    conclude=conclude,
)
