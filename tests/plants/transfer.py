"""Errors in the theory of transfer, which claims T1, F5, F8, C3 and C5 must notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from reports.claims.transfer.condition_design import FAMILIES
from tests.plants.plant import Plant, times, with_arguments

WEIGHTS, DECAYS, FEATURES = "initial weights", "initial weights, tiny labels: the init decays", "frozen features"
BY_WEIGHTS = "theory.transfer.initial_weights:initial_weight_training_loss"
BY_FEATURES = "theory.transfer.frozen_features:frozen_feature_loss"
KERNELS = (
    "weights, target of high variance",
    "weights, target of low variance",
    "weights, random labels",
)
KEPT = (
    "kept output layer, little to remember",
    "kept output layer, much to remember",
    "kept output layer, new inputs",
)
GAIN = "theory.transfer.linearised:LinearisedTransfer.gain"


def _tau(change: Callable[[Any], Any], name: str) -> Any:
    """The loss of weights whose variances are changed."""
    return with_arguments(**{name: change})


def _mirrored(tau: Any) -> Any:
    """Variances that differ from their mean in the other direction."""
    return np.maximum(2 * np.mean(tau) - np.asarray(tau), 0.0)


T1 = (
    Plant("the loss × 1.1", BY_WEIGHTS, times(1.1), "T1", (WEIGHTS, DECAYS)),
    Plant("losses × −1, and gains with them", BY_WEIGHTS, times(-1.0), "T1", (WEIGHTS, DECAYS)),
    Plant("initial weights count 1.1 times", BY_WEIGHTS, _tau(lambda tau: 1.1 * tau, "init"), "T1", (WEIGHTS,)),
    Plant("small where it is large", BY_WEIGHTS, _tau(_mirrored, "init"), "T1", (WEIGHTS,)),
    Plant("losses × −1, and gains with them", BY_FEATURES, times(-1.0), "T1", (FEATURES,)),
    Plant("the loss × 1.5", BY_FEATURES, times(1.5), "T1", (FEATURES,)),
    Plant("small where it is large", BY_FEATURES, _tau(_mirrored, "tau"), "T1", (FEATURES,)),
    Plant(
        "the task trained at twice the rate",
        "theory.transfer.inputs:full_batch_propagators",
        with_arguments(s=lambda s: 2 * np.asarray(s)),
        "T1",
        (FEATURES,),
    ),
)

F5 = (
    Plant("gains × −1", GAIN, times(-1.0), "F5", (*KERNELS, *KEPT)),
    Plant("gains × 1.5", GAIN, times(1.5), "F5", KERNELS[:1]),
    Plant(
        "no memory of the labels",
        "theory.transfer.kept_output:kept_output_transfer",
        with_arguments(label_variance=0.0),
        "F5",
        KEPT[1:],
    ),
)

F8 = (
    Plant("small where it is large", BY_WEIGHTS, _tau(_mirrored, "init"), "F8", ("initial weights",)),
    Plant("small where it is large", BY_FEATURES, _tau(_mirrored, "tau"), "F8", ("frozen features",)),
    Plant(
        "gains × −1",
        GAIN,
        times(-1.0),
        "F8",
        ("weights, by kernels", "kept output layer", "one network, by its own kernel"),
    ),
)

# a measurement keeps the modes of its networks' kernels, of which the prediction is made where it is judged
C3 = (Plant("gains × −1", GAIN, times(-1.0), "C3", ("tangent kernels, factor 0.5", "tangent kernels, factor 2")),)


def _exchanged(right: Callable[..., Any]) -> Callable[..., Any]:
    """Fresh networks taken for the pretrained ones."""

    def call(network: Any, training: Any, pretrained: Any, scratch: Any, *args: Any, **keys: Any) -> Any:
        return right(network, training, scratch, pretrained, *args, **keys)

    return call


def _of_the_next(parameters: Any) -> list[Any]:
    """The parameters of the next replica."""
    return [w.roll(1, 0) for w in parameters]


CONDITION = "theory.transfer.training_transfer:training_transfer"
DRAWN = tuple(family.name for family in FAMILIES)
C5 = (
    Plant("pretrained and fresh networks exchanged", CONDITION, _exchanged, "C5", DRAWN),
    Plant(
        "the parameters of the next replica",
        CONDITION,
        with_arguments(pretrained=_of_the_next, scratch=_of_the_next),
        "C5",
        DRAWN,
        "between networks of one setting",
    ),
)

PLANTS: tuple[Plant, ...] = (*T1, *F5, *F8, *C3, *C5)
