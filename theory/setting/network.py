"""The network that is trained, and the law of its initial weights."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

import msgspec

from theory.checked import Checked, any_of

# The filters of the convolutions of VGG16 (arXiv:1409.1556, table 1, D), block by block.
VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))

# The filters of the stem of WRN-28-4 (arXiv:1605.07146), then of its blocks, group by group.
WRN_28_4 = ((16,), (64,) * 4, (128,) * 4, (256,) * 4)
# The filters of the stem of ResNet-18 (arXiv:1512.03385), then of its blocks, group by group.
RESNET_18 = ((64,), (64, 64), (128, 128), (256, 256), (512, 512))


class ResidualBlock(NamedTuple):
    """One residual block: `filters` on images of `inputs` channels; its first layer has stride `stride`."""

    inputs: int
    filters: int
    stride: int

    @property
    def projects(self) -> bool:
        """Whether the shortcut has filters 1 × 1; otherwise it is the identity."""
        return self.stride > 1 or self.inputs != self.filters


class Network(Checked, frozen=True, kw_only=True):
    """What is trained; `hidden`, `blocks` and `init_variance` are stored with their defaults filled in.

    ``linear``: outputs W x. ``mlp``: dense layers of `hidden` units, then the outputs. ``conv``: `filters` of size
    `kernel` at every position of an image (stride 1, no padding), then an mlp of `hidden` units on all outputs.
    ``vgg``: `blocks` of convolutions, each number being the number of 3 × 3 filters in a layer (stride 1, zero padding
    that keeps the size of an image). Each block is followed by the maximum over 2 × 2 positions (stride 2; an odd row
    or column is left out); the rest is as in ``conv``, with no dense hidden layer by default. The default blocks are
    those of VGG16.

    ``resnet``: a pre-activation residual network (arXiv:1603.05027) with batch normalisation. The first of `blocks` is
    the stem, with the number of its filters, of size `kernel`. Each of the others is a group, and each of its numbers a
    residual block h + W₂ ∗ φ(N(W₁ ∗ φ(N(h)))) with that many 3 × 3 filters in both layers; from the second group on, a
    group's first block halves the sides (stride 2). Where channels or sides change, h is replaced by 1 × 1 filters on
    φ(N(h)). The mean of φ(N(h)) over all positions feeds the outputs. Zero padding keeps the sides. The default is
    WRN-28-4; see `WRN_28_4` and `RESNET_18`. N subtracts the mean of a channel over the rows of the batch and all
    positions, divides by the standard deviation, and has a trained scale and shift, which start at 1 and 0. So the rows
    of a batch interact: an output depends on the other rows of its batch. There are no other biases and no running
    averages: the loss of a trained network is computed in batches, as in training.
    """

    table: ClassVar[str] = "network"
    kind: Literal["linear", "mlp", "conv", "vgg", "resnet"] = "linear"
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
            msgspec.structs.force_setattr(self, "hidden", () if self.kind in ("linear", "vgg", "resnet") else (256,))
        if self.kind == "vgg" and not self.blocks:
            msgspec.structs.force_setattr(self, "blocks", VGG16)
        if self.kind == "resnet":
            self._check_residual()
        if self.kind == "linear":
            self.require(not self.hidden, "hidden", "a linear model has no hidden layer; network.kind = 'mlp' has")
        if self.kind == "mlp":
            self.require(len(self.widths) > 0, "hidden", "an mlp has at least one hidden layer")
        for i, width in enumerate(self.widths):
            self.require(width >= 1, f"hidden[{i}]", "a width must be at least 1", width)
        self.require(self.filters >= 1, "filters", "must be at least 1")
        self.require(min(self.kernel) >= 1, "kernel", "sides must be at least 1")
        for key, kinds in (("filters", ("conv",)), ("kernel", ("conv", "resnet"))):
            known = self.kind in kinds or not self.departs(key)
            self.require(known, key, f"belongs to network.kind {any_of(kinds)}, not to {self.kind!r}")
        self._check_blocks()
        if isinstance(self.init_variance, float):
            msgspec.structs.force_setattr(self, "init_variance", (self.init_variance,) * self.layers)
        rule = f"must be one number, or one per layer ({self.layers})"
        self.require(len(self.layer_variances) == self.layers, "init_variance", rule)
        for i, value in enumerate(self.layer_variances):
            self.require(value >= 0, f"init_variance[{i}]", "a variance is not negative", value)
        for i, value in enumerate(self.init_spectrum):
            self.require(value >= 0, f"init_spectrum[{i}]", "a variance is not negative", value)

    def _check_residual(self) -> None:
        if not self.blocks:
            msgspec.structs.force_setattr(self, "blocks", WRN_28_4)
        whole = len(self.blocks) > 1 and len(self.blocks[0]) == 1
        self.require(whole, "blocks", "of a resnet are the stem, one number, and at least one group of residual blocks")
        self.require(not self.hidden, "hidden", "a resnet has no dense hidden layer")
        self.require(not self.bias, "bias", "must be false: a resnet's normalisation has shifts instead")
        rule = "must be 'standard' for a resnet, whose normalisation undoes factors"
        self.require(self.parametrization == "standard", "parametrization", rule)
        odd = all(side % 2 for side in self.kernel)
        self.require(odd, "kernel", "sides must be odd for a resnet, whose padding keeps the sides of images")

    def _check_blocks(self) -> None:
        known = self.kind in ("vgg", "resnet") or not self.blocks
        self.require(known, "blocks", f"belongs to network.kind 'vgg' or 'resnet', not to {self.kind!r}")
        for i, block in enumerate(self.blocks):
            self.require(len(block) > 0, f"blocks[{i}]", "a block has at least one layer of filters", block)
            self.require(min(block) >= 1, f"blocks[{i}]", "a layer has at least one filter", block)

    @property
    def convolves(self) -> bool:
        """Whether rows are images, and the first layer's weights are filters."""
        return self.kind in ("conv", "vgg", "resnet")

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths of the dense hidden layers."""
        return self.hidden or ()

    @property
    def layers(self) -> int:
        """The number of weight layers, filters included."""
        if self.kind == "resnet":
            return 2 + sum(2 + block.projects for block in self.residual_blocks)
        return len(self.widths) + 1 + (self.kind == "conv") + sum(map(len, self.blocks))

    @property
    def residual_blocks(self) -> tuple[ResidualBlock, ...]:
        """The blocks of a resnet, first block first; empty for other networks.

        >>> Network(kind="resnet", blocks=((4,), (8, 8), (16,))).residual_blocks[1:]
        (ResidualBlock(inputs=8, filters=8, stride=1), ResidualBlock(inputs=8, filters=16, stride=2))
        """
        if self.kind != "resnet":
            return ()
        (inputs,), *groups = self.blocks
        found = []
        for g, group in enumerate(groups):
            for i, filters in enumerate(group):
                found.append(ResidualBlock(inputs, filters, stride=2 if g and not i else 1))
                inputs = filters
        return tuple(found)

    @property
    def mixes_rows(self) -> bool:
        """Whether the output of a row depends on the other rows of its batch."""
        return self.kind == "resnet"

    @property
    def layer_variances(self) -> tuple[float, ...]:
        """v_l for every layer, first layer first."""
        return self.init_variance if isinstance(self.init_variance, tuple) else (self.init_variance,) * self.layers
