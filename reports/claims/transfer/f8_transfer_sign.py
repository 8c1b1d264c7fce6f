"""F8, the sign of transfer: predicted before, and realised, over settings drawn beforehand, mechanism by mechanism."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from reports.claims.claim import Case, Claim, Context, Outcome, Outcomes, Trial
from reports.claims.transfer.sign_counts import RealisedSigns, SignCount, count_signs, shuffled_shares
from reports.claims.transfer.sign_design import DESIGN, MECHANISMS, Route, comparison
from reports.claims.transfer.sign_settings import Comparison
from reports.findings import Exhibits, Figure, Judgement, Kind, Panel, Series, number, table_of, text
from reports.judging.intervals import signs_seen
from reports.judging.needed import by_pvalue, by_share, with_need
from reports.judging.rules import SEEN, SHARE, Ruling, control_verdict, share_verdict
from reports.probability import in_words

# The edges of the bins of the predicted gain, as a share of the loss at the start.
EDGES = (0.0, 0.003, 0.01, 0.03, 0.1, np.inf)


# The cases: the mechanism, its settings in the quick budget, and the kind of rule.
STUDIED: dict[str, tuple[Route, int, Kind]] = {
    "initial weights": ("initial weights", 24, "exact"),
    "frozen features": ("frozen features", 24, "asymptotic"),
    "weights, by kernels": ("kernel regime", 20, "asymptotic"),
    "kept output layer": ("kept output", 20, "asymptotic"),
    "one network, by its own kernel": ("actual network", 48, "asymptotic"),
    "shuffled predictions": ("initial weights", 16, "control"),
}


def trials(context: Context) -> Mapping[str, Trial[Route]]:
    """A case per mechanism; its setting is the first of the design, with the replicas of all of them."""
    found = {}
    for name, (route, quick, kind) in STUDIED.items():
        first = comparison(route, 0, 0).setting
        ensemble = msgspec.structs.replace(first.ensemble, replicas=context.replicas(quick * first.ensemble.replicas))
        found[name] = Trial(msgspec.structs.replace(first, ensemble=ensemble), route, kind)
    return found


def comparisons_of(case: Case[Route]) -> tuple[Comparison, ...]:
    """All settings of a case: as many as its replicas are enough for."""
    ensemble = case.setting.ensemble
    settings = ensemble.replicas // comparison(case.study, 0, 0).setting.ensemble.replicas
    return tuple(comparison(case.study, number, ensemble.seed) for number in range(settings))


@dataclass(frozen=True, eq=False)
class PredictedSigns:
    """The gain of every setting as it is predicted, (k,)."""

    gains: np.ndarray


def predict(case: Case[Route]) -> PredictedSigns:
    """The gain of every setting; the control's mistake is to hand them to other settings."""
    gains = np.array([each.predict() for each in comparisons_of(case)])
    if case.kind == "control":
        gains = np.random.default_rng([DESIGN, len(gains)]).permutation(gains)
    return PredictedSigns(gains)


def measure(case: Case[Route], context: Context) -> RealisedSigns:
    """Every setting trained, with pre-training and without, from common random numbers."""
    found = [each.realise() for each in comparisons_of(case)]
    gains, errors = np.array([(each.gain, each.error) for each in found]).T
    degrees = np.array([max(each.trainings - each.diverged - 1, 1) for each in found])
    return RealisedSigns(
        gains,
        errors,
        signs_seen(gains, errors, degrees=degrees),
        replicas=sum(each.trainings for each in found),
        diverged=sum(each.diverged for each in found),
    )


def decide(case: Case[Route], prediction: PredictedSigns, realised: RealisedSigns) -> tuple[Judgement, ...]:
    """One finding: how often decided signs are right, and that none is wrong beyond the margin but by chance."""
    margin, every = MECHANISMS[case.study].margin, count_signs(prediction.gains, realised)
    beyond = count_signs(prediction.gains, realised, np.abs(prediction.gains) > margin)
    pvalue, control = beyond.wrong_by_chance, case.kind == "control"
    chance, associated = shuffled_shares(prediction.gains, realised)
    verdict: Ruling = (
        control_verdict(pvalue, realised.diverged)
        if control
        else share_verdict(pvalue, every.interval, realised.diverged)
    )
    return (
        Judgement(
            quantity="share of decided signs that are as predicted",
            prediction="about one half" if control else f"at least {SHARE:g}",
            measurement="no sign is decided" if every.share is None else every.share,
            interval=every.interval,
            pvalue=pvalue,
            power=f"{every.settings} settings, {every.settings - every.decided} of them undecided",
            verdict=verdict,
            note=with_need(
                f"{every.right} of {every.decided} right; {beyond.right} of {beyond.decided} where the predicted gain "
                f"exceeds {margin:.2g}; a share of {chance:.2f} by shuffled predictions, which do as well with "
                f"probability {in_words(associated)}",
                verdict,
                by_pvalue(realised.replicas, pvalue)
                if control
                else by_share(every.right, every.decided, every.settings),
            ),
        ),
    )


def bins(predicted: np.ndarray) -> np.ndarray:
    """The bin of the distance from the boundary, |predicted gain|, of each setting, (k,)."""
    return np.digitize(np.abs(predicted), EDGES) - 1


def binned(predicted: np.ndarray, realised: RealisedSigns) -> list[SignCount]:
    """The counts in these bins."""
    return [count_signs(predicted, realised, bins(predicted) == i) for i in range(len(EDGES) - 1)]


SignOutcome = Outcome[Route, PredictedSigns, RealisedSigns]


@dataclass(frozen=True)
class SignRow:
    """The counts of one mechanism at one distance."""

    mechanism: str
    distance: str
    count: SignCount


def _rows(outcome: SignOutcome) -> Iterator[SignRow]:
    predicted, realised = outcome.prediction.gains, outcome.measurement
    for i, part in enumerate(binned(predicted, realised)):
        yield SignRow(outcome.case.name, _bin(i), part)
    yield SignRow(outcome.case.name, "all", count_signs(predicted, realised))


def illustrate(outcomes: Outcomes[Route, PredictedSigns, RealisedSigns]) -> Exhibits:
    """Counts by distance from the boundary, and shares with their intervals."""
    table = table_of(
        "f8-signs",
        "Predicted against realised signs of transfer, by the distance from the boundary, the predicted gain "
        "as a share of the loss at the start: settings, those whose realised sign is undecided, decided signs that are "
        "right and wrong, and Clopper and Pearson's 95 % interval for the share right. The last case, the "
        "control, is of initial weights.",
        (row for outcome in outcomes for row in _rows(outcome)),
        text("mechanism", lambda row: row.mechanism, once=True),
        text("distance", lambda row: row.distance),
        number("settings", "count", lambda row: row.count.settings),
        number("undecided", "count", lambda row: row.count.settings - row.count.decided),
        number("right", "count", lambda row: row.count.right),
        number("wrong", "count", lambda row: row.count.decided - row.count.right),
        number("from", "1", lambda row: row.count.interval and row.count.interval[0], digits=2),
        number("to", "1", lambda row: row.count.interval and row.count.interval[1], digits=2),
    )
    figure = Figure(
        name="f8-signs",
        caption="The share of decided signs that are as predicted, against the distance from the boundary: points, "
        "with Clopper and Pearson's 95 % intervals as bands about their middles. Dashed: one half.",
        panels=tuple(_panel(outcome) for outcome in outcomes),
    )
    return Exhibits((table,), (figure,))


def _bin(i: int) -> str:
    low, high = EDGES[i : i + 2]
    return f"below {high:g}" if low == 0 else f"above {low:g}" if np.isinf(high) else f"{low:g} to {high:g}"


def _panel(outcome: SignOutcome) -> Panel:
    predicted, realised = outcome.prediction.gains, outcome.measurement
    distance, inside = np.abs(predicted), bins(predicted)
    points = []
    for i, part in enumerate(binned(predicted, realised)):
        if part.share is not None and part.interval is not None:
            points.append((np.exp(np.log(distance[inside == i]).mean()), part.share, *part.interval))
    x, share, low, high = np.array(points).reshape(-1, 4).T
    half = np.full(2, 0.5)
    ends = np.array([x.min(), x.max()]) if len(x) else np.array([EDGES[1], EDGES[-2]])
    series = (
        Series("one half", ends, half, style="dashed"),
        Series("95 % interval", x, (low + high) / 2, (high - low) / 2, style="band"),
        Series("share right", x, share),
    )
    return Panel(outcome.case.name, "distance", "share right", series, xlog=True, from_zero=True)


CLAIM = Claim(
    id="F8",
    title="The sign of transfer",
    statement="The conditions for positive transfer predict whether pre-training on random labels helps: for "
    "initial weights and frozen features of linear models, for weights and kept output layers of wide networks by "
    "their kernels, and for one actual network, deep or with filters, by its own kernel.",
    reference="arXiv:2006.10455 asks when transfer is positive; the conditions are derived in theory/derivations.md",
    method="Settings are drawn from a seed of their own: the spectrum, $n/d$, whether the target (and the weights) lie "
    "along large or small variances, label variance and noise, lengths of pre-training and of the task, the "
    "reference. Tasks of one network have six steps at most: on pilot seeds its kernel at the start predicted 176 of "
    "180 of their signs, but only 30 of 36 where tasks had up to 30 steps at more than twice the rate. The sign of "
    "the predicted gain is compared with that of real trainings, which share their random numbers. A sign is decided "
    f"if a test of size {SEEN:g} excludes zero; undecided ones are counted separately. The claim holds if the whole "
    f"95 % interval of the share of right signs exceeds {SHARE:g}, and is refuted if it lies below, or if signs beyond "
    "what the form neglects (nothing for initial weights, the budgets of T1 and F5 elsewhere) are wrong more often "
    "than by chance, at $p < 10^{-6}$. As a control, shuffled predictions, about half of which are right, must be "
    "refuted. Larger budgets add settings.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
