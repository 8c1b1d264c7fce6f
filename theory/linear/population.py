"""Common parts of the averages over X: the law of the rows, and readings in the eigenbasis of the population."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat

import numpy as np

from theory.errors import InvalidInput
from theory.linear.hypotheses import data_factor
from theory.prediction import PredictedReading
from theory.setting import Data, Setting, Sphere, Student


def not_centred_law(setting: Setting) -> str | None:
    """Why the rows are not drawn anew for every replica from a centred elliptical law; None if they are."""
    data = setting.data
    if data.kind not in ("gaussian", "elliptical"):
        return f"data.kind = {data.kind!r}: this form averages over a Gaussian or elliptical law of x"
    if data.fixed:
        return "data.fixed = true: this form averages over the rows"
    if any(data.law_mean):
        return "data.mean: derived for a centred law of x"
    if data.rotate and len(set(setting.network.init_spectrum)) > 1:
        return "network.init_spectrum: the axes of the init have random directions where data.rotate = true"
    return None


def fourth_moment_ratio(data: Data) -> float:
    """k_4 = E[(xᵀ Σ⁻¹ x)²] / (d(d + 2)): 1 for Gaussian x, and the only effect of an elliptical law up to 4th moments.

    E[x xᵀ P x xᵀ] = k_4 (2 Σ P Σ + tr(Σ P) Σ) for symmetric P: exact for x = sqrt(χ) Σ^½ z, z ~ N(0, 1_d), E χ = 1.
    Student's t (ν − 2)/(ν − 4), the sphere d/(d + 2), two points E χ². The sphere's d counts all directions.

    Raises
    ------
    InvalidInput
        If the rows have Student's t law with ν <= 4, whose fourth moment is infinite.

    Examples
    --------
    >>> fourth_moment_ratio(Data(kind="elliptical", spectrum=(1.0, 2.0), radial=Student(dof=6.0)))
    2.0
    """
    radial = data.radial
    if radial is None:
        return 1.0
    if isinstance(radial, Student):
        if radial.dof <= 4:
            raise InvalidInput("data.radial.dof", radial.dof, "must exceed 4, or the fourth moment of x is infinite")
        return (radial.dof - 2) / (radial.dof - 4)
    if isinstance(radial, Sphere):
        dimension = len(data.eigenvalues)
        return dimension / (dimension + 2)
    return radial.k4


def population_spectrum(setting: Setting) -> np.ndarray:
    """The eigenvalues s of Σ in units of the raw weights, (d,), as listed: in ntk those of Σ/d."""
    eigenvalues = np.array(setting.data.eigenvalues)
    return eigenvalues * data_factor(setting, len(eigenvalues))


def spaces(eigenvalues: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """The eigenspaces of diag(eigenvalues): the ascending order (d,), the first of each (k,), multiplicities (k).

    Neighbours are joined by the rule of `theory.eigenspaces.eigenspaces`, without an eigensolver.
    """
    order = np.argsort(eigenvalues, kind="stable")
    tolerance = 64 * len(order) * np.finfo(float).eps * eigenvalues[order[-1]]
    first = np.flatnonzero(np.diff(eigenvalues[order], prepend=-np.inf) > tolerance)
    return order, first, tuple(np.diff(first, append=len(order)).tolist())


def population_readings(
    setting: Setting, variances: Iterable[np.ndarray], fourth: Iterable[np.ndarray] | None = None
) -> tuple[PredictedReading, ...]:
    """One reading per step from E[w_i²] in the eigendirections, (d,) each, in the order of data.spectrum.

    `fourth` gives E[w_i⁴] likewise, for the relative variance of w_i²; the largest in an eigenspace is used.

    τ is the mean over an eigenspace. The matrix Σ_w is given where data.rotate = false: the eigendirections then are
    the coordinate axes; otherwise they are drawn and unknown. E[w] = 0.
    """
    eigenvalues = np.array(setting.data.eigenvalues)
    order, first, multiplicity = spaces(eigenvalues)
    sizes = np.array(multiplicity)
    sigma = np.sqrt(np.add.reduceat(eigenvalues[order], first) / sizes)
    fourths = repeat(None) if fourth is None else fourth
    return tuple(
        PredictedReading(
            step=step,
            sigma=sigma,
            multiplicity=multiplicity,
            tau=np.add.reduceat(variance[order], first) / sizes,
            second_moment=None if setting.data.rotate else np.diag(variance),
            mean=np.zeros(len(order)),
            relative_variance=None if w4 is None else np.maximum.reduceat(_excess(variance, w4)[order], first),
        )
        for step, variance, w4 in zip(setting.training.readings, variances, fourths, strict=fourth is not None)
    )


def _excess(second: np.ndarray, fourth: np.ndarray) -> np.ndarray:
    """E[w⁴] / E[w²]² − 1, 0 where the weight is 0, inf where its fourth moment is too large for a number."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        ratio = np.where(second > 0, fourth / second / second - 1, 0.0)
    return np.where(np.isnan(ratio), np.inf, np.maximum(ratio, 0.0))
