"""The network that is trained, and the law of its initial weights."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from theory.checked import Checked

# The convolutions of VGG16 (arXiv:1409.1556, table 1, D), block by block.
VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class Network(Checked, frozen=True, kw_only=True):
    """What is trained; `hidden`, `blocks` and `init_variance` are stored with their defaults filled in.

    ``linear``: outputs W x. ``mlp``: dense layers of `hidden` units, then the outputs. ``conv``: `filters` of size
    `kernel` at every place of an image (stride 1, no padding), then an mlp of `hidden` units on all of them. ``vgg``:
    `blocks` of convolutions, each number so many filters 3 × 3 (stride 1, a border of zeros, so that an image keeps its
    size), each block followed by the maximum over 2 × 2 places (stride 2; an odd row or column is left out); then as
    ``conv``, with no dense hidden layer by default. Its default blocks are VGG16's.
    """

    table: ClassVar[str] = "network"
    kind: Literal["linear", "mlp", "conv", "vgg"] = "linear"
    hidden: tuple[int, ...] | None = None
    filters: int = 256
    kernel: tuple[int, int] = (3, 3)
    blocks: tuple[tuple[int, ...], ...] = ()
    activation: Literal["relu", "tanh", "erf", "identity"] = "relu"
    parametrization: Literal["standard", "ntk"] = "standard"
    init_variance: float | tuple[float, ...] = 1.0
    init_spectrum: tuple[float, ...] = ()
    bias: bool = False
    train: Literal["all", "first"] = "all"

    def check(self) -> None:
        if self.hidden is None:
            msgspec.structs.force_setattr(self, "hidden", () if self.kind in ("linear", "vgg") else (256,))
        if self.kind == "vgg" and not self.blocks:
            msgspec.structs.force_setattr(self, "blocks", VGG16)
        if self.kind == "linear":
            self.require(not self.hidden, "hidden", "a linear model has no hidden layer; network.kind = 'mlp' has")
        if self.kind == "mlp":
            self.require(len(self.widths) > 0, "hidden", "an mlp has at least one hidden layer")
        for i, width in enumerate(self.widths):
            self.require(width >= 1, f"hidden[{i}]", "a width must be at least 1", width)
        self.require(self.filters >= 1, "filters", "must be at least 1")
        self.require(min(self.kernel) >= 1, "kernel", "sides must be at least 1")
        for key in ("filters", "kernel"):
            known = self.kind == "conv" or not self.departs(key)
            self.require(known, key, f"belongs to network.kind 'conv', not to {self.kind!r}")
        self._check_blocks()
        if isinstance(self.init_variance, float):
            msgspec.structs.force_setattr(self, "init_variance", (self.init_variance,) * self.layers)
        rule = f"must be one number, or one a layer ({self.layers})"
        self.require(len(self.layer_variances) == self.layers, "init_variance", rule)
        for i, value in enumerate(self.layer_variances):
            self.require(value >= 0, f"init_variance[{i}]", "a variance is not negative", value)
        for i, value in enumerate(self.init_spectrum):
            self.require(value >= 0, f"init_spectrum[{i}]", "a variance is not negative", value)

    def _check_blocks(self) -> None:
        known = self.kind == "vgg" or not self.blocks
        self.require(known, "blocks", f"belongs to network.kind 'vgg', not to {self.kind!r}")
        for i, block in enumerate(self.blocks):
            self.require(len(block) > 0, f"blocks[{i}]", "a block has at least one layer of filters", block)
            self.require(min(block) >= 1, f"blocks[{i}]", "a layer has at least one filter", block)

    @property
    def convolves(self) -> bool:
        """Whether rows are images, and the first layer's weights are filters."""
        return self.kind in ("conv", "vgg")

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths of the dense hidden layers."""
        return self.hidden or ()

    @property
    def layers(self) -> int:
        """The number of weight layers, filters included."""
        return len(self.widths) + 1 + (self.kind == "conv") + sum(map(len, self.blocks))

    @property
    def layer_variances(self) -> tuple[float, ...]:
        """v_l for every layer, first layer first."""
        return self.init_variance if isinstance(self.init_variance, tuple) else (self.init_variance,) * self.layers
