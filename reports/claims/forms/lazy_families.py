"""Families of networks of one hidden layer that differ in width alone, on the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from theory.setting import Data, Labels, Network, Setting, Training

SPECTRUM = tuple(np.linspace(0.4, 1.6, 10).round(3).tolist())

Activation = Literal["relu", "erf", "tanh"]


@dataclass(frozen=True)
class WidthFamily:
    """Narrower networks than the setting's, which are trained besides: all else is the same, rows included.

    Attributes
    ----------
    narrower : tuple of int
        Their widths, ascending.
    rate : bool
        Whether the power of the width with which the error of the trace falls is to be decided.
    """

    narrower: tuple[int, ...]
    rate: bool = False


def _first_layer(activation: Activation, training: Training, widest: int, outputs: int = 1) -> Setting:
    return _setting(Network(kind="mlp", hidden=(widest,), activation=activation, train="first"), training, outputs)


def _both_layers(activation: Activation, training: Training, widest: int) -> Setting:
    return _setting(Network(kind="mlp", hidden=(widest,), activation=activation, parametrization="ntk"), training)


def _setting(network: Network, training: Training, outputs: int = 1) -> Setting:
    return Setting(
        data=Data(kind="gaussian", spectrum=SPECTRUM, samples=60, fixed=True),
        labels=Labels(outputs=outputs),
        network=msgspec.structs.replace(network, init_variance=(0.9, 1.0)),
        training=training,
    )


RELU, SMOOTH = Training(learning_rate=0.5, steps=40), Training(learning_rate=0.8, steps=20)
LATER = Training(learning_rate=0.5, steps=160)
RELU_BOTH, ERF_BOTH = Training(learning_rate=4.0, steps=40), Training(learning_rate=3.0, steps=40)

# the widest networks, the narrower ones, and how many neurons the quick budget trains at each width
FAMILIES: dict[str, tuple[Setting, WidthFamily, int]] = {
    "ReLU, first layer": (_first_layer("relu", RELU, 4096), WidthFamily((64, 256, 1024), rate=True), 65536),
    "erf, first layer": (_first_layer("erf", SMOOTH, 1000), WidthFamily((16, 160, 400), rate=True), 64000),
    "tanh, first layer": (_first_layer("tanh", SMOOTH, 1024), WidthFamily((64,)), 20480),
    "ReLU, both layers": (_both_layers("relu", RELU_BOTH, 1024), WidthFamily((128,)), 16384),
    "erf, both layers": (_both_layers("erf", ERF_BOTH, 1024), WidthFamily((64,)), 16384),
    "ReLU, three outputs": (_first_layer("relu", RELU, 1024, outputs=3), WidthFamily((256,)), 8192),
    "ReLU, first layer, later": (_first_layer("relu", LATER, 1024), WidthFamily((256,)), 8192),
}


def narrowed(setting: Setting, width: int) -> Setting:
    """The setting at another width, with as many neurons in all."""
    network = msgspec.structs.replace(setting.network, hidden=(width,))
    replicas = setting.ensemble.replicas * setting.network.widths[0] // width
    ensemble = msgspec.structs.replace(setting.ensemble, replicas=replicas)
    return msgspec.structs.replace(setting, network=network, ensemble=ensemble)
