"""Full-batch training of a linear model on random labels, conditional on X (theory/derivations.md, section 1.1)."""

from __future__ import annotations

import numpy as np

from theory.arrays import power_of_two
from theory.eigenspaces import Eigenspaces, eigenspaces
from theory.errors import InvalidInput
from theory.linear.hypotheses import data_factor, init_variances, label_variance, not_linear, rows_not_fixed
from theory.linear.propagators import propagators, stability_limit
from theory.prediction import Form, PredictedReading, Prediction
from theory.rows import required_rows
from theory.setting import Setting

ASSUMPTIONS = (
    "conditional on the rows X",
    "linear model, squared error, full-batch gradient descent, heavy ball or Nesterov",
    "labels independent of X, independent over rows, mean zero; only their variance enters",
    "initial weights independent of the labels, mean zero",
)


def refusal(setting: Setting) -> str | None:
    """Why the form does not apply: the first hypothesis that fails; None if all hold."""
    if (reason := not_linear(setting) or rows_not_fixed(setting)) is not None:
        return reason
    if not setting.full_batch:
        return f"training.batch_size = {setting.training.batch_size}: this form is for the full batch"
    return None


def predict(setting: Setting, rows: np.ndarray | None) -> Prediction:
    """E[w wᵀ] of each output's weights, over labels and initial weights, for given rows X (n, d).

    With S = X'X/n, b = X'y/n and h = s + λ, w_t = p_t(S) w_0 + q_t(S) b (see `theory.linear.propagators`), hence

        Σ_w = p_t(S) Σ_0 p_t(S) + (σ_y²/n) S q_t(S)²,
        τ_i = σ_0² p_t(s_i)² + (σ_y²/n) s_i (1 − p_t(s_i))²/(s_i + λ)²   for isotropic Σ_0 = σ_0² I.

    Exact at every step, for any label law of these two moments. Normalisation: loss ½ · mean over rows, summed over
    outputs; standard σ_0² = v_1/d; ntk σ_0² = v_1 and S/d in place of S, with `sigma` still of the undivided x.
    Repeated and zero eigenvalues share one entry each; eigenvalues of S below its rounding error count as zero.
    E[w] = 0. With Gaussian labels and Gaussian initial weights w is Gaussian, N(0, Σ_w), and so is every set of
    outputs jointly (independent, except for one-hot classes, whose labels are not Gaussian); then N replicas of one
    output have a sample second moment with law Wishart(N, Σ_w)/N.

    Raises
    ------
    InvalidInput
        If the weights overflow by some step: the learning rate is beyond `stability_limit`, under which the
        prediction is bounded; above it, it stays exact as long as it is finite.
    """
    rows = required_rows(rows)
    samples, dimension = rows.shape
    spaces = eigenspaces(rows.T @ rows / samples)
    eigenvalues = np.where(spaces.eigenvalues <= spaces.gap, 0.0, spaces.eigenvalues)
    s = eigenvalues * data_factor(setting, dimension)
    h = s + setting.training.weight_decay
    p, q = propagators(setting.training, h, setting.training.readings)
    initial = _in_basis(init_variances(setting, dimension), spaces)
    with np.errstate(over="ignore", invalid="ignore"):
        labels = _taught(label_variance(setting.labels) / samples * s, q)
        readings = tuple(
            _reading(step, spaces, eigenvalues, initial, p_t, labels_t)
            for step, p_t, labels_t in zip(setting.training.readings, p, labels, strict=True)
        )
    for reading in readings:
        if reading.second_moment is None or not np.isfinite(reading.second_moment).all():
            limit = stability_limit(setting.training) / h.max()
            rule = f"makes the weights overflow by step {reading.step}: they stay bounded below {limit:.4g}"
            raise InvalidInput("training.learning_rate", setting.training.learning_rate, rule)
    return FORM.exact(readings)


def tau(setting: Setting, eigenvalues: np.ndarray, samples: int, dimension: int) -> np.ndarray:
    """τ(s) as a curve: at any eigenvalues s >= 0 of S, shape (k,) → (r, k), one row per reading of the setting.

    τ = σ_0² p_t(s)² + (σ_y²/n) s q_t(s)², as in `predict`, for n = `samples` and an isotropic init in d = `dimension`.
    Exact where S has the eigenvalue s. Raises InvalidInput for a negative s or an anisotropic init.
    """
    initial = init_variances(setting, dimension)
    if np.ptp(initial) > 0:
        raise InvalidInput(
            "network.init_spectrum", setting.network.init_spectrum, "must be isotropic: τ is no curve else"
        )
    if not np.all(eigenvalues >= 0):
        raise InvalidInput("eigenvalues", float(np.min(eigenvalues)), "must not be negative")
    s = eigenvalues * data_factor(setting, dimension)
    p, q = propagators(setting.training, s + setting.training.weight_decay, setting.training.readings)
    return initial[0] * p**2 + _taught(label_variance(setting.labels) / samples * s, q)


def _taught(slope: np.ndarray, q: np.ndarray) -> np.ndarray:
    """`slope` q², though q², of the order of the squared rate, may be too small or too large for a number."""
    power = power_of_two(float(np.max(np.abs(q))))
    return slope * (q / power) ** 2 * power * power


def _in_basis(variances: np.ndarray, spaces: Eigenspaces) -> np.ndarray:
    """Σ_0 in the eigenbasis of S, (d, d); only its diagonal, (d,), if isotropic."""
    if np.all(variances == variances[0]):
        return variances
    return spaces.basis.T @ (variances[:, None] * spaces.basis)


def _reading(
    step: int, spaces: Eigenspaces, eigenvalues: np.ndarray, initial: np.ndarray, p: np.ndarray, labels: np.ndarray
) -> PredictedReading:
    """Σ_w and τ from p_t and the label part, both (k,), one entry per eigenspace."""
    multiplicity = spaces.multiplicity
    factor, taught = np.repeat(p, multiplicity), np.repeat(labels, multiplicity)
    if initial.ndim == 1:
        diagonal = factor**2 * initial + taught
        root = spaces.basis * np.sqrt(diagonal)
        second_moment = root @ root.T  # exactly symmetric, at half the cost of a product of two matrices
    else:
        moment = factor[:, None] * initial * factor + np.diag(taught)
        diagonal = moment.diagonal()
        second_moment = spaces.basis @ moment @ spaces.basis.T
        second_moment = (second_moment + second_moment.T) / 2
    tau = np.array([diagonal[block].mean() for block in spaces.slices])
    return PredictedReading(step, np.sqrt(eigenvalues), multiplicity, tau, second_moment, np.zeros(spaces.dimension))


FORM = Form(
    name="linear-full-batch",
    title="linear model, full batch, conditional on X: Σ_w = p(S) Σ_0 p(S) + (σ_y²/n) S q(S)²",
    status="exact",
    assumptions=ASSUMPTIONS,
    refusal=refusal,
    predict=predict,
)
