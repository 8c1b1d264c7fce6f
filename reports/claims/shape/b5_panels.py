"""B5, the paper's own three panels: f of its networks, at its widths, against the values that it publishes.

A network of 2048 and 256 neurons takes some 17 ms of one core per update, one of 256 and 256 neurons 2 ms: a network of
the right panel 5 seconds, of the middle one 40, of the left one two and a half minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from reports.claims.claim import Case, Claim, Context, Outcome, Outcomes, Trial
from reports.claims.shape.panel_networks import BATCH, MOMENTUM, RATE, PanelCurves, panel_curves, panel_setting
from reports.claims.shape.published_panels import PUBLISHED, READING_ERROR
from reports.findings import Exhibits, Figure, Judgement, Panel, Series, Table, number, table_of, text
from reports.judging.intervals import detected, mean_and_half, means_and_halves, sample_mean, simultaneous
from reports.judging.misfit import Misfit, misfit
from reports.judging.needed import by_interval, with_need
from reports.judging.rules import POWER, above_verdict, sign_verdict
from theory.linear.paper_panels import PAPER_PANELS, READINGS, PaperPanel, Reading
from theory.shape import RISES_THEN_FALLS

# Updates: fitted to the middle panel, read as deviations; and where the left panel is nearest, at the same rate.
STOP, LEFT_STOP = 2340, 9360
WITHIN = 0.004  # some 2 % of f
UPDATES: Mapping[tuple[str, Reading], tuple[int, ...]] = {
    ("left", "deviation"): (STOP, LEFT_STOP),
    ("middle", "deviation"): (1560, STOP),
    ("right", "deviation"): (1560, STOP, 2800),
    ("left", "variance"): (STOP, LEFT_STOP),
    ("middle", "variance"): (780, 1170, 1560),
    ("right", "variance"): (700, 1050, 1400),
}
# Networks by budget; a panel that is not listed is not trained.
NETWORKS: Mapping[str, Mapping[tuple[str, Reading], int]] = {
    "quick": {("right", "deviation"): 2},
    "full": {
        ("left", "deviation"): 2,
        ("middle", "deviation"): 3,
        ("right", "deviation"): 12,
        ("middle", "variance"): 2,
        ("right", "variance"): 4,
    },
    "paper": {
        ("left", "deviation"): 5,
        ("middle", "deviation"): 10,
        ("right", "deviation"): 40,
        ("left", "variance"): 3,
        ("middle", "variance"): 5,
        ("right", "variance"): 10,
    },
}


@dataclass(frozen=True)
class ReadPanel:
    """A panel of the paper in one reading of its diagonal."""

    panel: PaperPanel
    reading: Reading

    def __str__(self) -> str:
        return f"{self.panel.name}, diagonal as {self.reading}s"


def stop(study: ReadPanel) -> int:
    """After how many updates a panel is compared, its diagonal as deviations."""
    return LEFT_STOP if study.panel.name == "left" else STOP


def trials(context: Context) -> Mapping[str, Trial[ReadPanel]]:
    """The panels in both readings of their diagonal, as far as the budget goes; that of the quick one comes first."""
    networks = NETWORKS[context.budget]
    found = {}
    for reading in reversed(READINGS):
        for panel in reversed(PAPER_PANELS):
            if (panel.name, reading) in networks:
                study, place = ReadPanel(panel, reading), (panel.name, reading)
                setting = panel_setting(panel, reading, UPDATES[place], networks[place])
                found[str(study)] = Trial(setting, study, "asymptotic")
    return found


def predict(case: Case[ReadPanel]) -> str:
    """The shape that the paper shows; its values are in `PUBLISHED`."""
    return case.study.panel.observed


def measure(case: Case[ReadPanel], context: Context) -> PanelCurves:
    """Train the networks, and read f before and along training."""
    return panel_curves(context.run(case.setting), case.study.panel)


def off(study: ReadPanel, measured: PanelCurves, confidence: float = 0.95) -> tuple[Misfit, ...]:
    """The misfit to the published values at every reading."""
    beyond = PUBLISHED[study.panel.name].off(measured.sigma, measured.f)
    return tuple(misfit(each, confidence=confidence) for each in beyond)


def decide(case: Case[ReadPanel], prediction: str, measured: PanelCurves) -> tuple[Judgement, ...]:
    """How far f is off with its diagonal as deviations; as variances it is judged beside that, by `conclude`.

    The middle panel, to which rate and updates were fitted on other networks, and the right one are to lie within
    `WITHIN`; the left one is to lie further off where the others stop, and nearer later. The middle one is to end below
    its initial value.
    """
    if case.study.reading == "variance" or measured.networks < 2:
        return ()
    found = [_agreement(case, measured)]
    if case.study.panel.name == "left":
        found.append(_later(case, measured))
    if prediction == RISES_THEN_FALLS:
        found.append(_below(measured))
    return tuple(found)


def _agreement(case: Case[ReadPanel], measured: PanelCurves) -> Judgement:
    at = stop(case.study)
    reached = off(case.study, measured)[measured.updates.index(at)]
    verdict = above_verdict((-reached.high, -reached.low), -WITHIN, measured.diverged)
    if reached.low > READING_ERROR:
        told = f"more than the values are misread by, {READING_ERROR:g}"
    else:
        told = f"which may be the error of reading the values alone, {READING_ERROR:g}"
    return Judgement(
        quantity=f"$f$ after {at} updates less the published values, root mean square",
        prediction=f"within {WITHIN:g}",
        measurement=reached.rms,
        interval=(reached.low, reached.high),
        power=f"noise of the mean curve {reached.noise:.2g}",
        verdict=verdict,
        note=with_need(told, verdict, by_interval(measured.networks, reached.low, reached.high, (WITHIN,))),
    )


def _later(case: Case[ReadPanel], measured: PanelCurves) -> Judgement:
    early, late = off(case.study, measured, simultaneous(2))
    low, high = early.low - late.high, early.high - late.low
    return Judgement(
        quantity=f"root mean square after {STOP} updates less that after {LEFT_STOP}",
        prediction="positive: the panels do not share one number of updates",
        measurement=early.rms - late.rms,
        interval=(low, high),
        power="an interval of each, simultaneous",
        verdict=sign_verdict(low, high, "positive", measured.diverged),
        note=f"where the other panels stop this one is {early.rms:.2g} off",
    )


def _below(measured: PanelCurves) -> Judgement:
    values = measured.f[measured.updates.index(STOP), :, -1] - measured.initial
    (mean, half), error = mean_and_half(values), sample_mean(values)[1]
    return Judgement(
        quantity=r"$f$ at the largest $\sigma$, less its initial value",
        prediction="negative: below the init",
        measurement=mean,
        standard_error=error,
        interval=(mean - half, mean + half),
        power=f"detects {-detected(error, degrees=len(values) - 1):.2g} with {POWER:.0%} power",
        verdict=sign_verdict(mean - half, mean + half, "negative", measured.diverged),
        note=f"$f_0$ = {measured.initial:.3g}",
    )


PanelOutcomes = Outcomes[ReadPanel, str, PanelCurves]


def conclude(outcomes: PanelOutcomes) -> tuple[tuple[Judgement, PanelOutcomes], ...]:
    """In each panel that is trained in both readings: variances, at the reading that suits them best, fit worse."""
    found: list[tuple[Judgement, PanelOutcomes]] = []
    usable = [outcome for outcome in outcomes if outcome.measurement.networks >= 2]
    for one in usable:
        for other in usable:
            same = one.case.study.panel == other.case.study.panel
            if same and (one.case.study.reading, other.case.study.reading) == ("deviation", "variance"):
                found.append((_contrast(one, other), (one, other)))
    return tuple(found)


def _contrast(
    deviations: Outcome[ReadPanel, str, PanelCurves], variances: Outcome[ReadPanel, str, PanelCurves]
) -> Judgement:
    study, measured = deviations.case.study, deviations.measurement
    right = off(study, measured, simultaneous(2))[measured.updates.index(stop(study))]
    wrong, at = best(variances, simultaneous(2))
    low, high = wrong.low - right.high, wrong.high - right.low
    return Judgement(
        about=f"{study.panel.name}, both readings of the diagonal",
        quantity="root mean square with the diagonal as variances less that as deviations",
        prediction="positive: variances fit worse",
        measurement=wrong.rms - right.rms,
        interval=(low, high),
        power="an interval of each, simultaneous",
        verdict=sign_verdict(low, high, "positive", measured.diverged + variances.measurement.diverged),
        note=f"as variances {wrong.rms:.2g} off, after {at} updates, where they fit best",
    )


def best(outcome: Outcome[ReadPanel, str, PanelCurves], confidence: float = 0.95) -> tuple[Misfit, int]:
    """The misfit at the reading where it is least, and its updates."""
    found = off(outcome.case.study, outcome.measurement, confidence)
    least = int(np.argmin([each.rms for each in found]))
    return found[least], outcome.measurement.updates[least]


def illustrate(outcomes: PanelOutcomes) -> Exhibits:
    """Published values beside those of the networks, as curves and as numbers, and the misfit along training."""
    usable = [outcome for outcome in outcomes if outcome.measurement.networks >= 2]
    shown = tuple(sorted(usable, key=lambda outcome: _place(outcome.case.study)))
    figure = Figure(
        name="b5-panels",
        caption="The transfer function in the three panels of Figure 20 of the paper: values read off it (points, the "
        f"bars their reading error of {READING_ERROR:g}), and networks of the paper's widths, their diagonal as "
        "standard deviations; where variances were trained, those too, after as many updates as fit best. Bands: 95 % "
        "intervals of the mean over networks; dashed: initial weights.",
        panels=tuple(_axes(name, shown) for name in PUBLISHED if any(o.case.study.panel.name == name for o in shown)),
    )
    return Exhibits((misfit_table(shown), values_table(shown)), (figure,) if shown else ())


def _place(study: ReadPanel) -> tuple[int, int]:
    """Where a panel stands in tables: deviations before variances, panels as in the paper."""
    return study.reading == "variance", [*PUBLISHED].index(study.panel.name)


def _axes(name: str, outcomes: PanelOutcomes) -> Panel:
    published = PUBLISHED[name]
    sigma, f = np.array(published.sigma), np.array(published.f)
    series = [Series("published", sigma, f, np.full(len(f), READING_ERROR))]
    for outcome in outcomes:
        study, measured = outcome.case.study, outcome.measurement
        if study.panel.name == name:
            updates = best(outcome)[1] if study.reading == "variance" else stop(study)
            curve = measured.f[measured.updates.index(updates)]
            series.append(Series(f"networks, {study.reading}s", measured.sigma, *means_and_halves(curve), "band"))
            start = Series(
                "initial weights", measured.sigma, np.full(len(measured.sigma), measured.initial), None, "dashed"
            )
    at = LEFT_STOP if name == "left" else STOP
    return Panel(f"{name}, {at} updates", r"$\sigma$", r"$f(\sigma)$", (*series, start))


@dataclass(frozen=True)
class _Misfitting:
    """A panel in one reading after so many updates."""

    study: ReadPanel
    networks: int
    updates: int
    misfit: Misfit


def misfit_table(outcomes: PanelOutcomes) -> Table:
    """The misfit to the published values at every reading."""

    def rows() -> Iterator[_Misfitting]:
        for outcome in outcomes:
            measured = outcome.measurement
            for updates, each in zip(measured.updates, off(outcome.case.study, measured), strict=True):
                yield _Misfitting(outcome.case.study, measured.networks, updates, each)

    return table_of(
        "b5-misfit",
        "The root mean square by which $f$ of the networks is off the published values, along training, the noise of "
        "the networks taken off, with its 95 % interval; and that noise. The learning rate and the updates at which "
        f"deviations are compared, {STOP}, were fitted to the middle panel on other networks; the left one is nearest "
        f"after {LEFT_STOP}.",
        rows(),
        text("diagonal", lambda row: f"as {row.study.reading}s", once=True),
        text("panel", lambda row: row.study.panel.name, once=True),
        number("networks", lambda row: row.networks),
        number("updates", lambda row: row.updates),
        number("off", lambda row: row.misfit.rms, 2),
        text("95 % interval", lambda row: f"[{row.misfit.low:.4f}, {row.misfit.high:.4f}]"),
        number("noise", lambda row: row.misfit.noise, 2),
    )


@dataclass(frozen=True)
class _Value:
    """f of a panel at one σ: published, and of networks with the diagonal as deviations."""

    panel: str
    sigma: float
    published: float
    mean: float
    error: float


def values_table(outcomes: PanelOutcomes) -> Table:
    """Published values beside those of the networks, the diagonal as deviations."""

    def rows() -> Iterator[_Value]:
        for outcome in outcomes:
            study, measured = outcome.case.study, outcome.measurement
            if study.reading == "deviation":
                published = PUBLISHED[study.panel.name]
                beyond = published.off(measured.sigma, measured.f[measured.updates.index(stop(study))])
                for place, (sigma, value) in enumerate(zip(published.sigma, published.f, strict=True)):
                    mean, error = sample_mean(beyond[:, place])
                    yield _Value(study.panel.name, sigma, value, value + mean, error)

    return table_of(
        "b5-values",
        f"The published values of $f$, read off by eye ($\\pm$ {READING_ERROR:g}), and those of networks of the "
        "paper's widths, the diagonal as standard deviations, with standard errors over networks.",
        rows(),
        text("panel", lambda row: row.panel, once=True),
        number(r"$\sigma$", lambda row: row.sigma),
        number("published", lambda row: row.published, 4),
        number("networks", lambda row: (row.mean, row.error)),
        number("difference", lambda row: (row.mean - row.published, row.error)),
    )


CLAIM = Claim(
    id="B5",
    title="The three panels of the paper",
    statement="In networks of two hidden layers, trained on ten random classes, $f$ only falls where all $\\sigma$ are "
    "large, rises, then falls below its initial value where small ones are among them, and rises and levels off with "
    "fewer samples and neurons: by the curves of the paper, value by value.",
    reference="arXiv:2006.10455, Figures 4 (left) and 20",
    method="Networks of the paper's widths on its data law, the diagonal read as standard deviations, against values "
    f"read off its figure by eye, each $\\pm$ {READING_ERROR:g}. Learning rate {RATE:g} and {STOP} updates (batches of "
    f"{BATCH}, momentum {MOMENTUM:g}) are not the paper's: they were fitted to the middle panel, on networks that are "
    "not these. With both the right panel is predicted, with the rate the left one, which by that pilot stops after "
    f"four times as many updates. $f$ is relative to each network's own initial weights. The root mean square of what "
    "is left is judged by its 95 % interval (noncentral F, for the mean over networks): it holds within "
    f"{WITHIN:g}, some 2 % of $f$, a bound that was set after pilots, in which the right panel was .0027 off. As a "
    "contrast the diagonal is read as variances, at the reading that fits best: its root mean square must be larger; "
    "on pilot networks a quarter or half of the rate, or four times as much, fitted variances hardly better, or worse. "
    "The quick budget trains the right panel, the full one all but the left one as variances, the paper's all, with "
    "more networks.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
    conclude=conclude,
)
