"""Mini-batches drawn anew at every step, averaged over Gaussian rows: between full-batch training and online training.

Given X, the diagonal of Σ_w in the eigenbasis of S nearly obeys a recursion in its eigenvalues alone
(`theory.linear.mini_batch_scalar`, theory/derivations.md, section 1.2): a function of S, so the contour integral of
`theory.linear.equivalent` averages it. Run at every node z of the contour, with g and q of full-batch training,

    u' = (1 − η(z + λ))² u + (η²κ_B/n) [z r̄ − zρ/n + 2z² (g + u − (2σ_y²/n) q)],
    ρ = n z (g + u) − 2σ_y² z q + σ_y²,      r̄ = (tr ρ + (n − d) σ_y²)/n,

where the nodes are coupled by tr ρ = Σ_j (1/2πi) ∮ ρ(z) u_j(z)/z dz alone; τ is the contour integral of g + u.
"""

from __future__ import annotations

import numpy as np

from theory.errors import InvalidInput, NoClosedForm
from theory.linear.averaged import (
    LEADING,
    averaged_variances,
    contour_margin,
    not_linear_on_gaussian_rows,
    parameter,
    unstable,
)
from theory.linear.equivalent import MOST_NODES, contours, resolvent, settled, upper_edge
from theory.linear.hypotheses import LEAST_BUDGET, init_variances, label_variance
from theory.linear.mini_batch import batch_variance
from theory.linear.population import population_readings, population_spectrum
from theory.prediction import Form, Prediction
from theory.setting import Setting, Training
from theory.setting.limits import require_updates

ASSUMPTIONS = (
    "averaged over independent Gaussian rows, centred",
    "linear model, squared error, gradient descent, independent batches",
    "labels independent of X, independent over rows, mean zero; only their variance enters",
    "initial weights isotropic, independent of rows and labels, mean zero",
)
LARGEST_NOISE = 0.5  # the largest batch noise ηκ_B tr(Σ)/n: no error was measured beyond it
# The error budget of τ over the batch noise ηκ_B tr(Σ)/n, with the Gaussian term (True) and without.
BUDGET = {True: 0.25, False: 0.8}
STABLE = 1e-9  # the change, relative to the largest τ, below which the nodes are not doubled again


def refusal(setting: Setting) -> str | None:
    """Why the form does not apply: the first hypothesis that fails; None if all hold."""
    if (reason := not_linear_on_gaussian_rows(setting)) is not None:
        return reason
    if setting.full_batch:
        return "training.batch_size: every batch is all rows; linear-averaged is for the full batch"
    if setting.training.sampling == "epochs":
        return 'training.sampling = "epochs": batches of an epoch are not independent'
    if setting.training.momentum != 0:
        return f"training.momentum = {setting.training.momentum:g}: derived without momentum"
    if (noise := noise_strength(setting)) > LARGEST_NOISE:
        return f"training.learning_rate: the batch noise η κ_B tr Σ/n = {noise:.3g} exceeds {LARGEST_NOISE}"
    return unstable(setting)


def noise_strength(setting: Setting) -> float:
    """ε = η κ_B tr Σ/n at the largest learning rate."""
    training, samples = setting.training, setting.data.sample_count
    rate = max(training.learning_rate_at(step) for step in (0, *(step for step, _ in training.drops)))
    return rate * batch_variance(setting) * float(population_spectrum(setting).sum()) / samples


def predict(setting: Setting, rows: np.ndarray | None = None) -> Prediction:
    """τ averaged over X, batches and labels; O(nodes) per step.

    Asymptotic: the budget adds that of the recursion in eigenvalues, ε/4 for n > 2d (0.8 ε without the Gaussian term,
    which is taken for n > 2d only), to that of the average over X to leading order; 2 % at least.

    Raises
    ------
    NoClosedForm
        If the mean square grows beyond the range of numbers, or n is too small for an expansion in 1/n.
    """
    s, samples = population_spectrum(setting), setting.data.sample_count
    sigma_y2, initial = label_variance(setting.labels), float(init_variances(setting, len(s))[0])
    gaussian = samples > 2 * np.count_nonzero(s)
    tau = mini_batch_variances(
        setting.training,
        s,
        samples=samples,
        sigma_y2=sigma_y2,
        initial=initial,
        kappa=batch_variance(setting),
        gaussian_term=bool(gaussian),
    )
    leading, correction = averaged_variances(setting.training, s, samples=samples, sigma_y2=sigma_y2, initial=initial)
    if not np.isfinite(tau).all():
        raise NoClosedForm("training.learning_rate", setting.training.learning_rate, "makes the mean square overflow")
    budget = max(
        LEAST_BUDGET,
        BUDGET[bool(gaussian)] * noise_strength(setting) + LEADING * parameter(setting, leading, correction),
    )
    neglected = (
        "terms of relative order 1/n of the average over X",
        "the off-diagonal entries of the batch covariance in the eigenbasis of XᵀX/n",
        "how residuals depend on the rows' directions" + (", beyond Gaussian fourth moments" if gaussian else ""),
    )
    return FORM.asymptotic(population_readings(setting, tau), order="1/n", error_budget=budget, neglected=neglected)


def mini_batch_variances(
    training: Training,
    s: np.ndarray,
    *,
    samples: int,
    sigma_y2: float,
    initial: float,
    kappa: float,
    gaussian_term: bool,
) -> np.ndarray:
    """τ in the eigendirections of Σ at each step of `training`, (r, d); nodes doubled until stable to 1e-9.

    `kappa` = 0 gives the full batch, κ_B the batches of the module docstring.
    """
    levels, back, counts = np.unique(np.asarray(s, dtype=float), return_inverse=True, return_counts=True)
    margin = contour_margin(training, upper_edge(s, samples).position)
    before: np.ndarray | None = None
    for path in contours(s, samples, margin):
        kernel = resolvent(path, s, samples, levels)[0] * path.weight[:, None]
        tau = np.stack(
            _run(training, path.z, kernel, kernel @ counts, len(back), samples, sigma_y2, initial, kappa, gaussian_term)
        )
        if before is not None and (not np.isfinite(tau).all() or settled(before, tau, STABLE)):
            return tau[:, back]
        before = tau
    raise InvalidInput("training.steps", training.readings[-1], f"needs more than {MOST_NODES} nodes on the contour")


def _run(
    training: Training,
    z: np.ndarray,
    kernel: np.ndarray,
    trace: np.ndarray,
    dimension: int,
    samples: int,
    sigma_y2: float,
    initial: float,
    kappa: float,
    gaussian_term: bool,
) -> list[np.ndarray]:
    """The recursion on the nodes z (m,); `kernel` (m, k) and `trace` (m,) integrate at each eigenvalue and over all."""
    require_updates(training.readings[-1])
    h, u = z + training.weight_decay, np.zeros_like(z)
    p, q = np.ones_like(z), np.zeros_like(z)
    found, wanted = [], set(training.readings)
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(training.readings[-1] + 1):
            g = initial * p**2 + sigma_y2 / samples * z * q**2
            if step in wanted:
                found.append(((g + u) @ kernel).imag)
            eta = training.learning_rate_at(step)
            rho = samples * z * (g + u) - 2 * sigma_y2 * z * q + sigma_y2
            mean = ((rho @ trace).imag + (samples - dimension) * sigma_y2) / samples
            bracket = z * mean - z * rho / samples
            if gaussian_term:
                bracket += 2 * z**2 * (g + u - 2 * sigma_y2 / samples * q)
            a = 1 - eta * h
            u = a**2 * u + eta**2 * kappa / samples * bracket
            p, q = a * p, a * q + eta
    return found


FORM = Form(
    name="linear-averaged-mini-batch",
    title="linear model, a new batch at every step, averaged over Gaussian X: the scalar recursion on a contour",
    status="asymptotic",
    assumptions=ASSUMPTIONS,
    refusal=refusal,
    predict=predict,
)
