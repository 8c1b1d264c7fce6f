"""What is measured of trained networks: loss and accuracy on rows, and the state of every layer."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from simulate.networks import forward, layer_outputs, losses, slices
from theory.setting import Network

# The most rows on which the state of layers is read: shares and ranks need no more.
PROBED = 512


def scores(
    network: Network, parameters: tuple[Tensor, ...], x: Tensor, y: Tensor, *, classes: bool
) -> tuple[Tensor, Tensor | None]:
    """The loss (R,) on rows x (R, n, …) with labels y, and where these are classes the share (R,) that is right."""
    loss = torch.zeros(len(y), dtype=torch.float64, device=y.device)
    right = torch.zeros(len(y), dtype=torch.int64, device=y.device)
    for part, labels in slices(network, parameters, x, y):
        outputs = forward(network, parameters, part)
        loss += losses(outputs, labels).double() * (part.shape[1] / x.shape[1])
        wanted = labels.argmax(2) if labels.ndim == 3 else labels
        right += (outputs.argmax(2) == wanted).sum(1)
    return loss, right.double() / x.shape[1] if classes else None


def norms(weights: tuple[Tensor, ...]) -> Tensor:
    """The Frobenius norm of every layer's weights, (R, L), in float64."""
    return torch.stack([w.double().flatten(1).norm(dim=1) for w in weights], 1)


def second_moments(w: Tensor) -> Tensor:
    """WᵀW/m of weights (R, m, d), shape (R, d, d)."""
    return torch.bmm(w.transpose(1, 2), w) / w.shape[1]


def finite(parameters: tuple[Tensor, ...]) -> Tensor:
    """Which replicas' parameters, and their squares, are finite numbers, (R,) of bool."""
    # Weights of 1e200 are finite, their second moment is not.
    return torch.stack([w.double().square().flatten(1).sum(1).isfinite() for w in parameters]).all(0)


def layer_states(network: Network, parameters: tuple[Tensor, ...], x: Tensor, *, ranks: bool = True) -> Tensor:
    """Three numbers of every hidden layer's activations h on the first rows of x: (R, L − 1, 3), in float64.

    The share of (row, unit) with h > 0; the share of units with h > 0 on some row; the effective rank
    (tr C)² / ‖C‖_F² of the covariance C of h over rows, zero where nothing varies. A filter at a place is a unit.
    Covariances are most of the cost: without `ranks` the last number is nan.
    """
    states = []
    probed = x[:, :PROBED]
    outputs = layer_outputs(network, parameters, probed)
    for _ in range(network.layers - 1):
        h = next(outputs)
        # on how many rows each unit is active: as whole numbers in h's precision, ten times as fast as by booleans
        counts = torch.gt(h, 0, out=torch.empty_like(h)).sum(1)
        active = counts.double().sum(1) / (h.shape[1] * h.shape[2])
        alive = (counts > 0).double().mean(1)
        rank = _effective_rank(h) if ranks else torch.full_like(active, math.nan)
        states.append(torch.stack([active, alive, rank], 1))
    return torch.stack(states, 1) if states else torch.zeros(len(x), 0, 3, dtype=torch.float64, device=x.device)


def _effective_rank(h: Tensor) -> Tensor:
    """The effective rank, (R,), of the covariance over rows of activations (R, n, width); 0 where nothing varies."""
    centred = h - h.mean(1, keepdim=True)
    # C and the Gram matrix of the centred rows have the same eigenvalues, but for zeros.
    wide = centred.shape[2] > centred.shape[1]
    gram = torch.bmm(centred, centred.transpose(1, 2)) if wide else torch.bmm(centred.transpose(1, 2), centred)
    trace = gram.diagonal(dim1=1, dim2=2).double().sum(1)
    rank = trace.square() / gram.double().square().sum((1, 2))
    return torch.where(trace == 0, 0.0, rank)
