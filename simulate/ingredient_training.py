"""Training with an ingredient: of one network in a plain torch loop, or of many at once by the same steps."""

from __future__ import annotations

from collections.abc import Sequence
from warnings import catch_warnings, filterwarnings

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.nn import functional

from simulate.ingredients import CLASSES, STEPS, Ingredient


def train_with(ingredient: Ingredient, rows: Tensor, weights: Tensor, *, steps: int = STEPS) -> Tensor:
    """The first layer's weights (m, d) after full-batch updates; the rest is drawn from torch's generator."""
    network = _Network(ingredient, weights)
    rows, labels = _task(ingredient, rows)
    optimizer = ingredient.optimizer(network.parameters())
    schedule = ingredient.schedule(optimizer) if ingredient.schedule else None

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss, _ = network(rows, labels)
        torch.autograd.backward(loss)
        if ingredient.clip is not None:
            ingredient.clip(network.parameters())
        return loss

    for _ in range(steps):
        optimizer.step(closure)  # type: ignore[arg-type]  # every optimizer takes one, LBFGS needs it
        if schedule is not None:
            schedule.step()
    return network.first.weight.detach()


def train_many(
    ingredient: Ingredient, rows: Tensor, weights: Tensor, *, seeds: Sequence[int], steps: int = STEPS
) -> Tensor:
    """`train_with` of R networks, each as if torch's generator had been given its seed before; it is restored.

    Parameters
    ----------
    ingredient : Ingredient
    rows : Tensor, shape (R, n, d)
    weights : Tensor, shape (R, m, d)
    seeds : sequence of int, length R
        Dropout alone has other masks than in `train_with`, since they are drawn for all networks together.
    steps : int

    Returns
    -------
    Tensor, shape (R, m, d)
    """
    ends: list[Tensor] = []
    networks: list[nn.Module] = []
    tasks: list[tuple[Tensor, Tensor]] = []
    with torch.random.fork_rng(devices=()):
        for own, start, seed in zip(rows, weights, seeds, strict=True):
            torch.manual_seed(seed)
            if ingredient.updates == "networks":
                ends.append(train_with(ingredient, own, start, steps=steps))
            else:
                networks.append(_Network(ingredient, start))
                tasks.append(_task(ingredient, own))
        if ends:
            return torch.stack(ends)
        inputs, labels = (torch.stack(part) for part in zip(*tasks, strict=True))
        return _descend(ingredient, networks, inputs, labels, steps=steps)


def _descend(
    ingredient: Ingredient, networks: Sequence[nn.Module], rows: Tensor, labels: Tensor, *, steps: int
) -> Tensor:
    """The first layers after training the networks together; rows (R, n, d), labels (R, n, …)."""
    stacked, buffers = stack_module_state(list(networks))
    split = ingredient.updates == "parameters"
    leaves: dict[str, list[nn.Parameter]] = {
        name: [nn.Parameter(part) for part in (values.detach() if split else values.detach()[None])]
        for name, values in stacked.items()
    }
    optimizer = ingredient.optimizer([part for parts in leaves.values() for part in parts])
    schedule = ingredient.schedule(optimizer) if ingredient.schedule else None

    def outputs(parameters: dict[str, Tensor], kept: dict[str, Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return functional_call(networks[0], (parameters, kept), (x, y))

    def run() -> tuple[Tensor, Tensor]:
        now = {name: torch.stack(tuple(parts)) if split else parts[0] for name, parts in leaves.items()}
        with catch_warnings():
            filterwarnings("ignore", "There is a performance drop", UserWarning)  # of weight norm, a loop over networks
            return torch.vmap(outputs, randomness="different")(now, buffers, rows, labels)

    for _ in range(steps):
        optimizer.zero_grad()
        torch.autograd.backward(run()[0].sum())
        if ingredient.clip is not None:
            for parameters in zip(*leaves.values(), strict=True):
                ingredient.clip(parameters)
        optimizer.step()
        if schedule is not None:
            schedule.step()
    return run()[1].detach()


class _Network(nn.Module):
    """One hidden layer with an ingredient; from rows and labels, the loss and the first layer's weights."""

    def __init__(self, ingredient: Ingredient, weights: Tensor) -> None:
        super().__init__()
        width, d = weights.shape
        self.ingredient = ingredient
        self.first = nn.Linear(d, width, bias=ingredient.bias)
        outputs = 1 if ingredient.loss == "mse" else CLASSES
        parts: list[nn.Module] = [self.first, ingredient.activation, nn.Linear(width, outputs, bias=ingredient.bias)]
        parts[1:1] = [ingredient.after(width)] if ingredient.after else []
        parts[:0] = [ingredient.before(d)] if ingredient.before else []
        self.layers = nn.Sequential(*parts)
        self.to(weights.dtype)
        self.first.weight.data.copy_(weights)
        if ingredient.wrap is not None:
            ingredient.wrap(self.first)

    def forward(self, rows: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        found = self.layers(rows)
        if self.ingredient.loss == "mse":
            loss = functional.mse_loss(found, labels)
        else:
            loss = functional.cross_entropy(found, labels, label_smoothing=self.ingredient.smoothing)
        weight = self.first.weight
        if self.ingredient.penalty is not None:
            loss = loss + self.ingredient.penalty(weight)
        return loss, weight


def _task(ingredient: Ingredient, rows: Tensor) -> tuple[Tensor, Tensor]:
    if ingredient.labels is not None:
        return rows, ingredient.labels(rows)
    if ingredient.loss == "cross-entropy":
        return rows, torch.randint(CLASSES, (len(rows),))
    labels = torch.randn(len(rows), 1, dtype=torch.float64).to(rows.dtype)
    if not ingredient.mix:
        return rows, labels
    share, other = torch.rand(len(rows), 1, dtype=torch.float64).to(rows.dtype), torch.randperm(len(rows))
    return share * rows + (1 - share) * rows[other], share * labels + (1 - share) * labels[other]
