"""Exact alignment for data with a mean, such as activations after a ReLU: the theorem then requires less.

The group of the theorem must then also fix the mean μ (claim A5; theory/derivations.md, 3.0). In an eigenspace with P_i
μ ≠ 0 it fixes the line of P_i μ: Σ_w may mix all these lines, and must be aligned on the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from reports.check.moments import DataMoment
from reports.check.turns import Turns
from theory.eigenspaces import Eigenspaces

MEAN_SHARE = 0.01  # the share of the second moment up to which a mean counts as zero
_ERRORS = 3.0  # standard errors, from which a component of the mean counts as present


@dataclass(frozen=True)
class MeanTest:
    """Exact alignment under the group that fixes the mean.

    Attributes
    ----------
    pvalue : float
        The p-value of exact alignment between the free directions, and between them and the fixed ones; 1 if none is
        free.
    fixed, free : int
        The numbers of directions on which Σ_w is arbitrary, because the mean lies along them, and of all others.
    """

    pvalue: float
    fixed: int
    free: int


@dataclass(frozen=True, eq=False)
class Fixing:
    """The symmetries that fix the mean: their turns, and the basis of these turns.

    Attributes
    ----------
    basis : ndarray, shape (d, d)
        The basis of the turns in columns, the fixed directions first.
    turns : Turns
    fixed : int
        How many directions are fixed.
    """

    basis: np.ndarray
    turns: Turns
    fixed: int


def fixing(spaces: Eigenspaces, data: DataMoment) -> Fixing | None:
    """The symmetries of the known `spaces` that fix the mean of the data; None if all of them do.

    A direction is fixed if the mean has a component along it that exceeds three standard errors, and 1 % of the second
    moment there. Eigenvectors within joined eigenvalues are not known: such a space is fixed as a whole.
    """
    if data.centred or data.mean_share <= MEAN_SHARE:
        return None
    found = Fixing(*fixing_turns(spaces, data))
    return found if found.fixed else None


def fixing_turns(spaces: Eigenspaces, data: DataMoment) -> tuple[np.ndarray, Turns, int]:
    """A basis (d, d) with the fixed directions first, the turns that do not change these, and their number.

    The fixed directions are turned together: one sign for all of them is equivalent to the opposite sign for the rest,
    and changes no second moment.
    """
    columns = np.asarray(spaces.basis)
    component, error = data.mean @ columns, data.mean_errors(columns)
    exact = {(s.start, s.stop) for s in data.exact_eigenspaces.slices}
    fixed: list[np.ndarray] = []
    free: list[tuple[np.ndarray, bool]] = []
    for s, value in zip(spaces.slices, spaces.eigenvalues, strict=True):
        block, known = columns[:, s], (s.start, s.stop) in exact
        power, m = float(np.sum(component[s] ** 2)), s.stop - s.start
        limit = float(stats.chi2.isf(2 * stats.norm.sf(_ERRORS), m)) * float(np.mean(error[s] ** 2))
        if power <= max(limit, MEAN_SHARE * m * float(value), 0.0):
            free.append((block, known))
        elif m == 1 or not known:
            fixed.append(block)
        else:
            turned = block @ np.linalg.qr(component[s, None], mode="complete")[0]
            fixed.append(turned[:, :1])
            free.append((turned[:, 1:], True))
    count = sum(block.shape[1] for block in fixed)
    parts = ([(np.concatenate(fixed, axis=1), False)] if fixed else []) + free
    ends = np.cumsum([block.shape[1] for block, _ in parts])
    slices = tuple(slice(int(end) - block.shape[1], int(end)) for end, (block, _) in zip(ends, parts, strict=True))
    basis = np.concatenate([block for block, _ in parts], axis=1)
    return basis, Turns(slices, tuple(known for _, known in parts)), count
