"""Changes of τ of order 1/m, measured to a small fraction of themselves in networks of one hidden layer.

Between neurons m(v·w)² fluctuates by a thousand times the change that a theory of order 1/m is about. Three quantities
that are known in every replica, and whose means are known exactly at every width, are subtracted. With the matrices A
and H of the kernel limit, ρ_c the residuals of output c at the start in the eigenbasis of K, and, for neuron j,

    dw_j = m^{-1/2} Σ_c a_jc Xᵀ diag(φ'(X w_j)) A (y_c − f_c),       own_j its part through the neuron's own output,

they are, along a direction v,

    m (v·(dw_j − own_j))² + 2m (v·w_j)(v·(dw_j − own_j)),  of mean  C s_a² vᵀXᵀ[P ∘ A(s_y² I + (1 − 1/m)N)A]Xv,
    2m (v·w_j)(v·own_j),                                   of mean  C vᵀT_2v,
    Σ_c ρ_cᵀ Z_v ρ_c,                                      of mean  C vᵀ(T_3 + T_4)v,

Z_v the quadratic form with which vᵀ(T_3 + T_4)v depends on the residuals' second moment. The estimate is unbiased
whatever training does; the closer it stays to the kernel limit, the smaller its error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

import simulate
from theory.network.lazy import KernelLimit, LazyTerms, displacement, kernel_limit, motion, own_output, stretches, terms
from theory.network.model import Model, model_of
from theory.network.propagators import kernel_propagators
from theory.setting import Setting

NEURONS = 8192  # at once: some tens of MB for sixty rows


@dataclass(frozen=True, eq=False)
class Changes:
    """Estimates of m(τ − s_0²) along d directions, replica by replica, beside the theory of order 1/m.

    Attributes
    ----------
    steps : tuple of int, length r
    sigma : ndarray, shape (d,)
        The root mean square of the rows along each direction.
    values : ndarray, shape (R, r, d)
        Independent between replicas, unbiased; replicas that diverged are left out.
    predicted : tuple of Terms, length r
        For all outputs together, (d, d) each, in the basis of the directions.
    displacement : tuple of float, length r
        ε of `theory.network.lazy`.
    diverged : int
    """

    steps: tuple[int, ...]
    sigma: np.ndarray
    values: np.ndarray
    predicted: tuple[LazyTerms, ...]
    displacement: tuple[float, ...]
    diverged: int

    @property
    def replicas(self) -> int:
        """How many there were, diverged ones included."""
        return len(self.values) + self.diverged

    def measured(self, reading: int) -> tuple[np.ndarray, np.ndarray]:
        """The change along every direction, and its standard error, (d,) each."""
        return _mean(self.values[:, reading])

    def trace(self, reading: int) -> tuple[float, float]:
        """The sum over all directions, and its standard error."""
        mean, error = _mean(self.values[:, reading].sum(axis=1))
        return float(mean), float(error)


def _mean(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))


@dataclass(frozen=True, eq=False)
class Variates:
    """What is subtracted at one reading: A (n, n), the forms Z (d, n, n), and the exact mean of the whole, (d,)."""

    a: np.ndarray
    forms: np.ndarray
    mean: np.ndarray


def measure_changes(setting: Setting, first: int = 0, directions: np.ndarray | None = None) -> Changes:
    """Train the ensemble of a setting with fixed rows that `network-lazy` is derived for, at any width and any time.

    Its replicas are numbered from `first`: ensembles of several widths on the same rows are independent where their
    numbers differ. `directions` (d, d), orthonormal columns, are the eigenvectors of X'X/n if None.
    """
    rows = simulate.rows(setting)
    moment = rows.T @ rows / len(rows)
    if directions is None:
        directions = np.linalg.eigh(moment)[1]
    model, felt = model_of(setting, rows @ directions)
    limit = kernel_limit(felt, model.activation, model.s0, model.sa, both=setting.network.train == "all")
    start = limit.residual(model.sy)
    predicted, variates, epsilons = [], [], []
    for _, stretch in stretches(setting.training, limit.kappa, len(rows)):
        matrices = kernel_propagators(stretch, limit.basis, start)
        found = terms(limit, matrices).scaled(model.outputs)
        predicted.append(found)
        epsilons.append(displacement(limit, matrices, model))
        variates.append(_variates(limit, model, matrices.a, stretch.double_sum, start))
    per = max(1, NEURONS // model.width)
    total = setting.ensemble.replicas
    parts = [
        _estimates(setting, range(first + i, first + min(i + per, total)), limit, model, directions, variates)
        for i in range(0, total, per)
    ]
    values = np.concatenate(parts)
    finite = np.isfinite(values).all(axis=(1, 2))
    return Changes(
        steps=setting.training.readings,
        sigma=np.sqrt(np.maximum(np.sum(directions * (moment @ directions), axis=0), 0.0)),
        values=values[finite],
        predicted=tuple(predicted),
        displacement=tuple(epsilons),
        diverged=int(total - finite.sum()),
    )


def _variates(limit: KernelLimit, model: Model, a: np.ndarray, double_sum: np.ndarray, start: np.ndarray) -> Variates:
    """The variates of one reading, from A and H, and S̃ of which Z's mean is taken."""
    n = len(limit.rows)
    others = a @ (model.sy * np.eye(n) + (1 - 1 / model.width) * model.sa * limit.k) @ a
    forms = second_order_forms(limit, double_sum)
    mean = np.diagonal(motion(limit, others) + own_output(limit, a)) + np.tensordot(forms, start, axes=2)
    return Variates(a, forms, model.outputs * mean)


def second_order_forms(limit: KernelLimit, double_sum: np.ndarray) -> np.ndarray:
    """Z (d, n, n), for each coordinate v, from H (n, n): Σ S̃ ∘ Z_v = vᵀ(T_3 + T_4)v whatever S̃ is."""
    forms = []
    for column in limit.rows.T:
        here, there = column[:, None], column[None, :]
        pulls = limit.sa * (limit.rows @ limit.rows.T) * (limit.u * here + limit.v * there)
        if limit.both:
            pulls += limit.p * there + limit.q * here
        forms.append(double_sum * (limit.basis.T @ (2 * limit.s0 * here * pulls) @ limit.basis))
    return np.stack(forms)


def _estimates(
    setting: Setting,
    replicas: range,
    limit: KernelLimit,
    model: Model,
    directions: np.ndarray,
    variates: list[Variates],
) -> np.ndarray:
    """m(τ − s_0²) (R, r, d) of some replicas."""
    inputs = simulate.replica_inputs(setting, list(replicas))
    trained = simulate.train(setting, inputs)
    m, x = model.width, limit.rows
    w, y = inputs.parameters[0].numpy() @ directions, inputs.y.numpy().transpose(0, 2, 1)
    a = inputs.parameters[1].numpy() * (1.0 if setting.network.parametrization == "ntk" else np.sqrt(m))
    h, gates = _activate(model.activation, w @ x.T)
    residual = y - a @ h / np.sqrt(m)
    modes = residual @ limit.basis
    found = []
    for step, variate in zip(setting.training.readings, variates, strict=True):
        drive = a.transpose(0, 2, 1) @ (residual @ variate.a) / np.sqrt(m)
        moved = (drive * gates) @ x
        own = -((a**2).sum(axis=1)[:, :, None] / m * (h @ variate.a) * gates) @ x
        squares = (trained[step][0].numpy() @ directions) ** 2 - w**2
        first = m * (squares - (moved - own) ** 2 - 2 * w * moved).mean(axis=1)
        second = np.einsum("rca,vab,rcb->rv", modes, variate.forms, modes, optimize=True)
        found.append(first - second + variate.mean)
    return np.stack(found, axis=1)


def _activate(activation: str, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """φ(z) and φ'(z)."""
    if activation == "relu":
        return np.maximum(z, 0.0), (z > 0).astype(float)
    if activation == "erf":
        return special.erf(z), 2 / np.sqrt(np.pi) * np.exp(-(z**2))
    h = np.tanh(z)
    return h, 1 - h**2
