"""Control variates for changes of order 1/m, all of them from networks that are never trained.

Along a direction v, with the rows X as the weights feel them, the residuals r_c = y_c − f_c of output c at the start
and, for neuron j,

    dw_j = m^{-1/2} Σ_c a_jc Xᵀ diag(φ'(X w_j)) A r_c,       own_j its part through the neuron's own output,

three quantities are subtracted from m[(v·w_t)² − (v·w_0)²], averaged over neurons:

    2m (v·w_j)(v·(dw_j − own_j)),      whose mean is 0, as the signs of output weights are even,
    m (v·(dw_j − own_j))² + 2m (v·w_j)(v·own_j),
    Σ_c r_cᵀ Z_v r_c.

Any matrices A and Z_v will do: what they are decides how much noise is taken away, and nothing of the mean. They follow
from a pilot, the kernel of many drawn neurons, by summing the path of the residuals step by step. The means of the last
two are taken from neurons and labels that are drawn besides, `UNTRAINED` for each that is trained. Per neuron that
costs a fraction of training, since labels and neurons are independent: with means ⟨·⟩ over neurons,

    ⟨Σ_c a_jc² vᵀXᵀ diag(φ') A S' A diag(φ') Xv⟩ − 2⟨Σ_c a_jc² (v·w_j) vᵀXᵀ diag(φ') A φ(X w_j)⟩ + C Σ S ∘ Z_v,

S' = ⟨y²⟩ I + (1 − 1/m) N of the labels and the other neurons, S = ⟨y²⟩ I + N, N = ⟨a_jc² φφᵀ⟩. No closed form enters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from scipy import special

import simulate
from theory.setting import Setting

NARROW = 32  # neurons of a network that is not trained: the more networks, the more labels
PILOT, SMALLEST_PILOT, LARGEST_PILOT = 16, 8192, 32768  # neurons of the pilot, by the width
UNTRAINED = 5  # neurons drawn for the mean, for each that is trained
BLOCKS, LARGEST_HALF = 128, 32768  # in how many blocks, whose means are independent; and half of one at most
SET_APART = 2**31  # between the numbers of replicas that are trained and of others


@dataclass(frozen=True, eq=False)
class Variates:
    """What is subtracted at one reading: A (n, n), and the forms Z (d, n, n)."""

    a: np.ndarray
    forms: np.ndarray


@dataclass(frozen=True, eq=False)
class Neurons:
    """Neurons as they are drawn, and the labels of their networks.

    Attributes
    ----------
    w : ndarray, shape (R, m, d)
        First-layer weights along the directions.
    a : ndarray, shape (R, C, m)
        Output weights times √m, of a variance that does not depend on the width.
    y : ndarray, shape (R, C, n)
    """

    w: np.ndarray
    a: np.ndarray
    y: np.ndarray

    @property
    def energies(self) -> np.ndarray:
        """Σ_c a_jc² of every neuron, (R, m)."""
        return np.asarray((self.a**2).sum(axis=1))


def neurons_of(setting: Setting, inputs: simulate.Inputs, directions: np.ndarray) -> Neurons:
    """The neurons of some replicas, before they are trained."""
    (width,) = setting.network.widths
    w, a = (each.numpy() for each in inputs.parameters)
    return Neurons(
        w=w @ directions,
        a=a * (1.0 if setting.network.parametrization == "ntk" else width**0.5),
        y=inputs.y.numpy().transpose(0, 2, 1),
    )


def felt_rows(setting: Setting, directions: np.ndarray) -> np.ndarray:
    """X (n, d) as the weights feel it, in the coordinates of the directions."""
    rows = simulate.rows(setting) @ directions
    return np.asarray(rows / rows.shape[1] ** 0.5 if setting.network.parametrization == "ntk" else rows)


def activate(activation: str, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """φ(z) and φ'(z)."""
    if activation == "relu":
        return np.maximum(z, 0), (z > 0).astype(z.dtype)
    if activation == "erf":
        return special.erf(z), 2 / np.sqrt(np.pi) * np.exp(-(z**2))
    h = np.tanh(z)
    return h, 1 - h**2


def pilot_variates(setting: Setting, first: int, directions: np.ndarray) -> list[Variates]:
    """A and Z at every reading, from a pilot of replicas that are numbered from `first` on.

    Of two rows i and k the forms hold E[(v·w) φ''(u_i) φ'(u_k)], u = Xw. φ'' is a point mass for ReLU: by parts it is
    F_ik of |x_i|² F_ik + (x_i·x_k) F_ki = E[φ'(u_i) φ'(u_k) ((v·w) u_i/s_0² − v·x_i)] and of the same with i and k
    exchanged.
    """
    (width,) = setting.network.widths
    count = int(np.clip(PILOT * width, SMALLEST_PILOT, LARGEST_PILOT))
    drawn = _untrained(setting, first, count, directions)
    x, w = felt_rows(setting, directions), drawn.w.reshape(-1, drawn.w.shape[2])
    sa, s0, both = float(np.mean(drawn.a**2)), float(np.mean(w**2)), setting.network.train == "all"
    u = w @ x.T
    h, gates = activate(setting.network.activation, u)
    lengths, products = np.sum(x**2, axis=1), x @ x.T
    p = gates.T @ gates / len(w)
    kernel = sa * products * p + (h.T @ h / len(w) if both else 0.0)
    area = np.outer(lengths, lengths) - products**2
    apart = area > 1e-9 * np.outer(lengths, lengths)
    pulls = []
    for here, along in zip(x.T, w.T, strict=True):
        by_parts = (gates * u * (along / s0)[:, None]).T @ gates / len(w) - here[:, None] * p
        solved = (lengths * by_parts - products * by_parts.T) / np.where(apart, area, 1.0)
        pull = sa * products * np.where(apart, solved, by_parts / (2 * lengths[:, None]))
        if both:
            pull += (gates * along[:, None]).T @ h / len(w)
        pulls.append(2 * here[:, None] * pull)
    kappa, basis = np.linalg.eigh(kernel)
    turned = basis.T @ np.stack(pulls) @ basis
    return [
        Variates((basis * once) @ basis.T, basis @ (twice * turned) @ basis.T) for once, twice in _paths(setting, kappa)
    ]


def _paths(setting: Setting, kappa: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Σ_s (η/n) ϱ_a^s (n,), and Σ_s (η/n) ϱ_a^s Σ_{s'<s} (η/n) ϱ_b^s' (n, n), at every reading; ϱ = 1 − ηκ/n."""
    rate = setting.training.learning_rate / len(kappa)
    left, once, twice = np.ones(len(kappa)), np.zeros(len(kappa)), np.zeros((len(kappa), len(kappa)))
    found, readings = [], setting.training.readings
    for step in range(readings[-1] + 1):
        if step in readings:
            found.append((once, twice))
        twice = twice + rate * left[:, None] * once
        once = once + rate * left
        left = left * (1 - rate * kappa)
    return found


def mean_of_variates(
    setting: Setting, variates: Sequence[Variates], first: int, directions: np.ndarray, blocks: int = BLOCKS
) -> np.ndarray:
    """The mean of what is subtracted, in at least so many blocks of independent draws, (B, r, d).

    Networks are numbered from `first`.
    """
    (width,) = setting.network.widths
    total = UNTRAINED * setting.ensemble.replicas * width
    blocks = max(blocks, -(-total // (2 * LARGEST_HALF)))
    count = -(-total // (2 * blocks))
    x, found = felt_rows(setting, directions), []
    for block in range(blocks):
        numbers = (first + (2 * block + half) * count for half in range(2))
        halves = [_moments(setting, variates, x, _untrained(setting, at, count, directions)) for at in numbers]
        found.append(_block_mean(variates, x, width, halves))
    return np.stack(found)


@dataclass(frozen=True, eq=False)
class _Moments:
    """Means over drawn neurons and labels; in single precision, far finer than their errors.

    Attributes
    ----------
    gates : ndarray, shape (n, n)
        Of Σ_c a_jc² φ'φ'ᵀ.
    outputs : ndarray, shape (n, n)
        N, of a_jc² φφᵀ.
    labels : float
        Of y².
    own : ndarray, shape (r, d)
        Of 2m (v·w_j)(v·own_j).
    count : int
        C.
    """

    gates: np.ndarray
    outputs: np.ndarray
    labels: float
    own: np.ndarray
    count: int


def _moments(setting: Setting, variates: Sequence[Variates], x: np.ndarray, drawn: Neurons) -> _Moments:
    w, count = _single(drawn.w.reshape(-1, drawn.w.shape[2])), drawn.a.shape[1]
    energies, rows = _single(drawn.energies.reshape(-1, 1)), _single(x)
    h, gates = activate(setting.network.activation, w @ rows.T)
    roots, weighted = np.sqrt(energies), energies * w
    pulls = ((h @ _single(each.a) * gates) @ rows for each in variates)
    return _Moments(
        gates=(roots * gates).T @ (roots * gates) / len(w),
        outputs=(roots * h).T @ (roots * h) / (len(w) * count),
        labels=float(np.mean(drawn.y**2)),
        own=np.stack([-2 * np.mean(weighted * pull, axis=0) for pull in pulls]),
        count=count,
    )


def _single(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)


def _block_mean(variates: Sequence[Variates], x: np.ndarray, width: int, halves: Sequence[_Moments]) -> np.ndarray:
    """The mean (r, d) from two halves of a block: a product is one of moments of different halves, and so unbiased."""
    identity = np.eye(len(x))
    found = np.zeros((len(variates), x.shape[1]))
    for mine, other in (halves, halves[::-1]):
        around = other.labels * identity + (1 - 1 / width) * other.outputs
        start = mine.labels * identity + mine.outputs
        for reading, each in enumerate(variates):
            squares = np.sum(x * ((mine.gates * (each.a @ around @ each.a)) @ x), axis=0)
            second = mine.count * np.tensordot(each.forms, start, axes=2)
            found[reading] += (squares + mine.own[reading] + second) / 2
    return found


def _untrained(setting: Setting, first: int, count: int, directions: np.ndarray) -> Neurons:
    """At least `count` neurons, in networks of `NARROW`."""
    narrow = msgspec.structs.replace(setting, network=msgspec.structs.replace(setting.network, hidden=(NARROW,)))
    replicas = range(first, first + -(-count // NARROW))
    return neurons_of(narrow, simulate.replica_inputs(narrow, replicas), directions)
