"""Families of networks of one hidden layer that differ in width alone, on the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from reports.claims.claim import Budget
from theory.setting import Data, Labels, Network, Setting, Training

SAMPLES = 60
SPECTRUM = tuple(np.linspace(0.4, 1.6, 10).round(3).tolist())

Activation = Literal["relu", "erf", "tanh"]


@dataclass(frozen=True)
class WidthFamily:
    """Narrower networks than the setting's, which are also trained; everything else is the same, rows included.

    Attributes
    ----------
    narrower : tuple of int
        The widths of these networks, ascending.
    rate : bool
        Whether the power of the width with which the error of the trace falls is to be decided.
    growth : float
        The power of the width with which the number of neurons grows: 0 for as many at every width, 1 for as many
        networks. The wider they are the smaller is the error of the theory, and the more neurons it takes to see it.
    """

    narrower: tuple[int, ...]
    rate: bool = False
    growth: float = 0.0


def _first_layer(
    activation: Activation, training: Training, widest: int, outputs: int = 1, samples: int = SAMPLES
) -> Setting:
    network = Network(kind="mlp", hidden=(widest,), activation=activation, train="first")
    return _setting(network, training, outputs, samples)


def _both_layers(activation: Activation, training: Training, widest: int) -> Setting:
    return _setting(Network(kind="mlp", hidden=(widest,), activation=activation, parametrization="ntk"), training)


def _setting(network: Network, training: Training, outputs: int = 1, samples: int = SAMPLES) -> Setting:
    return Setting(
        data=Data(kind="gaussian", spectrum=SPECTRUM, samples=samples, fixed=True),
        labels=Labels(outputs=outputs),
        network=msgspec.structs.replace(network, init_variance=(0.9, 1.0)),
        training=training,
    )


RELU, SMOOTH = Training(learning_rate=2.0, steps=10), Training(learning_rate=1.6, steps=10)
LATER = Training(learning_rate=2.0, steps=40)
FEWER_ROWS, ERF = 40, Training(learning_rate=1.2, steps=10)  # for the same error of the rate at less cost
RELU_BOTH, ERF_BOTH = Training(learning_rate=4.0, steps=40), Training(learning_rate=3.0, steps=40)

# The families of networks: the setting of the widest networks, the narrower widths, how many neurons of the widest the
# quick budget trains (the unit of larger budgets), and the smallest budget that trains the family: the exponent of erf
# takes more than the quick one has.
FAMILIES: dict[str, tuple[Setting, WidthFamily, int, Budget]] = {
    "ReLU, first layer": (
        _first_layer("relu", RELU, 1024),
        WidthFamily((64, 256), rate=True, growth=0.5),
        2**19 + 2**16,
        "quick",
    ),
    "erf, first layer": (
        _first_layer("erf", ERF, 640, samples=FEWER_ROWS),
        WidthFamily((40, 80, 160), rate=True, growth=1.0),
        2600 * 640,
        "full",
    ),
    "tanh, first layer": (_first_layer("tanh", SMOOTH, 1024), WidthFamily((64,)), 32768, "quick"),
    "ReLU, both layers": (_both_layers("relu", RELU_BOTH, 1024), WidthFamily((128,)), 65536, "quick"),
    "erf, both layers": (_both_layers("erf", ERF_BOTH, 1024), WidthFamily((64,)), 32768, "quick"),
    "ReLU, three outputs": (_first_layer("relu", RELU, 1024, outputs=3), WidthFamily((256,)), 81920, "quick"),
    "ReLU, first layer, later": (_first_layer("relu", LATER, 1024), WidthFamily((256,)), 40960, "quick"),
}


def narrowed(setting: Setting, width: int, growth: float = 0.0) -> Setting:
    """The setting at another width, with neurons in proportion to the power `growth` of it."""
    network = msgspec.structs.replace(setting.network, hidden=(width,))
    replicas = round(setting.ensemble.replicas * (setting.network.widths[0] / width) ** (1 - growth))
    ensemble = msgspec.structs.replace(setting.ensemble, replicas=replicas)
    return msgspec.structs.replace(setting, network=network, ensemble=ensemble)
