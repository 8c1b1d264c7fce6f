"""The averages over rows that close the equations: the covariance of forces, and their response.

    C_g(t, s) = E g^t (g^s)ᵀ,      R(t, s) = E ∂g^t/∂ξ^s .

By Stein's identity E[g^t (ξ^s)ᵀ] = Σ_r R(t, r) C_h(r, s). A first guess of R is corrected to obey it where ξ has
variance, which is where R matters:

    R ← R + (E[g ξᵀ] − R C_h)(C_h + δ I)⁻¹,      δ = .01 tr C_h(t, t)/m .
"""

from __future__ import annotations

import numpy as np
from scipy import linalg

RIDGE = 0.01  # the ridge δ, relative to tr C_h(t, t)/m


def stein_residual(correlation: np.ndarray, response: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """E[g ξᵀ] − R C_h, (m, T m), from E[g εᵀ] and R, (m, T m) each, and C_h = L Lᵀ."""
    return np.asarray((correlation - response @ factor) @ factor.T)


def corrected(correlation: np.ndarray, guess: np.ndarray, factor: np.ndarray, ridge: float = RIDGE) -> np.ndarray:
    """R(t, ·) from a guess of it, by Stein's identity; shapes as in `stein_residual`."""
    width = len(guess)
    covariance = factor @ factor.T
    last = np.trace(covariance[-width:, -width:]) / width
    regularised = covariance + ridge * last * np.eye(len(covariance))
    found = linalg.solve(regularised, stein_residual(correlation, guess, factor).T, assume_a="pos")
    return np.asarray(guess + found.T)
