"""Counts of networks against exact rationals."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest

from reports.judging.counts import binomial_tail, decisive_count, detectable_rate


@pytest.mark.parametrize("networks", [3, 6, 12, 200])
def test_counts_are_binomial(networks):
    """The chance of a count, the least count that decides, the rate that it would find."""

    def tail(count: int, rate: Fraction) -> Fraction:
        terms = (comb(networks, k) * rate**k * (1 - rate) ** (networks - k) for k in range(count, networks + 1))
        return sum(terms, Fraction(0))

    for count in (0, 1, 3):
        assert binomial_tail(count, networks, 0.01) == pytest.approx(float(tail(count, Fraction(1, 100))), rel=1e-9)
    least = decisive_count(networks, 0.01)
    if networks == 3:
        assert least is None
        assert detectable_rate(networks, 0.01) is None
        return
    assert tail(least, Fraction(1, 100)) < Fraction(1, 10**6) <= tail(least - 1, Fraction(1, 100))
    assert float(tail(least, Fraction(detectable_rate(networks, 0.01)))) == pytest.approx(0.9, rel=1e-9)


def test_counts_that_decide_are_counted_from_one_to_all() -> None:
    """One network decides alone where its chance is below the level; all of them must be tried."""
    assert decisive_count(1, 0.9e-6) == 1
    assert decisive_count(1, 1.1e-6) is None
    assert decisive_count(2, 0.9e-3) == 2
    assert decisive_count(2, 1.1e-3) is None
    assert detectable_rate(1, 0.9e-6) == pytest.approx(0.9, rel=1e-12)
    assert detectable_rate(2, 0.9e-3) == pytest.approx(0.9**0.5, rel=1e-12)
