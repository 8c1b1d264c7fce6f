"""Claim B6: parts of every network, a rule that can say no, and what the panels' smaller networks are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

import simulate
from reports.claims.claim import Context
from reports.claims.shape.b6_made_of import CLAIM, MadeOf, factor
from reports.claims.shape.made_of import OverlapEvidence, overlap_evidence
from reports.judging.intervals import detectable, detected, found
from reports.judging.needed import by_interval, by_power
from reports.typesetting.figures import render
from tests.changes import changed
from tests.reports.claims.shape.outcomes import case_of, outcome_of, smaller_case
from theory.decomposition import Decomposition, Parts
from theory.errors import Diverged
from theory.setting import Data, Setting, Training

GROWS = MadeOf(early="negative", last="positive", written="negative")


def made_up(early: float, last: float, share: float, *, networks: int = 6, scatter: float = 1e-3) -> OverlapEvidence:
    """Five directions, A as given in the last one at two readings, F such that it is this share of the trace."""
    amplitude = np.ones((2, 5))
    amplitude[:, -1] = early, last
    wobble = 1 + scatter * np.random.default_rng(0).standard_normal((networks, 1, 1))
    initial = np.ones((networks, 5))
    cross = wobble * amplitude
    written = share / (1 - share) * (amplitude**2).mean(axis=1, keepdims=True)
    trained = amplitude**2 + wobble * written
    return OverlapEvidence((5, 50), np.arange(1.0, 6.0), (1,) * 5, initial, cross, trained, networks, 0)


def decided(evidence: OverlapEvidence, study: MadeOf = GROWS) -> list[str]:
    case = replace(case_of(CLAIM, "one hidden layer"), study=study)
    return [judgement.verdict for judgement in CLAIM.decide(case, None, evidence)]


@pytest.mark.parametrize(
    ("early", "last", "share", "verdicts"),
    [
        (0.9, 1.2, 0.1, ["holds", "holds", "holds"]),
        (1.1, 0.8, 0.4, ["refuted", "refuted", "refuted"]),
        (1.0, 1.0, 0.25, ["undecided", "undecided", "undecided"]),
    ],
)
def test_signs_can_be_refuted(early: float, last: float, share: float, verdicts: list[str]) -> None:
    evidence = made_up(early, last, share)
    assert decided(evidence) == verdicts
    assert "holds" not in decided(replace(evidence, diverged=1))


def test_what_is_asked_of_other_networks() -> None:
    """Signs are judged in the second fifth of σ, here 1; a control must have more than half of τ written."""
    damped = MadeOf(second="positive", last="negative", written=None)
    assert decided(made_up(1.0, 0.9, 0.1), damped) == ["undecided", "holds"]
    loud = MadeOf(last="positive", written="positive")
    assert decided(made_up(1.0, 1.5, 0.8), loud) == ["holds", "holds"]
    assert decided(made_up(1.0, 1.5, 0.4), loud) == ["holds", "refuted"]


def test_one_network_is_not_enough() -> None:
    """Two leave no standard error, and nothing is decided."""
    assert set(decided(made_up(0.9, 1.2, 0.1, networks=2))) == {"undecided"}
    with pytest.raises(Diverged, match="networks = 1: must be two at least that do not diverge"):
        decided(made_up(0.9, 1.2, 0.1, networks=1))


def linear_evidence(**changes: Any) -> tuple[Decomposition, OverlapEvidence]:
    """512 groups that scatter by 1e-3 about a prediction."""
    sigma, ones = np.array([1.0, 2.0]), np.ones(2)
    parts = [Parts(step, sigma, (1, 1), ones, a * ones, 0.01 * ones, 0.2 * ones) for step, a in ((5, 0.8), (20, 0.5))]
    wobble = 1 + 1e-3 * np.random.default_rng(1).standard_normal((512, 1))
    cross = np.stack([wobble * each.amplitude for each in parts], axis=1)
    trained = np.stack([wobble * each.tau for each in parts], axis=1)
    evidence = OverlapEvidence((5, 20), sigma, (1, 1), np.ones((512, 2)), cross, trained, 512, 0)
    return Decomposition("linear-full-batch", None, tuple(parts)), replace(evidence, **changes)


def test_each_sign_is_read_at_its_updates() -> None:
    """Two readings, after 5 and 50 updates."""
    case = replace(case_of(CLAIM, "one hidden layer"), study=replace(GROWS, second="positive"))
    asked = [judgement.quantity for judgement in CLAIM.decide(case, None, made_up(0.9, 1.2, 0.1))]
    assert [words.rsplit(", ")[-1] for words in asked[:3]] == ["5 updates", "50 updates", "50 updates"]


def test_signs_are_those_of_the_first_and_the_last_of_three_readings_in_their_own_fifths() -> None:
    """Every fifth of every reading has another A, and every reading has another share that is written."""
    amplitude = 1 + 0.02 * np.arange(1.0, 16.0).reshape(3, 5)
    wobble = 1 + 1e-3 * np.random.default_rng(0).standard_normal((6, 1, 1))
    initial, written = np.ones((6, 5)), np.array([[0.1], [0.2], [0.4]])
    cross, trained = wobble * amplitude, amplitude**2 + wobble * written
    evidence = OverlapEvidence((5, 50, 500), np.arange(1.0, 6.0), (1,) * 5, initial, cross, trained, 6, 0)
    study = MadeOf(early="positive", second="positive", last="positive", written="negative")
    found = CLAIM.decide(replace(case_of(CLAIM, "one hidden layer"), study=study), None, evidence)
    a = cross.mean(axis=0)
    parts = evidence.parts(2)
    wanted = [a[0, 4] - 1, a[2, 1] - 1, a[2, 4] - 1, parts.share - 0.25]
    np.testing.assert_allclose([judgement.measurement for judgement in found], wanted, rtol=1e-9)
    places = ("last fifth", 5), ("second fifth", 500), ("last fifth", 500)
    for judgement, (fifth, updates) in zip(found, places, strict=False):
        assert judgement.quantity == f"$A-1$ in the {fifth} of $\\sigma$, {updates} updates"
    assert found[3].standard_error == parts.share_error
    loud = CLAIM.decide(
        replace(case_of(CLAIM, "one hidden layer"), study=MadeOf(last="positive", written="positive")), None, evidence
    )
    assert loud[1].measurement == pytest.approx(parts.share - 0.5)


def test_parts_are_those_of_the_last_of_three_readings() -> None:
    sigma, ones = np.array([1.0, 2.0]), np.ones(2)
    parts = tuple(
        Parts(s, sigma, (1, 1), ones, a * ones, 0 * ones, 0.2 * ones) for s, a in ((5, 0.8), (9, 0.7), (20, 0.5))
    )
    wobble = 1 + 1e-3 * np.random.default_rng(1).standard_normal((64, 1))
    cross = np.stack([wobble * (each.amplitude + 0.01 * k) for k, each in enumerate(parts)], axis=1)
    trained = np.stack([wobble * each.tau for each in parts], axis=1)
    evidence = OverlapEvidence((5, 9, 20), sigma, (1, 1), np.ones((64, 2)), cross, trained, 64, 0)
    last = OverlapEvidence((20,), sigma, (1, 1), np.ones((64, 2)), cross[:, 2:], trained[:, 2:], 64, 0)
    case = case_of(CLAIM, "linear, full batch")
    whole = CLAIM.decide(case, Decomposition("made up", None, parts), evidence)[0]
    assert whole == CLAIM.decide(case, Decomposition("made up", None, parts[2:]), last)[0]


def test_the_largest_error_of_the_parts_by_hand() -> None:
    """The p-value is Student's for the largest |z| of six: A and F of three eigenspaces with unequal τ."""
    sigma = np.array([1.0, 2.0, 3.0])
    initial, amplitude = np.array([0.5, 1.0, 4.0]), np.array([0.9, 0.8, 0.5])
    parts = Parts(5, sigma, (1, 1, 1), initial, amplitude, np.zeros(3), np.array([0.1, 0.2, 0.4]))
    rng, networks = np.random.default_rng(3), 40
    cross = initial * (amplitude + 0.002 * rng.standard_normal((networks, 1, 3)))
    trained = parts.tau * (1 + 0.01 * rng.standard_normal((networks, 1, 3)))
    whole = np.tile(initial, (networks, 1))
    evidence = OverlapEvidence((5,), sigma, (1, 1, 1), whole, cross, trained, networks, 0)
    wrong = replace(parts, amplitude=amplitude + np.array([0.0, 0.0, 0.0012]))
    case, found = case_of(CLAIM, "linear, full batch"), evidence.parts(0)
    values, falls = CLAIM.decide(case, Decomposition("made up", None, (wrong,)), evidence)
    unit = np.sqrt(wrong.tau / initial)
    off = [(found.amplitude - wrong.amplitude) / unit, (found.written - wrong.written) / wrong.tau]
    errors = [found.errors["amplitude"] / unit, found.errors["written"] / wrong.tau]
    z = np.abs(np.divide(off, errors)).max()
    assert values.measurement == pytest.approx(np.abs(off).max())
    assert values.pvalue == pytest.approx(min(1.0, 6 * 2 * stats.t.sf(z, found.groups - 1)))
    assert 1e-6 < values.pvalue < 1
    assert falls.measurement == pytest.approx(np.max(found.amplitude - 1))


def test_parts_of_a_linear_model_can_be_refuted() -> None:
    case = case_of(CLAIM, "linear, full batch")
    prediction, evidence = linear_evidence()
    values, falls = CLAIM.decide(case, prediction, evidence)
    assert (values.verdict, falls.verdict, falls.prediction) == ("holds", "holds", "negative")
    assert falls.measurement == pytest.approx(-0.2, abs=1e-3)
    assert CLAIM.scaled is not None
    for times in (0.97, 1.03):
        assert CLAIM.decide(case, CLAIM.scaled(prediction, times), evidence)[0].verdict == "refuted"
    rising = replace(evidence, cross=evidence.cross[:, ::-1])
    assert CLAIM.decide(case, prediction, rising)[1].verdict == "refuted"
    assert CLAIM.decide(case, prediction, replace(evidence, diverged=1))[0].verdict == "undecided"


def test_a_linear_model_trained_small() -> None:
    case = smaller_case(case_of(CLAIM, "linear, full batch"), 1100, steps=(5, 20))
    outcome = outcome_of(CLAIM, case)
    assert [each.verdict for each in outcome.judgements] == ["undecided", "holds"]  # for want of power
    assert len(outcome.measurement.initial) == 366  # groups of three; two networks are left over
    shown = CLAIM.illustrate((outcome,))
    assert render(shown.figures[0]).svg
    (row,) = shown.tables[0].rows
    assert row[0] == "linear, full batch"
    assert outcome.prediction is not None


def test_eigenspaces_and_groups_are_means() -> None:
    data = Data(kind="gaussian", spectrum=(1.0, 2.0, 2.0), samples=9)
    overlaps = simulate.initial_overlaps(Setting(data=data, training=Training(steps=(0, 3))), replicas=4)
    evidence = overlap_evidence(overlaps)
    assert evidence.multiplicity == (1, 2)
    np.testing.assert_allclose(evidence.initial[:, 1], overlaps.initial[:, 1:].mean(axis=1))
    np.testing.assert_allclose(evidence.cross[:, 1, 0], overlaps.cross[:, 1, 0])


def test_the_panels_are_smaller_but_for_the_paper() -> None:
    for budget, factors in (("quick", (8, 16, 1)), ("full", (4, 4, 1)), ("paper", (1, 1, 1))):
        assert tuple(factor(budget, panel) for panel in ("right", "middle", "")) == factors
    trained = case_of(CLAIM, "Figure 20, right")
    few = replace(trained, trained=changed(trained.setting, ensemble={"replicas": 2}))
    evidence = CLAIM.measure(few, Context())
    assert (evidence.steps, evidence.b) == ((5, 200), 8)
    assert len(evidence.sigma) == 30


@pytest.mark.parametrize(("noise", "undecided"), [(0.02, False), (0.6, True)])
def test_every_sign_is_that_of_its_own_band_and_reading(noise: float, undecided: bool) -> None:
    """Ten directions at two readings, no two of them alike: A − 1 and its error of the bands that are asked for."""
    rng, networks = np.random.default_rng(5), 7
    amplitude, written = np.linspace(0.6, 1.3, 20).reshape(2, 10), np.array([[0.1], [0.4]]) * np.linspace(1, 2, 10)
    wobble = 1 + noise * rng.standard_normal((networks, 2, 10))
    evidence = OverlapEvidence(
        (5, 50), np.arange(1.0, 11.0), (1,) * 10, np.ones((networks, 10)), wobble * amplitude,
        amplitude**2 + wobble * written, 9, 0,
    )  # fmt: skip
    first, last, whole = evidence.bands(0), evidence.bands(1), evidence.parts(1)
    numbers = [(part.amplitude[band] - 1, part.errors["amplitude"][band]) for part, band in
               ((first, 4), (last, 1), (last, 4))]  # fmt: skip
    for sign, bound in (("negative", 0.25), ("positive", 0.5)):
        study = MadeOf(early="negative", second="positive", last="positive", written=sign)
        judged = CLAIM.decide(replace(case_of(CLAIM, "one hidden layer"), study=study), None, evidence)
        for judgement, (value, error) in zip(judged, [*numbers, (whole.share - bound, whole.share_error)], strict=True):
            half = stats.t.ppf(0.975, 6) * error
            assert (judgement.measurement, judgement.standard_error) == pytest.approx((value, error))
            assert judgement.interval == pytest.approx((value - half, value + half))
            assert judgement.power == f"detects {detected(error, degrees=6):.2g} with 90% power"
            needed = by_interval(9, value - half, value + half, (0.0,))
            assert judgement.note == (needed if judgement.verdict == "undecided" else "")
        assert ("undecided" in {judgement.verdict for judgement in judged}) == undecided


def test_the_largest_rise_is_found_among_all_readings_and_directions() -> None:
    """A falls from .8 to .5 along one direction, and rises to .85 along the other one, where both errors add up."""
    prediction, evidence = linear_evidence()
    rng, cross = np.random.default_rng(2), evidence.cross.copy()
    cross[:, 1, 1] = 0.85 + 0.004 * rng.standard_normal(512)
    evidence = replace(evidence, initial=evidence.initial[:9], cross=cross[:9], trained=evidence.trained[:9])
    values, falls = CLAIM.decide(case_of(CLAIM, "linear, full batch"), prediction, evidence)
    early, late = evidence.parts(0), evidence.parts(1)
    error = early.errors["amplitude"][1] + late.errors["amplitude"][1]
    rise, half = late.amplitude[1] - early.amplitude[1], stats.t.isf(0.025 / 4, 8) * error
    assert (falls.measurement, falls.standard_error) == pytest.approx((rise, error))
    assert falls.interval == pytest.approx((rise - half, rise + half))
    assert falls.power == f"detects {detected(error, tests=4, degrees=8):.2g} with 90% power"
    assert falls.verdict == "refuted"
    assert values.verdict != "holds"


@pytest.mark.parametrize(
    ("amplitudes", "sign"), [((0.8, 0.5), "negative"), ((0.8, 0.8), "positive"), ((1.0, 0.5), "positive")]
)
def test_a_is_said_to_fall_where_it_does_at_every_reading(amplitudes: tuple[float, float], sign: str) -> None:
    prediction, evidence = linear_evidence()
    parts = tuple(
        replace(each, amplitude=np.full(2, a)) for each, a in zip(prediction.readings, amplitudes, strict=True)
    )
    _, falls = CLAIM.decide(case_of(CLAIM, "linear, full batch"), replace(prediction, readings=parts), evidence)
    assert falls.prediction == sign


def test_parts_as_predicted_are_as_likely_as_can_be() -> None:
    """If parts are as predicted, p is 1 and the power is that of the largest error among four tests."""
    prediction, evidence = linear_evidence()
    last = evidence.parts(-1)
    right = replace(prediction.readings[-1], amplitude=last.amplitude, mixed=np.zeros(2), labels=last.written)
    values, _ = CLAIM.decide(
        case_of(CLAIM, "linear, full batch"), replace(prediction, readings=(*prediction.readings[:-1], right)), evidence
    )
    assert (values.pvalue, values.prediction) == (1.0, 0.0)
    assert values.measurement == 0
    unit = np.sqrt(right.tau / right.initial)
    error = max((last.errors["amplitude"] / unit).max(), (last.errors["written"] / right.tau).max())
    assert values.power == found(detectable(float(error), tests=4, degrees=511))
    assert values.note == "linear-full-batch; largest $|z|$ 0.00"


def test_an_error_of_any_part_is_one_of_four() -> None:
    """A and F of two directions make four tests; the detectable error is that of few networks that scatter."""
    prediction, evidence = linear_evidence()
    cross = evidence.cross + 0.05 * np.random.default_rng(6).standard_normal(evidence.cross.shape)
    few = replace(evidence, initial=evidence.initial[:9], cross=cross[:9], trained=evidence.trained[:9], replicas=11)
    values, _ = CLAIM.decide(case_of(CLAIM, "linear, full batch"), prediction, few)
    last, predicted = few.parts(-1), prediction.readings[-1]
    unit = np.sqrt(predicted.tau / predicted.initial)
    error = max((last.errors["amplitude"] / unit).max(), (last.errors["written"] / predicted.tau).max())
    size = detectable(float(error), tests=4, degrees=8)
    assert size > 0.2
    assert values.power == found(size)
    assert values.note.endswith(f"; {by_power(11, size)}")


@pytest.mark.parametrize(
    ("late", "verdict"), [(0.7, "holds"), (0.797, "undecided"), (0.803, "undecided"), (0.9, "refuted")]
)
def test_a_fall_is_judged_by_its_whole_interval(late: float, verdict: str) -> None:
    """A falls from .8 to `late`, in nine groups that scatter by .01."""
    prediction, evidence = linear_evidence()
    cross = evidence.cross.copy()
    cross[:, 1] = late + 0.01 * np.resize([1.0, -1.0, 0.0], (512, 1))
    few = replace(evidence, initial=evidence.initial[:9], cross=cross[:9], trained=evidence.trained[:9])
    case = case_of(CLAIM, "linear, full batch")
    _, falls = CLAIM.decide(case, prediction, few)
    assert falls.measurement == pytest.approx(late - 0.8, abs=1e-3)
    assert falls.verdict == verdict
    assert CLAIM.decide(case, prediction, replace(few, diverged=1))[1].verdict == (
        "undecided" if verdict == "holds" else verdict
    )
