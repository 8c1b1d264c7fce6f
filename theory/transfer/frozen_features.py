"""Transfer through *frozen features*: a second layer trained from zero on a pre-trained first layer.

f(x) = w_2ᵀW_1x/√m with W_1 frozen and w_2 trained from 0: β = W_1ᵀw_2/√m obeys β' = β − ηΣ_w(Sβ − X'y/n) with
Σ_w = W_1ᵀW_1/m, so a direction of S with weight variance τ_i is learnt at rate s_iτ_i (theory/derivations.md, section
1.8). Large τ in the directions of the task is better. The rule for initial weights of a linear model is the opposite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory.setting import Training
from theory.transfer.inputs import Numbers, full_batch_propagators, nonnegative, signs, task


@dataclass(frozen=True, eq=False)
class FrozenFeatureTransfer:
    """The gain of features with variances τ_i over isotropic ones of the same trace, at r steps.

    Attributes
    ----------
    steps : tuple of int, length r
    tau : ndarray, shape (d,)
    loss, isotropic_loss : ndarray, shape (r,)
        E L_t with τ_i, and with τ̄ in every direction.
    trace_matched : ndarray, shape (r,)
        `isotropic_loss` − `loss` = ½ Σ_{s_i>0} (s_i w_{*,i}² + σ²/n)(ρ_i(τ̄)² − ρ_i(τ_i)²).
    covariance : float
        Cov_i(s_i (s_i w_{*,i}² + σ²/n), τ_i), with 1/d.
    early_gain : float
        The gain per unit of η·t as training starts: d · `covariance`.
    """

    steps: tuple[int, ...]
    tau: np.ndarray
    loss: np.ndarray
    isotropic_loss: np.ndarray
    trace_matched: np.ndarray
    covariance: float
    early_gain: float

    @property
    def trace_matched_sign(self) -> tuple[str, ...]:
        """The sign at each step: "positive", "negative" or "none"."""
        return signs(self.trace_matched)

    @property
    def early_sign(self) -> str:
        """The sign as training starts: the sign of Cov_i(s_i (s_i w_{*,i}² + σ²/n), τ_i)."""
        return signs(np.array([self.early_gain]))[0]


def frozen_feature_transfer(
    eigenvalues: Numbers, tau: Numbers, target: Numbers, noise: float, samples: int, training: Training
) -> FrozenFeatureTransfer:
    """The gain in training loss at the steps of `training` over isotropic features of the same trace.

    Asymptotic, order 1/m: the first layer enters through W_1ᵀW_1/m → Σ_w, diagonal in the eigenbasis of S. As t → 0 the
    gain is ηt Σ_i s_i (τ_i − τ̄)(s_i w_{*,i}² + σ²/n).

    Parameters
    ----------
    eigenvalues, tau, target : (d,)
        s_i, τ_i and w_{*,i}² along the eigenvectors of S.
    noise : float
        σ².
    samples : int
        n.
    training : Training
        The training of the second layer.

    Raises
    ------
    InvalidInput
        If shapes differ, numbers are negative, or the training is not full-batch gradient descent.

    Examples
    --------
    >>> training = Training(learning_rate=0.5, steps=1)
    >>> found = frozen_feature_transfer([0.1, 1.0], [2.0, 1.0], [1.0, 1.0], 0.0, 8, training)
    >>> found.trace_matched.round(4).tolist(), found.early_sign  # falling τ hurts early
    ([-0.0915], 'negative')
    """
    s = nonnegative("eigenvalues", eigenvalues)
    variances, squares = nonnegative("tau", tau, len(s)), nonnegative("target", target, len(s))
    loss = frozen_feature_loss(s, variances, squares, noise, samples, training)
    isotropic = frozen_feature_loss(s, np.full(len(s), variances.mean()), squares, noise, samples, training)
    covariance = float(s * (s * squares + noise / samples) @ (variances - variances.mean()) / len(s))
    return FrozenFeatureTransfer(
        training.readings, variances, loss, isotropic, isotropic - loss, covariance, len(s) * covariance
    )


def frozen_feature_loss(
    eigenvalues: Numbers, tau: Numbers, target: Numbers, noise: float, samples: int, training: Training
) -> np.ndarray:
    """E L_t on the training rows, at the r steps of `training`, shape (r,).

        L_t = ½ Σ_i s_i ρ_i² w_{*,i}² + σ²/(2n) [n − r + Σ_{s_i>0} ρ_i²],   ρ_i = 1 − s_iτ_i q_t(s_iτ_i + λ),

    ρ_i = (1 − ηs_iτ_i)^t for plain descent. Asymptotic: order 1/m for a first layer of m rows; arguments as in
    `frozen_feature_transfer`.

    >>> frozen_feature_loss([1.0], [1.0], [1.0], 1.0, 2, Training(learning_rate=0.5, steps=(0, 1))).tolist()
    [1.0, 0.4375]
    """
    s = nonnegative("eigenvalues", eigenvalues)
    variances, squares = nonnegative("tau", tau, len(s)), nonnegative("target", target, len(s))
    noise, samples = task(noise, samples)
    _, q = full_batch_propagators(training, s * variances)
    left = 1 - s * variances * q
    positive = s > 0
    fit = left**2 @ (s * squares) / 2
    return np.asarray(fit + noise / (2 * samples) * (samples - positive.sum() + (left[:, positive] ** 2).sum(axis=1)))
