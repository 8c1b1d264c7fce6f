"""One hidden layer near the kernel limit: the change of Σ_w at order 1/m, at any time of training.

With f(x) = m^{-1/2} Σ_j a_j φ(w_j·x) and random labels, full batch, given X (theory/derivations.md, section 2.2),

    m (E[w wᵀ] − s_0² I) = T_1 + T_2 + T_3 (+ T_4) + o(1):

    T_1  the square of the change of w, driven by labels and by the other neurons' output,
    T_2  the product of w and its change through the neuron's own output,
    T_3  the product of w and the second order of its change: its gates change with it,
    T_4  the product of w and the second order of its change: its output weight changes, if that is trained.

All follow from A, B, C of `theory.network.propagators` and from the duals of `theory.network.duals`. Gradient descent
and gradient flow have the same four terms with their own A, B, C. With several outputs the tangent kernel is the same
block for each, output weights of different outputs are uncorrelated, and every term is multiplied by their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from theory.eigenspaces import Eigenspaces, eigenspaces, weight_variances
from theory.errors import NoClosedForm
from theory.linear.hypotheses import rows_not_fixed
from theory.network.duals import dual, gram
from theory.network.model import Model, model_of, not_plain_hidden_layer
from theory.network.propagators import Propagators, Stretch, descent_step, kernel_propagators, standstill
from theory.prediction import Form, PredictedReading, Prediction
from theory.rows import required_rows
from theory.setting import Setting, Training

ASSUMPTIONS = (
    "conditional on the rows X",
    "one hidden layer, relu, erf or tanh, squared error, full-batch gradient descent",
    "the first layer trained, or both in the ntk parametrization",
    "labels independent of X, independent over rows, mean zero; only their variance enters",
    "Gaussian weights, independent, first layer isotropic",
)
ORDERS = {"relu": "m^-1/2", "erf": "1/m", "tanh": "1/m"}  # the relative order of what is neglected, by activation
# The power p and the factor c of the error budget, by activation: the error may reach c ε^p of the terms' sizes;
# factors of 0.5 (p = 1) and 1.8 (p = 2) were the most that was measured.
BUDGETS = {"relu": (1, 0.8), "erf": (2, 3.0), "tanh": (2, 3.0)}
LARGEST_DISPLACEMENT = 0.5  # the largest displacement ε: beyond it an expansion about the initial weights says little


@dataclass(frozen=True, eq=False)
class KernelLimit:
    """The kernel limit of one hidden layer on given rows, in the eigenbasis of its tangent kernel K = U diag(κ) Uᵀ.

    Attributes
    ----------
    activation : "relu", "erf" or "tanh"
    rows : ndarray, shape (n, d)
        X in units of the raw weights.
    s0, sa : float
        s_0² and s_a², the variances of first-layer and output weights.
    both : bool
        Whether output weights are trained: K = K_W + K_a, or K_W alone.
    k, p, q, u, v : ndarray, shape (n, n)
        E[φφ], E[φ'φ'], E[φ''φ], E[φ'''φ'], E[φ''φ''].
    kappa, basis : ndarray, shapes (n,) and (n, n)
    start : ndarray, shape (n, n)
        Uᵀ N U, N = s_a² E[φφ] the covariance of the output at the start.
    """

    activation: str
    rows: np.ndarray
    s0: float
    sa: float
    both: bool
    k: np.ndarray
    p: np.ndarray
    q: np.ndarray
    u: np.ndarray
    v: np.ndarray
    kappa: np.ndarray
    basis: np.ndarray
    start: np.ndarray

    def residual(self, labels: float) -> np.ndarray:
        """S̃ = s_y² I + Uᵀ N U, (n, n), for labels of variance s_y²."""
        residual = self.start.copy()
        residual[np.diag_indices_from(residual)] += labels
        return residual


def kernel_limit(rows: np.ndarray, activation: str, s0: float, sa: float, *, both: bool) -> KernelLimit:
    """The kernel limit on rows X (n, d): K_W = s_a² XXᵀ ∘ E[φ'φ'], with the output layer trained + E[φφ]."""
    moments = gram(rows, covariance=s0)
    k, p = dual(activation, moments), dual(activation, moments, (1, 1))
    kernel = sa * (rows @ rows.T) * p
    if both:
        kernel += k
    kappa, basis = np.linalg.eigh(kernel)
    return KernelLimit(
        activation=activation,
        rows=rows,
        s0=s0,
        sa=sa,
        both=both,
        k=k,
        p=p,
        q=dual(activation, moments, (2, 0)),
        u=dual(activation, moments, (3, 1)),
        v=dual(activation, moments, (2, 2)),
        kappa=np.maximum(kappa, 0.0),  # K is positive semi-definite up to rounding
        basis=basis,
        start=sa * (basis.T @ k @ basis),
    )


def motion(limit: KernelLimit, c: np.ndarray) -> np.ndarray:
    """T_1 = s_a² Xᵀ(P ∘ C)X = m E[dw dwᵀ], dw = m^{-1/2} a Xᵀ diag(φ') A(y − f_0); C (n, n) → (d, d)."""
    x = limit.rows
    return limit.sa * x.T @ ((limit.p * c) @ x)


def own_output(limit: KernelLimit, a: np.ndarray) -> np.ndarray:
    """T_2 = −2 s_a² s_0² [Xᵀ(A ∘ P)X + Xᵀ diag((A ∘ Q)1)X], A (n, n) → (d, d).

    Only the neuron's own part of f_0 is correlated with w: E[w φ'(w·x_i) φ(w·x_k)] = s_0² (P_ik x_k + Q_ik x_i).
    """
    x = limit.rows
    weighted = (a * limit.p) @ x + (a * limit.q).sum(axis=1)[:, None] * x
    return -2 * limit.sa * limit.s0 * x.T @ weighted


def moving_gates(limit: KernelLimit, b: np.ndarray) -> np.ndarray:
    """T_3 = s_a² (F + Fᵀ), F = s_0² Σ_ik B_ik (x_i·x_k) [U_ik x_i + V_ik x_k] x_iᵀ, B (n, n) → (d, d).

    E[w φ''(w·x_i) φ'(w·x_k)] = s_0² (U_ik x_i + V_ik x_k). For ReLU φ'' is a point mass at its kink, and the term, of
    trace zero, is a sum over pairs of rows with a plane between them.
    """
    x = limit.rows
    b = b * (x @ x.T)
    f = limit.s0 * (x.T @ ((b * limit.v).T @ x) + (x.T * (b * limit.u).sum(axis=1)) @ x)
    return limit.sa * (f + f.T)


def moving_output_weights(limit: KernelLimit, b: np.ndarray) -> np.ndarray:
    """T_4 = G + Gᵀ, G = s_0² Σ_ik B_ik [P_ik x_k + Q_ik x_i] x_iᵀ, B (n, n) → (d, d); both layers trained only."""
    x = limit.rows
    g = limit.s0 * (x.T @ ((b * limit.p).T @ x) + (x.T * (b * limit.q).sum(axis=1)) @ x)
    return g + g.T


@dataclass(frozen=True, eq=False)
class LazyTerms:
    """T_1 … T_4, (d, d) each; `output_weights` is zero if output weights are not trained."""

    motion: np.ndarray
    own_output: np.ndarray
    gates: np.ndarray
    output_weights: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """m (E[w wᵀ] − s_0² I) to leading order, (d, d)."""
        return self.motion + self.own_output + self.gates + self.output_weights

    @property
    def size(self) -> float:
        """The largest entry on the diagonals of |T_1| + … + |T_4|."""
        parts = (self.motion, self.own_output, self.gates, self.output_weights)
        return float(np.sum([np.abs(np.diagonal(part)) for part in parts], axis=0).max())

    def scaled(self, factor: float) -> LazyTerms:
        """Every term times `factor`."""
        return LazyTerms(*(factor * term for term in (self.motion, self.own_output, self.gates, self.output_weights)))


def terms(limit: KernelLimit, matrices: Propagators) -> LazyTerms:
    """T_1 … T_4 of one output."""
    d = limit.rows.shape[1]
    return LazyTerms(
        motion=motion(limit, matrices.c),
        own_output=own_output(limit, matrices.a),
        gates=moving_gates(limit, matrices.b),
        output_weights=moving_output_weights(limit, matrices.b) if limit.both else np.zeros((d, d)),
    )


def displacement(limit: KernelLimit, matrices: Propagators, model: Model) -> float:
    """How far weights move, relative to their initial size: the small parameter ε of the expansion.

        ε² = (outputs/m) { tr(T_1 XᵀX)/min(s_0² |X|², n) + tr(C k)/s_a² },

    the mean square motion of pre-activations over their mean square at the start, or over 1, where erf and tanh
    saturate, if that is smaller; if output weights are trained, plus the same for them.
    """
    x = limit.rows
    scale = limit.s0 * float(np.sum(x**2))
    if limit.activation != "relu":
        scale = min(scale, float(len(x)))
    moved = [float(np.sum((x @ motion(limit, matrices.c)) * x))]
    scales = [scale]
    if limit.both:
        moved.append(float(np.sum(matrices.c * limit.k)))
        scales.append(limit.sa)
    shares = [m / s if s > 0 else np.inf for m, s in zip(moved, scales, strict=True) if m > 0]
    return float(np.sqrt(model.outputs / model.width * sum(shares)))


def refusal(setting: Setting) -> str | None:
    """Why the form does not apply: the first hypothesis that fails; None if all hold."""
    if (reason := not_plain_hidden_layer(setting) or rows_not_fixed(setting)) is not None:
        return reason
    network = setting.network
    if network.train == "all" and network.parametrization == "standard":
        return (
            "network.train = 'all' with network.parametrization = 'standard': output weights then move m times faster "
            "than the kernel limit knows; parametrization 'ntk' or train 'first' has one"
        )
    if network.layer_variances[0] == 0:
        return "network.init_variance: without first-layer weights at the start nothing is small beside them"
    return None


def predict(setting: Setting, rows: np.ndarray | None) -> Prediction:
    """Σ_w = s_0² I + (T_1 + T_2 + T_3 + T_4)/m at every step of the setting, given X (n, d); any of three activations.

    With `train` "first" in both parametrizations, with "all" in ntk. Given X, Σ_w is not diagonal in the eigenbasis of
    X'X/n: τ is its diagonal there. The neglected terms are smaller by a factor of order ε for ReLU, whose gates have
    kinks, and ε² for erf and tanh, ε ∝ m^{-1/2} the `displacement`; the error budget is that fraction of the terms'
    sizes.

    Raises
    ------
    NoClosedForm
        If ηκ_max/n >= 2, or ε exceeds one half at some step.
    """
    rows = required_rows(rows)
    model, felt = model_of(setting, rows)
    limit = kernel_limit(felt, model.activation, model.s0, model.sa, both=setting.network.train == "all")
    spaces = eigenspaces(rows.T @ rows / len(rows))
    start, budget, found = limit.residual(model.sy), 0.0, []
    for step, stretch in stretches(setting.training, limit.kappa, len(rows)):
        matrices = kernel_propagators(stretch, limit.basis, start)
        moved = terms(limit, matrices).scaled(model.outputs)
        epsilon = displacement(limit, matrices, model)
        if not epsilon <= LARGEST_DISPLACEMENT:
            rule = (
                f"no closed form near the kernel limit: by step {step} weights move by {epsilon:.2g} of what they were"
            )
            raise NoClosedForm("training.steps", step, f"{rule}, more than {LARGEST_DISPLACEMENT:g}")
        found.append(lazy_reading(step, spaces, model, moved))
        budget = max(budget, error_budget(model, moved, epsilon, float(found[-1].tau.min())))
    order = ORDERS[model.activation]
    return FORM.asymptotic(found, order=order, error_budget=budget, neglected=neglected(model))


def error_budget(model: Model, moved: LazyTerms, epsilon: float, least: float) -> float:
    """The declared relative error of τ: c ε^p of the largest entry of |T_1| + … + |T_4| over m, p = 1 or 2.

    It is a share of the terms' sizes, not of their sum, in which they may cancel; `least` is the smallest τ.
    """
    return declared_share(model, epsilon) * moved.size / (model.width * least)


def declared_share(model: Model, epsilon: float) -> float:
    """c ε^p, the share of the terms' sizes that bounds their error at order 1/m."""
    power, share = BUDGETS[model.activation]
    return float(share * epsilon**power)


def stretches(training: Training, kappa: np.ndarray, samples: int) -> Iterator[tuple[int, Stretch]]:
    """Every reading with gradient descent from the start up to it, on n = `samples` rows."""
    step = descent_step(kappa, training.learning_rate / samples)
    reached, stretch = 0, standstill(len(kappa))
    for reading in training.readings:
        stretch = stretch.then(step.repeated(reading - reached))
        reached = reading
        yield reading, stretch


def lazy_reading(step: int, spaces: Eigenspaces, model: Model, moved: LazyTerms) -> PredictedReading:
    """A reading from the terms (d, d), in the coordinates of the data."""
    moment = model.s0 * np.eye(spaces.dimension) + (moved.total + moved.total.T) / (2 * model.width)
    sigma = np.sqrt(np.where(spaces.eigenvalues <= spaces.gap, 0.0, spaces.eigenvalues))
    tau = np.asarray(weight_variances(spaces, moment))
    return PredictedReading(step, sigma, spaces.multiplicity, tau, moment)


def neglected(model: Model) -> tuple[str, ...]:
    """What the form leaves out."""
    if model.activation == "relu":
        return ("terms of relative order m^{-1/2}: gates sit at kinks, and flip as their neuron moves",)
    return ("terms of relative order 1/m: the tangent kernel's fluctuations and motion",)


FORM = Form(
    name="network-lazy",
    title="one hidden layer near the kernel limit, full batch, conditional on X: every term of order 1/m",
    status="asymptotic",
    assumptions=ASSUMPTIONS,
    refusal=refusal,
    predict=predict,
)
