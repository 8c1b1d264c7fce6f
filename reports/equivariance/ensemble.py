"""Does it matter that a training does not commute with rotations? An ensemble of it, on Gaussian rows, is looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from reports.equivariance.study import Runs, Train
from reports.judging.intervals import bars
from theory.eigenspaces import eigenspaces
from theory.errors import InvalidInput
from theory.features import aligned_part, axis_chance, axis_part, feature_matrix, jackknife
from theory.symmetry import symmetry_group
from theory.testing import escalating_randomization_test

BLOCKS = 64  # the number of blocks of networks whose second moments are compared
TESTED = 32  # the number of blocks in tests that need many draws


@dataclass(frozen=True)
class TrainedAlignment:
    """What an ensemble of first layers says of E[W^T W], less its multiple of the identity.

    Attributes
    ----------
    aligned, aligned_error : float
        The correlation of that matrix with the nearest one that is aligned with the data, 1 under alignment, and its
        standard error. NaN where sampling noise is all there is.
    pvalue : float
        The p-value of the exact test that the law of the weights is invariant under the rotations that commute with the
        data's second moment; half of `level` or more.
    level : float
        The level at which alignment is rejected.
    axes, axes_error : float
        The share of what is not aligned (squared) that lies along the coordinate axes, and its standard error. It says
        nothing unless the test rejects.
    chance : float
        The average of that share for a random direction.
    networks : int
    """

    aligned: float
    aligned_error: float
    pvalue: float
    level: float
    axes: float
    axes_error: float
    chance: float
    networks: int

    @property
    def broken(self) -> bool:
        """Whether alignment is rejected."""
        return self.pvalue <= self.level

    def __str__(self) -> str:
        aligned = f"aligned to {self.aligned:.3f} ± {bars(self.aligned_error):.3f}, p = {self.pvalue:.2g}"
        if not self.broken:
            return aligned
        return (
            f"{aligned}; of the rest {self.axes:.0%} ± {bars(self.axes_error):.0%} along the axes ({self.chance:.0%})"
        )


def alignment_after(
    train: Train,
    data_moment: np.ndarray,
    *,
    rows: int,
    units: int,
    init_variance: float = 1.0,
    networks: int = 1000,
    level: float = 1e-4,
    seed: int = 0,
) -> TrainedAlignment:
    """Train networks on Gaussian rows drawn anew, and ask whether their weights are aligned with the data.

    Parameters
    ----------
    train : callable
        The training, as for `equivariance`; labels must be drawn inside. It is given tensors of double precision.
    data_moment : ndarray, shape (d, d)
        The second moment of the rows, of mean 0. Where the coordinate axes are its eigenvectors, weights that follow
        the axes are aligned: turn it.
    rows, units : int
        Each network is given inputs (rows, d) and initial weights (units, d).
    init_variance : float
        Initial weights are drawn from N(0, init_variance/d).
    networks : int
        The number of networks, at least 64.
    level : float
        The level at which alignment is rejected, above 0 and below .001. The smaller, the longer the test takes:
        seconds at 1e-6.
    seed : int

    Raises
    ------
    InvalidInput
        If there are fewer networks, or the matrix is not a second moment, and as for `equivariance`.

    Examples
    --------
    >>> def one_step(x, weights):
    ...     labels = torch.randn(len(x), 1, dtype=x.dtype)
    ...     return weights + labels.T @ x / len(x)
    >>> turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    >>> moment = turn @ np.diag([1.0, 9.0]) @ turn.T
    >>> found = alignment_after(one_step, moment, rows=8, units=3, networks=100)
    >>> found.broken, round(found.aligned, 1)
    (False, 1.0)
    """
    for name, value, least in (("rows", rows, 1), ("units", units, 1), ("networks", networks, BLOCKS)):
        if value < least:
            raise InvalidInput(name, value, f"must be at least {least}")
    if not init_variance >= 0:
        raise InvalidInput("init_variance", init_variance, "must not be negative")
    spaces = eigenspaces(data_moment, gap=1e-9)
    values = np.asarray(spaces.eigenvalues)
    if values[0] < -1e-9 * values[-1]:
        raise InvalidInput("data_moment", float(values[0]), "must have no negative eigenvalue")
    d = spaces.dimension
    root = np.asarray(spaces.basis) * np.sqrt(np.maximum(np.repeat(values, spaces.multiplicity), 0))
    moments = np.empty((networks, d, d))
    for i in range(networks):
        generator = np.random.default_rng([seed, i])
        x = generator.standard_normal((rows, d)) @ root.T
        w = generator.standard_normal((units, d)) * np.sqrt(init_variance / d)
        run = Runs(train, int(generator.integers(2**32)), arrays=False)
        moments[i] = feature_matrix(run(torch.from_numpy(x), torch.from_numpy(w)).cpu().numpy()) / units
    blocks = np.stack([moments[k::BLOCKS].mean(axis=0) for k in range(BLOCKS)])
    counts = np.array([len(moments[k::BLOCKS]) for k in range(BLOCKS)])
    test = escalating_randomization_test(
        blocks, symmetry_group(spaces), counts=counts, level=level, blocks=TESTED, seed=seed
    )
    aligned, aligned_error = map(float, jackknife(aligned_part(spaces, blocks)))
    axes, axes_error = map(float, jackknife(axis_part(spaces, blocks)))
    return TrainedAlignment(aligned, aligned_error, test.pvalue, level, axes, axes_error, axis_chance(spaces), networks)
