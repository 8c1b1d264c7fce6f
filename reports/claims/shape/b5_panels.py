"""B5, the paper's own three panels: f of its networks of three layers, at full size or of smaller ones in their place.

A b times smaller network is a surrogate, not the paper's network: :mod:`simulate.scaling` says what is divided. For n
far beyond d² its argument is known to fail, so that the left panel is judged at full size only. There a network of 2048
and 256 neurons takes about 35 s of one core, and the paper's budget about 50 minutes.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
from scipy import stats

from reports.claims.claim import Case, Claim, Context, Outcome
from reports.claims.shape.panel_networks import (
    BANDS,
    BATCH,
    CONFIDENCE,
    EPOCHS,
    HIDDEN,
    MOMENTUM,
    RATE,
    SEEDS,
    Measured,
    panel_setting,
    read,
)
from reports.findings import CONTINUED, Column, Figure, Finding, Series, Table
from reports.findings import Panel as Axes
from reports.judging.compare import Verdict, negative_verdict
from reports.judging.scaling import ERROR_BUDGET, warnings
from simulate.scaling import run_shrunken
from theory.linear.paper_panels import PAPER_PANELS, READINGS, Panel, Reading, agreeing_times, panel_criteria
from theory.shape import RISES, RISES_THEN_FALLS

# b, and how many networks make a curve; b of them have as many neurons as one of full size
FACTORS = {"quick": {"left": 16, "middle": 16, "right": 8}, "full": dict.fromkeys(HIDDEN, 4)}
NETWORKS = {"quick": 8, "full": 4, "paper": 4}
# what is said besides the shape, each of a quantity that has to be negative
BESIDES = {
    RISES_THEN_FALLS: ("$f$ at the largest fifth of $\\sigma$, less its initial value", "below the init"),
    RISES: ("the last rise of $f$ between fifths of $\\sigma$, less its mean rise", "levels off"),
}
OUTSIDE: Literal["outside the hypotheses"] = "outside the hypotheses"


def factor(budget: str, panel: str) -> int:
    """How many times smaller the networks of a panel are: 1 at the paper's own size."""
    return FACTORS[budget][panel] if budget in FACTORS else 1


def cases(context: Context) -> tuple[Case, ...]:
    """The panels in both readings of their diagonal, at full size, whatever is trained in their place."""
    return tuple(
        Case(
            f"{panel.name}, diagonal as {reading}s",
            panel_setting(panel, reading, SEEDS * NETWORKS[context.budget], context.seed_of("B5", number)),
            kind="asymptotic",
        )
        for number, (reading, panel) in enumerate((reading, panel) for reading in READINGS for panel in PAPER_PANELS)
    )


def panel_of(case: Case) -> Panel:
    """The panel that a case trains."""
    return next(panel for panel in PAPER_PANELS if case.name.startswith(panel.name))


def measure(case: Case, context: Context) -> Measured:
    """Train the networks, or smaller ones in their place, and read f before and after."""
    setting, b = case.setting, factor(context.budget, panel_of(case).name)
    if b == 1:
        return read(context.run(setting), b, ())
    simulation = run_shrunken(setting, b, replicas=setting.ensemble.replicas, device=context.device)
    return read(simulation, b, warnings(setting, len(setting.data.eigenvalues), b))


def decide(case: Case, prediction: str, measured: Measured) -> tuple[Finding, ...]:
    """The shape, where the intervals leave one; what the paper shows besides; and the scatter between seeds.

    A surrogate gets no verdict outside its argument's reach, nor where all of f moves by less than the error that a
    surrogate declares: what it shows there need not be so at full size. Neither does the scatter.
    """
    whose = "" if measured.b == 1 else f", surrogate with $b = {measured.b}$"
    finding = partial(
        Finding, claim="B5", case=case.name + whose, replicas=measured.replicas, diverged=measured.diverged
    )
    judged = partial(finding, kind="outside" if _unsettled(measured) else "asymptotic", note=_note(measured))
    return (
        judged(**_shape(prediction, measured)),
        *(judged(**found) for found in _paper_besides(prediction, measured)),
        finding(kind="outside", **_seeds(measured)),
    )


def _shape(prediction: str, measured: Measured) -> dict[str, Any]:
    shape = measured.shape
    verdict: Verdict = "undecided" if shape is None else "holds" if shape == prediction else "refuted"
    one = f"one of three shapes is left by simultaneous {CONFIDENCE:.0%} intervals"
    return {
        "quantity": f"shape of $f$ after {EPOCHS} epochs",
        "prediction": prediction,
        "measurement": shape or "not decided by the interval",
        "power": one if shape else "several are left",
        "verdict": OUTSIDE if _unsettled(measured) else verdict,
    }


def _paper_besides(prediction: str, measured: Measured) -> tuple[dict[str, Any], ...]:
    if prediction not in BESIDES:
        return ()
    quantity, said = BESIDES[prediction]
    mean, error, half = _mean(_besides(prediction, measured))
    verdict = negative_verdict(mean - half, mean + half, measured.diverged)
    return (
        {
            "quantity": quantity,
            "prediction": f"negative: {said}",
            "measurement": mean,
            "standard_error": error,
            "interval": (mean - half, mean + half),
            "power": f"{-1.65 * half:.2g} found with probability .9; $f_0$ = {measured.initial:.3g}",
            "verdict": OUTSIDE if _unsettled(measured) else verdict,
        },
    )


def _seeds(measured: Measured) -> dict[str, Any]:
    ratio, error = measured.seed_scatter
    return {
        "quantity": r"scatter of $f$ between seeds over its scatter along $\sigma$",
        "prediction": "small: five seeds on one curve",
        "measurement": ratio,
        "standard_error": error,
        "verdict": OUTSIDE,
        "note": f"an estimate; noise on a flat curve gives {SEEDS**0.5:.2g}",
    }


def _note(measured: Measured) -> str:
    found = f"$\\tau$ in a band moves by up to {_moved(measured):.1%}"
    if _within_error(measured):
        found += ", within the error that a surrogate declares of the full size"
    return "; ".join((found, *measured.reach))


def _moved(measured: Measured) -> float:
    """The largest relative change of τ in a band."""
    return float(np.max(np.abs(measured.tau.mean(axis=0) / measured.initial**2 - 1)))


def _within_error(measured: Measured) -> bool:
    return measured.b > 1 and _moved(measured) <= ERROR_BUDGET


def _unsettled(measured: Measured) -> bool:
    """Whether a surrogate says nothing of the full size here."""
    return bool(measured.reach) or _within_error(measured)


def _besides(shape: str, measured: Measured) -> np.ndarray:
    """What has to be negative besides the shape, of every network (R,)."""
    f = measured.bands
    found: np.ndarray = f[:, -1] - measured.initial
    if shape == RISES:
        found = (f[:, -1] - f[:, -2]) - (f[:, -1] - f[:, 0]) / (BANDS - 1)
    return found


def _mean(values: np.ndarray) -> tuple[float, float, float]:
    """Mean, standard error and the half-width of Student's 95 % interval."""
    error = float(values.std(ddof=1) / len(values) ** 0.5)
    return float(values.mean()), error, float(stats.t.ppf(0.975, len(values) - 1)) * error


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Five curves a panel, with the initial value; the shapes beside those of the linear criterion."""
    sizes = sorted({outcome.measurement.b for outcome in outcomes})
    whose = (
        "of the paper's networks at full size"
        if sizes == [1]
        else "of surrogates, networks of the same proportions "
        + " or ".join(f"{b}" for b in sizes)
        + " times smaller than the paper's"
    )
    per_curve = outcomes[0].measurement.replicas // SEEDS
    figure = Figure(
        name="b5-panels",
        caption=f"The transfer function {whose}, after {EPOCHS} epochs of ten random classes, in the three panels of "
        "Figure 20 of the paper and both readings of its diagonal (as variances: above; as standard deviations: "
        f"below); five seeds, {per_curve} networks a curve. Points: all of them in five bands of $\\sigma$, "
        "the noise of their own initial weights subtracted, with 95 % intervals; dashed: initial weights.",
        panels=tuple(_axes(outcome) for outcome in outcomes),
    )
    return (shape_table(outcomes, whose),), (figure,)


def _axes(outcome: Outcome) -> Axes:
    measured: Measured = outcome.measurement
    sigma = measured.sigma
    series = [Series(f"seed {seed}", sigma, curve, style="line") for seed, curve in enumerate(measured.curves, start=1)]
    centres = np.array([part.mean() for part in np.array_split(sigma, BANDS)])
    halves = np.array([_mean(band)[2] for band in measured.bands.T])
    series.append(Series("in bands", centres, measured.bands.mean(axis=0), halves))
    series.append(Series("initial weights", sigma, np.full(len(sigma), measured.initial), style="dashed"))
    title = outcome.case.name.replace("diagonal as ", "") + ("" if measured.b == 1 else f", $b = {measured.b}$")
    return Axes(title, r"$\sigma$", r"$f(\sigma)$", tuple(series))


def shape_table(outcomes: tuple[Outcome, ...], whose: str) -> Table:
    """What the networks show, the paper, and the linear criterion with its time fitted and at the training's own."""
    window = agreeing_times("variance")
    assert window is not None
    fitted = panel_criteria(float(np.sqrt(window[0] * window[1])))
    rows = []
    for outcome in outcomes:
        measured: Measured = outcome.measurement
        panel, reading = panel_of(outcome.case), _reading(outcome.case)
        alone = next(found for found in fitted if (found.panel, found.reading) == (panel, reading))
        besides = None
        if panel.observed in BESIDES:
            besides = _mean(_besides(panel.observed, measured))[:2]
        rows.append(
            (
                f"as {reading}s" if panel.name == PAPER_PANELS[0].name else CONTINUED,
                panel.name,
                measured.b,
                panel.observed,
                measured.shape or "undecided",
                outcome.findings[0].verdict,
                besides,
                measured.seed_scatter,
                alone.shape,
            )
        )
    return Table(
        name="b5-shapes",
        caption=f"The shape of $f$ {whose} in five bands of $\\sigma$; besides, in the middle $f$ in the last band "
        "less its initial value, on the right the last rise between bands less the mean one, both negative in the "
        "paper; the scatter between five seeds over that along $\\sigma$; and the criterion of the linear model, for "
        "what labels teach alone, at the time that suits it best: with the paper's init it lets $f$ only fall. It is "
        "no prediction for these networks, which have none: theory near the kernel limit ends at one hidden layer, and "
        "with softmax at logits that are small.",
        columns=(
            Column("diagonal", "text"),
            Column("panel", "text"),
            Column("$b$"),
            Column("paper", "text"),
            Column("networks", "text"),
            Column("verdict", "text"),
            Column("besides"),
            Column("seeds"),
            Column("criterion", "text"),
        ),
        rows=tuple(rows),
    )


def _reading(case: Case) -> Reading:
    return next(reading for reading in READINGS if case.name.endswith(f"{reading}s"))


CLAIM = Claim(
    id="B5",
    title="The three panels of the paper",
    statement="In networks of two hidden layers, trained on ten random classes, $f$ only falls where all $\\sigma$ are "
    "large, rises, then falls below its initial value where small ones are among them, and rises and levels off with "
    "fewer samples and neurons; five seeds lie on one curve.",
    reference="arXiv:2006.10455, Figures 4 (left) and 20",
    method=f"The three panels, their diagonal read as variances and as standard deviations, after {EPOCHS} epochs with "
    f"batches of {BATCH}, learning rate {RATE:g} and momentum {MOMENTUM:g}. The shape is what simultaneous "
    f"{CONFIDENCE:.0%} intervals, over networks, of $\\tau$ in {BANDS} bands of $\\sigma$ leave of the three, which "
    "is undecided where $f$ levels off for too long to say that it does not fall at last; that $f$ "
    "falls below its initial value, or levels off, is judged by a 95 % interval. The quick and the full budget train "
    "surrogates, networks of the same proportions 16 (right panel: 8) or 4 times smaller, and verdicts are of these; "
    "where the surrogate's argument does not reach ($n \\gg d^2$: the left panel), or where all of $\\tau$ moves by "
    f"less than the {ERROR_BUDGET:.0%} error that a surrogate declares, there is none; that rule came "
    "after the middle panel, read as variances, had been seen to end above its init. The paper's budget "
    "trains the networks themselves.",
    cases=cases,
    predict=lambda case: panel_of(case).observed,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
