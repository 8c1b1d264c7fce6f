"""F7, where closed forms stop: a smaller network of the same proportions stands for one that no form describes."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np

from reports.claims.claim import BUDGETS, Case, Claim, Context, Outcome
from reports.findings import CONTINUED, Column, Figure, Finding, Panel, Series, Table, Verdict
from reports.judging.changes import from_start
from reports.judging.scaling import (
    ERROR_BUDGET,
    FACTORS,
    TOLERANCE,
    Agreement,
    ScalingVerification,
    compare,
    surrogate,
)
from theory.setting import Data, Ensemble, Labels, Network, Setting, Student, Training

SMALL_FACTORS = (2, 4)  # a network that trains in a second cannot be eight times smaller
SMALL_REPLICAS, LARGE_REPLICAS = 40, 12  # of the full size: in the quick budget, and in the full one
LINES: tuple[Literal["line", "dashed"], ...] = ("line", "dashed")
MANY_ROWS = "network 10-64-10, first layer only, n = 16 d²"


def small_settings() -> dict[str, Setting]:
    """Three settings of a second each; the last has n ≫ d², where the surrogate's own check has to say no."""
    levels = tuple(np.geomspace(0.1, 3.0, 5).round(3).repeat(4))
    return {
        "network 20-128-64-10": _classifier(levels, (128, 64), 800, batch=20, steps=(320, 480)),
        "network 20-128-64-10, NTK": Setting(
            data=Data(kind="gaussian", spectrum=levels, samples=800),
            labels=Labels(kind="classes"),
            network=Network(kind="mlp", hidden=(128, 64), parametrization="ntk"),
            training=Training(loss="cross-entropy", learning_rate=1.0, momentum=0.5, batch_size=20, steps=(400, 800)),
        ),
        MANY_ROWS: _classifier((0.2,) * 5 + (2.0,) * 5, (64,), 1600, batch=20, steps=(320, 640), train="first"),
    }


def large_settings() -> dict[str, Setting]:
    """The three panels of the paper's Figure 20, its diagonals read as variances, and two settings of our own."""
    wide, upper = _steps(0.1, 3.0, 30), _steps(1.0, 1.9, 10)
    return {
        "paper, left: 10-2048-256-10": _classifier(upper, (2048, 256), 10_000, batch=100, steps=(1000, 2000)),
        "paper, middle: 30-2048-256-10": _classifier(wide, (2048, 256), 10_000, batch=100, steps=(1000, 2000)),
        "paper, right: 30-256-256-10": _classifier(wide, (256, 256), 2000, batch=100, steps=(600, 1200)),
        "network 24-512-128-10, tanh": _classifier(
            tuple(np.geomspace(0.05, 4.0, 24).round(4)),
            (512, 128),
            4000,
            batch=50,
            steps=(1600, 3200),
            activation="tanh",
        ),
        "network 16-768-128-5, NTK, Student rows, squared error": Setting(
            data=Data(
                kind="elliptical",
                spectrum=tuple(np.linspace(0.25, 2.5, 16).round(3)),
                samples=2400,
                radial=Student(dof=12.0),
            ),
            labels=Labels(kind="classes", classes=5),
            network=Network(kind="mlp", hidden=(768, 128), parametrization="ntk"),
            training=Training(learning_rate=0.5, momentum=0.5, batch_size=40, steps=(1200, 2400)),
        ),
    }


def _classifier(
    spectrum: tuple[float, ...],
    hidden: tuple[int, ...],
    samples: int,
    *,
    batch: int,
    steps: tuple[int, ...],
    **net: Any,
) -> Setting:
    """Ten random classes, cross-entropy, biases, learning rate .01 and momentum .9, as in the paper's Figure 20."""
    return Setting(
        data=Data(kind="gaussian", spectrum=spectrum, samples=samples),
        labels=Labels(kind="classes"),
        network=Network(kind="mlp", hidden=hidden, bias=True, **net),
        training=Training(loss="cross-entropy", learning_rate=0.01, momentum=0.9, batch_size=batch, steps=steps),
    )


def _steps(first: float, last: float, count: int) -> tuple[float, ...]:
    return tuple(np.linspace(first, last, count).round(3))


def cases(context: Context) -> tuple[Case, ...]:
    """The small settings; from the full budget on the large ones too, which take minutes each."""
    chosen = [(name, setting, context.replicas(SMALL_REPLICAS)) for name, setting in small_settings().items()]
    if context.budget != "quick":
        replicas = LARGE_REPLICAS * BUDGETS[context.budget] // BUDGETS["full"]
        chosen += [(name, setting, replicas) for name, setting in large_settings().items()]
    found = []
    for number, (name, setting, replicas) in enumerate(chosen):
        ensemble = Ensemble(replicas=replicas, seed=context.seed_of("F7", number), dtype="float32")
        full = msgspec.structs.replace(setting, ensemble=ensemble)
        found.append(Case(name, full, kind="control" if name == MANY_ROWS else "asymptotic"))
    return tuple(found)


def predict(case: Case) -> float | Agreement:
    """The error budget; for the control, what the surrogate's own check has to say."""
    return "not converged" if case.kind == "control" else ERROR_BUDGET


def measure(case: Case, context: Context) -> ScalingVerification:
    """Both smaller networks, and the full size held against them."""
    factors = SMALL_FACTORS if case.name in small_settings() else FACTORS
    found = surrogate(case.setting, factors=factors, device=context.device)
    return compare(found, context.run(from_start(case.setting)))


def decide(case: Case, prediction: float | Agreement, measured: ScalingVerification) -> tuple[Finding, ...]:
    """By the budget where the surrogate's own check says "converged"; the control holds where it says no."""
    found, compared = measured.surrogate, measured.comparison[-1]
    error = measured.errors_at(compared.step)[0]
    change = (
        "" if error.change is None else f"; change of $\\tau$ {error.change:.0%} off, noise {error.change_noise:.0%}"
    )
    note = f"own check: {found.agreement}; moved by up to {error.moved:.0%}{change}; {found.saving:.1f} times cheaper"
    if case.kind == "control":
        return (
            Finding(
                claim="F7",
                case=case.name,
                kind="control",
                quantity="the surrogate's own check",
                prediction=prediction,
                measurement=found.agreement,
                power=f"two sizes {found.tolerance:.0%} apart beyond their 95 % interval say no",
                verdict=control_says_no(found.agreement, measured.diverged),
                note=f"largest error {error.worst:+.1%}; moved by up to {error.moved:.0%}{change}",
                replicas=measured.simulation.replicas,
                diverged=measured.diverged,
            ),
        )
    return (
        Finding(
            claim="F7",
            case=case.name,
            kind="asymptotic",
            quantity=r"largest relative error of $\tau$",
            prediction=f"within {ERROR_BUDGET:.2g}",
            measurement=error.worst,
            standard_error=error.worst_se,
            interval=error.interval,
            power=f"{3.24 * error.worst_se:.1%} found with probability .9",
            verdict=compared.verdict,
            note=f"{note}; interval: simultaneous, all directions",
            replicas=measured.simulation.replicas,
            diverged=measured.diverged,
        ),
    )


def control_says_no(agreement: Agreement, diverged: int) -> Verdict:
    """The rule for the control: it holds where the two sizes are found to differ, by more than noise explains."""
    said: dict[Agreement, Verdict] = {"not converged": "holds", "converged": "refuted", "undecided": "undecided"}
    return "undecided" if diverged else said[agreement]


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Errors of both sizes at every reading, and the curves of f."""
    rows: list[tuple[Any, ...]] = []
    for outcome in outcomes:
        measured: ScalingVerification = outcome.measurement
        for place, error in enumerate(measured.errors):
            first = place % 2 == 0
            rows.append(
                (
                    CONTINUED if place else outcome.case.name,
                    error.step if first else None,
                    error.b,
                    100 * error.rms,
                    100 * error.largest,
                    100 * error.noise,
                    100 * error.moved if first else None,
                    None if error.change is None else 100 * error.change,
                    None if error.change_noise is None else 100 * error.change_noise,
                    measured.surrogate.readings[place // 2].agreement if first else CONTINUED,
                    None if place else measured.surrogate.saving,
                )
            )
    table = Table(
        name="f7-surrogate",
        caption="A network with rows and widths $b$ times smaller against the full size, in per cent: the relative "
        "error of $\\tau$ over the eigenspaces, root mean square and largest, and its standard error; how far the full "
        "size has moved, the largest $|\\tau/\\tau_0 - 1|$, which is the error of saying that it does not; the error "
        "of the change $\\tau - \\tau_0$, with what noise alone would give; what the surrogate's own check says of "
        f"both $b$, which have to agree within {TOLERANCE:.0%}; and how many times fewer operations both take than the "
        "full size for the same standard error.",
        columns=(
            Column("setting", "text"),
            Column("step"),
            Column("$b$"),
            Column("rms", digits=2),
            Column("largest", digits=2),
            Column("SE", digits=2),
            Column("moved", digits=2),
            Column("change", digits=2),
            Column("noise", digits=2),
            Column("own check", "text"),
            Column("cheaper", digits=2),
        ),
        rows=tuple(rows),
    )
    caption = "The transfer function of networks that no closed form describes, over its initial value: full size "
    caption += "(points, 95 % intervals) and smaller networks of the same proportions (lines), a surrogate"
    small, paper, own = outcomes[:3], outcomes[3:6], outcomes[6:]
    figures = [Figure("f7-small", caption + "; in the last panel its own check says no.", _panels(small))]
    if paper:
        figures.append(Figure("f7-paper", caption + ": the settings of the paper's Figure 20.", _panels(paper)))
        figures.append(Figure("f7-own", caption + ": two settings of our own.", _panels(own)))
    return (table,), tuple(figures)


def _panels(outcomes: tuple[Outcome, ...]) -> tuple[Panel, ...]:
    """One panel a setting: f over its initial value at the last reading, sqrt(τ/τ_0)."""
    panels = []
    for outcome in outcomes:
        measured: ScalingVerification = outcome.measurement
        reading, full = measured.surrogate.readings[-1], measured.full[-1]
        ratio = np.sqrt(full.tau / full.initial)
        series = [
            Series(f"$b = {b}$", reading.sigma, np.sqrt(size.tau / size.initial), style=style)
            for b, size, style in zip(measured.surrogate.factors, reading.sizes, LINES, strict=True)
        ]
        half = 1.96 * full.change_se / (2 * full.initial * ratio)
        series.append(Series("full size", reading.sigma, ratio, half))
        title = ",".join(outcome.case.name.split(": ")[-1].split(",")[:2])
        panels.append(Panel(title, r"$\sigma$", r"$f(\sigma) / f_0$", tuple(series)))
    return tuple(panels)


CLAIM = Claim(
    id="F7",
    title="Where closed forms stop: a smaller network of the same proportions",
    statement="Rows, hidden widths and updates divided by $b$, all else kept, leave the transfer function nearly as it "
    "is, where $n$ is not far beyond $d^2$. A surrogate, measured; nothing is proved.",
    reference="arXiv:2006.10455, Figure 20; argument in theory/derivations.md, section 5",
    method=f"Two smaller networks, each held against full-size trainings. Where both agree within {TOLERANCE:.0%} the "
    f"surrogate asserts $\\tau$ within {ERROR_BUDGET:.0%}, judged by simultaneous 95 % intervals of both ensembles; "
    "else it asserts nothing. As a control, its own check has to say no where $n \\gg d^2$. The full budget adds the "
    "paper's three panels and two settings of our own.",
    cases=cases,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
