"""The door to the closed forms: which of them apply to a setting, and what the preferred one predicts."""

from __future__ import annotations

import numpy as np

from theory import linear
from theory.errors import InvalidInput, NoClosedForm
from theory.prediction import Form, Prediction
from theory.setting import Setting

FORMS: tuple[Form, ...] = (*linear.FORMS,)


def predict(setting: Setting, *, rows: np.ndarray | None = None, formula: str | None = None) -> Prediction:
    """What the preferred closed form says of the first-layer weights, at every step that the setting names.

    Of the forms that apply, exact ones come before asymptotic ones, then the order of `FORMS` decides.

    Parameters
    ----------
    setting : Setting
    rows : ndarray, shape (n, d), optional
        The rows X. Needed where ``data.fixed``, since everything is then conditional on them; refused elsewhere.
    formula : str, optional
        The name of a form to use instead of the preferred one.

    Raises
    ------
    NoClosedForm
        If no form applies, or the one asked for does not; the reason is given form by form.
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
    form = choose(setting, formula)
    return form.predict(setting, _checked_rows(setting, rows))


def choose(setting: Setting, formula: str | None = None) -> Form:
    """The preferred form that applies to the setting, or the one named `formula`; needs no rows.

    Raises
    ------
    NoClosedForm
        If none applies, or the one asked for does not.
    InvalidInput
        If `formula` names no form.
    """
    asked = [form for form in FORMS if formula is None or form.name == formula]
    if not asked:
        names = ", ".join(form.name for form in FORMS)
        raise InvalidInput("formula", formula, f"is no closed form; there are {names}")
    reasons = [(form, form.applies(setting)) for form in asked]
    fitting = [form for form, reason in reasons if reason is None]
    if not fitting:
        missing = "; ".join(f"{form.name}: {reason}" for form, reason in reasons)
        shown = f"{setting.data.kind} data, {setting.network.kind} network, {setting.labels.kind} labels"
        raise NoClosedForm("setting", shown, f"no closed form applies ({missing})")
    return min(fitting, key=lambda form: form.status != "exact")


def _checked_rows(setting: Setting, rows: np.ndarray | None) -> np.ndarray | None:
    data = setting.data
    if not data.fixed:
        if rows is not None:
            raise InvalidInput("rows", f"array of shape {np.shape(rows)}", "must be absent when data.fixed = false")
        return None
    if rows is None:
        raise InvalidInput("rows", None, "is needed when data.fixed = true: the prediction is conditional on X")
    try:
        array = np.asarray(rows)
    except (TypeError, ValueError):
        raise InvalidInput("rows", type(rows).__name__, "must be an array (n, d)") from None
    if array.dtype.kind not in "fiu":
        raise InvalidInput("rows.dtype", str(array.dtype), "must be real numbers")
    if array.ndim != 2 or array.shape[1] == 0:
        raise InvalidInput("rows.shape", array.shape, "must be (n, d) with d >= 1")
    if array.shape[0] != data.samples:
        raise InvalidInput("rows.shape", array.shape, f"must have data.samples = {data.samples} rows")
    if data.dimension not in (None, array.shape[1]):
        raise InvalidInput("rows.shape", array.shape, f"must have {data.dimension} columns, one per eigenvalue")
    if not np.isfinite(array).all():
        raise InvalidInput("rows", "nan or inf", "must be finite")
    return array.astype(np.float64)
