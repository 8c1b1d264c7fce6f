"""VGG16 on CIFAR-10: random labels, then real or new random ones, as in the paper's Figure 1; for C1 and C3.

The figure has two settings in which transfer is positive and two in which it is negative: 20,000 images upstream and
25,000 downstream, the learning rate divided by 3 at thirds. They differ in learning rate and scale of the initial
weights, whose values are not given: those here are ours, fixed before any was run. By a second-hand source there are 5
random classes upstream of a gain and 50 of a loss, which these have. Both tasks share an output layer, which has one
output per class of the larger task: with 5 classes five outputs are never right, with 50 forty are not downstream.
New random labels have 10 classes, as the real ones.

`GAINS` are where the account of claims C3 and C4 expects a gain, at He's initial scale; `LOSSES` where it expects a
loss, at a larger one: all layers times c multiply outputs by c¹⁴, by 1.2 as much as 2 does in three layers, and more.
Tangent kernels grow by c²⁶; a learning rate as much smaller keeps training as far from diverging. Thirty updates on
crops of photographs, of one network each, showed that losses fall at both rates; nothing else was tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from reports.claims.claim import Context
from reports.claims.paper_networks import BATCH, EPOCHS, HE, IMAGES, NETWORKS, filter_network, images, thirds
from reports.claims.transfer.digits import FIRST_LAYER, PLAIN
from reports.claims.transfer.effects import Effects, curves_panel, gains_table
from reports.findings import Exhibits, Figure, Panel, Series
from reports.judging.intervals import means_and_halves
from theory.setting import Downstream, Ensemble, Experiment, Labels, Network, Training, Treatments, Upstream
from theory.setting.network import VGG16

# The panels of Figure 5, with the kind of their labels downstream.
PANELS: Mapping[str, Literal["real", "classes"]] = {"real": "real", "new random": "classes"}
REPLICAS = 5  # the number of independent trainings of each setting of VGG16
# The steps at which downstream training of Figure 5 is read, dense where curves are steep.
DOWNSTREAM = (0, 100, 200, 300, 500, 750, 1000, 1500, 2000, 2500, 3000, 3500, 4000, 4500)


@dataclass(frozen=True)
class Vgg:
    """Convolutions in blocks that end in a max pool, and the output layer, on random labels and on a second task.

    Attributes
    ----------
    factor, rate : float
        The factor on He's standard deviation; the learning rate, which stays as it is.
    rows, epochs : int
        The number of rows and of epochs of upstream training.
    after : int
        The number of rows downstream.
    labels : "real" or "classes"
        The labels downstream: the images' own, or new random ones.
    classes : int
        The number of random classes upstream.
    downstream : int
        The number of epochs downstream.
    batch : int
    blocks : tuple of tuple of int
        The number of filters of every convolution, block by block.
    """

    factor: float
    rate: float
    rows: int
    epochs: int
    labels: Literal["real", "classes"]
    downstream: int
    classes: int
    after: int = 25_000
    batch: int = BATCH
    blocks: tuple[tuple[int, ...], ...] = VGG16

    @property
    def name(self) -> str:
        kind = "real" if self.labels == "real" else "new random"
        return f"VGG16 on CIFAR-10, {kind} labels, init factor {self.factor:g}"

    def experiment(self, context: Context, replicas: int = REPLICAS) -> Experiment:
        """Scratch, pretrained and rescaled, read at eleven times; the rate is divided by 3 at thirds of either task."""
        length = self.downstream * (self.after // self.batch)

        def training(steps: int | tuple[int, ...]) -> Training:
            return msgspec.structs.replace(thirds(steps, self.rate), batch_size=self.batch)

        return Experiment(
            upstream=Upstream(
                data=images(context, self.rows),
                labels=Labels(kind="classes", classes=self.classes),
                network=Network(kind="vgg", blocks=self.blocks, hidden=(), init_variance=HE * self.factor**2),
                training=training(self.epochs * (self.rows // self.batch)),
            ),
            treatment=Treatments(kinds=PLAIN),
            downstream=Downstream(
                samples=self.after,
                labels=Labels(kind=self.labels),
                training=training(tuple(k * length // 10 for k in range(11))),
            ),
            ensemble=Ensemble(replicas=replicas, dtype="float32"),
        )


GAINS = (Vgg(1.0, 0.01, 20_000, 80, "real", 20, 5), Vgg(1.0, 0.01, 20_000, 80, "classes", 60, 5))
LOSSES = (Vgg(1.2, 1e-4, 20_000, 80, "real", 20, 50), Vgg(1.2, 1e-4, 5_000, 160, "classes", 80, 50, after=5_000))


def show_vgg(found: Mapping[str, Effects]) -> Exhibits:
    """The exhibits of C3, by the names of cases: gains, curves, shares of active units before and after training."""
    table = gains_table(
        "c3-vgg16",
        "VGG16 on CIFAR-10 after random labels: train accuracy averaged over downstream training, means over replicas "
        "with standard errors, and the paired difference to training from scratch.",
        found,
    )
    panels = []
    for name, effects in found.items():
        shares = []
        for kind, label in (("scratch", "before upstream training"), ("pretrained", "at the switch")):
            mean, half = means_and_halves(effects.active_at_switch(kind))
            shares.append(Series(label, np.arange(1.0, len(mean) + 1), mean, half, "both"))
        panels.append(curves_panel(name, effects, PLAIN))
        panels.append(Panel("active at the switch", "layer", "share of active units", tuple(shares)))
    figure = Figure(
        name="c3-vgg16",
        caption="VGG16 on CIFAR-10: downstream training after random labels and from scratch (left), and the share of "
        "active units of every hidden layer (after its max pool, where it has one) before upstream training and after "
        "it (right), in two settings (rows). 95 % intervals of the mean over replicas.",
        panels=tuple(panels),
    )
    return Exhibits((table,), (figure,))


def switch_of_tasks(context: Context, labels: Literal["real", "classes"]) -> Experiment:
    """The net of filters, random labels on half of the images, then those of the other half, real or random: Figure 5.

    Its four curves, and the control of claim C2 that has the same f in a random basis.
    """
    half = IMAGES // 2
    return Experiment(
        upstream=Upstream(
            data=images(context, half),
            labels=Labels(kind="classes"),
            network=filter_network(),
            training=thirds(EPOCHS[-1] * (half // BATCH)),
        ),
        treatment=Treatments(kinds=FIRST_LAYER),
        downstream=Downstream(samples=half, labels=Labels(kind=labels), training=thirds(DOWNSTREAM)),
        ensemble=Ensemble(replicas=NETWORKS, dtype="float32"),
    )
