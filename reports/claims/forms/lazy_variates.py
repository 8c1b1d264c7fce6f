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
two are taken from first-layer weights that are drawn besides, `UNTRAINED` neurons for each that is trained. Output
weights and labels are drawn independently of these, with variances s_a² and s_y² that the setting gives. With means ⟨·⟩
over neurons the means are

    C s_a² ⟨vᵀXᵀ diag(φ') A S' A diag(φ') Xv⟩ − 2C s_a² ⟨(v·w_j) vᵀXᵀ diag(φ') A φ(X w_j)⟩ + C Σ S ∘ Z_v,

S' = s_y² I + (1 − 1/m) N of the labels and the other neurons, S = s_y² I + N, N = s_a² ⟨φφᵀ⟩. Nothing is known of φ but
its values at the weights that are drawn: no closed form enters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import torch

import simulate
from theory.errors import InvalidInput
from theory.setting import Setting

NARROW = 128  # the number of neurons of a network that is not trained; only its first layer is read
PILOT, SMALLEST_PILOT, LARGEST_PILOT = 16, 8192, 16384  # neurons of the pilot, by the width
UNTRAINED = 1  # the number of neurons drawn for the mean of the variates, per neuron that is trained
BLOCKS, AT_ONCE = 128, 32768  # in how many blocks, whose means are independent; and neurons drawn at once at most
SET_APART = 2**31  # the distance between the numbers of replicas that are trained and of others


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
    u = torch.from_numpy(z)
    if activation == "erf":
        return torch.erf(u).numpy(), (u.square().neg_().exp_() * (2 / np.pi**0.5)).numpy()
    h = torch.tanh(u)
    return h.numpy(), (1 - h.square()).numpy()


def pilot_variates(setting: Setting, first: int, directions: np.ndarray) -> list[Variates]:
    """A and Z at every reading, from a pilot of replicas that are numbered from `first` on.

    Of two rows i and k the forms hold E[(v·w) φ''(u_i) φ'(u_k)], u = Xw. φ'' is a point mass for ReLU: by parts it is
    F_ik of |x_i|² F_ik + (x_i·x_k) F_ki = E[φ'(u_i) φ'(u_k) ((v·w) u_i/s_0² − v·x_i)] and of the same with i and k
    exchanged.
    """
    (width,) = setting.network.widths
    count = int(np.clip(PILOT * width, SMALLEST_PILOT, LARGEST_PILOT))
    x, w = felt_rows(setting, directions), _first_layers(setting, first, count, directions)
    sa, s0, both = output_variance(setting), float(np.mean(w**2)), setting.network.train == "all"
    u = w @ _single(x).T
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

    Raises
    ------
    InvalidInput
        If the variance of labels is not set: they must be Gaussian or Rademacher.
    """
    labels, (width,) = setting.labels, setting.network.widths
    if labels.kind not in ("gaussian", "rademacher"):
        raise InvalidInput("labels.kind", labels.kind, "must be gaussian or rademacher: their variance is read")
    total = UNTRAINED * setting.ensemble.replicas * width
    blocks = max(blocks, -(-total // (2 * AT_ONCE)))
    half = -(-total // (2 * blocks * NARROW)) * NARROW
    x, moments, per = felt_rows(setting, directions), [], max(1, AT_ONCE // half)
    for begin in range(0, 2 * blocks, per):
        many = min(per, 2 * blocks - begin)
        drawn = _first_layers(setting, first + begin * half // NARROW, many * half, directions)
        moments += [_moments(setting, variates, x, w) for w in drawn.reshape(many, half, -1)]
    return np.stack(
        [_block_mean(variates, x, setting, halves) for halves in zip(moments[::2], moments[1::2], strict=True)]
    )


@dataclass(frozen=True, eq=False)
class _Moments:
    """Means over drawn neurons; in single precision, far finer than their errors.

    Attributes
    ----------
    gates, outputs : ndarray, shape (n, n)
        The mean of Σ_c s_a² φ'φ'ᵀ, and N.
    own : ndarray, shape (r, d)
        The mean of 2m (v·w_j)(v·own_j).
    """

    gates: np.ndarray
    outputs: np.ndarray
    own: np.ndarray


def _moments(setting: Setting, variates: Sequence[Variates], x: np.ndarray, w: np.ndarray) -> _Moments:
    sa, count, rows = output_variance(setting), setting.labels.outputs, _single(x)
    h, gates = activate(setting.network.activation, w @ rows.T)
    pulls = ((h @ _single(each.a) * gates) @ rows for each in variates)
    return _Moments(
        gates=count * sa * (gates.T @ gates) / len(w),
        outputs=sa * (h.T @ h) / len(w),
        own=np.stack([-2 * count * sa * np.mean(w * pull, axis=0) for pull in pulls]),
    )


def _single(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)


def _block_mean(
    variates: Sequence[Variates], x: np.ndarray, setting: Setting, halves: tuple[_Moments, _Moments]
) -> np.ndarray:
    """The mean (r, d) from two halves of a block: a product is one of moments of different halves, and so unbiased."""
    (width,), count = setting.network.widths, setting.labels.outputs
    labels = setting.labels.variance * np.identity(len(x))
    found = np.zeros((len(variates), x.shape[1]))
    for mine, other in (halves, halves[::-1]):
        around, start = labels + (1 - 1 / width) * other.outputs, labels + mine.outputs
        for reading, each in enumerate(variates):
            squares = np.sum(x * ((mine.gates * (each.a @ around @ each.a)) @ x), axis=0)
            second = count * np.tensordot(each.forms, start, axes=2)
            found[reading] += (squares + mine.own[reading] + second) / 2
    return found


def output_variance(setting: Setting) -> float:
    """s_a², the variance with which output weights times √m are drawn."""
    return setting.network.layer_variances[1]


def _first_layers(setting: Setting, first: int, count: int, directions: np.ndarray) -> np.ndarray:
    """Along the directions, those of at least `count` neurons in networks of `NARROW`, (N, d), in single precision."""
    narrow = msgspec.structs.replace(setting, network=msgspec.structs.replace(setting.network, hidden=(NARROW,)))
    inputs = simulate.replica_inputs(narrow, range(first, first + -(-count // NARROW)))
    return _single(inputs.parameters[0].flatten(0, 1).numpy() @ directions)
