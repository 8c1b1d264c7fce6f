"""F2, the criterion for the shape of f: a phase diagram with simulated points, and the paper's three panels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

import simulate
import theory
from reports.claims.claim import Case, Claim, Context, Outcomes, Trial
from reports.claims.shape.panel_criterion import most_suitable_time, suitable_times
from reports.findings import Exhibits, Figure, Judgement, Panel, Series, Table, number, table_of, text
from reports.judging.rules import one_left_verdict
from reports.judging.shape import ONE_LEFT, simulated_shape
from theory.linear.hypotheses import init_variances, label_variance
from theory.linear.online_shape import predicted_online_shapes
from theory.linear.paper_panels import panel_criteria
from theory.linear.phase_diagram import phase_diagram
from theory.linear.shape import descent_turns, predicted_shape
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training
from theory.shape import PANELS, shape_of

# targets in the plane (ηt s_max, c); the drawn rows move them a little
TIMES, LEVELS = (0.6, 2.4, 5.0, 14.0), (0.02, 0.2, 1.0)
STEPS, OUTPUTS, SAMPLES = 20, 32, 60
TOP = 2.4  # the value near which s_max of X'X/n lies
SPECTRUM = tuple(np.linspace(0.4, 2.0, 6).round(3))
RATIOS = (2.0, 0.5)  # the ratios of the labels' noise ησ_y²/(2B) to the initial variance σ_0², in online training
RATE, BATCH, UPDATES = 0.05, 4, 10  # ηt s_max = 1: the initial weights still tell
HIGHEST = np.geomspace(0.3, 30.0, 200)  # the values of ηt s_max over which the phase diagram is drawn


def descent(time: float, level: float) -> Setting:
    """Plain gradient descent near a point of the phase diagram, on rows that all replicas share."""
    rate = time / (STEPS * TOP)
    # c = σ_0² n/(σ_y² ηt), σ_0² = v/d
    variance = level * rate * STEPS * len(SPECTRUM) / SAMPLES
    return Setting(
        data=Data(kind="gaussian", spectrum=SPECTRUM, samples=SAMPLES, fixed=True),
        labels=Labels(outputs=OUTPUTS),
        network=Network(init_variance=variance),
        training=Training(learning_rate=rate, steps=STEPS),
    )


def online(ratio: float) -> Setting:
    """Training on fresh rows, where the labels' noise is so many times the initial variance."""
    variance = RATE / (2 * BATCH) / ratio * len(SPECTRUM)
    return Setting(
        data=Data(kind="gaussian", spectrum=SPECTRUM, samples="online"),
        labels=Labels(outputs=OUTPUTS),
        network=Network(init_variance=variance),
        training=Training(learning_rate=RATE, batch_size=BATCH, sampling="fresh", steps=UPDATES),
    )


def trials(context: Context) -> Mapping[str, Trial[None]]:
    """Twelve settings of plain gradient descent on a grid of the phase diagram, and two of online training."""
    grid = {f"c = {level:g}, ηt s_max near {time:g}": descent(time, level) for time in TIMES for level in LEVELS}
    fresh = {f"online, noise of the labels {ratio:g} times the initial variance": online(ratio) for ratio in RATIOS}
    ensemble = Ensemble(replicas=context.replicas(6144, quick=4096))
    return {
        name: Trial(
            msgspec.structs.replace(setting, ensemble=ensemble),
            kind="asymptotic" if setting.data.samples == "online" else "exact",
        )
        for name, setting in (grid | fresh).items()
    }


@dataclass(frozen=True, eq=False)
class DescentShape:
    """Where a setting lies in the phase diagram, its shape, and the boundaries of the diagram for its rows.

    The shape that the predicted τ shows at the eigenvalues differs from the criterion's, on the whole range of σ, where
    the criterion's τ turns between two neighbouring eigenvalues at an end: a simulation cannot see it.

    Attributes
    ----------
    c : float
        σ_0² n/(σ_y² ηt).
    highest : float
        ηt s_max.
    sampled, criterion : str
    hidden : bool
        Whether the criterion has τ turn between two neighbouring eigenvalues at an end.
    rises_below, falls_above : ndarray, shape (200,)
        The c below which f rises on the whole range, and above which it falls, over `HIGHEST`.
    """

    c: float
    highest: float
    sampled: str
    criterion: str
    hidden: bool
    rises_below: np.ndarray
    falls_above: np.ndarray

    @property
    def shape(self) -> str:
        """What a simulation should show: the criterion's shape, unless it may be hidden between two eigenvalues."""
        return self.sampled if self.hidden else self.criterion


@dataclass(frozen=True)
class OnlineShape:
    """The shape under online training, without a peak to leading order in η.

    Attributes
    ----------
    ratio : float
        ησ_y²/(2Bσ_0²): to leading order f rises above 1, and falls below.
    leading, exact : str
        The shape to leading order, and the shape from the exact τ at the eigenvalues of Σ.
    """

    ratio: float
    leading: str
    exact: str


def predict(case: Case[None]) -> DescentShape | OnlineShape:
    """The shapes in closed form."""
    return _online_shape(case.setting) if case.setting.data.samples == "online" else _descent_shape(case.setting)


def _descent_shape(setting: Setting) -> DescentShape:
    """Both shapes, from the closed form and from the exact criterion for gradient descent."""
    rows = simulate.rows(setting)
    eigenvalues = np.linalg.eigvalsh(rows.T @ rows / len(rows))
    rate, steps = setting.training.learning_rate, setting.training.readings[-1]
    time, spread = rate * steps, eigenvalues[0] / eigenvalues[-1]
    diagram = phase_diagram(np.array([0.1]), HIGHEST, spread=spread)
    c = setting.network.layer_variances[0] / len(eigenvalues) * len(rows) / time
    turns = descent_turns(c, steps, rate * eigenvalues[0], rate * eigenvalues[-1])
    inside = rate * eigenvalues[[1, -2]]
    return DescentShape(
        c=c,
        highest=float(time * eigenvalues[-1]),
        sampled=shape_of(theory.predict(setting, rows=rows).readings[-1].tau),
        criterion=predicted_shape(setting, rows)[-1],
        hidden=any(turn < inside[0] or turn > inside[1] for turn in turns),
        rises_below=diagram.rises_below,
        falls_above=diagram.falls_above,
    )


def _online_shape(setting: Setting) -> OnlineShape:
    """The shape to leading order, and the exact one."""
    leading, exact = predicted_online_shapes(setting)[-1]
    initial = float(init_variances(setting, len(setting.data.eigenvalues))[0])
    noise = setting.training.learning_rate * label_variance(setting.labels) / (2 * setting.batch_rows)
    return OnlineShape(noise / initial, leading, exact)


@dataclass(frozen=True)
class ShapeLeft:
    """The shape that simultaneous intervals of an ensemble leave; None where they leave several."""

    shape: str | None
    replicas: int
    diverged: int


def measure(case: Case[None], context: Context) -> ShapeLeft:
    """An ensemble, and the shape that its simultaneous intervals leave."""
    simulation = context.run(case.setting)
    return ShapeLeft(simulated_shape(simulation), simulation.replicas, simulation.diverged)


def decide(case: Case[None], prediction: DescentShape | OnlineShape, measured: ShapeLeft) -> tuple[Judgement, ...]:
    """Holds where the interval decides for the predicted shape, refuted where for another, otherwise undecided.

    Of gradient descent the criterion's shape is predicted, as far as eigenvalues show it; of online training that to
    leading order.
    """
    if isinstance(prediction, DescentShape):
        about = f"$c$ = {prediction.c:.2g}, $\\eta t s_{{\\max}}$ = {prediction.highest:.2g}"
        shape = prediction.shape
        note = (
            ""
            if prediction.criterion == shape
            else f"the criterion, on the whole range of $\\sigma$: {prediction.criterion}"
        )
    else:
        about = f"online, $\\eta\\sigma_y^2/(2B\\sigma_0^2)$ = {prediction.ratio:.2g}"
        shape = prediction.leading
        note = f"to leading order in $\\eta$; exactly: {prediction.exact}"
    return (
        Judgement(
            about=about,
            quantity="shape of $f$",
            prediction=shape,
            measurement=measured.shape or "not decided by the interval",
            power=ONE_LEFT if measured.shape else "several are possible",
            verdict=one_left_verdict(measured.shape, shape, measured.diverged),
            note=note,
        ),
    )


def illustrate(outcomes: Outcomes[None, DescentShape | OnlineShape, ShapeLeft]) -> Exhibits:
    """The phase diagram with the simulated points of gradient descent on it."""
    points = [(o.prediction, o.measurement.shape) for o in outcomes if isinstance(o.prediction, DescentShape)]
    series = [
        _boundary("below: rises", [place.rises_below for place, _ in points], "line"),
        _boundary("above: falls", [place.falls_above for place, _ in points], "dashed"),
    ]
    for shape in (*PANELS, None):
        chosen = [place for place, left in points if left == shape]
        if chosen:
            label = "simulated: " + (shape or "undecided")
            highest, c = np.array([(place.highest, place.c) for place in chosen]).T
            series.append(Series(label, highest, c, style="points"))
    figure = Figure(
        name="f2-phase-diagram",
        caption="Where $f$ falls, rises then falls, or rises: boundaries in closed form (gradient flow), the "
        "median over the rows of the settings, and the shapes that simulated ensembles show; between the lines $f$ "
        "rises, then falls.",
        panels=(Panel("", r"$\eta t\, s_{\max}$", "$c$", tuple(series), xlog=True, ylog=True),),
    )
    return Exhibits(figures=(figure,))


def _boundary(label: str, curves: list[np.ndarray], style: Literal["line", "dashed"]) -> Series:
    """A line of the phase diagram, the median over settings, where there is one: c is positive."""
    c = np.median(curves, axis=0) if curves else np.full(len(HIGHEST), np.nan)
    return Series(label, HIGHEST, np.where(c > 0, c, np.nan), style=style)


def background() -> tuple[Table, ...]:
    """The paper's three panels by the criterion, in both readings of their axis: a contrast, and no explanation."""
    first, last = suitable_times("variance")
    time = most_suitable_time()
    panels = table_of(
        "f2-paper-panels",
        f"The three panels of Figure 20 of the paper by the criterion, for the contribution of the labels alone "
        f"($c = 0$), at $\\eta t = {time:.2f}$ for a panel of 10,000 samples, and in proportion to the samples for the "
        f"others. With the diagonal read as variances all three agree for $\\eta t$ between {first:.2f} and "
        f"{last:.2f}. "
        "Read as standard deviations, as it must be (claim B5), they agree for none: the criterion does not explain "
        "the figure. With the init of the paper the linear model only falls, in every panel.",
        panel_criteria(time),
        text("reading", lambda found: f"diagonal as {found.reading}", once=True),
        text("panel", lambda found: found.panel.name),
        number(r"$\eta t\, s_{\min}$", "1", lambda found: found.lowest),
        number(r"$\eta t\, s_{\max}$", "1", lambda found: found.highest),
        text("criterion", lambda found: found.shape),
        text("paper", lambda found: found.panel.observed),
        text("agree", lambda found: "yes" if found.agrees else "no"),
    )
    return (panels,)


CLAIM = Claim(
    id="F2",
    title="The criterion for the shape of $f$",
    statement="For a linear model under gradient descent the shape of $f$ follows from $c = \\sigma_0^2 n / "
    "(\\sigma_y^2 \\eta t)$ and the range of $\\eta t s$: for $c \\ge 1/2$ it falls; below, it has one peak, at a "
    "place known in closed form. Online, to leading order in $\\eta$, it has no peak: it rises where the noise of the "
    "labels $\\eta\\sigma_y^2/(2B)$ is above the initial variance $\\sigma_0^2$, and falls where it is below.",
    reference="arXiv:2006.10455, Figure 20; derived in theory/derivations.md, section 1.7",
    method="On twelve settings, a grid of the phase diagram, the exact criterion for gradient descent is compared with "
    "the shape that simultaneous 99 % intervals of the simulated $\\tau$ allow. On two settings of online training the "
    "shape to leading order is compared by the same rule.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
    background=background,
)
