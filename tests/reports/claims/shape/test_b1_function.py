"""Claim B1: its scatter against a loop, its rule for one slope and for many, and its control."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

import simulate
from reports.claims.claim import Case, Context, Outcome
from reports.claims.linear_variants import at_width, variants
from reports.claims.shape import b1_function
from reports.claims.shape.b1_function import CLAIM, WidthScatter
from reports.judging.intervals import detected
from tests.reports.claims.shape.outcomes import QUICK, case_of, control_of, outcome_of, smaller_case
from theory.eigenspaces import eigenspaces, transfer_function

NETWORK = "ReLU network, widths 16 to 1024"


def scatter(low: float, high: float, joint: tuple[float, float] | None = None, diverged: int = 0) -> WidthScatter:
    """A measurement with these intervals of the slope."""
    return WidthScatter(
        widths=(8, 32, 128),
        steps=(0, 1),
        scatter=np.ones((2, 3)),
        scatter_se=np.ones((2, 3)),
        slope=np.full(2, (low + high) / 2),
        slope_interval=np.array([[low, high], [low, high]]),
        joint_interval=joint or (low - 0.01, high + 0.01),
        sigma=np.ones(3),
        curves=np.ones((5, 3)),
        replicas=10,
        diverged=diverged,
    )


def linear_outcomes(*measured: WidthScatter) -> tuple[Outcome[Any, Any, Any], ...]:
    """Outcomes of linear models with the `measured` scatter, and of the network and the control, with a refuted one."""
    cases = CLAIM.cases(QUICK)
    linear = [case for case in cases if case.kind == "exact" and b1_function.is_linear(case.setting)]
    others = [case for case in cases if case not in linear]
    chosen = [*zip(others, [scatter(0.1, 0.3)] * 2, strict=True), *zip(linear, measured, strict=False)]
    return tuple(Outcome(case, CLAIM.predict(case), found, ()) for case, found in chosen)


def test_every_training_of_linear_models_is_among_the_cases() -> None:
    linear = [case for case in CLAIM.cases(QUICK) if b1_function.is_linear(case.setting)]
    assert len(linear) == len(variants()) + 1
    assert all(case.setting.training.readings[0] == 0 for case in linear)
    assert all(at_width(case.setting, case.study[0]) == case.setting for case in linear)
    assert b1_function.TOGETHER == len(variants()) == 10


def test_scatter_is_a_loop_over_networks() -> None:
    case = smaller_case(case_of(CLAIM, "linear: fresh mini-batches"), 12)
    found = outcome_of(CLAIM, case).measurement
    setting = at_width(case.setting, 32)
    setting = replace_seed(setting, case.setting.ensemble.seed + 1)  # a seed per width
    simulation = simulate.run(setting)
    spaces = eigenspaces(simulation.data_moment, gap=1e-9)
    curves = np.array([transfer_function(spaces, moment) for moment in simulation.readings[-1].second_moments])
    shares = [np.std(column, ddof=1) / np.mean(column) for column in curves.T]
    assert found.scatter[-1, 1] == pytest.approx(np.sqrt(np.mean(np.square(shares))), rel=1e-10)
    slope = np.polyfit(np.log(found.widths), np.log(found.scatter[-1]), 1)[0]
    assert found.slope[-1] == pytest.approx(slope, rel=1e-8)
    (low, high), (lower, higher) = found.slope_interval[-1], found.joint_interval
    assert lower < low < slope < high < higher


class OneDiverges(Context):
    """A context in which one network of each ensemble diverges, and three of the ensemble of width 32."""

    def run(self, setting: Any) -> Any:
        width = setting.labels.outputs if setting.network.kind == "linear" else setting.network.widths[0]
        return replace(super().run(setting), diverged=3 if width == 32 else 1)


def test_networks_are_counted_over_all_widths_diverged_ones_too() -> None:
    case = smaller_case(case_of(CLAIM, "linear: fresh mini-batches"), 12)
    assert case.study == (8, 32, 128)
    found = CLAIM.measure(case, OneDiverges(seed=5))
    assert (found.replicas, found.diverged) == (36, 5)


def replace_seed(setting: Any, seed: int) -> Any:
    return msgspec.structs.replace(setting, ensemble=msgspec.structs.replace(setting.ensemble, seed=seed))


def test_a_network_of_rank_one_would_not_pass_for_a_function() -> None:
    """The control: its scatter does not fall, so that the rule of the others leaves it undecided."""
    case = control_of(CLAIM)
    outcome = outcome_of(CLAIM, case)
    assert outcome.prediction == "above -0.25"
    assert outcome.judgements[0].verdict == "holds"
    taken = Outcome(replace(case, kind="exact"), "negative", outcome.measurement, ())
    ((judgement, _),) = CLAIM.conclude((taken,))
    assert judgement.verdict != "holds"
    assert CLAIM.decide(case, "above -0.25", scatter(-0.6, -0.4))[0].verdict == "undecided"


@pytest.mark.parametrize(
    ("low", "high", "diverged", "verdict"),
    [
        (-0.6, -0.4, 0, "holds"),
        (-0.6, -0.4, 1, "undecided"),
        (-0.2, 0.1, 0, "undecided"),
        (0.1, 0.3, 0, "refuted"),
    ],
)
def test_scatter_that_does_not_fall_is_refuted(low: float, high: float, diverged: int, verdict: str) -> None:
    case: Case[Any] = case_of(CLAIM, NETWORK)
    (judgement,) = CLAIM.decide(case, "negative", scatter(low, high, diverged=diverged))
    assert judgement.verdict == verdict


@pytest.mark.parametrize(
    ("others", "verdict"),
    [
        (scatter(-0.5, -0.3), "holds"),
        (scatter(-0.2, -0.005), "undecided"),  # its own interval lies below 0, the joint one does not
        (scatter(0.1, 0.3), "refuted"),
        (scatter(-0.5, -0.3, diverged=1), "undecided"),
    ],
)
def test_linear_models_are_judged_together(others: WidthScatter, verdict: str) -> None:
    outcomes = linear_outcomes(scatter(-0.6, -0.4), others, scatter(-0.6, -0.4))
    for outcome in outcomes[2:]:
        assert CLAIM.decide(outcome.case, outcome.prediction, outcome.measurement) == ()
    ((judgement, of),) = CLAIM.conclude(outcomes)
    assert judgement.verdict == verdict
    assert judgement.interval == others.joint_interval  # the one that ends highest
    assert judgement.about == "linear models, 3 ways of training"
    assert of == outcomes[2:]


def test_every_width_trains_as_many_networks_as_are_declared() -> None:
    for budget, networks in (("quick", {64}), ("paper", {512})):
        assert {case.setting.ensemble.replicas for case in CLAIM.cases(Context(budget=budget))} == networks


def read_thrice(low: float, high: float) -> WidthScatter:
    """The same after training; before it, slopes about 2, and about 7 in between."""
    intervals = np.array([[1.5, 2.5], [6.0, 8.0], [low, high]])
    return replace(scatter(low, high), slope=np.array([2.0, 7.0, max(low, -0.37)]), slope_interval=intervals)


def test_the_slope_after_training_is_judged_beside_that_before_it() -> None:
    error = 0.2 / 2 / 1.959963985
    (judgement,) = CLAIM.decide(case_of(CLAIM, NETWORK), "negative", read_thrice(-0.5, -0.3))
    assert (judgement.measurement, judgement.interval) == (-0.37, (-0.5, -0.3))
    assert judgement.standard_error == pytest.approx(error)
    assert judgement.power == f"detects a slope of {-detected(error):.2g} with 90% power"
    assert judgement.note.endswith("are independent: 1.50 to 2.50")
    for low, verdict in ((-0.24, "holds"), (-0.25, "undecided"), (-0.26, "undecided")):
        (control,) = CLAIM.decide(control_of(CLAIM), "", read_thrice(low, 0.5))
        assert (control.verdict, control.kind) == (verdict, "control")


def test_of_linear_models_the_slope_that_ends_highest_is_shown() -> None:
    lower, upper = (replace(read_thrice(-0.5, -0.3), joint_interval=(-0.6, end)) for end in (-0.2, -0.1))
    upper = replace(upper, slope=np.array([2.0, 7.0, -0.2]))
    ((judgement, _),) = CLAIM.conclude(linear_outcomes(lower, upper, lower))
    error = 0.2 / 2 / 1.959963985
    assert (judgement.measurement, judgement.interval) == (-0.2, (-0.6, -0.1))
    assert judgement.standard_error == pytest.approx(error)
    assert judgement.power == f"detects a slope of {-detected(error, tests=10):.2g} with 90% power"
