"""Images, and settings of deep networks of filters that are trained on them."""

from __future__ import annotations

import numpy as np

from tests.simulate.dense_settings import CLASSES
from theory.setting import (
    Data,
    Ensemble,
    Labels,
    Network,
    Setting,
    Training,
)

TRAINING = Training(steps=(0, 1, 6), momentum=0.8, batch_size=3, loss="cross-entropy", learning_rate=0.1)
IMAGES = np.random.default_rng(0).normal(size=(20, 2, 7, 8))


def vgg(**keys):
    return Network(**{"kind": "vgg", "blocks": ((3, 4), (5,)), "init_variance": 2.0, **keys})


def setting_of(path, network=None, training=TRAINING, labels=CLASSES, **ensemble):
    data = Data(kind="array", path=path, samples=7)
    ensemble = Ensemble(**{"replicas": 5, **ensemble})
    return Setting(data=data, labels=labels, network=network or vgg(), training=training, ensemble=ensemble)


SETTINGS = {
    "classes": (vgg(), TRAINING, CLASSES),
    "bias, dense hidden layers": (vgg(bias=True, hidden=(6, 4)), TRAINING, CLASSES),
    "ntk, tanh, whole set": (vgg(parametrization="ntk", activation="tanh", bias=True), Training(steps=6), Labels()),
    "first layer only": (vgg(train="first", bias=True), TRAINING, CLASSES),
    "adam": (vgg(), Training(steps=6, optimizer="adam", learning_rate=1e-3), Labels(outputs=2)),
}
