"""A guide to the shape of f for ReLU networks near the kernel limit: how the change of τ depends on the eigenvalue.

For many effective dimensions, d_eff = (tr S)²/tr S², rows are nearly orthogonal and the tangent kernel of the first
layer is nearly (s_a²/4)(XXᵀ + tr(S) I): its modes are those of XXᵀ, and the terms of `theory.network.lazy` become
functions of one eigenvalue λ of S = XᵀX/n (theory/derivations.md, section 2.2).

A leading trend, and no closed form of the catalogue: against those terms it errs by less than a tenth for s_y² far
above the output's variance and d_eff = 100, by 10 to 50 % typically, and fails for few effective dimensions and where
terms cancel. It says why the curve rises: λ enters as a factor, and what is learnt of labels adds to every direction.
"""

from __future__ import annotations

import numpy as np

from theory.errors import InvalidInput


def shape_guide(
    eigenvalues: np.ndarray, samples: int, time: float, *, s0: float, sa: float, labels: float
) -> np.ndarray:
    """m (τ_i − s_0²) along the eigenvectors of S, first layer alone trained, leading trend in d_eff → ∞; (d,) → (d,).

    With R = tr S, γ = s_a² R/4, u = Tγ/n, ξ_i = nλ_i/R, V = s_a² s_0² R/2, g(x) = (1 − e^{−u(1 + x)})/(1 + x),
    Σ(x) = s_y² + V (½ − 1/π + x/2), ⟨·⟩ the mean over n modes, min(n, d) of them ξ_i and the others 0, and
    g_1 = g(2n/(π d_eff)),

        (ξ_i/γ) { Σ(ξ_i) g(ξ_i)² + ⟨Σg²⟩ − V [g(ξ_i) + ⟨g⟩ + (2/π)(g_1 − ⟨g⟩)]
                  − (2/π) ⟨Σg²⟩ (λ_i − tr S²/R)/R }.

    The braces hold T_1, T_2 and T_3 in turn.

    Parameters
    ----------
    eigenvalues : ndarray, shape (d,)
        Of S, each as often as its multiplicity, not all zero.
    samples : int
        n.
    time : float
        Flow time T = ηt.
    s0, sa, labels : float
        s_0², s_a² and s_y².

    Raises
    ------
    InvalidInput
        If an eigenvalue is negative, or all are zero.

    Examples
    --------
    Late, without an output at the start, g = 1/(1 + ξ) and V = 0:

    >>> shape_guide(np.array([0.5, 1.0, 2.0]), 3, 1e9, s0=0.0, sa=1.0, labels=1.0).round(3).tolist()
    [0.417, 0.61, 0.81]
    """
    if not np.isfinite(eigenvalues).all() or np.any(eigenvalues < 0) or not np.any(eigenvalues > 0):
        raise InvalidInput("eigenvalues", eigenvalues.tolist(), "must not be negative, nor all zero")
    trace, square = float(eigenvalues.sum()), float(np.sum(eigenvalues**2))
    gamma, output = sa * trace / 4, sa * s0 * trace / 2
    xi = samples * eigenvalues / trace
    modes = np.sort(np.concatenate([xi, np.zeros(max(0, samples - len(xi)))]))[::-1][:samples]

    def decayed(x: np.ndarray | float) -> np.ndarray:
        return np.asarray(-np.expm1(-time * gamma / samples * (1 + np.asarray(x))) / (1 + np.asarray(x)))

    def fitted(x: np.ndarray) -> np.ndarray:
        return np.asarray((labels + output * (0.5 - 1 / np.pi + x / 2)) * decayed(x) ** 2)

    fit, mean = float(fitted(modes).mean()), float(decayed(modes).mean())
    spread = float(decayed(2 * samples * square / (np.pi * trace**2)))
    motion = fitted(xi) + fit
    own_output = output * (decayed(xi) + mean + 2 / np.pi * (spread - mean))
    gates = 2 / np.pi * fit * (eigenvalues - square / trace) / trace
    return np.asarray(xi / gamma * (motion - own_output - gates))
