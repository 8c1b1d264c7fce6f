"""Studies decide, names do not: renaming every case of a claim changes nothing that is found but the names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reports.claims.claim import AnyClaim, Case, Context, Outcome
from reports.claims.transfer import (
    c1_positive,
    c2_covariance,
    c3_specialisation,
    c4_scale,
    c5_condition,
    c6_stages,
    c7_layers,
    f5_kernel_transfer,
    f8_transfer_sign,
    t1_linear_transfer,
)
from reports.claims.transfer.c3_specialisation import LinearisedInit
from reports.claims.transfer.f8_transfer_sign import PredictedSigns
from reports.claims.transfer.kernel_gains import MeasuredGains
from reports.claims.transfer.layer_gains import LayerEffects
from reports.claims.transfer.sign_counts import RealisedSigns
from reports.claims.transfer.stage_gains import StageGains
from reports.claims.transfer.t1_linear_transfer import TrainedLinearGains
from reports.claims.transfer.tangent_gains import TangentGains
from reports.codec import pack
from tests.reports.claims.transfer.made import ALL, made, mapped, modes_of_gains
from tests.reports.claims.transfer.made_design import REAL, made_design
from tests.reports.claims.transfer.test_stage_gains import made as along
from theory.setting import Training

QUICK = Context(seed=999)
DRAWN = made_design(REAL, REAL)
SIGNS = np.resize([1.0, -1.0, 1.0], 24)


def transferred(case: Case[Any], predicted: Any) -> Any:
    """Measurements that are made up for claims C1 to C4."""
    if isinstance(case.study, LinearisedInit):
        gains = 0.3 + 0.01 * np.random.default_rng(0).standard_normal(6)
        training = Training(learning_rate=0.1, steps=(0, 5, 20))
        return TangentGains(training, *modes_of_gains(gains), np.array([[0.0, 1.0, 0.7]]) * gains[:, None])
    return ALL if case.study is None else mapped(ALL, 0.1)


def staged(case: Case[Any], predicted: Any) -> StageGains:
    return along({0: 0.0, 1: 0.0, 10: 0.08, 80: 0.1})


def layers(case: Case[Any], predicted: Any) -> LayerEffects:
    found = made(dict.fromkeys((each.name for each in case.experiment.treatment.each[1:]), 0.1))
    return LayerEffects(**vars(found), test_accuracy=found.accuracy)


def wide(case: Case[Any], predicted: Any) -> MeasuredGains:
    units = predicted.units[:, None]
    return MeasuredGains(predicted.gains * units, 1e-3 * np.ones_like(predicted.gains) * units, predicted.units, 24, 0)


def linear(case: Case[Any], predicted: Any) -> TrainedLinearGains:
    errors = np.full_like(predicted.gains, 1e-3)
    given = (predicted.lengths, predicted.steps, predicted.gains, predicted.losses)
    return TrainedLinearGains(*given, errors, 100, 0)


def signs(case: Case[Any], predicted: Any) -> RealisedSigns:
    return RealisedSigns(0.1 * SIGNS, np.full(24, 0.01), SIGNS, 24, 0)


CLAIMS: dict[str, tuple[AnyClaim, Callable[[Case[Any], Any], Any]]] = {
    "C1": (c1_positive.CLAIM, transferred),
    "C2": (c2_covariance.CLAIM, transferred),
    "C3": (c3_specialisation.CLAIM, transferred),
    "C4": (c4_scale.CLAIM, transferred),
    "C5": (replace(c5_condition.CLAIM, predict=lambda case: DRAWN[0]), lambda case, predicted: DRAWN[1]),
    "C6": (c6_stages.CLAIM, staged),
    "C7": (c7_layers.CLAIM, layers),
    "F5": (f5_kernel_transfer.CLAIM, wide),
    # its predictions take longer
    "F8": (replace(f8_transfer_sign.CLAIM, predict=lambda case: PredictedSigns(0.2 * SIGNS)), signs),
    "T1": (t1_linear_transfer.CLAIM, linear),
}


def found(claim: AnyClaim, measured: Callable[[Case[Any], Any], Any], cases: tuple[Case[Any], ...]) -> Any:
    """All that a claim makes of its cases, as plain values."""
    outcomes = []
    for case in cases:
        predicted = claim.predict(case)
        value = measured(case, predicted)
        outcomes.append(Outcome(case, predicted, value, claim.decide(case, predicted, value)))
    judged = [outcome.judgements for outcome in outcomes], [each for each, _ in claim.conclude(tuple(outcomes))]
    return pack([judged, claim.illustrate(tuple(outcomes))])


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """The same with names of cases replaced, where a text is one or begins with one and a comma."""
    if isinstance(value, dict):
        return {key: renamed(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [renamed(each, names) for each in value]
    if isinstance(value, str):
        for name in sorted(names, key=len, reverse=True):
            if value == name or value.startswith(f"{name}, "):
                return names[name] + value.removeprefix(name)
    return value


@pytest.mark.parametrize("name", CLAIMS)
def test_names_decide_nothing(name):
    claim, measured = CLAIMS[name]
    cases = claim.cases(QUICK)
    names = {case.name: f"case {number}" for number, case in enumerate(cases)}
    before, arrays = found(claim, measured, cases)
    after, others = found(claim, measured, tuple(replace(case, name=names[case.name]) for case in cases))
    assert renamed(after, {}) == renamed(before, names)
    assert arrays.keys() == others.keys()
    for key, values in arrays.items():
        np.testing.assert_array_equal(values, others[key])
