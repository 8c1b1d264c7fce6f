"""The slow literal sequence of tasks: one nn.Module per replica and task, plain loops, torch.optim."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from simulate import Inputs, task_inputs
from tests.oracles.training import Net
from theory.setting import Network, Remedy, TaskSequence


def naive_sequence(sequence: TaskSequence, remedy: Remedy, replica: int) -> list[tuple[list[Tensor], dict, dict]]:
    """For each task of a replica: the weights it starts from, and its loss and accuracy by step."""
    tasks = [task_inputs(sequence, task, [replica]) for task in range(sequence.count)]
    initial = [w[0].clone() for w in tasks[0].parameters]
    weights, found = initial, []
    for number, inputs in enumerate(tasks):
        if number:
            new = [w[0].clone() for w in inputs.parameters]
            weights = between(sequence.task.network, remedy, weights, initial, new, rows_of(tasks[number - 1]))
        start = [w.clone() for w in weights]
        weights, losses, right = train(sequence, remedy, inputs, weights, initial)
        found.append((start, losses, right))
    return found


def rows_of(inputs: Inputs) -> Tensor:
    return inputs.x if inputs.shared else inputs.x[0]


def train(sequence: TaskSequence, remedy: Remedy, inputs: Inputs, weights, initial):
    training, network = sequence.task.training, sequence.task.network
    x, y = rows_of(inputs), inputs.y[0]
    net = Net(network, [w.clone() for w in weights])
    trained = net.flat()[: 1 + network.bias] if network.train == "first" else net.flat()
    optimizer = {
        "sgd": lambda: torch.optim.SGD(
            trained, training.learning_rate, momentum=training.momentum, weight_decay=training.weight_decay
        ),
        "adam": lambda: torch.optim.Adam(trained, training.learning_rate, weight_decay=training.weight_decay),
    }[training.optimizer]()
    losses, right = {}, {}
    for step in range(training.readings[-1] + 1):
        if step in training.readings:
            losses[step], right[step] = loss_of(net(x), y, training.loss).item(), accuracy_of(net(x), y)
        if step == training.readings[-1]:
            break
        rows = torch.arange(len(y)) if inputs.orders is None else inputs.orders[0, step]
        optimizer.zero_grad()
        loss = loss_of(net(x[rows]), y[rows], training.loss)
        for w, middle in zip(trained, initial, strict=False):
            loss = loss + remedy.strength / 2 * ((w - middle) ** 2).sum()
        loss.backward()
        optimizer.step()
    return [w.detach().clone() for w in net.flat()], losses, right


def loss_of(outputs: Tensor, y: Tensor, loss: str) -> Tensor:
    return functional.cross_entropy(outputs, y) if loss == "cross-entropy" else 0.5 * ((outputs - y) ** 2).sum(1).mean()


def accuracy_of(outputs: Tensor, y: Tensor) -> float:
    wanted = y if y.ndim == 1 else y.argmax(1)
    return sum(int(a.argmax() == b) for a, b in zip(outputs, wanted, strict=True)) / len(y)


def between(network: Network, remedy: Remedy, weights, initial, new, x: Tensor) -> list[Tensor]:
    step = 1 + network.bias
    weights = [w.clone() for w in weights]
    if remedy.kind == "anew":
        return new
    if remedy.kind == "rescaled":
        product = 1.0
        for place in range(0, len(weights), step):
            factor = (initial[place].norm() / weights[place].norm()).item()
            product *= factor
            weights[place] *= factor
            if network.bias:
                weights[place + 1] *= product
    if remedy.kind == "revived":
        h, dead = x, []
        for place in range(0, len(weights) - step, step):
            h = torch.relu(functional.linear(h, weights[place], weights[place + 1] if network.bias else None))
            dead.append([unit for unit in range(h.shape[1]) if all(value <= 0 for value in h[:, unit].tolist())])
        for layer, units in enumerate(dead):
            for unit in units:
                for place in range(layer * step, layer * step + step):
                    weights[place][unit] = new[place][unit]
                weights[(layer + 1) * step][:, unit] = 0
    return weights
