"""How one mini-batch update maps second moments, and how fast their effect decays (derivations, section 1.2).

The batch of an update is independent of everything before it. So a second moment Z of (weights, buffer) becomes 𝓚(Z),
plus what does not depend on Z. In the notation of `theory.linear.mini_batch`

    𝓚(Z) = M Z Mᵀ + κ_B Γ B(Z_ww) Γᵀ,     B(T) = [X' diag(R) X − X' R X/n]/n²,   R = X T X'.

𝓚 is linear and maps positive semidefinite matrices to such, so that every V > 0 gives a bound: if 𝓚(V) <= ρ V and
−a V <= Z <= a V, then −a ρ^t V <= 𝓚^t(Z) <= a ρ^t V.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from theory.linear.eigenbasis import Eigenbasis
from theory.linear.mini_batch import batch_noise, batch_variance, carry, gradient_response
from theory.linear.propagators import update


@dataclass(frozen=True, eq=False)
class MeanSquareMap:
    """𝓚 of one update, on matrices Z (b, b, r, r): b = 2 blocks, weights and buffer, or weights alone without momentum.

    Attributes
    ----------
    rows : ndarray, shape (n, r)
        The rows along the r directions that they reach, in which S = diag(s).
    s : ndarray, shape (r,)
    matrix : ndarray, shape (r, b, b)
        M in each direction.
    gamma : ndarray, shape (b,)
        Γ.
    kappa : float
        κ_B.
    """

    rows: np.ndarray
    s: np.ndarray
    matrix: np.ndarray
    gamma: np.ndarray
    kappa: float

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """The image 𝓚(Z)."""
        return carry(self.matrix, z) + self.kicked(z[0, 0])

    def kicked(self, moment: np.ndarray, sigma_y2: float = 0.0) -> np.ndarray:
        """κ_B Γ C Γᵀ (b, b, r, r) for residuals R_ii = x_iᵀ T x_i + σ_y², T = `moment` (r, r)."""
        noise = self.kappa * batch_noise(self.rows, self.s, moment, sigma_y2)
        return np.multiply.outer(np.outer(self.gamma, self.gamma), noise)


def mean_square_map(basis: Eigenbasis, step: int) -> MeanSquareMap:
    """𝓚 of update number `step`."""
    training = basis.setting.training
    blocks = 2 if training.momentum else 1
    return MeanSquareMap(
        rows=basis.rows,
        s=basis.s[basis.reached],
        matrix=update(training, basis.h[basis.reached], step)[0][:, :blocks, :blocks],
        gamma=gradient_response(training, step),
        kappa=batch_variance(basis.setting),
    )


class Resolvent:
    """(1 − 𝓚)⁻¹ on symmetric matrices Z (b, b, r, r): the fixed point of Z ↦ 𝓚(Z) + source.

    For a given noise, Z = M Z Mᵀ + … is a linear equation for b² numbers in each pair of directions. The noise in turn
    is linear in the weights' part of Z. What remains is one linear system for the r(r + 1)/2 entries of that part.

    Attributes
    ----------
    identity : ndarray, shape (b, b, r, r)
    """

    def __init__(self, step: MeanSquareMap) -> None:
        self._step = step
        r, blocks = step.matrix.shape[:2]
        self.identity = np.multiply.outer(np.eye(blocks), np.eye(r))
        pairs = np.einsum("iab,jcd->ijacbd", step.matrix, step.matrix).reshape(r, r, blocks**2, blocks**2)
        self._carried = np.linalg.inv(np.eye(blocks**2) - pairs)
        self._lower = np.tril_indices(r)
        i, j = self._lower
        gain = step.kappa * (self._carried @ np.outer(step.gamma, step.gamma).reshape(-1))[i, j, 0]
        products = step.rows[:, i] * step.rows[:, j]
        system = products.T @ (products * np.where(i == j, 1, 2)) / -(len(step.rows) ** 2)
        system[np.diag_indices_from(system)] += step.s[i] * step.s[j] / len(step.rows)
        system *= gain[:, None]
        system[np.diag_indices_from(system)] += 1
        # of no directions there is nothing to solve, which SciPy's older factorisation refuses
        self._factors = linalg.lu_factor(system, overwrite_a=True) if r else None

    def __call__(self, source: np.ndarray) -> np.ndarray:
        """Z (b, b, r, r) with Z = 𝓚(Z) + source."""
        if self._factors is None:
            return source
        i, j = self._lower
        weights = np.empty(source.shape[2:])
        weights[i, j] = weights[j, i] = linalg.lu_solve(self._factors, self._settled(source)[0, 0][i, j])
        return self._settled(source + self._step.kicked(weights))

    def _settled(self, source: np.ndarray) -> np.ndarray:
        """Z = M Z Mᵀ + source."""
        blocks, _, r, _ = source.shape
        flat = source.transpose(2, 3, 0, 1).reshape(r, r, blocks**2, 1)
        return (self._carried @ flat).reshape(r, r, blocks, blocks).transpose(2, 3, 0, 1)


def contracting_matrices(resolvent: Resolvent, count: int) -> tuple[np.ndarray, ...]:
    """Up to `count` matrices V > 0 (b, b, r, r) with 𝓚(V) < V: (1 − 𝓚)⁻¹, (1 − 𝓚)⁻², … of the identity, scaled.

    They tend to the matrix that decays most slowly, whose ρ is the spectral radius of 𝓚; without momentum the first one
    is already close. Up to rounding, there is none if and only if the spectral radius is 1 or more, which makes
    training unstable in mean square.
    """
    found: list[np.ndarray] = []
    v = resolvent.identity
    for _ in range(count if v.size else 0):
        v = resolvent(v)
        v /= np.abs(v).max()
        try:
            np.linalg.cholesky(flattened(v))
        except np.linalg.LinAlgError:  # not positive definite
            break
        found.append(v)
    return tuple(found)


def flattened(z: np.ndarray) -> np.ndarray:
    """Z (b, b, r, r) as one symmetric matrix (br, br)."""
    blocks, _, r, _ = z.shape
    whole = z.transpose(0, 2, 1, 3).reshape(blocks * r, blocks * r)
    return np.asarray((whole + whole.T) / 2)


def growth(step: MeanSquareMap, v: np.ndarray) -> np.float64:
    """The smallest ρ with 𝓚(V) <= ρ V, for V > 0."""
    return np.float64(max(linalg.eigvalsh(flattened(step(v)), flattened(v))[-1], 0.0))


def size_in(v: np.ndarray, z: np.ndarray) -> np.float64:
    """The smallest a with −a V <= Z <= a V, for V > 0."""
    return np.float64(np.abs(linalg.eigvalsh(flattened(z), flattened(v))).max())


def mean_growth(v: np.ndarray) -> np.float64:
    """c: the mean update leaves at most c ρ^{t/2} of a weight after t steps, if 𝓚(V) <= ρ V at each.

    The mean update M obeys M Z Mᵀ <= 𝓚(Z). A weight w along direction i has w wᵀ <= w² (V⁻¹)_ii V, so that after t
    steps of M its square is at most w² (V⁻¹)_ii ρ^t V_ii. c² is the largest (V⁻¹)_ii V_ii.
    """
    whole = flattened(v)
    ratios = whole.diagonal() * np.linalg.inv(whole).diagonal()
    return np.float64(np.sqrt(ratios[: v.shape[2]].max()))
