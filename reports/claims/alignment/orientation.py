"""Whether the weights of single networks lie nearer to the data's eigenvectors than to random bases; for A6, A7 and B4.

Where no theorem applies there is still an exact question: had the orientation of a network's weights nothing to do with
the data, its p-value against random bases would be at most .01 in one network of a hundred. Networks are independent,
so that the number of those below is binomial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from reports.claims.claim import Case
from reports.findings import CONTINUED, Column, Finding, Panel, Series
from reports.judging.compare import LEVEL, POWER, control_verdict
from theory.eigenspaces import Eigenspaces
from theory.errors import Diverged
from theory.misalignment import null_floor
from theory.testing import random_basis_test

RATE = 0.01  # a network whose basis is random is called nearer with this probability
DRAWS = 199  # a rank of at most 2 among the 200 bases is a p-value of at most .01, exactly
LARGEST_RATE = 0.1  # a check of the rate may hold where a true rate of this would have been found


@dataclass(frozen=True, eq=False)
class Orientation:
    """M² of G independent networks, or groups of networks, at T readings.

    Attributes
    ----------
    steps : tuple of int, length T
    squared : ndarray, shape (T, G)
        M² against the data eigenvectors.
    random : ndarray, shape (T, G)
        The median of M² against random orthonormal bases.
    pvalues : ndarray, shape (T, G)
        Of the hypothesis that the basis is a random one.
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
        """G."""
        return self.squared.shape[1]

    @property
    def nearer(self) -> np.ndarray:
        """How many of the networks are called nearer, (T,)."""
        return np.count_nonzero(self.pvalues <= RATE, axis=1)

    @property
    def effect(self) -> np.ndarray:
        """1 − M / median over random bases, mean over networks, (T,)."""
        return np.mean(1 - np.sqrt(self.squared / self.random), axis=1)


def orientation(
    steps: tuple[int, ...], pairs: Sequence[Sequence[tuple[Eigenspaces, np.ndarray]]], vectors: int, seed: int
) -> Orientation:
    """Test every pair of data eigenspaces and second moment of `vectors` weight vectors; pairs come by reading."""
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
    return Orientation(steps, squared, random, pvalues, floor)


def binomial_tail(count: int, networks: int) -> float:
    """P(at least `count` of `networks` random bases are called nearer)."""
    return float(stats.binom.sf(count - 1, networks, RATE))


def needed(networks: int) -> int | None:
    """The least number of networks whose chance falls below 1e-6; None where not even all of them do."""
    return next((count for count in range(1, networks + 1) if binomial_tail(count, networks) < LEVEL), None)


def detectable_rate(networks: int) -> float | None:
    """The rate of calls that would have been found, with p < 1e-6, with probability .9."""
    least = needed(networks)
    return None if least is None else float(stats.beta.ppf(POWER, least, networks - least + 1))


def findings_of(
    claim: str, case: Case, measured: Orientation, quantity: str, replicas: int, diverged: int
) -> tuple[Finding, ...]:
    """M² beside its floor, without verdict; nearer than random bases, by a binomial count, and not before training."""
    keys: dict[str, Any] = {"claim": claim, "case": case.name, "replicas": replicas, "diverged": diverged}
    if case.kind == "exact":
        return (rate_finding(measured, **keys),)
    return distance_finding(measured, quantity, **keys), nearer_finding(measured, **keys)


def nearer_finding(measured: Orientation, *, unit: str = "networks", **keys: Any) -> Finding:
    """Nearer than random bases: holds below p = 1e-6, else undecided; absence is never concluded."""
    count, networks = int(measured.nearer[-1]), measured.networks
    pvalue, least = binomial_tail(count, networks), needed(networks)
    enough = f"too few {unit} to be decided" if least is None else f"{least} of {networks} would have been enough"
    return Finding(
        kind="control",
        quantity=f"{unit} nearer to the data eigenvectors than {1 - RATE:.0%} of random bases",
        prediction="more than by chance",
        measurement=f"{count} of {networks}",
        pvalue=pvalue,
        power=enough,
        verdict=control_verdict(pvalue, keys["diverged"]),
        note=f"{measured.effect[-1]:.0%} below the median of random bases",
        **keys,
    )


def rate_finding(measured: Orientation, **keys: Any) -> Finding:
    """Before training no more networks than by chance: refuted below p = 1e-6, holds if a rate of .1 would be found."""
    count, networks = int(measured.nearer[0]), measured.networks
    pvalue, found = binomial_tail(count, networks), detectable_rate(networks)
    fine = found is not None and found <= LARGEST_RATE and not keys["diverged"]
    return Finding(
        kind="exact",
        quantity="share of untrained networks called nearer to the data eigenvectors",
        prediction=RATE,
        measurement=count / networks,
        pvalue=pvalue,
        power="no rate would be found" if found is None else f"a rate of {found:.1%} found with probability .9",
        verdict="refuted" if pvalue < LEVEL else "holds" if fine else "undecided",
        **keys,
    )


def distance_finding(measured: Orientation, quantity: str, **keys: Any) -> Finding:
    """M² of single networks after training, beside its floor: an effect size, no verdict."""
    mean, half = mean_and_half(measured.squared[-1])
    at_random, _ = mean_and_half(measured.random[-1])
    return Finding(
        kind="outside",
        quantity=quantity,
        prediction="none",
        measurement=mean,
        interval=(mean - half, mean + half),
        power=f"sampling alone gives {measured.floor:.3g}",
        verdict="outside the hypotheses",
        note=f"before training {measured.squared[0].mean():.3g}; random bases {at_random:.3g}",
        **keys,
    )


def mean_and_half(values: np.ndarray) -> tuple[float, float]:
    """The mean of independent values (G,) and the half-width of its 95 % interval by Student's t."""
    count = len(values)
    if count < 2:
        raise Diverged("networks", count, "at least two must not diverge for there to be an interval")
    return float(values.mean()), float(stats.t.ppf(0.975, count - 1) * values.std(ddof=1) / np.sqrt(count))


def orientation_panel(title: str, measured: Orientation) -> Panel:
    """M² along training, against the data eigenvectors and against random bases, with the floor."""
    steps = np.array(measured.steps)
    series = []
    for label, values in (("data eigenvectors", measured.squared), ("random bases", measured.random)):
        mean, half = np.array([mean_and_half(row) for row in values]).T
        series.append(Series(label, steps, mean, half, "band"))
    series.append(Series("sampling alone", steps, np.full(len(steps), measured.floor), style="dashed"))
    return Panel(title, "step", "$M^2$", tuple(series))


ORIENTATION_COLUMNS = (
    Column("case", "text"),
    Column("step"),
    Column("$M^2$"),
    Column("random $M^2$"),
    Column("$M$"),
    Column("effect", digits=2),
    Column("nearer", "text"),
)


def orientation_rows(name: str, measured: Orientation) -> tuple[tuple[Any, ...], ...]:
    """Rows of a table: case (once), step, M², M² of random bases, the mean M, effect, networks called nearer."""
    networks = measured.networks
    return tuple(
        (
            CONTINUED if t else name,
            step,
            *(
                (float(v[t].mean()), float(v[t].std(ddof=1) / networks**0.5))
                for v in (measured.squared, measured.random)
            ),
            float(np.sqrt(measured.squared[t]).mean()),
            float(measured.effect[t]),
            f"{measured.nearer[t]} of {networks}",
        )
        for t, step in enumerate(measured.steps)
    )
