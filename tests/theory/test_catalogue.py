"""The door to the closed forms: preference, force, refusal, and the rows it lets in."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from tests.processes import python
from theory import catalogue
from theory.errors import InvalidInput, NoClosedForm
from theory.linear import full_batch
from theory.prediction import Form, Prediction
from theory.setting import Data, Network, Setting, Training

FIXED = Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples=4, fixed=True))
ROWS = np.random.default_rng(0).standard_normal((4, 2))


def form(name: str, status: str, reason: str | None = None) -> Form:
    """A form that applies unless a reason is given, and predicts nothing."""
    return Form(
        name=name,
        title=name,
        status=status,  # type: ignore[arg-type]
        assumptions=(),
        refusal=lambda setting: reason,
        predict=lambda setting, rows: Prediction(name, status, None, None, (), (), ()),  # type: ignore[arg-type]
    )


def test_names_are_unique_and_forms_are_explicit() -> None:
    names = [entry.name for entry in catalogue.FORMS]
    assert len(set(names)) == len(names)
    assert full_batch.FORM in catalogue.FORMS


def test_exact_before_asymptotic_then_declared_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    forms = (form("limit", "asymptotic"), form("gone", "exact", "no"), form("first", "exact"), form("second", "exact"))
    monkeypatch.setattr(catalogue, "FORMS", forms)
    assert catalogue.choose_form(FIXED).name == "first"
    assert catalogue.predict(FIXED, rows=ROWS).formula == "first"
    assert catalogue.predict(FIXED, rows=ROWS, formula="limit").formula == "limit"
    monkeypatch.setattr(catalogue, "FORMS", forms[:2])
    assert catalogue.choose_form(FIXED).name == "limit"


def test_each_reason_is_given_once_and_other_networks_come_last(monkeypatch: pytest.MonkeyPatch) -> None:
    reasons = {"one": "network.kind = 'mlp': no", "two": "second reason", "three": "third", "four": "second reason"}
    monkeypatch.setattr(catalogue, "FORMS", tuple(form(name, "exact", why) for name, why in reasons.items()))
    expected = "second reason (two, four); third (three); network.kind = 'mlp': no (one)"
    with pytest.raises(NoClosedForm, match=re.escape(f"no closed form applies: {expected}")) as caught:
        catalogue.predict(FIXED, rows=ROWS)
    assert caught.value.key == "setting"
    assert caught.value.reasons == (
        ("second reason", ("two", "four")), ("third", ("three",)), ("network.kind = 'mlp': no", ("one",))
    )  # fmt: skip
    assert "\n" not in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).reasons == caught.value.reasons
    with pytest.raises(NoClosedForm, match=r"two does not apply: second reason"):
        catalogue.predict(FIXED, rows=ROWS, formula="two")


def test_an_unknown_formula_lists_the_names() -> None:
    with pytest.raises(
        InvalidInput, match=r"formula = 'guess': is not a closed form; there are .*linear-full-batch"
    ) as caught:
        catalogue.predict(FIXED, rows=ROWS, formula="guess")
    assert not isinstance(caught.value, NoClosedForm)


def test_a_forced_form_that_does_not_apply_says_why() -> None:
    setting = msgspec.structs.replace(FIXED, network=Network(kind="mlp"))
    with pytest.raises(NoClosedForm, match=r"linear-full-batch does not apply: network\.kind = 'mlp'"):
        catalogue.predict(setting, rows=ROWS, formula="linear-full-batch")


def test_no_form_is_said_before_rows_are_asked_for() -> None:
    setting = msgspec.structs.replace(FIXED, training=Training(optimizer="signsgd"))
    with pytest.raises(NoClosedForm):
        catalogue.predict(setting)


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (None, "rows = None: is needed when data.fixed = true"),
        (np.ones(4), r"rows.shape = \(4,\)"),
        (np.ones((4, 0)), "rows.shape"),
        (np.ones((3, 2)), "must have data.samples = 4 rows"),
        (np.ones((4, 3)), "must have 2 columns"),
        (np.full((4, 2), np.nan), "must be finite"),
        (np.full((4, 2), np.inf), "must be finite"),
        (np.ones((4, 2), complex), "rows.dtype"),
        (np.full((4, 2), "a"), "rows.dtype"),
        ([[1.0], [1.0, 2.0]], "must be an array"),
    ],
)
def test_rows_of_fixed_data(rows: object, match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        catalogue.predict(FIXED, rows=rows)  # type: ignore[arg-type]


def test_rows_are_refused_where_the_data_are_not_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "FORMS", (form("any", "exact"),))
    free = msgspec.structs.replace(FIXED, data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples=4))
    with pytest.raises(InvalidInput, match=r"must be absent when data\.fixed = false"):
        catalogue.predict(free, rows=ROWS)
    assert catalogue.predict(free).formula == "any"


def test_kinds_of_rows() -> None:
    """Integers, single precision and lists are numbers too, and the caller's array is left alone."""
    rows = np.arange(8).reshape(4, 2)
    rows.flags.writeable = False
    expected = catalogue.predict(FIXED, rows=rows).readings[0].tau
    for same in (rows.astype(np.float32), rows.tolist()):
        np.testing.assert_array_equal(catalogue.predict(FIXED, rows=same).readings[0].tau, expected)


def test_a_prediction_is_frozen_and_says_what_it_assumes() -> None:
    prediction = catalogue.predict(FIXED, rows=ROWS)
    assert (prediction.status, prediction.order, prediction.error_budget) == ("exact", None, None)
    assert prediction.neglected == ()
    assert any("conditional on the rows" in assumption for assumption in prediction.assumptions)
    with pytest.raises(AttributeError):
        prediction.formula = "other"  # type: ignore[misc]
    assert replace(prediction.readings[0], step=7).step == 7


def test_a_form_builds_predictions_of_its_own_status_only() -> None:
    exact, limit = replace(form("sum", "exact"), assumptions=("rows",)), form("limit", "asymptotic")
    (reading,) = catalogue.predict(FIXED, rows=ROWS).readings
    built = exact.exact([reading])
    assert (built.formula, built.status, built.assumptions, built.readings) == ("sum", "exact", ("rows",), (reading,))
    near = limit.asymptotic(iter([reading]), order="1/n", error_budget=0.1, neglected=("the rest",))
    assert (near.status, near.order, near.error_budget, near.neglected) == ("asymptotic", "1/n", 0.1, ("the rest",))
    assert near.readings == (reading,)
    with pytest.raises(InvalidInput, match=r"sum\.status = 'exact': must be 'asymptotic'"):
        exact.asymptotic([reading], order="1/n", error_budget=0.1, neglected=())
    with pytest.raises(InvalidInput, match=r"limit\.status = 'asymptotic': must be 'exact'"):
        limit.exact([reading])


def test_every_form_says_what_it_assumes() -> None:
    for entry in catalogue.FORMS:
        assert entry.assumptions, entry.name


def test_predicting_loads_no_torch() -> None:
    script = "import sys, theory.catalogue; sys.exit('torch' in sys.modules)"
    assert python(script).returncode == 0


def refusing(name: str, reason: str) -> Form:
    def refuse(setting: Setting, rows: np.ndarray | None) -> Prediction:
        raise NoClosedForm("rows", "these", reason)

    return Form(name, name, "asymptotic", (), lambda setting: None, refuse)


def test_a_form_that_refuses_the_rows_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    other = form("other", "asymptotic")
    monkeypatch.setattr(catalogue, "FORMS", (refusing("early", "too late"), other))
    assert catalogue.predict(FIXED, rows=ROWS).formula == "other"
    with pytest.raises(NoClosedForm, match="rows = 'these': too late"):
        catalogue.predict(FIXED, rows=ROWS, formula="early")
    monkeypatch.setattr(catalogue, "FORMS", (refusing("early", "too late"), refusing("late", "too early")))
    with pytest.raises(NoClosedForm, match=r"rows: too late \(early\); rows: too early \(late\)"):
        catalogue.predict(FIXED, rows=ROWS)
