"""Entry point to closed forms of the decomposition: the form that predicts τ of a setting, split into its parts."""

from __future__ import annotations

import numpy as np

from theory.catalogue import candidates
from theory.decomposition.linear import averaged, given_rows, online
from theory.decomposition.network import limit_parts
from theory.decomposition.parts import Decomposition, Parts
from theory.errors import NoClosedForm
from theory.rows import checked_rows
from theory.setting import Setting

NETWORK = "network-dmft"  # the name of the form for one hidden layer in the limit of many rows and directions
# The forms that can be decomposed, by their names in the catalogue.
KNOWN = ("linear-full-batch", "linear-mini-batch", "linear-online", "linear-averaged-second-order", NETWORK)


def decompose(setting: Setting, *, rows: np.ndarray | None = None, formula: str | None = None) -> Decomposition:
    """τ_k = A_k² τ_k(0) + F_k in closed form, at every step of the setting.

    Uses the preferred form that applies to the setting and can be decomposed: linear models with full batches or
    with a new batch at every step, given the rows; online; full batches averaged over Gaussian rows; and one hidden
    layer in the limit of many rows and directions.

    Parameters
    ----------
    setting : Setting
    rows : ndarray, shape (n, d), optional
        The rows X, required if ``data.fixed``.
    formula : str, optional
        The name of a form to use instead of the preferred one.

    Raises
    ------
    NoClosedForm
        If no form that can be decomposed applies.
    InvalidInput
        If `formula` names no form, or `rows` do not fit the setting.

    Examples
    --------
    One step: A = 1 − η s, and labels have written η² σ_y² s/n.

    >>> from theory.setting import Data, Training
    >>> data = Data(kind="gaussian", spectrum=(1.0, 4.0), samples=2, fixed=True)
    >>> found = decompose(
    ...     Setting(data=data, training=Training(learning_rate=0.25, steps=1)), rows=np.array([[1.0, 0.0], [0.0, 2.0]])
    ... )
    >>> parts = found.readings[0]
    >>> parts.amplitude.round(6).tolist(), parts.written.round(6).tolist(), parts.tau.round(6).tolist()
    ([0.875, 0.5], [0.015625, 0.0625], [0.398438, 0.1875])
    """
    forms = candidates(setting, formula)
    form = next((each for each in forms if each.name in KNOWN), None)
    if form is None:
        raise NoClosedForm("formula", forms[0].name, f"only {', '.join(KNOWN)} can be taken apart")
    checked = checked_rows(setting, rows)
    if form.name == NETWORK:
        return Decomposition(form.name, *limit_parts(setting))
    # it refuses what overflows, and an expansion that is out of its reach
    predicted = form.predict(setting, checked)
    return Decomposition(form.name, predicted.error_budget, _linear(form.name, setting, checked))


def _linear(name: str, setting: Setting, rows: np.ndarray | None) -> tuple[Parts, ...]:
    if name == "linear-online":
        return online(setting)
    return averaged(setting) if name == "linear-averaged-second-order" else given_rows(setting, rows)
