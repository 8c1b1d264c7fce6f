"""The result of a check: one layer's weights compared with the moments of its data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reports.check.cautions import cautions
from reports.check.composition import Composition, composition
from reports.check.display import DisplayedCheck
from reports.check.estimates import TransferFunction, Weights, interval_of, shape_seen, transfer_function, without_noise
from reports.check.exact import Aligned, exact_tests
from reports.check.independence import Relation, relations, representatives
from reports.check.mean import MeanTest
from reports.check.moments import DataMoment
from reports.check.needed import filters_needed
from reports.check.orientation import Anisotropy, Orientation, directions, orientation_needed
from reports.check.random_basis import random_bases, random_basis_energies, regularised
from reports.check.shape_law import shape_law
from reports.check.turns import filters_pvalue, isotropic_turns
from reports.check.verdict import LEVEL, Evidence, LayerVerdict, VerdictMeasure, by_orientation, verdict_on
from reports.check.weights import WeightVectors
from theory.decomposition import ShapeFit
from theory.eigenspaces import Eigenspaces, eigenspaces
from theory.errors import InvalidInput
from theory.misalignment import misalignment_squared, null_floor
from theory.symmetry import SymmetryGroup
from theory.testing import randomization_test


@dataclass(frozen=True)
class RandomBasis:
    """The test against random orientations: p-value, effect 1 − M / median (None if all are alike), and the median.

    `quantity` is "misalignment", or "energy" for singular weights, which have no M: the root of the share of ‖B‖²
    outside the matrices aligned with the data then takes its place.

    `without_noise` is about the M of a random basis for the same weights, corrected for sampling noise. The interval of
    M, which is corrected likewise, is compared with it.
    """

    pvalue: float
    effect: float | None
    median: float
    without_noise: float | None
    quantity: Literal["misalignment", "energy"]


@dataclass(frozen=True, eq=False, repr=False)
class Check(DisplayedCheck):
    """The alignment of one layer with its data.

    Attributes
    ----------
    dimension : int
        d, without coordinates that never vary.
    filters : int
        m, the number of weight vectors per network.
    networks : int
        How many networks were given.
    independent : int
        How many of them count: only the first of related networks counts.
    related : tuple of Relation
        Pairs of networks that are not independent trainings.
    rank : int
        The rank of Σ_w, the mean over networks of W'W/m.
    misalignment, misalignment_squared : float or None
        M and M²; None where the rank is below d, and M is not defined.
    null_floor : float or None
        E[M²] of as many independent vectors under perfect alignment; None for fewer than d + 1 of them.
    random_basis : RandomBasis
    orientation : Orientation
        How much of the anisotropy of the filters' directions is aligned with the data: finite at every rank.
    aligned : Aligned
    mean : MeanTest or None
        Exact alignment under the group that fixes the mean of the data, which is all that the theorem requires for such
        data; None for data without a mean, or centred data.
    isotropic : float
        p-value of isotropic weights, which are aligned with any data. The null hypothesis is that of `aligned`, for
        sign flips and cyclic shifts of the coordinates (for several networks: all rotations).
    transfer_function : TransferFunction
    interval : (float, float) or None
        95 % interval of M, corrected for sampling noise; None if there are too few vectors or trainings. The upper end
        is infinite if so few vectors do not bound M.
    shape : str or None
        The shape of f: "falls", "rises", "rises, then falls", or "other"; None if it is undecided.
    joined : tuple of (float, float, int)
        Groups of eigenvalues that were merged: lowest, highest, how many.
    samples, vectors : int
        The numbers of samples, and of the rows or patches in them.
    dropped : int
        How many coordinates never vary.
    needed : int or None
        How many independent weight vectors are enough for a verdict (see `orientation_needed`, `filters_needed`); None
        if there is a verdict, or if no number is known to be enough.
    verdict : "aligned", "partly aligned", "not aligned" or "undecided"
    measure : "misalignment" or "orientation"
        What the verdict rests on; if undecided, the one that is usual for so many vectors.
    explanation : str
        The verdict in words.
    warnings : tuple of str
    shape_law : ShapeFit or None
        Two laws fitted to f as descriptions; None if there are too few eigenspaces, networks or vectors.
    composition : Composition or None
        How much of Σ_w is transformed initial weights; None if these are not given.
    """

    dimension: int
    filters: int
    networks: int
    independent: int
    related: tuple[Relation, ...]
    rank: int
    misalignment: float | None
    misalignment_squared: float | None
    null_floor: float | None
    random_basis: RandomBasis
    orientation: Orientation
    aligned: Aligned
    mean: MeanTest | None
    isotropic: float
    transfer_function: TransferFunction
    interval: tuple[float, float] | None
    shape: str | None
    joined: tuple[tuple[float, float, int], ...]
    samples: int
    vectors: int
    dropped: int
    needed: int | None
    verdict: LayerVerdict
    measure: VerdictMeasure
    explanation: str
    warnings: tuple[str, ...]
    shape_law: ShapeFit | None = None
    composition: Composition | None = None


def judge_layer(
    layers: Sequence[WeightVectors],
    data: DataMoment,
    *,
    ridge: float = 0.0,
    seed: int = 0,
    initial: Sequence[WeightVectors] = (),
) -> Check:
    """Compare the weights of one network, or of several independent trainings, with the moments of the data.

    `initial` are their weights before training, in the same order, if given.

    Raises
    ------
    InvalidInput
        If layers differ in shape, are equal, or are all zero on the coordinates that vary, or if ridge is not a share.
    """
    if not 0 <= ridge < 1:
        raise InvalidInput("ridge", ridge, "must lie in [0, 1)")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InvalidInput("seed", seed, "must be an integer that is not negative")
    _check_layers(layers)
    spaces = data.eigenspaces()
    given = Weights.of(layers, data.varies)
    related = relations(given.scaled(spaces), seed=seed)
    kept = representatives(len(layers), related)
    weights = given if len(kept) == len(layers) else Weights.of([layers[r] for r in kept], data.varies)
    joined = _joined(spaces, data)
    draws = int(np.clip(999 * (256 / spaces.dimension) ** 3, 99, 999))
    invertible = weights.full or ridge > 0
    every = weights.vectors.reshape(-1, spaces.dimension)

    squared = float(misalignment_squared(spaces, regularised(weights.mean, ridge))) if invertible else None
    floor = None if ridge else _floor(spaces, weights, seed)
    interval = None if ridge else interval_of(spaces, weights, floor, seed)
    both = [every, directions(every)]
    if squared is None:
        energies = random_basis_energies(spaces, both, draws=draws, seed=seed)
        basis, turned = (_by_energy(spaces, *energy) for energy in energies)
    else:
        own = eigenspaces(regularised(weights.mean, ridge))
        values = np.repeat(own.eigenvalues, own.multiplicity)
        (energy,), null = random_bases(spaces, both[1:], eigenvalues=values, draws=draws, seed=seed)
        alike = 1 in (len(spaces.multiplicity), len(own.multiplicity))
        basis = _by_misalignment(math.sqrt(squared), null, floor, spaces.dimension, alike)
        turned = _by_energy(spaces, *energy)
    aligned, mean = exact_tests(data, weights, draws=draws, seed=seed)
    isotropic = _isotropic(weights, draws, seed)
    anisotropy = Anisotropy.of(spaces, weights)
    evidence = Evidence(
        networks=len(kept),
        eigenspaces=len(spaces.multiplicity),
        rank=weights.rank,
        dimension=spaces.dimension,
        reference=basis.without_noise,
        interval=interval,
        oriented=basis.pvalue,
        effect=anisotropy.interval,
        turned=turned.pvalue,
        aligned=aligned.pvalue,
        isotropic=isotropic,
    )
    conclusion = verdict_on(evidence)
    made_of = composition(spaces, layers, initial, data.varies, kept) if initial else None
    return Check(
        dimension=spaces.dimension,
        filters=len(layers[0].vectors),
        networks=len(layers),
        independent=len(kept),
        related=related,
        rank=weights.rank,
        misalignment=None if squared is None else math.sqrt(squared),
        misalignment_squared=squared,
        null_floor=floor,
        random_basis=basis,
        orientation=Orientation(
            effect=anisotropy.effect,
            interval=anisotropy.interval,
            share=anisotropy.share,
            chance=anisotropy.chance,
            pvalue=turned.pvalue,
            verdict=by_orientation(evidence),
        ),
        aligned=aligned,
        mean=mean,
        isotropic=isotropic,
        transfer_function=transfer_function(spaces, weights),
        interval=interval,
        shape=shape_seen(weights.variances(spaces)),
        joined=joined,
        samples=data.samples,
        vectors=data.vectors,
        dropped=data.dropped,
        needed=_needed(spaces, weights, isotropic) if conclusion.verdict == "undecided" else None,
        verdict=conclusion.verdict,
        measure=conclusion.measure,
        explanation=conclusion.explanation,
        warnings=cautions(
            [layers[r] for r in kept],
            data,
            alive=weights.alive,
            joined=joined,
            ridge=ridge,
            draws=draws,
            mean=mean,
            related=related,
            given=len(layers),
        ),
        shape_law=shape_law(spaces, weights, None if made_of is None else made_of.initial),
        composition=made_of,
    )


def _check_layers(layers: Sequence[WeightVectors]) -> None:
    if not layers:
        raise InvalidInput("weights", (), "at least one network is needed")
    shapes = {(layer.vectors.shape, layer.kernel) for layer in layers}
    if len(shapes) > 1:
        found = ", ".join(str(layer.vectors.shape) for layer in layers[:4])
        raise InvalidInput("weights.shape", found, "layers of independent trainings must have the same shape")
    seen: dict[bytes, int] = {}
    for r, layer in enumerate(layers, 1):
        first = seen.setdefault(layer.vectors.tobytes(), r)
        if first != r:
            raise InvalidInput(
                "weights", f"numbers {first} and {r}", "are the same: they are not independent trainings"
            )


def _joined(spaces: Eigenspaces, data: DataMoment) -> tuple[tuple[float, float, int], ...]:
    """The eigenspaces that were merged because of sampling errors: lowest and highest eigenvalue, dimension."""
    exact = data.exact_eigenspaces
    values = np.repeat(exact.eigenvalues, exact.multiplicity)
    ends = set(np.cumsum(exact.multiplicity).tolist())
    return tuple(
        (float(values[s.start]), float(values[s.stop - 1]), s.stop - s.start)
        for s in spaces.slices
        if ends & set(range(s.start + 1, s.stop))
    )


def _floor(spaces: Eigenspaces, weights: Weights, seed: int) -> float | None:
    if weights.alive <= spaces.dimension:
        return None
    return null_floor(spaces.multiplicity, weights.alive, seed=seed, draws=20_000).value


def _by_misalignment(
    observed: float, null: np.ndarray, floor: float | None, dimension: int, alike: bool
) -> RandomBasis:
    """The test by M, for weights whose second moment can be inverted."""
    if alike:
        null = np.full(len(null), observed)
    median = float(np.median(null))
    reference = None
    if floor is not None and math.isfinite(floor):
        reference = math.sqrt(max(without_noise(median**2, floor, dimension), 0))
    effect = None if alike else 1 - observed / median
    return RandomBasis(_share(null, observed), effect, median, reference, "misalignment")


def _by_energy(spaces: Eigenspaces, observed: float, null: np.ndarray) -> RandomBasis:
    """The test by the energy of the unaligned part, at any rank."""
    median = float(np.median(null))
    if len(spaces.multiplicity) == 1 or median == 0:
        return RandomBasis(1.0, None, median, None, "energy")
    return RandomBasis(_share(null, observed), 1 - observed / median, median, None, "energy")


def _share(null: np.ndarray, observed: float) -> float:
    """The p-value: the share of values at most as large, the observed one among them."""
    return (1 + int(np.count_nonzero(null <= observed * (1 + 1e-10)))) / (len(null) + 1)


def _isotropic(weights: Weights, draws: int, seed: int) -> float:
    dimension = len(weights.mean)
    if dimension == 1:
        return 1.0
    if len(weights.moments) == 1:
        return filters_pvalue(isotropic_turns(dimension), weights.vectors[0], draws=draws, seed=seed)
    group = SymmetryGroup(np.eye(dimension), 0, (dimension,))
    return randomization_test(weights.moments, group, draws=draws, seed=seed).pvalue


def _needed(spaces: Eigenspaces, weights: Weights, isotropic: float) -> int | None:
    """The smaller of the numbers that either measure needs, if that is more than there are."""
    found = (orientation_needed(spaces, weights), filters_needed(spaces, weights, isotropic > LEVEL))
    more = [needed for needed in found if needed is not None and needed > weights.alive]
    return min(more, default=None)
