"""Arguments without symmetries, by rational formulas: the same bits on every machine."""

from __future__ import annotations

import numpy as np

from theory.eigenspaces import Eigenspaces
from theory.symmetry import SymmetryGroup


def array(*shape: int, salt: int = 0) -> np.ndarray:
    """Numbers between −1 and 1 in a pattern that has neither symmetry nor order."""
    k = np.arange(int(np.prod(shape)))
    return ((k * k * 5 + k * (13 + salt) + (k // 3) * 7 + salt * 3) % 31 - 15).reshape(shape) / 16


def positive(*shape: int, salt: int = 0) -> np.ndarray:
    """The same, between 1/8 and 17/8."""
    return array(*shape, salt=salt) + 9 / 8


def moment(d: int, salt: int = 0) -> np.ndarray:
    """A positive definite matrix (d, d)."""
    rows = array(d + 3, d, salt=salt)
    return rows.T @ rows / (d + 3) + np.eye(d) / 8


def moments(count: int, d: int, salt: int = 0) -> np.ndarray:
    """Several of them, (count, d, d)."""
    return np.stack([moment(d, salt + 3 * k) for k in range(count)])


def rotation(d: int, salt: int = 0) -> np.ndarray:
    """A reflection, orthogonal: its columns are no axes."""
    v = positive(d, salt=salt)
    return np.eye(d) - 2 * np.outer(v, v) / (v @ v)


def spaces(*multiplicity: int, salt: int = 0) -> Eigenspaces:
    """Eigenspaces of these multiplicities, in a basis that is known: eigh would choose one in each."""
    levels = 0.5 + np.cumsum(positive(len(multiplicity), salt=salt))
    return Eigenspaces(levels, multiplicity, rotation(sum(multiplicity), salt), 1e-12)


def group(*sizes: int, fixed: int = 0, salt: int = 0) -> SymmetryGroup:
    """A group of these blocks, in a basis that is known."""
    return SymmetryGroup(rotation(fixed + sum(sizes), salt), fixed, sizes)
