"""Entry point to the closed forms: which of them apply to a setting, and what the preferred one predicts."""

from __future__ import annotations

import numpy as np

from theory import linear, network
from theory.errors import InvalidInput, NoClosedForm, unknown
from theory.prediction import Form, Prediction
from theory.rows import checked_rows
from theory.setting import Setting

FORMS: tuple[Form, ...] = (*linear.FORMS, *network.FORMS)
"""All closed forms; `predict` takes the first of the best that apply."""


def predict(setting: Setting, *, rows: np.ndarray | None = None, formula: str | None = None) -> Prediction:
    """The prediction of the preferred closed form for the first-layer weights, at every step of the setting.

    Among the forms that apply, exact ones are preferred to asymptotic ones; then the order of `FORMS` decides. A form
    may still refuse the rows because they are outside its regime; the next form is then used.

    Parameters
    ----------
    setting : Setting
    rows : ndarray, shape (n, d), optional
        The rows X. Required if ``data.fixed``, since everything is then conditional on them; refused otherwise.
    formula : str, optional
        The name of a form to use instead of the preferred one.

    Raises
    ------
    NoClosedForm
        If no form applies, the requested one does not, or all refuse; the reasons are given form by form.
    InvalidInput
        If `formula` names no form, or `rows` do not fit the setting.

    Examples
    --------
    >>> from theory.setting import Data, Training
    >>> setting = Setting(
    ...     data=Data(kind="gaussian", spectrum=(1.0, 4.0), samples=2, fixed=True),
    ...     training=Training(learning_rate=0.25, steps=1),
    ... )
    >>> prediction = predict(setting, rows=np.array([[1.0, 0.0], [0.0, 2.0]]))
    >>> prediction.formula, prediction.readings[0].tau.round(6).tolist()
    ('linear-full-batch', [0.398438, 0.1875])
    """
    forms = candidates(setting, formula)
    checked = checked_rows(setting, rows)
    errors = []
    for form in forms:
        try:
            return form.predict(setting, checked)
        except NoClosedForm as error:  # its regime depends on the rows: the next form may have another one
            errors.append((form, error))
        except (ArithmeticError, np.linalg.LinAlgError) as error:
            rule = f"its numbers leave the range of doubles ({error}): choose units in which rows are of order one"
            errors.append((form, NoClosedForm("data", setting.data.kind, rule)))
    if len(errors) == 1:
        raise errors[0][1]
    raise _none_applies(setting, [(form.name, f"{error.key}: {error.rule}") for form, error in errors])


def choose_form(setting: Setting, formula: str | None = None) -> Form:
    """The preferred form that applies to the setting, or the one named `formula`; errors as `candidates`."""
    return candidates(setting, formula)[0]


def candidates(setting: Setting, formula: str | None = None) -> tuple[Form, ...]:
    """The forms that apply to the setting, preferred first, or the one named `formula`; needs no rows.

    Raises
    ------
    NoClosedForm
        If none applies, or the requested one does not.
    InvalidInput
        If `formula` names no form.
    """
    asked = [form for form in FORMS if formula is None or form.name == formula]
    if not asked:
        raise InvalidInput("formula", formula, unknown(formula, "a closed form", (form.name for form in FORMS)))
    reasons = [(form, form.refusal(setting)) for form in asked]
    fitting = [form for form, reason in reasons if reason is None]
    if not fitting:
        raise _none_applies(setting, [(form.name, reason) for form, reason in reasons if reason is not None])
    return tuple(sorted(fitting, key=lambda form: form.status != "exact"))


def _none_applies(setting: Setting, found: list[tuple[str, str]]) -> NoClosedForm:
    """The error that lists each missing hypothesis once, with the forms that need it.

    Forms for another kind of network come last: meeting their hypotheses would mean training something else.
    """
    forms: dict[str, list[str]] = {}
    for name, reason in sorted(found, key=lambda pair: pair[1].startswith("network.kind")):
        forms.setdefault(reason, []).append(name)
    if len(found) == 1:
        return NoClosedForm("setting", _shown(setting), f"{found[0][0]} does not apply: {found[0][1]}")
    reasons = tuple((reason, tuple(names)) for reason, names in forms.items())
    missing = "; ".join(f"{reason} ({', '.join(names)})" for reason, names in reasons)
    return NoClosedForm("setting", _shown(setting), f"no closed form applies: {missing}", reasons)


def _shown(setting: Setting) -> str:
    return f"{setting.data.kind} data, {setting.network.kind} network, {setting.labels.kind} labels"
