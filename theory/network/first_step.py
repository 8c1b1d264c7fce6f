"""The first step of one hidden layer, given X: exact at every width (theory/derivations.md, section 2.3).

The gradient of a neuron's weights depends on labels, the other neurons' output and the neuron's own output. With
f(x) = m^{-1/2} Σ_j a_j φ(w_j·x), C outputs, and the duals k = E φφ, P = E φ'φ', Q = E φ''φ of `theory.network.duals`,

    E[w wᵀ] = (1 − ηλ)² s_0² I + (η/m)(1 − ηλ) T_own + (η²/m) (T_labels + T_others + T_quartic).

Only the neuron's own share of the output, 1/m, is correlated with w; without it weights would always grow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory.eigenspaces import eigenspaces, weight_variances
from theory.errors import InvalidInput, NoClosedForm
from theory.linear.hypotheses import rows_not_fixed
from theory.network.duals import dual, dual_quartic, gram
from theory.network.model import Model, model_of, not_hidden_layer
from theory.prediction import Form, PredictedReading, Prediction
from theory.rows import required_rows
from theory.setting import Setting, Training

ASSUMPTIONS = (
    "conditional on the rows X",
    "one hidden layer, relu, erf or tanh, squared error, full batch, either layer or both trained",
    "labels independent of X, independent over rows, mean zero; only their variance enters",
    "Gaussian weights, independent, first layer isotropic",
)


@dataclass(frozen=True, eq=False)
class FirstStepTerms:
    """The terms of the first step, (d, d) each, in the order of the module's first lines.

    Attributes
    ----------
    own : ndarray
        T_own: the product of w and its change through the neuron's own output.
    labels, others, quartic : ndarray
        T_labels, T_others, T_quartic: the square of the change through labels, the output of the other neurons, and the
        neuron's own output.
    """

    own: np.ndarray
    labels: np.ndarray
    others: np.ndarray
    quartic: np.ndarray


def first_step_terms(rows: np.ndarray, model: Model) -> FirstStepTerms:
    """The terms of the first step on rows X (n, d), in units of the raw weights; exact.

        T_own     = −(2 C s_a² s_0²/n) Xᵀ diag(P_ii + Q_ii) X
        T_labels  = (C s_a² s_y²/n²) Xᵀ diag(P_ii) X
        T_others  = (C s_a⁴ (m − 1)/(m n²)) Xᵀ (P ∘ k) X
        T_quartic = ([C E a⁴ + C(C − 1) s_a⁴]/(m n²)) Xᵀ E[φφ' ⊗ φφ'] X

    Stein's lemma, E[w φ'(w·x) φ(w·x)] = s_0² E[φ'² + φ''φ] x, gives the first; the others are products of independent
    factors. ReLU: P_ii = ½, Q_ii = 0, φφ' = φ. Labels of one row may depend on each other (one-hot classes): a_1c of
    different outputs are uncorrelated.
    """
    n, moments = len(rows), gram(rows, covariance=model.s0)
    p, k = dual(model.activation, moments, (1, 1)), dual(model.activation, moments)
    bends = np.diagonal(p) + np.diagonal(dual(model.activation, moments, (2, 0)))
    c, m, sa = model.outputs, model.width, model.sa
    pairs = c * model.a4 + c * (c - 1) * sa**2
    return FirstStepTerms(
        own=-2 * c * sa * model.s0 / n * (rows.T * bends) @ rows,
        labels=c * sa * model.sy / n**2 * (rows.T * np.diagonal(p)) @ rows,
        others=c * sa**2 * (m - 1) / (m * n**2) * rows.T @ (p * k) @ rows,
        quartic=pairs / (m * n**2) * rows.T @ dual_quartic(model.activation, moments) @ rows,
    )


def first_step_moment(rows: np.ndarray, model: Model, rate: float, decay: float = 0.0) -> np.ndarray:
    """E[w wᵀ] (d, d) after one step of rate η with weight decay λ, rows X (n, d) in units of the raw weights; exact.

    >>> import numpy as np
    >>> model = Model("relu", width=2, outputs=1, s0=1.0, sa=1.0, a4=3.0, sy=1.0)
    >>> first_step_moment(np.array([[2.0]]), model, rate=0.5)  # 1 − ηx²/2 + η²x²/2 [½ + x²/8 + 3x²/4] = 1 − 1 + 2
    array([[2.]])
    """
    terms, a = first_step_terms(rows, model), 1 - rate * decay
    squared = terms.labels + terms.others + terms.quartic
    return a**2 * model.s0 * np.eye(rows.shape[1]) + (a * rate * terms.own + rate * rate * squared) / model.width


def first_step_mean(rows: np.ndarray, model: Model, rate: float) -> np.ndarray:
    """E[w] (d,) after one step: −(ηC s_a²/(m n)) Σ_i E[φ(w·x_i) φ'(w·x_i)] x_i; exact.

    ReLU: E[φφ'] = s_0 |x|/sqrt(2π), so that weights drift away from the rows; 0 for erf and tanh, whose φφ' is odd.
    """
    if model.activation != "relu":
        return np.zeros(rows.shape[1])
    lengths = np.linalg.norm(rows, axis=1)
    push = rate * model.outputs * model.sa * np.sqrt(model.s0 / (2 * np.pi)) / (model.width * len(rows))
    return np.asarray(-push * (lengths @ rows))


def first_rate(training: Training) -> float:
    """η of the first step: empty buffers make heavy ball gradient descent, and Nesterov gradient descent with (1 + μ)η.

    >>> first_rate(Training(learning_rate=0.5, momentum=0.5, nesterov=True))
    0.75
    """
    return training.learning_rate_at(0) * (1 + training.momentum if training.nesterov else 1)


def refuse_overflow(rate: float, moved: np.ndarray) -> None:
    """Raise NoClosedForm if the weights after the step are not finite."""
    if not np.isfinite(moved).all():
        raise NoClosedForm("training.learning_rate", rate, "weights, or their gradients, overflow in the first step")


def steps_beyond_the_first(setting: Setting) -> str | None:
    """Why the setting has steps beyond 0 and 1; None if it does not."""
    if max(setting.training.readings) > 1:
        return f"training.steps = {setting.training.steps}: derived for steps 0 and 1 only"
    return None


def refusal(setting: Setting) -> str | None:
    """Why the form does not apply: the first hypothesis that fails; None if all hold."""
    return not_hidden_layer(setting) or rows_not_fixed(setting) or steps_beyond_the_first(setting)


def predict(setting: Setting, rows: np.ndarray | None) -> Prediction:
    """Σ_w = E[w wᵀ] at steps 0 and 1, given X (n, d): `first_step_moment`. Exact at every width.

    The same for `train` "all" and "first"; with weight decay and momentum. Given X, Σ_w is not diagonal in the
    eigenbasis of X'X/n: τ is its diagonal there. Nothing is Gaussian.

    Raises
    ------
    NoClosedForm
        If numbers overflow, or tanh is nearly a sign function.
    """
    rows = required_rows(rows)
    model, felt = model_of(setting, rows)
    training = setting.training
    rate = first_rate(training)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            moved = first_step_moment(felt, model, rate, training.weight_decay)
    except InvalidInput as error:  # of the duals of tanh, or of rows whose squares leave the range
        if error.key == "rows":
            raise NoClosedForm("rows", error.value, error.rule) from None
        raise NoClosedForm("network.init_variance", setting.network.layer_variances, str(error)) from None
    refuse_overflow(rate, moved)
    found = first_step_readings(setting, rows, model, moved, first_step_mean(felt, model, rate))
    return FORM.exact(found)


def first_step_readings(
    setting: Setting, rows: np.ndarray, model: Model, moved: np.ndarray, mean: np.ndarray
) -> tuple[PredictedReading, ...]:
    """Readings at steps 0 and 1 in the eigenspaces of X'X/n, from Σ_w (d, d) and E[w] (d,) after the step."""
    spaces = eigenspaces(rows.T @ rows / len(rows))
    sigma = np.sqrt(np.where(spaces.eigenvalues <= spaces.gap, 0.0, spaces.eigenvalues))
    moments = {0: model.s0 * np.eye(len(mean)), 1: (moved + moved.T) / 2}
    means = {0: np.zeros_like(mean), 1: mean}
    return tuple(
        PredictedReading(
            step=step,
            sigma=sigma,
            multiplicity=spaces.multiplicity,
            tau=np.asarray(weight_variances(spaces, moments[step])),
            second_moment=moments[step],
            mean=means[step],
        )
        for step in setting.training.readings
    )


FORM = Form(
    name="network-first-step",
    title="one hidden layer, first full-batch step, conditional on X: exact at every width",
    status="exact",
    assumptions=ASSUMPTIONS,
    refusal=refusal,
    predict=predict,
)
