"""Epochs of shuffled rows in closed form, at epoch ends (theory/derivations.md, section 1.2).

To second order in the learning rate an epoch of K batches is K steps of full-batch descent on a modified quadratic, the
effect of arXiv:2101.12176 with its covariance of batches, plus noise that cancels within the epoch except for the
effect of its path:

    S̃ = S + λ + (η/2) C_H,   C_H = κ'(X'DX/n − S²),   D = diag ‖x_i‖²,   κ' = (n − B)/((n − 1)B),
    M = [X' + (η/2) κ'(X'D − S X')]/n,   G = (1 − (1 − ηS̃)^t) S̃⁻¹ M,   t = epochs · K,
    Σ_w ≈ (1 − ηS̃)^t Σ_0 (1 − ηS̃)^t + σ_y² G Gᵀ + V diag(u) Vᵀ.

Within an epoch the noise of batch j is −1/(K − 1) correlated with that of any other, a bridge; with a = 1 − η(s + λ)

    u_i' = a_i^{2K} u_i + η² C_ii [K/(K−1) · (1 − a_i^{2K})/(1 − a_i²) − 1/(K−1) · ((1 − a_i^K)/(1 − a_i))²]
           + (η⁴K²/12) κ' [Σ_m x_m (x_mᵀ C x_m) x_mᵀ/n − S C S]_ii        per epoch,

C = κ'[X' diag(R) X/n − X' R X/n²] with the residuals R of full-batch descent at the start of the epoch.
"""

from __future__ import annotations

import numpy as np

from theory.errors import NoClosedForm
from theory.linear.eigenbasis import Eigenbasis, in_eigenbasis
from theory.linear.hypotheses import anisotropic_init
from theory.linear.mini_batch import batch_noise, batch_variance, residual_moment
from theory.linear.shuffled import ASSUMPTIONS, not_shuffled
from theory.prediction import Form, Prediction
from theory.rows import required_rows
from theory.setting import Setting

LARGEST_EPOCH = 1.0  # the largest η K s_max: beyond it an epoch is no small step
LARGEST_START = 5.0  # the largest σ_0² tr S / σ_y²: beyond it the start dominates the residuals
FEWEST_EPOCHS, FEWEST_EPOCHS_OF_FEW_ROWS = 3, 10
BUDGET = 0.03  # the error budget of τ: at most 1.4 % was measured


def refusal(setting: Setting) -> str | None:
    """Why the form does not apply: the first hypothesis that fails; None if all hold."""
    if (reason := not_shuffled(setting)) is not None:
        return reason
    training, samples = setting.training, setting.data.sample_count
    if training.momentum != 0:
        return f"training.momentum = {training.momentum:g}: derived without momentum"
    if training.drops:
        return "training.drops: derived for one learning rate"
    if (reason := anisotropic_init(setting)) is not None:
        return reason
    if samples % setting.batch_rows:
        return f"training.batch_size = {training.batch_size}: must divide data.samples = {samples}"
    k = setting.batches_per_epoch
    if any(step % k or 0 < step < FEWEST_EPOCHS * k for step in training.readings):
        return f"training.steps: must be ends of epochs ({k} steps each), the third or a later one"
    return None


def predict(setting: Setting, rows: np.ndarray | None) -> Prediction:
    """E[w wᵀ] of each output's weights at epoch ends, for given rows X (n, d), by the formulas above.

    Asymptotic: the error of τ falls as η² at fixed ηt and K, and stays below 3 % in the regime (at most 1.4 % was
    measured; tests/theory/linear/test_shuffled_ends.py has the table). Plain descent with weight decay, isotropic init,
    B | n, from the third epoch on, the tenth if n <= 2d. Cost O(n d²) per epoch. Normalisation as in the full-batch
    form. E[w] = 0.

    Raises
    ------
    NoClosedForm
        If ηK s_max > 1, since an epoch is then not a small step; and if σ_0² tr S > 5 σ_y² or too early, since the
        residuals then change within an epoch, and the noise computed at its start is wrong. `theory.linear.shuffled`
        has no such limits.
    """
    rows = required_rows(rows)
    basis = in_eigenbasis(setting, rows)
    _require_regime(basis)
    moments = epoch_end_moments(basis)
    readings = tuple(map(basis.reading, setting.training.readings, moments))
    neglected = (
        "higher powers of the learning rate in the mean path over an epoch",
        "the off-diagonal entries of the batch covariance in the eigenbasis",
    )
    return FORM.asymptotic(readings, order="η²", error_budget=BUDGET, neglected=neglected)


def _require_regime(basis: Eigenbasis) -> None:
    """Raise NoClosedForm outside the regime in which the error was measured."""
    training, k = basis.setting.training, basis.setting.batches_per_epoch
    advice = "linear-shuffled has no such limit"
    length = training.learning_rate * k * float(basis.s[-1])
    if length > LARGEST_EPOCH:
        rule = f"η K s_max = {length:.3g} exceeds {LARGEST_EPOCH:g}: an epoch is no small step; {advice}"
        raise NoClosedForm("training.learning_rate", training.learning_rate, rule)
    start = float(basis.initial.diagonal() @ basis.s)
    if start > LARGEST_START * basis.sigma_y2:
        rule = f"σ_0² tr S = {start:.3g} exceeds {LARGEST_START:g} σ_y²: the start dominates the residuals; {advice}"
        raise NoClosedForm("network.init_variance", basis.setting.network.init_variance, rule)
    few = basis.samples <= 2 * len(basis.s)
    early = [step for step in training.readings if 0 < step < FEWEST_EPOCHS_OF_FEW_ROWS * k]
    if few and early:
        rule = f"with n <= 2d not before epoch {FEWEST_EPOCHS_OF_FEW_ROWS} ({k} steps each); {advice}"
        raise NoClosedForm("training.steps", early[0], rule)


def epoch_end_moments(basis: Eigenbasis, *, noise: bool = True) -> np.ndarray:
    """Σ_w (t, d, d) in the eigenbasis at every reading, which must be ends of epochs; does not check the regime.

    `noise`: whether to add V diag(u) Vᵀ to the modified mean path.
    """
    training, reached, k = basis.setting.training, basis.reached, basis.setting.batches_per_epoch
    values, vectors, teacher = modified_descent(basis)
    u = bridge_noise(basis, training.readings[-1] // k)
    moments = []
    for step in training.readings:
        logarithm = step * np.log1p(-training.learning_rate * values)
        p, q = np.exp(logarithm), -np.expm1(logarithm) / values
        answers = (vectors * q) @ vectors.T @ teacher
        untaught = (1 - training.learning_rate * basis.h) ** step
        moment = untaught[:, None] * basis.initial * untaught
        propagator = (vectors * p) @ vectors.T
        moment[reached, reached] = propagator @ basis.initial[reached, reached] @ propagator
        moment[reached, reached] += basis.sigma_y2 * answers @ answers.T
        if noise:
            moment[reached, reached] += np.diag(u[step // k])
        moments.append(moment)
    return np.array(moments)


def modified_descent(basis: Eigenbasis) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eigenvalues (r,) and eigenvectors (r, r) of S̃ on the reached directions, and M (r, n)."""
    x, n, reached = basis.rows, basis.samples, basis.reached
    s, eta = basis.s[reached], basis.setting.training.learning_rate
    half = eta / 2 * batch_variance(basis.setting) / n
    norms = np.sum(x**2, axis=1)
    quadratic = half * (x.T @ (norms[:, None] * x) / n - np.diag(s**2)) + np.diag(basis.h[reached])
    teacher = (x.T + half * (x.T * norms - s[:, None] * x.T)) / n
    values, vectors = np.linalg.eigh(quadratic)
    return values, vectors, teacher


def bridge_noise(basis: Eigenbasis, count: int) -> np.ndarray:
    """u (count + 1, r) after 0, 1, …, `count` epochs along the reached directions."""
    training, x, n, reached = basis.setting.training, basis.rows, basis.samples, basis.reached
    eta, s, k = training.learning_rate, basis.s[reached], basis.setting.batches_per_epoch
    kappa = batch_variance(basis.setting)
    a = 1 - eta * basis.h[reached]
    once, twice = _geometric(a, k), _geometric(a**2, k)
    bridge = k / (k - 1) * twice - once**2 / (k - 1)
    u = np.zeros((count + 1, len(s)))
    for epoch, path in enumerate(basis.full_batch_path(0, count * k, stride=k)):
        c = kappa * batch_noise(x, s, residual_moment(basis, *path), basis.sigma_y2)
        fourth = np.mean(x**2 * np.einsum("mi,ij,mj->m", x, c, x, optimize=True)[:, None], axis=0) - s**2 * c.diagonal()
        u[epoch + 1] = (
            a ** (2 * k) * u[epoch] + eta**2 * c.diagonal() * bridge + eta**4 * k**2 / 12 * kappa / n * fourth
        )
    return u


def _geometric(a: np.ndarray, count: int) -> np.ndarray:
    """Σ_{j<count} a^j, count at a = 1."""
    return np.polynomial.polynomial.polyval(a, np.ones(count))


FORM = Form(
    name="linear-shuffled-ends",
    title="linear model, shuffled epochs, conditional on X, at epoch ends: modified quadratic plus bridge noise",
    status="asymptotic",
    assumptions=ASSUMPTIONS,
    refusal=refusal,
    predict=predict,
)
