"""The modes of one actual network's tangent kernel, by its Jacobian: what a measurement keeps of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulate.networks import forward
from theory.setting import Network, Training
from theory.transfer import LinearisedNetwork, linearised_loss


@dataclass(frozen=True, eq=False)
class TangentModes:
    """Eigenvalues of K/n, K the kernel between all outputs on n rows, and the residual's energy along each mode.

    Attributes
    ----------
    curvature : ndarray, shape (..., nC)
    energy : ndarray, shape (..., nC)
        (uᵀ(y − f_0))² over n.
    """

    curvature: np.ndarray
    energy: np.ndarray

    def losses(self, training: Training) -> np.ndarray:
        """½ Σ_a p_t(κ_a/n)² e_a by `theory.transfer`, at the r steps of the training, (..., r)."""
        *shape, count = self.curvature.shape
        pairs = zip(self.curvature.reshape(-1, count), self.energy.reshape(-1, count), strict=True)
        # a network of one output on nC rows, whose loss is a mean over them
        found = [
            count * linearised_loss(LinearisedNetwork(count * np.diag(curvature)), np.sqrt(energy), training)
            for curvature, energy in pairs
        ]
        return np.array(found).reshape(*shape, len(training.readings))


def modes_of(network: Network, parameters: tuple[Tensor, ...], rows: Tensor, targets: np.ndarray) -> TangentModes:
    """Of a network on rows (n, …), towards targets (n, C)."""

    def outputs(*one: Tensor) -> Tensor:
        return forward(network, tuple(w.unsqueeze(0) for w in one), rows.unsqueeze(0))[0].flatten()

    jacobian = torch.func.jacrev(outputs, argnums=tuple(range(len(parameters))))(*parameters)
    flat = torch.cat([part.flatten(1) for part in jacobian], dim=1)
    values, basis = np.linalg.eigh((flat @ flat.T).numpy() / len(rows))
    residual = targets.reshape(-1) - outputs(*parameters).numpy()
    return TangentModes(np.maximum(values, 0.0), np.square(basis.T @ residual) / len(rows))


def stacked(modes: Sequence[TangentModes]) -> TangentModes:
    """Of several networks, along a first axis."""
    return TangentModes(*(np.stack([getattr(each, name) for each in modes]) for name in ("curvature", "energy")))
