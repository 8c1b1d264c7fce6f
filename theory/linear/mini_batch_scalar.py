"""Mini-batches of fixed rows by d numbers: the covariance recursion closed on its diagonal (derivations, section 1.2).

The exact recursion (`theory.linear.mini_batch`) updates a full matrix and needs every row at every step. If the
residuals of rows are nearly independent of their directions, d numbers u_i = v_iᵀ U v_i suffice:

    u_i' = a_i² u_i + (η²κ_B/n) [s_i r̄ − s_i ρ_i/n + 2 s_i² (τ_i^GD + u_i − (2σ_y²/n) q_i)],
    ρ_i = n s_i (τ_i^GD + u_i) − 2σ_y² s_i q_i + σ_y²,   r̄ = (Σ_{s_i>0} ρ_i + (n − r)σ_y²)/n,   a_i = 1 − ηh_i.

The last term is the fourth moment of Gaussian rows.
"""

from __future__ import annotations

import numpy as np

from theory.errors import NoClosedForm
from theory.linear.eigenbasis import Eigenbasis, in_eigenbasis
from theory.linear.hypotheses import LEAST_BUDGET, anisotropic_init
from theory.linear.mini_batch import ASSUMPTIONS, batch_variance, not_independent_batches
from theory.prediction import Form, Prediction
from theory.rows import required_rows
from theory.setting import Setting

LARGEST_NOISE = 0.5  # the largest batch noise ηκ_B tr(S)/n: no error was measured beyond it
HEAVIEST_TAIL = 1.1  # the largest E‖x‖⁴ over that of Gaussian rows: beyond it residuals follow the norms of the rows
# The error budget of τ over the batch noise ηκ_B tr(S)/n, with the Gaussian term (True) and without.
BUDGET = {True: 0.25, False: 0.8}


def refusal(setting: Setting) -> str | None:
    """Why the form does not apply: the first hypothesis that fails; None if all hold."""
    if (reason := not_independent_batches(setting)) is not None:
        return reason
    if setting.training.momentum != 0:
        return f"training.momentum = {setting.training.momentum:g}: derived without momentum"
    return anisotropic_init(setting)


def gaussian_term(setting: Setting, dimension: int) -> bool:
    """Whether the fourth moment of Gaussian rows is used: Gaussian data without a mean, and n > 2d rows of them."""
    data = setting.data
    return data.kind == "gaussian" and not data.law_mean and data.sample_count > 2 * dimension


def predict(setting: Setting, rows: np.ndarray | None) -> Prediction:
    """τ of each output's weights for given rows X (n, d), by the recursion in the module's docstring: O(d) per step.

    Asymptotic, with the batch noise ε = ηκ_B tr(S)/n (largest learning rate of the schedule): the error of τ is O(ε) at
    fixed ηt, for Gaussian rows O(ε/√n). The residuals' dependence on direction is kept for Gaussian rows only (n > 2d),
    and U is taken as diagonal. The budget is ε/4 with the Gaussian term, 0.8 ε without, and at least 2 %. Isotropic
    init, no momentum; decay and learning-rate drops are covered. `second_moment` is None: the form does not give the
    matrix. Normalisation as in the full-batch form.

    Raises
    ------
    NoClosedForm
        If ε > 0.5, or E‖x‖⁴ of the rows is more than 1.1 times that of Gaussian rows, (tr S)² + 2 tr S²: with heavy
        tails residuals follow the norms of the rows.
    """
    rows = required_rows(rows)
    basis = in_eigenbasis(setting, rows)
    gaussian = gaussian_term(setting, rows.shape[1])
    training, n = setting.training, basis.samples
    rate = max(map(training.learning_rate_at, (0, *(k for k, _ in training.drops))))
    strength = rate * batch_variance(setting) * float(basis.s.sum()) / n
    if strength > LARGEST_NOISE:
        rule = f"the batch noise η κ_B tr(S)/n = {strength:.3g} exceeds {LARGEST_NOISE}: no scalar reduction"
        raise NoClosedForm("training.learning_rate", training.learning_rate, rule)
    if (tail := heaviness(basis)) > HEAVIEST_TAIL:
        rule = f"E|x|^4 is {tail:.3g} times that of Gaussian rows, more than {HEAVIEST_TAIL}: no scalar reduction"
        raise NoClosedForm("rows", f"array of shape {rows.shape}", rule)
    neglected = (
        "the off-diagonal entries of the batch covariance in the eigenbasis",
        "how residuals depend on the rows' directions" + (", beyond Gaussian fourth moments" if gaussian else ""),
    )
    readings = tuple(
        basis.diagonal_reading(t, tau)
        for t, tau in zip(setting.training.readings, scalar_path(basis, gaussian), strict=True)
    )
    budget = max(LEAST_BUDGET, BUDGET[gaussian] * strength)
    return FORM.asymptotic(readings, order="η", error_budget=budget, neglected=neglected)


def heaviness(basis: Eigenbasis) -> float:
    """E‖x‖⁴ over the rows, divided by its value for Gaussian rows of the same S, (tr S)² + 2 tr S²; 1 without rows."""
    norms = np.sum(basis.rows**2, axis=1)
    gaussian = basis.s.sum() ** 2 + 2 * np.sum(basis.s**2)
    return float(np.mean(norms**2) / gaussian) if gaussian > 0 else 1.0


def scalar_path(basis: Eigenbasis, gaussian: bool) -> list[np.ndarray]:
    """τ (d,) at every reading of the setting, ascending."""
    training, n, s, variance = basis.setting.training, basis.samples, basis.s, basis.sigma_y2
    kappa, rank = batch_variance(basis.setting), basis.rows.shape[1]
    initial, u, found, step = basis.initial.diagonal(), np.zeros_like(s), [], 0
    for reading in training.readings:
        for p, q, labels in basis.full_batch_path(step, reading):
            eta = training.learning_rate_at(step)
            tau = p**2 * initial + labels + u
            rho = n * s * tau - 2 * variance * s * q + variance
            mean = (rho[s > 0].sum() + (n - rank) * variance) / n
            bracket = s * mean - s * rho / n
            if gaussian:
                bracket += 2 * s**2 * (tau - 2 * variance / n * q)
            u = (1 - eta * basis.h) ** 2 * u + eta**2 * kappa / n * bracket
            step += 1
        p, _, labels = (path[0] for path in basis.full_batch((reading,)))
        found.append(p**2 * initial + labels + u)
    return found


FORM = Form(
    name="linear-mini-batch-scalar",
    title="linear model, a new batch at every step, conditional on X: the recursion of the diagonal alone",
    status="asymptotic",
    assumptions=ASSUMPTIONS,
    refusal=refusal,
    predict=predict,
)
