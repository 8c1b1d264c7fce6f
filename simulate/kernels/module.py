"""Each replica by itself: an nn.Module and torch.optim.SGD, fused. The way of filters that feed many weights.

Batching replicas saves calls, which are nothing to a large net; its time goes into products, and into reading and
writing weights, which the fused optimizer does once an update. CPU time of the batched way over this one's, on one
thread, crops of 16 × 16 or 30 inputs, 10 classes, momentum: medians of 7 (95 % intervals: most within a tenth of them),
from ``tests/benchmarks/test_kernels.py``.

| filters, dense | float32, B = 32 | float32, B = 256 | float64, B = 32 | float64, B = 256 |
|---|---|---|---|---|
| 64, 32 | 1.01 | 0.97 | 1.16 | 1.04 |
| 256, 64 | 1.32 | 0.89 | 1.56 | 1.22 |
| none: 256, 64 | 0.17 | 0.41 | 0.27 | 0.54 |
| none: 512, 128 | 0.29 | 0.61 | 0.71 | 0.75 |
| none: 1024, 256 | 0.70 | 0.90 | 0.92 | 0.88 |
| none: 2048, 256 | 0.70 | 0.90 | 1.20 | 0.84 |

Blocks of filters, 8, 8, 16, 16 and 32, 32, 64, 64: within a tenth of 1 in all four columns; there each way calls the
same convolutions.

So networks of dense layers are left to `dense`, whose products are the same and whose arrays are laid out better; in
float64 with small batches it pays to ask for this way from 2048 × 256 weights on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from simulate.filters import Convolution, convolutions
from simulate.inputs import Inputs
from simulate.kernels.descent import folds
from simulate.kernels.minibatches import Minibatches
from simulate.networks import ACTIVATIONS, Shapes, losses, multipliers, row_numbers, slices
from theory.setting import Network, Setting

# The weights of the first dense layer for every place of the filters, from which on this kernel is the fastest.
LARGE = 2**13


def applies(setting: Setting) -> bool:
    """Whether this kernel trains such a setting: every network whose rows don't interact, by SGD."""
    return folds(setting) and not setting.network.mixes_rows


def faster(setting: Setting) -> bool:
    """Whether this is the fastest way: filters, each of which feeds many weights at every place it looks at."""
    network = setting.network
    large = network.kind == "vgg" or network.filters * next(iter(network.widths), 0) >= LARGE
    return applies(setting) and network.convolves and large


def touched(setting: Setting, shapes: Shapes, batch: int, rows: int) -> int:
    """How many numbers of a replica a step goes through: rows, activations and their derivatives, parameters."""
    return 2 * batch * row_numbers(setting.network, shapes) + 3 * sum(map(math.prod, shapes))


def train(setting: Setting, inputs: Inputs) -> dict[int, tuple[Tensor, ...]]:
    """All parameters at every reading of the setting, keyed by step; see `simulate.train`."""
    read = {step: tuple(torch.empty_like(w) for w in inputs.parameters) for step in setting.training.readings}
    for r in range(len(inputs.y)):
        _train_one(setting, _alone(inputs, r), {step: tuple(w[r] for w in out) for step, out in read.items()})
    return read


def _alone(inputs: Inputs, r: int) -> Inputs:
    """Replica r in memory of its own: its numbers then don't depend on who else is trained."""
    here = slice(r, r + 1)
    return Inputs(
        x=inputs.x if inputs.shared else inputs.x[here].clone(),
        y=inputs.y[here].clone(),
        parameters=tuple(w[here].clone() for w in inputs.parameters),
        orders=None if inputs.orders is None else inputs.orders[here].clone(),
    )


def _train_one(setting: Setting, inputs: Inputs, read: dict[int, tuple[Tensor, ...]]) -> None:
    """Train the one replica of `inputs`, whose initial parameters are overwritten; its readings go into `read`."""
    network, training, parameters = setting.network, setting.training, inputs.parameters
    net = build_module(network, parameters)
    trained = [w for w in net.parameters() if w.requires_grad]
    optimizer = torch.optim.SGD(
        trained,
        training.learning_rate,
        momentum=training.momentum,
        nesterov=training.nesterov,
        weight_decay=training.weight_decay,
        fused=True,
    )
    batches = Minibatches(setting, inputs)
    for step in range(training.readings[-1] + 1):
        if step in read:
            for out, w in zip(read[step], parameters, strict=True):
                out.copy_(w[0])
        if step < training.readings[-1]:
            x, y = batches.at(step)
            optimizer.param_groups[0]["lr"] = training.learning_rate_at(step)
            optimizer.zero_grad()
            for part, labels in slices(network, parameters, x, y):
                loss = losses(net(part[0])[None], labels).sum() * (part.shape[1] / x.shape[1])
                torch.autograd.backward(loss)
            optimizer.step()


def build_module(network: Network, parameters: tuple[Tensor, ...]) -> nn.Sequential:
    """The network as a module on `parameters` of one replica, (1, out, in) and (1, out), whose memory it shares.

    Each layer's multiplier acts on what the layer is given.
    """
    weights = [w[0] for w in parameters[:: 1 + network.bias]]
    scales = multipliers(network, tuple(tuple(w.shape) for w in weights))
    convolved = convolutions(network)
    layers: list[nn.Module] = []
    for i, (w, scale) in enumerate(zip(weights, scales, strict=True)):
        filters = convolved[i] if i < len(convolved) else None
        # Linear draws initial weights from torch's global generator, but not on the device that holds no numbers.
        layer = FilterBank(filters) if filters else nn.Linear(w.shape[1], len(w), bias=network.bias, device="meta")
        learns = i == 0 or network.train == "all"
        layer.weight = nn.Parameter(w, requires_grad=learns)
        layer.bias = nn.Parameter(parameters[2 * i + 1][0], requires_grad=learns) if network.bias else None
        layers += [Apply(partial(torch.mul, other=scale))] if scale != 1.0 else []
        layers.append(layer)
        layers += [Apply(ACTIVATIONS[network.activation])] if i + 1 < len(weights) else []
        layers += [nn.MaxPool2d(2)] if filters and filters.pools else []
        layers += [nn.Flatten()] if i + 1 == len(convolved) else []
    return nn.Sequential(*layers)


class FilterBank(nn.Module):
    """What Conv2d computes, (n, C, H, W) → (n, filters, H', W'), of weights (filters, C kh kw).

    Without a border as products with patches: up to twice as fast here.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(self, filters: Convolution) -> None:
        super().__init__()
        self.filters = filters

    def forward(self, x: Tensor) -> Tensor:
        filters = self.filters
        if filters.border:
            kernels = self.weight.view(filters.filters, x.shape[1], *filters.kernel)
            return functional.conv2d(x, kernels, self.bias, padding=filters.border)
        z = torch.bmm(self.weight.expand(len(x), -1, -1), functional.unfold(x, filters.kernel))
        z = z if self.bias is None else z + self.bias[:, None]
        return z.view(len(x), filters.filters, *filters.places((x.shape[2], x.shape[3])))


class Apply(nn.Module):
    """A function of numbers as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, z: Tensor) -> Tensor:
        return self.function(z)
