"""How pre-training changes tangent kernels, as the logarithms of three ratios: conditions that need no task.

A positive number predicts that a fresh task is learned faster than from scratch, a negative one that it is learned more
slowly. How often this is right is not derived; claim C5 counts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from theory.arrays import Array
from theory.errors import InvalidInput
from theory.network.frozen_gates import freeze
from theory.network.frozen_kernel import frozen_ntk
from theory.setting import Network
from theory.transfer.kernel_numbers import KernelNumbers, kernel_numbers

LARGEST = 100.0  # the largest size of a logarithm: that of a kernel that has vanished


@dataclass(frozen=True, eq=False)
class KernelChange:
    """Logarithms of ratios, after to before pre-training, for R pairs of networks; (R,) each, within ± `LARGEST`.

    Attributes
    ----------
    trace : ndarray
        The trace of the centred kernel.
    effective_rank : ndarray
    geometric_mean : ndarray
        The geometric mean of the eigenvalues that centring leaves: a volume, which depends on both size and spread.
    """

    trace: np.ndarray
    effective_rank: np.ndarray
    geometric_mean: np.ndarray


def kernel_change(before: KernelNumbers, after: KernelNumbers) -> KernelChange:
    """log(after/before) of the three numbers, for R kernels each.

    Raises
    ------
    InvalidInput
        If the numbers of kernels before and after differ.

    Examples
    --------
    >>> one, two = (KernelNumbers(*np.full((3, 1), value)) for value in (1.0, np.e))
    >>> kernel_change(one, two).trace.item(), kernel_change(two, one).effective_rank.item()
    (1.0, -1.0)
    """
    if len(before.trace) != len(after.trace):
        rule = f"must be as many kernels as before ({len(before.trace)})"
        raise InvalidInput("after", len(after.trace), rule)
    return KernelChange(
        *(
            _log_ratio(getattr(after, name), getattr(before, name))
            for name in ("trace", "effective_rank", "geometric_mean")
        )
    )


def kernel_change_of(
    network: Network, scratch: Sequence[Array], pretrained: Sequence[Array], rows: Array
) -> KernelChange:
    """The same for R pairs of actual networks on some rows, whose labels are not needed.

    Twenty or thirty rows are enough; the memory is that of the kernels, R n² C² numbers.

    Parameters
    ----------
    network : Network
    scratch, pretrained : sequence of Array
        Every layer's weights (R, out, in), then with `bias` its biases (R, out), first layer first: fresh ones, and
        those from which a fresh task would start.
    rows : Array, shape (R, n, d)
        Images are (R, n, C, H, W).

    Raises
    ------
    InvalidInput
        If shapes do not fit the network, there are fewer than two rows or outputs, or numbers are not finite.

    Examples
    --------
    Both layers three times as large: the kernel of a ReLU network is nine times as large, with the same form.

    >>> rng = np.random.default_rng(0)
    >>> fresh = [rng.standard_normal((1, 5, 4)), rng.standard_normal((1, 3, 5))]
    >>> found = kernel_change_of(
    ...     Network(kind="mlp", hidden=(5,)), fresh, [3 * w for w in fresh], rng.standard_normal((1, 6, 4))
    ... )
    >>> bool(np.allclose(found.trace, np.log(9))), bool(np.allclose(found.effective_rank, 0.0))
    (True, True)
    """
    before, after = (kernel_numbers(frozen_ntk(freeze(network, w, rows))) for w in (scratch, pretrained))
    return kernel_change(before, after)


def _log_ratio(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The log ratio; the largest allowed where one of the numbers is 0, and 0 where both are."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log(after) - np.log(before)
    return np.clip(np.nan_to_num(found, nan=0.0), -LARGEST, LARGEST)
