"""The slow literal training: one nn.Module per replica, a plain loop, torch.optim."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from simulate import Inputs
from theory.setting import Network, Setting


class Net(nn.Module):
    """One replica's network, from its initial parameters."""

    def __init__(self, network: Network, parameters: list[Tensor]) -> None:
        super().__init__()
        self.network = network
        self.weights = nn.ParameterList(parameters[::2] if network.bias else parameters)
        self.biases = nn.ParameterList(parameters[1::2] if network.bias else [])

    def forward(self, x: Tensor) -> Tensor:
        act = {"relu": functional.relu, "tanh": torch.tanh, "erf": torch.erf, "identity": nn.Identity()}
        ends = [False] if self.network.kind == "conv" else []  # whether a block ends with each layer of filters
        for block in self.network.blocks:
            ends += [False] * (len(block) - 1) + [True]
        for i, w in enumerate(self.weights):
            filters = i < len(ends)
            if filters:
                border = 1 if self.network.kind == "vgg" else 0
                kernel = w.view(len(w), x.shape[1], *self.network.kernel)
                x = functional.conv2d(functional.pad(x, (border,) * 4), kernel)
            else:
                x = functional.linear(x.flatten(1), w)
            if self.network.parametrization == "ntk":
                x = x / math.sqrt(w.shape[1])
            if self.network.bias:
                x = x + (self.biases[i][:, None, None] if filters else self.biases[i])
            if i < len(self.weights) - 1:
                x = act[self.network.activation](x)
            if filters and ends[i]:
                x = functional.max_pool2d(x, 2)
        return x

    def flat(self) -> list[Tensor]:
        if not self.network.bias:
            return list(self.weights)
        return [p for pair in zip(self.weights, self.biases, strict=True) for p in pair]


class SignSGD(torch.optim.Optimizer):
    def __init__(self, params, lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                p.copy_(p - group["lr"] * torch.sign(p.grad + group["weight_decay"] * p))


def naive_train(setting: Setting, inputs: Inputs) -> dict[int, list[Tensor]]:
    """What `simulate.train` returns, replica by replica."""
    each = [_one(setting, inputs, r) for r in range(len(inputs.y))]
    return {
        step: [torch.stack([one[step][i] for one in each]) for i in range(len(inputs.parameters))]
        for step in setting.training.readings
    }


def _one(setting: Setting, inputs: Inputs, r: int) -> dict[int, list[Tensor]]:
    training, network = setting.training, setting.network
    x, y = inputs.x if inputs.x.ndim in (2, 4) else inputs.x[r], inputs.y[r]
    net = Net(network, [p[r].clone() for p in inputs.parameters])
    trained = net.flat()[: 1 + network.bias] if network.train == "first" else net.flat()
    lr, decay = training.learning_rate, training.weight_decay
    optimizer = {
        "sgd": lambda: torch.optim.SGD(
            trained, lr, momentum=training.momentum, nesterov=training.nesterov, weight_decay=decay
        ),
        "adam": lambda: torch.optim.Adam(trained, lr, weight_decay=decay),
        "rmsprop": lambda: torch.optim.RMSprop(trained, lr, weight_decay=decay),
        "signsgd": lambda: SignSGD(trained, lr, decay),
    }[training.optimizer]()
    read = {}
    for step in range(training.readings[-1] + 1):
        if step in training.readings:
            read[step] = [p.detach().clone() for p in net.flat()]
        for when, factor in training.drops:
            if when == step:
                optimizer.param_groups[0]["lr"] *= factor
        if inputs.orders is not None:
            chosen = inputs.orders[r, step] if step < training.readings[-1] else []
        elif setting.data.samples == "online":
            size = training.batch_size
            chosen = torch.arange(step * size, (step + 1) * size)
        else:
            chosen = torch.arange(len(y))
        if step == training.readings[-1]:
            break
        optimizer.zero_grad()
        outputs, target = net(x[chosen]), y[chosen]
        if training.loss == "mse":
            loss = 0.5 * ((outputs - target) ** 2).sum(1).mean()
        else:
            loss = functional.cross_entropy(outputs, target)
        if training.l1:
            loss = loss + training.l1 * sum(p.abs().sum() for p in trained)
        loss.backward()
        optimizer.step()
    return read
