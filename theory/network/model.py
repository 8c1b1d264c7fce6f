"""Common parts of the closed forms of one hidden layer: their hypotheses, and the constants of the model.

With f(x) = m^{-1/2} Σ_j a_j φ(w_j·x), w_j of variance s_0² and a_j of variance s_a² per coordinate, both
parametrizations are this model in their raw first-layer weights, with the same learning rate:

    standard   s_0² = v_1/d,  s_a² = v_2 (raw output weights a/sqrt(m) have variance v_2/m),  rows x;
    ntk        s_0² = v_1,    s_a² = v_2,                                                     rows x/sqrt(d).

In the standard parametrization trained output weights move m times faster than a would.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory.linear.hypotheses import anisotropic_init, init_variances, label_variance, not_plain_descent
from theory.network.duals import ACTIVATIONS
from theory.setting import Setting


@dataclass(frozen=True)
class Model:
    """The constants of one hidden layer, in terms of which both parametrizations are the same.

    Attributes
    ----------
    activation : "relu", "erf" or "tanh"
    width, outputs : int
        m and C.
    s0, sa : float
        s_0² and s_a²: the variances of the entries of w_j and of a_jc.
    a4 : float
        E a⁴: 3 s_a⁴, as output weights are Gaussian.
    sy : float
        s_y², the variance of the labels of one output.
    factor : float
        The factor of the rows: 1, or 1/sqrt(d) in the ntk parametrization.
    """

    activation: str
    width: int
    outputs: int
    s0: float
    sa: float
    a4: float
    sy: float
    factor: float = 1.0


def not_plain_hidden_layer(setting: Setting, loss: str = "mse") -> str | None:
    """Why training is not plain full-batch gradient descent of one hidden layer on random labels; None if it is."""
    return not_hidden_layer(setting, loss) or not_plain_descent(setting)


def not_hidden_layer(setting: Setting, loss: str = "mse") -> str | None:
    """Why the setting is not one hidden layer, isotropic at first, full batch, random labels; None if it is.

    Momentum, weight decay and drops of the learning rate are admitted.
    """
    network, training, labels = setting.network, setting.training, setting.labels
    if network.kind != "mlp":
        return f"network.kind = {network.kind!r}: this form is for an mlp of one hidden layer"
    if len(network.widths) != 1:
        return f"network.hidden = {list(network.widths)}: this form is for one hidden layer"
    if network.activation not in ACTIVATIONS:
        return f"network.activation = {network.activation!r}: this form is for {', '.join(ACTIVATIONS)}"
    if network.bias:
        return "network.bias = true: derived without a bias only"
    if (reason := anisotropic_init(setting)) is not None:
        return reason
    if training.loss != loss:
        return f"training.loss = {training.loss!r}: this form is for {loss!r}"
    if training.optimizer != "sgd":
        return f"training.optimizer = {training.optimizer!r}: derived for gradient descent"
    if training.l1 != 0:
        return f"training.l1 = {training.l1:g}: derived without it"
    if labels.kind not in ("gaussian", "rademacher", "classes"):
        return f"labels.kind = {labels.kind!r}: labels must be independent of x"
    if not setting.full_batch:
        return f"training.batch_size = {training.batch_size}: this form is for the full batch"
    return None


def hidden_layer_constants(setting: Setting, dimension: int) -> Model:
    """The constants of a setting that `not_hidden_layer` accepts, for rows of `dimension` d."""
    network = setting.network
    sa = network.layer_variances[1]
    return Model(
        activation=network.activation,
        width=network.widths[0],
        outputs=setting.output_count,
        s0=float(init_variances(setting, dimension)[0]),
        sa=sa,
        a4=3 * sa**2,
        sy=label_variance(setting.labels),
        factor=dimension**-0.5 if network.parametrization == "ntk" else 1.0,
    )


def model_of(setting: Setting, rows: np.ndarray) -> tuple[Model, np.ndarray]:
    """The constants of a setting that `not_hidden_layer` accepts, and the rows (n, d) in units of the raw weights.

    >>> from theory.setting import Data, Network
    >>> data = Data(kind="gaussian", spectrum=(1.0,) * 4, samples=2, fixed=True)
    >>> network = Network(kind="mlp", hidden=(8,), parametrization="ntk", init_variance=(0.5, 2.0))
    >>> model, rows = model_of(Setting(data=data, network=network), np.ones((2, 4)))
    >>> model.s0, model.sa, rows[0].tolist()
    (0.5, 2.0, [0.5, 0.5, 0.5, 0.5])
    """
    model = hidden_layer_constants(setting, rows.shape[1])
    return model, model.factor * rows
