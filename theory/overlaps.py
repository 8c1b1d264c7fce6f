"""Which data eigenspaces add up to a weight eigenspace: the map from the eigenspaces of A to those of B."""

from __future__ import annotations

from theory.arrays import Array, namespace, to_numpy
from theory.eigenspaces import Eigenspaces
from theory.errors import InvalidInput


def overlaps(data: Eigenspaces, weights: Eigenspaces, /) -> Array:
    """‖P_i Q_j‖²_F / m_i, the share of data eigenspace i that lies in weight eigenspace j. Shape (k, l), rows sum to 1.

    P_i are the spectral projectors of `data`, with multiplicities m_i, Q_j those of `weights`. An entry is 1 exactly
    where V_i ⊆ V'_j; under alignment all entries are 0 or 1.

    Raises
    ------
    InvalidInput
        If the two have different dimensions, dtypes or array kinds.

    Examples
    --------
    >>> import numpy as np
    >>> from theory.eigenspaces import eigenspaces
    >>> overlaps(eigenspaces(np.diag([1.0, 2.0, 3.0])), eigenspaces(np.diag([7.0, 4.0, 7.0])))
    array([[0., 1.],
           [1., 0.],
           [0., 1.]])
    """
    xp = namespace(data.basis, weights.basis)
    if data.dimension != weights.dimension:
        raise InvalidInput("weights.dimension", weights.dimension, f"must be {data.dimension}, as that of the data")
    if data.basis.dtype != weights.basis.dtype:
        raise InvalidInput("weights.basis.dtype", str(weights.basis.dtype), f"must be {data.basis.dtype}")
    squares = (data.basis.T @ weights.basis) ** 2
    rows = [xp.sum(squares[s, :], axis=0) / (s.stop - s.start) for s in data.slices]
    return xp.stack([xp.stack([xp.sum(row[s]) for s in weights.slices]) for row in rows])


def merged(data: Eigenspaces, weights: Eigenspaces, /, *, tolerance: float) -> tuple[tuple[int, ...], ...]:
    """For each weight eigenspace, the indices of the data eigenspaces that it contains and may be the sum of.

    Data eigenspace i is assigned to the weight eigenspace j with ‖P_i Q_j‖²_F / m_i ≥ 1 − tolerance; one that is spread
    over several weight eigenspaces appears nowhere. When all appear, every weight eigenspace is the sum of its data
    eigenspaces, up to the tolerance.

    Parameters
    ----------
    tolerance : float
        A number in [0, ½), so that no eigenspace is counted twice. Rounding needs about 1e-12; with weights from a
        finite sample, give the mean squared sine of the angle that still counts as zero.

    Examples
    --------
    >>> import numpy as np
    >>> from theory.eigenspaces import eigenspaces
    >>> merged(eigenspaces(np.diag([1.0, 2.0, 3.0])), eigenspaces(np.diag([7.0, 4.0, 7.0])), tolerance=1e-9)
    ((1,), (0, 2))
    """
    if not 0 <= tolerance < 0.5:
        raise InvalidInput("tolerance", tolerance, "must be in [0, 0.5)")
    inside = to_numpy(overlaps(data, weights)) >= 1 - tolerance
    return tuple(tuple(int(i) for i in column.nonzero()[0]) for column in inside.T)
