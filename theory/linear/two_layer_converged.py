"""Two-layer linear networks trained to convergence from infinitesimal initial weights.

The limit is the balanced factorisation of the minimum-norm solution β = GS⁺: W_1ᵀW_1 → (βᵀβ)^½, provided that
m >= rank β (theory/derivations.md, section 1.6). τ falls like s^{−1/2}, not like the s^{−1} of a linear model.
"""

from __future__ import annotations

import numpy as np

from theory.errors import InvalidInput, NoClosedForm
from theory.linear.hypotheses import anisotropic_init, label_variance
from theory.linear.two_layer import not_two_layer_linear, reading, sample_spectrum, two_layer_constants
from theory.prediction import Form, Prediction
from theory.rows import required_rows
from theory.setting import Setting
from theory.setting.limits import require_updates

ERROR_BUDGET = 0.05  # the error budget of τ
ASSUMPTIONS = (
    "conditional on the rows X",
    "one hidden layer, identity activation, one output, squared error, full batch, both layers trained",
    "Gaussian labels, independent of X",
    "converged from small isotropic initial weights, at a small learning rate",
)
_SAFETY = 0.25  # β and b are random: where they are this fraction of their root mean square, training must be done too


def converged_moment(beta: np.ndarray) -> np.ndarray:
    """lim W_1ᵀW_1 = (βᵀβ)^½, (d, d), for the solution β (C, d) reached from infinitesimal initial weights.

    Exact for gradient flow in that limit, m >= rank β.

    >>> converged_moment(np.array([[3.0, 4.0]])).round(12).tolist()  # β βᵀ/|β|
    [[1.8, 2.4], [2.4, 3.2]]
    """
    _, modes, basis = np.linalg.svd(beta, full_matrices=False)
    return np.asarray((basis.T * modes) @ basis)


def converged_average(variances: np.ndarray) -> np.ndarray:
    """E[β_i²/|β|], (d,), for one output, β ~ N(0, diag ν), ν_i = σ_y²/(n s_i), 0 where s_i = 0.

        E[β_i²/|β|] = (1/√π) ∫_0^∞ dx/√x · ν_i/(1 + 2xν_i) · Π_j (1 + 2xν_j)^{−1/2}

    (from |β|^{−1} = (1/√π) ∫ x^{−1/2} e^{−x|β|²} dx). The trapezoid rule in log x, exact to rounding: the integrand is
    analytic and decays exponentially at both ends.

    >>> round(float(converged_average(np.array([2.0]))[0]), 12) == round(float(np.sqrt(4 / np.pi)), 12)  # E|β|, d = 1
    True
    """
    nu = np.asarray(variances, dtype=float)
    if nu.ndim != 1 or not np.all(nu >= 0) or not np.any(nu > 0) or not np.isfinite(nu).all():
        raise InvalidInput("variances", nu.tolist(), "must be (d,), finite, none negative, not all zero")
    top = float(nu.max())
    # x = e^{2z}, dx/√x = 2 e^z dz; beyond |z| = 40 + log of the spread nothing is left
    unit = nu / top
    reach = 40 - 0.5 * np.log(unit[unit > 0].min())
    z, step = np.linspace(-40, reach, int(16 * (40 + reach)) + 1, retstep=True)
    spread = 1 + 2 * np.exp(2 * z)[:, None] * unit
    weight = np.exp(z - 0.5 * np.log(spread).sum(axis=1)) * 2 * step / np.sqrt(np.pi)
    return np.asarray(np.sqrt(top) * (weight @ (unit / spread)))


def refusal(setting: Setting) -> str | None:
    """Why the form does not apply: the first hypothesis that fails; None if all hold."""
    network, training, labels = setting.network, setting.training, setting.labels
    if (reason := not_two_layer_linear(setting)) is not None:
        return reason
    if network.train != "all":
        return "network.train = 'first': this form is for both layers"
    if labels.kind != "gaussian" or labels.outputs != 1:
        return f"labels: {labels.kind}, {setting.outputs} outputs: the average is known for one Gaussian output"
    if (reason := anisotropic_init(setting)) is not None:
        return reason
    if training.momentum or training.weight_decay:
        return "training.momentum, training.weight_decay: derived for gradient flow"
    return None


def predict(setting: Setting, rows: np.ndarray | None) -> Prediction:
    """Σ_w = E[(βᵀβ)^½]/m at the end of training, for given rows X (n, d): `converged_average`; σ_1² where s_i = 0.

    The null space of S gets no gradient, so there τ = σ_1² exactly. Of leading order in the initial variances and in
    the learning rate; error budget 5 % of τ. Σ_w is aligned with S.

    Raises
    ------
    NoClosedForm
        If at some step training has not converged, or the initial weights or the learning rate are not small: see
        `_not_converged`.
    """
    rows = required_rows(rows)
    samples, dimension = rows.shape
    net, (spaces, eigenvalues) = two_layer_constants(setting, dimension), sample_spectrum(rows)
    s = net.factor * np.repeat(eigenvalues, spaces.multiplicity)
    first, second = float(net.initial[0]), net.output_variance
    variance = label_variance(setting.labels)
    if not s.max() > 0 or variance == 0:
        raise NoClosedForm("rows", "S = 0" if variance else "labels = 0", "no closed form: nothing is learnt")
    seen = s > 0
    nu = np.divide(variance / samples, s, out=np.zeros_like(s), where=seen)
    tau = np.where(seen, converged_average(nu) / net.width, first)
    size = max(first, second) / tau[seen].min()
    require_updates(setting.training.readings[-1])
    for step in setting.training.readings:
        time = sum(setting.training.learning_rate_at(k) for k in range(step))
        fastest = setting.training.learning_rate * s.max() * np.sqrt(nu.sum())
        reason = _not_converged(s[seen], nu.sum(), variance / samples, net.width * (first + second), time)
        if size > ERROR_BUDGET / 2:
            reason = f"the initial variances are {size:.2g} of the smallest τ"
        elif fastest > 2 * ERROR_BUDGET:
            reason = f"the learning rate times the curvature at the solution is {fastest:.2g}"
        if reason is not None:
            raise NoClosedForm("training.steps", step, f"no closed form of the converged network: {reason}")
    readings = tuple(
        reading(step, spaces, eigenvalues, (spaces.basis * tau) @ spaces.basis.T) for step in setting.training.readings
    )
    neglected = (
        "the initial variances beside the learnt weights",
        "the finite learning rate",
        "what is not yet learnt",
    )
    order = "init variance + learning rate"
    return FORM.asymptotic(readings, order=order, error_budget=ERROR_BUDGET, neglected=neglected)


def _not_converged(s: np.ndarray, norm: float, label: float, start: float, time: float) -> str | None:
    """Why a network with typical labels has not converged at flow time t; None if it has.

    From weights |p_0|² = `start` a mode g = |b| saturates at t_p = log(4|β|/|p_0|²)/(2g), and after that the slowest
    direction decays as e^{−s_min|β|(t − t_p)}. Both are taken for labels a quarter of their typical size.
    """
    beta, b = _SAFETY * np.sqrt(norm), _SAFETY * np.sqrt(label * s.sum())
    plateau = np.log(max(4 * beta / start, 1.0)) / (2 * b) if start > 0 else np.inf
    done = s.min() * beta * (time - plateau)
    if done >= 4:
        return None
    return f"training for t = {time:.3g} leaves e^-{max(done, 0):.2g} of the slowest direction, after t = {plateau:.3g}"


FORM = Form(
    name="two-layer-converged",
    title="two-layer linear network, converged from a small init, one output: Σ_w = E[(βᵀβ)^½]/m",
    status="asymptotic",
    assumptions=ASSUMPTIONS,
    refusal=refusal,
    predict=predict,
)
