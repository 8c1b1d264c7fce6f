"""Online training: every update sees new rows and labels.

One gradient is g = (Σ + λ) w + ξ. Given w, ξ has mean zero and, for elliptical x with fourth-moment ratio k_4,

    E[ξ ξᵀ] = (1/B) [(2 k_4 − 1) Σ P Σ + k_4 tr(Σ P) Σ + σ_y² Σ],        P = E[w wᵀ],

so P obeys a closed recursion, diagonal in the eigenbasis of Σ if it starts so: alignment is exact. With h_i = s_i + λ,

    N_i = (1/B) [(2 k_4 − 1) s_i² p_i + s_i (k_4 Σ_j s_j p_j + σ_y²)],

the second moments Z_i (2 × 2) of weight and buffer follow Z_i' = M_i Z_i M_iᵀ + Γ Γᵀ N_i, M_i the map of full-batch
training and Γ = (−η, 1) for heavy ball, (−η(1 + μ), 1) for Nesterov; without momentum

    p_i' = (1 − η h_i)² p_i + η² N_i.

At rest p_i = c_i N_i, with c_i the stationary variance of direction i under noise of unit variance. Derivation and
checks: theory/derivations.md, section 1.3.
"""

from __future__ import annotations

import msgspec
import numpy as np

from theory.errors import InvalidInput
from theory.linear.hypotheses import init_variances, label_variance, not_linear
from theory.linear.online_fourth import fourth_moments, label_fourth, moment_ratios
from theory.linear.population import fourth_moment_ratio, not_centred_law, population_readings, population_spectrum
from theory.linear.propagators import stability_limit, update
from theory.prediction import Form, Prediction
from theory.setting import Setting, Student, Training
from theory.setting.limits import require_updates

_FOURTH_COST = 2**25
ASSUMPTIONS = (
    "averaged over the rows: each update sees rows that no other has seen (online, or a first epoch)",
    "rows independent, centred, Gaussian or elliptical with a finite fourth moment",
    "linear model, squared error, gradient descent, heavy ball or Nesterov",
    "labels independent of X, independent over rows, mean zero; only their variance enters",
    "initial weights independent of rows and labels, mean zero, uncorrelated in the eigenbasis of Σ",
)


def refusal(setting: Setting) -> str | None:
    """Why the form does not apply: the first hypothesis that fails; None if all hold."""
    if (reason := not_linear(setting) or not_centred_law(setting)) is not None:
        return reason
    radial = setting.data.radial
    if isinstance(radial, Student) and radial.dof <= 4:
        return f"data.radial.dof = {radial.dof:g}: the fourth moment of x is infinite unless it exceeds 4"
    last, fresh = setting.training.readings[-1], fresh_updates(setting)
    if fresh is not None and last > fresh:
        return f"training.steps = {last}: only the first {fresh} updates see rows that are new to the weights"
    return None


def fresh_updates(setting: Setting) -> int | None:
    """How many of the first updates see only rows that are independent and new; None if all do.

    Online all of them; shuffled, the first epoch (⌊n/B⌋ updates); a full batch, or a batch drawn without replacement
    at every step, only the first update. A batch drawn with replacement may see a row twice.
    """
    if setting.data.samples == "online":
        return None
    if setting.full_batch:
        return 1
    if setting.training.sampling == "epochs":
        return setting.batches_per_epoch
    return 1 if setting.training.sampling == "fresh" else int(setting.batch_rows == 1)


def predict(setting: Setting, rows: np.ndarray | None = None) -> Prediction:
    """E[w wᵀ] over rows, labels and initial weights, exact at every step: `variances`, in the eigenbasis of Σ.

    Normalisation: loss ½ · mean over rows, summed over outputs; standard σ_0² = v_1/d; ntk σ_0² = v_1 and Σ/d in place
    of Σ, with `sigma` still of the undivided x. E[w] = 0. The weights are not Gaussian: how unequal replicas are,
    `relative_variance`, comes from `fourth_moments`, without momentum, and where d² times the steps is below 2²⁵.

    Raises
    ------
    InvalidInput
        If the weights overflow by some step, far beyond the mean-square limit.
    """
    s, k4 = population_spectrum(setting), fourth_moment_ratio(setting.data)
    p = variances(
        setting.training,
        s,
        init_variances(setting, len(s)),
        batch_size=setting.batch_rows,
        sigma_y2=label_variance(setting.labels),
        k4=k4,
    )
    for step, row in zip(setting.training.readings, p, strict=True):
        if not np.isfinite(row).all():
            limit = mean_square_limit(setting.training, s, batch_size=setting.batch_rows, k4=k4)
            rule = f"makes the mean square overflow by step {step}: it stays bounded below {limit:.4g}"
            raise InvalidInput("training.learning_rate", setting.training.learning_rate, rule)
    return FORM.exact(population_readings(setting, p, _fourth(setting, s)))


def _fourth(setting: Setting, s: np.ndarray) -> np.ndarray | None:
    """E[w_i⁴] (r, d) at the readings; None with momentum, and where that takes more than a second or so."""
    training = setting.training
    if training.momentum or training.readings[-1] * len(s) ** 2 > _FOURTH_COST:
        return None
    moments = fourth_moments(
        training,
        s,
        init_variances(setting, len(s)),
        batch_size=setting.batch_rows,
        sigma_y2=label_variance(setting.labels),
        y4=label_fourth(setting.labels),
        ratios=moment_ratios(setting.data),
    )
    return np.diagonal(moments, axis1=1, axis2=2)


def variances(
    training: Training, s: np.ndarray, initial: np.ndarray, *, batch_size: int, sigma_y2: float, k4: float = 1.0
) -> np.ndarray:
    """p_i = E[w_i²] in the eigendirections of Σ, (r, d), after each of the r steps of `training`.

    Exact (module docstring). Three numbers per direction, E[w²], E[wv], E[v²], are updated by a 3 × 3 matrix, which
    changes when the learning rate drops. A step costs O(d).

    Parameters
    ----------
    training : Training
        Learning rate, drops, momentum, nesterov, weight_decay and steps are used.
    s, initial : ndarray, shape (d,)
        Eigenvalues of Σ, and the variances of w_0 along its eigendirections.
    batch_size : int
    sigma_y2 : float
        The label variance.
    k4 : float
        The ratio that `fourth_moment_ratio` gives.

    Returns
    -------
    ndarray, shape (r, d)
        Beyond `mean_square_limit` it grows with the steps, and ends as inf or nan without a warning.

    Examples
    --------
    One direction, one step: (1 − η)² p + (η²/B) (2 s² p + s σ_y²).

    >>> training = Training(learning_rate=0.5, steps=1)
    >>> variances(training, np.array([1.0]), np.array([1.0]), batch_size=1, sigma_y2=1.0).tolist()
    [[1.0]]
    """
    require_updates(training.readings[-1])
    s = np.asarray(s, dtype=float)
    state = np.zeros((3, len(s)))  # E[w²], E[wv], E[v²]
    state[0] = initial
    found, done, rate = np.empty((len(training.readings), len(s))), 0, np.nan
    with np.errstate(over="ignore", invalid="ignore"):
        for row, step in enumerate(training.readings):
            for k in range(done, step):
                if training.learning_rate_at(k) != rate:
                    rate = training.learning_rate_at(k)
                    turn, kick = _second_order(training, s, k)
                noise = ((2 * k4 - 1) * s**2 * state[0] + s * (k4 * (s @ state[0]) + sigma_y2)) / batch_size
                state = np.einsum("abi,bi->ai", turn, state) + kick * noise
            found[row], done = state[0], step
    return found


def response(training: Training, h: np.ndarray) -> np.ndarray:
    """c: the stationary variance of a weight under gradient noise of unit variance; shape of `h`.

        heavy ball   c = η(1 + μ) / ((1 − μ) h (2(1 + μ) − ηh)),     descent: μ = 0,
        Nesterov     c = [(θ_0² + θ_1²)(1 − f_2) + 2 f_1 θ_0 θ_1] / [(1 + f_2)((1 − f_2)² − f_1²)],
                     f_1 = (1 + μ)(1 − ηh), f_2 = −μ(1 − ηh), θ_0 = −η(1 + μ), θ_1 = ημ:

    the weight is an ARMA(2, 1) process with these coefficients. Exact; 0 where h = 0 (nothing moves there), inf at and
    beyond the noiseless `stability_limit`. It uses the initial learning rate, without drops.

    >>> response(Training(learning_rate=1.0), np.array([0.0, 1.0, 2.0])).tolist()
    [0.0, 1.0, inf]
    """
    h = np.asarray(h, dtype=float)
    rate, momentum = training.learning_rate, training.momentum
    inside = (h > 0) & (rate * h < stability_limit(training))
    x = rate * np.where(inside, h, 1.0 / rate)
    if training.nesterov:
        a = 1 - x
        f1, f2 = (1 + momentum) * a, -momentum * a
        theta0, theta1 = -rate * (1 + momentum), rate * momentum
        # (1 − f_2)² − f_1² = (1 − f_2 − f_1)(1 − f_2 + f_1), and 1 − f_2 − f_1 = x, which must not be a difference
        below = (1 + f2) * x * (1 - f2 + f1)
        c = ((theta0**2 + theta1**2) * (1 - f2) + 2 * f1 * theta0 * theta1) / below
    else:
        c = rate**2 * (1 + momentum) / ((1 - momentum) * x * (2 * (1 + momentum) - x))
    return np.where(inside, c, np.where(h > 0, np.inf, 0.0))


def feedback(training: Training, s: np.ndarray, *, batch_size: int, k4: float = 1.0) -> float:
    """φ = k_4 Σ_j x_j/(1 − (2 k_4 − 1) x_j), x_j = c_j s_j²/B: the share of noise fed back; inf if unbounded.

    The mean square is stable if and only if φ < 1 (with all denominators positive). Exact: the weights' noise is a
    positive linear map of p, a diagonal plus a matrix of rank one, and the loop is stable where its gain is below 1.
    """
    s = np.asarray(s, dtype=float)
    c = response(training, s + training.weight_decay)
    if not np.isfinite(c).all():
        return np.inf
    x = c * s**2 / batch_size
    below = 1 - (2 * k4 - 1) * x
    return float(k4 * np.sum(x / below)) if (below > 0).all() else np.inf


def stationary(training: Training, s: np.ndarray, *, batch_size: int, sigma_y2: float, k4: float = 1.0) -> np.ndarray:
    """Where p settles from w_0 = 0: (c_i s_i σ_y²/B) / ((1 − φ)(1 − (2 k_4 − 1) c_i s_i²/B)), shape (d,).

    Exact, for descent, heavy ball and Nesterov at the initial learning rate. A direction with h = 0 never moves: it
    keeps its initial variance, and is 0 here.

    Raises
    ------
    InvalidInput
        If the mean square grows without bound: the learning rate is at or above `mean_square_limit`.

    Examples
    --------
    λ = 0, d = B = 1: η σ_y²/(2 − 2ηs) · 1/(1 − φ), φ = ηs/(2 − 2ηs).

    >>> stationary(Training(learning_rate=0.5), np.array([1.0]), batch_size=1, sigma_y2=1.0).round(12).tolist()
    [1.0]
    """
    s = np.asarray(s, dtype=float)
    phi = feedback(training, s, batch_size=batch_size, k4=k4)
    if not phi < 1:
        limit = mean_square_limit(training, s, batch_size=batch_size, k4=k4)
        rule = f"has no stationary state: it must lie below {limit:.8g}"
        raise InvalidInput("training.learning_rate", training.learning_rate, rule)
    c = response(training, s + training.weight_decay)
    return c * s * sigma_y2 / batch_size / ((1 - phi) * (1 - (2 * k4 - 1) * c * s**2 / batch_size))


def mean_square_limit(training: Training, s: np.ndarray, *, batch_size: int, k4: float = 1.0) -> float:
    """The learning rate η* below which E[w²] stays bounded, and above which it grows; other options as in `training`.

    Exact: the root of φ(η) = 1, by bisection to the last bit; every c_i, and φ with it, increases with η. It lies below
    the noiseless limit of `stability_limit`, for one direction with B = 1, λ = 0 at 2/3 of 1/s instead of 2/s.

    >>> round(mean_square_limit(Training(), np.array([1.0]), batch_size=1), 12)
    0.666666666667
    """
    s = np.asarray(s, dtype=float)
    low, high = 0.0, stability_limit(training) / float(np.max(s + training.weight_decay))
    while low < (middle := (low + high) / 2) < high:
        there = msgspec.structs.replace(training, learning_rate=middle)
        low, high = (middle, high) if feedback(there, s, batch_size=batch_size, k4=k4) < 1 else (low, middle)
    return low


def _second_order(training: Training, s: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """The effect of update number `step` on (E[w²], E[wv], E[v²]): a matrix (3, 3, d), and the response to N (3, d)."""
    matrix, drive = update(training, s + training.weight_decay, step)
    (a, b), (c, d) = matrix.transpose(1, 2, 0)
    e, f = drive.T
    turn = np.stack(
        [
            np.stack([a * a, 2 * a * b, b * b]),
            np.stack([a * c, a * d + b * c, b * d]),
            np.stack([c * c, 2 * c * d, d * d]),
        ]
    )
    return turn, np.stack([e * e, e * f, f * f])


FORM = Form(
    name="linear-online",
    title="linear model, fresh rows at every update: the closed recursion of E[w wᵀ] in the eigenbasis of Σ",
    status="exact",
    assumptions=ASSUMPTIONS,
    refusal=refusal,
    predict=predict,
)
