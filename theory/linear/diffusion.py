"""Online training as a diffusion: two stochastic differential equations, and their errors.

With T = Σ_k η_k, both have Σ_w diagonal in the eigenbasis of Σ, with variances p_i (the Lyapunov equation)

    additive noise (Mandt, Hoffman and Blei, arXiv:1704.04289)    dp_i/dT = −2 h_i p_i + (η/B) σ_y² s_i,
    noise of the state                                            dp_i/dT = −2 h_i p_i + η N_i(p),

N_i the gradient noise of `theory.linear.online`. At rest p_i = ησ_y² s_i/(2B h_i), and 2 h_i p_i = η N_i.

The exact recursion is the second equation up to a relative O(η). w_0 is damped by (1 − ηh)^{2t} against e^{−2u},
u = hT: a relative ηhu less. A kick of noise, of age T', is not damped within its own step: a relative ηh (1 − hT')
more, which at rest is ηh/2 on average. With ω the share of the initial weights in p, p is off by at most ηh (1 + uω),
and the weights' own noise feeds back a share φ < ½ (`theory.linear.online.feedback`) of every error. So the budget of
the second form is 1.5 ηh (1 + uω)/(1 − φ), the largest over directions and readings. The first also neglects the noise
from the weights themselves, a share Σ_j s_j p_j/σ_y² of the labels' noise, O(η) at rest. Its effect on p is the
difference between the two equations, and is added to the budget.
"""

from __future__ import annotations

import msgspec
import numpy as np
from scipy.special import exprel

from theory.arrays import power_of_two
from theory.linear import online
from theory.linear.flow import flow_time
from theory.linear.hypotheses import LEAST_BUDGET, init_variances, label_variance
from theory.linear.population import fourth_moment_ratio, population_readings, population_spectrum
from theory.linear.propagators import constant_stretches
from theory.prediction import Form, Prediction
from theory.setting import Setting, Training

ASSUMPTIONS = (*online.ASSUMPTIONS[:2], "linear model, squared error, plain gradient descent", *online.ASSUMPTIONS[3:])
LARGEST_RATE = 0.5  # the largest ηh: beyond it (1 − ηh)² is nothing like e^{−2ηh}
# The largest share φ of an error that the weights' own noise feeds back: from 1 on the mean square is unbounded.
LARGEST_FEEDBACK = 0.5
# What both diffusions neglect, in words.
DISCRETE = (
    "the discreteness of steps: relative order ηh (1 + hT times the share of the initial weights), h = s + decay, "
    "T the sum of learning rates"
)


def refusal(setting: Setting) -> str | None:
    """Why the form does not apply: the first hypothesis that fails; None if all hold."""
    if (reason := online.refusal(setting)) is not None:
        return reason
    training = setting.training
    if training.momentum != 0:
        return f"training.momentum = {training.momentum:g}: the diffusion is that of plain gradient descent"
    if (
        largest := _largest_rate(training) * (population_spectrum(setting).max() + training.weight_decay)
    ) > LARGEST_RATE:
        return f"training.learning_rate = {training.learning_rate:g}: ηh = {largest:.3g} exceeds {LARGEST_RATE}"
    if (returned := _feedback(setting)) > LARGEST_FEEDBACK:
        return f"training.learning_rate = {training.learning_rate:g}: φ = {returned:.3g} exceeds {LARGEST_FEEDBACK}"
    return None


def predict(setting: Setting, rows: np.ndarray | None = None) -> Prediction:
    """p of the equation whose noise depends on the state; relative error O(η), budget as above."""
    p = _variances(setting, state_dependent=True)
    budget = max(LEAST_BUDGET, 1.5 * _discretisation(setting, p))
    neglected = (DISCRETE,)
    return FORM.asymptotic(population_readings(setting, p), order="eta", error_budget=budget, neglected=neglected)


def predict_additive(setting: Setting, rows: np.ndarray | None = None) -> Prediction:
    """p of the equation with the labels' noise alone; relative error O(η) at rest, budget as above."""
    p, better = _variances(setting, state_dependent=False), _variances(setting, state_dependent=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        forgotten = float(np.max(np.where(better == p, 0.0, np.abs(better / p - 1))))
    budget = max(LEAST_BUDGET, (1 + forgotten) * (1 + 1.5 * _discretisation(setting, better)) - 1)
    neglected = (
        "the noise that the weights add to the gradient",
        DISCRETE,
    )
    return ADDITIVE.asymptotic(population_readings(setting, p), order="eta", error_budget=budget, neglected=neglected)


def diffusion_variances(
    training: Training,
    s: np.ndarray,
    initial: np.ndarray,
    *,
    batch_size: int,
    sigma_y2: float,
    k4: float = 1.0,
    state_dependent: bool = True,
) -> np.ndarray:
    """p_i at each of the r steps of `training`, (r, d): the linear equations solved exactly between drops.

    dp/dT = A p + b with symmetric A = −2 diag(h) + (η/B) [(2k_4 − 1) diag(s²) + k_4 s sᵀ] (the bracket is dropped for
    additive noise) and b = (η/B) σ_y² s. Arguments as `theory.linear.online.variances`.

    >>> p = diffusion_variances(
    ...     Training(learning_rate=0.1, steps=1000), np.array([1.0]), np.array([1.0]), batch_size=1, sigma_y2=1.0,
    ...     state_dependent=False,
    ... )
    >>> p.round(12).tolist()
    [[0.05]]
    """
    s = np.asarray(s, dtype=float)
    p, found, done = np.array(initial, dtype=float), np.empty((len(training.readings), len(s))), 0
    seen = s > 0  # the others are damped, and nothing else
    x = s[seen]
    for row, step in enumerate(training.readings):
        for start, stop in constant_stretches(training, done, step):
            rate = training.learning_rate_at(start)
            time = rate * (stop - start)
            drift, source = -2 * np.diag(x + training.weight_decay), rate / batch_size * sigma_y2 * x
            if state_dependent:
                drift += rate / batch_size * (np.diag((2 * k4 - 1) * x**2) + k4 * np.outer(x, x))
            values, vectors = np.linalg.eigh(drift)
            with np.errstate(over="ignore", invalid="ignore"):
                grown = np.exp(values * time) * (vectors.T @ p[seen])
                p[seen] = vectors @ (grown + time * exprel(values * time) * (vectors.T @ source))
            p[~seen] *= np.exp(-2 * training.weight_decay * time)
        found[row], done = p, step
    return found


def stationary_additive(
    rate: float, s: np.ndarray, *, batch_size: int, sigma_y2: float, decay: float = 0.0
) -> np.ndarray:
    """p = η σ_y² s/(2B h), h = s + λ: where additive noise settles; 0 where s = 0. Relative error O(η).

    For Gaussian x, λ = 0: 1 − p/p^exact = η [(s/2)(1 + 1/B) + tr Σ/(2B)] + O(η²).

    >>> stationary_additive(0.1, np.array([1.0, 3.0]), batch_size=5, sigma_y2=2.0).round(12).tolist()
    [0.02, 0.02]
    """
    s = np.asarray(s, dtype=float)
    return rate * sigma_y2 / (2 * batch_size) * np.where(s > 0, s / np.where(s > 0, s + decay, 1.0), 0.0)


def stationary_state_dependent(
    rate: float, s: np.ndarray, *, batch_size: int, sigma_y2: float, k4: float = 1.0, decay: float = 0.0
) -> np.ndarray:
    """p with 2 h_i p_i = η N_i(p): that of `theory.linear.online.stationary` with c_i = η/(2 h_i). Error O(η).

    1 − p/p^exact = ηh/2 + O(η²).

    >>> stationary_state_dependent(0.1, np.array([1.0]), batch_size=5, sigma_y2=2.0).round(6).tolist()
    [0.020408]
    """
    power = power_of_two(float(np.max(s, initial=0)))
    s, rate, decay = np.asarray(s, dtype=float) / power, rate * power, decay / power  # so that no square overflows
    c = rate / 2 * np.where(s > 0, 1 / np.where(s > 0, s + decay, 1.0), 0.0)
    below = 1 - (2 * k4 - 1) * c * s**2 / batch_size
    phi = k4 * np.sum(c * s**2 / batch_size / below)
    return np.asarray(c * s * sigma_y2 / batch_size / ((1 - phi) * below) / power)


def _variances(setting: Setting, *, state_dependent: bool) -> np.ndarray:
    s = population_spectrum(setting)
    return diffusion_variances(
        setting.training,
        s,
        init_variances(setting, len(s)),
        batch_size=setting.batch_rows,
        sigma_y2=label_variance(setting.labels),
        k4=fourth_moment_ratio(setting.data),
        state_dependent=state_dependent,
    )


def _discretisation(setting: Setting, p: np.ndarray) -> float:
    """max over directions and readings of ηh (1 + hT ω)/(1 − φ), ω = p_0 e^{−2hT}/p."""
    training, s = setting.training, population_spectrum(setting)
    h = s + training.weight_decay
    worst = 0.0
    for step, row in zip(training.readings, p, strict=True):
        u = h * flow_time(training, step)
        start = init_variances(setting, len(s)) * np.exp(-2 * u)
        share = np.where(row > 0, start / np.where(row > 0, row, 1.0), 0.0)
        worst = max(worst, float(np.max(_largest_rate(training) * h * (1 + u * share))))
    return worst / (1 - _feedback(setting))


def _feedback(setting: Setting) -> float:
    """φ at the largest learning rate."""
    training = msgspec.structs.replace(setting.training, learning_rate=_largest_rate(setting.training))
    size, k4 = setting.batch_rows, fourth_moment_ratio(setting.data)
    return online.feedback(training, population_spectrum(setting), batch_size=size, k4=k4)


def _largest_rate(training: Training) -> float:
    return max(training.learning_rate_at(step) for step in (0, *(start for start, _ in training.drops)))


FORM = Form(
    name="linear-diffusion",
    title="linear model, fresh rows: the diffusion whose noise depends on the weights (Lyapunov equation)",
    status="asymptotic",
    assumptions=ASSUMPTIONS,
    refusal=refusal,
    predict=predict,
)
ADDITIVE = Form(
    name="linear-diffusion-additive",
    title="linear model, fresh rows: the Ornstein–Uhlenbeck process with the labels' noise alone (Lyapunov equation)",
    status="asymptotic",
    assumptions=ASSUMPTIONS,
    refusal=refusal,
    predict=predict_additive,
)
