"""Sequences of tasks so small that they take a moment."""

from __future__ import annotations

import msgspec

from theory.setting import Data, Ensemble, Labels, Network, Setting, TaskSequence, Training

DECAY = {"kind": "decay", "strength": 0.05}
ALL = ("none", "anew", DECAY, "rescaled", "revived")
TRAINING = Training(
    loss="cross-entropy", learning_rate=0.4, momentum=0.9, weight_decay=0.01, batch_size=8, steps=(0, 4, 9)
)


def small(
    *, remedies=ALL, count=4, rows="same", replicas=5, seed=0, dtype="float64", training=None, labels=None, **network
):
    """Random classes of a few Gaussian rows, so fast that units die."""
    return TaskSequence(
        task=Setting(
            data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0, 3.0), samples=18),
            labels=labels or Labels(kind="classes", classes=3),
            network=Network(**{"kind": "mlp", "hidden": (8, 6), **network}),
            training=msgspec.structs.replace(TRAINING, **(training or {})),
            ensemble=Ensemble(replicas=replicas, seed=seed, dtype=dtype),
        ),
        count=count,
        rows=rows,
        remedies=remedies,
    )
