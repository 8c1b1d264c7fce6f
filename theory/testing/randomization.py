"""The exact test of the alignment theorem: is the law of the weights invariant under the group of the data?

The theorem (arXiv:2006.10455, Prop. 1) is proved by showing that the law of the first-layer weights of one training
is invariant under every g that leaves the law of the data invariant. Independent replicas may then be turned by
independent g's without changing their joint law: a test without asymptotics (theory/derivations.md, section 3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, get_args

import numpy as np

from theory.arrays import Array, to_numpy
from theory.errors import InvalidInput
from theory.symmetry import SymmetryGroup
from theory.testing.blocks import (
    Outside,
    block_moments,
    block_weights,
    inside,
    merge_blocks,
    misalignment_in_basis,
    rotated,
)
from theory.testing.orbits import pooled_sums, signed_sums

Statistic = Literal["energy", "misalignment"]

_TIE = 1e-10  # relative; without it rounding alone decides ties (p down to .03 where it must be 1)
_KEPT = 100_000


@dataclass(frozen=True, eq=False)
class RandomizationTest:
    """The outcome of a randomization test.

    Attributes
    ----------
    statistic : float
        T of the data.
    pvalue : float
        (1 + exceedances) / (draws + 1): P(p ≤ α) ≤ α under H0 for every α.
    null_distribution : ndarray
        T of the turned data; if there were more than 100,000 draws, the first 100,000, an unselected sample.
    exceedances : int
        How many T reached T of the data, over *all* draws (relative tolerance 1e-10).
    draws : int
    blocks : int
        How many independent blocks were turned, after merging.
    name : str
        "energy", "misalignment" or "mean".
    """

    statistic: float
    pvalue: float
    null_distribution: np.ndarray
    exceedances: int
    draws: int
    blocks: int
    name: str


def randomization_test(
    second_moments: Array,
    /,
    group: SymmetryGroup,
    *,
    counts: Array | None = None,
    statistic: Statistic = "energy",
    draws: int = 999,
    blocks: int | None = None,
    seed: int = 0,
) -> RandomizationTest:
    """Test H0: the law of each replica's S_r = W_rᵀ W_r / m is G-invariant, so that Σ_w is aligned with Σ_x (claim A3).

    Under H0 (S_1 … S_R) and (g_1 S_1 g_1ᵀ … g_R S_R g_Rᵀ), independent Haar g_r ∈ G, have the same law, so that
    p = (1 + #{b : T_b ≥ T}) / (N + 1) is exact at every R ≥ 2, width and dimension. Block means S̄_k over replicas serve
    as well: turning all replicas of a block by the *same* g leaves their joint law as it is (a product of invariant
    laws is invariant under the diagonal action), hence the law of S̄_k, and blocks are independent. T is a function of
    the mean S̄ = Σ_k N_k S̄_k / Σ N_k: "energy" ‖S̄ − Π(S̄)‖_F², Π the twirl of G; "misalignment" M(S̄)² against the
    commutant of G (with fixed directions, in which the aligned matrix is free: see `misalignment_in_basis`).

    Size is α when α(N + 1) is an integer and T has no ties. With d distinct eigenvalues G is finite: T takes at most
    2^{(d−1)(R−1)} values, p is no smaller than about the inverse, and ties make the test conservative at R = 2, 3.

    Parameters
    ----------
    second_moments : Array, shape (K, d, d)
        One second moment per replica, or block means. Replicas must be independent: each with its own data *and* init
        (sharing the data gave a size of .60 at .01); never the neurons of one network, which share data and labels.
    group : SymmetryGroup
        The group of the *population* Σ_x (and mean), known beforehand, not estimated from the same replicas.
    counts : (K,), optional
        The number of replicas in each block, by default equal.
    statistic : "energy" or "misalignment"
    draws : int
        N. p-values below 1e-6 need N ≥ 1,000,001. Two million draws at d = 8 in 64 blocks take seconds ("energy").
    blocks : int, optional
        First merge to this many blocks, block k into block k mod `blocks` (a fixed rule, so the test remains exact).
    seed : int

    Returns
    -------
    RandomizationTest

    Raises
    ------
    InvalidInput
        If shapes are bad, there are fewer than two blocks (both statistics are then invariant under G, and nothing can
        be tested), draws < 1, or the seed is negative; for "misalignment" also if the mean is singular.

    Examples
    --------
    >>> import numpy as np
    >>> from theory.symmetry import SymmetryGroup
    >>> rng = np.random.default_rng(1)
    >>> w = rng.standard_normal((40, 50, 3)) * [1.0, 2.0, 3.0]       # 40 replicas of 50 neurons, aligned with the axes
    >>> moments = w.mT @ w / 50
    >>> axes = SymmetryGroup(np.eye(3), 0, (1, 1, 1))
    >>> randomization_test(moments, axes).pvalue > 0.01
    True
    >>> turned, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    >>> randomization_test(turned @ moments @ turned.T, axes).pvalue
    0.001
    """
    if statistic not in get_args(Statistic):
        raise InvalidInput("statistic", statistic, "must be 'energy' or 'misalignment'")
    check_draws(draws)
    generator = generator_of(seed)
    moments, sizes = block_moments(second_moments, group.dimension, counts, blocks)
    moments, power = _of_order_one(moments)
    moments, weights = rotated(group.basis, moments), sizes / sizes.sum()
    outside = Outside(group)
    mean = np.einsum("k,kij->ij", weights, moments)
    commutant = inside(group, mean)
    kernel = _energy if statistic == "energy" else _misalignment(group, outside, commutant)
    observed = float(kernel(outside.coordinates(mean)[None])[0])
    rounding = 64 * group.dimension * np.finfo(float).eps
    lengths = np.linalg.eigvalsh(mean)
    if statistic == "misalignment" and not lengths[0] > rounding * lengths[-1]:
        rule = "'misalignment' needs a positive definite mean second moment: use 'energy', or the span of the weights"
        raise InvalidInput("second_moments", "singular mean", rule)
    sums = randomized_coordinates(moments, weights, group, draws, generator)
    slack = (
        rounding * np.linalg.cond(commutant) if statistic == "misalignment" else (rounding * np.linalg.norm(mean)) ** 2
    )
    found = _outcome(observed, (kernel(chunk) for chunk in sums), draws, len(weights), statistic, slack)
    return found if statistic == "misalignment" else _in_units(found, power)


def mean_randomization_test(
    means: Array,
    /,
    group: SymmetryGroup,
    *,
    counts: Array | None = None,
    draws: int = 999,
    blocks: int | None = None,
    seed: int = 0,
) -> RandomizationTest:
    """Test H0: E[w] lies in the span of the directions that G fixes (claims A3, A5; without any, E[w] = 0).

    T = ‖(I − P_fixed) w̄‖², w̄ = Σ_k N_k w̄_k / Σ N_k, against independently turned block means g_k w̄_k. Exact by the
    same argument as `randomization_test`, with the same parameters; `means` has shape (K, d).

    Raises InvalidInput for the same reasons; one block is refused, since T is then invariant under G.
    """
    check_draws(draws)
    generator = generator_of(seed)
    d, f = group.dimension, group.fixed
    if means.ndim != 2 or means.shape[1] != d:
        raise InvalidInput("means.shape", tuple(means.shape), f"must be (K, {d}): one mean for each independent block")
    values = to_numpy(means)
    if not np.all(np.isfinite(values)):
        raise InvalidInput("means", "nan or inf", "must be finite")
    values, sizes = merge_blocks(values, block_weights("means", len(values), counts), blocks)
    values, power = _of_order_one(values)
    weights = sizes / sizes.sum()
    free = weights[:, None] * (values @ to_numpy(group.basis))[:, f:]
    observed = float(np.sum(free.sum(axis=0) ** 2))
    slack = (64 * d * np.finfo(float).eps) ** 2 * float(np.sum(weights @ values**2))
    sums = randomized_means(values @ to_numpy(group.basis), weights, group, draws, generator)
    return _in_units(_outcome(observed, (_energy(chunk) for chunk in sums), draws, len(weights), "mean", slack), power)


def escalating_randomization_test(
    second_moments: Array,
    /,
    group: SymmetryGroup,
    *,
    counts: Array | None = None,
    statistic: Statistic = "energy",
    level: float = 1e-6,
    screen: float = 1e-3,
    blocks: int = 64,
    seed: int = 0,
) -> RandomizationTest:
    """A randomization test that can resolve `level`, at the cost of 1,999 draws if H0 is true.

    First, 1,999 draws give p_1. Only if p_1 ≤ `screen`, ⌈2/level⌉ new and independent draws on at most `blocks` merged
    blocks give p_2, which is then the p-value. It is valid at every α: p_1 and p_2 are each exact p-values. For α <
    screen, {p ≤ α} ⊂ {p_2 ≤ α}; for α ≥ screen, {p ≤ α} ⊂ {p_1 ≤ α}, as escalation needs p_1 ≤ screen ≤ α. Either has
    probability ≤ α. The loss is power if p_1 > screen although p_2 would have been ≤ level: a p of 1e-6 exceeds
    the screen with probability about 2e-6. The least p is level/2 (rounded): `level` itself can be undercut.

    Raises InvalidInput as `randomization_test` does, and unless 0 < level < screen < 1.
    """
    return escalated(
        partial(randomization_test, statistic=statistic), second_moments, group, counts, level, screen, blocks, seed
    )


def escalated(
    test: Callable[..., RandomizationTest],
    values: Array,
    group: SymmetryGroup,
    counts: Array | None,
    level: float,
    screen: float,
    blocks: int,
    seed: int,
) -> RandomizationTest:
    """The escalation that `escalating_randomization_test` describes, of any randomization test."""
    if not 0 < level < screen < 1:
        raise InvalidInput("level", level, f"must lie between 0 and screen = {screen}")
    first_seed, second_seed = (int(s.generate_state(1, np.uint64)[0]) for s in _sequence(seed).spawn(2))
    first = test(values, group, counts=counts, draws=1999, seed=first_seed)
    if first.pvalue > screen:
        return first
    return test(values, group, counts=counts, draws=int(np.ceil(2 / level)), blocks=blocks, seed=second_seed)


def randomized_coordinates(
    moments: np.ndarray, weights: np.ndarray, group: SymmetryGroup, draws: int, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """Chunks (n, P) of the coordinates outside the commutant of Σ_k w_k g_k S_k g_kᵀ; `moments` in the group basis."""
    outside = Outside(group)
    if max(group.sizes, default=1) == 1:
        values = weights[:, None] * outside.coordinates(moments)
        return signed_sums(values, *outside.pairs, group.fixed, draws, generator)
    # g Π(S) gᵀ = Π(S): only the part outside is turned, so that nothing cancels
    residues = weights[:, None, None] * (moments - inside(group, moments))

    def orbit(k: int, elements: np.ndarray, origin: int) -> np.ndarray:
        start = elements[origin].T @ residues[k] @ elements[origin]
        return outside.coordinates(elements @ start @ elements.mT)

    return pooled_sums(orbit, group, len(weights), outside.size, draws, generator)


def randomized_means(
    means: np.ndarray, weights: np.ndarray, group: SymmetryGroup, draws: int, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """Chunks (n, d − f) of Σ_k w_k g_k w̄_k outside the fixed directions; `means` (K, d) in the basis of the group."""
    d, f = group.dimension, group.fixed
    free = weights[:, None] * means[:, f:]
    if max(group.sizes, default=1) == 1:
        # coordinate 0 is a stand-in for a fixed direction: the sign of coordinate i alone
        index = np.arange(1, d - f + 1)
        return signed_sums(free, index, np.zeros_like(index), 1, draws, generator)

    def orbit(k: int, elements: np.ndarray, origin: int) -> np.ndarray:
        return elements[:, f:, f:] @ (elements[origin, f:, f:].T @ free[k])

    return pooled_sums(orbit, group, len(weights), d - f, draws, generator)


def generator_of(seed: int) -> np.random.Generator:
    """The Philox generator of a seed."""
    return np.random.Generator(np.random.Philox(_sequence(seed)))


def _sequence(seed: int) -> np.random.SeedSequence:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InvalidInput("seed", seed, "must be an integer that is not negative")
    return np.random.SeedSequence(int(seed))


def check_draws(draws: int) -> None:
    """Raise InvalidInput unless `draws` is a positive integer."""
    if isinstance(draws, bool) or not isinstance(draws, (int, np.integer)) or draws < 1:
        raise InvalidInput("draws", draws, "must be a positive integer")


def _of_order_one(values: np.ndarray) -> tuple[np.ndarray, int]:
    """`values` over 2^n of the order of the largest, and n: squares do not overflow, p-values do not change."""
    power = int(np.frexp(np.abs(values).max(initial=0))[1])
    return np.ldexp(values, -power), power


def _in_units(found: RandomizationTest, power: int) -> RandomizationTest:
    """The statistics, which are squares, in the units of the data: 0 or infinite beyond the range of numbers."""
    with np.errstate(over="ignore", under="ignore"):
        statistic, null = (np.ldexp(part, 2 * power) for part in (found.statistic, found.null_distribution))
    return replace(found, statistic=float(statistic), null_distribution=null)


def _energy(coordinates: np.ndarray) -> np.ndarray:
    return np.sum(coordinates * coordinates, axis=-1)


def _misalignment(group: SymmetryGroup, outside: Outside, commutant: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The statistic as a function of the coordinates (n, P), the part in the commutant being invariant."""
    step = max(1, 2**18 // group.dimension**2)

    def kernel(coordinates: np.ndarray) -> np.ndarray:
        parts = [coordinates[i : i + step] for i in range(0, len(coordinates), step)]
        return np.concatenate([misalignment_in_basis(group, commutant + outside.matrices(part)) for part in parts])

    return kernel


def _outcome(
    observed: float, chunks: Iterator[np.ndarray], draws: int, blocks: int, name: str, slack: float
) -> RandomizationTest:
    """Count the draws that reach T; `slack` is the rounding error of T, so that T = 0 up to rounding gives p = 1."""
    threshold = observed * (1 - _TIE) - slack
    exceedances, kept, room = 0, [], _KEPT
    for values in chunks:
        exceedances += int(np.count_nonzero(values >= threshold))
        if room > 0:
            kept.append(np.array(values[:room]))
            room -= len(kept[-1])
    pvalue = (1 + exceedances) / (draws + 1)
    return RandomizationTest(observed, pvalue, np.concatenate(kept), exceedances, draws, blocks, name)
