"""Counts of independent networks that show an effect: the probability of a count, and its power."""

from __future__ import annotations

from scipy.stats import beta, binom

from reports.judging.rules import LEVEL, POWER


def binomial_tail(count: int, networks: int, rate: float) -> float:
    """P(at least `count` of the networks), each of them with probability `rate`."""
    return float(binom.sf(count - 1, networks, rate))


def decisive_count(networks: int, rate: float) -> int | None:
    """The least count whose chance falls below `LEVEL`; None where not even all networks are enough."""
    return next((count for count in range(1, networks + 1) if binomial_tail(count, networks, rate) < LEVEL), None)


def detectable_rate(networks: int, rate: float) -> float | None:
    """The true rate at which the count is decisive with 90 % power; None where it never is."""
    least = decisive_count(networks, rate)
    return None if least is None else float(beta.ppf(POWER, least, networks - least + 1))
