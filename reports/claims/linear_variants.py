"""The ways of training linear models that have a closed form, on rows and labels that every replica draws afresh."""

from __future__ import annotations

import msgspec

from theory.setting import Data, Labels, Network, Setting, Student, Training

WIDTH = 8  # weight vectors of a replica: outputs with labels of their own; with two layers as many neurons as outputs
SPECTRUM = (0.3, 0.8, 1.6, 3.0)


def variants() -> dict[str, Setting]:
    """A setting for each, by the name of its training; the ensemble is left to the claim."""
    rows = Data(kind="gaussian", spectrum=SPECTRUM, samples=16)
    online = msgspec.structs.replace(rows, samples="online")
    student = Data(kind="elliptical", spectrum=SPECTRUM, samples="online", radial=Student(dof=12.0))
    linear, small = Network(init_variance=0.1), _two_layers(1e-3)
    fresh = Training(learning_rate=0.05, batch_size=4, sampling="fresh", steps=30)
    replacement = Training(learning_rate=0.05, batch_size=4, sampling="replacement", steps=30)
    ball = Training(learning_rate=0.05, momentum=0.5, steps=20)
    nesterov = Training(learning_rate=0.05, momentum=0.5, nesterov=True, weight_decay=0.1, steps=20)
    chosen = {
        "full batch, heavy ball": (rows, linear, ball),
        "full batch, Nesterov, weight decay": (rows, linear, nesterov),
        "fresh mini-batches": (rows, linear, fresh),
        "mini-batches with replacement": (rows, linear, replacement),
        "shuffled epochs": (rows, linear, Training(learning_rate=0.05, batch_size=4, steps=32)),
        "online, Gaussian rows": (online, linear, fresh),
        "online, Student rows": (student, linear, fresh),
        "two layers, first step": (rows, _two_layers(0.3), Training(learning_rate=1.5, steps=1)),
        "two layers, early": (rows, small, Training(learning_rate=1.0, steps=6)),
        # at twice the rate a few networks in ten thousand diverge
        "two layers, converged": (rows, small, Training(learning_rate=0.5, steps=300)),
    }
    return {
        name: Setting(data=data, labels=Labels(outputs=WIDTH), network=network, training=training)
        for name, (data, network, training) in chosen.items()
    }


def at_width(setting: Setting, width: int) -> Setting:
    """The setting with that many first-layer weight vectors, and outputs; a network of one output keeps one."""
    network, outputs = setting.network, width
    if network.kind == "mlp":
        network = msgspec.structs.replace(network, hidden=(width,))
        outputs = 1 if setting.labels.outputs == 1 else width
    return msgspec.structs.replace(setting, labels=Labels(outputs=outputs), network=network)


def _two_layers(init_variance: float) -> Network:
    # NTK parametrization: one learning rate is stable at every width
    return Network(
        kind="mlp", hidden=(WIDTH,), activation="identity", parametrization="ntk", init_variance=init_variance
    )
