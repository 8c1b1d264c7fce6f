"""F6, where the theory of the shape stops: predicted near the kernel limit and simulated, over labels, time, n/d, m."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from reports.claims.claim import Case, Claim, Context, Outcome
from reports.claims.forms.lazy_changes import measure_changes
from reports.findings import CONTINUED, Column, Figure, Finding, Panel, Series, Table, Verdict
from theory.network.lazy import LARGEST_DISPLACEMENT, error_budget
from theory.network.model import hidden_layer_constants
from theory.setting import Data, Ensemble, Network, Setting, Training
from theory.shape import PANELS, RISES_THEN_FALLS, classify_interval

SPECTRUM = (0.25, 0.75, 1.5, 2.0)
LEVELS = (0.7, 3.0, 12.0)  # s_y²/V_0, V_0 the variance of the output at the start
# samples: learning rate and steps, so that u = ηt s_a² tr(Σ)/(4n) is near 1 and 5; two long rows are
# drawn now and then, on which larger rates would not be stable
TRAININGS = {2: (0.05, (36, 178)), 24: (0.7, (30, 153))}
WIDTHS = {32: 32, 256: 6}  # and how many networks are trained on the same rows
ROWS = 36  # draws of the rows, by the quick budget
CONFIDENCE = 0.99


def cases(context: Context) -> tuple[Case, ...]:
    """ReLU networks, first layer trained, unit labels; the variance of the first layer sets that of the output."""
    found: list[Case] = []
    for samples, (rate, steps) in TRAININGS.items():
        for level in LEVELS:
            for width, networks in WIDTHS.items():
                setting = Setting(
                    data=Data(kind="gaussian", spectrum=SPECTRUM, samples=samples, rotate=False, fixed=True),
                    network=Network(
                        kind="mlp",
                        hidden=(width,),
                        # V_0 = s_a² s_0² tr(Σ)/2 with s_0² = v_1/d
                        init_variance=(2 * len(SPECTRUM) / (level * sum(SPECTRUM)), 1.0),
                        train="first",
                    ),
                    training=Training(learning_rate=rate, steps=steps),
                    ensemble=Ensemble(
                        replicas=context.replicas(ROWS * networks), seed=context.seed_of("F6", len(found))
                    ),
                )
                name = f"n/d = {samples / len(SPECTRUM):g}, s_y²/V_0 = {level:g}, m = {width}"
                found.append(Case(name, setting, kind="asymptotic"))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Point:
    """One case at one time, averaged over draws of the rows.

    Attributes
    ----------
    time : float
        u = ηt s_a² tr(Σ)/(4n).
    displacement : float
        ε, the root of its mean square over the draws.
    declared : float
        The error of m(τ − s_0²) that the theory declares, averaged over the draws.
    predicted, simulated : ndarray, shape (D, d)
        m(τ − s_0²) along the eigenvectors of Σ, for each draw of the rows.
    """

    time: float
    displacement: float
    declared: float
    predicted: np.ndarray
    simulated: np.ndarray


@dataclass(frozen=True, eq=False)
class Measured:
    """The points of one case, and the networks behind them."""

    points: tuple[Point, ...]
    replicas: int
    diverged: int


def predict(case: Case) -> str:
    """The theory is averaged over the very rows on which networks are trained, and so read where these are drawn."""
    return "shape of the theory of order 1/m"


def measure(case: Case, context: Context) -> Measured:
    """Networks on many draws of the rows, a few on each, with the theory conditional on each beside them."""
    setting = case.setting
    networks = WIDTHS[setting.network.widths[0]]
    draws = setting.ensemble.replicas // networks
    model = hidden_layer_constants(setting, len(SPECTRUM))
    predicted, simulated, squares, declared, diverged = [], [], [], [], 0
    for draw in range(draws):
        seed = np.random.SeedSequence([setting.ensemble.seed, draw]).generate_state(1, np.uint64)
        ensemble = Ensemble(replicas=networks, seed=int(seed[0]))
        changes = measure_changes(msgspec.structs.replace(setting, ensemble=ensemble), directions=np.eye(len(SPECTRUM)))
        diverged += changes.diverged
        if len(changes.values):
            predicted.append([np.diagonal(terms.total) for terms in changes.predicted])
            simulated.append(changes.values.mean(axis=0))
            squares.append(np.square(changes.displacement))
            small = zip(changes.predicted, changes.displacement, strict=True)
            declared.append([model.width * error_budget(model, terms, epsilon, 1.0) for terms, epsilon in small])
    theory, means = np.stack(predicted, axis=1), np.stack(simulated, axis=1)
    epsilons, errors = np.sqrt(np.mean(squares, axis=0)), np.mean(declared, axis=0)
    points = tuple(
        Point(time, float(epsilons[i]), float(errors[i]), theory[i], means[i]) for i, time in enumerate(times(setting))
    )
    return Measured(points, setting.ensemble.replicas, diverged)


def times(setting: Setting) -> tuple[float, ...]:
    """u at every reading: in a mode of the bulk of the tangent kernel residuals have decayed by e^{−u}."""
    assert setting.data.samples != "online"
    pace = setting.training.learning_rate * sum(SPECTRUM) / (4 * setting.data.samples)
    return tuple(pace * step for step in setting.training.readings)


def shape(blocks: np.ndarray) -> str | None:
    """Which of the paper's three shapes simultaneous 99 % intervals over the draws leave; "other" if none, or None."""
    return classify_interval(blocks.mean(axis=0), blocks=blocks, confidence=CONFIDENCE, alternatives=PANELS)


def decide(case: Case, prediction: str, measured: Measured) -> tuple[Finding, ...]:
    """Both shapes, and the verdict on them."""
    return tuple(
        Finding(
            claim="F6",
            case=f"{_heading(case)}, $u$ = {point.time:.2g}",
            kind="asymptotic",
            quantity="shape of $f$",
            prediction=shape(point.predicted) or "not decided by the interval",
            measurement=shape(point.simulated) or "not decided by the interval",
            power="at most one of three shapes is left by simultaneous 99 % intervals"
            if shape(point.simulated)
            else "several are left",
            verdict=verdict(point, measured.diverged),
            note=rf"displacement $\varepsilon = {point.displacement:.2f}$; networks are off by "
            f"{distance(point) / point.declared:.2g} of the declared error",
            replicas=measured.replicas,
            diverged=measured.diverged,
        )
        for point in measured.points
    )


def distance(point: Point) -> float:
    """The largest difference between theory and networks over the directions."""
    return float(np.abs(point.simulated.mean(axis=0) - point.predicted.mean(axis=0)).max())


def verdict(point: Point, diverged: int) -> Verdict:
    """Holds where both shapes are decided and agree; refuted where they differ by more than the theory's own error.

    No verdict where weights move by more than half of what they were.
    """
    if point.displacement > LARGEST_DISPLACEMENT:
        return "outside the hypotheses"
    predicted, simulated = shape(point.predicted), shape(point.simulated)
    if predicted is None or simulated is None or diverged:
        return "undecided"
    if predicted == simulated:
        return "holds"
    return "refuted" if distance(point) > point.declared else "undecided"


def _heading(case: Case) -> str:
    return case.name.replace("n/d", "$n/d$").replace("s_y²/V_0", "$s_y^2/V_0$").replace("m =", "$m$ =")


def bend(blocks: np.ndarray) -> tuple[float, float]:
    """The change along the largest σ less that along the middle two, over the mean size; its error.

    A number where a shape is a word: negative where f comes down at large σ.
    """
    middle = blocks.shape[1] // 2
    scale = float(np.abs(blocks.mean(axis=0)).mean())
    values = (blocks[:, -1] - blocks[:, middle - 1 : middle + 1].mean(axis=1)) / scale
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Every point with its two shapes and its two bends; curves where theory and networks part."""
    rows = []
    for outcome in outcomes:
        for number, point in enumerate(outcome.measurement.points):
            rows.append(
                (
                    _heading(outcome.case) if number == 0 else CONTINUED,
                    point.time,
                    point.displacement,
                    shape(point.predicted) or "undecided",
                    shape(point.simulated) or "undecided",
                    bend(point.predicted),
                    bend(point.simulated),
                )
            )
    points = [point for outcome in outcomes for point in outcome.measurement.points]
    down = [bend(point.simulated) for point in points]
    theirs = [bend(point.predicted) for point in points]
    parted = sum(b + 3 * e < 0 < a - 3 * f for (b, e), (a, f) in zip(down, theirs, strict=True))
    sides = [point.predicted for point in points], [point.simulated for point in points]
    peaks = [sum(shape(blocks) == RISES_THEN_FALLS for blocks in side) for side in sides]
    table = Table(
        name="f6-regime-map",
        caption="The shape of $f$, averaged over rows, by the theory of order $1/m$ and in networks of width $m$: "
        "shapes left by simultaneous 99 % intervals (other: none of the three), and the bend, the change along the "
        "largest $\\sigma$ less that along the two in the middle, as a share of the mean change. "
        f"Of {len(points)} points the theory rises, then falls, in {peaks[0]}, the networks in {peaks[1]}; in {parted} "
        "networks come down at large $\\sigma$ where the theory rises (both by more than three standard errors).",
        columns=(
            Column("networks", "text"),
            Column("$u$", digits=2),
            Column(r"$\varepsilon$", digits=2),
            Column("theory", "text"),
            Column("networks", "text"),
            Column("bend, theory"),
            Column("bend, networks"),
        ),
        rows=tuple(rows),
    )
    figure = Figure(
        name="f6-regime-map",
        caption="The change of $\\tau$ times the width, averaged over rows, late in training: the theory of order "
        "$1/m$, the same for all widths, and networks (95 % intervals). The narrower they are, the more the curve "
        "comes down at large $\\sigma$.",
        panels=tuple(_panel(outcomes, samples) for samples in TRAININGS),
    )
    return (table,), (figure,)


def _panel(outcomes: tuple[Outcome, ...], samples: int) -> Panel:
    """Theory and networks of both widths at the middle level of labels, at the last time."""
    level = LEVELS[len(LEVELS) // 2]
    chosen = [
        (outcome.case.setting.network.widths[0], outcome.measurement.points[-1])
        for outcome in outcomes
        if outcome.case.setting.data.samples == samples and f"= {level:g}, m" in outcome.case.name
    ]
    sigma = np.sqrt(SPECTRUM)
    series: list[Series] = []
    for width, point in chosen:
        if not series:
            series.append(Series("theory", sigma, point.predicted.mean(axis=0), style="line"))
        error = point.simulated.std(axis=0, ddof=1) / np.sqrt(len(point.simulated))
        series.append(Series(f"$m = {width}$", sigma, point.simulated.mean(axis=0), 1.96 * error, "both"))
    title = f"$n/d$ = {samples / len(SPECTRUM):g}, $s_y^2/V_0$ = {level:g}"
    return Panel(title, r"$\sigma$", r"$m(\tau - s_0^2)$", tuple(series))


CLAIM = Claim(
    id="F6",
    title="Where the theory of the shape stops",
    statement="Near the kernel limit the shape of $f$ of a ReLU network is that of the theory of order $1/m$, which "
    "mostly rises or falls. Away from it networks bend $f$ down at large $\\sigma$: they rise, then fall, where the "
    "theory rises.",
    reference="arXiv:2006.10455, Figure 20; the theory is derived in theory/derivations.md, section 2.2",
    method="ReLU networks of one hidden layer, the first layer trained by descent on the squared error, over label "
    "levels $s_y^2/V_0$, $n/d$, widths and times $u$. Theory and networks are averaged over the same draws of the "
    "rows; shapes are those that simultaneous 99 % intervals over the draws leave. A verdict is given where weights "
    "move by less than half of what they were: shapes that differ refute the theory if they do so by more than the "
    "error that it declares. Elsewhere both are shown, and not judged.",
    cases=cases,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
