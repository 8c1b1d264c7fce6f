"""The first step of one hidden layer on cross-entropy and random classes, given X: exact in the logits as m → ∞.

At large width the logits of the C classes are independent Gaussian processes of covariance N = s_a² E φφ, and the
others' logits act on a neuron through the softmax p, its own through the slope of p (theory/derivations.md, section
2.4):

    m (E[w wᵀ] − s_0² I) = η T_own + η² T_squared + (η²/m) T_reaction + …,
    T_own      = −(2 s_a² s_0²/n) Σ_i (1 − E|p_i|²)(P_ii + Q_ii) x_i x_iᵀ,
    T_squared  = (s_a²/n²) Xᵀ (P ∘ Γ) X,   Γ_ii = 1 − 2/C + E|p_i|²,   Γ_ik = E[p_i·p_k] − 1/C,
    T_reaction = (s_a⁴/n²) Σ_ik (1 − E|p_i|²)(1 − E|p_k|²) E[φφ'(w·x_i) φφ'(w·x_k)] x_i x_kᵀ.

P = E φ'φ', Q = E φ''φ. No linearisation of the softmax: E[p_i·p_k] comes from `theory.network.softmax`. Among the terms
of order 1/m², only the square of the neuron's own reaction adds up over rows and is not divided by the number of
classes, so that it may exceed T_squared; it is kept, with slopes averaged row by row. The others are neglected.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory.eigenspaces import eigenspaces, weight_variances
from theory.errors import InvalidInput, NoClosedForm
from theory.linear.hypotheses import LEAST_BUDGET, rows_not_fixed
from theory.network.duals import dual, dual_quartic, gram
from theory.network.first_step import first_rate, first_step_readings, refuse_overflow, steps_beyond_the_first
from theory.network.model import Model, model_of, not_hidden_layer
from theory.network.softmax import softmax_products
from theory.prediction import Form, Prediction
from theory.rows import required_rows
from theory.setting import Setting

ASSUMPTIONS = (
    "conditional on the rows X",
    "one hidden layer, relu, erf or tanh, cross-entropy, full batch, either layer or both trained",
    "uniform random classes, independent of X and of each other",
    "Gaussian weights, independent, first layer isotropic",
)
# over m², of the sum of all absolute terms; 0.85 was the most in 100 settings at m = 8, ReLU, T_own alone at work
MEASURED, CORRECTION = 0.85, 1.5


@dataclass(frozen=True, eq=False)
class SoftmaxTerms:
    """The terms of the module's first lines, (d, d) each, and m E[w] after a step of rate 1, (d,)."""

    own: np.ndarray
    squared: np.ndarray
    reaction: np.ndarray
    mean: np.ndarray


def softmax_first_step_terms(rows: np.ndarray, model: Model) -> SoftmaxTerms:
    """The terms of the first step on rows X (n, d), in units of the raw weights; `outputs` is the number of classes.

    Raises InvalidInput if logits are too large for `softmax_products`.
    """
    n, moments = len(rows), gram(rows, covariance=model.s0)
    p = dual(model.activation, moments, (1, 1))
    products = softmax_products(model.sa * dual(model.activation, moments), model.outputs)
    slopes = 1 - np.diagonal(products)
    bends = np.diagonal(p) + np.diagonal(dual(model.activation, moments, (2, 0)))
    gamma = products - 1 / model.outputs + (1 - 1 / model.outputs) * np.eye(n)
    weighted = slopes[:, None] * rows
    means = np.sqrt(moments.left / (2 * np.pi)) if model.activation == "relu" else np.zeros(n)  # E φφ'
    return SoftmaxTerms(
        own=-2 * model.sa * model.s0 / n * (rows.T * (slopes * bends)) @ rows,
        squared=model.sa / n**2 * rows.T @ (p * gamma) @ rows,
        reaction=(model.sa / n) ** 2 * weighted.T @ dual_quartic(model.activation, moments) @ weighted,
        mean=-model.sa / n * (slopes * means) @ rows,
    )


def refusal(setting: Setting) -> str | None:
    """Why the form does not apply: the first hypothesis that fails; None if all hold."""
    return not_hidden_layer(setting, "cross-entropy") or rows_not_fixed(setting) or steps_beyond_the_first(setting)


def predict(setting: Setting, rows: np.ndarray | None) -> Prediction:
    """Σ_w = E[w wᵀ] at steps 0 and 1, given X (n, d): `softmax_first_step_terms`; neglected terms are of order 1/m².

    The budget is their size relative to τ: a factor, larger than measured over random settings, times 1/m² times the
    sum of the absolute terms. With weight decay and momentum as in `theory.network.first_step`.

    Raises
    ------
    NoClosedForm
        If the logits' variance exceeds 25, or numbers overflow.
    """
    rows = required_rows(rows)
    model, felt = model_of(setting, rows)
    training, m = setting.training, model.width
    rate = first_rate(training)
    a = 1 - rate * training.weight_decay
    try:
        terms = softmax_first_step_terms(felt, model)
    except InvalidInput as error:
        raise NoClosedForm("network.init_variance", setting.network.layer_variances, str(error)) from None
    with np.errstate(over="ignore", invalid="ignore"):
        squared = rate * rate * (terms.squared + terms.reaction / m)
        moved = a**2 * model.s0 * np.eye(rows.shape[1]) + (a * rate * terms.own + squared) / m
    refuse_overflow(rate, moved)
    spaces = eigenspaces(rows.T @ rows / len(rows))
    size = np.asarray(weight_variances(spaces, rate**2 * (terms.squared + terms.reaction) - abs(a) * rate * terms.own))
    tau = np.asarray(weight_variances(spaces, moved))
    relative = np.divide(size, tau, out=np.zeros_like(tau), where=size > 0)
    budget = max(LEAST_BUDGET, CORRECTION / m**2 * float(np.max(relative)))
    measured = f"at most {MEASURED:g}/m² of the sum of all absolute terms in the settings tried"
    neglected = (f"terms of order 1/m², except the square of the reaction: {measured}",)
    found = first_step_readings(setting, rows, model, moved, rate / m * terms.mean)
    return FORM.asymptotic(found, order="1/m^2", error_budget=budget, neglected=neglected)


FORM = Form(
    name="softmax-first-step",
    title="one hidden layer, cross-entropy, first full-batch step, conditional on X: exact logits as m → ∞",
    status="asymptotic",
    assumptions=ASSUMPTIONS,
    refusal=refusal,
    predict=predict,
)
