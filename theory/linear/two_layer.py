"""Two-layer linear networks f(x) = W_2 W_1 x: the first step exactly, the flow to second order in time.

W_1 (m, d) has independent rows of covariance Σ_0, W_2 (C, m) entries N(0, σ_2²), labels Y (C, n) variance σ_y²; with
S = X'X/n and G = YX/n the gradient flow is Ẇ_1 = W_2ᵀ(G − W_2 W_1 S), Ẇ_2 = (G − W_2 W_1 S) W_1ᵀ
(theory/derivations.md, section 1.6). Both parametrizations obey these equations in their raw weights:

    standard   σ_1² = v_1/d,  σ_2² = v_2/m,  rows x;
    ntk        σ_1² = v_1,    σ_2² = v_2,    rows x/sqrt(m d), hence S/(m d) in place of S.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory.eigenspaces import Eigenspaces, eigenspaces, weight_variances
from theory.linear.hypotheses import (
    data_factor,
    init_variances,
    label_variance,
    not_random_label_descent,
    rows_not_fixed,
)
from theory.prediction import Form, PredictedReading, Prediction
from theory.rows import required_rows
from theory.setting import Setting

ASSUMPTIONS = (
    "conditional on the rows X",
    "one hidden layer, identity activation, squared error, full batch",
    "labels independent of X, independent over rows, mean zero; only their variance enters",
    "Gaussian output weights; first-layer weights independent of them, mean zero",
)


@dataclass(frozen=True, eq=False)
class TwoLayer:
    """The constants of a two-layer linear network, in terms of which both parametrizations are the same.

    Attributes
    ----------
    width, outputs : int
        m and C.
    initial : ndarray, shape (d,)
        The variances of a row of W_1 along the coordinate axes; σ_1² in each if isotropic.
    output_variance : float
        σ_2².
    factor : float
        The factor of S: 1, or 1/(m d) in the ntk parametrization.
    """

    width: int
    outputs: int
    initial: np.ndarray
    output_variance: float
    factor: float


def not_two_layer_linear(setting: Setting) -> str | None:
    """Why the setting is not a two-layer linear network on random labels, full batch, given X; None if it is."""
    network, training = setting.network, setting.training
    if network.kind != "mlp":
        return f"network.kind = {network.kind!r}: this form is for an mlp of one hidden layer"
    if len(network.widths) != 1:
        return f"network.hidden = {list(network.widths)}: this form is for one hidden layer"
    if network.activation != "identity":
        return f"network.activation = {network.activation!r}: this form is for the identity"
    if (reason := not_random_label_descent(setting) or rows_not_fixed(setting)) is not None:
        return reason
    if not setting.full_batch:
        return f"training.batch_size = {training.batch_size}: this form is for the full batch"
    return None


def two_layer_constants(setting: Setting, dimension: int) -> TwoLayer:
    """The constants of a setting that `not_two_layer_linear` accepts, for rows of `dimension` d."""
    width = setting.network.widths[0]
    second = setting.network.layer_variances[1]
    ntk = setting.network.parametrization == "ntk"
    return TwoLayer(
        width=width,
        outputs=setting.output_count,
        initial=init_variances(setting, dimension),
        output_variance=second if ntk else second / width,
        factor=data_factor(setting, dimension) / width if ntk else 1.0,
    )


def two_layer_first_step_moment(
    s: np.ndarray, samples: int, label_variance: float, net: TwoLayer, rate: float, decay: float = 0.0
) -> np.ndarray:
    """Σ_w = E[W_1ᵀW_1]/m after one step of gradient descent, (d, d), S (d, d) with the factor of `net` included.

    With a = 1 − ηλ,

        Σ_w = a²Σ_0 − aηCσ_2² (Σ_0 S + S Σ_0) + η² [ (Cσ_2²σ_y²/n) S + C(C + m + 1)σ_2⁴ S Σ_0 S ].

    Exact: E[W_2ᵀW_2] = Cσ_2² I, E[W_2W_2ᵀ] = mσ_2² I, E tr (W_2ᵀW_2)² = Cm(C + m + 1)σ_2⁴.
    """
    c, m, variance = net.outputs, net.width, net.output_variance
    a, initial = 1 - rate * decay, net.initial
    cross = initial[:, None] * s
    labels = c * variance * label_variance / samples * s
    fourth = c * (c + m + 1) * variance**2 * (s * initial) @ s
    return np.asarray(
        a**2 * np.diag(initial) - a * rate * c * variance * (cross + cross.T) + rate**2 * (labels + fourth)
    )


def sample_spectrum(rows: np.ndarray) -> tuple[Eigenspaces, np.ndarray]:
    """The eigenspaces of S = X'X/n, and its eigenvalues (k,), those at rounding level set to zero."""
    spaces = eigenspaces(rows.T @ rows / len(rows))
    return spaces, np.where(spaces.eigenvalues <= spaces.gap, 0.0, spaces.eigenvalues)


def refusal(setting: Setting) -> str | None:
    """Why the form does not apply: the first hypothesis that fails; None if all hold."""
    if (reason := not_two_layer_linear(setting)) is not None:
        return reason
    if max(setting.training.readings) > 1:
        return f"training.steps = {setting.training.steps}: exact at steps 0 and 1 only"
    return None


def predict(setting: Setting, rows: np.ndarray | None) -> Prediction:
    """Σ_w = E[W_1ᵀW_1]/m at steps 0 and 1, for given rows X (n, d): `two_layer_first_step_moment`.

    Exact at every width, for `train` "all" and "first" alike, with weight decay. At the first step the buffers are
    empty: heavy ball is gradient descent, Nesterov is gradient descent with (1 + μ)η. Σ_w is aligned with S when the
    first layer is isotropic. E[w] = 0. Nothing is Gaussian.
    """
    rows = required_rows(rows)
    samples, dimension = rows.shape
    training, net = setting.training, two_layer_constants(setting, dimension)
    spaces, eigenvalues = sample_spectrum(rows)
    rate = training.learning_rate_at(0) * (1 + training.momentum if training.nesterov else 1)
    s = net.factor * rows.T @ rows / samples
    moments = {
        0: np.diag(net.initial),
        1: two_layer_first_step_moment(s, samples, label_variance(setting.labels), net, rate, training.weight_decay),
    }
    readings = tuple(reading(step, spaces, eigenvalues, moments[step]) for step in training.readings)
    return FORM.exact(readings)


def reading(step: int, spaces: Eigenspaces, eigenvalues: np.ndarray, moment: np.ndarray) -> PredictedReading:
    """A reading of Σ_w (d, d), in the coordinates of the data."""
    moment = (moment + moment.T) / 2
    tau = np.asarray(weight_variances(spaces, moment))
    return PredictedReading(step, np.sqrt(eigenvalues), spaces.multiplicity, tau, moment, np.zeros(spaces.dimension))


FORM = Form(
    name="two-layer-first-step",
    title="two-layer linear network, first full-batch step, conditional on X: a quadratic polynomial of S",
    status="exact",
    assumptions=ASSUMPTIONS,
    refusal=refusal,
    predict=predict,
)
