"""Claim B7: Gaussian rows stand in for themselves, a difference is measured, and the rule can say no."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from reports.claims.claim import Case
from reports.claims.shape.b7_stand_in import CLAIM, WITHIN, StandIn, curves_figure, off_table
from reports.judging.needed import by_interval
from tests.reports.claims.shape.outcomes import case_of, outcome_of, smaller_case
from theory.setting import Data, Network


def test_gaussian_rows_stand_in_for_themselves() -> None:
    case: Case[None] = smaller_case(case_of(CLAIM, "digits"), 8, steps=(0, 40))
    law = Data(kind="gaussian", spectrum=tuple(np.linspace(0.3, 1.7, 12).tolist()), samples=256)
    setting = msgspec.structs.replace(case.setting, data=law, network=Network(kind="mlp", hidden=(32,)))
    outcome = outcome_of(CLAIM, replace(case, trained=setting))
    found = outcome.measurement.off(-1)
    # the difference is noise: it lies within five times the noise of its mean
    assert found.low < 0.02
    assert found.rms < 5 * found.noise / len(law.eigenvalues) ** 0.25
    assert outcome.judgements[0].verdict == "holds"


def made_up(off: float, noise: float = 0.01) -> StandIn:
    generator = np.random.default_rng(3)
    data, other = np.exp(noise * generator.standard_normal((2, 2, 8, 20)))
    data[1], other[1] = 2 * data[1], 2 * other[1] * np.exp(off * np.resize([1.0, -1.0], 20))
    return StandIn((0, 80), np.linspace(0.1, 2.0, 20), data, other, np.ones((2, 2)), replicas=16, diverged=0)


@pytest.mark.parametrize(("off", "verdict", "control"), [(0.04, "holds", "undecided"), (0.2, "refuted", "holds")])
def test_a_difference_is_measured_and_judged(off: float, verdict: str, control: str) -> None:
    measured = made_up(off)
    data, patches = case_of(CLAIM, "digits"), case_of(CLAIM, "photograph patches 5x5x3")
    (found,) = CLAIM.decide(data, CLAIM.predict(data), measured)
    assert found.measurement == pytest.approx(off, rel=0.1)
    assert found.interval is not None
    assert found.interval[0] < off < found.interval[1]
    assert off < measured.largest < off + 0.03
    assert measured.of_change == pytest.approx(2 * off, rel=0.15)  # f doubles: the change is as large as it was
    assert found.verdict == verdict
    assert CLAIM.decide(patches, CLAIM.predict(patches), measured)[0].verdict == control
    diverged = replace(measured, diverged=1)
    assert "holds" not in {CLAIM.decide(case, CLAIM.predict(case), diverged)[0].verdict for case in (data, patches)}


def test_near_the_limit_nothing_is_decided() -> None:
    case = case_of(CLAIM, "digits")
    (found,) = CLAIM.decide(case, CLAIM.predict(case), made_up(WITHIN, noise=0.1))
    assert found.verdict == "undecided"
    assert "replicas" in found.note


def test_the_table_and_the_figure_show_both() -> None:
    case = case_of(CLAIM, "digits")
    outcome = replace(outcome_of(CLAIM, smaller_case(case, 2, steps=(0, 8))), measurement=made_up(0.2))
    assert len(off_table((outcome,)).rows) == 2
    (panel,) = curves_figure((outcome,)).panels
    assert [series.label for series in panel.series] == ["data", "Gaussian stand-in", "initial weights"]


def test_the_difference_is_that_after_training_with_half_of_the_networks_on_each_side() -> None:
    case, measured = case_of(CLAIM, "digits"), made_up(1.15 * WITHIN, noise=0.1)
    (found,) = CLAIM.decide(case, CLAIM.predict(case), measured)
    off = measured.off(1)
    assert "would need about" in found.note
    assert (found.measurement, found.interval) == (off.rms, (off.low, off.high))
    assert found.power == f"noise of the difference {off.noise:.2g}"
    told = f"largest at one $\\sigma$ {measured.largest:.2g}; {measured.of_change:.2g} of the change of $f$ by training"
    assert found.note == f"{told}; {by_interval(8, off.low, off.high, (WITHIN,))}"
    between = [np.insert(each, 1, 3 * each[0], axis=0) for each in (measured.data, measured.stand_in, measured.losses)]
    three = StandIn((0, 40, 80), measured.sigma, *between, replicas=16, diverged=0)
    assert CLAIM.decide(case, CLAIM.predict(case), three) == (found,)
