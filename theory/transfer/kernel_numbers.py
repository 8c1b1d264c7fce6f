"""What tangent kernels say about transfer without labels: their size, and the number of directions they spread over.

Softmax determines outputs only up to a constant per row, and a constant over rows is learnt at once, so kernels are
centred over outputs and over rows. Ratios of these numbers, after to before pre-training, need no training. They are
cheap relatives of the condition in `theory.transfer.training_transfer`, but no substitutes for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory.arrays import Array, to_numpy
from theory.errors import InvalidInput

FLOOR = 1e-6  # the least eigenvalue in the geometric mean, in units of the mean eigenvalue: smaller ones count as this


@dataclass(frozen=True, eq=False)
class KernelNumbers:
    """Numbers of R centred kernels; (R,) each.

    Attributes
    ----------
    trace : ndarray
        The trace per row and output, tr K/(nC).
    effective_rank : ndarray
        (tr K)²/‖K‖_F², the number of equal eigenvalues with the same spread; 0 for a kernel that is 0.
    geometric_mean : ndarray
        The geometric mean of the (n − 1)(C − 1) eigenvalues that centring leaves, over nC, each at least `FLOOR` times
        their mean.
    """

    trace: np.ndarray
    effective_rank: np.ndarray
    geometric_mean: np.ndarray


def kernel_numbers(kernels: Array) -> KernelNumbers:
    """Trace, effective rank and geometric mean of tangent kernels (R, n, n, C, C), centred over rows and outputs.

    With P = I − 11ᵀ/C and Q = I − 11ᵀ/n the centred kernel is (Q ⊗ P) K (Q ⊗ P).

    Raises
    ------
    InvalidInput
        If the shape is any other, there are fewer than two rows or outputs, or numbers are not finite.

    Examples
    --------
    A kernel that is the identity, on three rows and two outputs, has two equal eigenvalues left:

    >>> identity = np.einsum("ij,ce->ijce", np.eye(3), np.eye(2))[None]
    >>> found = kernel_numbers(identity)
    >>> [round(value.item(), 12) for value in (found.trace, found.effective_rank, found.geometric_mean)]
    [0.333333333333, 2.0, 0.166666666667]
    """
    shape = tuple(kernels.shape)
    if len(shape) != 5 or shape[1] != shape[2] or shape[3] != shape[4] or min(shape[1], shape[3]) < 2:
        raise InvalidInput("kernels.shape", shape, "must be (R, n, n, C, C), of two rows and two outputs at least")
    given = to_numpy(kernels)
    if not np.isfinite(given).all():
        raise InvalidInput("kernels", "nan or inf", "must be finite")
    for axes in ((1,), (2,), (3,), (4,)):
        given = given - given.mean(axis=axes, keepdims=True)
    replicas, n, _, outputs, _ = shape
    flat = given.transpose(0, 1, 3, 2, 4).reshape(replicas, n * outputs, n * outputs)
    left = (n - 1) * (outputs - 1)
    values = np.maximum(np.linalg.eigvalsh((flat + flat.swapaxes(1, 2)) / 2)[:, -left:], 0.0)
    total, squares = values.sum(axis=1), (values**2).sum(axis=1)
    rank = np.divide(total**2, squares, out=np.zeros(replicas), where=squares > 0)
    floored = np.maximum(values, FLOOR * total[:, None] / left)
    means = np.exp(np.log(floored, out=np.full_like(floored, -np.inf), where=floored > 0).mean(axis=1))
    return KernelNumbers(total / (n * outputs), rank, means / (n * outputs))
