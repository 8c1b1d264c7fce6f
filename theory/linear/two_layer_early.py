"""Two-layer linear networks from small initial weights, before any mode of the labels is learnt.

While W_2W_1S ≪ G = YX/n the dynamics is linear, Ẇ_1 = W_2ᵀG, Ẇ_2 = GW_1ᵀ: along a singular mode g of G the two layers
mix by cosh and sinh (theory/derivations.md, section 1.6). The averages over G are power series with Wishart moments.
"""

from __future__ import annotations

import numpy as np

from theory.eigenspaces import Eigenspaces
from theory.errors import NoClosedForm
from theory.linear.hypotheses import anisotropic_init, label_variance
from theory.linear.two_layer import not_two_layer_linear, reading, sample_spectrum, two_layer_constants
from theory.linear.wishart import LARGEST_ORDER, LARGEST_ORDER_OF_A_VECTOR, vector_powers, wishart_powers
from theory.prediction import Form, Prediction
from theory.rows import required_rows
from theory.setting import Setting, Training
from theory.setting.limits import require_updates

ERROR_BUDGET = 0.05  # the error budget of τ, the most that saturation may take off it
ASSUMPTIONS = (
    "conditional on the rows X",
    "one hidden layer, identity activation, squared error, full batch, both layers trained",
    "Gaussian labels, independent of X",
    "small isotropic initial weights: the outputs stay far below the labels",
)


def early_moment(g: np.ndarray, first: float, second: float, time: float) -> np.ndarray:
    """E[W_1ᵀW_1 | G]/m = σ_1² cosh²(t √(GᵀG)) + σ_2² sinh²(t √(GᵀG)), (d, d), for G = YX/n (C, d).

    Linearised gradient flow at time t = η · steps, σ_1² = `first`, σ_2² = `second`. Asymptotic: order σ² for fixed t;
    fails when a mode saturates, m(σ_1² + σ_2²) e^{2tg} s ~ 4g.

    >>> early_moment(np.array([[0.0, 1.0]]), 1.0, 0.0, 1.0).round(6).tolist()
    [[1.0, 0.0], [0.0, 2.381098]]
    """
    # of G itself, not of GᵀG: small singular values keep their digits
    _, modes, basis = np.linalg.svd(g, full_matrices=True)
    modes = np.concatenate([modes, np.zeros(len(basis) - len(modes))]) * time
    return np.asarray((basis.T * (first * np.cosh(modes) ** 2 + second * np.sinh(modes) ** 2)) @ basis)


def mixing_series(training: Training, steps: int, order: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The optimizer's own cosh and sinh: c(g) = Σ_j c_j γ^{2j}, s(g) = Σ_j s_j γ^{2j+1}, γ = g/`scale`, j = 0 … order.

    The linearised update, run on truncated power series: W_1 ↦ c W_1 + s W_2ᵀ along a mode. Exact for every learning
    rate, drops, momentum, Nesterov and weight decay; cosh and sinh of tg as the rate vanishes. Shapes (order + 1,).

    >>> c, s = mixing_series(Training(learning_rate=0.5), steps=2, order=1, scale=1.0)  # (1 ± g/2)²
    >>> c.tolist(), s.tolist()
    ([1.0, 0.25], [1.0, 0.0])
    """
    require_updates(steps)
    state, buffer = np.zeros((2, order + 1)), np.zeros((2, order + 1))
    state[0, 0] = 1.0
    momentum, decay = training.momentum, training.weight_decay
    for step in range(steps):
        gradient = decay * state
        gradient[0, 1:] -= scale * state[1, :-1]
        gradient[1] -= scale * state[0]
        buffer = momentum * buffer + gradient
        move = gradient + momentum * buffer if training.nesterov else buffer
        state = state - training.learning_rate_at(step) * move
    return state[0], state[1]


def averaged_early(
    training: Training, steps: int, variances: np.ndarray, outputs: int, first: float, second: float
) -> tuple[np.ndarray, np.ndarray]:
    """(τ, growth of the product): E over G of the linearised Σ_w, G of C rows N(0, diag ν), both (d,).

    τ = E[σ_1² c(√W)² + σ_2² s(√W)²]_ii, W = GᵀG. The second array is E[(c² + s²) c s/g]_ii / E[c² + s²]_ii, which,
    times s_max (m + 2)(σ_1² + σ_2²), estimates the reduction of the grown part of τ by saturation: a single mode obeys
    a logistic law whose deficit is |p_0|² s (e^{2gt} − 1)/(4g), |p_0|² = Σ over neurons of (w_1 + w_2)².

    Raises
    ------
    NoClosedForm
        If the series has not converged at the largest order of the Wishart moments: the modes have grown too far.
    """
    order = LARGEST_ORDER_OF_A_VECTOR if outputs == 1 else LARGEST_ORDER
    top = float(variances.max())
    scale = np.sqrt(top)
    unit = variances / top if top > 0 else variances
    moments = vector_powers(unit, order) if outputs == 1 else wishart_powers(unit, outputs, order)
    c, s = mixing_series(training, steps, order, scale)
    cc, ss, cs = (_product(a, b) for a, b in ((c, c), (s, s), (c, s)))
    ss = np.concatenate([[0.0], ss[:-1]])  # s is odd: γ² times a series in γ²
    product = _product(cc + ss, cs)
    if not all(np.all(np.abs(a[-1]) * moments[-1] <= 1e-9 * (np.abs(a) @ moments)) for a in (cc + ss, product)):
        rule = f"no closed form: by step {steps} the modes have grown beyond the series of the early-time average"
        raise NoClosedForm("training.steps", steps, rule)
    growth = (product @ moments) / ((cc + ss) @ moments) / (scale if top > 0 else 1.0)
    return np.asarray((first * cc + second * ss) @ moments), growth


def refusal(setting: Setting) -> str | None:
    """Why the form does not apply: the first hypothesis that fails; None if all hold."""
    if (reason := not_two_layer_linear(setting)) is not None:
        return reason
    if setting.network.train != "all":
        return "network.train = 'first': this form is for both layers"
    if setting.labels.kind != "gaussian":
        return f"labels.kind = {setting.labels.kind!r}: all moments of the labels enter, derived for Gaussian ones"
    return anisotropic_init(setting)


def predict(setting: Setting, rows: np.ndarray | None) -> Prediction:
    """Σ_w = E[W_1ᵀW_1]/m from small initial weights, at early times, for given rows X (n, d): `averaged_early`.

    τ_i = σ_1² + growth; exact in the learning rate and in every optimizer variant, of leading order in the initial
    variances. Σ_w is aligned with S. Error budget 5 % of τ.

    Raises
    ------
    NoClosedForm
        If the estimated loss by saturation (`averaged_early`) exceeds the budget at some step.
    """
    rows = required_rows(rows)
    samples, dimension = rows.shape
    net, (spaces, eigenvalues) = two_layer_constants(setting, dimension), sample_spectrum(rows)
    s = net.factor * np.repeat(eigenvalues, spaces.multiplicity)
    first, second = float(net.initial[0]), net.output_variance
    variances = label_variance(setting.labels) / samples * s
    readings = []
    for step in setting.training.readings:
        tau, growth = averaged_early(setting.training, step, variances, net.outputs, first, second)
        lost = float(np.max(growth) * s.max() * (net.width + 2) * (first + second))
        if not lost <= ERROR_BUDGET:
            rule = f"no closed form of early times: saturation takes about {lost:.2g} of τ by step {step}"
            raise NoClosedForm("training.steps", step, f"{rule}, more than {ERROR_BUDGET:g}")
        readings.append(reading(step, spaces, eigenvalues, _rebuilt(spaces, tau)))
    neglected = (
        "the output W₂W₁x in the residual, which is of the order of the initial variances and grows as exp(2tg)",
    )
    return FORM.asymptotic(readings, order="init variance", error_budget=ERROR_BUDGET, neglected=neglected)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The truncated product of two power series."""
    return np.asarray(np.convolve(a, b)[: len(a)])


def _rebuilt(spaces: Eigenspaces, tau: np.ndarray) -> np.ndarray:
    """V diag(τ) Vᵀ, τ (d,) in the order of the basis."""
    return np.asarray((spaces.basis * tau) @ spaces.basis.T)


FORM = Form(
    name="two-layer-early",
    title="two-layer linear network, small init, early times: σ_1² cosh² + σ_2² sinh² of t√(GᵀG), averaged over labels",
    status="asymptotic",
    assumptions=ASSUMPTIONS,
    refusal=refusal,
    predict=predict,
)
