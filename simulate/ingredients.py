"""Trainings of one small network that differ in one ingredient: an optimizer, a layer, a penalty, a task.

They are plain loops of torch, as users write them, of torch's own optimizers and layers. Whether such a training
commutes with rotations of its inputs decides whether the alignment theorem covers it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn, optim
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, parametrizations

STEPS = 10
WIDTH, CLASSES = 12, 3

Optimize = Callable[[Iterable[nn.Parameter]], optim.Optimizer]
ModuleFactory = Callable[[int], nn.Module]
Clip = Callable[[Iterable[Tensor]], object]


SGD: Optimize = partial(optim.SGD, lr=0.05)
RELU = nn.ReLU()


@dataclass(frozen=True)
class Ingredient:
    """What a training is made of, beside a network of one hidden layer and random labels.

    Attributes
    ----------
    kind : "optimizer", "network", "penalty" or "task"
    commutes : bool
        Whether it commutes with rotations, by theory/derivations.md, section 3.0.
    optimizer : callable
        The optimizer of some parameters.
    before, after : callable or None
        Layers on the inputs, given d, and on the first layer's outputs, given its width.
    activation : Module
    bias : bool
    wrap : callable or None
        Parametrizes the first layer.
    penalty : callable or None
        Of the first layer's weights (m, d), added to the loss.
    clip : callable or None
        Changes the gradients of some parameters.
    labels : callable or None
        Labels (n, 1) of rows (n, d); random ones if None.
    loss : "mse" or "cross-entropy"
    smoothing : float
        Of labels, in the cross-entropy.
    mix : bool
        Whether rows, and their labels, are mixed in pairs.
    schedule : callable or None
        The schedule of an optimizer's learning rate.
    """

    kind: Literal["optimizer", "network", "penalty", "task"]
    commutes: bool
    optimizer: Optimize = SGD
    before: ModuleFactory | None = None
    after: ModuleFactory | None = None
    activation: nn.Module = RELU
    bias: bool = False
    wrap: Callable[[nn.Module], nn.Module] | None = None
    penalty: Callable[[Tensor], Tensor] | None = None
    clip: Clip | None = None
    labels: Callable[[Tensor], Tensor] | None = None
    loss: Literal["mse", "cross-entropy"] = "mse"
    smoothing: float = 0.0
    mix: bool = False
    schedule: Callable[[optim.Optimizer], optim.lr_scheduler.LRScheduler] | None = None


def train_with(ingredient: Ingredient, rows: Tensor, weights: Tensor, *, steps: int = STEPS) -> Tensor:
    """The first layer's weights (m, d) after full-batch updates; the rest is drawn from torch's generator."""
    first = nn.Linear(weights.shape[1], len(weights), bias=ingredient.bias)
    outputs = 1 if ingredient.loss == "mse" else CLASSES
    parts: list[nn.Module] = [first, ingredient.activation, nn.Linear(len(weights), outputs, bias=ingredient.bias)]
    parts[1:1] = [ingredient.after(len(weights))] if ingredient.after else []
    parts[:0] = [ingredient.before(weights.shape[1])] if ingredient.before else []
    model = nn.Sequential(*parts).to(rows.dtype)
    first.weight.data.copy_(weights)
    if ingredient.wrap is not None:
        ingredient.wrap(first)
    rows, labels = _task(ingredient, rows)
    optimizer = ingredient.optimizer(model.parameters())
    schedule = ingredient.schedule(optimizer) if ingredient.schedule else None

    def closure() -> Tensor:
        optimizer.zero_grad()
        found = model(rows)
        if ingredient.loss == "mse":
            loss = functional.mse_loss(found, labels)
        else:
            loss = functional.cross_entropy(found, labels, label_smoothing=ingredient.smoothing)
        if ingredient.penalty is not None:
            loss = loss + ingredient.penalty(first.weight)
        torch.autograd.backward(loss)
        if ingredient.clip is not None:
            ingredient.clip(model.parameters())
        return loss

    for _ in range(steps):
        optimizer.step(closure)  # type: ignore[arg-type]  # every optimizer takes one, LBFGS needs it
        if schedule is not None:
            schedule.step()
    return first.weight.detach()


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


def _spectral(weights: Tensor) -> Tensor:
    return 0.05 * torch.linalg.matrix_norm(weights, 2) ** 2


def _nuclear(weights: Tensor) -> Tensor:
    return 0.02 * torch.linalg.matrix_norm(weights, "nuc")


def _radius(rows: Tensor) -> Tensor:
    return (rows.norm(dim=1, keepdim=True) - 2).sin()


def _first_coordinate(rows: Tensor) -> Tensor:
    return rows[:, :1].sign()


def clip_by_value(largest: float) -> Clip:
    """Cuts every coordinate of a gradient off at `largest`."""
    return partial(clip_grad_value_, clip_value=largest)


def _by_coordinates(optimizer: Callable[..., optim.Optimizer], lr: float = 0.01) -> Ingredient:
    return Ingredient("optimizer", False, partial(optimizer, lr=lr))


INGREDIENTS: Mapping[str, Ingredient] = MappingProxyType(
    {
        "SGD": Ingredient("optimizer", True),
        "SGD, momentum": Ingredient("optimizer", True, partial(optim.SGD, lr=0.05, momentum=0.9)),
        "SGD, Nesterov": Ingredient("optimizer", True, partial(optim.SGD, lr=0.05, momentum=0.9, nesterov=True)),
        "SGD, weight decay": Ingredient("optimizer", True, partial(optim.SGD, lr=0.05, weight_decay=0.1)),
        "SGD, averaged (ASGD)": Ingredient("optimizer", True, partial(optim.ASGD, lr=0.05)),
        "SGD, cosine schedule": Ingredient(
            "optimizer", True, schedule=partial(optim.lr_scheduler.CosineAnnealingLR, T_max=STEPS)
        ),
        "SGD, clipped by norm": Ingredient("optimizer", True, clip=partial(clip_grad_norm_, max_norm=0.1)),
        "bias": Ingredient("network", True, bias=True),
        "leaky ReLU": Ingredient("network", True, activation=nn.LeakyReLU(0.1)),
        "GELU": Ingredient("network", True, activation=nn.GELU()),
        "batch norm after layer 1": Ingredient("network", True, after=nn.BatchNorm1d),
        "layer norm after layer 1": Ingredient("network", True, after=nn.LayerNorm),
        "RMS norm after layer 1": Ingredient("network", True, after=nn.RMSNorm),
        "dropout of hidden units": Ingredient("network", True, after=lambda width: nn.Dropout(0.3)),
        "RMS norm of inputs, no gains": Ingredient(
            "network", True, before=lambda d: nn.RMSNorm(d, elementwise_affine=False)
        ),
        "weight norm": Ingredient("network", True, wrap=parametrizations.weight_norm),
        "penalty on the spectral norm": Ingredient("penalty", True, penalty=_spectral),
        "penalty on the nuclear norm": Ingredient("penalty", True, penalty=_nuclear),
        "group lasso by neurons": Ingredient("penalty", True, penalty=lambda w: 0.02 * w.norm(dim=1).sum()),
        "random classes, cross-entropy": Ingredient("task", True, partial(optim.SGD, lr=0.2), loss="cross-entropy"),
        "label smoothing": Ingredient("task", True, partial(optim.SGD, lr=0.2), loss="cross-entropy", smoothing=0.1),
        "mixup": Ingredient("task", True, mix=True),
        "labels that depend on |x|": Ingredient("task", True, labels=_radius),
        "Muon": _by_coordinates(optim.Muon, lr=0.03),  # commutes but for the bfloat16 in which torch orthogonalizes
        "L-BFGS": _by_coordinates(
            partial(optim.LBFGS, max_iter=3)
        ),  # torch divides its first step by the gradient's sum of |g|
        "Adam": _by_coordinates(optim.Adam),
        "AdamW": _by_coordinates(optim.AdamW),
        "NAdam": _by_coordinates(optim.NAdam),
        "RAdam": _by_coordinates(optim.RAdam, lr=0.03),
        "Adamax": _by_coordinates(optim.Adamax),
        "Adagrad": _by_coordinates(optim.Adagrad),
        "Adadelta": _by_coordinates(optim.Adadelta, lr=1.0),
        "RMSprop": _by_coordinates(optim.RMSprop),
        "Rprop": _by_coordinates(optim.Rprop),
        "Adafactor": _by_coordinates(optim.Adafactor),
        "SGD, clipped by value": Ingredient("optimizer", False, clip=clip_by_value(0.01)),
        "RMS norm of inputs, gains": Ingredient("network", False, before=nn.RMSNorm),
        "layer norm of inputs": Ingredient("network", False, before=nn.LayerNorm),
        "batch norm of inputs": Ingredient("network", False, before=nn.BatchNorm1d),
        "dropout of inputs": Ingredient("network", False, before=lambda d: nn.Dropout(0.3)),
        "L1 penalty": Ingredient("penalty", False, penalty=lambda w: 0.02 * w.abs().sum()),
        "group lasso by inputs": Ingredient("penalty", False, penalty=lambda w: 0.02 * w.norm(dim=0).sum()),
        "a fixed teacher": Ingredient("task", False, labels=_first_coordinate),
    }
)
