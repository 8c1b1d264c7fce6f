"""Trainings of one small network that differ in one ingredient: an optimizer, a layer, a penalty, a task.

Optimizers and layers are torch's own, or those of pytorch-optimizer where it is installed. Whether such a training
commutes with rotations of its inputs decides whether the alignment theorem covers it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn, optim
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, parametrizations

from simulate.equivariant_optimizers import FullAdagrad, NeuronAdam, PolarMuon

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
        The parametrization of the first layer.
    penalty : callable or None
        The penalty on the first layer's weights (m, d), which is added to the loss.
    clip : callable or None
        A function that changes the gradients of some parameters.
    labels : callable or None
        Labels (n, 1) of rows (n, d); random ones if None.
    loss : "mse" or "cross-entropy"
    smoothing : float
        The smoothing of labels, in the cross-entropy.
    mix : bool
        Whether rows, and their labels, are mixed in pairs.
    schedule : callable or None
        The schedule of an optimizer's learning rate.
    updates : "stacks", "parameters" or "networks"
        How many networks can be trained at once: with parameters that are stacked, (R, ...), and changed as those of
        one network would be; with separate parameters of one optimizer; or with an optimizer each.
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
    updates: Literal["stacks", "parameters", "networks"] = "stacks"


def _spectral(weights: Tensor) -> Tensor:
    return 0.05 * torch.linalg.matrix_norm(weights, 2) ** 2


def _nuclear(weights: Tensor) -> Tensor:
    return 0.02 * torch.linalg.matrix_norm(weights, "nuc")


def _radius(rows: Tensor) -> Tensor:
    return (rows.norm(dim=1, keepdim=True) - 2).sin()


def _first_coordinate(rows: Tensor) -> Tensor:
    return rows[:, :1].sign()


def _by_coordinates(optimizer: Callable[..., optim.Optimizer], lr: float = 0.01) -> Ingredient:
    return Ingredient("optimizer", False, partial(optimizer, lr=lr))


def _by_parameters(commutes: bool, optimizer: Callable[..., optim.Optimizer], lr: float = 0.01) -> Ingredient:
    return Ingredient("optimizer", commutes, partial(optimizer, lr=lr), updates="parameters")


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
        "SGD, clipped by norm": Ingredient(
            "optimizer", True, clip=partial(clip_grad_norm_, max_norm=0.1), updates="parameters"
        ),
        "Adagrad, full matrices": _by_parameters(True, FullAdagrad, lr=0.05),
        "Adam, one scale per neuron": Ingredient("optimizer", True, partial(NeuronAdam, lr=0.01)),
        "Muon, exact polar factors": Ingredient("optimizer", True, partial(PolarMuon, lr=0.03)),
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
        # commutes but for the bfloat16 in which torch orthogonalizes
        "Muon": _by_parameters(False, optim.Muon, lr=0.03),
        # torch divides its first step by the gradient's sum of |g|
        "L-BFGS": Ingredient("optimizer", False, partial(optim.LBFGS, lr=0.01, max_iter=3), updates="networks"),
        "Adam": _by_coordinates(optim.Adam),
        "AdamW": _by_coordinates(optim.AdamW),
        "NAdam": _by_coordinates(optim.NAdam),
        "RAdam": _by_coordinates(optim.RAdam, lr=0.03),
        "Adamax": _by_coordinates(optim.Adamax),
        "Adagrad": _by_coordinates(optim.Adagrad),
        "Adadelta": _by_coordinates(optim.Adadelta, lr=1.0),
        "RMSprop": _by_coordinates(optim.RMSprop),
        "Rprop": _by_coordinates(optim.Rprop),
        "Adafactor": _by_parameters(False, optim.Adafactor),
        "SGD, clipped by value": Ingredient("optimizer", False, clip=partial(clip_grad_value_, clip_value=0.01)),
        "RMS norm of inputs, gains": Ingredient("network", False, before=nn.RMSNorm),
        "layer norm of inputs": Ingredient("network", False, before=nn.LayerNorm),
        "batch norm of inputs": Ingredient("network", False, before=nn.BatchNorm1d),
        "dropout of inputs": Ingredient("network", False, before=lambda d: nn.Dropout(0.3)),
        "L1 penalty": Ingredient("penalty", False, penalty=lambda w: 0.02 * w.abs().sum()),
        "group lasso by inputs": Ingredient("penalty", False, penalty=lambda w: 0.02 * w.norm(dim=0).sum()),
        "a fixed teacher": Ingredient("task", False, labels=_first_coordinate),
    }
)


def library_ingredients() -> Mapping[str, Ingredient]:
    """Optimizers of pytorch-optimizer; none where it is not installed."""
    if find_spec("pytorch_optimizer") is None:
        return {}
    import pytorch_optimizer

    return {
        "LARS": _by_parameters(True, pytorch_optimizer.LARS, lr=5.0),
        "Shampoo": _by_parameters(True, pytorch_optimizer.Shampoo, lr=0.05),
        "Lion": _by_coordinates(pytorch_optimizer.Lion),
        "sign SGD": _by_coordinates(pytorch_optimizer.SignSGD),
    }
