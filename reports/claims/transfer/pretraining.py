"""Linear models after random labels: what the closed form says of their weights, and the task that they go on with."""

from __future__ import annotations

import msgspec
import numpy as np
import torch

import simulate
from simulate import Inputs
from theory.errors import InvalidInput
from theory.linear import full_batch
from theory.setting import Setting

# The number of outputs of the models that are pre-trained, each with labels of its own, and of the tasks downstream.
OUTPUTS = 8
WIDTH = OUTPUTS * 64  # the width of a frozen first layer: the weights of 64 pre-trained models
BUDGET = 20 / WIDTH  # the error budget for what the width adds to the gain of features, as a share of the loss


def pretrained(upstream: Setting, rows: np.ndarray) -> np.ndarray:
    """τ of the pre-trained weights along the eigenvectors of S, at every length of pre-training, (u, d)."""
    readings = full_batch.predict(upstream, rows).readings
    return np.array([np.repeat(reading.tau, reading.multiplicity) for reading in readings])


def teacher(task: Setting, rows: np.ndarray) -> np.ndarray:
    """w_* of each output, (d, C), of a task with a linear teacher: what its labels without noise say of it."""
    clean = msgspec.structs.replace(task, labels=msgspec.structs.replace(task.labels, noise=0.0))
    labels = simulate.replica_inputs(clean, [0]).y[0].numpy()
    return np.asarray(np.linalg.lstsq(rows, labels, rcond=None)[0])


def of_lengths(fresh: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Fresh weights (R, C, d), every vector scaled to the length of its pre-trained one: isotropic, of that trace."""
    return fresh * (weights.norm(dim=-1, keepdim=True) / fresh.norm(dim=-1, keepdim=True))


def task_losses(task: Setting, other: Inputs, starts: list[torch.Tensor], *, frozen: bool) -> np.ndarray:
    """½ mean (f − y)² at each downstream step, (S, R, r), from S initial weights (R, C, d) or from 0 on their features.

    With features R/64 networks have WIDTH of these weights each: f = w_2ᵀ W x/√m is a linear model in W x/√m. Starts
    share the rows and labels of a replica; they are trained as replicas, laid end to end.

    Raises
    ------
    InvalidInput
        If the features of the replicas do not fill whole networks.
    """
    count, replicas = len(starts), len(other.y)
    if frozen and replicas * OUTPUTS % WIDTH:
        raise InvalidInput("replicas", replicas, f"must be a multiple of {WIDTH // OUTPUTS} for frozen features")
    weights, rows = torch.cat(starts), other.x
    if frozen:
        layers = weights.reshape(-1, WIDTH, weights.shape[2])
        replicas = len(layers) // count
        rows, weights = other.x @ layers.transpose(1, 2) / WIDTH**0.5, weights.new_zeros(len(layers), OUTPUTS, WIDTH)
    labels = other.y[:replicas].repeat(count, 1, 1)
    trained = simulate.train(task, Inputs(rows, labels, (weights,), None))
    errors = [trained[step][0] @ rows.transpose(-2, -1) - labels.transpose(1, 2) for step in task.training.readings]
    # the loss is a sum over outputs: their mean is that of one model
    losses = torch.stack([torch.linalg.vecdot(e, e).mean(dim=1) / (2 * e.shape[2]) for e in errors], dim=1)
    return losses.reshape(count, replicas, len(errors)).numpy()
