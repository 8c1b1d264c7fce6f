"""What the outputs and the loss of trained networks depend on: the readings for the neural feature ansatz.

As in `initial_overlaps`, the replicas are those of :func:`simulate.run`; a few matrices of each are kept at every
reading.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulate import kernels
from simulate.devices import one_thread, resolve
from simulate.inputs import Draws, Inputs
from simulate.networks import forward, losses, multipliers
from simulate.tiles import tile_size
from theory.setting import InvalidInput, Network, Setting


@dataclass(frozen=True, eq=False)
class FeatureReading:
    """First-layer weights and gradients of all replicas after `step` updates, over the rows on which each is trained.

    Attributes
    ----------
    step : int
    weights : ndarray, shape (R, m, d)
        W, as stored.
    agop : ndarray, shape (R, d, d)
        (1/n) Σ_i Σ_c ∇f_c(x_i) ∇f_c(x_i)ᵀ, over rows i and outputs c: the average gradient outer product.
    mean_gradient : ndarray, shape (R, C, d)
        (1/n) Σ_i ∇f_c(x_i), which is subtracted in the centred AGOP.
    sensitivity : ndarray, shape (R, m, m)
        K, the same as `agop` for gradients with respect to the units' pre-activations, W x, or W x/√d in the "ntk"
        parametrization: the AGOP is WᵀKW, divided by d for "ntk".
    loss_moment : ndarray, shape (R, d, d)
        (1/n) Σ_i ∇ℓ_i x_iᵀ, with ∇ℓ_i the gradient of row i's loss with respect to x_i.
    """

    step: int
    weights: np.ndarray
    agop: np.ndarray
    mean_gradient: np.ndarray
    sensitivity: np.ndarray
    loss_moment: np.ndarray

    @property
    def centred_agop(self) -> np.ndarray:
        """The AGOP of gradients minus their mean over rows, (R, d, d)."""
        return np.asarray(self.agop - np.swapaxes(self.mean_gradient, 1, 2) @ self.mean_gradient)


@dataclass(frozen=True, eq=False)
class Features:
    """The readings of a setting's replicas; those with numbers that are not finite are only counted.

    Attributes
    ----------
    setting : Setting
    data_moment : ndarray, shape (d, d)
        The matrix whose eigenvectors are the v_i, as in :class:`simulate.Simulation`.
    readings : tuple of FeatureReading, one per step of the setting
    replicas, diverged : int
        How many were trained, and how many of them are in no reading.
    """

    setting: Setting
    data_moment: np.ndarray
    readings: tuple[FeatureReading, ...]
    replicas: int
    diverged: int


@one_thread()
def features(setting: Setting, *, replicas: int | None = None, device: str = "cpu") -> Features:
    """Train the replicas of a setting, and read weights and gradients.

    Parameters
    ----------
    setting : Setting
        A network of dense layers, on rows that are not online.
    replicas : int or None
        Replaces ``setting.ensemble.replicas``; the first replicas are the same.
    device : str
        "cpu", "cuda", "cuda:N" or "auto".

    Raises
    ------
    InvalidInput
        If the network has filters or the data are online, and if data cannot be read or do not fit.

    Examples
    --------
    The gradient of a linear model is its weight vector:

    >>> from theory.setting import Data, Training
    >>> data = Data(kind="gaussian", spectrum=(1.0, 2.0), samples=8)
    >>> found = features(Setting(data=data, training=Training(steps=5)), replicas=10).readings[0]
    >>> bool(np.allclose(found.agop, np.swapaxes(found.weights, 1, 2) @ found.weights))
    True
    """
    total = setting.ensemble.replicas if replicas is None else replicas
    if total < 1:
        raise InvalidInput("replicas", total, "must be at least 1")
    if setting.network.convolves:
        raise InvalidInput("network.kind", setting.network.kind, "must be 'linear' or 'mlp' for gradients by rows")
    if setting.data.samples == "online":
        raise InvalidInput("data.samples", "online", "must be a number: gradients are averaged over the rows")
    kernel, draws, place = kernels.choose_kernel(setting), Draws(setting), resolve(device)
    tile, dtype = min(total, tile_size(setting, draws, place, kernel)), getattr(torch, setting.ensemble.dtype)
    parts: dict[int, list[tuple[np.ndarray, ...]]] = {step: [] for step in setting.training.readings}
    for first in range(0, total, tile):
        slots = [r if r < total else None for r in range(first, first + tile)]
        inputs = draws.take(slots).to(place, dtype)
        here = min(tile, total - first)
        for step, parameters in kernel.train(setting, inputs).items():
            read = _matrices(setting, parameters, inputs)
            parts[step].append(tuple(each[:here].double().cpu().numpy() for each in read))
    whole = {step: [np.concatenate(each) for each in zip(*tiles, strict=True)] for step, tiles in parts.items()}
    kept = np.ones(total, dtype=bool)
    for arrays in whole.values():
        for array in arrays:
            kept &= np.isfinite(array).reshape(total, -1).all(axis=1)
    readings = tuple(FeatureReading(step, *(each[kept] for each in arrays)) for step, arrays in whole.items())
    return Features(setting, draws.data_moment, readings, total, int(np.count_nonzero(~kept)))


def _matrices(setting: Setting, parameters: tuple[Tensor, ...], inputs: Inputs) -> tuple[Tensor, ...]:
    """W, the AGOP, the mean gradient, the sensitivity and the moment of the loss, of every replica."""
    network, weights = setting.network, parameters[0].detach()
    x = (inputs.x.expand(len(weights), -1, -1) if inputs.shared else inputs.x).detach()
    of_rows = x.clone().requires_grad_(True)
    gradients = _by_outputs(forward(network, parameters, of_rows), of_rows)
    before, behind = _behind(network, parameters, x)
    by_units = _by_outputs(forward(network, behind, before), before)
    (of_loss,) = torch.autograd.grad(losses(forward(network, parameters, of_rows), inputs.y).sum(), of_rows)
    return (
        weights,
        _moment(gradients),
        gradients.mean(2),
        _moment(by_units),
        of_loss.transpose(1, 2) @ x,  # the loss is a mean over rows already
    )


def _moment(gradients: Tensor) -> Tensor:
    """(R, C, n, ·) summed over outputs, averaged over rows, and symmetric to the last digit."""
    found = torch.einsum("rcni,rcnj->rij", gradients, gradients) / gradients.shape[2]
    return (found + found.transpose(1, 2)) / 2


def _by_outputs(outputs: Tensor, inputs: Tensor) -> Tensor:
    """The gradient of every output with respect to every row, (R, C, n, ·)."""
    each = range(outputs.shape[2])
    return torch.stack(
        [torch.autograd.grad(outputs[..., c].sum(), inputs, retain_graph=c < each[-1])[0] for c in each], dim=1
    )


def _behind(network: Network, parameters: tuple[Tensor, ...], x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The first layer's pre-activations W x, (R, n, m), and parameters of a network with these as rows."""
    weights = parameters[0]
    (scale,) = multipliers(network, (tuple(weights.shape[1:]),))
    before = torch.bmm(x, weights.transpose(1, 2)) * scale
    units = weights.shape[1]
    identity = torch.eye(units, dtype=weights.dtype, device=weights.device).expand(len(weights), -1, -1)
    if network.parametrization == "ntk":
        identity = identity * units**0.5
    return before.detach().requires_grad_(True), (identity, *parameters[1:])
