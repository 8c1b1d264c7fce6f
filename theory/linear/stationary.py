"""Where training with mini-batches of fixed rows settles: a linear solve (theory/derivations.md, section 1.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from theory.errors import InvalidInput
from theory.linear.eigenbasis import in_eigenbasis
from theory.linear.mini_batch import (
    batch_noise,
    batch_variance,
    gradient_response,
    not_independent_batches,
    residual_moment,
)
from theory.linear.propagators import stability_limit, update
from theory.rows import checked_rows, required_rows
from theory.setting import Setting, Training

LARGEST = 100  # reached directions: 5,050 unknowns, a matrix of 200 MB


@dataclass(frozen=True, eq=False)
class StationaryState:
    """The second moment that training tends to.

    Attributes
    ----------
    second_moment : ndarray, shape (d, d)
        Σ_w of one output, in the coordinates of the data.
    noise : ndarray, shape (d, d)
        U, the part of it that batches add to full-batch training.
    """

    second_moment: np.ndarray
    noise: np.ndarray


def stationary_state(setting: Setting, rows: np.ndarray) -> StationaryState:
    """Where Σ_w settles at the last learning rate of the schedule, for batches drawn afresh; rows X (n, d).

    In each pair of eigendirections Z = M Z Mᵀ + c Γ Γᵀ is solved by U_ij = g_ij c (without momentum
    g_ij = η²/(1 − a_i a_j), a = 1 − ηh), and the noise C is affine in U. So U = g∘(C_0 + L U): a linear system in the
    r(r + 1)/2 entries of U along the r directions that the rows reach. The other directions keep Σ_0 without weight
    decay, and lose it with.

    K = g∘L maps positive semidefinite matrices to such (it sums the powers of Z ↦ M Z Mᵀ). Hence training is stable in
    mean square, the spectral radius of K below 1, if and only if (I − K) V = 1 has a positive definite solution V:
    this is checked. Exact; derived in theory/derivations.md, section 1.2.

    Raises
    ------
    InvalidInput
        If the batches are not independent from step to step, the rows do not fit the setting or reach more than 100
        directions, or training is unstable in mean square.

    Examples
    --------
    >>> from theory.setting import Data
    >>> setting = Setting(
    ...     data=Data(kind="gaussian", spectrum=(1.0,), samples=2, fixed=True),
    ...     training=Training(learning_rate=0.5, batch_size=1, sampling="fresh"),
    ... )
    >>> stationary_state(setting, np.array([[1.0], [1.0]])).noise.round(6).tolist()  # η²/(1 − a²) · σ_y²/2
    [[0.166667]]
    """
    if (reason := not_independent_batches(setting)) is not None:
        raise InvalidInput("setting", setting.training.sampling, f"has no such stationary state: {reason}")
    checked = required_rows(checked_rows(setting, rows))
    basis = in_eigenbasis(setting, checked)
    reached, rate = basis.reached, _last_rate(setting.training)
    s, h = basis.s[reached], basis.h[reached]
    if len(s) > LARGEST:
        raise InvalidInput("rows.shape", checked.shape, f"reach more than {LARGEST} directions: too many to solve for")
    if np.any(rate * h >= stability_limit(setting.training)):
        raise _unstable(rate)
    # full-batch training ends at p = 0, q = 1/h in every direction that is taught or decays
    settled = basis.h > 0
    p = np.where(settled, 0.0, 1.0)
    q = np.divide(1, basis.h, out=np.zeros_like(basis.h), where=settled)
    labels = basis.sigma_y2 / basis.samples * basis.s * q**2
    drift = residual_moment(basis, p, q, labels)
    gain = batch_variance(setting) * _response(setting.training, h)
    moment, noise = p[:, None] * basis.initial * p + np.diag(labels), np.zeros_like(basis.initial)
    solved = _solve(basis.rows, s, gain, batch_noise(basis.rows, s, drift, basis.sigma_y2))
    if solved is None:
        raise _unstable(rate)
    noise[reached, reached] = solved
    turned = [basis.spaces.basis @ matrix @ basis.spaces.basis.T for matrix in (moment + noise, noise)]
    return StationaryState(*((matrix + matrix.T) / 2 for matrix in turned))


def _last_rate(training: Training) -> float:
    return training.learning_rate_at(_last_drop(training))


def _last_drop(training: Training) -> int:
    return max((start for start, _ in training.drops), default=0)


def _response(training: Training, h: np.ndarray) -> np.ndarray:
    """g (r, r): the weight part of Z = M_i Z M_jᵀ + Γ Γᵀ for each pair of directions."""
    blocks = 2 if training.momentum else 1
    matrix, gamma = update(training, h, _last_drop(training))[0], gradient_response(training, _last_drop(training))
    matrix = matrix[:, :blocks, :blocks]
    pairs = np.einsum("iab,jcd->ijacbd", matrix, matrix).reshape(len(h), len(h), blocks**2, blocks**2)
    forced = np.outer(gamma, gamma).reshape(-1, 1)
    return np.linalg.solve(np.eye(blocks**2) - pairs, forced)[..., 0, 0]


def _solve(rows: np.ndarray, s: np.ndarray, gain: np.ndarray, drift: np.ndarray) -> np.ndarray | None:
    """U = g∘(C_0 + L U), (r, r), or None where the series Σ K^k does not converge."""
    n, i_j = len(rows), np.tril_indices(len(s))
    i, j = i_j
    products = rows[:, i] * rows[:, j]
    operator = products.T @ (products * np.where(i == j, 1, 2)) / n**2
    operator[np.diag_indices_from(operator)] -= s[i] * s[j] / n
    system = np.eye(len(i)) - gain[i_j][:, None] * operator
    solutions = linalg.solve(system, np.stack([(gain * drift)[i_j], (i == j).astype(float)], axis=1))
    noise, certificate = np.zeros((2, len(s), len(s)))
    for matrix, values in zip((noise, certificate), solutions.T, strict=True):
        matrix[i, j] = matrix[j, i] = values
    return noise if np.all(np.linalg.eigvalsh(certificate) > 0) else None


def _unstable(rate: float) -> InvalidInput:
    return InvalidInput("training.learning_rate", rate, "is unstable in mean square: there is no stationary state")
