"""Claim B5: its networks are held against published values, by a rule that can say no in either direction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2, t

from reports.claims.claim import BUDGETS, Case, Context, Outcome
from reports.claims.shape import b5_panels
from reports.claims.shape.b5_panels import CLAIM, NETWORKS, WITHIN
from reports.claims.shape.published_panels import PUBLISHED, READING_ERROR
from reports.claims.shape.read_panels import LEFT_STOP, STOP, best, off, stop
from reports.judging.intervals import detected
from reports.judging.misfit import misfit
from reports.judging.needed import by_interval
from reports.typesetting.figures import render
from tests.reports.claims.shape.outcomes import outcome_of, smaller_case
from tests.reports.claims.shape.panels import planted
from theory.errors import InvalidInput
from theory.shape import FALLS, RISES, RISES_THEN_FALLS, shape_of

PAPER = {str(case.study): case for case in CLAIM.cases(Context(budget="paper", seed=5))}
LEFT, MIDDLE, RIGHT = (PAPER[f"{panel}, diagonal as deviations"] for panel in PUBLISHED)


def outcome(case: Case[Any], *arguments: Any, **options: Any) -> Outcome[Any, Any, Any]:
    """A case with what is made up for it."""
    measured = planted(case.study, *arguments, **options)
    return Outcome(case, CLAIM.predict(case), measured, CLAIM.decide(case, CLAIM.predict(case), measured))


def test_published_values_have_the_shapes_that_the_paper_shows() -> None:
    for name, shape in (("left", FALLS), ("middle", RISES_THEN_FALLS), ("right", RISES)):
        assert shape_of(np.array(PUBLISHED[name].f) ** 2) == shape
    for curve in PUBLISHED.values():
        assert list(curve.sigma) == sorted(curve.sigma)
    # the smallest σ hardly moves from 1/sqrt(30), and the middle panel ends below it
    for name in ("middle", "right"):
        assert abs(PUBLISHED[name].f[0] - 30**-0.5) < 2 * READING_ERROR
    assert PUBLISHED["middle"].f[-1] < 30**-0.5 - READING_ERROR


def test_a_curve_is_compared_at_the_published_places() -> None:
    sigma = np.arange(1, 31) / 10
    beyond = PUBLISHED["middle"].off(sigma, 10 * sigma)
    np.testing.assert_allclose(beyond, [10 * s - f for s, f in zip(*_pair("middle"), strict=True)])
    with pytest.raises(InvalidInput, match="must hold every published value"):
        PUBLISHED["left"].off(sigma + 0.05, sigma)


def _pair(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return PUBLISHED[name].sigma, PUBLISHED[name].f


@pytest.mark.parametrize("budget", BUDGETS)
def test_a_budget_trains_what_it_says(budget: str) -> None:
    found = CLAIM.cases(Context(budget=budget, seed=5))
    assert {(c.study.panel.name, c.study.reading): c.setting.ensemble.replicas for c in found} == NETWORKS[budget]
    for case in found:
        assert case.setting.ensemble.replicas >= 2  # for an interval
        if case.study.reading == "deviation":
            read = case.setting.training.readings
            assert {STOP, stop(case.study, read)} <= set(read)
            later = case.study.panel.name == "left" and budget == "paper"
            assert stop(case.study, read) == (LEFT_STOP if later else STOP)
            assert budget == "paper" or max(read) <= 2800  # a minute of one network
    assert {case.name for case in CLAIM.cases(Context())} < set(PAPER)


@pytest.mark.parametrize("case", [LEFT, MIDDLE, RIGHT], ids=str)
@pytest.mark.parametrize(("beside", "verdict"), [(0.5, "holds"), (1.0, "undecided"), (2.0, "refuted")])
def test_agreement_holds_is_undecided_or_is_refuted(case: Case[Any], beside: float, verdict: str) -> None:
    agreement, *_ = outcome(case, beside * WITHIN).judgements
    assert agreement.verdict == verdict
    assert agreement.interval is not None
    low, high = agreement.interval
    assert low < beside * WITHIN < high
    told = "more than the reading error" if beside * WITHIN > READING_ERROR else "possibly the reading error"
    assert told in agreement.note
    diverged, *_ = outcome(case, beside * WITHIN, diverged=1).judgements
    assert diverged.verdict != "holds"


def test_within_the_reading_error_it_is_said() -> None:
    agreement, *_ = outcome(MIDDLE, 0.001).judgements
    assert "possibly the reading error alone" in agreement.note


def test_a_misfit_that_is_the_reading_error_may_be_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = planted(MIDDLE.study, WITHIN)
    low = off(MIDDLE.study, measured)[1].low
    for error, told in ((low, "possibly the reading error"), (float(np.nextafter(low, 0)), "more than the reading")):
        monkeypatch.setattr(b5_panels, "READING_ERROR", error)
        agreement, *_ = CLAIM.decide(MIDDLE, RISES_THEN_FALLS, measured)
        assert agreement.note.startswith(told)


@pytest.mark.parametrize(("before", "verdict"), [(0.02, "holds"), (0.003, "undecided"), (0.0, "refuted")])
def test_the_left_panel_stops_later_or_does_not(before: float, verdict: str) -> None:
    measured = planted(LEFT.study, 0.003, before=before)
    measured = replace(measured, updates=(STOP, LEFT_STOP))
    _, later, _ = CLAIM.decide(LEFT, FALLS, measured)
    assert later.verdict == verdict
    assert isinstance(later.measurement, float)
    assert later.measurement == pytest.approx(before - 0.003, abs=1e-3)


@pytest.mark.parametrize(("then", "verdict"), [(0.03, "holds"), (WITHIN, "undecided"), (0.0, "refuted")])
def test_where_the_others_stop_the_left_panel_is_not_there_yet(then: float, verdict: str) -> None:
    measured = replace(planted(LEFT.study, then, noise=3e-3), updates=(STOP // 4, STOP))
    not_yet, scatter = CLAIM.decide(LEFT, FALLS, measured)
    expected = at_published(LEFT, measured, 1)
    assert not_yet.verdict == verdict
    assert not_yet.prediction.startswith("above 0.004")
    assert not_yet.measurement == pytest.approx(expected.rms)
    assert not_yet.interval == pytest.approx((expected.low, expected.high))
    assert not_yet.note.startswith(f"the paper budget trains on to {LEFT_STOP}")
    assert scatter.kind == "outside"
    lost, _ = CLAIM.decide(LEFT, FALLS, replace(measured, diverged=1))
    assert lost.verdict != "holds"
    (panel,) = CLAIM.illustrate((Outcome(LEFT, FALLS, measured, ()),)).figures[0].panels
    assert panel.title == f"left, {STOP} updates"


def test_the_middle_panel_ends_below_its_init_or_does_not() -> None:
    _, below, _ = outcome(MIDDLE).judgements
    assert (below.verdict, below.prediction) == ("holds", "negative: below the init")
    assert below.measurement == pytest.approx(0.163 - 30**-0.5, abs=2e-3)
    measured = planted(MIDDLE.study)
    _, above, _ = CLAIM.decide(MIDDLE, RISES_THEN_FALLS, replace(measured, f=measured.f + 0.03))
    assert above.verdict == "refuted"


def test_seeds_scatter_as_independent_neurons_do() -> None:
    """For Gaussian neurons the interval contains the prediction, and not that of half as many neurons."""
    neurons, rng = MIDDLE.setting.network.widths[0], np.random.default_rng(2)
    f = np.sqrt(rng.chisquare(neurons, (2, 5, 30)) / neurons) * np.linspace(0.1, 0.3, 30)
    *_, scatter = CLAIM.decide(MIDDLE, RISES_THEN_FALLS, replace(planted(MIDDLE.study), scatter=f))
    assert scatter.interval is not None
    low, high = scatter.interval
    assert low < (2 * neurons) ** -0.5 < high < neurons**-0.5
    assert scatter.prediction == "0.0156 for 2048 independent Gaussian neurons"
    assert (scatter.verdict, scatter.kind) == ("outside the hypotheses", "outside")


@pytest.mark.parametrize(("variances", "verdict"), [(0.02, "holds"), (0.003, "undecided"), (0.0, "refuted")])
def test_variances_fit_worse_or_do_not(variances: float, verdict: str) -> None:
    other = PAPER["middle, diagonal as variances"]
    assert CLAIM.decide(other, RISES_THEN_FALLS, planted(other.study)) == ()
    outcomes = (outcome(MIDDLE, 0.003), outcome(RIGHT, 0.0), outcome(other, variances, before=0.05))
    ((contrast, together),) = CLAIM.conclude(outcomes)
    assert contrast.verdict == verdict
    assert [each.case for each in together] == [MIDDLE, other]


def test_variances_are_read_where_they_fit_best() -> None:
    other = PAPER["middle, diagonal as variances"]
    for off_then, off_before in ((0.02, 0.01), (0.01, 0.02)):
        found, updates = best(outcome(other, off_then, before=off_before))
        assert found.rms == pytest.approx(0.01, abs=1e-3)
        assert updates == (STOP // 4 if off_before < off_then else STOP)


def test_one_network_has_no_interval_and_is_not_judged() -> None:
    assert outcome(MIDDLE, networks=1).judgements == ()
    assert len(outcome(MIDDLE, networks=2).judgements) == 3
    shown = CLAIM.illustrate((outcome(MIDDLE, networks=1),))
    assert shown.figures == ()
    assert [table.rows for table in shown.tables] == [(), ()]


def test_values_and_misfits_are_tabulated_and_drawn() -> None:
    outcomes = (outcome(MIDDLE), outcome(PAPER["middle, diagonal as variances"], 0.01), outcome(LEFT))
    (misfits, values), (figure,) = CLAIM.illustrate(outcomes).tables, CLAIM.illustrate(outcomes).figures
    assert len(misfits.rows) == 6
    assert misfits.rows[3][4] == off(MIDDLE.study, outcomes[0].measurement)[1].rms
    assert [row[2] for row in values.rows] == [*PUBLISHED["left"].f, *PUBLISHED["middle"].f]
    mean = outcomes[0].measurement.f[1, :, 0].mean()
    assert values.rows[len(PUBLISHED["left"].f)][3][0] == pytest.approx(mean)  # type: ignore[index]
    left, middle = figure.panels
    assert (left.title, middle.title) == (f"left, {LEFT_STOP} updates", f"middle, {STOP} updates")
    assert [series.label for series in middle.series] == [
        "published",
        "networks, deviations",
        "networks, variances",
        "initial weights",
    ]
    assert render(figure).pdf.startswith(b"%PDF")


def test_a_panel_end_to_end() -> None:
    """Two updates of the smallest networks: nearly untrained, they are off by what training has to do."""
    case = smaller_case(RIGHT, 2, steps=(0, 2))
    measured = outcome_of(replace(CLAIM, decide=lambda *_: ()), case).measurement
    (first,) = off(case.study, measured)
    untrained = float(np.sqrt(np.mean((30**-0.5 - np.array(PUBLISHED["right"].f)) ** 2)))
    assert first.rms == pytest.approx(untrained, rel=0.02)


def at_published(case: Case[Any], measured: Any, at: int, confidence: float = 0.95) -> Any:
    """The misfit at a reading, straight from the published values."""
    published = PUBLISHED[case.study.panel.name]
    places = [int(np.argmin(np.abs(measured.sigma - sigma))) for sigma in published.sigma]
    return misfit(measured.f[at][:, places] - np.array(published.f), confidence=confidence)


def test_agreement_is_the_misfit_of_the_reading_that_is_compared() -> None:
    measured = planted(MIDDLE.study, WITHIN, noise=3e-3)
    agreement, *_ = CLAIM.decide(MIDDLE, RISES_THEN_FALLS, measured)
    expected = at_published(MIDDLE, measured, 1)
    assert agreement.measurement == pytest.approx(expected.rms)
    assert agreement.interval == pytest.approx((expected.low, expected.high))
    assert agreement.power == f"noise of the mean curve {expected.noise:.2g}"
    assert agreement.verdict == "undecided"
    assert agreement.note.endswith(by_interval(6, *agreement.interval, (WITHIN,)))


def test_the_end_of_the_middle_panel_has_students_interval() -> None:
    measured = planted(MIDDLE.study, before=0.05)
    _, below, _ = CLAIM.decide(MIDDLE, RISES_THEN_FALLS, measured)
    values = measured.f[1, :, 29] - 30**-0.5
    error = values.std(ddof=1) / 6**0.5
    half = t.ppf(0.975, 5) * error
    assert (below.measurement, below.standard_error) == pytest.approx((values.mean(), error))
    assert below.interval == pytest.approx((values.mean() - half, values.mean() + half))
    assert below.power == f"detects {-detected(error, degrees=5):.2g} with 90% power"


def test_the_scatter_of_seeds_has_the_interval_of_a_variance() -> None:
    """Places share their variance and have four degrees of freedom each, of which three quarters count."""
    curves = 1 + 0.02 * np.random.default_rng(4).standard_normal((2, 5, 30))
    *_, scatter = CLAIM.decide(MIDDLE, RISES_THEN_FALLS, replace(planted(MIDDLE.study), scatter=curves))
    square = np.mean([np.var(place, ddof=1) / np.mean(place) ** 2 for place in curves[1].T])
    freedom = 0.75 * 4 * 30
    ends = [(square * freedom / chi2.ppf(tail, freedom)) ** 0.5 for tail in (0.975, 0.025)]
    assert scatter.measurement == pytest.approx(square**0.5)
    assert scatter.interval == pytest.approx(ends)
    assert scatter.note == "of 5 seeds around one curve"


def test_differences_of_misfits_are_between_intervals_that_hold_together() -> None:
    left = replace(planted(LEFT.study, 0.003, before=0.01, noise=3e-3), updates=(STOP, LEFT_STOP))
    _, later, _ = CLAIM.decide(LEFT, FALLS, left)
    early, late = (at_published(LEFT, left, at, 0.975) for at in (0, 1))
    assert later.measurement == pytest.approx(early.rms - late.rms)
    assert later.interval == pytest.approx((early.low - late.high, early.high - late.low))
    assert later.note == f"at the updates of the other panels this one is {early.rms:.2g} off"
    other = PAPER["middle, diagonal as variances"]
    outcomes = (outcome(MIDDLE, 0.003, networks=2), outcome(other, 0.02, before=0.05, noise=3e-3, networks=2))
    ((contrast, _),) = CLAIM.conclude(outcomes)
    right, wrong = (at_published(each.case, each.measurement, 1, 0.975) for each in outcomes)
    assert contrast.measurement == pytest.approx(wrong.rms - right.rms)
    assert contrast.interval == pytest.approx((wrong.low - right.high, wrong.high - right.low))
    assert f"as variances {wrong.rms:.2g} off, after {STOP} updates" in contrast.note
    for alone in ((outcomes[0], outcome(other, networks=1)), (outcome(MIDDLE, networks=1), outcomes[1])):
        assert CLAIM.conclude(alone) == ()
    for diverged in ((1, 0), (0, 1), (1, 1)):
        lost = (outcome(MIDDLE, diverged=diverged[0]), outcome(other, 0.02, diverged=diverged[1]))
        assert CLAIM.conclude(lost)[0][0].verdict == "undecided"
