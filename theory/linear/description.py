"""The shape of a setting's transfer function, in words and numbers: falls, rises then falls (where), or rises.

Full-batch linear models on given rows, for which τ is a known function of the data eigenvalue s in every optimizer
variant. Plain descent with η s_max < 1 is decided by the sign of D (theory/derivations.md, section 1.7); other variants
by the exact τ(s) on a fine grid of σ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import minimize_scalar

from theory.eigenspaces import eigenspaces
from theory.errors import InvalidInput, NoClosedForm
from theory.linear import full_batch
from theory.linear.hypotheses import anisotropic_init, data_factor, init_variances, label_variance
from theory.linear.propagators import propagators
from theory.linear.shape import descent_shape, descent_turns
from theory.rows import checked_rows, required_rows
from theory.setting import Setting
from theory.shape import FALLS, FLAT, shape_of

GRID = 2001  # the number of σ at which the method "grid" computes τ


@dataclass(frozen=True)
class ShapeDescription:
    """The shape of f between the extreme σ of the data, after `step` updates.

    Attributes
    ----------
    step : int
    shape : str
        The shape, in the words of `theory.shape`.
    turns : tuple of float
        The σ* at which f turns, ascending, one less than the runs of `shape`.
    c : float
        σ_0² n/(σ_y² Σ_k η_k): the initial weights relative to what the labels have written; infinite before the first
        step.
    lowest, highest : float
        Σ_k η_k · s at the smallest and largest eigenvalue (s/d in the ntk parametrization).
    method : str
        "criterion" (the sign of D, exact) or "grid" (the exact τ on GRID values of σ: may miss a run between two).
    """

    step: int
    shape: str
    turns: tuple[float, ...]
    c: float
    lowest: float
    highest: float
    method: str

    @property
    def words(self) -> str:
        """One phrase: "rises up to σ = 0.71, then falls"."""
        runs = self.shape.split(", then ")
        places = [f" up to σ = {turn:.4g}" for turn in self.turns] + [""]
        return ", then ".join(run + place for run, place in zip(runs, places, strict=True))


def describe(setting: Setting, rows: np.ndarray | None) -> tuple[ShapeDescription, ...]:
    """The shape of f on [σ_min, σ_max] of X'X/n for given rows X (n, d), one for each step of the setting.

    It describes the whole interval, of which the eigenvalues are a sample. Exact, conditional on the rows, for every
    full-batch optimizer variant of a linear model.

    Raises
    ------
    NoClosedForm
        If the full-batch form does not apply, or the init is not isotropic (τ is then not a function of s).
    InvalidInput
        If the rows do not fit the setting, or the weights overflow.

    Examples
    --------
    >>> from theory.setting import Data, Training
    >>> data = Data(kind="gaussian", spectrum=(0.1, 1.0), samples=2, fixed=True)
    >>> setting = Setting(data=data, training=Training(learning_rate=0.1, steps=(1, 40)))
    >>> [found.words for found in describe(setting, np.diag([0.4, 1.4]))]
    ['falls', 'rises up to σ = 0.5017, then falls']
    """
    if (reason := full_batch.refusal(setting) or anisotropic_init(setting)) is not None:
        raise NoClosedForm("setting", setting.network.kind, f"no closed form of the shape: {reason}")
    rows = required_rows(checked_rows(setting, rows))
    spaces = eigenspaces(rows.T @ rows / len(rows))
    factor = data_factor(setting, rows.shape[1])
    ends = tuple(factor * max(float(s), 0.0) for s in (spaces.eigenvalues[0], spaces.eigenvalues[-1]))
    initial = float(init_variances(setting, rows.shape[1])[0])
    taught = label_variance(setting.labels) / len(rows)
    return tuple(
        _describe(setting, step, initial, taught, ends[0], ends[1], factor) for step in setting.training.readings
    )


def _describe(
    setting: Setting, step: int, initial: float, taught: float, lowest: float, highest: float, factor: float
) -> ShapeDescription:
    training = setting.training
    edges = sorted({0, step, *(start for start, _ in training.drops if start < step)})
    time = sum((end - begin) * training.learning_rate_at(begin) for begin, end in pairwise(edges))
    c = initial / (taught * time) if taught * time > 0 else np.inf
    eta = training.learning_rate
    plain = not (training.momentum or training.weight_decay or training.drops) and eta * highest < 1
    turns: tuple[float, ...] = ()
    if step == 0 or lowest == highest or initial == taught == 0:
        shape = FLAT
    elif plain:
        shape = FALLS if np.isinf(c) else descent_shape(c, step, eta * lowest, eta * highest)
        turns = () if np.isinf(c) else descent_turns(c, step, eta * lowest, eta * highest)
        turns = tuple(float(np.sqrt(x / (eta * factor))) for x in turns)
    else:

        def tau(sigma: np.ndarray) -> np.ndarray:
            s = sigma**2
            p, q = propagators(training, s + training.weight_decay, (step,))
            return np.asarray(initial * p[0] ** 2 + taught * s * q[0] ** 2)

        shape, turns = _on_a_grid(tau, np.sqrt(lowest), np.sqrt(highest))
        turns = tuple(float(turn / np.sqrt(factor)) for turn in turns)
    return ShapeDescription(step, shape, turns, c, time * lowest, time * highest, "criterion" if plain else "grid")


def _on_a_grid(tau: Callable[[np.ndarray], np.ndarray], lowest: float, highest: float) -> tuple[str, tuple[float, ...]]:
    """The shape of τ(σ) on a grid, and its turning points refined between neighbours."""
    sigma = np.linspace(lowest, highest, GRID)
    with np.errstate(over="ignore", invalid="ignore"):
        values = tau(sigma)
    if not np.isfinite(values).all():
        raise InvalidInput("training.learning_rate", "too large", "makes the weights overflow")
    differences = np.diff(values)
    # rounding is no turn
    signs = np.where(np.abs(differences) <= 1e-13 * np.abs(values).max(), 0, np.sign(differences)).astype(int)
    turns, run, last = [], 0, 0
    for k in np.flatnonzero(signs).tolist():
        sign = int(signs[k])
        if run and sign != run:
            turns.append(_extremum(tau, float(sigma[last]), float(sigma[k + 1]), run))
        run, last = sign, k
    return shape_of(np.cumsum([0, *signs])), tuple(turns)


def _extremum(tau: Callable[[np.ndarray], np.ndarray], low: float, high: float, sign: int) -> float:
    """The σ in (low, high) where τ is largest (sign 1) or smallest (−1)."""
    found = minimize_scalar(
        lambda x: -sign * float(tau(np.array([x]))[0]), bounds=(low, high), method="bounded", options={"xatol": 1e-10}
    )
    return float(found.x)
