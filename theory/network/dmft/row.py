"""One row at one update: its outputs, its residual, the force on the neurons, and the response of the force.

f_c = c_2 Σ_j a_jc φ(h_j),      force_j = c_2 φ'(h_j) Σ_c a_jc ∂ℓ/∂f_c .
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import erf

KINK = 0.15  # the width of the bump that stands for the second derivative of relu, in standard deviations of h


@dataclass(frozen=True, eq=False)
class Activated:
    """φ, φ' and φ'' at the pre-activations, (N, m) each."""

    value: np.ndarray
    slope: np.ndarray
    bend: np.ndarray


def activated(name: str, h: np.ndarray) -> Activated:
    """φ(h) and its derivatives. ReLU's φ'' = δ is smoothed to a width of .15 std(h); it enters responses only.

    There it is a first guess, which Stein's identity corrects: `theory.network.dmft.closure`.
    """
    if name == "erf":
        slope = 2 / math.sqrt(math.pi) * np.exp(-(h**2))
        return Activated(erf(h), slope, -2 * h * slope)
    if name == "tanh":
        value = np.tanh(h)
        slope = 1 - value**2
        return Activated(value, slope, -2 * value * slope)
    if name == "relu":
        width = KINK * math.sqrt(float(np.mean(h**2))) or 1.0
        bump = np.exp(-((h / width) ** 2) / 2) / (width * math.sqrt(2 * math.pi))
        return Activated(np.maximum(h, 0), (h > 0).astype(float), bump)
    return Activated(h, np.ones_like(h), np.zeros_like(h))


@dataclass(frozen=True, eq=False)
class Residual:
    """∂ℓ/∂f and ∂²ℓ/∂f² = diag(weight) − pull pullᵀ, of every row; (N, C) each."""

    value: np.ndarray
    weight: np.ndarray
    pull: np.ndarray


def residual(loss: str, outputs: np.ndarray, targets: np.ndarray) -> Residual:
    """The residual of ½|f − y|², or of the cross-entropy −log softmax(f)_y, with y one-hot.

    >>> found = residual("cross-entropy", np.zeros((1, 2)), np.array([[1.0, 0.0]]))
    >>> found.value.tolist(), (np.diag(found.weight[0]) - np.outer(found.pull[0], found.pull[0])).tolist()
    ([[-0.5, 0.5]], [[0.25, -0.25], [-0.25, 0.25]])
    """
    if loss == "mse":
        return Residual(outputs - targets, np.ones_like(outputs), np.zeros_like(outputs))
    chances = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    return Residual(chances - targets, chances, chances)


@dataclass(frozen=True, eq=False)
class Rows:
    """N rows at one update.

    Attributes
    ----------
    hidden : Activated
    residual : Residual
    features : ndarray, shape (N, m), or (N, m + 1)
        What output weights multiply, over c_2: φ(h), and if outputs have biases 1/c_2 last.
    weights : ndarray, shape (m, C), or (N, m, C)
        The output weights for the rows, common ones or each row's own, without biases.
    back : ndarray, shape (N, m)
        c_2 Σ_c a_jc ∂ℓ/∂f_c.
    scale : float
        c_2.
    """

    hidden: Activated
    residual: Residual
    features: np.ndarray
    weights: np.ndarray
    back: np.ndarray
    scale: float

    @property
    def force(self) -> np.ndarray:
        """φ'(h_j) back_j, (N, m)."""
        return self.hidden.slope * self.back


def passed(activation: str, loss: str, h: np.ndarray, targets: np.ndarray, weights: np.ndarray, scale: float) -> Rows:
    """Rows with pre-activations h (N, m), after a forward and a backward pass.

    Output weights have one row per neuron, and one more if outputs have biases.
    """
    hidden, width = activated(activation, h), h.shape[1]
    features, neurons = hidden.value, weights[..., :width, :]
    if weights.shape[-2] > width:
        features = np.concatenate([features, np.full((len(h), 1), 1 / scale)], axis=1)
    if weights.ndim == 2:
        found = residual(loss, scale * features @ weights, targets)
        return Rows(hidden, found, features, neurons, scale * found.value @ neurons.T, scale)
    found = residual(loss, scale * np.einsum("nj,njc->nc", features, weights), targets)
    return Rows(hidden, found, features, neurons, scale * np.einsum("njc,nc->nj", neurons, found.value), scale)


def mean_jacobian(rows: Rows, share: np.ndarray) -> np.ndarray:
    """E[share ∂force/∂h], (m, m): diag(E φ'' back) + c_2² E[φ'_j φ'_k Σ_cc' a_jc ℓ''_cc' a_kc']; `share` (N,)."""
    width, found = rows.back.shape[1], rows.residual
    felt = rows.hidden.slope[:, :, None] * rows.weights  # (N, m, C)
    weighted = felt * (np.sqrt(share[:, None] * found.weight))[:, None, :]
    columns = weighted.transpose(1, 0, 2).reshape(width, -1)
    pulled = np.sqrt(share)[:, None] * np.einsum("njc,nc->nj", felt, found.pull)
    curved = rows.scale**2 * (columns @ columns.T - pulled.T @ pulled)
    curved[np.diag_indices(width)] += share @ (rows.hidden.bend * rows.back)
    return np.asarray(curved / len(share))
