"""The first step of one hidden ReLU layer, averaged over Gaussian rows: exact at every width and sample size.

Given X the first step is that of `theory.network.first_step`. Its mean over rows N(0, Σ) is diagonal in eig(Σ):

    τ = (1 − ηλ)² s_0² + (η/m)(1 − ηλ) T_own + (η²/m) (T_labels + T_same + T_pairs),

with terms of one row with itself, from Gaussian moments, and of two rows, from `theory.network.two_rows`.
Along directions of little variance the weights grow if labels and outputs are noisy enough: `first_step_grows`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from theory.errors import NoClosedForm
from theory.linear.population import not_centred_law, population_readings, population_spectrum, spaces
from theory.network.first_step import first_rate, refuse_overflow, steps_beyond_the_first
from theory.network.model import Model, hidden_layer_constants, not_hidden_layer
from theory.network.two_rows import two_row_average
from theory.prediction import Form, Prediction
from theory.setting import Setting

ASSUMPTIONS = (
    "averaged over independent Gaussian rows, centred",
    "one hidden layer, relu, squared error, full batch, either layer or both trained",
    "labels independent of X, independent over rows, mean zero; only their variance enters",
    "Gaussian weights, independent, first layer isotropic",
)
TOLERANCE = 1e-8  # the largest error of the quadrature, relative to τ, at which the form is exact


@dataclass(frozen=True, eq=False)
class AveragedTerms:
    """The terms of the averaged first step along each direction, (d,) each.

    Attributes
    ----------
    own : ndarray
        T_own: the product of w and its change through the neuron's own output.
    labels : ndarray
        T_labels: the square of the change through labels.
    same, pairs : ndarray
        T_same, T_pairs: the square of the change through outputs, for a row with itself and for two rows.
    error : ndarray
        The error bound of the quadrature in T_pairs.
    """

    own: np.ndarray
    labels: np.ndarray
    same: np.ndarray
    pairs: np.ndarray
    error: np.ndarray


def averaged_terms(s: np.ndarray, samples: int, model: Model) -> AveragedTerms:
    """The terms of the averaged first step for eigenvalues s (d,) of Σ in units of the raw weights; exact.

    With a = (m − 1) C s_a⁴/m for the other neurons' output and b = [C E a⁴ + C(C − 1) s_a⁴]/m for the neuron's own,

        T_own    = −C s_a² s_0² s
        T_labels = (C s_a² s_y²/2n) s
        T_same   = (s_0²/n) (a/4 + b/2) (s tr Σ + 2s²)
        T_pairs  = s_0² (1 − 1/n) (a g(s) + b s²/4),      g(s) of `two_row_average`.
    """
    others, quartic = _output_weights(model)
    order, first, multiplicity = spaces(s)
    averaged, error = (
        np.repeat(found, multiplicity)[np.argsort(order)]
        for found in two_row_average(s[order][first], np.array(multiplicity))
    )
    fraction = model.s0 * (1 - 1 / samples)
    return AveragedTerms(
        own=-model.outputs * model.sa * model.s0 * s,
        labels=model.outputs * model.sa * model.sy / (2 * samples) * s * (model.s0 > 0),  # φ'(0) = 0: zeros stay
        same=model.s0 / samples * (others / 4 + quartic / 2) * (s * s.sum() + 2 * s**2),
        pairs=fraction * (others * averaged + quartic / 4 * s**2),
        error=fraction * others * error,
    )


def _output_weights(model: Model) -> tuple[float, float]:
    """a and b: E Σ_cc' a_1c a_1c' (…) over the other neurons and over the neuron itself."""
    c, m, sa = model.outputs, model.width, model.sa
    return (1 - 1 / m) * c * sa**2, (c * model.a4 + c * (c - 1) * sa**2) / m


def first_step_threshold(model: Model, samples: int, trace: float) -> float:
    """The learning rate above which ReLU weights grow in the first step along directions of vanishing variance.

        η* = n C s_a² s_0² / [½ C s_a² s_y² + s_0² tr Σ (a/4 + b/2)],

    a and b of `averaged_terms`; as m → ∞ it is 2 n s_0²/(s_y² + V_0), V_0 = ½ s_a² s_0² tr Σ = E f_0². Derived from the
    terms linear in s, for rows redrawn from a Gaussian law whose second moment, in units of the raw weights, has
    that trace; without weight decay.

    >>> wide = Model("relu", width=10**9, outputs=1, s0=0.5, sa=1.0, a4=3.0, sy=1.0)
    >>> round(first_step_threshold(wide, samples=10, trace=4.0), 6)  # V_0 = 1
    5.0
    """
    others, quartic = _output_weights(model)
    square = model.outputs * model.sa * model.sy / 2 + model.s0 * trace * (others / 4 + quartic / 2)
    return samples * model.outputs * model.sa * model.s0 / square if square > 0 else math.inf


def first_step_grows(model: Model, samples: int, trace: float, rate: float) -> bool:
    """Whether weights grow in the first step, averaged over rows, along directions of vanishing variance.

    η(s_y² + V_0) > 2 n s_0² as m → ∞; at finite width η > `first_step_threshold`. Labels and the outputs of the other
    neurons act on a neuron as noise (order η²); its own output contracts its weights (order η).
    """
    return rate > first_step_threshold(model, samples, trace)


def refusal(setting: Setting) -> str | None:
    """Why the form does not apply: the first hypothesis that fails; None if all hold."""
    if (reason := not_hidden_layer(setting) or not_centred_law(setting) or steps_beyond_the_first(setting)) is not None:
        return reason
    if setting.network.activation != "relu":
        return f"network.activation = {setting.network.activation!r}: averaged over rows for relu only"
    if setting.data.kind != "gaussian":
        return f"data.kind = {setting.data.kind!r}: the average over X is known for Gaussian rows"
    return None


def predict(setting: Setting, rows: np.ndarray | None = None) -> Prediction:
    """τ at steps 0 and 1, averaged over X, weights and labels: `averaged_terms`. Exact at every m, n and Σ.

    Raises
    ------
    NoClosedForm
        If quadrature does not reach 1e-8 of τ: a few very uneven eigenvalues and a large learning rate. If numbers
        overflow.
    """
    samples, training = setting.data.sample_count, setting.training
    s = population_spectrum(setting)
    model = hidden_layer_constants(setting, len(s))
    rate, decay = first_rate(training), training.weight_decay
    terms, a = averaged_terms(s, samples, model), 1 - rate * decay
    squared = terms.labels + terms.same + terms.pairs
    with np.errstate(over="ignore", invalid="ignore"):
        moved = a**2 * model.s0 + (a * rate * terms.own + rate * rate * squared) / model.width
    refuse_overflow(rate, moved)
    if np.any(rate**2 / model.width * terms.error > TOLERANCE * moved):
        rule = f"is too uneven: the average over two rows is not known to {TOLERANCE:g} of τ"
        raise NoClosedForm("data.spectrum", list(setting.data.eigenvalues), rule)
    variances = {0: np.full(len(s), model.s0), 1: moved}
    found = population_readings(setting, (variances[step] for step in training.readings))
    return FORM.exact(found)


FORM = Form(
    name="network-first-step-averaged",
    title="one hidden relu layer, first full-batch step, averaged over Gaussian X: exact at every width",
    status="exact",
    assumptions=ASSUMPTIONS,
    refusal=refusal,
    predict=predict,
)
