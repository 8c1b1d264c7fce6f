"""F4, one hidden layer near the kernel limit: changes of order 1/m, and how the error of the theory falls with m."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import msgspec
import numpy as np
from scipy import optimize, stats

from reports.claims.claim import Case, Claim, Context, Outcome
from reports.claims.forms.lazy_changes import Changes, measure_changes
from reports.findings import CONTINUED, Column, Figure, Finding, Panel, Series, Table, Verdict
from reports.judging.compare import LEVEL, asymptotic_verdict, control_verdict
from theory.network.lazy import LARGEST_DISPLACEMENT, error_budget
from theory.network.model import hidden_layer_constants
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

SPECTRUM = tuple(np.linspace(0.4, 1.6, 10).round(3))
EXPONENT_BUDGET = 0.15  # how far a fitted exponent may lie from that of the theory's error
# Displacements up to which the error is one power of the width: for smooth activations the next order takes some 4ε²
# of it, and would flatten the fitted power by more than the budget beyond.
POWER_LAW = {"relu": LARGEST_DISPLACEMENT, "erf": 0.2, "tanh": 0.2}
APART = 2**32  # between the numbers of replicas of two widths
DROPPED = {"$T_2$": "own_output", "$T_3$": "gates", "$T_4$": "output_weights"}


@dataclass(frozen=True)
class Family:
    """Networks of several widths, the last of which is the case's: everything else is the same, rows included.

    Attributes
    ----------
    activation : "relu", "erf" or "tanh"
    widths : tuple of int
    neurons : int
        Trained at each width, by the quick budget.
    exponent : float or None
        With which power of the width the error of the trace falls, where that is to be decided.
    """

    activation: Literal["relu", "erf", "tanh"]
    widths: tuple[int, ...]
    neurons: int
    exponent: float | None = None


FAMILIES = {
    "ReLU, first layer": Family("relu", (64, 256, 1024, 4096), 65536, -0.5),
    "erf, first layer": Family("erf", (16, 160, 400, 1000), 40000, -1.0),
    "tanh, first layer": Family("tanh", (64, 1024), 12288),
    "ReLU, both layers": Family("relu", (128, 1024), 16384),
    "erf, both layers": Family("erf", (64, 1024), 12288),
    "ReLU, three outputs": Family("relu", (256, 1024), 8192),
    "ReLU, first layer, later": Family("relu", (256, 1024), 8192),
}
TRAINING = {
    "ReLU, first layer": Training(learning_rate=0.5, steps=40),
    "erf, first layer": Training(learning_rate=0.8, steps=20),
    "tanh, first layer": Training(learning_rate=0.8, steps=20),
    "ReLU, both layers": Training(learning_rate=4.0, steps=40),
    "erf, both layers": Training(learning_rate=3.0, steps=40),
    "ReLU, three outputs": Training(learning_rate=0.5, steps=40),
    "ReLU, first layer, later": Training(learning_rate=0.5, steps=160),
}


def cases(context: Context) -> tuple[Case, ...]:
    """One family a case; the setting is that of its widest network."""
    return tuple(
        Case(
            name,
            Setting(
                data=Data(kind="gaussian", spectrum=SPECTRUM, samples=60, fixed=True),
                labels=Labels(outputs=3 if "three" in name else 1),
                network=Network(
                    kind="mlp",
                    hidden=(family.widths[-1],),
                    activation=family.activation,
                    parametrization="ntk" if "both" in name else "standard",
                    init_variance=(0.9, 1.0),
                    train="all" if "both" in name else "first",
                ),
                training=TRAINING[name],
                ensemble=Ensemble(
                    replicas=context.replicas(family.neurons // family.widths[-1]), seed=context.seed_of("F4", number)
                ),
            ),
            kind="asymptotic",
        )
        for number, (name, family) in enumerate(FAMILIES.items())
    )


@dataclass(frozen=True, eq=False)
class Measured:
    """A family's changes, one a width, and the power law that their gaps follow: (exponent, its standard error, p)."""

    widths: tuple[int, ...]
    changes: tuple[Changes, ...]
    power_law: tuple[float, float, float] | None

    @property
    def replicas(self) -> int:
        """Of all widths."""
        return sum(change.replicas for change in self.changes)

    @property
    def diverged(self) -> int:
        """Of all widths."""
        return sum(change.diverged for change in self.changes)


def predict(case: Case) -> float | None:
    """The exponent with which the error of the theory falls; the changes are predicted as they are measured."""
    return FAMILIES[case.name].exponent


def measure(case: Case, context: Context) -> Measured:
    """The changes at every width, from as many neurons."""
    family, setting = FAMILIES[case.name], case.setting
    changes = []
    for number, width in enumerate(family.widths):
        network = msgspec.structs.replace(setting.network, hidden=(width,))
        replicas = setting.ensemble.replicas * family.widths[-1] // width
        ensemble = msgspec.structs.replace(setting.ensemble, replicas=replicas)
        narrowed = msgspec.structs.replace(setting, network=network, ensemble=ensemble)
        changes.append(measure_changes(narrowed, first=number * APART))
    law = None if family.exponent is None else power_law(family.activation, family.widths, tuple(changes))
    return Measured(family.widths, tuple(changes), law)


def gap(change: Changes) -> tuple[float, float]:
    """Predicted minus measured trace of m(Σ_w − s_0² I), and its standard error."""
    trace, error = change.trace(-1)
    return float(np.trace(change.predicted[-1].total)) - trace, error


def power_law(
    activation: str, widths: tuple[int, ...], changes: tuple[Changes, ...]
) -> tuple[float, float, float] | None:
    """gap = c m^p, least squares with the gaps' errors, over widths wide enough: p, its error, and p of the fit.

    None where no gap is seen: less than three times its error at the narrowest width, which has the largest.
    """
    inside = first_inside(changes, POWER_LAW[activation])
    m = np.array(widths[inside:], dtype=float)
    gaps, errors = np.array([gap(change) for change in changes[inside:]]).T
    if len(m) < 2 or not abs(gaps[0]) > 3 * errors[0]:
        return None

    def residuals(parameters: np.ndarray) -> np.ndarray:
        return (gaps - parameters[0] * (m / m[0]) ** parameters[1]) / errors

    fit = optimize.least_squares(residuals, [gaps[0], -0.5])
    covariance = np.linalg.inv(fit.jac.T @ fit.jac)
    quality = float(stats.chi2.sf(2 * fit.cost, len(m) - 2)) if len(m) > 2 else 1.0
    return float(fit.x[1]), float(np.sqrt(covariance[1, 1])), quality


def first_inside(changes: tuple[Changes, ...], limit: float = LARGEST_DISPLACEMENT) -> int:
    """The narrowest width at which weights move by no more than `limit` of what they were; the last one if none is."""
    inside = [number for number, change in enumerate(changes) if change.displacement[-1] <= limit]
    return min(inside, default=len(changes) - 1)


def quantile(change: Changes, level: float) -> float:
    """Student's upper quantile for a mean over the replicas of one width."""
    return float(stats.t.isf(level, len(change.values) - 1))


def share(change: Changes, term: str) -> tuple[float, float]:
    """With which coefficient T_k stands in the measured change, all other terms taken as predicted; its error.

    1 if the theory holds; above ½ iff the whole theory is nearer to the measured change than it is without T_k.
    """
    predicted = change.predicted[-1]
    part = np.diagonal(getattr(predicted, term))
    rest = np.diagonal(predicted.total) - part
    values = (change.values[:, -1] - rest) @ part / (part @ part)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def decide(case: Case, prediction: float | None, measured: Measured) -> tuple[Finding, ...]:
    """The changes within the form's budget, the exponent, and every term missed if it is dropped."""
    finding = partial(
        Finding, claim="F4", case=case.name, replicas=measured.replicas, diverged=measured.diverged, kind="asymptotic"
    )
    found = [_changes_finding(finding, case, measured)]
    if prediction is not None:
        limit = POWER_LAW[FAMILIES[case.name].activation]
        found.append(_exponent_finding(finding, prediction, measured, limit))
    for name, term in DROPPED.items():
        if not getattr(measured.changes[-1].predicted[-1], term).any():
            continue
        widest = measured.changes[-1]
        value, error = share(widest, term)
        half = quantile(widest, 0.025) * error
        pvalue = float(stats.t.sf((value - 0.5) / error, len(widest.values) - 1))
        found.append(
            finding(
                kind="control",
                quantity=f"share of {name}, $m = {measured.widths[-1]}$",
                prediction=1.0,
                measurement=value,
                standard_error=error,
                interval=(value - half, value + half),
                pvalue=pvalue,
                power=f"a share of {0.5 + (quantile(widest, LEVEL) + 1.28) * error:.2g} found with probability .9",
                verdict=control_verdict(pvalue, measured.diverged),
                note=f"the theory without {name} is farther from the measured change than with it",
            )
        )
    return tuple(found)


def _changes_finding(finding: partial[Finding], case: Case, measured: Measured) -> Finding:
    """τ along every direction, by simultaneous 95 % intervals against the declared budget.

    At the narrowest width inside the regime: with the width the budget falls faster than the error of measurement.
    """
    number = first_inside(measured.changes)
    change = measured.changes[number]
    network = msgspec.structs.replace(case.setting.network, hidden=(measured.widths[number],))
    model = hidden_layer_constants(msgspec.structs.replace(case.setting, network=network), len(SPECTRUM))
    (value, error), predicted = change.measured(-1), np.diagonal(change.predicted[-1].total)
    scale = model.width * model.s0 + predicted
    relative, half = (value - predicted) / scale, quantile(change, 0.025 / len(value)) * error / scale
    budget = error_budget(model, change.predicted[-1], change.displacement[-1], float(scale.min() / model.width))
    verdicts = {
        asymptotic_verdict(r - h, r + h, budget, measured.diverged) for r, h in zip(relative, half, strict=True)
    }
    verdict: Verdict = "refuted" if "refuted" in verdicts else "undecided" if "undecided" in verdicts else "holds"
    if change.displacement[-1] > LARGEST_DISPLACEMENT:
        verdict = "outside the hypotheses"
    worst = int(np.argmax(np.abs(relative)))
    return finding(
        quantity=rf"largest relative error of $\tau$, $m = {model.width}$",
        prediction=f"within {budget:.2g}",
        measurement=float(relative[worst]),
        standard_error=float(error[worst] / scale[worst]),
        interval=(float(relative[worst] - half[worst]), float(relative[worst] + half[worst])),
        power=f"of changes up to {np.abs(predicted / scale).max():.2g}",
        verdict=verdict,
        note=rf"displacement $\varepsilon = {change.displacement[-1]:.2f}$; the interval is simultaneous",
    )


def _exponent_finding(finding: partial[Finding], prediction: float, measured: Measured, limit: float) -> Finding:
    """The power of m with which the error of the trace falls, by its 95 % interval."""
    quantity = "exponent of $m$ in the error of the trace"
    if measured.power_law is None:
        return finding(
            quantity=quantity, prediction=prediction, measurement="no error of the trace is seen", verdict="undecided"
        )
    value, error, quality = measured.power_law
    half = max(quantile(change, 0.025) for change in measured.changes) * error
    low, high = value - half, value + half
    return finding(
        quantity=quantity,
        prediction=prediction,
        measurement=value,
        standard_error=error,
        interval=(low, high),
        power=f"holds within {EXPONENT_BUDGET}",
        verdict=asymptotic_verdict(low - prediction, high - prediction, EXPONENT_BUDGET, measured.diverged),
        note=f"one power law over widths with $\\varepsilon \\le {limit:g}$ fits with $p$ = {quality:.2g}",
    )


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Every width of every family; the change of τ over σ, and the gaps with their power laws."""
    table = Table(
        name="f4-lazy",
        caption="Networks of one hidden layer near the kernel limit: the displacement $\\varepsilon$ of their weights, "
        "the trace of $m(\\Sigma_w - s_0^2 I)$ predicted and measured, and the relative error of the changes over all "
        "directions (root mean square, its noise subtracted) of the whole theory and without one of its terms.",
        columns=(
            Column("networks", "text"),
            Column("$m$"),
            Column(r"$\varepsilon$", digits=2),
            Column("trace"),
            Column("measured"),
            Column("error", digits=2),
            *(Column(f"without {name}", digits=2) for name in DROPPED),
        ),
        rows=tuple(row for outcome in outcomes for row in _rows(outcome)),
    )
    families = [(outcome.case.name, outcome.measurement) for outcome in outcomes]
    decided = [(name, measured) for name, measured in families if measured.power_law is not None]
    gaps = []
    for name, measured in decided:
        widths, (exponent, _, _) = np.array(measured.widths, dtype=float), measured.power_law
        values, errors = (np.array(column) for column in zip(*(gap(c) for c in measured.changes), strict=True))
        start = first_inside(measured.changes, POWER_LAW[FAMILIES[name].activation])
        gaps.append(Series(name, widths, np.abs(values), 1.96 * errors))
        line = np.abs(values[start]) * (widths / widths[start]) ** exponent
        gaps.append(Series(f"$m^{{{exponent:.2f}}}$", widths, line, style="line"))
    panels = [_change_panel(name, measured) for name, measured in families if "first layer" in name][:2]
    if gaps:
        panels.append(
            Panel("error of the trace", "width $m$", "predicted minus measured", tuple(gaps), xlog=True, ylog=True)
        )
    figure = Figure(
        name="f4-changes",
        caption="The change of $\\tau$ times the width, predicted near the kernel limit (lines) and measured at the "
        "narrowest and at the largest width (95 % intervals); and how the error of its sum falls with the width.",
        panels=tuple(panels),
    )
    return (table,), (figure,)


def _change_panel(name: str, measured: Measured) -> Panel:
    """m(τ − s_0²) over σ, predicted and at two widths."""
    change = measured.changes[-1]
    series = [Series("theory", change.sigma, np.diagonal(change.predicted[-1].total), style="line")]
    for number in (0, -1):
        value, error = measured.changes[number].measured(-1)
        series.append(Series(f"$m = {measured.widths[number]}$", change.sigma, value, 1.96 * error))
    return Panel(name, r"$\sigma$", r"$m(\tau - s_0^2)$", tuple(series))


def _rows(outcome: Outcome) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    measured: Measured = outcome.measurement
    for number, (width, change) in enumerate(zip(measured.widths, measured.changes, strict=True)):
        predicted = change.predicted[-1]
        whole = np.diagonal(predicted.total)
        errors: list[float | None] = [_distance(change, whole)]
        for term in DROPPED.values():
            part = np.diagonal(getattr(predicted, term))
            errors.append(_distance(change, whole - part) if part.any() else None)
        name = outcome.case.name if number == 0 else CONTINUED
        rows.append((name, width, change.displacement[-1], float(whole.sum()), change.trace(-1), *errors))
    return rows


def _distance(change: Changes, predicted: np.ndarray) -> float:
    """‖measured − predicted‖ over the norm of the whole theory, with Σ SE² subtracted from the square; 0 if below."""
    value, error = change.measured(-1)
    square = float(np.sum((value - predicted) ** 2 - error**2))
    return float(np.sqrt(max(square, 0.0)) / np.linalg.norm(np.diagonal(change.predicted[-1].total)))


CLAIM = Claim(
    id="F4",
    title="One hidden layer near the kernel limit",
    statement="In networks of one hidden layer of width $m$ everything that training on random labels does to "
    "$\\Sigma_w$ at order $1/m$ is known in closed form at any time; the error falls as $m^{-1/2}$ for ReLU, whose "
    "gates have kinks, and as $1/m$ for erf.",
    reference="arXiv:2006.10455 asks for $f$ of such networks; derived in theory/derivations.md, section 2.2",
    method="Networks of several widths on the same rows, from as many neurons each; what is known of their motion in "
    "the kernel limit is subtracted as a control variate. The error of the trace is fitted by one power of the width, "
    "over widths whose weights move little: it holds where the 95 % interval lies within 0.15 of the exponent. The "
    "changes of $\\tau$ at the narrowest width inside the regime hold within the budget that the form declares "
    "beforehand. As controls each of the terms $T_2$, $T_3$, $T_4$ is left out: the rest must be farther from the "
    "measurement than the whole ($p < 10^{-6}$).",
    cases=cases,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
