"""The prediction of a closed form: frozen readings of Σ_w, with status, assumptions and what was neglected."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from theory.errors import InvalidInput
from theory.setting import Setting


@dataclass(frozen=True, eq=False)
class PredictedReading:
    """The predicted weights after `step` updates.

    Attributes
    ----------
    step : int
    sigma : ndarray, shape (k,)
        Data standard deviations, ascending, one per eigenspace.
    multiplicity : tuple of int, length k
    tau : ndarray, shape (k,)
        τ_i = tr(P_i Σ_w) / m_i.
    second_moment : ndarray, shape (d, d), or None
        Σ_w = E[w wᵀ] in the coordinates of the data, where the form gives the whole matrix.
    mean : ndarray, shape (d,), or None
        E[w], where the form gives it.
    relative_variance : ndarray, shape (k,), or None
        An upper bound of the variance over replicas of τ_i of one replica, in units of τ_i², where the form gives it:
        that of (v·w)² for one direction v and one output. inf where the fourth moment of the weights is infinite.
    """

    step: int
    sigma: np.ndarray
    multiplicity: tuple[int, ...]
    tau: np.ndarray
    second_moment: np.ndarray | None = None
    mean: np.ndarray | None = None
    relative_variance: np.ndarray | None = None

    @property
    def f(self) -> np.ndarray:
        """The transfer function f(σ_i) = sqrt(τ_i), shape (k,)."""
        return np.sqrt(self.tau)


@dataclass(frozen=True, eq=False)
class Prediction:
    """One closed form, evaluated for one setting.

    Attributes
    ----------
    formula : str
        The name under which `theory.predict(setting, formula=…)` finds it.
    status : "exact" or "asymptotic"
    order : str or None
        The order of the neglected terms ("1/m"); None if exact.
    error_budget : float or None
        The relative error of τ declared beforehand; None if exact.
    assumptions, neglected : tuple of str
    readings : tuple of PredictedReading, one per step of the setting
    """

    formula: str
    status: Literal["exact", "asymptotic"]
    order: str | None
    error_budget: float | None
    assumptions: tuple[str, ...]
    neglected: tuple[str, ...]
    readings: tuple[PredictedReading, ...]


@dataclass(frozen=True)
class Form:
    """A closed form as the catalogue knows it.

    Attributes
    ----------
    name, title : str
        A short name for commands, and a one-line description.
    status : "exact" or "asymptotic"
        Exact forms are preferred; among equals, the order of the catalogue decides.
    assumptions : tuple of str
        What every prediction of the form assumes.
    refusal : callable, setting → str or None
        Why the form does not apply, the first hypothesis that fails; None where all hold.
    predict : callable, (setting, rows) → Prediction
        `rows` is the (n, d) array of a setting with fixed data, otherwise None.
    """

    name: str
    title: str
    status: Literal["exact", "asymptotic"]
    assumptions: tuple[str, ...]
    refusal: Callable[[Setting], str | None]
    predict: Callable[[Setting, np.ndarray | None], Prediction]

    def exact(self, readings: Iterable[PredictedReading]) -> Prediction:
        """The readings as a prediction of this form, which must be an exact one.

        Raises
        ------
        InvalidInput
            If the form is asymptotic: it has to declare an order and an error budget.
        """
        self._require("exact")
        return Prediction(self.name, "exact", None, None, self.assumptions, (), tuple(readings))

    def asymptotic(
        self, readings: Iterable[PredictedReading], *, order: str, error_budget: float, neglected: tuple[str, ...]
    ) -> Prediction:
        """The readings as a prediction of this form, which must be an asymptotic one; the fields of `Prediction`.

        Raises
        ------
        InvalidInput
            If the form is exact: it neglects nothing.
        """
        self._require("asymptotic")
        return Prediction(self.name, "asymptotic", order, error_budget, self.assumptions, neglected, tuple(readings))

    def _require(self, status: str) -> None:
        if self.status != status:
            raise InvalidInput(f"{self.name}.status", self.status, f"must be {status!r} for such a prediction")
