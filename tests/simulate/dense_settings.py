"""Settings of linear models and dense networks: every loss, batch, optimizer and parametrization."""

import msgspec

from theory.setting import Data, Labels, Network, Setting, Training

DATA = Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=9)
CLASSES = Labels(kind="classes", classes=3)


def mlp(*hidden, **keys):
    return Network(kind="mlp", hidden=hidden, **keys)


SETTINGS = {
    "linear": Setting(data=DATA, training=Training(steps=(0, 1, 12))),
    "linear, several outputs": Setting(data=DATA, labels=Labels(outputs=2), training=Training(steps=7)),
    "linear, bias, momentum": Setting(
        data=DATA, network=Network(bias=True), training=Training(steps=(3, 9), momentum=0.7, weight_decay=0.1)
    ),
    "nesterov": Setting(
        data=DATA, network=mlp(5), training=Training(steps=12, momentum=0.8, nesterov=True, weight_decay=0.05)
    ),
    "drops": Setting(data=DATA, network=mlp(5), training=Training(steps=(0, 4, 12), drops=((3, 0.5), (8, 0.1)))),
    "drops and momentum": Setting(
        data=DATA, network=mlp(5), training=Training(steps=12, momentum=0.5, drops=((0, 2.0), (5, 0.3)))
    ),
    "l1": Setting(data=DATA, network=mlp(5, activation="tanh"), training=Training(steps=12, l1=0.02)),
    "cross-entropy": Setting(
        data=DATA, labels=CLASSES, network=mlp(6, bias=True), training=Training(steps=12, loss="cross-entropy")
    ),
    "classes by mse": Setting(data=DATA, labels=CLASSES, network=mlp(6), training=Training(steps=12)),
    "deep, ntk": Setting(
        data=DATA, network=mlp(5, 4, 3, parametrization="ntk", bias=True), training=Training(steps=12)
    ),
    "deep, tanh, first": Setting(
        data=DATA, network=mlp(5, 4, activation="tanh", train="first"), training=Training(steps=12, momentum=0.3)
    ),
    "first, bias": Setting(
        data=DATA, network=mlp(5, bias=True, train="first"), training=Training(steps=12, weight_decay=0.1)
    ),
    "erf, ntk": Setting(
        data=DATA, network=mlp(5, 4, activation="erf", parametrization="ntk"), training=Training(steps=12)
    ),
    "identity": Setting(data=DATA, network=mlp(5, activation="identity"), training=Training(steps=12)),
    "epochs": Setting(
        data=DATA, labels=CLASSES, network=mlp(5), training=Training(steps=12, batch_size=4, loss="cross-entropy")
    ),
    "fresh": Setting(data=DATA, network=mlp(5, bias=True), training=Training(steps=12, batch_size=4, sampling="fresh")),
    "replacement, fixed": Setting(
        data=msgspec.structs.replace(DATA, fixed=True),
        network=mlp(5),
        training=Training(steps=12, batch_size=9, sampling="replacement"),
    ),
    "online": Setting(
        data=msgspec.structs.replace(DATA, samples="online"),
        network=mlp(5, activation="erf"),
        training=Training(steps=(2, 12), batch_size=3, sampling="fresh", momentum=0.4),
    ),
    "adam": Setting(
        data=DATA, network=mlp(5), training=Training(steps=12, optimizer="adam", weight_decay=0.1, batch_size=3)
    ),
    "rmsprop": Setting(data=DATA, network=mlp(5), training=Training(steps=12, optimizer="rmsprop", weight_decay=0.1)),
    "signsgd": Setting(data=DATA, network=mlp(5), training=Training(steps=12, optimizer="signsgd", weight_decay=0.1)),
}
