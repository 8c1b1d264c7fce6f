"""Transfer experiments on digits of claims C1 to C4, with those that several of them read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from reports.claims.claim import Context, Trial
from theory.errors import InvalidInput
from theory.setting import (
    Data,
    Downstream,
    Ensemble,
    Experiment,
    Labels,
    Network,
    Setting,
    Training,
    Treatments,
    Until,
    Upstream,
)

EPOCHS = 6  # the number of epochs of downstream training over which accuracy is averaged, unless said otherwise
# The treatment that keeps the pretrained first layer alone, at its norm before training.
LAYER = "first-layers 1 rescaled"
LAYER_ALONE = {"kind": "first-layers", "layers": 1, "rescale": True}
# The treatment that keeps hidden layers at their norms before training, the output layer new.
NEW_OUTPUT = "first-layers 2 rescaled"
NEW_OUTPUT_LAYER = {"kind": "first-layers", "layers": 2, "rescale": True}
Kinds = tuple[Any, ...]  # the kinds of treatments, as `Treatments` takes them
PLAIN: Kinds = ("scratch", "pretrained", "rescaled")
# The treatments of the paper's Figure 5: its four curves, and the control that has the same f in a random basis.
FIRST_LAYER: Kinds = ("scratch", {"kind": "first-layers", "layers": 1}, LAYER_ALONE, "covariance", "spectrum")


@dataclass(frozen=True)
class Digits:
    """An MLP on 8x8 digits: upstream random labels on some of them, downstream another part, half the rows each.

    `rows` of either part, in batches of `batch`; upstream ends where all rows are fitted, after `limit` epochs at
    latest, and at that very epoch where not `until`.
    """

    factor: float
    hidden: tuple[int, ...] = (256, 64)
    rows: int = 898
    batch: int = 64
    rate: float = 0.01
    limit: int = 200
    until: bool = True
    kinds: Kinds = PLAIN
    labels: Literal["real", "classes"] = "real"
    epochs: int = EPOCHS

    def experiment(self, replicas: int) -> Experiment:
        """`factor` is that on He's standard deviation √(2/fan-in)."""
        per_epoch = self.rows // self.batch

        def training(steps: int | tuple[int, ...]) -> Training:
            return Training(
                loss="cross-entropy", learning_rate=self.rate, momentum=0.9, batch_size=self.batch, steps=steps
            )

        return Experiment(
            upstream=Upstream(
                data=Data(kind="digits", samples=self.rows),
                labels=Labels(kind="classes"),
                network=Network(kind="mlp", hidden=self.hidden, init_variance=2 * self.factor**2),
                training=training(self.limit * per_epoch),
                until=Until(accuracy=1.0) if self.until else None,
            ),
            treatment=Treatments(kinds=self.kinds),
            downstream=Downstream(
                samples=self.rows,
                labels=Labels(kind=self.labels),
                training=training(tuple(k * self.epochs * per_epoch // EPOCHS for k in range(EPOCHS + 1))),
            ),
            ensemble=Ensemble(replicas=replicas, dtype="float32"),
        )


# The size of the experiments that more than one claim reads: small, since an effect is seen in many small networks at
# less cost than in a few large ones.
HIDDEN, ROWS, BATCH = (128, 32), 300, 32
SMALL_INIT = Digits(0.5, HIDDEN, ROWS, BATCH, kinds=(*PLAIN, NEW_OUTPUT_LAYER, "covariance"))
HE_INIT = Digits(1.0, HIDDEN, ROWS, BATCH, kinds=SMALL_INIT.kinds)
# The replicas by the scale of the init: at He's a loss of a hundredth is distinguished from 0,
# elsewhere effects are larger.
REPLICAS = {0.5: 32, 1.0: 80, 2.0: 36}
# The replicas of the quick budget by the scale of the init: twelve are trained as one batch, and a batch that is
# not full takes as long.
QUICK_REPLICAS = {0.5: 36, 1.0: 60, 2.0: 36}
# The parts into which experiments are cut beyond the quick budget, by the scale of the init: none
# takes more than a minute.
PARTS = {0.5: 8, 1.0: 4, 2.0: 1}
SHARED = "C1-C4"


def shared_trial(digits: Digits, context: Context) -> Trial[None]:
    """An experiment that claims C1 and C4 may both read: it is trained once."""
    experiment = digits.experiment(context.replicas(REPLICAS[digits.factor], quick=QUICK_REPLICAS[digits.factor]))
    return Trial(experiment, kind="asymptotic", shared=SHARED, parts=context.parts(PARTS[digits.factor]))


def small_init(context: Context) -> Trial[None]:
    """Half of He's standard deviation: for C1 and C4."""
    return shared_trial(SMALL_INIT, context)


def he_init(context: Context) -> Trial[None]:
    """He's standard deviation: for C1 and C4."""
    return shared_trial(HE_INIT, context)


def init_factor(setting: Setting) -> float:
    """The factor on He's standard deviation."""
    return float(np.sqrt(setting.network.layer_variances[0] / 2))


def downstream_epochs(experiment: Experiment) -> int:
    """How long the second task is trained.

    Raises
    ------
    InvalidInput
        If the second task is not trained in batches.
    """
    downstream = experiment.downstream
    if downstream.training.batch_size == "full":
        raise InvalidInput("downstream.training.batch_size", "full", "must be a number for there to be epochs")
    return downstream.training.readings[-1] // (downstream.samples // downstream.training.batch_size)
