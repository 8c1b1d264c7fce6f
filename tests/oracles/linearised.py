"""The slow literal training of linearised networks: torch.func.jvp and vjp, torch.optim, one replica at a time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.func import jvp, vjp
from torch.nn import functional

from simulate.networks import forward
from tests.oracles.training import SignSGD
from theory.setting import Network, Training


def function_of(network: Network, x: Tensor) -> Callable[..., Tensor]:
    """One network's outputs (n, C) on rows x (n, …), a function of its parameters."""
    return lambda *parameters: forward(network, tuple(w[None] for w in parameters), x[None])[0]


def forward_product(function: Callable[..., Tensor], at: Sequence[Tensor], change: Sequence[Tensor]) -> Tensor:
    """J δ by forward-mode automatic differentiation."""
    with warnings.catch_warnings():
        # torch compiles its rules of forward mode when they are first used, by what it has itself deprecated
        warnings.filterwarnings("ignore", message=".*torch.jit.script.*", category=DeprecationWarning)
        return jvp(function, tuple(at), tuple(change))[1]


def optimizer_of(training: Training, trained: Sequence[Tensor]) -> torch.optim.Optimizer:
    rate, decay = training.learning_rate, training.weight_decay
    return {
        "sgd": lambda: torch.optim.SGD(
            trained, rate, momentum=training.momentum, nesterov=training.nesterov, weight_decay=decay
        ),
        "adam": lambda: torch.optim.Adam(trained, rate, weight_decay=decay),
        "rmsprop": lambda: torch.optim.RMSprop(trained, rate, weight_decay=decay),
        "signsgd": lambda: SignSGD(trained, rate, decay),
    }[training.optimizer]()


def loss_of(training: Training, outputs: Tensor, labels: Tensor) -> Tensor:
    if training.loss == "mse":
        return 0.5 * ((outputs - labels) ** 2).sum(1).mean()
    return functional.cross_entropy(outputs, labels)


def linearised_outputs(
    network: Network,
    training: Training,
    start: Sequence[Tensor],
    x: Tensor,
    y: Tensor,
    batches: Tensor | None,
    others: Tensor,
    subtracted: bool = False,
) -> Iterator[tuple[int, Tensor]]:
    """(step, outputs on the rows `others`) at every reading, for one replica."""
    start = tuple(start)
    parameters = [w.clone() for w in start]
    trained = parameters[: 1 + network.bias] if network.train == "first" else parameters
    optimizer = optimizer_of(training, trained)

    def outputs(rows: Tensor) -> Tensor:
        moved = tuple(w - w0 for w, w0 in zip(parameters, start, strict=True))
        function = function_of(network, rows)
        change = forward_product(function, start, moved)
        return change if subtracted else function(*start) + change

    for step in range(training.readings[-1] + 1):
        if step in training.readings:
            yield step, outputs(others)
        if step == training.readings[-1]:
            return
        chosen = torch.arange(len(x)) if batches is None else batches[step]
        leaf = outputs(x[chosen]).detach().requires_grad_()
        loss_of(training, leaf, y[chosen]).backward()
        _, back = vjp(function_of(network, x[chosen]), *start)
        for w, gradient in zip(trained, back(leaf.grad), strict=False):
            w.grad = gradient + training.l1 * w.sign()
        optimizer.param_groups[0]["lr"] = training.learning_rate_at(step)
        optimizer.step()
