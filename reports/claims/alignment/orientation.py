"""Whether the weights of single networks lie nearer to the data's eigenvectors than to random bases; for A6, A7 and B4.

Where no theorem applies there is still an exact question: had the orientation of a network's weights nothing to do with
the data, its p-value against random bases would be at most .01 in one network of a hundred. Networks are independent,
so that the number of those below is binomial.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.claims.claim import Case
from reports.findings import OUTSIDE, Judgement, Kind, Panel, Series, Table, number, table_of, text
from reports.judging.counts import binomial_tail, decisive_count, detectable_rate
from reports.judging.intervals import mean_and_half, means_and_halves, sample_mean
from reports.judging.rules import POWER, control_verdict, rate_verdict
from theory.eigenspaces import Eigenspaces
from theory.errors import Diverged
from theory.misalignment import null_floor
from theory.testing import random_basis_test

RATE = 0.01  # the probability with which a network whose basis is random is called nearer
# The number of random bases per network: a rank of at most 2 among the 200 bases is a p-value of at most .01, exactly.
DRAWS = 199
# The number of untrained networks: enough to detect a rate of 9.5 % of wrong calls with 90 % power;
# the rule asks for 10 %.
UNTRAINED_NETWORKS = 160


@dataclass(frozen=True, eq=False)
class NetworkOrientation:
    """M² of G independent networks, or groups of networks, at T readings.

    Attributes
    ----------
    steps : tuple of int, length T
    squared : ndarray, shape (T, G)
        M² against the data eigenvectors.
    random : ndarray, shape (T, G)
        The median of M² against random orthonormal bases.
    pvalues : ndarray, shape (T, G)
        The p-values of the hypothesis that the basis is a random one.
    floor : float
        E[M²] of as many independent Gaussian vectors under perfect alignment.
    """

    steps: tuple[int, ...]
    squared: np.ndarray
    random: np.ndarray
    pvalues: np.ndarray
    floor: float

    @property
    def networks(self) -> int:
        """The number of networks, G."""
        return self.squared.shape[1]

    @property
    def nearer(self) -> np.ndarray:
        """How many of the networks are called nearer, (T,)."""
        return np.count_nonzero(self.pvalues <= RATE, axis=1)

    @property
    def effect(self) -> np.ndarray:
        """1 − M / median over random bases, mean over networks, (T,)."""
        return np.mean(1 - np.sqrt(self.squared / self.random), axis=1)


@dataclass(frozen=True, eq=False)
class OrientedNetworks:
    """The orientation of every network of an ensemble; those that diverged are left out of it."""

    orientation: NetworkOrientation
    replicas: int
    diverged: int


def predict_orientation(case: Case[Any]) -> str:
    """Trained networks are nearer than random bases; untrained ones, whose kind is "exact", are so by chance."""
    return "nearer by chance" if case.kind == "exact" else "nearer than a random basis"


def orient(
    steps: tuple[int, ...], pairs: Sequence[Sequence[tuple[Eigenspaces, np.ndarray]]], vectors: int, seed: int
) -> NetworkOrientation:
    """Test every pair of data eigenspaces and second moment of `vectors` weight vectors; pairs come by reading.

    Raises
    ------
    Diverged
        If there are fewer than two networks.
    """
    if len(pairs[0]) < 2:
        raise Diverged("networks", len(pairs[0]), "at least two must not diverge for anything to be said")
    squared, random, pvalues = (np.empty((len(steps), len(pairs[0]))) for _ in range(3))
    for t, networks in enumerate(pairs):
        for g, (spaces, second_moment) in enumerate(networks):
            # bases of different networks are independent, so that their p-values are
            test = random_basis_test(spaces, second_moment, draws=DRAWS, seed=1000 * seed + g)
            squared[t, g], pvalues[t, g] = test.misalignment_squared, test.pvalue
            random[t, g] = np.median(test.null_distribution) ** 2
    floor = null_floor(pairs[0][0][0].multiplicity, vectors).value
    return NetworkOrientation(steps, squared, random, pvalues, floor)


def judge_networks(kind: Kind, measured: OrientedNetworks, quantity: str) -> tuple[Judgement, ...]:
    """Judge M² with its floor and the count of trained networks closer than random bases; untrained, their rate."""
    found, diverged = measured.orientation, measured.diverged
    if kind == "exact":
        return (judge_rate(found, diverged),)
    return judge_distance(found, quantity), judge_nearer(found, diverged)


def judge_nearer(measured: NetworkOrientation, diverged: int, *, unit: str = "networks") -> Judgement:
    """Closer than random bases: holds below p = 1e-6, otherwise undecided; absence is never concluded."""
    count, networks = int(measured.nearer[-1]), measured.networks
    pvalue, least = binomial_tail(count, networks, RATE), decisive_count(networks, RATE)
    enough = f"too few {unit} to decide" if least is None else f"{least} of {networks} would be enough"
    return Judgement(
        kind="control",
        quantity=f"{unit} closer to the data eigenvectors than {1 - RATE:.0%} of random bases",
        prediction="more than by chance",
        measurement=f"{count} of {networks}",
        pvalue=pvalue,
        power=enough,
        verdict=control_verdict(pvalue, diverged),
        note=f"{measured.effect[-1]:.0%} below the median of random bases",
    )


def judge_rate(measured: NetworkOrientation, diverged: int) -> Judgement:
    """Untrained networks no more often than by chance: refuted below p = 1e-6, holds if a rate of .1 is detectable."""
    count, networks = int(measured.nearer[0]), measured.networks
    pvalue, found = binomial_tail(count, networks, RATE), detectable_rate(networks, RATE)
    return Judgement(
        kind="exact",
        quantity="share of untrained networks called closer to the data eigenvectors",
        prediction=RATE,
        measurement=count / networks,
        pvalue=pvalue,
        power="detects no rate" if found is None else f"detects a rate of {found:.1%} with {POWER:.0%} power",
        verdict=rate_verdict(pvalue, found, diverged),
    )


def judge_distance(measured: NetworkOrientation, quantity: str) -> Judgement:
    """M² of single networks after training, beside its floor: an effect size, no verdict."""
    mean, half = mean_and_half(measured.squared[-1])
    at_random, _ = mean_and_half(measured.random[-1])
    return Judgement(
        kind="outside",
        quantity=quantity,
        prediction="none",
        measurement=mean,
        interval=(mean - half, mean + half),
        power=f"sampling alone gives {measured.floor:.3g}",
        verdict=OUTSIDE,
        note=f"before training {measured.squared[0].mean():.3g}; random bases {at_random:.3g}",
    )


def orientation_panel(title: str, measured: NetworkOrientation) -> Panel:
    """M² along training, against the data eigenvectors and against random bases, with the floor."""
    steps = np.array(measured.steps)
    series = []
    for label, values in (("data eigenvectors", measured.squared), ("random bases", measured.random)):
        mean, half = means_and_halves(values.T)
        series.append(Series(label, steps, mean, half, "band"))
    series.append(Series("sampling alone", steps, np.full(len(steps), measured.floor), style="dashed"))
    return Panel(title, "step", "$M^2$", tuple(series))


@dataclass(frozen=True)
class OrientationRow:
    """One reading: means over networks with standard errors of M² and M² of random bases, M, the effect, the calls."""

    title: str
    step: int
    squared: tuple[float, float]
    random: tuple[float, float]
    misalignment: float
    effect: float
    nearer: str


def orientation_rows(title: str, measured: NetworkOrientation) -> list[OrientationRow]:
    """A row for each reading of an ensemble, which has that title."""
    return [
        OrientationRow(
            title=title,
            step=step,
            squared=sample_mean(measured.squared[t]),
            random=sample_mean(measured.random[t]),
            misalignment=float(np.sqrt(measured.squared[t]).mean()),
            effect=float(measured.effect[t]),
            nearer=f"{measured.nearer[t]} of {measured.networks}",
        )
        for t, step in enumerate(measured.steps)
    ]


def orientation_table(name: str, caption: str, rows: Iterable[OrientationRow]) -> Table:
    """The table of such rows, the title once for each ensemble."""
    return table_of(
        name,
        caption,
        rows,
        text("case", lambda row: row.title, once=True),
        number("step", "count", lambda row: row.step),
        number("$M^2$", "1", lambda row: row.squared),
        number("random $M^2$", "1", lambda row: row.random),
        number("$M$", "1", lambda row: row.misalignment),
        number("effect", "1", lambda row: row.effect, digits=2),
        text("closer", lambda row: row.nearer),
    )
