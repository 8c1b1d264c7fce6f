"""F6, where the theory of the shape stops: predicted near the kernel limit and simulated, over labels, time, n/d, m."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from reports.claims.claim import Case, Claim, Context, Outcome, Outcomes, Trial
from reports.claims.forms.lazy_changes import measure_changes
from reports.claims.forms.lazy_predictions import predict_changes
from reports.claims.shape.regime_points import MapNetworks, MapTheory, RegimePoint, bend, point_verdict, regime_points
from reports.findings import Exhibits, Figure, Judgement, Panel, Series, number, table_of, text
from reports.judging.intervals import bars, means_and_halves
from reports.judging.rules import worst
from reports.judging.shape import mean_shape
from theory.network.lazy import LARGEST_DISPLACEMENT
from theory.setting import Data, Ensemble, Network, Setting, Training
from theory.shape import RISES_THEN_FALLS

SPECTRUM = (0.25, 0.75, 1.5, 2.0)
LEVELS = (0.7, 3.0, 12.0)
SHOWN = LEVELS[1]  # the level of s_y²/V_0 whose curves are drawn
# The learning rate and steps for every number of samples, so that u = ηt s_a² tr(Σ)/(4n) is near 1 and 5; two long rows
# are drawn now and then, on which larger rates would not be stable.
TRAININGS = {2: (0.05, (36, 178)), 24: (0.7, (30, 153))}
WIDTHS = {32: 32, 256: 6}  # the widths, and how many networks of each width are trained on the same rows
ROWS = 36  # the number of draws of the rows in the quick budget


@dataclass(frozen=True)
class Regime:
    """Where a case lies on the map.

    Attributes
    ----------
    samples : int
        n.
    level : float
        s_y²/V_0, V_0 the variance of the output at the start.
    width : int
        m.
    networks : int
        How many networks are trained on the same rows.
    """

    samples: int
    level: float
    width: int
    networks: int

    @property
    def ratio(self) -> float:
        """Samples per dimension, n/d."""
        return self.samples / len(SPECTRUM)

    def __str__(self) -> str:
        return f"$n/d$ = {self.ratio:g}, $s_y^2/V_0$ = {self.level:g}, $m$ = {self.width}"


def trials(context: Context) -> Mapping[str, Trial[Regime]]:
    """ReLU networks, first layer trained, unit labels; the variance of the first layer sets that of the output."""
    chosen = [
        Regime(samples, level, width, networks)
        for samples in TRAININGS
        for level in LEVELS
        for width, networks in WIDTHS.items()
    ]
    return {
        f"n/d = {regime.ratio:g}, s_y²/V_0 = {regime.level:g}, m = {regime.width}": Trial(
            setting_of(regime, context.replicas(ROWS * regime.networks)), regime, "asymptotic"
        )
        for regime in chosen
    }


def setting_of(regime: Regime, replicas: int) -> Setting:
    """The networks of a point of the map."""
    rate, steps = TRAININGS[regime.samples]
    return Setting(
        data=Data(kind="gaussian", spectrum=SPECTRUM, samples=regime.samples, rotate=False, fixed=True),
        network=Network(
            kind="mlp",
            hidden=(regime.width,),
            # V_0 = s_a² s_0² tr(Σ)/2 with s_0² = v_1/d
            init_variance=(2 * len(SPECTRUM) / (regime.level * sum(SPECTRUM)), 1.0),
            train="first",
        ),
        training=Training(learning_rate=rate, steps=steps),
        # changes of weights are of per cents, and rounding of 1e-7
        ensemble=Ensemble(replicas=replicas, dtype="float32"),
    )


def times(case: Case[Regime]) -> tuple[float, ...]:
    """u at every reading: in a mode of the bulk of the tangent kernel residuals have decayed by e^{−u}."""
    training = case.setting.training
    pace = training.learning_rate * sum(SPECTRUM) / (4 * case.study.samples)
    return tuple(pace * step for step in training.readings)


def predict(case: Case[Regime]) -> MapTheory:
    """The theory, conditional on the very rows on which networks are trained."""
    found = [predict_changes(setting, np.eye(len(SPECTRUM))) for setting in settings_by_draw(case)]
    return MapTheory(
        times=times(case),
        changes=np.array([[each.change for each in at] for at in zip(*found, strict=True)]),
        displacement=np.array([[each.displacement for each in at] for at in zip(*found, strict=True)]),
        declared=np.array([[each.declared for each in at] for at in zip(*found, strict=True)]),
    )


def settings_by_draw(case: Case[Regime]) -> Iterator[Setting]:
    """The setting of every draw of the rows, with the networks that are trained on it."""
    setting, networks = case.setting, case.study.networks
    for draw in range(setting.ensemble.replicas // networks):
        seed = np.random.SeedSequence([setting.ensemble.seed, draw]).generate_state(1, np.uint64)
        ensemble = msgspec.structs.replace(setting.ensemble, replicas=networks, seed=int(seed[0]))
        yield msgspec.structs.replace(setting, ensemble=ensemble)


def measure(case: Case[Regime], context: Context) -> MapNetworks:
    """Networks on many draws of the rows, a few on each."""
    found, draws, diverged = [], [], 0
    for draw, setting in enumerate(settings_by_draw(case)):
        # errors are those between draws of the rows
        changes = measure_changes(setting, directions=np.eye(len(SPECTRUM)), blocks=2)
        diverged += changes.diverged
        if len(changes.values):
            found.append(changes.change)
            draws.append(draw)
    return MapNetworks(np.stack(found, axis=1), np.array(draws), case.setting.ensemble.replicas, diverged)


MapOutcome = Outcome[Regime, MapTheory, MapNetworks]
MapOutcomes = Outcomes[Regime, MapTheory, MapNetworks]


def decide(case: Case[Regime], prediction: MapTheory, measured: MapNetworks) -> tuple[Judgement, ...]:
    """Nothing of a single case: the map is judged as a whole."""
    return ()


def conclude(outcomes: MapOutcomes) -> tuple[tuple[Judgement, MapOutcomes], ...]:
    """One judgement of all points at which weights move by less than half of what they were.

    Holds where the two shapes agree at every point at which both are decided; refuted where they differ somewhere by
    more than the theory's own error; undecided where they differ by less, or at no point both shapes are decided.
    """
    if not outcomes:
        return ()
    points = [
        (point, outcome.measurement.diverged)
        for outcome in outcomes
        for point in regime_points(outcome.prediction, outcome.measurement)
    ]
    inside = [(point, diverged) for point, diverged in points if not point.outside]
    rulings = [point_verdict(point, diverged) for point, diverged in inside if point.decided and not diverged]
    decided = len(rulings)
    agree, apart = rulings.count("holds"), rulings.count("refuted")
    rising = [point for point, _ in points if point.rises]
    judgement = Judgement(
        kind="asymptotic",
        about=f"{len(points)} points of the map",
        quantity="points at which theory and networks have the same shape of $f$",
        prediction="all that are decided",
        measurement=f"{agree} of {decided} agree, {apart} differ by more than the error",
        verdict=worst(rulings) if rulings else "undecided",
        power=f"{len(inside) - decided} more are not decided by simultaneous 99 % intervals; at "
        f"{len(points) - len(inside)}, not judged, weights move by more than half",
        note=f"at {sum(point.parted for point in rising)} of the {len(rising)} points at which the theory rises at "
        "large $\\sigma$, networks fall there (both by more than three standard errors)",
    )
    return ((judgement, outcomes),)


def illustrate(outcomes: MapOutcomes) -> Exhibits:
    """Every point with its two shapes and its two bends; curves where theory and networks part."""
    points = [
        (outcome.case.study, point)
        for outcome in outcomes
        for point in regime_points(outcome.prediction, outcome.measurement)
    ]
    peaks = [
        sum(mean_shape(blocks) == RISES_THEN_FALLS for blocks in side)
        for side in ([point.predicted for _, point in points], [point.simulated for _, point in points])
    ]
    table = table_of(
        "f6-regime-map",
        "The shape of $f$, averaged over rows, by the theory of order $1/m$ and in networks of width $m$: shapes "
        "allowed by simultaneous 99 % intervals (other: none of the three), and the bend, the change along the largest "
        "$\\sigma$ less that along the two in the middle, as a share of the mean change. "
        f"Of {len(points)} points the theory rises, then falls, in {peaks[0]}, the networks in {peaks[1]}; in "
        f"{sum(point.parted for _, point in points)} networks fall at large $\\sigma$ where the theory rises "
        "(both by more than three standard errors).",
        points,
        text("networks", lambda row: str(row[0]), once=True),
        number("$u$", "1", lambda row: row[1].time, digits=2),
        number(r"$\varepsilon$", "1", lambda row: row[1].displacement, digits=2),
        text("theory", lambda row: mean_shape(row[1].predicted) or "undecided"),
        text("networks", lambda row: mean_shape(row[1].simulated) or "undecided"),
        number("bend, theory", "1", lambda row: bend(row[1].predicted)),
        number("bend, networks", "1", lambda row: bend(row[1].simulated)),
    )
    figure = Figure(
        name="f6-regime-map",
        caption="The change of $\\tau$ times the width, averaged over rows, late in training: the theory of order "
        "$1/m$, the same for all widths, and networks (95 % intervals). With fewer rows than "
        "dimensions both agree within the spread between draws; with many rows networks of either width fall at large "
        "$\\sigma$, where the theory rises. Right: the bend at all points, in networks (95 % intervals) against the "
        "theory; both agree on the dashed line.",
        panels=(
            *(_panel(outcomes, samples) for samples in TRAININGS),
            bend_panel([point for _, point in points]),
        ),
    )
    return Exhibits((table,), (figure,))


def bend_panel(points: list[RegimePoint]) -> Panel:
    """The bend of networks against that of the theory, apart by how far weights move."""
    series: list[Series] = []
    for label, outside in (
        (rf"$\varepsilon \leq {LARGEST_DISPLACEMENT:g}$", False),
        (rf"$\varepsilon > {LARGEST_DISPLACEMENT:g}$", True),
    ):
        chosen = [point for point in points if point.outside == outside]
        if chosen:
            theory = np.array([bend(point.predicted)[0] for point in chosen])
            networks, errors = np.array([bend(point.simulated) for point in chosen]).T
            draws = np.array([len(point.simulated) for point in chosen])
            series.append(Series(label, theory, networks, bars(errors, draws - 1)))
    if points:
        every = [bend(point.predicted)[0] for point in points]
        ends = np.array([min(every), max(every)])
        series.append(Series("equal", ends, ends, style="dashed"))
    return Panel("all points", "bend, theory", "bend, networks", tuple(series))


def _panel(outcomes: MapOutcomes, samples: int) -> Panel:
    """Theory and networks of both widths at one level of labels, at the last time."""
    chosen = [
        (outcome.case.study, regime_points(outcome.prediction, outcome.measurement)[-1])
        for outcome in outcomes
        if (outcome.case.study.samples, outcome.case.study.level) == (samples, SHOWN)
    ]
    sigma = np.sqrt(SPECTRUM)
    series: list[Series] = []
    for regime, point in chosen:
        if not series:
            series.append(Series("theory", sigma, point.predicted.mean(axis=0), style="line"))
        mean, half = means_and_halves(point.simulated)
        series.append(Series(f"$m = {regime.width}$", sigma, mean, half, "both"))
    title = f"$n/d$ = {samples / len(SPECTRUM):g}, $s_y^2/V_0$ = {SHOWN:g}"
    return Panel(title, r"$\sigma$", r"$m(\tau - s_0^2)$", tuple(series))


CLAIM = Claim(
    id="F6",
    title="Where the theory of the shape stops",
    statement="Near the kernel limit the shape of $f$ of a ReLU network is that of the theory of order $1/m$, which "
    "mostly rises or falls. Away from it networks bend $f$ down at large $\\sigma$: they rise, then fall, where the "
    "theory rises.",
    reference="arXiv:2006.10455, Figure 20; the theory is derived in theory/derivations.md, section 2.2",
    method="In ReLU networks of one hidden layer the first layer is trained by gradient descent on the squared error, "
    "at several label levels $s_y^2/V_0$, $n/d$, widths and times $u$. Theory and networks are averaged over the same "
    "draws of the rows; shapes are those that simultaneous 99 % intervals over the draws allow. One verdict is given "
    "on all points where weights move by less than half their initial size. Shapes that differ by more than the "
    "declared error refute the theory, and by less leave it undecided; it holds if some points are decided and all of "
    "these agree. Elsewhere both are shown, and not judged.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
    conclude=conclude,
)
