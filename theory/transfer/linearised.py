"""Downstream training in the kernel regime: the loss from a kernel and f_0, and which of two networks learns better.

Full-batch training on targets y moves the outputs by f_t − y = p_t(K/n)(f_0 − y), with K the tangent kernel at the
start (arXiv:1806.07572) and p_t the propagator of the optimizer, (1 − ηκ/n)^t for plain descent. K and f_0 may be those
of infinitely wide networks, or of one actual network before or after pre-training (`theory.network.empirical`): the
condition for positive transfer is then evaluated on that network. Derived in theory/derivations.md, section 2.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory.arrays import symmetric
from theory.errors import InvalidInput
from theory.linear.propagators import stability_limit
from theory.setting import Training
from theory.transfer.inputs import full_batch_propagators, signs

# The share of the loss below which a difference of losses is rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class RandomLabels:
    """Targets independent of the inputs and of each other, of mean 0 and variance σ_y², on each of C outputs."""

    variance: float = 1.0
    outputs: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.variance < np.inf:
            raise InvalidInput("variance", self.variance, "must be finite and not negative")
        if self.outputs < 1:
            raise InvalidInput("outputs", self.outputs, "must be at least 1")


Targets = np.ndarray | RandomLabels


@dataclass(frozen=True, eq=False)
class LinearisedNetwork:
    """Everything about a network that downstream training in the kernel regime depends on.

    Attributes
    ----------
    kernel : ndarray, shape (n, n) or (n, n, C, C)
        The tangent kernel on the n downstream rows, of each output or also between outputs.
    outputs : ndarray, shape (n,) or (n, C), or None
        f_0 if it is known; None if it is subtracted or random.
    covariance : ndarray, shape (n, n), or None
        E f_0 f_0ᵀ of each output if f_0 is random, of mean 0 and independent of the targets; otherwise None.
    """

    kernel: np.ndarray
    outputs: np.ndarray | None = None
    covariance: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class LinearisedTransfer:
    """The expected downstream loss of one network and of a reference, at r steps; a gain is positive transfer.

    Attributes
    ----------
    steps : tuple of int, length r
    loss, reference_loss : ndarray, shape (r,)
        E L_t, ½ · mean over rows of ‖f_t − y‖², from the network and from the reference.
    start : float
        The gain before training, E[‖y − f_0‖²_reference − ‖y − f_0‖²]/(2n): nonzero only if f_0 is not subtracted.
    slope : float
        The increase of the gain per ηt under plain descent as t → 0: tr[K M − K_reference M_reference]/n², with M the
        second moment of y − f_0; where f_0 is subtracted, yᵀ(K − K_reference)y/n².
    """

    steps: tuple[int, ...]
    loss: np.ndarray
    reference_loss: np.ndarray
    start: float
    slope: float

    @property
    def gain(self) -> np.ndarray:
        """reference_loss − loss, shape (r,)."""
        return self.reference_loss - self.loss

    @property
    def transfer_sign(self) -> tuple[str, ...]:
        """The sign of the gain at each step, "positive", "negative" or "none" (below rounding)."""
        return signs(np.where(np.abs(self.gain) > ROUNDING * self.reference_loss, self.gain, 0.0))

    @property
    def early_sign(self) -> str:
        """The sign as t → 0: that of `start`, or that of `slope` if both networks start from the same loss."""
        return signs(np.array([self.start or self.slope]))[0]


def linearised_transfer(
    network: LinearisedNetwork, reference: LinearisedNetwork, targets: Targets, training: Training
) -> LinearisedTransfer:
    """Is training on `targets` better from `network` than from `reference`? The losses, and the signs.

    E L_t = ½ n⁻¹ E ‖p_t(K/n)(y − f_0)‖². Exact for the linearised network; for a network of width m it neglects the
    change of the kernel, O(1/m) for smooth activations and O(m^-½) for ReLU, and for infinite kernels also the
    fluctuations of K and f_0, O(m^-½) for one network.

    Parameters
    ----------
    network, reference : LinearisedNetwork
        The networks, on the same n rows, such as one network before and after pre-training.
    targets : ndarray of shape (n,) or (n, C), or RandomLabels
        The targets, independent of the networks.
    training : Training
        The training on the downstream task: full batch, without weight decay.

    Raises
    ------
    InvalidInput
        If shapes do not fit, kernels are not positive semi-definite, or the training is not full-batch gradient descent
        on the squared error without decay, or diverges: ηκ_max/n at `stability_limit`.

    Examples
    --------
    >>> before, after = LinearisedNetwork(np.diag([1.0, 1.0])), LinearisedNetwork(np.diag([1.6, 0.4]))
    >>> training = Training(learning_rate=0.5, steps=(1, 50))
    >>> found = linearised_transfer(after, before, np.array([1.0, 0.9]), training)
    >>> found.early_sign, found.transfer_sign  # aligned with the target at first, then slow where it is weak
    ('positive', ('positive', 'negative'))
    """
    first, second = _modes(network, targets), _modes(reference, targets)
    if (first.rows, first.outputs) != (second.rows, second.outputs):
        value = (network.kernel.shape, reference.kernel.shape)
        raise InvalidInput("network, reference", value, "must be on the same rows, with the same outputs")
    return LinearisedTransfer(
        steps=training.readings,
        loss=first.loss(training),
        reference_loss=second.loss(training),
        start=_difference(second.start, first.start),
        slope=_difference(first.descent, second.descent),
    )


def linearised_loss(network: LinearisedNetwork, targets: Targets, training: Training) -> np.ndarray:
    """E L_t at the r steps of `training`, shape (r,); see `linearised_transfer`.

    >>> training = Training(learning_rate=1.0, steps=(0, 1))
    >>> linearised_loss(LinearisedNetwork(np.eye(2)), np.array([2.0, 0.0]), training).tolist()
    [1.0, 0.25]
    """
    return _modes(network, targets).loss(training)


@dataclass(frozen=True, eq=False)
class _Modes:
    """Eigenvalues of K/n, and E (uᵀ(y − f_0))² along its eigenvectors, summed over outputs that share the kernel."""

    curvature: np.ndarray
    energy: np.ndarray
    rows: int
    outputs: int

    @property
    def start(self) -> float:
        """The expected loss at the start, E L_0."""
        return float(self.energy.sum()) / (2 * self.rows)

    @property
    def descent(self) -> float:
        """−dE L_t/d(ηt) as t → 0."""
        return float(self.energy @ self.curvature) / self.rows

    def loss(self, training: Training) -> np.ndarray:
        """E L_t at the steps of the training."""
        if training.weight_decay:
            raise InvalidInput("training.weight_decay", training.weight_decay, "must be 0 in the kernel regime")
        p, _ = full_batch_propagators(training, self.curvature)
        limit, largest = stability_limit(training), float(training.learning_rate * self.curvature.max())
        if largest >= limit:
            rule = f"diverges: η κ_max/n = {largest:.3g} must be below {limit:.3g}"
            raise InvalidInput("training.learning_rate", training.learning_rate, rule)
        return np.asarray(p**2 @ self.energy / (2 * self.rows))


def _difference(a: float, b: float) -> float:
    return 0.0 if abs(a - b) <= ROUNDING * max(abs(a), abs(b)) else a - b


def _modes(network: LinearisedNetwork, targets: Targets) -> _Modes:
    kernel = np.asarray(network.kernel, dtype=float)
    n, joint = len(kernel), kernel.ndim == 4
    known = targets if isinstance(targets, np.ndarray) else network.outputs
    outputs = targets.outputs if isinstance(targets, RandomLabels) else kernel.shape[2] if joint else _columns(known)
    if kernel.shape not in ((n, n), (n, n, outputs, outputs)):
        raise InvalidInput("kernel.shape", kernel.shape, f"must be (n, n), or (n, n, C, C) with C = {outputs} outputs")
    residual: np.ndarray = np.zeros((n, outputs))
    random: np.ndarray = np.zeros((n, n))
    if isinstance(targets, RandomLabels):
        random = random + targets.variance * np.eye(n)
    else:
        residual = residual + _values("targets", targets, n, outputs)
    if network.outputs is not None:
        residual = residual - _values("outputs", network.outputs, n, outputs)
    if network.covariance is not None:
        random = random + _positive("covariance", network.covariance, n)
    if joint:
        kernel = kernel.transpose(0, 2, 1, 3).reshape(n * outputs, n * outputs)
        residual, random = residual.reshape(-1, 1), np.kron(random, np.eye(outputs))
    else:
        random = outputs * random
    values, vectors = np.linalg.eigh(_positive("kernel", kernel, len(kernel)))
    energy = ((vectors.T @ residual) ** 2).sum(axis=1) + np.einsum(
        "ia,ij,ja->a", vectors, random, vectors, optimize=True
    )
    return _Modes(np.maximum(values, 0.0) / n, energy, n, outputs)


def _columns(values: np.ndarray | None) -> int:
    return 1 if values is None or values.ndim < 2 else values.shape[1]


def _values(name: str, values: np.ndarray, n: int, outputs: int) -> np.ndarray:
    """`values` as finite numbers (n, C)."""
    array = np.asarray(values, dtype=float)
    if array.ndim not in (1, 2) or array.reshape(len(array), -1).shape != (n, outputs):
        raise InvalidInput(f"{name}.shape", array.shape, f"must be ({n},) or ({n}, {outputs})")
    if not np.isfinite(array).all():
        raise InvalidInput(name, "nan or inf", "must be finite")
    return array.reshape(n, outputs)


def _positive(name: str, matrix: np.ndarray, n: int) -> np.ndarray:
    """A symmetric matrix (n, n) that is positive semi-definite up to rounding errors."""
    checked: np.ndarray = symmetric(name, np.asarray(matrix, dtype=float))
    if checked.shape != (n, n):
        raise InvalidInput(f"{name}.shape", checked.shape, f"must be ({n}, {n})")
    values = np.linalg.eigvalsh(checked)
    if values[0] < -1e-7 * abs(values[-1]):
        raise InvalidInput(name, f"eigenvalue {values[0]:.3g}", "must be positive semi-definite")
    return checked
