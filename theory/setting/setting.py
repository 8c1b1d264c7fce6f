"""A whole setting, and the rules that relate its parts."""

from __future__ import annotations

from typing import ClassVar, Literal

from theory.checked import Checked, any_of, require
from theory.errors import InvalidInput
from theory.setting.data import IMAGES, LABELLED, Data
from theory.setting.labels import Labels
from theory.setting.network import Network
from theory.setting.training import Training

SMALLEST, LARGEST = 2.0**-126, 2.0**128 - 2.0**104  # normal numbers of float32


class Ensemble(Checked, frozen=True, kw_only=True):
    """How many independent replicas are trained, from which seed, in which precision."""

    table: ClassVar[str] = "ensemble"
    wide: ClassVar[tuple[str, ...]] = ("replicas", "seed")
    replicas: int = 2000
    seed: int = 0
    dtype: Literal["float32", "float64"] = "float64"

    def check(self) -> None:
        self.require(1 <= self.replicas < 2**63, "replicas", "must be at least 1")
        self.require(0 <= self.seed < 2**64, "seed", "must lie in [0, 2^64)")


class Setting(Checked, frozen=True, kw_only=True):
    """Data, labels, network, training and ensemble: everything that `theory` and `simulate` receive.

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
        self._check_precision()

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
        conv = network.convolves
        shown = not conv or self.data.kind in IMAGES
        require(shown, "network.kind", network.kind, f"needs images: data.kind {any_of(IMAGES)}")
        # whether rows are patches or crops depends on the network, so that only the whole setting can tell
        ignored, why = ("patch", "a filter sees network.kernel") if conv else ("crop", "its rows are patches")
        value = getattr(self.data, ignored)
        rule = f"does not belong to network.kind {network.kind!r}: {why}"
        require(not self.data.departs(ignored), f"data.{ignored}", value, rule)
        channels = self.data.scale == "channels"
        require(
            conv or not channels, "data.scale", "channels", "needs a network of filters, whose images have channels"
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

    def _check_precision(self) -> None:
        """Refuse rates that float32 cannot hold: 1e-46 would silently become 0, and 1e39 infinite."""
        if self.ensemble.dtype == "float32":
            training = self.training
            rates = [training.learning_rate_at(step) for step in (0, *(start for start, _ in training.drops))]
            for key, value in [
                *(("learning_rate", rate) for rate in rates),
                ("weight_decay", training.weight_decay),
                ("l1", training.l1),
            ]:
                fits = value == 0 or SMALLEST <= value <= LARGEST
                require(fits, f"training.{key}", value, "must be a number of float32, from 1.2e-38 to 3.4e38")

    @property
    def full_batch(self) -> bool:
        """Whether every update sees every row once."""
        size = self.training.batch_size
        return size == "full" or (size == self.data.samples and self.training.sampling != "replacement")

    @property
    def batch_rows(self) -> int:
        """B, how many rows an update sees: `training.batch_size`, n for the full batch."""
        size = self.training.batch_size
        return self.data.sample_count if size == "full" else size

    @property
    def batches_per_epoch(self) -> int:
        """K = ⌊n/B⌋, the updates per epoch; left-over rows are dropped.

        Raises
        ------
        InvalidInput
            If `data.samples` is "online".
        """
        return self.data.sample_count // self.batch_rows

    @property
    def outputs(self) -> int | None:
        """The number of outputs C; None if it depends on the labels in the data."""
        kind = self.labels.kind
        return None if kind == "real" else self.labels.classes if kind == "classes" else self.labels.outputs

    @property
    def output_count(self) -> int:
        """C, if the setting determines it.

        Raises
        ------
        InvalidInput
            If the labels come with the data.
        """
        if self.outputs is None:
            raise InvalidInput("labels.kind", self.labels.kind, "must not be 'real': the data determine those outputs")
        return self.outputs
