"""Mini-batches of fixed rows, drawn anew at every step: the exact second moment (derivations, section 1.2).

Given the labels, the mean over batches follows full-batch training; the covariance Z of (weights, buffer) about it
obeys a closed recursion, since the batch of a step is independent of everything before it:

    Z' = M Z Mᵀ + Γ C Γᵀ,   C = (κ_B/n²) [X' diag(R) X − X' R X / n],   R_ii = x_iᵀ T x_i + σ_y²,
    T = Σ_w^GD − (2σ_y²/n) q_t(S) + U,   U = Z_ww,

M the full-batch map of section 1.1, Γ = (−η, 1) heavy ball, (−η(1 + μ), 1) Nesterov, −η without momentum, and

    κ_B = n/B  with replacement,   n(n − B)/(B(n − 1))  without.

In the eigenbasis of S the maps are diagonal: a step costs two products of X with an r × r matrix, r = rank X.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from theory.errors import InvalidInput
from theory.linear.eigenbasis import Eigenbasis, in_eigenbasis
from theory.linear.hypotheses import not_linear, rows_not_fixed
from theory.linear.propagators import update
from theory.prediction import Form, Prediction
from theory.rows import required_rows
from theory.setting import Setting, Training

ASSUMPTIONS = (
    "conditional on the rows X",
    "linear model, squared error, gradient descent, heavy ball or Nesterov",
    "a new batch at every step, independent of all others; labels fixed through training",
    "labels independent of X, independent over rows, mean zero; only their variance enters",
    "initial weights independent of the labels, mean zero",
)


def not_independent_batches(setting: Setting) -> str | None:
    """Why the setting is not a linear model on fixed rows, with a new batch at every step; None if it is."""
    if (reason := not_linear(setting) or rows_not_fixed(setting)) is not None:
        return reason
    if setting.full_batch:
        return f"training.batch_size = {setting.training.batch_size!r}: the full batch is not drawn"
    if setting.training.sampling == "epochs" and setting.batches_per_epoch > 1:
        return "training.sampling = 'epochs': batches of one epoch are not independent"
    return None


def batch_variance(setting: Setting) -> float:
    """κ_B: weights c_i = (n/B)·(how often row i is drawn) have E c = 1 and Cov c = κ_B (I − 11ᵀ/n).

    n/B with replacement, n(n − B)/(B(n − 1)) without; 0 for the full batch.

    >>> from theory.setting import Data, Training
    >>> data = Data(kind="gaussian", spectrum=(1.0,), samples=10, fixed=True)
    >>> [
    ...     batch_variance(Setting(data=data, training=Training(batch_size=4, sampling=kind)))
    ...     for kind in ("replacement", "fresh")
    ... ]
    [2.5, 1.6666666666666667]
    """
    n, size = setting.data.sample_count, setting.batch_rows
    if setting.training.sampling == "replacement":
        return n / size
    return n * (n - size) / (size * (n - 1)) if n > 1 else 0.0


def gradient_response(training: Training, step: int) -> np.ndarray:
    """Γ: the effect of an error of the gradient at `step` on (weight, buffer), or without momentum on the weight alone.

    >>> gradient_response(Training(learning_rate=0.5, momentum=0.5, nesterov=True), 0).tolist()
    [-0.75, 1.0]
    """
    drive = update(training, np.zeros(1), step)[1]
    return -drive[0, : 2 if training.momentum else 1]


def batch_noise(rows: np.ndarray, s: np.ndarray, moment: np.ndarray, sigma_y2: float) -> np.ndarray:
    """[X' diag(R) X − X' R X/n]/n² for R_ii = x_iᵀ T x_i + σ_y², the covariance of a gradient over κ_B.

    In coordinates with S = diag(s): X' R X/n = n S T S + σ_y² S. rows (n, r), s (r,), moment T (r, r) → (r, r).
    """
    n = len(rows)
    residuals = np.einsum("ij,ij->i", rows @ moment, rows) + sigma_y2
    noise = rows.T @ (residuals[:, None] * rows) - n * s[:, None] * moment * s
    noise[np.diag_indices_from(noise)] -= sigma_y2 * s
    return noise / n**2


def residual_moment(basis: Eigenbasis, p: np.ndarray, q: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """T of the full-batch path along the reached directions, from p_t, q_t, (σ_y²/n) s q_t², all (d,) → (r, r)."""
    reached = basis.reached
    moment = p[reached, None] * basis.initial[reached, reached] * p[reached]
    moment[np.diag_indices_from(moment)] += labels[reached] - 2 * basis.sigma_y2 / basis.samples * q[reached]
    return moment


def predict(setting: Setting, rows: np.ndarray | None) -> Prediction:
    """E[w wᵀ] of each output's weights, over labels, initial weights and batches, for given rows X (n, d).

    Σ_w = Σ_w^GD + U with the full-batch form and U by the recursion in the module's docstring. Exact at every step, for
    any label law of the two moments, batches drawn with or without replacement, with momentum, Nesterov, weight decay
    and learning-rate drops. Epochs of a single batch (⌊n/B⌋ = 1, the rest dropped) are batches without replacement. Σ_w
    does not commute with X'X/n in general: *given X*, alignment is exact for the full batch only. E[w] = 0; w is not
    Gaussian. Cost O(n r²) per step. Normalisation as in the full-batch form.

    Raises
    ------
    InvalidInput
        If the second moment overflows by some step.
    """
    rows = required_rows(rows)
    basis = in_eigenbasis(setting, rows)
    steps = setting.training.readings
    readings = []
    p, _, labels = basis.full_batch(steps)
    for step, p_t, labels_t, noise in zip(steps, p, labels, noise_path(basis), strict=True):
        with np.errstate(over="ignore", invalid="ignore"):
            moment = p_t[:, None] * basis.initial * p_t + np.diag(labels_t)
            moment[basis.reached, basis.reached] += noise
        if not np.isfinite(moment).all():
            rule = f"makes the second moment overflow by step {step}: unstable in mean square"
            raise InvalidInput("training.learning_rate", setting.training.learning_rate, rule)
        readings.append(basis.reading(step, moment))
    return FORM.exact(readings)


def noise_path(basis: Eigenbasis) -> Iterator[np.ndarray]:
    """U (r, r) along the reached directions at every reading of the setting, ascending."""
    training, reached = basis.setting.training, basis.reached
    kappa, s, h = batch_variance(basis.setting), basis.s[reached], basis.h[reached]
    blocks = 2 if training.momentum else 1
    z = np.zeros((blocks, blocks, len(s), len(s)))
    step = 0
    for reading in training.readings:
        for p, q, labels in basis.full_batch_path(step, reading):
            matrix, gamma = update(training, h, step)[0], gradient_response(training, step)
            with np.errstate(over="ignore", invalid="ignore"):
                moment = residual_moment(basis, p, q, labels) + z[0, 0]
                c = kappa * batch_noise(basis.rows, s, moment, basis.sigma_y2)
                z = carry(matrix[:, :blocks, :blocks], z) + np.multiply.outer(np.outer(gamma, gamma), c)
            step += 1
        yield z[0, 0]


def carry(matrix: np.ndarray, z: np.ndarray) -> np.ndarray:
    """M Z Mᵀ for M (r, b, b), diagonal in the directions, and Z (b, b, r, r)."""
    half = np.einsum("iab,bcij->acij", matrix, z)
    return np.einsum("acij,jdc->adij", half, matrix)


FORM = Form(
    name="linear-mini-batch",
    title="linear model, a new batch at every step, conditional on X: exact recursion of the covariance",
    status="exact",
    assumptions=ASSUMPTIONS,
    refusal=not_independent_batches,
    predict=predict,
)
