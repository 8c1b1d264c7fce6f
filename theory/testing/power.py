"""The power of the randomization test: detectable rotations and energies, and measured power.

A test that does not reject is informative only together with its power. Here violations are planted into the noise of
the given ensemble; the critical value comes from a moment-matched tail, so that levels of 1e-6 do not need a million
draws. How often violations of the stated size are detected has been counted: see the guide on calibration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from theory.arrays import Array
from theory.errors import InvalidInput
from theory.symmetry import SymmetryGroup
from theory.testing.blocks import Outside, block_moments, inside, rotated
from theory.testing.null_energy import energy_critical, irreducible_energies, noisiest
from theory.testing.randomization import check_draws, generator_of, randomization_test, randomized_coordinates
from theory.testing.search import Search, check_level_and_power


@dataclass(frozen=True)
class Detectable:
    """The smallest violation of alignment that the energy test detects.

    Attributes
    ----------
    value : float or None
        The angle in radians, or δ = ‖B − Π(B)‖_F / ‖B‖_F; None if no size is detected with this probability.
    quantity : "rotation" or "energy"
    critical_value : float
        The energy from which p ≤ level, at the detectable size (without violation where value is None); approximate.
    level, power : float
        The level of the test, and the probability of detection.
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
        The angles in radians.
    replicas : tuple of int, length r
    power : ndarray, shape (a, r)
        The share of ensembles with p ≤ level; at angle 0, this is the size of the test.
    standard_error : ndarray, shape (a, r)
        The binomial standard error.
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
    """The smallest angle, up to π/4, at which a rotation of the weight eigenvectors would have been detected.

    The rotation turns neighbouring blocks of the group into each other, (1, 2), (3, 4) …, plane by plane, all by the
    same angle: neighbours usually have the closest weight variances, so this is one of the hard cases. Ensembles
    with the noise of the given one and no violation are g_k S̄_k g_kᵀ, Haar g_k ∈ G (the mean kept in the commutant);
    each is turned by the angle, and the energy of its mean is compared with the critical value at `level`, which
    `theory.testing.null_energy` computes for the *planted* blocks, since a violation widens its own null distribution.

    What a rotation does depends on how far neighbouring variances lie apart, which is known from the same ensemble.
    The probability accounts for this: at most a share 1 − `power` of all ensembles gives an angle at which a new
    ensemble, turned by it, is missed. If the variances are well separated, a rotation is detected in a new ensemble
    with probability `power`; if they are hardly separated, most ensembles give no angle, and more rotations by the
    stated angles are missed. Approximate; at extreme levels (1e-6) the critical value is too high, so the true power is
    larger than stated.

    Parameters
    ----------
    second_moments, group, counts, blocks
        Ensembles as for `randomization_test`; 64 blocks are what `escalating_randomization_test` uses.
    level, power : float
    draws : int
        Ensembles into which violations are planted; the resolution of the probability is 1/sqrt(draws).
    seed : int

    Returns
    -------
    Detectable
        The detectable angle; its value is None if nothing is detected: weights isotropic across all blocks, one block
        only, or too few replicas for `level` (2^{(d−1)(K−1)} < 1/level where all blocks have size 1).

    Raises
    ------
    InvalidInput
        As for `randomization_test`, and unless level and power lie between 0 and 1.
    """
    null, moments, generator = _prepare(second_moments, group, counts, blocks, level, power, draws, seed)
    outside = Outside(group)

    def plant(size: float, matrices: np.ndarray) -> np.ndarray:
        turn = neighbour_rotation(group, size)
        return turn @ matrices @ turn.T

    effects = outside.coordinates(plant(np.pi / 4, inside(group, moments)))
    scales = _effect_scales(effects, null.weights, draws, generator)
    return null.smallest(
        "rotation", plant, lambda size: plant(size, null.commutant), np.pi / 4, scales, lambda size: size
    )


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
    """The smallest relative off-commutant norm δ = ‖B − Π(B)‖_F / ‖B‖_F of Σ_w that would have been detected.

    As `detectable_rotation`, with the same parameters and errors, but the violation is one matrix outside the
    commutant, added to every block, in the direction in which the noise is largest. In every other direction it is
    detected at least as often: `power` is a lower bound. "A discrepancy of 5 % would have been detected with
    probability .9" holds when the value is at most .05.
    """
    null, _, _ = _prepare(second_moments, group, counts, blocks, level, power, draws, seed)
    direction = noisiest(group, null.weights, null.turned)
    norm = float(np.linalg.norm(null.commutant))

    def plant(size: float, matrices: np.ndarray) -> np.ndarray:
        return matrices + size * norm * direction

    return null.smallest(
        "energy", plant, lambda size: size * norm * direction, 1e2, None, lambda s: float(s / np.sqrt(1 + s * s))
    )


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
    noise: np.ndarray  # (n, d, d): the means of n such ensembles, less Π(S̄)
    search: Search

    def smallest(
        self,
        quantity: Literal["rotation", "energy"],
        plant: Callable[[float, np.ndarray], np.ndarray],
        added: Callable[[float], np.ndarray],
        largest: float,
        scale: np.ndarray | None,
        reported: Callable[[float], float],
    ) -> Detectable:
        """The smallest size up to `largest` at which the planted violation is detected with the required power.

        `plant` maps blocks and their noise to planted ones; `added` (d, d) is the part of the planted mean outside the
        commutant, which is known up to the factors `scale` (n,).
        """
        outside = Outside(self.group)

        def critical(size: float) -> float:
            energies = irreducible_energies(self.weights, plant(size, self.turned), self.group)
            return float(energy_critical(*energies, self.search.level)[0])

        def trial(size: float) -> tuple[np.ndarray, np.ndarray, float]:
            noise = outside.coordinates(plant(size, self.noise) - plant(size, np.zeros_like(self.commutant)))
            return noise, outside.coordinates(added(size)), critical(size)

        def record(size: float | None) -> Detectable:
            value = None if size is None else reported(size)
            return Detectable(
                value, quantity, critical(size or 0.0), self.search.level, self.search.power, len(self.weights)
            )

        finite = max(self.group.sizes, default=1) == 1
        # one sign of a block without fixed directions has no effect
        free = self.group.dimension - max(self.group.fixed, 1)
        bits = (len(self.weights) - 1) * free
        if outside.size == 0 or (finite and 2.0**-bits > self.search.level):
            return record(None)
        return record(self.search.smallest(trial, 1e-6 * largest, largest, scale))


def _prepare(
    second_moments: Array,
    group: SymmetryGroup,
    counts: Array | None,
    blocks: int | None,
    level: float,
    power: float,
    draws: int,
    seed: int,
) -> tuple[_Null, np.ndarray, np.random.Generator]:
    """The ensembles without violation, the blocks (K, d, d) that they come from, and the generator."""
    check_draws(draws)
    check_level_and_power(level, power)
    generator = generator_of(seed)
    moments, sizes = block_moments(second_moments, group.dimension, counts, blocks)
    moments, weights = rotated(group.basis, moments), sizes / sizes.sum()
    commutant = inside(group, np.einsum("k,kij->ij", weights, moments))
    chunks = list(randomized_coordinates(moments, weights, group, draws, generator))
    noise = Outside(group).matrices(np.concatenate(chunks))
    turns = SymmetryGroup(np.eye(group.dimension), group.fixed, group.sizes).draw(generator, len(weights))
    search = Search.over(*irreducible_energies(weights, moments, group), level, power, draws, generator)
    null = _Null(group, weights, turns @ moments @ turns.mT, commutant, noise, search)
    return null, moments, generator


def _effect_scales(effects: np.ndarray, weights: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """How large the true effect may be, as a multiple of the estimated one, in `draws` plausible ensembles.

    `effects` (K, P) of the blocks, whose weighted mean is the estimate e. Draws e* = e + Σ_k w_k ξ_k (e_k − e), ξ
    normal, scatter as e does about the truth; 2 tr Cov(e) removes the bias of ‖e*‖², which is twice that of ‖e‖².
    """
    mean = weights @ effects
    size = float(mean @ mean)
    if size == 0:
        return np.zeros(draws)
    spread = np.sqrt(len(weights) / (len(weights) - 1)) * weights[:, None] * (effects - mean)
    drawn = mean + generator.standard_normal((draws, len(weights))) @ spread
    return np.sqrt(np.maximum(np.sum(drawn**2, axis=1) - 2 * np.sum(spread**2), 0) / size)
