"""Residual networks as users write them: torch.nn's convolutions and batch normalisation, one module per replica."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from simulate import Inputs
from theory.setting import Network, Setting


class Block(nn.Module):
    """Two filters 3 × 3, normalised before; a filter 1 × 1 in the shortcut where the shape changes."""

    def __init__(self, inputs: int, filters: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(filters)
        self.conv1 = nn.Conv2d(inputs, filters, 3, stride=stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        same = inputs == filters and stride == 1
        self.shortcut = None if same else nn.Conv2d(inputs, filters, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.bn1(x))
        through = x if self.shortcut is None else self.shortcut(out)
        return through + self.conv2(torch.relu(self.bn2(self.conv1(out))))


class WideResNet(nn.Module):
    """A stem, groups of blocks, the last normalisation, the mean over places, and the outputs."""

    def __init__(self, kernel: tuple[int, int], blocks: Sequence[Sequence[int]], channels: int, outputs: int) -> None:
        super().__init__()
        (inputs,), *groups = blocks
        self.stem = nn.Conv2d(channels, inputs, kernel, padding=(kernel[0] // 2, kernel[1] // 2), bias=False)
        made = []
        for g, group in enumerate(groups):
            for i, filters in enumerate(group):
                made.append(Block(inputs, filters, 2 if g > 0 and i == 0 else 1))
                inputs = filters
        self.blocks = nn.ModuleList(made)
        self.bn = nn.BatchNorm2d(inputs)
        self.out = nn.Linear(inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.out(torch.relu(self.bn(x)).mean((2, 3)))

    def ordered(self) -> list[nn.Parameter]:
        """The parameters in the order of `simulate.residual`: weights, then scales and shifts."""
        weights, normal = [self.stem.weight], []
        for block in self.blocks:
            weights += [block.conv1.weight, block.conv2.weight]
            weights += [] if block.shortcut is None else [block.shortcut.weight]
            normal += [block.bn1.weight, block.bn1.bias, block.bn2.weight, block.bn2.bias]
        return [*weights, self.out.weight, *normal, self.bn.weight, self.bn.bias]


def module_of(network: Network, parameters: Sequence[Tensor], channels: int) -> WideResNet:
    """The module of one replica, whose parameters are (out, in)."""
    net = WideResNet(network.kernel, network.blocks, channels, len(parameters[network.layers - 1])).double().train()
    for own, given in zip(net.ordered(), parameters, strict=True):
        own.data.copy_(given.reshape(own.shape))
    return net


def trained(setting: Setting, inputs: Inputs, replica: int) -> list[Tensor]:
    """The parameters of one replica after all updates, by torch.optim.SGD and a plain loop."""
    training, x, y = setting.training, inputs.x[replica], inputs.y[replica]
    net = module_of(setting.network, [w[replica] for w in inputs.parameters], x.shape[1])
    optimizer = torch.optim.SGD(
        net.parameters(), training.learning_rate, momentum=training.momentum, weight_decay=training.weight_decay
    )
    assert inputs.orders is not None
    for step in range(training.readings[-1]):
        rows = inputs.orders[replica, step]
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
        optimizer.step()
    return [w.detach().reshape(given.shape[1:]) for w, given in zip(net.ordered(), inputs.parameters, strict=True)]
