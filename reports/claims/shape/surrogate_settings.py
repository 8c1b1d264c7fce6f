"""The settings of F7: networks that no closed form describes, small ones and those of the paper's Figure 20."""

from __future__ import annotations

from typing import Any

import numpy as np

from theory.setting import Data, Labels, Network, Setting, Student, Training


def _classifier(
    spectrum: tuple[float, ...],
    hidden: tuple[int, ...],
    samples: int,
    *,
    batch: int,
    steps: tuple[int, ...],
    **net: Any,
) -> Setting:
    """Ten random classes, cross-entropy, biases, learning rate .01 and momentum .9, as in the paper's Figure 20."""
    return Setting(
        data=Data(kind="gaussian", spectrum=spectrum, samples=samples),
        labels=Labels(kind="classes"),
        network=Network(kind="mlp", hidden=hidden, bias=True, **net),
        training=Training(loss="cross-entropy", learning_rate=0.01, momentum=0.9, batch_size=batch, steps=steps),
    )


def _steps(first: float, last: float, count: int) -> tuple[float, ...]:
    return tuple(np.linspace(first, last, count).round(3))


LEVELS = tuple(np.geomspace(0.1, 3.0, 5).round(3).repeat(4))
WIDE, UPPER = _steps(0.1, 3.0, 30), _steps(1.0, 1.9, 10)

# The settings of small networks, which train in a second each.
SMALL_SETTINGS = {
    "network 20-128-64-10": _classifier(LEVELS, (128, 64), 800, batch=20, steps=(320, 480)),
    "network 20-128-64-10, NTK": Setting(
        data=Data(kind="gaussian", spectrum=LEVELS, samples=800),
        labels=Labels(kind="classes"),
        network=Network(kind="mlp", hidden=(128, 64), parametrization="ntk"),
        training=Training(loss="cross-entropy", learning_rate=1.0, momentum=0.5, batch_size=20, steps=(400, 800)),
    ),
}
# A setting with n ≫ d², where the surrogate's own check has to say no.
MANY_ROWS = {
    "network 10-64-10, first layer only, n = 16 d²": _classifier(
        (0.2,) * 5 + (2.0,) * 5, (64,), 1600, batch=20, steps=(320, 640), train="first"
    ),
}
# The settings of the three panels of the paper's Figure 20, their diagonals read as variances.
PAPER_SETTINGS = {
    "paper, left: 10-2048-256-10": _classifier(UPPER, (2048, 256), 10_000, batch=100, steps=(1000, 2000)),
    "paper, middle: 30-2048-256-10": _classifier(WIDE, (2048, 256), 10_000, batch=100, steps=(1000, 2000)),
    "paper, right: 30-256-256-10": _classifier(WIDE, (256, 256), 2000, batch=100, steps=(600, 1200)),
}
OWN_SETTINGS = {
    "network 24-512-128-10, tanh": _classifier(
        tuple(np.geomspace(0.05, 4.0, 24).round(4)),
        (512, 128),
        4000,
        batch=50,
        steps=(1600, 3200),
        activation="tanh",
    ),
    "network 16-768-128-5, NTK, Student rows, squared error": Setting(
        data=Data(
            kind="elliptical",
            spectrum=tuple(np.linspace(0.25, 2.5, 16).round(3)),
            samples=2400,
            radial=Student(dof=12.0),
        ),
        labels=Labels(kind="classes", classes=5),
        network=Network(kind="mlp", hidden=(768, 128), parametrization="ntk"),
        training=Training(learning_rate=0.5, momentum=0.5, batch_size=40, steps=(1200, 2400)),
    ),
}


def network_of(setting: Setting) -> str:
    """The network of a setting in a few words: its layers, and what is not usual about it."""
    network = setting.network
    layers = (setting.data.dimension, *network.widths, setting.outputs)
    unusual = {
        network.activation: network.activation != "relu",
        "NTK": network.parametrization == "ntk",
        "first layer only": network.train == "first",
    }
    return ", ".join(["network " + "-".join(map(str, layers)), *(words for words, there in unusual.items() if there)])
