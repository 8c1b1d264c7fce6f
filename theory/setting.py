"""The vocabulary of hypotheses: a setting says what is trained, on what, how.

A :class:`Setting` is frozen, hashable and checked however it was built (from Python, from a mapping, from TOML).
`theory` predicts from it and `simulate` runs it; it is the one module of `theory` that `simulate` imports.

Conventions. Eigenvalues are those of the second moment about zero (of the covariance when a mean is given).
``standard`` parametrization: layer l has entries N(0, v_l / fan_in). ``ntk``: raw entries N(0, v_l), and the
forward pass of each layer is divided by sqrt(fan_in). The mean squared error is ½ · mean over rows of ‖f − y‖².
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar, Literal

import msgspec

from theory.checked import Checked, any_of, require
from theory.errors import InvalidInput

__all__ = [
    "Data",
    "Ensemble",
    "InvalidInput",
    "Labels",
    "Network",
    "PowerLaw",
    "Setting",
    "Sphere",
    "Student",
    "Training",
    "TwoPoint",
]

SYNTHETIC = ("gaussian", "elliptical")
LABELLED = ("array", "digits", "mnist", "photographs", "cifar10")
IMAGES = ("array", "photographs", "cifar10")


class PowerLaw(Checked, frozen=True, kw_only=True, tag_field="law", tag="power"):
    """Eigenvalues j^(−exponent), j = 1 … dimension."""

    table: ClassVar[str] = "data.spectrum"
    dimension: int
    exponent: float = 1.0

    def check(self) -> None:
        self.require(self.dimension >= 1, "dimension", "must be at least 1")
        # the largest eigenvalue is dimension^(−exponent), or 1; a double ends at e^709
        self.require(-self.exponent * math.log(self.dimension) < 700, "exponent", "makes the eigenvalues overflow")

    def eigenvalues(self) -> tuple[float, ...]:
        return tuple(float(j) ** -self.exponent for j in range(1, self.dimension + 1))


class Student(Checked, frozen=True, kw_only=True, tag_field="law", tag="student"):
    """x = sqrt(χ) Σ^½ z with a multivariate Student law of `dof` degrees of freedom, scaled to covariance Σ."""

    table: ClassVar[str] = "data.radial"
    dof: float = 12.0

    def check(self) -> None:
        self.require(self.dof > 2, "dof", "must exceed 2, or the covariance is infinite")


class Sphere(Checked, frozen=True, kw_only=True, tag_field="law", tag="sphere"):
    """x uniform on the ellipsoid xᵀ Σ^-1 x = d."""

    table: ClassVar[str] = "data.radial"


class TwoPoint(Checked, frozen=True, kw_only=True, tag_field="law", tag="two-point"):
    """x = sqrt(χ) Σ^½ z, χ = 1 ± sqrt(k4 − 1) with probability ½ each, so that E χ = 1 and E χ² = k4."""

    table: ClassVar[str] = "data.radial"
    k4: float = 1.5

    def check(self) -> None:
        self.require(1 <= self.k4 <= 2, "k4", "must lie in [1, 2], or χ would be negative")


class Data(Checked, frozen=True, kw_only=True):
    """The law of the rows x, and how many of them a replica sees."""

    table: ClassVar[str] = "data"
    kind: Literal["gaussian", "elliptical", "array", "digits", "mnist", "photographs", "cifar10"]
    spectrum: tuple[float, ...] | PowerLaw = ()
    mean: tuple[float, ...] = ()
    rotate: bool = True
    radial: Student | Sphere | TwoPoint | None = None
    path: str | None = None
    labels_path: str | None = None
    patch: tuple[int, int] = (3, 3)
    crop: tuple[int, int] = (16, 16)
    center: bool = True
    scale: bool = True
    samples: int | Literal["online"] = 256
    fixed: bool = False

    # Which kinds a key belongs to: a key that would be ignored is an error, not a surprise.
    belongs: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "spectrum": SYNTHETIC,
        "mean": SYNTHETIC,
        "rotate": SYNTHETIC,
        "radial": ("elliptical",),
        "path": ("array", "cifar10"),
        "labels_path": ("array",),
        "patch": IMAGES,
        "crop": ("photographs",),
        "center": LABELLED,
        "scale": LABELLED,
    }

    def check(self) -> None:
        defaults = {field.name: field.default for field in msgspec.structs.fields(type(self))}
        for key, kinds in self.belongs.items():
            known = self.kind in kinds or getattr(self, key) == defaults[key]
            self.require(known, key, f"belongs to data.kind {any_of(kinds)}, not to {self.kind!r}")
        if self.kind in SYNTHETIC:
            self._check_law()
        if self.kind == "elliptical" and self.radial is None:
            msgspec.structs.force_setattr(self, "radial", Student())
        for key in self.belongs:
            if key == "path" and self.kind in self.belongs[key]:
                self.require(bool(self.path), key, f"is needed by data.kind = {self.kind!r}")
        self.require(min(self.patch) >= 1, "patch", "sides must be at least 1")
        self.require(min(self.crop) >= 1, "crop", "sides must be at least 1")
        if self.samples == "online":
            self.require(self.kind in SYNTHETIC, "samples", f'"online" needs data.kind {any_of(SYNTHETIC)}')
            self.require(not self.fixed, "fixed", 'must be false when data.samples = "online"')
        else:
            self.require(self.samples >= 1, "samples", "must be at least 1")

    def _check_law(self) -> None:
        eigenvalues = self.eigenvalues
        self.require(len(eigenvalues) > 0, "spectrum", f"is needed by data.kind = {self.kind!r}")
        for i, value in enumerate(eigenvalues):
            self.require(value >= 0, f"spectrum[{i}]", "an eigenvalue of a covariance is not negative", value)
        self.require(max(eigenvalues) > 0, "spectrum", "at least one eigenvalue must be positive")
        fits = len(self.mean) in (0, len(eigenvalues))
        self.require(fits, "mean", f"must have one entry per eigenvalue ({len(eigenvalues)})")

    @property
    def eigenvalues(self) -> tuple[float, ...]:
        """The eigenvalues of Σ_x as listed, (d,); empty for real data."""
        return self.spectrum.eigenvalues() if isinstance(self.spectrum, PowerLaw) else self.spectrum

    @property
    def dimension(self) -> int | None:
        """d for a synthetic law; None where only the data can tell."""
        return len(self.eigenvalues) or None


class Labels(Checked, frozen=True, kw_only=True):
    """The law of the labels y; all kinds but `real` and `teacher` are independent of x."""

    table: ClassVar[str] = "labels"
    kind: Literal["gaussian", "rademacher", "classes", "real", "teacher"] = "gaussian"
    variance: float = 1.0
    outputs: int = 1
    classes: int = 10
    noise: float = 0.0

    belongs: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "variance": ("gaussian", "rademacher"),
        "outputs": ("gaussian", "rademacher", "teacher"),
        "classes": ("classes",),
        "noise": ("teacher",),
    }

    def check(self) -> None:
        defaults = {field.name: field.default for field in msgspec.structs.fields(type(self))}
        for key, kinds in self.belongs.items():
            known = self.kind in kinds or getattr(self, key) == defaults[key]
            self.require(known, key, f"belongs to labels.kind {any_of(kinds)}, not to {self.kind!r}")
        self.require(self.variance >= 0, "variance", "must not be negative")
        self.require(self.outputs >= 1, "outputs", "must be at least 1")
        self.require(self.classes >= 2, "classes", "must be at least 2")
        self.require(self.noise >= 0, "noise", "must not be negative")


class Network(Checked, frozen=True, kw_only=True):
    """What is trained; `hidden` and `init_variance` are stored with their defaults filled in."""

    table: ClassVar[str] = "network"
    kind: Literal["linear", "mlp", "conv"] = "linear"
    hidden: tuple[int, ...] | None = None
    filters: int = 256
    kernel: tuple[int, int] = (3, 3)
    activation: Literal["relu", "tanh", "erf", "identity"] = "relu"
    parametrization: Literal["standard", "ntk"] = "standard"
    init_variance: float | tuple[float, ...] = 1.0
    init_spectrum: tuple[float, ...] = ()
    bias: bool = False
    train: Literal["all", "first"] = "all"

    def check(self) -> None:
        if self.hidden is None:
            msgspec.structs.force_setattr(self, "hidden", () if self.kind == "linear" else (256,))
        if self.kind == "linear":
            self.require(not self.hidden, "hidden", "a linear model has no hidden layer; network.kind = 'mlp' has")
        if self.kind == "mlp":
            self.require(len(self.widths) > 0, "hidden", "an mlp has at least one hidden layer")
        for i, width in enumerate(self.widths):
            self.require(width >= 1, f"hidden[{i}]", "a width must be at least 1", width)
        self.require(self.filters >= 1, "filters", "must be at least 1")
        self.require(min(self.kernel) >= 1, "kernel", "sides must be at least 1")
        if isinstance(self.init_variance, float):
            msgspec.structs.force_setattr(self, "init_variance", (self.init_variance,) * self.layers)
        rule = f"must be one number, or one a layer ({self.layers})"
        self.require(len(self.layer_variances) == self.layers, "init_variance", rule)
        for i, value in enumerate(self.layer_variances):
            self.require(value >= 0, f"init_variance[{i}]", "a variance is not negative", value)
        for i, value in enumerate(self.init_spectrum):
            self.require(value >= 0, f"init_spectrum[{i}]", "a variance is not negative", value)

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths of the dense hidden layers."""
        return self.hidden or ()

    @property
    def layers(self) -> int:
        """The number of weight layers, filters included."""
        return len(self.widths) + 1 + (self.kind == "conv")

    @property
    def layer_variances(self) -> tuple[float, ...]:
        """v_l for every layer, first layer first."""
        return self.init_variance if isinstance(self.init_variance, tuple) else (self.init_variance,) * self.layers


class Training(Checked, frozen=True, kw_only=True):
    """The optimizer, in the conventions of torch.optim; one step is one update."""

    table: ClassVar[str] = "training"
    optimizer: Literal["sgd", "adam", "rmsprop", "signsgd"] = "sgd"
    loss: Literal["mse", "cross-entropy"] = "mse"
    learning_rate: float = 0.05
    drops: tuple[tuple[int, float], ...] = ()
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    l1: float = 0.0
    batch_size: int | Literal["full"] = "full"
    sampling: Literal["epochs", "fresh", "replacement"] = "epochs"
    steps: int | tuple[int, ...] = 100

    def check(self) -> None:
        self.require(self.learning_rate > 0, "learning_rate", "must be positive")
        for i, (step, factor) in enumerate(self.drops):
            self.require(step >= 0, f"drops[{i}]", "a step is not negative", (step, factor))
            self.require(factor > 0, f"drops[{i}]", "a factor must be positive", (step, factor))
        ascending = all(a[0] < b[0] for a, b in pairwise(self.drops))
        self.require(ascending, "drops", "steps must ascend")
        self.require(0 <= self.momentum < 1, "momentum", "must lie in [0, 1)")
        self.require(not self.nesterov or self.momentum > 0, "nesterov", "needs a positive training.momentum")
        plain = self.optimizer == "sgd" or self.momentum == 0
        self.require(plain, "momentum", f"belongs to training.optimizer 'sgd', not to {self.optimizer!r}")
        self.require(self.weight_decay >= 0, "weight_decay", "must not be negative")
        self.require(self.l1 >= 0, "l1", "must not be negative")
        self.require(self.batch_size == "full" or self.batch_size >= 1, "batch_size", "must be at least 1")
        readings = self.readings
        self.require(len(readings) > 0, "steps", "must name at least one step")
        self.require(min(readings) >= 0, "steps", "a step is not negative")
        self.require(all(a < b for a, b in pairwise(readings)), "steps", "must ascend")

    @property
    def readings(self) -> tuple[int, ...]:
        """The steps at which τ is read, ascending."""
        return self.steps if isinstance(self.steps, tuple) else (self.steps,)

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of update number `step` (0 is the first): each drop (s, c) multiplies it by c from s on.

        >>> Training(learning_rate=0.1, drops=((10, 0.5), (20, 0.5))).learning_rate_at(20)
        0.025
        """
        return self.learning_rate * math.prod(factor for start, factor in self.drops if step >= start)


class Ensemble(Checked, frozen=True, kw_only=True):
    """How many independent replicas are trained, from which seed, in which precision."""

    table: ClassVar[str] = "ensemble"
    replicas: int = 2000
    seed: int = 0
    dtype: Literal["float32", "float64"] = "float64"

    def check(self) -> None:
        self.require(1 <= self.replicas < 2**63, "replicas", "must be at least 1")
        self.require(0 <= self.seed < 2**64, "seed", "must lie in [0, 2^64)")


class Setting(Checked, frozen=True, kw_only=True):
    """Data, labels, network, training and ensemble: all that `theory` and `simulate` are told.

    >>> setting = Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0)))
    >>> setting.network.kind, setting.training.readings
    ('linear', (100,))
    """

    data: Data
    labels: Labels = Labels()
    network: Network = Network()
    training: Training = Training()
    ensemble: Ensemble = Ensemble()

    def check(self) -> None:
        self._check_labels()
        self._check_network()
        self._check_batches()

    def _check_labels(self) -> None:
        real = self.labels.kind == "real"
        known = not real or self.data.kind in LABELLED
        require(known, "labels.kind", "real", f"needs data with labels: data.kind {any_of(LABELLED)}")
        given = self.data.labels_path is not None
        require(not real or self.data.kind != "array" or given, "data.labels_path", None, "is needed by real labels")
        require(given is False or real, "data.labels_path", self.data.labels_path, "needs labels.kind = 'real'")
        classes = self.labels.kind in ("classes", "real")
        entropy = self.training.loss == "cross-entropy"
        require(classes or not entropy, "training.loss", "cross-entropy", "needs labels.kind 'classes' or 'real'")

    def _check_network(self) -> None:
        network, dimension = self.network, self.data.dimension
        conv = network.kind == "conv"
        require(
            not conv or self.data.kind in IMAGES, "network.kind", "conv", f"needs images: data.kind {any_of(IMAGES)}"
        )
        fits = not network.init_spectrum or dimension is None or len(network.init_spectrum) == dimension
        require(
            fits, "network.init_spectrum", network.init_spectrum, f"must have one entry per dimension ({dimension})"
        )

    def _check_batches(self) -> None:
        size, samples = self.training.batch_size, self.data.samples
        if samples == "online":
            require(size != "full", "training.batch_size", size, 'must be a number when data.samples = "online"')
            sampling = self.training.sampling
            require(sampling == "fresh", "training.sampling", sampling, 'must be "fresh" when data.samples = "online"')
        elif size != "full":
            require(size <= samples, "training.batch_size", size, f"must not exceed data.samples ({samples})")

    @property
    def full_batch(self) -> bool:
        """Whether every update sees every row once."""
        size = self.training.batch_size
        return size == "full" or (size == self.data.samples and self.training.sampling != "replacement")

    @property
    def outputs(self) -> int | None:
        """The number of outputs C; None where only the data's own labels can tell."""
        kind = self.labels.kind
        return None if kind == "real" else self.labels.classes if kind == "classes" else self.labels.outputs
