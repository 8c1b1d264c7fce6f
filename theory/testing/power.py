"""What the randomization test would have found: detectable rotations and energies, and measured power.

A test that does not reject says something only together with what it would have rejected. The answers here are planted
into the noise of the ensemble at hand; the critical value comes from a moment-matched tail, so that levels of 1e-6 need
no million draws (approximate; validated against planted violations).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from theory.arrays import Array
from theory.errors import InvalidInput
from theory.symmetry import SymmetryGroup
from theory.testing.blocks import Outside, block_moments, inside, rotated
from theory.testing.randomization import check_draws, generator_of, randomization_test, randomized_coordinates
from theory.testing.tails import weighted_chi2_isf


@dataclass(frozen=True)
class Detectable:
    """The smallest violation of alignment that the energy test finds.

    Attributes
    ----------
    value : float or None
        The angle in radians, or δ = ‖B − Π(B)‖_F / ‖B‖_F; None where no size is found with this probability.
    quantity : "rotation" or "energy"
    critical_value : float
        The energy from which p ≤ level, at the detectable size (without violation where value is None); approximate.
    level, power : float
        The test's level, and the probability of finding it.
    blocks : int
        Independent blocks after merging.
    """

    value: float | None
    quantity: Literal["rotation", "energy"]
    critical_value: float
    level: float
    power: float
    blocks: int


@dataclass(frozen=True, eq=False)
class RotationPower:
    """Measured power of `randomization_test` against a rotation of the weight eigenvectors.

    Attributes
    ----------
    angles : ndarray, shape (a,)
        Radians.
    replicas : tuple of int, length r
    power : ndarray, shape (a, r)
        The share of ensembles with p ≤ level; at angle 0 the size.
    standard_error : ndarray, shape (a, r)
        Binomial.
    level : float
    ensembles : int
    """

    angles: np.ndarray
    replicas: tuple[int, ...]
    power: np.ndarray
    standard_error: np.ndarray
    level: float
    ensembles: int


def detectable_rotation(
    second_moments: Array,
    /,
    group: SymmetryGroup,
    *,
    counts: Array | None = None,
    level: float = 1e-6,
    power: float = 0.9,
    blocks: int | None = 64,
    draws: int = 999,
    seed: int = 0,
) -> Detectable:
    """The smallest angle, up to π/4, by which turned weight eigenvectors would have been found.

    The rotation turns neighbouring blocks of the group into each other, (1, 2), (3, 4) …, plane by plane, all by the
    same angle: neighbours have the closest weight variances as a rule, so that this is among the hard cases. Ensembles
    with the noise of the given one and no violation are g_k S̄_k g_kᵀ, Haar g_k ∈ G (the mean kept in the commutant);
    each is turned by the angle, and the energy of its mean held against the critical value at `level`.

    The critical value: the coordinates outside the commutant of Σ_k w_k g_k S̄_k g_kᵀ are nearly Gaussian, and isotropic
    on every irreducible part c of the group (Schur), so that the energy is nearly Σ_c (E_c / n_c) χ²_{n_c}, with
    E_c = Σ_k w_k² ‖part c of S̄_k‖² computed on the *planted* blocks (a violation widens its own null distribution);
    its tail is that of the shifted χ² with the same first three cumulants (Pearson type III). Approximate: sums over
    few blocks have lighter tails, so that the value errs upward.

    Parameters
    ----------
    second_moments, group, counts, blocks
        As in `randomization_test`; 64 blocks are what `escalating_randomization_test` uses.
    level, power : float
    draws : int
        Ensembles to plant into; the probability is resolved to 1/sqrt(draws).
    seed : int

    Returns
    -------
    Detectable
        Its value is None where nothing is found: weights isotropic across all blocks, one block only, or too few
        replicas for `level` (2^{(d−1)(K−1)} < 1/level where all blocks have size 1).

    Raises
    ------
    InvalidInput
        As `randomization_test`, and unless level and power lie between 0 and 1.
    """
    prepared = _prepare(second_moments, group, counts, blocks, level, power, draws, seed)

    def plant(size: float, matrices: np.ndarray) -> np.ndarray:
        turn = neighbour_rotation(group, size)
        return turn @ matrices @ turn.T

    return prepared.smallest("rotation", plant, np.geomspace(1e-4, np.pi / 4, 48), lambda size: size)


def detectable_energy(
    second_moments: Array,
    /,
    group: SymmetryGroup,
    *,
    counts: Array | None = None,
    level: float = 1e-6,
    power: float = 0.9,
    blocks: int | None = 64,
    draws: int = 999,
    seed: int = 0,
) -> Detectable:
    """The smallest relative off-commutant norm δ = ‖B − Π(B)‖_F / ‖B‖_F of Σ_w that would have been found.

    As `detectable_rotation`, with the same parameters and errors, but the violation is one matrix outside the
    commutant, added to every block, in the direction in which the noise is largest: for a given norm the energy then
    varies most, so other directions are found at least about as well. "A discrepancy of 5 % would have been detected
    with probability .9" holds when the value is at most .05.
    """
    prepared = _prepare(second_moments, group, counts, blocks, level, power, draws, seed)
    direction = _noisiest(group, prepared.weights, prepared.turned)
    norm = float(np.linalg.norm(prepared.commutant))

    def plant(size: float, matrices: np.ndarray) -> np.ndarray:
        return matrices + size * norm * direction

    return prepared.smallest("energy", plant, np.geomspace(1e-5, 1e2, 96), lambda s: float(s / np.sqrt(1 + s * s)))


def neighbour_rotation(group: SymmetryGroup, angle: float) -> np.ndarray:
    """The rotation (d, d), in the basis of the group, that turns blocks (1, 2), (3, 4) … into each other by `angle`.

    Vector j of one block turns with vector j of its neighbour; vectors without a partner stay. Where there is only one
    block, it turns with the fixed directions.
    """
    turn = np.eye(group.dimension)
    parts = list(group.slices)
    if len(parts) == 1:
        parts.insert(0, slice(0, group.fixed))
    for a, b in zip(parts[::2], parts[1::2], strict=False):
        for i, j in zip(range(a.start, a.stop), range(b.start, b.stop), strict=False):
            turn[i, i] = turn[j, j] = np.cos(angle)
            turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
    return turn


def null_critical_value(weights: np.ndarray, blocks: np.ndarray, group: SymmetryGroup, level: float) -> float:
    """The energy that the randomization distribution exceeds with probability `level`; approximate (Pearson type III).

    `weights` (K,), summing to 1; `blocks` (K, d, d), in the basis of the group.
    """
    return weighted_chi2_isf(irreducible_variances(weights, blocks, group), level)


def rotation_power_table(
    angles: Sequence[float],
    replicas: Sequence[int],
    *,
    tau: Sequence[float] = (1.0, 1.5, 2.0, 3.0),
    multiplicity: Sequence[int] | None = None,
    width: int = 50,
    level: float = 0.01,
    draws: int = 199,
    ensembles: int = 200,
    seed: int = 0,
) -> RotationPower:
    """The power of `randomization_test` (energy) over angles and numbers of replicas, on Gaussian weights.

    A replica has `width` independent vectors N(0, Q diag(τ) Qᵀ), τ_i repeated `multiplicity`_i times (once by default),
    Q = `neighbour_rotation` by the angle. The same ensembles are turned by every angle. Exact up to the binomial error.

    Raises InvalidInput for empty or bad lists, and where `level` is below 1/(draws + 1), the least p-value.

    Examples
    --------
    >>> table = rotation_power_table([0.0, 0.5], [40], ensembles=20)
    >>> bool(table.power[0, 0] < 0.3), float(table.power[1, 0])
    (True, 1.0)
    """
    multiplicity = [1] * len(tau) if multiplicity is None else list(multiplicity)
    if len(multiplicity) != len(tau) or not tau or min(multiplicity) < 1:
        raise InvalidInput("multiplicity", multiplicity, f"must be {len(tau)} positive integers, one for each tau")
    if min(tau) < 0:
        raise InvalidInput("tau", tuple(tau), "must not be negative")
    if not len(angles) or not len(replicas) or min(replicas) < 2 or width < 1 or ensembles < 1:
        raise InvalidInput("replicas", tuple(replicas), "needs angles, replicas >= 2, width >= 1 and ensembles >= 1")
    if not 1 / (draws + 1) <= level < 1:
        raise InvalidInput("level", level, f"must be at least 1 / (draws + 1) = {1 / (draws + 1):.3g}, and below 1")
    generator = generator_of(seed)
    group = SymmetryGroup(np.eye(sum(multiplicity)), 0, tuple(multiplicity))
    scale = np.sqrt(np.repeat(np.asarray(tau, dtype=float), multiplicity))
    turns = [neighbour_rotation(group, angle) for angle in angles]
    found = np.zeros((len(angles), len(replicas)))
    for r, count in enumerate(replicas):
        for _ in range(ensembles):
            vectors = generator.standard_normal((count, width, len(scale))) * scale
            moments = vectors.mT @ vectors / width
            test_seed = int(generator.integers(2**62))
            for a, turn in enumerate(turns):
                test = randomization_test(turn @ moments @ turn.T, group, draws=draws, seed=test_seed)
                found[a, r] += test.pvalue <= level
    share = found / ensembles
    error = np.sqrt(share * (1 - share) / ensembles)
    return RotationPower(np.asarray(angles, dtype=float), tuple(replicas), share, error, level, ensembles)


@dataclass(frozen=True, eq=False)
class _Null:
    """Ensembles with the noise of the given one and without violation, in the basis of the group."""

    group: SymmetryGroup
    weights: np.ndarray  # (K,)
    turned: np.ndarray  # (K, d, d): one such ensemble, its blocks
    commutant: np.ndarray  # (d, d): Π(S̄)
    means: np.ndarray  # (n, d, d): the means of n such ensembles
    level: float
    power: float

    def smallest(
        self,
        quantity: Literal["rotation", "energy"],
        plant: Callable[[float, np.ndarray], np.ndarray],
        sizes: np.ndarray,
        reported: Callable[[float], float],
    ) -> Detectable:
        """The smallest of `sizes`, refined by bisection, whose planted violation is found with the wanted power."""
        outside = Outside(self.group)

        def critical(size: float) -> float:
            return null_critical_value(self.weights, plant(size, self.turned), self.group, self.level)

        def found(size: float) -> bool:
            energies = np.sum(outside.coordinates(plant(size, self.means)) ** 2, axis=-1)
            return bool(np.mean(energies >= critical(size)) >= self.power)

        def record(size: float | None) -> Detectable:
            value = None if size is None else reported(size)
            return Detectable(value, quantity, critical(size or 0.0), self.level, self.power, len(self.weights))

        finite = max(self.group.sizes, default=1) == 1
        # one sign of a block without fixed directions has no effect
        free = self.group.dimension - max(self.group.fixed, 1)
        bits = (len(self.weights) - 1) * free
        if outside.size == 0 or (finite and 2.0**-bits > self.level):
            return record(None)
        high = next((float(size) for size in sizes if found(size)), None)
        if high is None:
            return record(None)
        low = high * float(sizes[0] / sizes[1])
        for _ in range(12):
            middle = (low + high) / 2
            low, high = (low, middle) if found(middle) else (middle, high)
        return record(high)


def _prepare(
    second_moments: Array,
    group: SymmetryGroup,
    counts: Array | None,
    blocks: int | None,
    level: float,
    power: float,
    draws: int,
    seed: int,
) -> _Null:
    check_draws(draws)
    if not 0 < level < 1 or not 0 < power < 1:
        raise InvalidInput("level, power", (level, power), "must lie between 0 and 1")
    generator = generator_of(seed)
    moments, sizes = block_moments(second_moments, group.dimension, counts, blocks)
    moments, weights = rotated(group.basis, moments), sizes / sizes.sum()
    commutant = inside(group, np.einsum("k,kij->ij", weights, moments))
    chunks = list(randomized_coordinates(moments, weights, group, draws, generator))
    means = commutant + Outside(group).matrices(np.concatenate(chunks))
    turns = SymmetryGroup(np.eye(group.dimension), group.fixed, group.sizes).draw(generator, len(weights))
    return _Null(group, weights, turns @ moments @ turns.mT, commutant, means, level, power)


def irreducible_variances(weights: np.ndarray, blocks: np.ndarray, group: SymmetryGroup) -> list[tuple[float, int]]:
    """(v, n): the energy of the randomized mean is nearly Σ v χ²_n, over the irreducible parts outside the commutant.

    Two blocks a ≠ b: m_a m_b dimensions. One block of size m: its symmetric traceless matrices, m(m + 1)/2 − 1. The f
    fixed directions and a block: f copies of the same part, whose covariance is diagonalised first.
    """
    weighted = weights[:, None, None] * (blocks - inside(group, blocks))
    parts = []
    for a, b in combinations(group.slices, 2):
        n = (a.stop - a.start) * (b.stop - b.start)
        parts.append((2 * float(np.sum(weighted[:, a, b] ** 2)) / n, n))
    for s in group.slices:
        m = s.stop - s.start
        if m > 1:
            n = m * (m + 1) // 2 - 1
            parts.append((float(np.sum(weighted[:, s, s] ** 2)) / n, n))
        if group.fixed:
            lines = weighted[:, : group.fixed, s]
            covariance = 2 * np.einsum("kfi,kgi->fg", lines, lines) / m
            parts += [(max(float(v), 0.0), m) for v in np.linalg.eigvalsh(covariance)]
    return parts


def _noisiest(group: SymmetryGroup, weights: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """The unit matrix (d, d) outside the commutant, among the parts off the diagonal, where the mean varies most."""
    weighted = weights[:, None, None] * (blocks - inside(group, blocks))
    best, direction = -1.0, np.zeros(weighted.shape[1:])
    candidates: list[tuple[float, np.ndarray, int]] = []
    unit = np.eye(group.dimension)
    for a, b in combinations(group.slices, 2):
        n = (a.stop - a.start) * (b.stop - b.start)
        candidates.append((float(np.sum(weighted[:, a, b] ** 2)) / n, unit[a.start], b.start))
    for s in group.slices:
        m = s.stop - s.start
        if m > 1:
            n = m * (m + 1) - 2
            candidates.append((float(np.sum(weighted[:, s, s] ** 2)) / n, unit[s.start], s.start + 1))
        if group.fixed:
            lines = weighted[:, : group.fixed, s]
            values, vectors = np.linalg.eigh(np.einsum("kfi,kgi->fg", lines, lines) / m)
            candidates.append((float(values[-1]), unit[:, : group.fixed] @ vectors[:, -1], s.start))
    for variance, line, column in candidates:
        if variance > best:
            half = np.outer(line, unit[column])
            best, direction = variance, (half + half.T) / np.sqrt(2)
    return direction
