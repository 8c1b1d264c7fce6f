"""The vocabulary of transfer: a network is trained upstream, treated, and trained downstream on rows it has not seen.

Every replica draws n + n' (+ held-out) distinct rows of one law, or of one finite set: the first n are upstream's, the
next n' downstream's. All treatments of a replica share their downstream rows, labels and batches, so that differences
between treatments are paired. Patches and crops of photographs are distinct places, but these may overlap.

Both tasks share a network. Where their labels are classes, and one has more than the other, the network has an output
for each class of the larger task, and the other task uses the first ones.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from theory.checked import Checked, require, under
from theory.setting.data import Data
from theory.setting.labels import Labels
from theory.setting.network import Network
from theory.setting.setting import Ensemble, Setting
from theory.setting.training import Training

TreatmentKind = Literal[
    "scratch",
    "pretrained",
    "rescaled",
    "first-layers",
    "covariance",
    "recursive",
    "rainbow",
    "unrotated",
    "eigenvectors",
    "spectrum",
]


# The treatments that draw hidden layers one upon the other.
STACKED: tuple[TreatmentKind, ...] = ("recursive", "rainbow", "unrotated")


class Until(Checked, frozen=True, kw_only=True):
    """When upstream training ends: at the first check at which the loss or the accuracy on its rows is this good.

    Checks are made before the first update and after every `every` updates. Each replica ends independently.
    """

    table: ClassVar[str] = "upstream.until"
    accuracy: float | None = None
    loss: float | None = None
    every: int | Literal["epoch"] = "epoch"

    def check(self) -> None:
        one = (self.accuracy is None) != (self.loss is None)
        self.require(one, "accuracy", "either this or upstream.until.loss is needed, not both")
        self.require(self.accuracy is None or 0 < self.accuracy <= 1, "accuracy", "must lie in (0, 1]")
        self.require(self.loss is None or self.loss > 0, "loss", "must be positive")
        self.require(self.every == "epoch" or self.every >= 1, "every", "must be at least 1")


class Upstream(Checked, frozen=True, kw_only=True):
    """What is trained first; ``training.steps`` is the last update, or the limit of updates where `until` is given."""

    table: ClassVar[str] = "upstream"
    data: Data
    labels: Labels = Labels()
    network: Network = Network()
    training: Training = Training()
    until: Until | None = None

    def check(self) -> None:
        rule = "must be one number, the largest number of updates"
        self.require(isinstance(self.training.steps, int), "training.steps", rule, self.training.steps)
        self.require(not self.data.fixed, "data.fixed", "must be false: every replica draws its own rows", True)
        self.require(self.data.samples != "online", "data.samples", "must be a number, to divide the rows", "online")


class Treatment(Checked, frozen=True, kw_only=True):
    """What is done with the trained network at the switch.

    With W⁰ and W* a layer's weights at initialization and after upstream training, and Σ_w the mean second moment of
    the trained first layers of all *other* replicas:

    ``scratch``: W⁰, the replica's own initial weights, as if nothing had been trained.
    ``pretrained``: W*.
    ``rescaled``: W* ‖W⁰‖/‖W*‖ in every layer (Frobenius norms).
    ``first-layers``: the first `layers` layers are W*, rescaled if `rescale` is set; the others are new initial
    weights.
    ``covariance``: first-layer rows from N(0, Σ_w), rescaled to ‖W⁰‖; the other layers are W⁰.
    ``recursive``: as ``covariance``, and hidden layers 2, 3, … `layers` (0: all of them) drawn likewise, with the
    activations of the layer below, already drawn, as the data: variances along their principal directions are those
    that trained layers of other replicas have along theirs, matched by rank.
    ``rainbow``: as ``covariance``, and hidden layers 2, 3, … `layers` (0: all of them) drawn from N(μ, Σ), the mean and
    covariance of the rows of that layer in trained networks of other replicas, each rotated from the basis of the
    activations of its trained layers below into that of the drawn layers below: see `simulate.transfer.rainbow`.
    ``unrotated``: as ``rainbow``, without the rotation, as if units were the same in all networks.
    ``eigenvectors``: first layer W* Σ_w^-½, rescaled to ‖W⁰‖; the other layers are new initial weights. This keeps what
    the trained layer has beyond its covariance. (Weights *drawn* with the eigenvectors of Σ_w and a constant f would be
    isotropic: scratch.)
    ``spectrum``: as ``covariance``, with the eigenvectors of Σ_w replaced by random ones.

    Biases: W⁰ and new initial weights have none; ``pretrained`` and ``first-layers`` keep theirs. Rescaling multiplies
    the biases of layer l by the factors of layers 1 … l, so that the function of a ReLU network changes only by a
    factor.
    """

    table: ClassVar[str] = "treatment"
    kind: TreatmentKind
    layers: int = 0
    rescale: bool = False

    def check(self) -> None:
        counts = self.kind == "first-layers" or self.kind in STACKED
        stacked = ", ".join(map(repr, STACKED))
        rule = f"belongs to 'first-layers', {stacked}, not to {self.kind!r}"
        self.require(counts or self.layers == 0, "layers", rule)
        self.require(self.layers >= 0, "layers", "must not be negative")
        self.require(self.kind != "first-layers" or self.layers >= 1, "layers", "must be at least 1 for 'first-layers'")
        known = self.kind == "first-layers" or not self.rescale
        self.require(known, "rescale", f"belongs to 'first-layers', not to {self.kind!r}")

    @property
    def name(self) -> str:
        """The kind, with the options chosen.

        >>> Treatment(kind="first-layers", layers=2, rescale=True).name
        'first-layers 2 rescaled'
        """
        return f"{self.kind}{f' {self.layers}' if self.layers else ''}{' rescaled' if self.rescale else ''}"


class Treatments(Checked, frozen=True, kw_only=True):
    """The treatments that are compared, in order; a plain kind stands for its defaults.

    >>> [treatment.name for treatment in Treatments(kinds=("scratch", {"kind": "first-layers", "layers": 1})).each]
    ['scratch', 'first-layers 1']
    """

    table: ClassVar[str] = "treatment"
    kinds: tuple[TreatmentKind | Treatment, ...] = ("scratch", "pretrained", "rescaled", "covariance")

    def check(self) -> None:
        each = tuple(kind if isinstance(kind, Treatment) else Treatment(kind=kind) for kind in self.kinds)
        msgspec.structs.force_setattr(self, "kinds", each)
        names = [treatment.name for treatment in each]
        self.require("scratch" in names, "kinds", "must hold 'scratch', with which the others are compared", names)
        self.require(len(set(names)) == len(names), "kinds", "must not repeat a treatment", names)

    @property
    def each(self) -> tuple[Treatment, ...]:
        return tuple(kind for kind in self.kinds if isinstance(kind, Treatment))


class Downstream(Checked, frozen=True, kw_only=True):
    """The task after the switch, on rows of the same law that upstream has not seen."""

    table: ClassVar[str] = "downstream"
    samples: int = 256
    held_out: int = 0
    labels: Labels = Labels()
    training: Training = Training()
    target: float | None = None

    def check(self) -> None:
        self.require(self.samples >= 1, "samples", "must be at least 1")
        self.require(self.held_out >= 0, "held_out", "must not be negative")
        self.require(self.target is None or 0 < self.target <= 1, "target", "an accuracy lies in (0, 1]")


class Experiment(Checked, frozen=True, kw_only=True):
    """Upstream training, treatments, downstream training, for an ensemble of independent replicas.

    >>> experiment = Experiment(
    ...     upstream=Upstream(data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples=32), network=Network(kind="mlp")),
    ...     treatment=Treatments(kinds=("scratch", "pretrained")),
    ...     downstream=Downstream(samples=16, training=Training(steps=(0, 10))),
    ... )
    >>> experiment.rows, experiment.downstream_setting.training.readings
    (48, (0, 10))
    """

    upstream: Upstream
    treatment: Treatments = Treatments()
    downstream: Downstream = Downstream()
    ensemble: Ensemble = Ensemble()

    def check(self) -> None:
        kind = self.upstream.network.kind
        rule = "must not be 'resnet': treatments act on layers alone, and normalisations lie between them"
        require(kind != "resnet", "upstream.network.kind", kind, rule)
        with under("upstream"):
            settings = [self.upstream_setting]
        with under("downstream"):
            settings.append(self.downstream_setting)
        real = any(setting.labels.kind == "real" for setting in settings)
        path = self.upstream.data.labels_path
        require(real or path is None, "upstream.data.labels_path", path, "needs labels of kind 'real' on either side")
        self._check_classes(*settings)
        self._check_outputs(*settings)
        self._check_treatments()

    def _check_classes(self, upstream: Setting, downstream: Setting) -> None:
        until, target = self.upstream.until, self.downstream.target
        for key, value, setting in (
            ("upstream.until.accuracy", until and until.accuracy, upstream),
            ("downstream.target", target, downstream),
        ):
            known = value is None or setting.labels.kind in ("classes", "real")
            require(known, key, value, "is an accuracy, and needs labels of kind 'classes' or 'real'")

    def _check_outputs(self, upstream: Setting, downstream: Setting) -> None:
        classes = all(setting.labels.kind in ("classes", "real") for setting in (upstream, downstream))
        known = classes or None in (upstream.outputs, downstream.outputs) or upstream.outputs == downstream.outputs
        rule = f"must have as many outputs as upstream ({upstream.outputs}): they share a network"
        require(known, "downstream.labels", downstream.outputs, rule)

    def _check_treatments(self) -> None:
        layers = self.upstream.network.layers
        hidden = layers - 1
        for i, treatment in enumerate(self.treatment.each):
            key = f"treatment.kinds[{i}]"
            most = hidden if treatment.kind in STACKED else layers
            require(treatment.layers <= most, f"{key}.layers", treatment.layers, f"must not exceed {most}")
            dense = treatment.kind not in STACKED or self.upstream.network.kind == "mlp"
            require(dense, key, treatment.kind, "needs dense hidden layers: network.kind = 'mlp'")
        others = any(treatment.kind in DRAWN for treatment in self.treatment.each)
        enough = self.ensemble.replicas >= 2 or not others
        rule = f"must be at least 2: treatments {', '.join(DRAWN)} need the moments of other replicas"
        require(enough, "ensemble.replicas", self.ensemble.replicas, rule)

    @property
    def rows(self) -> int:
        """How many distinct rows a replica draws."""
        return self.upstream.data.sample_count + self.downstream.samples + self.downstream.held_out

    @property
    def upstream_setting(self) -> Setting:
        """Upstream as a setting of its own."""
        return self._setting(self.upstream.labels, self.upstream.training, self.upstream.data.samples)

    @property
    def downstream_setting(self) -> Setting:
        """Training downstream from scratch as a setting of its own."""
        return self._setting(self.downstream.labels, self.downstream.training, self.downstream.samples)

    def _setting(self, labels: Labels, training: Training, samples: int | Literal["online"]) -> Setting:
        data = msgspec.structs.replace(self.upstream.data, samples=samples)
        if labels.kind != "real":
            data = msgspec.structs.replace(data, labels_path=None)
        return Setting(
            data=data, labels=labels, network=self.upstream.network, training=training, ensemble=self.ensemble
        )


# The treatments that need the moments of other replicas.
DRAWN: tuple[TreatmentKind, ...] = ("covariance", "recursive", "rainbow", "unrotated", "eigenvectors", "spectrum")
