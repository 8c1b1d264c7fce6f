"""Hypothesis strategies: spectra, rows, matrices with known eigenspaces, aligned with others or not, and settings.

Everything random beyond the drawn numbers follows from a drawn integer seed, and seed 0 stands for the identity, so
that failures shrink to diagonal matrices. Matrices are float64. hypothesis comes with the extra `testing`.

>>> from hypothesis import given
>>> from reports.testing import assert_contained
>>> from reports.testing.strategies import known_matrices
>>> @given(known_matrices())
... def test_squares_are_aligned(known):
...     assert_contained(known.spaces, known.matrix @ known.matrix)
>>> test_squares_are_aligned()
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from theory.eigenspaces import Eigenspaces
from theory.errors import InvalidInput
from theory.setting import Data, Ensemble, Labels, Setting, Training
from theory.symmetry import haar

seeds: SearchStrategy[int] = st.integers(0, 2**32 - 1)
"""Seeds of random generators; 0 is the simplest."""


@dataclass(frozen=True, eq=False)
class Known:
    """A symmetric matrix whose eigenspaces are known by construction, eigenvalues (k,) ascending."""

    eigenvalues: np.ndarray
    multiplicity: tuple[int, ...]
    basis: np.ndarray

    @property
    def dimension(self) -> int:
        return sum(self.multiplicity)

    @property
    def matrix(self) -> np.ndarray:
        return spectral(np.repeat(self.eigenvalues, self.multiplicity), self.basis)

    @property
    def spaces(self) -> Eigenspaces:
        """The eigenspaces by construction, not as computed."""
        return Eigenspaces(self.eigenvalues, self.multiplicity, self.basis, 0.0)

    def __repr__(self) -> str:
        return f"Known({self.eigenvalues.tolist()}, {self.multiplicity}, {self.basis.tolist()})"


def spectral(spectrum: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """V diag(spectrum) Vᵀ, exactly symmetric."""
    matrix = (basis * spectrum) @ basis.T
    return (matrix + matrix.T) / 2


def orthogonal(seed: int, dimension: int) -> np.ndarray:
    """A Haar orthogonal matrix, the identity for seed 0."""
    return haar(np.random.default_rng(seed), dimension, 1)[0] if seed else np.eye(dimension)


def orthogonals(dimension: int) -> SearchStrategy[np.ndarray]:
    """Orthogonal matrices (d, d)."""
    return seeds.map(lambda seed: orthogonal(seed, dimension))


@st.composite
def multiplicities(draw: DrawFn, dimension: int) -> tuple[int, ...]:
    """Multiplicities m_1 … m_k of eigenspaces, summing to `dimension`; shrinks to one eigenspace."""
    cuts = draw(st.lists(st.booleans(), min_size=dimension - 1, max_size=dimension - 1))
    ends = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), dimension]
    return tuple(b - a for a, b in pairwise(ends))


@st.composite
def known_matrices(draw: DrawFn, max_dimension: int = 6, dimension: int | None = None, positive: bool = True) -> Known:
    """Symmetric matrices with repeated eigenvalues, gaps in [1/4, 4]; positive definite by default."""
    d = dimension or draw(st.integers(1, max_dimension))
    multiplicity = draw(multiplicities(d))
    gaps = draw(st.lists(st.floats(0.25, 4), min_size=len(multiplicity), max_size=len(multiplicity)))
    eigenvalues = np.cumsum(gaps) - (0 if positive else sum(gaps) / 2)
    return Known(eigenvalues, multiplicity, draw(orthogonals(d)))


@st.composite
def positive_definite(draw: DrawFn, dimension: int, condition: float = 1e3) -> np.ndarray:
    """Positive definite matrices (d, d) with a condition number up to `condition`."""
    exponents = draw(st.lists(st.floats(0, 1), min_size=dimension, max_size=dimension))
    return spectral(condition ** np.array(exponents), draw(orthogonals(dimension)))


@st.composite
def aligned_with(draw: DrawFn, known: Known) -> np.ndarray:
    """Positive definite B = Σ_i c_i P_i; different data eigenspaces may share one c."""
    k = len(known.eigenvalues)
    values = draw(st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.5]), min_size=k, max_size=k))
    return spectral(np.repeat(values, known.multiplicity), known.basis)


@st.composite
def pairs(draw: DrawFn, max_dimension: int = 6, condition: float = 1e3) -> tuple[Known, np.ndarray]:
    """(A, B): A with known eigenspaces, B positive definite in an independent basis."""
    known = draw(known_matrices(max_dimension))
    return known, draw(positive_definite(known.dimension, condition))


@st.composite
def unaligned_with(draw: DrawFn, known: Known) -> np.ndarray:
    """Positive definite B that is not aligned with A, which must have two eigenspaces.

    An aligned matrix is turned by 0.3 to 1.2 radians in a plane of two directions of different eigenspaces, on which
    its values differ by a factor of at least 2.
    """
    k = len(known.eigenvalues)
    if k < 2:
        raise InvalidInput("known", known, "must have two eigenspaces: every matrix is aligned with a multiple of I")
    i, j = draw(st.permutations(range(k)).map(lambda order: sorted(order[:2])))
    values = draw(st.lists(st.sampled_from([0.5, 1.0, 2.0, 4.0]), min_size=k, max_size=k))
    values[j] = values[i] * draw(st.sampled_from([2.0, 4.0]))
    angle = draw(st.floats(0.3, 1.2))
    first, second = (sum(known.multiplicity[:space]) for space in (i, j))
    turned = known.basis.copy()
    turned[:, first] = np.cos(angle) * known.basis[:, first] + np.sin(angle) * known.basis[:, second]
    turned[:, second] = np.cos(angle) * known.basis[:, second] - np.sin(angle) * known.basis[:, first]
    return spectral(np.repeat(values, known.multiplicity), turned)


@st.composite
def spectra(draw: DrawFn, max_dimension: int = 6) -> tuple[float, ...]:
    """Eigenvalues of a covariance, ascending, in [1/4, 4], with repeated ones."""
    multiplicity = draw(multiplicities(draw(st.integers(1, max_dimension))))
    distinct = draw(
        st.lists(
            st.sampled_from([0.25, 0.5, 1.0, 1.5, 2.0, 4.0]),
            min_size=len(multiplicity),
            max_size=len(multiplicity),
            unique=True,
        )
    )
    return tuple(np.repeat(sorted(distinct), multiplicity).tolist())


@st.composite
def rows(draw: DrawFn, known: Known, samples: int = 100) -> np.ndarray:
    """Gaussian rows (n, d) whose covariance in expectation is that of `known`, which must be positive semidefinite."""
    normal = np.random.default_rng(draw(seeds)).standard_normal((samples, known.dimension))
    return (normal * np.sqrt(np.repeat(known.eigenvalues, known.multiplicity))) @ known.basis.T


@st.composite
def settings(draw: DrawFn, replicas: int = 2000, max_dimension: int = 5) -> Setting:
    """Settings that have an exact closed form: linear models on fixed rows, full batch, momentum, weight decay.

    They are small and converge: the largest eigenvalue is 4, and learning rates are at most 0.1.
    """
    data = Data(
        kind="gaussian",
        spectrum=draw(spectra(max_dimension)),
        samples=draw(st.integers(1, 40)),
        fixed=True,
    )
    momentum = draw(st.sampled_from([0.0, 0.5, 0.9]))
    training = Training(
        learning_rate=draw(st.sampled_from([0.01, 0.03, 0.1])),
        momentum=momentum,
        nesterov=momentum > 0 and draw(st.booleans()),
        weight_decay=draw(st.sampled_from([0.0, 0.1])),
        steps=draw(st.integers(1, 20)),
    )
    labels = Labels(kind=draw(st.sampled_from(["gaussian", "rademacher"])))
    return Setting(data=data, labels=labels, training=training, ensemble=Ensemble(replicas=replicas, seed=draw(seeds)))
