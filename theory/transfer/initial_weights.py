"""Transfer through the *initial weights* of a linear model: pre-trained weights as a nuisance to be forgotten.

Task y = Xw_* + ε, ε ~ (0, σ²), full-batch training from w_0 ~ (0, Σ_init) independent of the task. With p = p_t(s) and
q = q_t(s) of `theory.linear.propagators` in the eigendirections of S = X'X/n, the error is w_t − w_* =
p w_0 − (1 − q s) w_* + q X'ε/n (theory/derivations.md, section 1.8). The initial weights add ½ Σ_i s_i p_i² (Σ_init)_ii
to the training loss, whatever the task: less is better. The rule for frozen features is the opposite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory.arrays import symmetric
from theory.errors import InvalidInput
from theory.linear import full_batch
from theory.linear.hypotheses import data_factor
from theory.linear.two_layer import sample_spectrum
from theory.rows import checked_rows, required_rows
from theory.setting import Setting, Training
from theory.transfer.inputs import Numbers, full_batch_propagators, nonnegative, signs, task


@dataclass(frozen=True, eq=False)
class InitialWeightTransfer:
    """The gain of initial weights with variances τ_i over isotropic ones, at r steps: Δ_t = ½ Σ_i ω_i (σ_0² − τ_i).

    Attributes
    ----------
    steps : tuple of int, length r
    tau : ndarray, shape (d,)
    weights : ndarray, shape (r, d)
        ω_i = s_i p_t(s_i)²: how much each direction still contributes to the loss.
    init_variance : float or None
        σ_0² of the isotropic weights "as drawn".
    raw : ndarray, shape (r,), or None
        The gain over σ_0² I; None without σ_0².
    covariance : ndarray, shape (r,)
        Cov_i(ω_i, τ_i), with 1/d.
    trace_matched : ndarray, shape (r,)
        The gain over τ̄ I, isotropic weights of the same trace: −(d/2) Cov_i(ω_i, τ_i).
    """

    steps: tuple[int, ...]
    tau: np.ndarray
    weights: np.ndarray
    init_variance: float | None
    raw: np.ndarray | None
    covariance: np.ndarray
    trace_matched: np.ndarray

    @property
    def raw_sign(self) -> tuple[str, ...] | None:
        """The sign at each step, "positive", "negative" or "none": the sign of Σ_i ω_i (σ_0² − τ_i)."""
        return None if self.raw is None else signs(self.raw)

    @property
    def trace_matched_sign(self) -> tuple[str, ...]:
        """The sign at each step, "positive", "negative" or "none": opposite to the sign of Cov_i(ω_i, τ_i)."""
        return signs(self.trace_matched)


def initial_weight_transfer(
    eigenvalues: Numbers,
    tau: Numbers,
    training: Training,
    *,
    init_variance: float | None = None,
    population: Numbers | None = None,
) -> InitialWeightTransfer:
    """The gain in loss at the steps of `training`, from initial weights with E[w_0w_0ᵀ]_ii = τ_i along v_i of S.

    Δ_t = E L_t(σ_0² I) − E L_t(Σ_init) = ½ Σ_i ω_i (σ_0² − τ_i); transfer is positive iff the sum is. Exact for the
    training loss, every task and noise, every full-batch optimizer; depends on the diagonal of Σ_init only.

    Parameters
    ----------
    eigenvalues : (d,)
        s_i of S = X'X/n, with multiplicity (s/d in the ntk parametrization).
    tau : (d,)
    training : Training
        The downstream training: learning rate, drops, momentum, nesterov, weight decay and steps are used.
    init_variance : float, optional
        σ_0² of fresh weights, for the raw gain.
    population : (d,), optional
        v_iᵀΣ_x v_i: gives the gain in *test* loss, ω_i = v_iᵀΣ_x v_i p_i², exact for Σ_init diagonal in the basis v_i.

    Raises
    ------
    InvalidInput
        If shapes differ, numbers are negative, or the training is not full-batch gradient descent.

    Examples
    --------
    >>> found = initial_weight_transfer([0.1, 1.0], [2.0, 1.0], Training(learning_rate=0.5, steps=(0, 5)))
    >>> found.trace_matched.round(4).tolist(), found.trace_matched_sign  # falling τ helps early, and hurts late
    ([0.225, -0.0147], ('positive', 'negative'))
    """
    s = nonnegative("eigenvalues", eigenvalues)
    variances = nonnegative("tau", tau, len(s))
    measure = s if population is None else nonnegative("population", population, len(s))
    if init_variance is not None and not 0 <= init_variance < np.inf:
        raise InvalidInput("init_variance", init_variance, "must be finite and not negative")
    p, _ = full_batch_propagators(training, s)
    weights = measure * p**2
    raw = None if init_variance is None else weights @ (init_variance - variances) / 2
    centred = variances - variances.mean()
    covariance = weights @ centred / len(s)
    return InitialWeightTransfer(
        training.readings, variances, weights, init_variance, raw, covariance, -len(s) / 2 * covariance
    )


def initial_weight_transfer_of(
    upstream: Setting, rows: np.ndarray, downstream: Training
) -> tuple[InitialWeightTransfer, ...]:
    """The gain of pre-training on random labels and the same rows X (n, d), one for each step of `upstream`.

    τ_i comes from the full-batch form (`theory.linear.full_batch`), σ_0² from the upstream initial weights. Exact.

    Raises
    ------
    InvalidInput
        If the full-batch form does not apply to `upstream`, its initial weights are not isotropic, or the rows do not
        fit.

    Examples
    --------
    >>> from theory.setting import Data
    >>> data = Data(kind="gaussian", spectrum=(0.1, 1.0), samples=2, fixed=True)
    >>> upstream = Setting(data=data, training=Training(learning_rate=0.5, steps=100))
    >>> (found,) = initial_weight_transfer_of(upstream, np.diag([0.4, 1.4]), Training(steps=(0, 100)))
    >>> found.tau.round(2).tolist(), found.raw_sign
    ([6.04, 0.51], ('negative', 'negative'))
    """
    if (reason := full_batch.refusal(upstream)) is not None:
        raise InvalidInput("upstream", upstream.network.kind, f"must be a full-batch linear model: {reason}")
    if len(set(upstream.network.init_spectrum)) > 1:
        raise InvalidInput("upstream.network.init_spectrum", upstream.network.init_spectrum, "must be isotropic")
    checked = required_rows(checked_rows(upstream, rows))
    spaces, eigenvalues = sample_spectrum(checked)
    s = np.repeat(eigenvalues, spaces.multiplicity) * data_factor(upstream, checked.shape[1])
    network, dimension = upstream.network, checked.shape[1]
    first = network.init_spectrum[0] if network.init_spectrum else network.layer_variances[0]
    divided = not network.init_spectrum and network.parametrization == "standard"
    return tuple(
        initial_weight_transfer(
            s,
            np.repeat(reading.tau, reading.multiplicity),
            downstream,
            init_variance=first / dimension if divided else first,
        )
        for reading in full_batch.predict(upstream, checked).readings
    )


def initial_weight_training_loss(
    eigenvalues: Numbers, init: Numbers, target: Numbers, noise: float, samples: int, training: Training
) -> np.ndarray:
    """E L_t, the loss on the training rows without the decay term, at the r steps of `training`, shape (r,).

        E L_t = ½ Σ_i s_i [p_i² (Σ_init)_ii + (1 − q_i s_i)² w_{*,i}²] + σ²/(2n) [n − r + Σ_{s_i>0} (1 − q_i s_i)²],

    r = rank S; without weight decay 1 − qs = p. Exact. `init` (d,) is the diagonal of Σ_init along v_i, `target` (d,)
    the squares w_{*,i}², `noise` σ²; s_i is zero where `eigenvalues` is exactly zero.

    >>> loss = initial_weight_training_loss([1.0], [1.0], [1.0], 1.0, 2, Training(learning_rate=0.5, steps=(0, 1)))
    >>> loss.tolist()  # ½ (1 + 1) + ½, then a quarter of the first and ¼ (1 + ¼)
    [1.5, 0.5625]
    """
    s = nonnegative("eigenvalues", eigenvalues)
    variances, squares = nonnegative("init", init, len(s)), nonnegative("target", target, len(s))
    noise, samples = task(noise, samples)
    p, q = full_batch_propagators(training, s)
    left = 1 - q * s
    positive = s > 0
    fit = (p**2 @ (s * variances) + left**2 @ (s * squares)) / 2
    return np.asarray(fit + noise / (2 * samples) * (samples - positive.sum() + (left[:, positive] ** 2).sum(axis=1)))


def initial_weight_test_loss(
    second_moment: np.ndarray,
    covariance: np.ndarray,
    init: np.ndarray,
    target: Numbers,
    noise: float,
    samples: int,
    training: Training,
) -> np.ndarray:
    """E L^test_t on fresh rows of second moment Σ_x (`covariance`), given X, at the r steps of `training`, shape (r,).

        E L^test_t = ½ tr Σ_x [ p(S) Σ_init p(S) + (1 − qS) w_*w_*ᵀ (1 − qS) + (σ²/n) S q(S)² ] + σ²/2.

    Exact. `second_moment` S (d, d), `init` Σ_init (d, d), `target` w_* (d,) with its signs, `noise` σ², also of the
    test labels.

    >>> initial_weight_test_loss(np.eye(1), np.eye(1), np.eye(1), [1.0], 1.0, 2, Training(steps=0)).tolist()
    [1.5]
    """
    matrix, measure = symmetric("second_moment", np.asarray(second_moment)), symmetric("covariance", covariance)
    initial = symmetric("init", init)
    d = len(matrix)
    if matrix.shape != (d, d) or measure.shape != (d, d) or initial.shape != (d, d):
        shapes = (matrix.shape, measure.shape, initial.shape)
        raise InvalidInput("second_moment, covariance, init", shapes, "must all be (d, d)")
    weights = np.asarray(target, dtype=float)
    if weights.shape != (d,) or not np.isfinite(weights).all():
        raise InvalidInput("target", weights.tolist(), f"must be {d} finite numbers")
    noise, samples = task(noise, samples)
    s, basis = np.linalg.eigh(matrix)
    s = np.maximum(s, 0.0)
    p, q = full_batch_propagators(training, s)
    left = 1 - q * s
    measure, initial, weights = basis.T @ measure @ basis, basis.T @ initial @ basis, basis.T @ weights
    kept = np.einsum("ij,ri,rj,ij->r", measure, p, p, initial)
    missed = np.einsum("ij,ri,rj,i,j->r", measure, left, left, weights, weights)
    return np.asarray((kept + missed + noise / samples * (q**2 * s) @ measure.diagonal() + noise) / 2)
