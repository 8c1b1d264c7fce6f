"""Layers drawn from the covariance of trained ones, in the basis of what the drawn layers below hand on.

Units of a layer have no order of their own: two trainings learn the same kernel in bases that differ by an orthogonal
matrix (F. Guth, B. Ménard, G. Rochette, S. Mallat, "A rainbow in deep network black boxes", JMLR 25 (2024)). A
covariance of weights that act on these units means nothing to another network before it is rotated into its basis. With
H (n, m) what the layers drawn so far hand on for n rows, and H_k (n, m) what the trained layers of another replica k do
on the same rows,

    A_k = argmin over orthogonal A of ‖H A − H_k‖_F = U Vᵀ,   where Hᵀ H_k = U S Vᵀ

(Procrustes), and the rows w of the layer W_k (m', m) of that replica, which is given H_k, are A_k w in the basis of H:

    μ = mean over k and rows of A_k w,   Σ = mean over k and rows of A_k w wᵀ A_kᵀ − μ μᵀ,   drawn rows ~ N(μ, Σ).

Activations have a mean, so weights that act on them may have one (claim A5), and without it a ReLU layer that is drawn
is on and off in the wrong places: first layers are drawn from N(0, Σ_w), these are not. Factors of H and H_k, such as
those of rescaled ReLU layers, leave A_k as it is. With A_k = 1 units are taken for the same in all networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from simulate.networks import layer_outputs
from theory.setting import Network

# The number of other replicas over which the covariance is averaged: each costs a decomposition of (m, m)
# per replica and layer.
REFERENCES = 8


@dataclass(frozen=True, eq=False)
class References:
    """Trained networks of K other replicas, on the rows of one replica.

    Attributes
    ----------
    weights : tuple of ndarray, shapes (K, out, in)
        The weights of hidden layers from the second on.
    given : tuple of ndarray, shapes (K, n, in)
        What each of these layers is given.
    """

    weights: tuple[np.ndarray, ...]
    given: tuple[np.ndarray, ...]

    def moments(self, place: int, mine: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """μ (in,) and Σ (in, in) of the layer number `place` of these, in the basis of `mine` (n, in).

        `mine` is what the layer is given; None stands for the references' own bases, A_k = 1.
        """
        w = self.weights[place]
        if mine is not None:
            w = w @ np.swapaxes(rotations(mine, self.given[place]), 1, 2)
        flat = w.reshape(-1, w.shape[2])
        mean = flat.mean(axis=0)
        return mean, np.asarray(flat.T @ flat / len(flat) - np.outer(mean, mean))


def rotations(mine: np.ndarray, others: np.ndarray) -> np.ndarray:
    """A_k (K, m, m), orthogonal, with ‖H A_k − H_k‖_F as small as can be, for H (n, m) and H_k (K, n, m).

    Examples
    --------
    >>> turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    >>> h = np.array([[1.0, 2.0], [0.0, 1.0], [3.0, 1.0]])
    >>> bool(np.allclose(rotations(h, np.stack([2 * h @ turn])), turn))
    True
    """
    u, _, v = np.linalg.svd(mine.T @ others)
    return np.asarray(u @ v)


def references(network: Network, parameters: Sequence[np.ndarray], rows: np.ndarray) -> References:
    """What other replicas, with parameters (K, …), say of a replica's rows (n, d)."""
    step, hidden = 1 + network.bias, network.layers - 1
    batch = tuple(torch.from_numpy(w) for w in parameters)
    outputs = layer_outputs(network, batch, torch.tensor(rows).expand(len(parameters[0]), *rows.shape))
    given = tuple(h.numpy() for h in islice(outputs, hidden - 1))
    return References(tuple(parameters[layer * step] for layer in range(1, hidden)), given)


def chosen(replica: int, finite: np.ndarray) -> np.ndarray:
    """The numbers of the replicas that a replica refers to: the finite ones that follow it, around a circle.

    >>> chosen(1, np.array([True, True, False, True])).tolist()
    [3, 0]
    """
    there = np.flatnonzero(finite)
    return np.concatenate([there[there > replica], there[there < replica]])[:REFERENCES]
