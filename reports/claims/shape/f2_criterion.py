"""F2, the criterion for the shape of f: a phase diagram with simulated points, and the paper's three panels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reports.claims.claim import Case, Claim, Context, Outcome
from reports.claims.shape.b2_shape import simulated_shape
from reports.findings import CONTINUED, Column, Figure, Finding, Panel, Series, Table, Verdict
from reports.judging.compare import compare
from reports.judging.verify import fixed_rows
from reports.judging.verify import predict as predicted_readings
from theory.linear.paper_panels import agreeing_times, panel_criteria
from theory.linear.phase_diagram import phase_diagram
from theory.linear.shape import predicted_shape
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training
from theory.shape import PANELS, shape_of

# targets in the plane (ηt s_max, c); the drawn rows move them a little
TIMES, LEVELS = (0.6, 2.4, 5.0, 14.0), (0.02, 0.2, 1.0)
STEPS, OUTPUTS = 20, 32


def cases(context: Context) -> tuple[Case, ...]:
    """Twelve settings of plain gradient descent on a grid of the phase diagram."""
    spectrum = tuple(np.linspace(0.4, 2.0, 6).round(3))
    samples, top = 60, 2.4  # s_max of X'X/n lies near 2.4
    found: list[Case] = []
    for time in TIMES:
        for level in LEVELS:
            rate = time / (STEPS * top)
            # c = σ_0² n/(σ_y² ηt), σ_0² = v/d
            variance = level * rate * STEPS * len(spectrum) / samples
            setting = Setting(
                data=Data(kind="gaussian", spectrum=spectrum, samples=samples, fixed=True),
                labels=Labels(outputs=OUTPUTS),
                network=Network(init_variance=variance),
                training=Training(learning_rate=rate, steps=STEPS),
                ensemble=Ensemble(replicas=context.replicas(6144), seed=context.seed_of("F2", len(found))),
            )
            found.append(Case(f"c = {level:g}, ηt s_max near {time:g}", setting))
    return tuple(found)


@dataclass(frozen=True)
class Point:
    """A setting in the phase diagram: its coordinates, and the shape that the simulation shows, or None."""

    c: float
    highest: float
    spread: float
    simulated: str | None
    replicas: int
    diverged: int


@dataclass(frozen=True)
class Predicted:
    """The shape that the predicted τ shows at the eigenvalues, and the criterion's on the whole range of σ.

    They differ where a peak lies between two neighbouring eigenvalues at an end: a simulation cannot see it.
    """

    sampled: str
    criterion: str


def predict(case: Case) -> Predicted:
    """Both shapes, from the closed form and from the exact criterion for gradient descent."""
    rows = fixed_rows(case.setting)
    assert rows is not None
    tau = predicted_readings(case.setting).readings[-1].tau
    return Predicted(shape_of(tau), predicted_shape(case.setting, rows)[-1])


def measure(case: Case, context: Context) -> Point:
    """An ensemble, and the shape that its simultaneous intervals leave."""
    simulation = context.run(case.setting)
    verification = compare(predicted_readings(case.setting), simulation)
    setting, eigenvalues = case.setting, np.linalg.eigvalsh(simulation.data_moment)
    time = setting.training.learning_rate * STEPS
    assert setting.data.samples != "online"
    c = setting.network.layer_variances[0] / len(eigenvalues) * setting.data.samples / time
    return Point(
        c=float(c),
        highest=float(time * eigenvalues[-1]),
        spread=float(eigenvalues[0] / eigenvalues[-1]),
        simulated=simulated_shape(verification),
        replicas=simulation.replicas,
        diverged=simulation.diverged,
    )


def decide(case: Case, prediction: Predicted, point: Point) -> tuple[Finding, ...]:
    """Holds where the interval decides for the predicted shape, refuted where for another, else undecided."""
    verdict: Verdict = "undecided"
    if point.simulated is not None and not point.diverged:
        verdict = "holds" if point.simulated == prediction.sampled else "refuted"
    return (
        Finding(
            claim="F2",
            case=f"$c$ = {point.c:.2g}, $\\eta t s_{{\\max}}$ = {point.highest:.2g}",
            kind="exact",
            quantity="shape of $f$",
            prediction=prediction.sampled,
            measurement=point.simulated or "not decided by the interval",
            power="one of three shapes is left by simultaneous 99 % intervals"
            if point.simulated
            else "several are left",
            verdict=verdict,
            note=""
            if prediction.criterion == prediction.sampled
            else f"the criterion, on the whole range of $\\sigma$: {prediction.criterion}",
            replicas=point.replicas,
            diverged=point.diverged,
        ),
    )


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """The phase diagram with the simulated points on it, and the criterion's values for the paper's panels."""
    points: list[Point] = [outcome.measurement for outcome in outcomes]
    highest = np.geomspace(0.3, 30.0, 200)
    diagram = phase_diagram(np.array([0.1]), highest, spread=float(np.mean([point.spread for point in points])))
    series = [
        Series("below: rises", highest, np.where(diagram.rises_below > 0, diagram.rises_below, np.nan), style="line"),
        Series("above: falls", highest, np.where(diagram.falls_above > 0, diagram.falls_above, np.nan), style="dashed"),
    ]
    for shape in (*PANELS, None):
        chosen = [point for point in points if point.simulated == shape]
        if chosen:
            label = "simulated: " + (shape or "undecided")
            series.append(
                Series(label, np.array([p.highest for p in chosen]), np.array([p.c for p in chosen]), style="points")
            )
    figure = Figure(
        name="f2-phase-diagram",
        caption="Where $f$ falls, rises then falls, or rises: boundaries in closed form (gradient flow), and the "
        "shapes that simulated ensembles show; between the lines $f$ rises, then falls.",
        panels=(Panel("", r"$\eta t\, s_{\max}$", "$c$", tuple(series), xlog=True, ylog=True),),
    )
    return (panel_table(),), (figure,)


def panel_table() -> Table:
    """The paper's three panels by the criterion of the linear model, in both readings of their axis."""
    window = agreeing_times("variance")
    assert window is not None
    time = float(np.sqrt(window[0] * window[1]))
    rows = tuple(
        (
            f"diagonal as {found.reading}" if found.panel.name == "left" else CONTINUED,
            found.panel.name,
            found.lowest,
            found.highest,
            found.shape,
            found.panel.observed,
            "yes" if found.agrees else "no",
        )
        for found in panel_criteria(time)
    )
    return Table(
        name="f2-paper-panels",
        caption=f"The three panels of Figure 20 of the paper by the criterion, for what the labels teach ($c = 0$), at "
        f"$\\eta t = {time:.2f}$ of a panel of 10,000 samples, other panels in proportion to their samples. With the "
        f"diagonal read as variances all three agree for $\\eta t$ between {window[0]:.2f} and {window[1]:.2f}; as "
        "standard deviations, for none. With the init of the paper the linear model only falls, in every panel: the "
        "criterion explains the order of the shapes, not the size of the weights.",
        columns=(
            Column("reading", "text"),
            Column("panel", "text"),
            Column(r"$\eta t\, s_{\min}$"),
            Column(r"$\eta t\, s_{\max}$"),
            Column("criterion", "text"),
            Column("paper", "text"),
            Column("agree", "text"),
        ),
        rows=rows,
    )


CLAIM = Claim(
    id="F2",
    title="The criterion for the shape of $f$",
    statement="For a linear model under gradient descent the shape of $f$ follows from $c = \\sigma_0^2 n / "
    "(\\sigma_y^2 \\eta t)$ and the range of $\\eta t s$: for $c \\ge 1/2$ it falls; below, it has one peak, at a "
    "place known in closed form.",
    reference="arXiv:2006.10455, Figure 20; derived in theory/derivations.md, section 1.7",
    method="Twelve settings on a grid of the phase diagram: the exact criterion for descent against the shape that "
    "simultaneous 99 % intervals of the simulated $\\tau$ leave.",
    cases=cases,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
