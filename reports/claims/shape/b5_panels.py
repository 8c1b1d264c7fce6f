"""B5, the paper's own three panels: f of its networks of three layers, at full size or of smaller ones in their place.

A b times smaller network is a surrogate, not the paper's network: :mod:`simulate.scaling` says what is divided. For n
far beyond d² its argument is known to fail, so that the left panel is judged at full size only. There a network of 2048
and 256 neurons takes about 35 s of one core, and the paper's budget about 50 minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from reports.claims.claim import Case, Claim, Context, Outcome, Outcomes, Trial
from reports.claims.shape.panel_criterion import criterion_of
from reports.claims.shape.panel_networks import (
    BANDS,
    BATCH,
    EPOCHS,
    HIDDEN,
    MOMENTUM,
    RATE,
    SEEDS,
    PanelCurves,
    panel_curves,
    panel_setting,
)
from reports.findings import OUTSIDE, Exhibits, Figure, Judgement, Panel, Series, Table, number, table_of, text
from reports.judging.intervals import detected, half_width, mean_and_half, means_and_halves, sample_mean
from reports.judging.needed import by_interval, with_need
from reports.judging.rules import POWER, one_left_verdict, sign_verdict
from reports.judging.scaling import ERROR_BUDGET, warnings
from reports.judging.shape import CONFIDENCE as SHAPE_CONFIDENCE
from reports.judging.shape import ONE_LEFT
from simulate.scaling import run_shrunken
from theory.linear.paper_panels import PAPER_PANELS, READINGS, PaperPanel, Reading
from theory.shape import RISES, RISES_THEN_FALLS

# b, and how many networks make a curve; b of them have as many neurons as one of full size
FACTORS = {"quick": {"left": 16, "middle": 16, "right": 8}, "full": dict.fromkeys(HIDDEN, 4)}
NETWORKS = {"quick": 8, "full": 4, "paper": 4}
RIGHT_NETWORKS = NETWORKS | {"quick": 72}  # where f levels off, which takes more networks to see, and these are small
# what is said besides the shape, each of a quantity that has to be negative
BESIDES = {
    RISES_THEN_FALLS: ("$f$ at the largest fifth of $\\sigma$, less its initial value", "below the init"),
    RISES: ("the last rise of $f$ between fifths of $\\sigma$, less its mean rise", "levels off"),
}


def factor(budget: str, panel: str) -> int:
    """How many times smaller the networks of a panel are: 1 at the paper's own size."""
    return FACTORS[budget][panel] if budget in FACTORS else 1


@dataclass(frozen=True)
class ReadPanel:
    """A panel of the paper in one reading of its diagonal."""

    panel: PaperPanel
    reading: Reading

    def __str__(self) -> str:
        return f"{self.panel.name}, diagonal as {self.reading}s"


def trials(context: Context) -> Mapping[str, Trial[ReadPanel]]:
    """The panels in both readings of their diagonal, at full size, whatever is trained in their place."""
    chosen = [ReadPanel(panel, reading) for reading in READINGS for panel in PAPER_PANELS]

    def replicas(panel: PaperPanel) -> int:
        return SEEDS * (RIGHT_NETWORKS if panel.name == "right" else NETWORKS)[context.budget]

    return {
        str(study): Trial(panel_setting(study.panel, study.reading, replicas(study.panel)), study, "asymptotic")
        for study in chosen
    }


@dataclass(frozen=True)
class PanelShapes:
    """What the paper shows in a panel, and what the linear criterion says of it, at the time that suits it best."""

    observed: str
    criterion: str


def predict(case: Case[ReadPanel]) -> PanelShapes:
    """What the paper shows; the criterion of the linear model, shown beside it, is not a prediction here."""
    panel, reading = case.study.panel, case.study.reading
    return PanelShapes(panel.observed, criterion_of(panel, reading).shape)


def measure(case: Case[ReadPanel], context: Context) -> PanelCurves:
    """Train the networks, or smaller ones in their place, and read f before and after."""
    setting, b = case.setting, factor(context.budget, case.study.panel.name)
    if b == 1:
        return panel_curves(context.run(setting), b, ())
    simulation = run_shrunken(setting, b, replicas=setting.ensemble.replicas, device=context.device)
    return panel_curves(simulation, b, warnings(setting, len(setting.data.eigenvalues), b))


def decide(case: Case[ReadPanel], prediction: PanelShapes, measured: PanelCurves) -> tuple[Judgement, ...]:
    """The shape, where the intervals leave one; what the paper shows besides; and the scatter between seeds.

    A surrogate gets no verdict outside its argument's reach, nor where all of f moves by less than the error that a
    surrogate declares: what it shows there need not be so at full size. Neither does the scatter.
    """
    judged = (_shape(prediction.observed, measured), *_paper_besides(prediction.observed, measured))
    if unsettled(measured):
        judged = tuple(replace(judgement, verdict=OUTSIDE, kind="outside") for judgement in judged)
    about = str(case.study) + ("" if measured.b == 1 else f", surrogate with $b = {measured.b}$")
    return tuple(replace(judgement, about=about) for judgement in (*judged, _seeds(measured)))


def _shape(observed: str, measured: PanelCurves) -> Judgement:
    shape = measured.shape
    verdict = one_left_verdict(shape, observed, measured.diverged)
    return Judgement(
        quantity=f"shape of $f$ after {EPOCHS} epochs",
        prediction=observed,
        measurement=shape or "not decided by the interval",
        power=ONE_LEFT if shape else "several are possible",
        verdict=verdict,
        note=with_need(_note(measured), verdict, _needed(measured)),
    )


def _needed(measured: PanelCurves) -> str:
    """What decides the shape: what the step between bands needs whose sign is least known; nothing of diverged ones."""
    if measured.diverged:
        return ""
    steps = np.diff(measured.bands, axis=1)
    mean, error = steps.mean(axis=0), steps.std(axis=0, ddof=1) / len(steps) ** 0.5
    half = half_width(error, tests=BANDS - 1, confidence=SHAPE_CONFIDENCE, degrees=len(steps) - 1)
    least = int(np.argmin(np.abs(mean) / half))
    return by_interval(measured.replicas, mean[least] - half[least], mean[least] + half[least], (0.0,))


def _paper_besides(observed: str, measured: PanelCurves) -> tuple[Judgement, ...]:
    if observed not in BESIDES:
        return ()
    quantity, said = BESIDES[observed]
    values = besides(observed, measured)
    (mean, half), error = mean_and_half(values), sample_mean(values)[1]
    smallest = detected(error, degrees=len(values) - 1)
    verdict = sign_verdict(mean - half, mean + half, "negative", measured.diverged)
    return (
        Judgement(
            quantity=quantity,
            prediction=f"negative: {said}",
            measurement=mean,
            standard_error=error,
            interval=(mean - half, mean + half),
            power=f"detects {-smallest:.2g} with {POWER:.0%} power; $f_0$ = {measured.initial:.3g}",
            verdict=verdict,
            note=with_need(_note(measured), verdict, by_interval(measured.replicas, mean - half, mean + half, (0.0,))),
        ),
    )


def _seeds(measured: PanelCurves) -> Judgement:
    ratio, error = measured.seed_scatter
    return Judgement(
        quantity=r"scatter of $f$ between seeds over its scatter along $\sigma$",
        prediction="small: five seeds on one curve",
        measurement=ratio,
        standard_error=error,
        verdict=OUTSIDE,
        kind="outside",
        note=f"an estimate; noise on a flat curve gives {SEEDS**0.5:.2g}",
    )


def _note(measured: PanelCurves) -> str:
    found = f"$\\tau$ in a band moves by up to {measured.moved:.1%}"
    if _within_error(measured):
        found += ", within the error that a surrogate declares of the full size"
    return "; ".join((found, *measured.reach))


def _within_error(measured: PanelCurves) -> bool:
    return measured.b > 1 and measured.moved <= ERROR_BUDGET


def unsettled(measured: PanelCurves) -> bool:
    """Whether a surrogate says nothing of the full size here."""
    return bool(measured.reach) or _within_error(measured)


def besides(observed: str, measured: PanelCurves) -> np.ndarray:
    """What has to be negative besides the shape, of every network (R,)."""
    f = measured.bands
    found: np.ndarray = f[:, -1] - measured.initial
    if observed == RISES:
        found = (f[:, -1] - f[:, -2]) - (f[:, -1] - f[:, 0]) / (BANDS - 1)
    return found


def illustrate(outcomes: Outcomes[ReadPanel, PanelShapes, PanelCurves]) -> Exhibits:
    """Five curves per panel, with the initial value; the shapes beside those of the linear criterion."""
    sizes = sorted({outcome.measurement.b for outcome in outcomes})
    whose = (
        "of the paper's networks at full size"
        if sizes == [1]
        else "of surrogates, networks of the same proportions "
        + " or ".join(f"{b}" for b in sizes)
        + " times smaller than the paper's"
    )
    per_curve = " or ".join(sorted({f"{outcome.measurement.replicas // SEEDS}" for outcome in outcomes}))
    figure = Figure(
        name="b5-panels",
        caption=f"The transfer function {whose}, after {EPOCHS} epochs of ten random classes, in the three panels of "
        "Figure 20 of the paper and both readings of its diagonal (as variances: above; as standard deviations: "
        f"below); five seeds, {per_curve} networks per curve. Points: all of them in five bands of $\\sigma$, "
        "the noise of their own initial weights subtracted, with 95 % intervals; dashed: initial weights.",
        panels=tuple(map(_axes, outcomes)),
    )
    return Exhibits((shape_table(outcomes, whose),), (figure,))


def _axes(outcome: Outcome[ReadPanel, PanelShapes, PanelCurves]) -> Panel:
    study, measured, sigma = outcome.case.study, outcome.measurement, outcome.measurement.sigma
    series = [Series(f"seed {seed}", sigma, curve, style="line") for seed, curve in enumerate(measured.curves, start=1)]
    centres = np.array([part.mean() for part in np.array_split(sigma, BANDS)])
    series.append(Series("in bands", centres, *means_and_halves(measured.bands)))
    series.append(Series("initial weights", sigma, np.full(len(sigma), measured.initial), style="dashed"))
    title = f"{study.panel.name}, {study.reading}s" + ("" if measured.b == 1 else f", $b = {measured.b}$")
    return Panel(title, r"$\sigma$", r"$f(\sigma)$", tuple(series))


def shape_table(outcomes: Outcomes[ReadPanel, PanelShapes, PanelCurves], whose: str) -> Table:
    """What the networks show, the paper, and the linear criterion at the time that suits it best."""
    return table_of(
        "b5-shapes",
        f"The shape of $f$ {whose} in five bands of $\\sigma$; besides, in the middle $f$ in the last band "
        "less its initial value, on the right the last rise between bands less the mean one, both negative in the "
        "paper; the scatter between five seeds over that along $\\sigma$; and the criterion of the linear model, for "
        "what labels teach alone, at the time that suits it best: with the paper's init it lets $f$ only fall. It is "
        "no prediction for these networks, which have none: theory near the kernel limit ends at one hidden layer, and "
        "with softmax at logits that are small.",
        outcomes,
        text("diagonal", lambda o: f"as {o.case.study.reading}s", once=True),
        text("panel", lambda o: o.case.study.panel.name),
        number("$b$", lambda o: o.measurement.b),
        text("paper", lambda o: o.prediction.observed),
        text("networks", lambda o: o.measurement.shape or "undecided"),
        text("verdict", lambda o: o.judgements[0].verdict),
        number("besides", _besides_cell),
        number("seeds", lambda o: o.measurement.seed_scatter),
        text("criterion", lambda o: o.prediction.criterion),
    )


def _besides_cell(outcome: Outcome[ReadPanel, PanelShapes, PanelCurves]) -> tuple[float, float] | None:
    observed = outcome.prediction.observed
    return sample_mean(besides(observed, outcome.measurement)) if observed in BESIDES else None


CLAIM = Claim(
    id="B5",
    title="The three panels of the paper",
    statement="In networks of two hidden layers, trained on ten random classes, $f$ only falls where all $\\sigma$ are "
    "large, rises, then falls below its initial value where small ones are among them, and rises and levels off with "
    "fewer samples and neurons; five seeds lie on one curve.",
    reference="arXiv:2006.10455, Figures 4 (left) and 20",
    method=f"The three panels, their diagonal read as variances and as standard deviations, after {EPOCHS} epochs with "
    f"batches of {BATCH}, learning rate {RATE:g} and momentum {MOMENTUM:g}. The shape is what simultaneous "
    f"99 % intervals, over networks, of $\\tau$ in {BANDS} bands of $\\sigma$ leave of the three, which "
    "is undecided where $f$ levels off for too long to say that it does not fall at last; that $f$ "
    "falls below its initial value, or levels off, is judged by a 95 % interval. The quick and the full budget train "
    "surrogates, networks of the same proportions 16 (right panel: 8) or 4 times smaller, and verdicts are of these; "
    "where the surrogate's argument does not reach ($n \\gg d^2$: the left panel), or where all of $\\tau$ moves by "
    f"less than the {ERROR_BUDGET:.0%} error that a surrogate declares, there is none; that rule came "
    "after the middle panel, read as variances, had been seen to end above its init. The paper's budget "
    "trains the networks themselves.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
