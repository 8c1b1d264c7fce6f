"""The ways of training linear models that have a closed form, on rows and labels that every replica draws afresh."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from theory.setting import Data, Labels, Network, Setting, Student, Training

# The number of weight vectors of a replica: outputs with labels of their own; with two layers as
# many neurons as outputs.
WIDTH = 8
SPECTRUM = (0.3, 0.8, 1.6, 3.0)


@dataclass(frozen=True)
class LinearVariant:
    """One way of training.

    Attributes
    ----------
    name : str
    setting : Setting
        The setting, whose ensemble is left to the claim.
    effort : int
        How many times the replicas of the others it takes to see as much: where networks are still leaving small
        initial weights, each at a pace of its own, their second moments scatter more.
    """

    name: str
    setting: Setting
    effort: int = 1


def linear_variants() -> tuple[LinearVariant, ...]:
    """The variants, each with its data, network and training."""
    rows = Data(kind="gaussian", spectrum=SPECTRUM, samples=16)
    online = msgspec.structs.replace(rows, samples="online")
    student = Data(kind="elliptical", spectrum=SPECTRUM, samples="online", radial=Student(dof=12.0))
    linear, small = Network(init_variance=0.1), _two_layers(1e-3)
    fresh = Training(learning_rate=0.05, batch_size=4, sampling="fresh", steps=30)
    replacement = Training(learning_rate=0.05, batch_size=4, sampling="replacement", steps=30)
    ball = Training(learning_rate=0.05, momentum=0.5, steps=20)
    nesterov = Training(learning_rate=0.05, momentum=0.5, nesterov=True, weight_decay=0.1, steps=20)
    shuffled = Training(learning_rate=0.05, batch_size=4, steps=32)

    def variant(name: str, data: Data, network: Network, training: Training, effort: int = 1) -> LinearVariant:
        labels = Labels(outputs=WIDTH)
        return LinearVariant(name, Setting(data=data, labels=labels, network=network, training=training), effort)

    return (
        variant("full batch, heavy ball", rows, linear, ball),
        variant("full batch, Nesterov, weight decay", rows, linear, nesterov),
        variant("fresh mini-batches", rows, linear, fresh),
        variant("mini-batches with replacement", rows, linear, replacement),
        variant("shuffled epochs", rows, linear, shuffled),
        variant("online, Gaussian rows", online, linear, fresh),
        variant("online, Student rows", student, linear, fresh),
        variant("two layers, first step", rows, _two_layers(0.3), Training(learning_rate=1.5, steps=1)),
        variant("two layers, early", rows, small, Training(learning_rate=1.0, steps=6), effort=3),
        # at twice the rate a few networks in ten thousand diverge
        variant("two layers, converged", rows, small, Training(learning_rate=0.5, steps=300)),
    )


def variants() -> dict[str, Setting]:
    """The settings of all variants, by name."""
    return {variant.name: variant.setting for variant in linear_variants()}


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
