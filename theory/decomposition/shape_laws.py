"""Two laws with two numbers that describe a transfer function: the ridge law and the flow law.

With u = U σ² and f_0² = τ before training,

    ridge    τ = (f_0² + c u)/(1 + u)²,
    flow     τ = f_0² e^{−2u} + c (1 − e^{−u})²/u.

The flow law is that of a linear model in gradient flow, as if X'X/n were Σ: U = η t, c = σ_y² η t/n. The ridge law is
the stationary state of a mode that a memory term pulls back to its start. For networks both laws are descriptions: see
theory/derivations.md, section 1.9.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

LawName = Literal["ridge", "flow"]
# A function from u (k,) to the factors of f_0² and c, and the derivatives of both by log U; (k,) each.
Terms = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]


def ridge_terms(u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """1/(1 + u)² and u/(1 + u)²; u d/du of them: −2u/(1 + u)³ and u (1 − u)/(1 + u)³.

    >>> [float(each[0]) for each in ridge_terms(np.array([1.0]))]
    [0.25, 0.25, -0.25, 0.0]
    """
    kept = 1 / (1 + u)
    return kept**2, u * kept**2, -2 * u * kept**3, u * (1 - u) * kept**3


def flow_terms(u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """e^{−2u} and (1 − e^{−u})²/u; u d/du of them.

    >>> [round(float(each[0]), 4) for each in flow_terms(np.array([1e-12]))]
    [1.0, 0.0, -0.0, 0.0]
    """
    kept = np.exp(-u)
    learnt = -np.expm1(-u)
    with np.errstate(invalid="ignore", divide="ignore"):
        written = np.where(u > 0, learnt**2 / u, 0.0)
    return kept**2, written, -2 * u * kept**2, 2 * learnt * kept - written


LAWS: Mapping[LawName, Terms] = {"ridge": ridge_terms, "flow": flow_terms}  # the terms of both laws, by name


def law_tau(law: LawName, sigma: np.ndarray, *, rate: float, written: float, initial: float) -> np.ndarray:
    """τ(σ) of a law with U = `rate`, c = `written`, f_0² = `initial`; of the shape of σ.

    >>> law_tau("ridge", np.array([0.0, 1.0]), rate=1.0, written=3.0, initial=1.0).tolist()
    [1.0, 1.0]
    """
    start, gain, _, _ = LAWS[law](rate * np.asarray(sigma, dtype=float) ** 2)
    tau: np.ndarray = initial * start + written * gain
    return tau
