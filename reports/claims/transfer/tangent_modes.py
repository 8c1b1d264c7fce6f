"""The modes of one actual network's tangent kernel: what a measurement keeps of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulate.networks import forward
from theory.setting import Network, Training
from theory.transfer import LinearisedNetwork, linearised_transfer


@dataclass(frozen=True, eq=False)
class TangentModes:
    """Eigenvalues of K/n, K the kernel between all outputs on n rows, and the residual's energy along each mode.

    Attributes
    ----------
    curvature : ndarray, shape (nC,), or (k, nC) for several networks
    energy : ndarray, of the same shape
        (uᵀ(y − f_0))² over n.
    """

    curvature: np.ndarray
    energy: np.ndarray

    def __iter__(self) -> Iterator[TangentModes]:
        """One network after the other."""
        for curvature, energy in zip(self.curvature, self.energy, strict=True):
            yield TangentModes(curvature, energy)


def predicted_gain(kept: TangentModes, init: TangentModes, training: Training) -> np.ndarray:
    """What `theory.transfer` predicts of one network's gain over its init, at the steps of a training that begin at 0.

    ½ n⁻¹ (‖p_t(K⁰/n)(y − f_0⁰)‖² − ‖p_t(K/n)(y − f_0)‖²), as a share of the larger of both at the start, (r,).
    """
    count = kept.curvature.size
    # along modes both are networks of one output on as many rows, with as many times the kernel for the same K/n
    network, reference = (
        LinearisedNetwork(count * np.diag(each.curvature), outputs=-np.sqrt(each.energy)) for each in (kept, init)
    )
    found = linearised_transfer(network, reference, np.zeros(count), training)
    return np.asarray(found.gain / max(found.loss[0], found.reference_loss[0]))


def modes_of(network: Network, parameters: tuple[Tensor, ...], rows: Tensor, targets: np.ndarray) -> TangentModes:
    """The modes of a network on rows (n, …), towards targets (n, C), by the network's own Jacobian."""
    outputs = targets.shape[1]
    # A copy of the network for every output of every row, so that their gradients do not add up. torch.func takes no
    # copies, and is slower: it imports torch's compiler, two seconds in every process.
    copies = tuple(w.expand(targets.size, *w.shape).clone().requires_grad_() for w in parameters)
    every = forward(network, copies, rows.repeat_interleave(outputs, 0).unsqueeze(1))[:, 0]
    own = every.gather(1, torch.arange(targets.size).remainder(outputs)[:, None])[:, 0]
    jacobian = torch.cat([part.flatten(1) for part in torch.autograd.grad(own.sum(), copies)], dim=1)
    return modes_along((jacobian @ jacobian.T).numpy(), targets.reshape(-1) - own.detach().numpy(), len(rows))


def modes_along(kernel: np.ndarray, residual: np.ndarray, rows: int) -> TangentModes:
    """The modes of a kernel (nC, nC) between all outputs on n rows, and the residual (nC,)."""
    values, basis = np.linalg.eigh(kernel / rows)
    return TangentModes(np.maximum(values, 0.0), np.square(basis.T @ residual) / rows)


def stacked(modes: Sequence[TangentModes]) -> TangentModes:
    """The modes of several networks, along a first axis."""
    return TangentModes(*(np.stack([getattr(each, name) for each in modes]) for name in ("curvature", "energy")))
