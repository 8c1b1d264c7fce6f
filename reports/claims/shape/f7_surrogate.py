"""F7, where closed forms stop: a smaller network of the same proportions stands for one that no form describes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from reports.claims.claim import BUDGETS, Budget, Case, Claim, Context, Outcome, Outcomes, Trial
from reports.claims.shape.surrogate_settings import (
    MANY_ROWS,
    OWN_SETTINGS,
    PAPER_SETTINGS,
    SMALL_SETTINGS,
    network_of,
)
from reports.findings import CONTINUED, Exhibits, Figure, Judgement, Kind, Panel, Series, Table, number, table_of, text
from reports.judging.changes import from_start
from reports.judging.intervals import detected, found, root_bars
from reports.judging.rules import Ruling, refusal_verdict
from reports.judging.scaling import (
    ERROR_BUDGET,
    FACTORS,
    TOLERANCE,
    Agreement,
    ScalingError,
    Surrogate,
    compare,
    surrogate,
)
from simulate.results import Simulation
from theory.setting import Ensemble, Setting

# How many times smaller the surrogates of a small network are: it trains in a second, and cannot be made
# eight times smaller.
SMALL_FACTORS = (2, 4)
# of the full size: in the quick budget, in the full one, and there of the paper's, whose 2,048 neurons scatter little
SMALL_REPLICAS, LARGE_REPLICAS, WIDE_REPLICAS = 24, 12, 6
# The line styles of the larger network and of the smaller one.
LINES: tuple[Literal["line", "dashed"], ...] = ("line", "dashed")
# Whether the surrogate's own check refuses; None where it is undecided.
REFUSED: dict[Agreement, bool | None] = {"not converged": True, "converged": False, "undecided": None}


@dataclass(frozen=True)
class Proportions:
    """How many times smaller the two networks are, and in which figure they are drawn."""

    factors: tuple[int, int]
    figure: Literal["small", "paper", "own"]


SMALL = Proportions(SMALL_FACTORS, "small")
PAPER = Proportions(FACTORS, "paper")
OWN = Proportions(FACTORS, "own")


def trials(context: Context) -> Mapping[str, Trial[Proportions]]:
    """The small settings; from the full budget on the large ones too, which take minutes each."""
    few = context.replicas(SMALL_REPLICAS)
    return {
        **_trials(SMALL_SETTINGS, SMALL, few),
        **_trials(MANY_ROWS, SMALL, few, "control"),
        **_trials(PAPER_SETTINGS, PAPER, _large(context, WIDE_REPLICAS), parts=WIDE_REPLICAS, since="full"),
        **_trials(OWN_SETTINGS, OWN, _large(context, LARGE_REPLICAS), since="full"),
    }


def _large(context: Context, replicas: int) -> int:
    """The number of replicas, of which `replicas` is that at the full budget."""
    return replicas * BUDGETS[context.budget] // BUDGETS["full"]


def _trials(
    settings: Mapping[str, Setting],
    study: Proportions,
    replicas: int,
    kind: Kind = "asymptotic",
    parts: int = 1,
    since: Budget = "quick",
) -> dict[str, Trial[Proportions]]:
    ensemble = Ensemble(replicas=replicas, dtype="float32")
    return {
        name: Trial(msgspec.structs.replace(setting, ensemble=ensemble), study, kind, parts=parts, since=since)
        for name, setting in settings.items()
    }


def predict(case: Case[Proportions]) -> float | Agreement:
    """The error budget; for the control, what the surrogate's own check has to say."""
    return "not converged" if case.kind == "control" else ERROR_BUDGET


@dataclass(frozen=True)
class SurrogateErrors:
    """Both smaller networks against the full size, at one step.

    Attributes
    ----------
    sizes : tuple of ScalingError
        The errors of the larger network, then those of the smaller one.
    agreement : "converged", "not converged" or "undecided"
        What the surrogate's own check says of the two.
    verdict : "holds", "refuted" or "undecided"
        The verdict on the larger network, given the error budget.
    """

    sizes: tuple[ScalingError, ...]
    agreement: Agreement
    verdict: Ruling

    @property
    def larger(self) -> ScalingError:
        """The errors of the network that gives τ."""
        return self.sizes[0]


@dataclass(frozen=True, eq=False)
class HeldSurrogate:
    """A surrogate held against the full size: its errors at every reading, and the curves at the last one.

    Attributes
    ----------
    readings : tuple of SurrogateErrors
    agreement : "converged", "not converged" or "undecided"
        What the surrogate's own check says of all readings.
    saving : float
        Operations of the full-size ensemble over those of both smaller ones.
    sigma : ndarray, shape (k,)
    sizes : ndarray, shape (2, k)
        f over its initial value of both smaller networks, the larger one first.
    full, full_bars : ndarray, shape (k,)
        The same ratio of the full size, and half-widths of 95 % intervals.
    replicas : int
        The number of replicas of the full size.
    diverged : int
        The number of diverged replicas of all three ensembles.
    """

    readings: tuple[SurrogateErrors, ...]
    agreement: Agreement
    saving: float
    sigma: np.ndarray
    sizes: np.ndarray
    full: np.ndarray
    full_bars: np.ndarray
    replicas: int
    diverged: int


def measure(case: Case[Proportions], context: Context) -> HeldSurrogate:
    """Both smaller networks, and the full size held against them."""
    full = context.run(from_start(case.setting))  # first, since it may be cut into parts
    return held_surrogate(surrogate(case.setting, factors=case.study.factors, device=context.device), full)


def held_surrogate(found: Surrogate, simulation: Simulation) -> HeldSurrogate:
    """A surrogate against an ensemble of the full size, read at step 0 too; the ensembles themselves are not kept."""
    verified = compare(found, simulation)
    readings = tuple(
        SurrogateErrors(verified.errors_at(reading.step), reading.agreement, compared.verdict)
        for reading, compared in zip(found.readings, verified.comparison, strict=True)
    )
    last, full = found.readings[-1], verified.full[-1]
    ratio = full.tau / full.initial
    return HeldSurrogate(
        readings=readings,
        agreement=found.agreement,
        saving=found.saving,
        sigma=last.sigma,
        sizes=np.sqrt([size.tau / size.initial for size in last.sizes]),
        full=np.sqrt(ratio),
        full_bars=root_bars(ratio, full.change_se / full.initial, full.blocks - 1),
        replicas=verified.replicas,
        diverged=verified.diverged,
    )


def decide(case: Case[Proportions], prediction: float | Agreement, measured: HeldSurrogate) -> tuple[Judgement, ...]:
    """Judge by the budget where the surrogate's own check says "converged"; the control holds where it says no."""
    last = measured.readings[-1]
    error = last.larger
    change = (
        "" if error.change is None else f"; change of $\\tau$ {error.change:.0%} off, noise {error.change_noise:.0%}"
    )
    moved = f"moved by up to {error.moved:.0%}{change}"
    if case.kind == "control":
        return (
            Judgement(
                quantity="the surrogate's own check",
                prediction=prediction,
                measurement=measured.agreement,
                power=f"rejects two sizes that differ by {TOLERANCE:.0%} beyond their 95 % interval",
                verdict=refusal_verdict(REFUSED[measured.agreement], measured.diverged),
                note=f"largest error {error.worst:+.1%}; {moved}",
            ),
        )
    cheaper = f"{measured.saving:.1f} times cheaper; interval: simultaneous, all directions"
    return (
        Judgement(
            quantity=r"largest relative error of $\tau$",
            prediction=f"within {ERROR_BUDGET:.2g}",
            measurement=error.worst,
            standard_error=error.worst_se,
            interval=error.interval,
            power=found(detected(error.worst_se, tests=len(measured.sigma), degrees=error.degrees, relative=True)),
            verdict=last.verdict,
            note=f"own check: {measured.agreement}; {moved}; {cheaper}",
        ),
    )


def illustrate(outcomes: Outcomes[Proportions, float | Agreement, HeldSurrogate]) -> Exhibits:
    """Errors of both sizes at every reading, and the curves of f."""
    caption = "The transfer function of networks that no closed form describes, over its initial value: full size "
    caption += "(points, 95 % intervals) and smaller networks of the same proportions (lines), a surrogate"
    captions = {
        "small": caption + "; in the last panel its own check rejects it.",
        "paper": caption + ": the settings of the paper's Figure 20.",
        "own": caption + ": two settings of our own.",
    }
    drawn = {
        name: tuple(_panel(outcome) for outcome in outcomes if outcome.case.study.figure == name) for name in captions
    }
    return Exhibits(
        (surrogate_table(outcomes),),
        tuple(Figure(f"f7-{name}", captions[name], panels) for name, panels in drawn.items() if panels),
    )


@dataclass(frozen=True)
class ErrorRow:
    """One of the two networks at one step; what both share is said in the row of the larger one."""

    case: str
    error: ScalingError
    larger: bool
    agreement: Agreement
    saving: float | None


def _rows(outcome: Outcome[Proportions, float | Agreement, HeldSurrogate]) -> list[ErrorRow]:
    """Both networks at every step; how much they save is said in the first row."""
    name = outcome.case.name
    rows: list[ErrorRow] = []
    for reading in outcome.measurement.readings:
        for error in reading.sizes:
            saving = None if rows else outcome.measurement.saving
            rows.append(ErrorRow(name, error, error is reading.larger, reading.agreement, saving))
    return rows


def surrogate_table(outcomes: Outcomes[Proportions, float | Agreement, HeldSurrogate]) -> Table:
    """Errors of both networks at every reading."""
    return table_of(
        "f7-surrogate",
        "A network with rows and widths $b$ times smaller, against the full size: the relative error of "
        "$\\tau$ over the eigenspaces, root mean square and largest, and its standard error; how far the full size "
        "has moved, the largest $|\\tau/\\tau_0 - 1|$, which is the error of predicting no change; the error of the "
        "change $\\tau - \\tau_0$, beside the value expected from noise alone; the result of the surrogate's own "
        f"check on both $b$, which have to agree within {TOLERANCE:.0%}; and how many times fewer operations both take "
        "than the full size for the same standard error.",
        [row for outcome in outcomes for row in _rows(outcome)],
        text("setting", lambda row: row.case, once=True),
        text("step", lambda row: row.error.step, once=True),
        number("$b$", "1", lambda row: row.error.b),
        number("rms error", "%", lambda row: 100 * row.error.rms, digits=2),
        number("largest error", "%", lambda row: 100 * row.error.largest, digits=2),
        number("SE", "%", lambda row: 100 * row.error.noise, digits=2),
        number("moved", "%", lambda row: 100 * row.error.moved if row.larger else None, digits=2),
        number("error of the change", "%", lambda row: _percent(row.error.change), digits=2),
        number("noise", "%", lambda row: _percent(row.error.change_noise), digits=2),
        text("own check", lambda row: row.agreement if row.larger else CONTINUED),
        number("times cheaper", "1", lambda row: row.saving, digits=2),
    )


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _panel(outcome: Outcome[Proportions, float | Agreement, HeldSurrogate]) -> Panel:
    """f over its initial value at the last reading, sqrt(τ/τ_0)."""
    measured = outcome.measurement
    lines = zip(outcome.case.study.factors, measured.sizes, LINES, strict=True)
    series = [Series(f"$b = {b}$", measured.sigma, curve, style=style) for b, curve, style in lines]
    series.append(Series("full size", measured.sigma, measured.full, measured.full_bars))
    return Panel(network_of(outcome.case.setting), r"$\sigma$", r"$f(\sigma) / f_0$", tuple(series))


CLAIM = Claim(
    id="F7",
    title="Where closed forms stop: a smaller network of the same proportions",
    statement="Dividing rows, hidden widths and updates by $b$ hardly changes the transfer function, where $n$ is not "
    "far beyond $d^2$. The smaller network is a surrogate: measured, not derived.",
    reference="arXiv:2006.10455, Figure 20; argument in theory/derivations.md, section 5",
    method=f"Two smaller networks, each compared with full-size trainings. If the two agree within {TOLERANCE:.0%}, "
    f"the surrogate predicts $\\tau$ within {ERROR_BUDGET:.0%}, judged by simultaneous 95 % intervals of both "
    "ensembles; otherwise it predicts nothing. As a control, its convergence check must reject where $n \\gg d^2$. "
    "The full budget adds the paper's three panels and two settings of our own.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
