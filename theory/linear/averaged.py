"""Full-batch training of a linear model, averaged over Gaussian rows at finite n (theory/derivations.md, section 1.5).

Given X, Σ_w = g(S) with g(s) = σ_0² p_t(s)² + (σ_y²/n) s q_t(s)² of the full-batch form. The law of X is invariant
under reflections of the eigendirections of Σ, so E_X Σ_w is exactly aligned with Σ; its τ are those of
`theory.linear.equivalent`: a contour integral of g, to leading order in 1/n or with the next term.

For comparison, there is the plug-in, τ = g(s) at the eigenvalues of Σ, as if S were Σ. Ignoring finite n is a sizeable
error, since eigenvalues of S repel each other and its eigenvectors turn.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from theory.errors import InvalidInput, NoClosedForm
from theory.linear.averaged_limits import effective_decay
from theory.linear.equivalent import deterministic_equivalent, upper_edge
from theory.linear.flow import flow_time
from theory.linear.hypotheses import LEAST_BUDGET, anisotropic_init, init_variances, label_variance, not_linear
from theory.linear.population import not_centred_law, population_readings, population_spectrum
from theory.linear.propagators import propagators, stability_limit
from theory.prediction import Form, Prediction
from theory.setting import Setting, Training

ASSUMPTIONS = (
    "averaged over independent Gaussian rows, centred",
    "linear model, squared error, full-batch gradient descent, heavy ball or Nesterov",
    "labels independent of X, independent over rows, mean zero; only their variance enters",
    "initial weights isotropic, independent of rows and labels, mean zero",
)
LEADING, SECOND = 2.0, 1.5  # the error of τ over κ and κ²; 1.6 and 0.7 were the most that was measured
LARGEST_PARAMETER = 0.5  # the largest κ, the parameter of the expansion in 1/n, which says little beyond it
STRAY = 5.0  # how far above x_+ an eigenvalue of S may lie, in Tracy–Widom units: larger ones have P < 1e-5


def refusal(setting: Setting) -> str | None:
    """Why the form does not apply: the first hypothesis that fails; None if all hold."""
    if (reason := not_linear_on_gaussian_rows(setting)) is not None:
        return reason
    if not setting.full_batch:
        return f"training.batch_size = {setting.training.batch_size}: this form is for the full batch"
    return unstable(setting)


def not_linear_on_gaussian_rows(setting: Setting) -> str | None:
    """Why the setting is not a linear model on n Gaussian rows per replica, from an isotropic init; None if it is."""
    if (reason := not_linear(setting) or not_centred_law(setting)) is not None:
        return reason
    if setting.data.kind != "gaussian":
        return f"data.kind = {setting.data.kind!r}: the average over X is known for Gaussian rows"
    if setting.data.samples == "online":
        return 'data.samples = "online": this form averages over a finite set of rows'
    return anisotropic_init(setting)


def unstable(setting: Setting) -> str | None:
    """Why the average is dominated by few draws of X, those on which training diverges; None if it is not."""
    training = setting.training
    edge = upper_edge(population_spectrum(setting), setting.data.sample_count)
    rates = [training.learning_rate_at(step) for step in (0, *(step for step, _ in training.drops))]
    highest = max(rates) * (edge.position + STRAY * edge.scale + training.weight_decay)
    if highest >= (limit := stability_limit(training)):
        rule = f"with eigenvalues of X'X/n that may reach {edge.position + STRAY * edge.scale:.4g}"
        return (
            f"training.learning_rate = {max(rates):g}: not stable on all X, {rule} (ηh = {highest:.4g} >= {limit:.4g})"
        )
    return None


def contour_margin(training: Training, edge: float) -> float:
    """ε = 1/(2T + 1/x_+), T the flow time of the last reading: p_t stays of order one on the contour of this margin."""
    return 1 / (2 * flow_time(training, training.readings[-1]) + 1 / edge)


def given_rows(training: Training, samples: int, sigma_y2: float, initial: float, z: np.ndarray) -> np.ndarray:
    """g(z) = σ_0² p_t² + (σ_y²/n) z q_t² of the full-batch form at each of r steps, (m,) → (r, m), complex or real.

    With weight decay p_t and q_t are taken at z + λ. A polynomial in z: no poles.
    """
    p, q = propagators(training, z + training.weight_decay, training.readings)
    with np.errstate(over="ignore", invalid="ignore"):
        return initial * p**2 + sigma_y2 / samples * z * q**2


def averaged_variances(
    training: Training, s: np.ndarray, *, samples: int, sigma_y2: float, initial: float
) -> tuple[np.ndarray, np.ndarray]:
    """τ in the eigendirections of Σ at each step of `training`: leading order, and the term of order 1/n, (r, d) each.

    Parameters
    ----------
    training : Training
        Any optimizer that the full-batch form covers.
    s : ndarray, shape (d,)
        Eigenvalues of Σ.
    samples : int
        n.
    sigma_y2, initial : float
        σ_y² and σ_0².

    Examples
    --------
    After one step σ_0² [1 − 2ηs + η² ((1 + 1/n) s² + s tr Σ/n)] + σ_y² η² s/n: the leading order misses σ_0² η² s²/n.

    >>> leading, correction = averaged_variances(
    ...     Training(learning_rate=0.5, steps=1), np.array([1.0, 2.0]), samples=10, sigma_y2=1.0, initial=1.0
    ... )
    >>> leading.round(9).tolist(), correction.round(9).tolist()
    ([[0.35, 0.2]], [[0.025, 0.1]])
    """
    margin = contour_margin(training, upper_edge(s, samples).position)
    function = partial(given_rows, training, samples, sigma_y2, initial)
    try:
        return deterministic_equivalent(function, s, samples, margin=margin)
    except InvalidInput as error:
        if error.key != "margin":
            raise
        rule = f"training is too long, or too close to instability, for its integral to be computed ({error.rule})"
        raise NoClosedForm("training.steps", training.readings[-1], rule) from None


def predict(setting: Setting, rows: np.ndarray | None = None) -> Prediction:
    """τ averaged over X to leading order; relative error O(1/n), and the budget is 2κ of `parameter`.

    Raises
    ------
    NoClosedForm
        If κ > ½: n is too small for an expansion.
    """
    leading, correction = _orders(setting)
    budget = max(LEAST_BUDGET, LEADING * parameter(setting, leading, correction))
    neglected = ("terms of relative order 1/n",)
    return FORM.asymptotic(population_readings(setting, leading), order="1/n", error_budget=budget, neglected=neglected)


def predict_second_order(setting: Setting, rows: np.ndarray | None = None) -> Prediction:
    """τ averaged over X with the term of order 1/n; the budget is 1.5 κ² of `parameter`.

    Raises
    ------
    NoClosedForm
        If κ > ½: n is too small for an expansion.
    """
    leading, correction = _orders(setting)
    budget = max(LEAST_BUDGET, SECOND * parameter(setting, leading, correction) ** 2)
    neglected = ("terms of relative order 1/n²",)
    corrected = population_readings(setting, leading + correction)
    return SECOND_ORDER.asymptotic(corrected, order="1/n^2", error_budget=budget, neglected=neglected)


def predict_plug_in(setting: Setting, rows: np.ndarray | None = None) -> Prediction:
    """τ = g(s) at the eigenvalues of Σ, as if X'X/n were Σ: relative error O(d/n), for comparison with the average.

    The budget is the difference from the average over X to order 1/n, plus the budget of that average.

    Raises NoClosedForm as `predict_second_order`.
    """
    leading, correction = _orders(setting)
    s = population_spectrum(setting)
    function = given_rows(
        setting.training, setting.data.sample_count, label_variance(setting.labels), _initial(setting), s
    )
    away = _largest(leading + correction - function, function)
    budget = away + max(LEAST_BUDGET, SECOND * parameter(setting, leading, correction) ** 2)
    neglected = ("the difference between XᵀX/n and its mean",)
    return PLUG_IN.asymptotic(
        population_readings(setting, function), order="d/n", error_budget=budget, neglected=neglected
    )


def _orders(setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    return averaged_variances(
        setting.training,
        population_spectrum(setting),
        samples=setting.data.sample_count,
        sigma_y2=label_variance(setting.labels),
        initial=_initial(setting),
    )


def _initial(setting: Setting) -> float:
    return float(init_variances(setting, len(setting.data.eigenvalues))[0])


def parameter(setting: Setting, leading: np.ndarray, correction: np.ndarray) -> float:
    """κ, the ratio by which terms of the expansion in 1/n decrease: the larger of |second term/first| and 1/(n − df_2).

    df_2 = Σ_j s_j²/(s_j + k)², k = `effective_decay` at λ + 1/(2T): the directions that training has resolved by flow
    time T. Late, without decay, 1/(n − df_2) → 1/(n − d), which is then the error of the leading order. If n is near d,
    the second term may vanish while the expansion fails, so that it is not a sufficient measure.

    Raises NoClosedForm where κ > ½.
    """
    training, samples, s = setting.training, setting.data.sample_count, population_spectrum(setting)
    time = flow_time(training, training.readings[-1])
    resolved = 0.0
    if time > 0:
        k = effective_decay(s, samples, training.weight_decay + 1 / (2 * time))
        resolved = float(np.sum((s / (s + k)) ** 2))
    size = max(_largest(correction, leading), 1 / (samples - resolved))
    if size > LARGEST_PARAMETER:
        rule = f"is too small for an expansion in 1/n: its parameter is {size:.3g}, more than {LARGEST_PARAMETER}"
        raise NoClosedForm("data.samples", samples, rule)
    return size


def _largest(difference: np.ndarray, unit: np.ndarray) -> float:
    """max |difference / unit|, 0 where both vanish."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.max(np.abs(np.where(difference == 0, 0.0, difference / unit))))


SECOND_ORDER = Form(
    name="linear-averaged-second-order",
    title="linear model, full batch, averaged over Gaussian X: contour integral with the term of order 1/n",
    status="asymptotic",
    assumptions=ASSUMPTIONS,
    refusal=refusal,
    predict=predict_second_order,
)
FORM = Form(
    name="linear-averaged",
    title="linear model, full batch, averaged over Gaussian X: deterministic equivalent by contour integration",
    status="asymptotic",
    assumptions=ASSUMPTIONS,
    refusal=refusal,
    predict=predict,
)
PLUG_IN = Form(
    name="linear-plug-in",
    title="linear model, full batch: the full-batch form at the eigenvalues of Σ, as if X'X/n were Σ (a foil)",
    status="asymptotic",
    assumptions=ASSUMPTIONS,
    refusal=refusal,
    predict=predict_plug_in,
)
