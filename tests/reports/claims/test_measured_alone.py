"""Measurements ask nothing of the theory that they are held against, and a wrong theory turns their verdicts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from inspect import isfunction
from typing import Any

import msgspec
import numpy as np
import pytest

from reports.claims.claim import AnyClaim, Case, Context
from reports.claims.forms import f4_lazy
from reports.claims.forms.family_evidence import FamilyChanges, FamilyPrediction
from reports.claims.transfer import (
    c3_specialisation,
    c5_condition,
    condition_design,
    f5_kernel_transfer,
    f8_transfer_sign,
    map_effects,
    t1_linear_transfer,
)
from reports.claims.transfer.digits import Digits
from reports.claims.transfer.tangent_gains import kernel_experiment
from reports.codec import pack
from reports.transfer import condition
from theory.network import lazy
from theory.transfer import LinearisedTransfer

CONTEXT = Context(seed=999)
# what is no prediction: settings, matrices and their eigenspaces, statistics
NO_PREDICTION = tuple(f"theory.{name}" for name in ("setting", "checked", "errors", "arrays", "eigenspaces", "testing"))


def smaller(claim: AnyClaim, name: str, replicas: int, width: int | None = None, **study: Any) -> Case[Any]:
    """A case with fewer replicas, narrower networks, another study."""
    (case,) = (case for case in claim.cases(CONTEXT) if case.name == name)
    setting = case.setting
    network = setting.network if width is None else msgspec.structs.replace(setting.network, hidden=(width,))
    ensemble = msgspec.structs.replace(setting.ensemble, replicas=replicas)
    trained = msgspec.structs.replace(setting, network=network, ensemble=ensemble)
    return replace(case, trained=trained, study=replace(case.study, **study) if study else case.study)


def few(name: str, settings: int) -> Case[Any]:
    """A mechanism of F8 with the first settings of its design."""
    claim = f8_transfer_sign.CLAIM
    (case,) = (case for case in claim.cases(CONTEXT) if case.name == name)
    each = case.setting.ensemble.replicas // len(f8_transfer_sign.comparisons_of(case))
    return smaller(claim, name, settings * each)


def few_drawn() -> Case[Any]:
    """One setting of a family of C5."""
    case = c5_condition.CLAIM.cases(CONTEXT)[0]
    ensemble = msgspec.structs.replace(case.experiment.ensemble, replicas=condition_design.REPLICAS)
    return replace(case, trained=msgspec.structs.replace(case.experiment, ensemble=ensemble))


def tiny_tangents() -> Case[Any]:
    """Networks of C3 that are held against their own linearisations."""
    case = c3_specialisation.CLAIM.cases(CONTEXT)[0]
    upstream = Digits(0.5, hidden=(12, 6), rows=40, batch=20, limit=2, until=False).experiment(1).upstream
    return replace(case, trained=kernel_experiment(upstream, 0.5, replicas=2))


def point_of_a_map() -> Case[Any]:
    """Networks of C3's maps."""
    case = c3_specialisation.CLAIM.cases(CONTEXT)[2]
    return replace(case, trained=Digits(1.5, hidden=(8, 5), rows=40, batch=20, limit=4, until=False).experiment(2))


def lazy_case(replicas: int) -> Case[Any]:
    return smaller(f4_lazy.CLAIM, "tanh, first layer", replicas, width=64, narrower=())


def wide_case(name: str, replicas: int = 4) -> Case[Any]:
    return smaller(f5_kernel_transfer.CLAIM, name, replicas, width=256)


CASES: dict[str, tuple[AnyClaim, Callable[[], Case[Any]]]] = {
    "F4": (f4_lazy.CLAIM, lambda: lazy_case(4)),
    "F4, both layers": (
        f4_lazy.CLAIM,
        lambda: smaller(f4_lazy.CLAIM, "ReLU, both layers", 2, width=128, narrower=(32,)),
    ),
    "F5, weights": (f5_kernel_transfer.CLAIM, lambda: wide_case("weights, random labels")),
    "F5, kept": (f5_kernel_transfer.CLAIM, lambda: wide_case("kept output layer, new inputs")),
    "T1": (t1_linear_transfer.CLAIM, lambda: smaller(t1_linear_transfer.CLAIM, "initial weights", 8)),
    "T1, features": (t1_linear_transfer.CLAIM, lambda: smaller(t1_linear_transfer.CLAIM, "frozen features", 128)),
    **{
        f"F8, {name}": (f8_transfer_sign.CLAIM, lambda name=name: few(name, 1 if "one network" in name else 2))
        for name, (_, _, kind) in f8_transfer_sign.STUDIED.items()
        if kind != "control"
    },
    "C3, kernels": (c3_specialisation.CLAIM, tiny_tangents),
    "C5": (c5_condition.CLAIM, few_drawn),
}


def forbid_predictions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every function of `theory` that could predict raises, wherever it has been imported."""

    def forbidden(*args: object, **keys: object) -> None:
        raise AssertionError("a measurement asks the theory")

    for title, module in list(sys.modules.items()):
        if title.split(".")[0] in ("theory", "reports"):
            for name, value in list(vars(module).items()):
                home = value.__module__ if isfunction(value) else ""
                if home.startswith("theory.") and not home.startswith(NO_PREDICTION):
                    monkeypatch.setattr(module, name, forbidden)


@pytest.mark.parametrize("name", CASES)
def test_a_measurement_is_the_same_without_a_theory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A measurement is the same to the last bit, because it calls no function of the theory."""
    claim, made = CASES[name]
    case = made()
    measured = pack(claim.measure(case, CONTEXT))
    forbid_predictions(monkeypatch)
    assert pack_equal(pack(claim.measure(case, CONTEXT)), measured)


def test_predictions_on_the_networks_of_a_map_leave_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """C3's maps are predicted from the very networks that are measured: networks taken for their references turn that.

    Nothing else changes.
    """
    case = point_of_a_map()
    right = map_effects.measure_mapped(case, CONTEXT)
    between = condition.transfer_between
    monkeypatch.setattr(condition, "transfer_between", lambda training, one, other: between(training, other, one))
    wrong = map_effects.measure_mapped(case, CONTEXT)
    np.testing.assert_array_equal(wrong.linearised.loss.each, -right.linearised.loss.each)
    assert np.abs(right.linearised.loss.each).min() > 0
    assert pack_equal(pack(replace(wrong, linearised=right.linearised)), pack(right))


def pack_equal(one: Any, other: Any) -> bool:
    """Whether two packed records and their arrays are equal."""
    (first, arrays), (second, others) = one, other
    return (
        first == second
        and arrays.keys() == others.keys()
        and all(np.array_equal(each, others[key], equal_nan=each.dtype.kind == "f") for key, each in arrays.items())
    )


def verdicts(claim: AnyClaim, case: Case[Any], measured: Any) -> list[str]:
    """The verdicts on `measured` by the theory as it is now, planted errors included."""
    return [judgement.verdict for judgement in claim.decide(case, claim.predict(case), measured)]


def plant(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, factor: float) -> None:
    """A function, or a property, times a factor."""
    right = getattr(owner, name)
    if isinstance(right, property):
        getter = right.fget
        assert getter is not None
        monkeypatch.setattr(owner, name, property(lambda self: factor * getter(self)))
    else:
        monkeypatch.setattr(owner, name, lambda *args, **keys: factor * right(*args, **keys))


@cache
def lazy_changes() -> FamilyChanges:
    """Enough networks for the changes to hold."""
    return f4_lazy.measure(lazy_case(512), CONTEXT)


@pytest.mark.parametrize(
    ("term", "factor", "verdict"),
    [("motion", 1.0, "holds"), ("motion", -1.0, "refuted"), ("own_output", -1.0, "refuted")],
)
def test_f4_refutes_terms_that_are_wrong(term: str, factor: float, verdict: str, monkeypatch) -> None:
    plant(monkeypatch, lazy, term, factor)
    assert verdicts(f4_lazy.CLAIM, lazy_case(512), lazy_changes())[0] == verdict


def test_f4_sees_by_how_much_a_term_is_too_large(monkeypatch) -> None:
    """T_1 a tenth too large: the error grows by about a tenth of T_1, in units of the variance."""
    case = lazy_case(512)
    expected = f4_lazy.predict(case).widths[0]
    share = 0.1 * np.diagonal(expected.terms.motion) / (expected.initial + expected.change)
    right, wrong = (
        f4_lazy.decide(case, prediction, lazy_changes())[0].measurement
        for prediction in (f4_lazy.predict(case), _planted_prediction(case, monkeypatch))
    )
    assert share.min() / 2 < right - wrong < 2 * share.max()
    assert right - wrong > 2 * f4_lazy.decide(case, f4_lazy.predict(case), lazy_changes())[0].standard_error


def _planted_prediction(case: Case[Any], monkeypatch: pytest.MonkeyPatch) -> FamilyPrediction:
    with monkeypatch.context() as patched:
        plant(patched, lazy, "motion", 1.1)
        return f4_lazy.predict(case)


@pytest.mark.parametrize("name", ["weights, target of high variance", "kept output layer, much to remember"])
def test_f5_refutes_gains_that_are_turned_round(name: str, monkeypatch) -> None:
    claim, case = f5_kernel_transfer.CLAIM, wide_case(name, 12)
    measured = claim.measure(case, CONTEXT)
    assert "refuted" not in verdicts(claim, case, measured)
    plant(monkeypatch, LinearisedTransfer, "gain", -1.0)
    assert verdicts(claim, case, measured)[0] == "refuted"


def test_f5_does_not_hold_with_gains_that_are_a_tenth_too_large(monkeypatch) -> None:
    """At the claim's width the budget is 1.1 % of the loss, so that gains 10 % too large are refuted."""
    claim = f5_kernel_transfer.CLAIM
    case = smaller(claim, "weights, target of high variance", 6)
    measured = claim.measure(case, CONTEXT)
    assert verdicts(claim, case, measured)[0] == "holds"
    plant(monkeypatch, LinearisedTransfer, "gain", 1.1)
    assert verdicts(claim, case, measured)[0] == "refuted"


@pytest.mark.parametrize("name", ["weights, by kernels", "kept output layer"])
def test_f8_refutes_signs_that_are_turned_round(name: str, monkeypatch) -> None:
    claim, case = f8_transfer_sign.CLAIM, few(name, 8)
    measured = claim.measure(case, CONTEXT)
    assert verdicts(claim, case, measured) == ["undecided"]  # few
    plant(monkeypatch, LinearisedTransfer, "gain", -1.0)
    assert verdicts(claim, case, measured) == ["refuted"]


def test_t1_refutes_losses_that_are_a_tenth_too_large(monkeypatch) -> None:
    claim = t1_linear_transfer.CLAIM
    case = smaller(claim, "initial weights", 2048)
    measured = claim.measure(case, CONTEXT)
    assert "refuted" not in verdicts(claim, case, measured)
    plant(monkeypatch, t1_linear_transfer, "initial_weight_training_loss", 1.1)
    assert "refuted" in verdicts(claim, case, measured)


def test_c3_turns_with_the_gain_that_kernels_predict(monkeypatch) -> None:
    case = tiny_tangents()
    measured = c3_specialisation.measure(case, CONTEXT)
    right = measured.predicted
    plant(monkeypatch, LinearisedTransfer, "gain", -1.0)
    np.testing.assert_array_equal(measured.predicted, -right)
