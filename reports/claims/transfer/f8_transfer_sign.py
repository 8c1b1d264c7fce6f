"""F8, the sign of transfer: predicted before, and realised, over settings drawn beforehand, mechanism by mechanism."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import msgspec
import numpy as np
from scipy import stats

from reports.claims.claim import Case, Claim, Context, Outcome
from reports.claims.transfer import sign_design
from reports.claims.transfer.sign_design import ACTUAL_WIDTH, DESIGN, WIDTH, Draw, comparison
from reports.claims.transfer.sign_settings import Comparison
from reports.claims.transfer.t1_linear_transfer import BUDGET
from reports.findings import CONTINUED, Column, Figure, Finding, Panel, Series, Table, Verdict
from reports.judging.compare import CONFIDENCE, LEVEL, control_verdict

DECIDED = 0.01  # a realised sign is decided where a two-sided test of this size excludes 0
SHARE = 0.8  # of decided signs that are to be right
EDGES = (0.0, 0.003, 0.01, 0.03, 0.1, np.inf)  # of bins of the predicted gain, as a share of the loss at the start


@dataclass(frozen=True)
class Mechanism:
    """How pre-training reaches the task: its design, its settings in the quick budget, and what its form neglects."""

    draw: Draw
    settings: int
    margin: float = 0.0


INITIAL, FEATURES = "initial weights", "frozen features"
KERNEL, KEPT, ACTUAL = "weights, by kernels", "kept output layer", "one network, by its own kernel"
CONTROL = "shuffled predictions"
# margins: the budgets of T1 and F5; for actual networks, whose kernel is the one they have, that of weights
MECHANISMS = {
    INITIAL: Mechanism(sign_design.initial_weights, 24),
    FEATURES: Mechanism(sign_design.frozen_features, 24, BUDGET),
    KERNEL: Mechanism(sign_design.kernel_regime, 20, 0.5 * WIDTH**-0.5),
    KEPT: Mechanism(sign_design.kept_output, 20, 2.0 * WIDTH**-0.5),
    ACTUAL: Mechanism(sign_design.actual_network, 18, 0.5 * ACTUAL_WIDTH**-0.5),
    CONTROL: Mechanism(sign_design.initial_weights, 16),
}


@dataclass(frozen=True, eq=False)
class Realised:
    """Gains of k settings, as shares of the loss at the start, with standard errors and decided signs, each (k,).

    `signs` are 0 where undecided; `replicas` counts the trainings with pre-training.
    """

    gains: np.ndarray
    errors: np.ndarray
    signs: np.ndarray
    replicas: int
    diverged: int


@dataclass(frozen=True)
class Count:
    """How many of some settings have a decided sign, and how many of these the predicted one."""

    settings: int
    decided: int
    right: int

    @property
    def share(self) -> float | None:
        return self.right / self.decided if self.decided else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Clopper and Pearson's for the share."""
        if not self.decided:
            return None
        low, high = stats.binomtest(self.right, self.decided).proportion_ci(CONFIDENCE, "exact")
        return float(low), float(high)


def cases(context: Context) -> tuple[Case, ...]:
    """A case a mechanism; its setting is the first of the design, with the replicas of all of them."""
    found = []
    for number, (name, mechanism) in enumerate(MECHANISMS.items()):
        first = comparison(mechanism.draw, 0, context.seed_of("F8", number)).setting
        replicas = context.replicas(mechanism.settings * first.ensemble.replicas)
        setting = msgspec.structs.replace(first, ensemble=msgspec.structs.replace(first.ensemble, replicas=replicas))
        kind: Literal["control", "exact", "asymptotic"] = (
            "control" if name == CONTROL else "exact" if name == INITIAL else "asymptotic"
        )
        found.append(Case(name, setting, kind=kind))
    return tuple(found)


@lru_cache(maxsize=1)  # what a prediction has worked out serves its measurement too
def comparisons(case: Case) -> tuple[Comparison, ...]:
    """All settings of a case."""
    draw, seed = MECHANISMS[case.name].draw, case.setting.ensemble.seed
    count = case.setting.ensemble.replicas // comparison(draw, 0, seed).setting.ensemble.replicas
    return tuple(comparison(draw, number, seed) for number in range(count))


def predict(case: Case) -> np.ndarray:
    """The gain of every setting, (k,); the control's mistake is to hand them to other settings."""
    gains = np.array([each.predict() for each in comparisons(case)])
    return np.random.default_rng([DESIGN, len(gains)]).permutation(gains) if case.kind == "control" else gains


def measure(case: Case, context: Context) -> Realised:
    """Every setting trained, with pre-training and without, from common random numbers."""
    found = [each.realise() for each in comparisons(case)]
    gains, errors = (np.array([getattr(each, key) for each in found]) for key in ("gain", "error"))
    degrees = np.array([max(each.trainings - each.diverged - 1, 1) for each in found])
    seen = np.abs(gains) > stats.t.isf(DECIDED / 2, degrees) * errors
    return Realised(
        gains,
        errors,
        np.where(seen, np.sign(gains), 0.0),
        replicas=sum(each.trainings for each in found),
        diverged=sum(each.diverged for each in found),
    )


def count(prediction: np.ndarray, realised: Realised, within: np.ndarray | None = None) -> Count:
    """Over all settings, or those where `within` (k,)."""
    chosen = np.full(len(prediction), True) if within is None else within
    signs = realised.signs[chosen]
    return Count(
        len(signs), int((signs != 0).sum()), int(((signs == np.sign(prediction[chosen])) & (signs != 0)).sum())
    )


def decide(case: Case, prediction: np.ndarray, realised: Realised) -> tuple[Finding, ...]:
    """One finding: how often decided signs are right, and that none is wrong beyond the margin but by chance."""
    margin, every = MECHANISMS[case.name].margin, count(prediction, realised)
    beyond = count(prediction, realised, np.abs(prediction) > margin)
    wrong = beyond.decided - beyond.right
    # a sign is decided against the true one with half the size of the test
    pvalue = float(stats.binom.sf(wrong - 1, beyond.settings, DECIDED / 2))
    chance, associated = chances(prediction, realised)
    if case.kind == "control":
        verdict: Verdict = control_verdict(pvalue, realised.diverged)
    else:
        verdict = judged(pvalue, every, realised.diverged)
    return (
        Finding(
            claim="F8",
            case=case.name,
            kind=case.kind,
            quantity="share of decided signs that are as predicted",
            prediction="about one half" if case.kind == "control" else f"at least {SHARE:g}",
            measurement="no sign is decided" if every.share is None else every.share,
            interval=every.interval,
            pvalue=pvalue,
            power=f"{every.settings} settings, {every.settings - every.decided} of them undecided",
            verdict=verdict,
            note=f"{every.right} of {every.decided}; beyond {margin:.2g} {beyond.right} of {beyond.decided}; "
            f"{chance:.2f} by shuffled predictions, which do as well with probability {associated:.1e}",
            replicas=realised.replicas,
            diverged=realised.diverged,
        ),
    )


def judged(pvalue: float, every: Count, diverged: int) -> Verdict:
    """Refuted by wrong signs beyond the margin, or a share that is surely too small; holds where it is surely not."""
    if every.interval is None:
        return "undecided"
    low, high = every.interval
    if pvalue < LEVEL or high < SHARE:
        return "refuted"
    return "holds" if low > SHARE and not diverged else "undecided"


def chances(prediction: np.ndarray, realised: Realised) -> tuple[float, float]:
    """The mean share right when predictions are shuffled over decided settings, and how often it is as large (Fisher).

    The number that agree is then 2N₊₊ plus a constant, N₊₊ hypergeometric: exact, no permutation is drawn.
    """
    decided = realised.signs != 0
    up, seen = prediction[decided] > 0, realised.signs[decided] > 0
    if not decided.any():
        return np.nan, 1.0
    mean = up.mean() * seen.mean() + (1 - up.mean()) * (1 - seen.mean())
    return float(mean), float(stats.hypergeom.sf((up & seen).sum() - 1, len(up), up.sum(), seen.sum()))


def binned(prediction: np.ndarray, realised: Realised) -> list[Count]:
    """The counts in the bins of the distance from the boundary, |predicted gain|."""
    bins = np.digitize(np.abs(prediction), EDGES) - 1
    return [count(prediction, realised, bins == i) for i in range(len(EDGES) - 1)]


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Counts by distance from the boundary, and shares with their intervals."""
    rows = []
    for outcome in outcomes:
        prediction, realised = outcome.prediction, outcome.measurement
        for i, part in enumerate([*binned(prediction, realised), count(prediction, realised)]):
            low, high = part.interval or (None, None)
            label = "all" if i == len(EDGES) - 1 else _bin(i)
            name = CONTINUED if i else outcome.case.name
            undecided = part.settings - part.decided
            rows.append((name, label, part.settings, undecided, part.right, part.decided - part.right, low, high))
    table = Table(
        name="f8-signs",
        caption="Predicted against realised signs of transfer, by the distance from the boundary, the predicted gain "
        "as a share of the loss at the start: settings, those whose realised sign is undecided, decided signs that are "
        "right and wrong, and Clopper and Pearson's 95 % interval for the share right. The last case, the "
        "control, is of initial weights.",
        columns=(
            Column("mechanism", "text"),
            Column("distance", "text"),
            Column("settings"),
            Column("undecided"),
            Column("right"),
            Column("wrong"),
            Column("from", digits=2),
            Column("to", digits=2),
        ),
        rows=tuple(rows),
    )
    figure = Figure(
        name="f8-signs",
        caption="The share of decided signs that are as predicted, against the distance from the boundary: points, "
        "with Clopper and Pearson's 95 % intervals as bands about their middles. Dashed: one half.",
        panels=tuple(_panel(outcome) for outcome in outcomes),
    )
    return (table,), (figure,)


def _bin(i: int) -> str:
    low, high = EDGES[i : i + 2]
    return f"below {high:g}" if low == 0 else f"above {low:g}" if np.isinf(high) else f"{low:g} to {high:g}"


def _panel(outcome: Outcome) -> Panel:
    prediction, realised = outcome.prediction, outcome.measurement
    distance = np.abs(prediction)
    bins = np.digitize(distance, EDGES) - 1
    points = []
    for i, part in enumerate(binned(prediction, realised)):
        if part.share is not None and part.interval is not None:
            points.append((np.exp(np.log(distance[bins == i]).mean()), part.share, *part.interval))
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
    statement="The conditions for positive transfer say beforehand whether pre-training on random labels helps: for "
    "initial weights and frozen features of linear models, for weights and kept output layers of wide networks by "
    "their kernels, and for one actual network, deep or with filters, by the kernel that it has.",
    reference="arXiv:2006.10455 asks when transfer is positive; the conditions are derived in theory/derivations.md",
    method="Settings are drawn from a seed of their own: the spectrum, $n/d$, how far the target (and the weights) lie "
    "along large or small variances, label variance and noise, lengths of pre-training and of the task, the reference. "
    "The sign of the predicted gain is held against that of real trainings, which share their random numbers; one is "
    f"decided where a test of size {DECIDED:g} excludes zero, and undecided ones are counted apart. Holds where the "
    f"whole 95 % interval of the share right exceeds {SHARE:g}; refuted where it lies below, or where signs beyond "
    "what the form neglects (nothing for initial weights, the budgets of T1 and F5 elsewhere) are wrong more often "
    "than by chance, at $p < 10^{-6}$. As a control, shuffled predictions must be refuted, about one half being right. "
    "Larger budgets add settings.",
    cases=cases,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
