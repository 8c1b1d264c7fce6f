"""B6, what f is made of: initial weights, which training multiplies by a factor A, and F, which it has written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec
import numpy as np

import simulate
from reports.claims.claim import Case, Claim, Context, Outcome, Outcomes, Trial
from reports.claims.shape.made_of import BANDS, OverlapEvidence, overlap_evidence
from reports.claims.shape.panel_networks import panel_setting
from reports.claims.shape.parts_judging import falls_judgement, parts_judgement
from reports.findings import Exhibits, Figure, Judgement, Panel, Series, Table, number, table_of, text
from reports.judging.intervals import detected
from reports.judging.needed import by_interval, with_need
from reports.judging.rules import POWER, Sign, sign_verdict
from simulate.scaling import LayerFactors, layer_factors, shrink
from theory.decomposition import Decomposition, EstimatedParts, decompose
from theory.linear.paper_panels import PAPER_PANELS, PaperPanel
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

RATE, BATCH = 0.04, 200  # of the panels and of one hidden layer
PANELS: Mapping[str, PaperPanel] = {panel.name: panel for panel in PAPER_PANELS}
# b, how many times smaller than the paper's networks those are that stand for them, by budget and panel.
FACTORS = {"quick": {"right": 8, "middle": 16}, "full": {"right": 4, "middle": 4}}
CROPS = 200
LITTLE, MOST = 0.25, 0.5  # shares of Σ_w
LINEAR_REPLICAS, OUTPUTS = 8192, 8
ROWS = Data(kind="gaussian", spectrum=tuple(np.linspace(0.2, 3.0, 8).round(3)), samples=40, fixed=True)
FRESH = Data(kind="gaussian", spectrum=ROWS.spectrum, samples="online", rotate=False)
PHOTOGRAPHS = Training(
    loss="cross-entropy",
    learning_rate=0.03,
    momentum=0.9,
    batch_size=25,
    steps=tuple(epoch * CROPS // 25 for epoch in (5, 40)),
)


@dataclass(frozen=True)
class MadeOf:
    """What is expected of a network; for a linear model nothing but its closed form.

    Attributes
    ----------
    panel : str
        The panel of Figure 20 whose networks the budget makes smaller; empty if there is none.
    early : Sign or None
        The sign of A − 1 in the last fifth of σ, at the first reading.
    second, last : Sign or None
        The signs of A − 1 in the second and in the last fifth of σ, at the last reading.
    written : Sign or None
        "negative": less than a quarter of tr Σ_w is written; "positive": more than a half.
    """

    panel: str = ""
    early: Sign | None = None
    second: Sign | None = None
    last: Sign | None = None
    written: Sign | None = None


def factor(budget: str, panel: str) -> int:
    """How many times smaller the networks of a case are: 1 at the paper's own size, and where there is no panel."""
    return FACTORS.get(budget, {}).get(panel, 1)


def _panel_trial(study: MadeOf, replicas: int, epochs: tuple[int, ...]) -> Trial[MadeOf]:
    panel = PANELS[study.panel]
    steps = tuple(epoch * panel.samples // BATCH for epoch in epochs)
    setting = panel_setting(panel, "deviation", steps, replicas)
    training = msgspec.structs.replace(setting.training, learning_rate=RATE, batch_size=BATCH, steps=steps)
    return Trial(msgspec.structs.replace(setting, training=training), study, "asymptotic")


def _photographs(variance: float) -> Setting:
    return Setting(
        data=Data(kind="photographs", crop=(7, 7), samples=CROPS),
        labels=Labels(kind="classes"),
        network=Network(kind="conv", filters=32, hidden=(64,), init_variance=(variance, 1.0, 1.0)),
        training=PHOTOGRAPHS,
    )


def _linear(data: Data, training: Training) -> Setting:
    return Setting(
        data=data,
        labels=Labels(outputs=OUTPUTS),
        network=Network(init_variance=1.0),
        training=training,
        ensemble=Ensemble(replicas=LINEAR_REPLICAS),
    )


def trials(context: Context) -> Mapping[str, Trial[MadeOf]]:
    """Two panels of Figure 20, one hidden layer, filters on photographs from two initial laws, and linear models."""
    hidden = Setting(
        data=Data(kind="gaussian", spectrum=tuple(PANELS["right"].eigenvalues("deviation").round(4)), samples=300),
        labels=Labels(kind="classes"),
        network=Network(kind="mlp", hidden=(64,)),
        training=Training(loss="cross-entropy", learning_rate=RATE, momentum=0.9, batch_size=100, steps=(12, 600)),
    )
    grows = MadeOf(early="negative", last="positive", written="negative")
    damped = MadeOf(second="positive", last="negative", written="negative")

    def ensemble(setting: Setting, quick: int) -> Setting:
        return msgspec.structs.replace(setting, ensemble=Ensemble(replicas=context.replicas(quick), dtype="float32"))

    loud = replace(grows, written="positive", early=None)
    return {
        "Figure 20, right": _panel_trial(replace(grows, panel="right"), 8, (4, 160)),
        "Figure 20, middle": _panel_trial(replace(damped, panel="middle"), 12, (16, 80)),
        "one hidden layer": Trial(ensemble(hidden, 6), replace(grows, written=None), "asymptotic"),
        "filters on photographs": Trial(ensemble(_photographs(1.0), 6), grows, "asymptotic"),
        "filters on photographs, first layer 0.001": Trial(ensemble(_photographs(0.001), 4), loud, "control"),
        "linear, full batch": Trial(_linear(ROWS, Training(learning_rate=0.1, steps=(5, 20))), MadeOf()),
        "linear, fresh rows, momentum": Trial(
            _linear(FRESH, Training(learning_rate=0.02, momentum=0.6, batch_size=8, sampling="fresh", steps=(5, 20))),
            MadeOf(),
        ),
    }


def predict(case: Case[MadeOf]) -> Decomposition | None:
    """The parts in closed form where there is one, of linear models; nothing but signs elsewhere."""
    if case.setting.network.kind != "linear":
        return None
    return decompose(case.setting, rows=simulate.rows(case.setting) if case.setting.data.fixed else None)


def measure(case: Case[MadeOf], context: Context) -> OverlapEvidence:
    """Train the networks, or smaller ones in their place, and overlap their weights with the initial ones."""
    setting, b = case.setting, factor(context.budget, case.study.panel)
    kernel = None if b == 1 else LayerFactors(layer_factors(setting.network, b))
    trained = shrink(setting, b) if b > 1 else setting
    return overlap_evidence(simulate.initial_overlaps(trained, device=context.device, kernel=kernel), b)


def decide(case: Case[MadeOf], prediction: Decomposition | None, measured: OverlapEvidence) -> tuple[Judgement, ...]:
    """Signs by 95 % intervals over networks; the parts of linear models by a test at every eigenspace."""
    if prediction is not None:
        return parts_judgement(prediction, measured), falls_judgement(prediction, measured)
    study = case.study
    first, last = measured.bands(0), measured.bands(-1)
    asked: list[tuple[str, Sign | None, float, float, EstimatedParts]] = [
        (
            f"$A-1$ in the last fifth of $\\sigma$, {measured.steps[0]} updates",
            study.early,
            *_above_one(first, -1),
            first,
        ),
        (
            f"$A-1$ in the second fifth of $\\sigma$, {measured.steps[-1]} updates",
            study.second,
            *_above_one(last, 1),
            last,
        ),
        (
            f"$A-1$ in the last fifth of $\\sigma$, {measured.steps[-1]} updates",
            study.last,
            *_above_one(last, -1),
            last,
        ),
    ]
    found = [
        _sign_judgement(quantity, sign, value, error, parts, measured)
        for quantity, sign, value, error, parts in asked
        if sign is not None
    ]
    if study.written is not None:
        whole = measured.parts(-1)
        bound = LITTLE if study.written == "negative" else MOST
        quantity = f"share of $\\mathrm{{tr}}\\,\\Sigma_w$ that training has written, less {bound:g}"
        found.append(_sign_judgement(quantity, study.written, whole.share - bound, whole.share_error, whole, measured))
    return tuple(found)


def _above_one(parts: EstimatedParts, band: int) -> tuple[float, float]:
    """A − 1 in a band, and its standard error."""
    return float(parts.amplitude[band] - 1), float(parts.errors["amplitude"][band])


def _sign_judgement(
    quantity: str, sign: Sign, value: float, error: float, parts: EstimatedParts, measured: OverlapEvidence
) -> Judgement:
    half = float(parts.half_width(error))
    verdict = sign_verdict(value - half, value + half, sign, measured.diverged)
    smallest = detected(error, degrees=parts.groups - 1)
    return Judgement(
        quantity=quantity,
        prediction=sign,
        measurement=value,
        standard_error=error,
        interval=(value - half, value + half),
        power=f"detects {smallest:.2g} with {POWER:.0%} power",
        verdict=verdict,
        note=with_need("", verdict, by_interval(measured.replicas, value - half, value + half, (0.0,))),
    )


def scaled(prediction: Decomposition | None, factor: float) -> Decomposition | None:
    """A² τ(0) and F times a factor."""
    if prediction is None:
        return None
    readings = tuple(
        replace(
            each,
            amplitude=each.amplitude * factor**0.5,
            mixed=each.mixed * factor,
            labels=each.labels * factor,
        )
        for each in prediction.readings
    )
    return replace(prediction, readings=readings)


MadeOfOutcome = Outcome[MadeOf, Decomposition | None, OverlapEvidence]


def illustrate(outcomes: Outcomes[MadeOf, Decomposition | None, OverlapEvidence]) -> Exhibits:
    """A² and F/τ(0) over σ at the last reading, and the shares of the whole."""
    figure = Figure(
        name="b6-parts",
        caption="What $\\tau=A^2\\tau(0)+F$ is made of after training, over $\\tau(0)$: initial weights times $A$, and "
        "what training has written, "
        f"in {BANDS} bands of $\\sigma$ with 95 % intervals over networks (linear models: "
        "at every $\\sigma$; lines: closed form). Where $A^2>1$ initial weights are amplified. The panels of Figure 20 "
        "of the paper are those of smaller networks of the same proportions, unless the budget is the paper's.",
        panels=tuple(map(_axes, outcomes)),
    )
    return Exhibits((parts_table(outcomes),), (figure,))


def _axes(outcome: MadeOfOutcome) -> Panel:
    measured, predicted = outcome.measurement, outcome.prediction
    parts = measured.bands(-1) if predicted is None else measured.parts(-1)
    sigma = (
        measured.sigma if predicted is not None else np.array([x.mean() for x in np.array_split(measured.sigma, BANDS)])
    )
    series = []
    for label, values, errors in (
        ("$A^2$", parts.carried, parts.errors["carried"]),
        (r"$F/\tau(0)$", parts.written, parts.errors["written"]),
    ):
        series.append(Series(label, sigma, values / parts.initial, parts.half_width(errors) / parts.initial))
    if predicted is not None:
        last = predicted.readings[-1]
        for label, line in (("closed form", last.carried), ("closed form", last.written)):
            series.append(Series(label, sigma, line / last.initial, style="line"))
    large = bool(np.max(parts.tau / parts.initial) > 10)
    return Panel(
        outcome.case.name, r"$\sigma$", r"parts of $\tau/\tau(0)$", tuple(series), ylog=large, from_zero=not large
    )


def parts_table(outcomes: Outcomes[MadeOf, Decomposition | None, OverlapEvidence]) -> Table:
    """A in three bands early and at the end, and the shares."""
    last = [(outcome, outcome.measurement.bands(-1), outcome.measurement.parts(-1)) for outcome in outcomes]
    return table_of(
        "b6-parts",
        "The factor $A$ of initial weights in the first, third and last fifth of $\\sigma$ after training; by how "
        "much it multiplies their variance over all directions; and the share of $\\mathrm{tr}\\,\\Sigma_w$ that "
        "training has written. Standard errors over networks. $b$: how many times smaller the networks are than those "
        "whose proportions they have.",
        last,
        text("case", lambda row: row[0].case.name),
        number("$b$", "1", lambda row: row[0].measurement.b),
        number("networks", "count", lambda row: row[0].measurement.replicas),
        number("$A$, first", "1", lambda row: (float(row[1].amplitude[0]), float(row[1].errors["amplitude"][0]))),
        number("$A$, third", "1", lambda row: (float(row[1].amplitude[2]), float(row[1].errors["amplitude"][2]))),
        number("$A$, last", "1", lambda row: (float(row[1].amplitude[-1]), float(row[1].errors["amplitude"][-1]))),
        number("$A^2$, all", "1", lambda row: (row[2].gain, row[2].gain_error)),
        number("written", "1", lambda row: (row[2].share, row[2].share_error)),
    )


CLAIM = Claim(
    id="B6",
    title="What $f$ is made of",
    statement="The transfer function of networks consists of their initial weights, which training first damps and "
    "then amplifies (in wide networks not at large $\\sigma$), and of what training adds, which is the "
    "smaller part. In linear "
    "models the factor of initial weights only falls.",
    reference="arXiv:2006.10455, Figure 20, shows $f$; decomposed as in theory/derivations.md, section 1.9",
    method="Every weight is regressed on its own initial value: $\\tau=A^2\\tau(0)+F$ along each eigendirection, $A^2$ "
    "from products of different networks, which have independent noise; standard errors are by the jackknife over "
    "networks. Signs of $A-1$ in fifths of $\\sigma$, and the share of $\\mathrm{tr}\\,\\Sigma_w$ that training has "
    "added (less than a quarter; from an init of variance 0.001, the control, more than a half), hold when the 95 % "
    "interval over networks lies on the expected side. The cases are two panels of Figure 20 (diagonal as deviations; "
    "below the paper budget, verdicts are on smaller networks of the same proportions), one hidden layer, and filters "
    "on photographs. Linear models are compared with the closed form at every eigenspace ($p<10^{-6}$ refutes, 5 % of "
    "$\\tau$ must be detectable). Cases and signs were chosen on a pilot seed.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
    scaled=scaled,
)
