"""One hidden layer under softmax and cross-entropy, near the kernel limit and while its logits are small.

To first order in the logits p = 1/C + Πf/C, Π = I − 11ᵀ/C, and the residuals ỹ − Πf/C, ỹ the one-hot labels minus 1/C,
decay as those of the squared error on K/C. The four terms of `theory.network.lazy` remain, with

    K → K/C in A, B, C,    S → ((C − 1)/C) I + ((C − 1)/C²) N, summed over the classes,    T_2 → ((C − 1)/C) T_2

(theory/derivations.md, section 2.2). It neglects saturation of the softmax, and is only semi-quantitative.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from theory.eigenspaces import eigenspaces
from theory.errors import NoClosedForm
from theory.linear.hypotheses import rows_not_fixed
from theory.network.lazy import (
    LARGEST_DISPLACEMENT,
    KernelLimit,
    LazyTerms,
    displacement,
    error_budget,
    kernel_limit,
    lazy_reading,
    neglected,
    stretches,
    terms,
)
from theory.network.model import model_of, not_plain_hidden_layer
from theory.network.propagators import Propagators, Stretch, kernel_propagators
from theory.prediction import Form, Prediction
from theory.rows import required_rows
from theory.setting import Setting

ASSUMPTIONS = (
    "conditional on the rows X",
    "one hidden layer, relu, erf or tanh, cross-entropy, full-batch gradient descent, the first layer trained",
    "labels independent of X, independent over rows, all classes equally likely",
    "Gaussian weights, independent, first layer isotropic",
)
# The error of a linear softmax, relative to the terms' sizes, over the variance of a logit: 0.3 was the
# most that was measured.
SATURATION = 0.4
LARGEST_SPREAD = 1.0  # the largest variance of a logit: beyond it a softmax is not linear


def softmax_limit(limit: KernelLimit, classes: int) -> KernelLimit:
    """The kernel limit with K/C in place of K."""
    return replace(limit, kappa=limit.kappa / classes)


def softmax_residual(limit: KernelLimit, classes: int) -> np.ndarray:
    """S̃ (n, n), the second moment of the residuals at the start, summed over classes, in the eigenbasis of K."""
    residual = (classes - 1) / classes**2 * limit.start
    residual[np.diag_indices_from(residual)] += (classes - 1) / classes
    return residual


def softmax_lazy_terms(limit: KernelLimit, matrices: Propagators, classes: int) -> LazyTerms:
    """T_1 … T_3 of all classes together, A, B and C being those of K/C and of `softmax_residual`."""
    found = terms(limit, matrices)
    return replace(found, own_output=(classes - 1) / classes * found.own_output)


def logit_variance(limit: KernelLimit, stretch: Stretch, classes: int) -> float:
    """The variance of a logit in the linear theory, averaged over rows and classes; `limit` that of K/C.

    In mode a, f = f_0 + Cκ_aA_a(ỹ − Πf_0/C) with 1 − κ_aA_a = r_a left of Πf_0:

        (1/n) Σ_a { N_aa [1/C + (1 − 1/C) r_a²] + (C − 1)(1 − r_a)² }.
    """
    output, left = np.diagonal(limit.start), stretch.decay
    kept = output * (1 / classes + (1 - 1 / classes) * left**2)
    return float(np.mean(kept + (classes - 1) * (1 - left) ** 2))


def refusal(setting: Setting) -> str | None:
    """Why the form does not apply: the first hypothesis that fails; None if all hold."""
    if (reason := not_plain_hidden_layer(setting, "cross-entropy") or rows_not_fixed(setting)) is not None:
        return reason
    network = setting.network
    if network.train == "all":
        return "network.train = 'all': derived for the first layer alone"
    if network.layer_variances[0] == 0:
        return "network.init_variance: without first-layer weights at the start nothing is small beside them"
    return None


def predict(setting: Setting, rows: np.ndarray | None) -> Prediction:
    """Σ_w = s_0² I + (T_1 + T_2 + T_3)/m at every step of the setting, given X (n, d), linear in the logits.

    The error budget is that of `theory.network.lazy`, plus a share of the terms' sizes for the softmax, SATURATION · v,
    with v the variance of its logits.

    Raises
    ------
    NoClosedForm
        If ηκ_max/(nC) >= 2, weights move by more than half of their initial size, or logits reach variance 1.
    """
    rows = required_rows(rows)
    model, felt = model_of(setting, rows)
    classes = model.outputs
    limit = softmax_limit(kernel_limit(felt, model.activation, model.s0, model.sa, both=False), classes)
    alone = replace(model, outputs=1)  # the residuals are summed over classes already
    spaces = eigenspaces(rows.T @ rows / len(rows))
    start, budget, found = softmax_residual(limit, classes), 0.0, []
    for step, stretch in stretches(setting.training, limit.kappa, len(rows)):
        matrices = kernel_propagators(stretch, limit.basis, start)
        moved = softmax_lazy_terms(limit, matrices, classes)
        epsilon, spread = displacement(limit, matrices, alone), logit_variance(limit, stretch, classes)
        _refuse(step, epsilon, spread)
        found.append(lazy_reading(step, spaces, model, moved))
        least = float(found[-1].tau.min())
        saturated = SATURATION * spread * moved.size / (model.width * least)
        budget = max(budget, error_budget(alone, moved, epsilon, least) + saturated)
    left_out = (*neglected(model), "saturation of the softmax: semi-quantitative, worst where terms cancel")
    return FORM.asymptotic(found, order="logits", error_budget=budget, neglected=left_out)


def _refuse(step: int, epsilon: float, spread: float) -> None:
    """Raise NoClosedForm outside the regime."""
    if not epsilon <= LARGEST_DISPLACEMENT:
        rule = f"no closed form near the kernel limit: by step {step} weights move by {epsilon:.2g} of what they were"
        raise NoClosedForm("training.steps", step, f"{rule}, more than {LARGEST_DISPLACEMENT:g}")
    if not spread <= LARGEST_SPREAD:
        rule = f"no closed form for small logits: by step {step} their variance is {spread:.2g}"
        raise NoClosedForm("training.steps", step, f"{rule}, more than {LARGEST_SPREAD:g}")


FORM = Form(
    name="softmax-lazy",
    title="one hidden layer near the kernel limit, cross-entropy, linear in the logits: semi-quantitative",
    status="asymptotic",
    assumptions=ASSUMPTIONS,
    refusal=refusal,
    predict=predict,
)
