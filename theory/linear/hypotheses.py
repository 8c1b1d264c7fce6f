"""What the closed forms of a linear model share: the hypotheses of the model, and its constants.

A hypothesis is a function from a setting to None, or to the reason why it fails; its name says what is then wrong.
"""

from __future__ import annotations

import numpy as np

from theory.errors import InvalidInput
from theory.setting import Labels, Setting

# The smallest error budget of an asymptotic form: no less is declared, even where its measured error is smaller.
LEAST_BUDGET = 0.02


def not_linear(setting: Setting) -> str | None:
    """Why the setting is not w ← w − η·(gradient of the squared error + λ w) with random labels; None if it is."""
    network = setting.network
    if network.kind != "linear":
        return f"network.kind = {network.kind!r}: this form is for a linear model"
    return not_random_label_descent(setting)


def not_random_label_descent(setting: Setting) -> str | None:
    """Why training is not SGD on the squared error of random labels, without a bias; None if it is."""
    network, training, labels = setting.network, setting.training, setting.labels
    if network.bias:
        return "network.bias = true: derived without a bias only"
    if training.loss != "mse":
        return f"training.loss = {training.loss!r}: derived for the squared error"
    if training.optimizer != "sgd":
        return f"training.optimizer = {training.optimizer!r}: not linear in the weights"
    if training.l1 != 0:
        return f"training.l1 = {training.l1:g}: not linear in the weights"
    if labels.kind not in ("gaussian", "rademacher", "classes"):
        return f"labels.kind = {labels.kind!r}: labels must be independent of x"
    return None


def not_plain_descent(setting: Setting) -> str | None:
    """Why training is not gradient descent with one learning rate, alone, from an isotropic init; None if it is."""
    training = setting.training
    for key, value in (("momentum", training.momentum), ("weight_decay", training.weight_decay)):
        if value != 0:
            return f"training.{key} = {value:g}: derived for plain gradient descent"
    if training.drops:
        return "training.drops: derived for one learning rate"
    return anisotropic_init(setting)


def anisotropic_init(setting: Setting) -> str | None:
    """Why the initial first-layer weights do not have one common variance; None if they do."""
    if len(set(setting.network.init_spectrum)) > 1:
        return "network.init_spectrum: derived for an isotropic init"
    return None


def rows_not_fixed(setting: Setting) -> str | None:
    """Why the rows are not the same in all replicas; None if they are."""
    return None if setting.data.fixed else "data.fixed = false: this form is conditional on the rows X"


def label_variance(labels: Labels) -> float:
    """σ_y² of one output; one-hot − 1/C has (C − 1)/C² (uniform classes).

    >>> label_variance(Labels(kind="classes", classes=2))
    0.25
    """
    return (labels.classes - 1) / labels.classes**2 if labels.kind == "classes" else labels.variance


def data_factor(setting: Setting, dimension: int) -> float:
    """The factor of S with which the raw weights obey the plain recursion: 1, or 1/d in the ntk parametrization.

    With f = w·x/√d, the raw weights follow the standard recursion on the rows x/√d, whose second moment is S/d.
    """
    return 1 / dimension if setting.network.parametrization == "ntk" else 1.0


def init_variances(setting: Setting, dimension: int) -> np.ndarray:
    """The variance of each coordinate of w_0, (d,): v_1/d, in ntk v_1; or init_spectrum, in both.

    Raises
    ------
    InvalidInput
        If init_spectrum does not have d entries.
    """
    network = setting.network
    if network.init_spectrum:
        if len(network.init_spectrum) != dimension:
            rule = f"must have one entry per dimension ({dimension})"
            raise InvalidInput("network.init_spectrum", network.init_spectrum, rule)
        return np.array(network.init_spectrum)
    variance = network.layer_variances[0]
    return np.full(dimension, variance if network.parametrization == "ntk" else variance / dimension)
