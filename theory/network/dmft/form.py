"""The closed form away from the kernel limit: one hidden layer of any width on many Gaussian rows of many directions.

The equations are those of `theory.network.dmft.solver`, derived in theory/derivations.md, section 2.7; an average over
output weights is taken by `theory.network.dmft.average`. Neglected are terms of relative order 1/d and 1/n, the
most along directions that hold a large share λ/tr Σ of a row's variance. The Monte Carlo leaves an error that is
estimated; both are declared.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from theory.errors import NoClosedForm
from theory.linear.hypotheses import anisotropic_init
from theory.linear.population import not_centred_law, population_readings, spaces
from theory.network.dmft.average import ROUNDS, Average, average, rows_needed
from theory.network.dmft.levels import levels_of
from theory.network.dmft.problem import Problem, problem_of
from theory.network.dmft.solver import TRACED
from theory.prediction import Form, Prediction
from theory.setting import Setting

ASSUMPTIONS = (
    "averaged over independent Gaussian rows, centred, many, of many directions",
    "one hidden layer of fixed width; SGD with momentum and weight decay, full batches or mini-batches",
    "random labels, independent of x; squared error or cross-entropy",
    "Gaussian weights, independent, first layer isotropic",
    "training is stable for output weights of ordinary length: those that one network in 10⁴ exceeds are left out",
)
NEGLECTED = (
    "terms of relative order λ/tr Σ and 1/n: what single directions and rows count by themselves",
    "what the output layer's fluctuations answer to, where it is trained, through the rows' past",
)
SEED = 0
LEVELS = 16  # eigenvalues at most: those of a larger spectrum by quadrature
SHARE = 4.0  # c; errors over the directions were at most 3 times the largest direction's share of the terms' sizes
SURE = 3.0  # standard errors of the Monte Carlo that are declared
LARGEST_SCATTER = 0.02  # standard error of the Monte Carlo, relative to τ
FEWEST = 15.0  # effective directions, and rows
DOMINANT = 0.12  # of the variance of rows, in one direction
LARGEST_WORK = 4e12  # floating-point operations, some minutes of a core
LARGEST_MEMORY = 2**31


def refusal(setting: Setting) -> str | None:
    """Why the form does not apply: the first hypothesis that fails; None if all hold."""
    reason = _not_one_hidden_layer(setting) or not_centred_law(setting) or anisotropic_init(setting)
    if reason is not None:
        return reason
    if setting.data.kind != "gaussian":
        return f"data.kind = {setting.data.kind!r}: derived for Gaussian rows"
    if min(setting.network.layer_variances) == 0:
        return "network.init_variance: without initial weights in both layers nothing moves in the limit"
    return _outside(problem_of(setting))


def _not_one_hidden_layer(setting: Setting) -> str | None:
    """Why the setting is not one hidden layer, trained by SGD on random labels; None if it is."""
    network, training, labels = setting.network, setting.training, setting.labels
    if network.kind != "mlp" or len(network.widths) != 1:
        shown = f"network.kind = {network.kind!r}" if network.kind != "mlp" else f"network.hidden = {network.widths}"
        return f"{shown}: this form is for an mlp of one hidden layer"
    if network.bias:
        return "network.bias = true: derived without a bias only"
    if training.optimizer != "sgd":
        return f"training.optimizer = {training.optimizer!r}: derived for gradient descent"
    if training.l1 != 0:
        return f"training.l1 = {training.l1:g}: derived without it"
    if labels.kind not in ("gaussian", "rademacher", "classes"):
        return f"labels.kind = {labels.kind!r}: labels must be independent of x"
    return None


def _outside(problem: Problem) -> str | None:
    """Why the limit is too far away, or too dear; None where it is neither."""
    directions, samples = problem.effective_dimension, problem.samples
    if directions < FEWEST:
        rule = f"only {directions:.3g} effective directions (Σ λ)²/Σ λ²; errors of order 1/d_eff need {FEWEST:g}"
        return f"data.spectrum: {rule}"
    if problem.largest_share > DOMINANT:
        rule = f"one direction has {problem.largest_share:.0%} of the variance of rows, more than {DOMINANT:.0%}"
        return f"data.spectrum: {rule}"
    if samples < FEWEST:
        return f"data.samples: only {samples} rows, errors of order 1/n need {FEWEST:g}"
    if not problem.fresh and samples > directions**2:
        rule = f"{samples} rows for {directions:.3g} effective directions: from d² on levels of degree 2 are learnt"
        return f"data.samples: {rule}, which this limit takes for noise"
    if problem.both and samples < 4 * problem.width:
        return f"network.hidden: {problem.width} neurons for {samples} rows, and a trained output layer needs n >= 4 m"
    work, memory = cost(problem)
    if work > LARGEST_WORK or memory > LARGEST_MEMORY:
        rule = f"about {work / 1e10 / 60:.0f} minutes of a core and {memory / 2**30:.1f} GiB, more than is ventured"
        return f"training.steps: {problem.training.readings[-1]} updates of {problem.width} neurons would take {rule}"
    return None


def cost(problem: Problem) -> tuple[float, float]:
    """Floating-point operations of a prediction at most, and bytes."""
    t, m, c = problem.training.readings[-1], problem.width, problem.outputs
    k, rows = min(len(problem.eigenvalues), LEVELS), rows_needed(problem, t)
    past = t * m
    products = 4 / 3 * k * past**3 + 4 * rows * past**2 + 2 * rows * t * (m * c) ** 2 * problem.both
    if problem.fresh:
        return ROUNDS[-1] * products, 8.0 * past * (2 * rows + k * past)
    return ROUNDS[-1] * (products + TRACED * past**2 * t), 8.0 * past * (2 * rows + k * past) + 4.0 * TRACED * past * t


def predict(setting: Setting, rows: np.ndarray | None = None) -> Prediction:
    """τ at every step of the setting, averaged over rows, labels, weights and batches, for n, d → ∞ at fixed n/d and m.

    Any width, relu, erf, tanh or identity, squared error or cross-entropy, SGD with momentum, Nesterov's too, decay and
    drops, full batches, shuffled epochs, fresh or drawn batches, online; the first layer trained or both. The
    kernel may move as far as it will. Of every eigenvalue λ of Σ

        τ(λ) = s_0² tr P Pᵀ/m + (λ/n) tr Γ C_g Γᵀ/m ,

    what is left of the initial weights and what labels have written. The declared error, relative to τ, is
    c max(λ_max/tr Σ, 1/n) of their sizes, and three standard errors of the Monte Carlo, whose seed is fixed.

    Raises
    ------
    NoClosedForm
        If training diverges for some output weights, or more than 2 % of τ is left to chance.
    """
    problem, found = limit(setting)
    order, _, multiplicity = spaces(np.array(setting.data.eigenvalues))
    place = np.empty(len(order), int)
    place[order] = np.repeat(np.arange(len(multiplicity)), multiplicity)
    return FORM.asymptotic(
        population_readings(setting, (tau[place] for tau in found.tau)),
        order="1/d",
        error_budget=error_budget(problem, found),
        neglected=NEGLECTED,
    )


def limit(setting: Setting) -> tuple[Problem, Average]:
    """The constants of the setting, and the law of its weights at every step, averaged over output weights.

    Raises
    ------
    NoClosedForm
        As `predict`.
    """
    problem = problem_of(setting)
    levels = levels_of(problem.eigenvalues, problem.multiplicity, LEVELS)
    reduced = replace(problem, eigenvalues=levels.nodes, multiplicity=levels.weights)
    at_nodes = average(reduced, setting.training.readings, seed=SEED)
    found = replace(
        at_nodes,
        remembered=at_nodes.remembered @ levels.interpolation.T,
        written=at_nodes.written @ levels.interpolation.T,
        amplitude=at_nodes.amplitude @ levels.interpolation.T,
        error=np.abs(at_nodes.error @ levels.interpolation.T),
    )
    scatter = float(np.max(found.error / found.tau))
    if not scatter <= LARGEST_SCATTER:
        rule = f"leaves {scatter:.1%} of τ to the draws of output weights, more than {LARGEST_SCATTER:.0%}"
        raise NoClosedForm("network.init_variance", setting.network.layer_variances[1], rule)
    return problem, found


def error_budget(problem: Problem, found: Average) -> float:
    """The relative error of τ that is declared: c max(λ_max/tr Σ, 1/n) of the largest term, and three errors.

    A direction meets its own share of the variance of rows, which the limit takes for none. Terms are what is lost of
    the initial weights and what is written, and count without their signs.
    """
    share = SHARE * max(problem.largest_share, 1 / problem.samples)
    size = np.max(np.abs(found.remembered - problem.s0) + found.written, axis=1, keepdims=True)
    return float(np.max((share * size + SURE * found.error) / found.tau))


FORM = Form(
    name="network-dmft",
    title="one hidden layer of any width away from the kernel limit, averaged over Gaussian X: n, d → ∞",
    status="asymptotic",
    assumptions=ASSUMPTIONS,
    refusal=refusal,
    predict=predict,
)
