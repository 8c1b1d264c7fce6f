"""Images, and settings of filters that are trained on them."""

import numpy as np

from tests.simulate.dense_settings import CLASSES
from theory.setting import Data, Labels, Network, Setting, Training

IMAGES = np.random.default_rng(0).normal(size=(12, 2, 6, 5)) * [[[1.0]], [[3.0]]] + [[[4.0]], [[-2.0]]]


def conv(**keys):
    return Network(**{"kind": "conv", "filters": 4, "kernel": (3, 2), "hidden": (5,), **keys})


SETTINGS = {
    "mse": (conv(), Training(steps=(0, 1, 6)), Labels(outputs=2)),
    "no dense hidden layer": (conv(hidden=()), Training(steps=6, momentum=0.5), Labels()),
    "bias, nesterov, cross-entropy": (
        conv(bias=True, hidden=(5, 4)),
        Training(steps=6, momentum=0.8, nesterov=True, weight_decay=0.05, loss="cross-entropy", drops=((3, 0.5),)),
        CLASSES,
    ),
    "ntk, tanh, first": (
        conv(parametrization="ntk", activation="tanh", train="first", bias=True),
        Training(steps=6, loss="cross-entropy", batch_size=3),
        CLASSES,
    ),
    "adam, fresh": (conv(), Training(steps=6, optimizer="adam", batch_size=3, sampling="fresh"), Labels()),
}


def setting_of(name, path, **keys):
    network, training, labels = SETTINGS[name]
    return Setting(
        data=Data(kind="array", path=path, samples=7, **keys), labels=labels, network=network, training=training
    )
