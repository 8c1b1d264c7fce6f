"""Against a random basis: does the orientation of the weights have anything to do with the data?

This is the question for a single network, which has no replicas to randomize. The baseline of arXiv:2006.10455, Fig. 2,
is turned into a p-value and an effect size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory.arrays import Array, symmetric, to_numpy
from theory.eigenspaces import Eigenspaces, check_dimension, eigenspaces
from theory.errors import InvalidInput
from theory.symmetry import haar
from theory.testing.randomization import check_draws, generator_of


@dataclass(frozen=True, eq=False)
class RandomBasisTest:
    """The outcome of a test against random bases.

    Attributes
    ----------
    misalignment, misalignment_squared : float
        M(A, B) and its square.
    pvalue : float
        (1 + #{M_U ≤ M}) / (draws + 1).
    effect : float or None
        1 − M / median(M_U): 1 at alignment, 0 if the basis is no closer to alignment than a random one, None if all
        bases are equivalent (one eigenspace in A or in B).
    null_distribution : ndarray, shape (draws,)
        M_U, not squared.
    draws : int
    """

    misalignment: float
    misalignment_squared: float
    pvalue: float
    effect: float | None
    null_distribution: np.ndarray
    draws: int


def random_basis_test(
    spaces: Eigenspaces, second_moment: Array, /, *, draws: int = 999, seed: int = 0
) -> RandomBasisTest:
    """Test H0: the orientation of B is independent of the eigenspaces of A; small M(A, B) is evidence against it.

    Under H0 B and U B Uᵀ have the same law for Haar U ∈ O(d), so M(A, B) and M(U_b A U_bᵀ, B), b = 1 … N, are
    exchangeable, and p = (1 + #{M_U ≤ M}) / (N + 1) is exact at every d. Rejection says that B is *nearer* to alignment
    than a random matrix of its spectrum, not that it is aligned. Derived in theory/derivations.md, section 3.2.

    Parameters
    ----------
    spaces : Eigenspaces
        The eigenspaces of A, the data.
    second_moment : Array, shape (d, d)
        B, positive definite.
    draws : int
    seed : int

    Raises
    ------
    InvalidInput
        If B is not one symmetric positive definite matrix of the size of A (fewer weight vectors than dimensions:
        project on their span first), or draws < 1, or the seed is negative.

    Examples
    --------
    >>> import numpy as np
    >>> spaces = eigenspaces(np.diag([1.0, 2.0, 3.0, 4.0, 5.0]))
    >>> found = random_basis_test(spaces, np.diag([5.0, 1.0, 4.0, 2.0, 3.0]))
    >>> found.pvalue, found.effect
    (0.001, 1.0)
    >>> random_basis_test(spaces, np.eye(5)).pvalue
    1.0
    """
    check_draws(draws)
    generator = generator_of(seed)
    check_dimension(spaces, "second_moment", second_moment)
    matrix = symmetric("second_moment", to_numpy(second_moment))
    if matrix.ndim != 2:
        raise InvalidInput("second_moment.shape", matrix.shape, "must be (d, d)")
    values, vectors = np.linalg.eigh(matrix)
    d = len(values)
    if not values[0] > 4 * d * np.finfo(float).eps * values[-1]:
        rule = "must be positive definite: M is infinite for a singular matrix, so project on its span first"
        raise InvalidInput("second_moment", f"smallest eigenvalue {values[0]:.3g}", rule)
    # in the eigenbasis of B: tr(P_i B) = Σ_{j ∈ i} Σ_a V_aj² b_a, and 1/b_a for the inverse
    both = np.stack([values, 1 / values])
    observed = float(_squared(spaces, both, (vectors.T @ to_numpy(spaces.basis))[None])[0])
    if len(spaces.multiplicity) == 1 or len(eigenspaces(matrix).multiplicity) == 1:
        null = np.full(draws, np.sqrt(observed))
        return RandomBasisTest(float(np.sqrt(observed)), observed, 1.0, None, null, draws)
    step = max(1, 2**20 // d**2)
    parts = [_squared(spaces, both, haar(generator, d, min(step, draws - b))) for b in range(0, draws, step)]
    null = np.concatenate(parts)
    reached = int(np.count_nonzero(null <= observed * (1 + 1e-10)))
    misalignment = float(np.sqrt(observed))
    null = np.sqrt(null)
    effect = float(1 - misalignment / np.median(null))
    return RandomBasisTest(misalignment, observed, (1 + reached) / (draws + 1), effect, null, draws)


def _squared(spaces: Eigenspaces, both: np.ndarray, bases: np.ndarray) -> np.ndarray:
    """M² for data bases (n, d, d) written in the eigenbasis of B; `both` (2, d) holds b and 1/b."""
    diagonals = both @ (bases * bases)
    traces = np.stack([np.sum(diagonals[..., s], axis=-1) for s in spaces.slices], axis=-1)
    # term by term, so that aligned blocks give zero up to rounding
    terms = np.sqrt(traces[..., 0, :] * traces[..., 1, :]) - np.asarray(spaces.multiplicity)
    return np.maximum(np.sum(terms, axis=-1), 0)
