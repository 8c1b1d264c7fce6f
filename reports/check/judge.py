"""The judgement: one layer's weights held against the moments of its data, as a frozen record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reports.check import nulls
from reports.check.cautions import cautions
from reports.check.estimates import TransferFunction, Weights, interval_of, shape_of, transfer_function, without_noise
from reports.check.moments import DataMoment
from reports.check.verdict import LEVEL, Evidence, Verdict, decide
from reports.check.weights import Filters
from theory.eigenspaces import Eigenspaces
from theory.errors import InvalidInput
from theory.misalignment import misalignment_squared, null_floor
from theory.symmetry import symmetry_group
from theory.testing import random_basis_test, randomization_test

_MISALIGNMENT_UP_TO = 128  # dimensions up to which the exact test can afford M as its statistic


@dataclass(frozen=True)
class RandomBasis:
    """Against random orientations: p-value, effect 1 − M / median (None where all are alike), and that median.

    `quantity` is "misalignment", or "energy" for singular weights, whose M is infinite: the root of the share of
    ‖B‖² outside the matrices aligned with the data then takes the place of M.

    `without_noise` is about the M of a random basis for the same weights without the noise of finitely many vectors.
    The interval of M is free of it too, and is held against this.
    """

    pvalue: float
    effect: float | None
    median: float
    without_noise: float | None
    quantity: Literal["misalignment", "energy"]


@dataclass(frozen=True)
class Aligned:
    """Against weights that are exactly aligned: p-value and method; small p: not exactly aligned."""

    pvalue: float
    method: Literal["parametric-null", "randomization"]


@dataclass(frozen=True, eq=False)
class Check:
    """What is known of the alignment of one layer with its data.

    Attributes
    ----------
    dimension : int
        d, coordinates that never vary left out.
    filters : int
        m, the weight vectors of one network.
    networks : int
        Independent trainings.
    rank : int
        Of Σ_w, the mean over networks of W'W/m.
    misalignment, misalignment_squared : float
        M and M²; infinite where the rank is below d.
    null_floor : float or None
        E[M²] of as many independent vectors under perfect alignment; None for fewer than d + 1 of them.
    random_basis : RandomBasis
    aligned : Aligned
    isotropic : float
        p-value of isotropic weights; what is isotropic is aligned with everything.
    transfer_function : TransferFunction
    interval : (float, float) or None
        Of M without the noise of finitely many vectors, 95 %; None where there are too few vectors or trainings.
    shape : str or None
        Of f: "falls", "rises", "rises, then falls", or "other"; None: undecided.
    joined : tuple of (float, float, int)
        The eigenvalues that could not be told apart: lowest, highest, how many.
    samples, vectors : int
        Samples of the data, and the rows or patches in them.
    dropped : int
        Coordinates that never vary.
    needed : int or None
        About how many independent weight vectors a sharper answer needs (see `_needed`); None where there are enough,
        or nothing is known.
    verdict : "aligned", "not aligned" or "undecided"
    explanation : str
        The verdict in words.
    warnings : tuple of str
    """

    dimension: int
    filters: int
    networks: int
    rank: int
    misalignment: float
    misalignment_squared: float
    null_floor: float | None
    random_basis: RandomBasis
    aligned: Aligned
    isotropic: float
    transfer_function: TransferFunction
    interval: tuple[float, float] | None
    shape: str | None
    joined: tuple[tuple[float, float, int], ...]
    samples: int
    vectors: int
    dropped: int
    needed: int | None
    verdict: Verdict
    explanation: str
    warnings: tuple[str, ...]


def judge(layers: Sequence[Filters], data: DataMoment, *, ridge: float = 0.0, seed: int = 0) -> Check:
    """Hold the weights of one network, or of several independent trainings, against the moments of the data.

    Raises
    ------
    InvalidInput
        Where layers differ in shape or are the same, are all zero on the coordinates that vary, or ridge is no share.
    """
    if not 0 <= ridge < 1:
        raise InvalidInput("ridge", ridge, "must lie in [0, 1)")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InvalidInput("seed", seed, "must be an integer that is not negative")
    _check_layers(layers)
    weights = Weights.of(layers, data.varies)
    spaces = data.eigenspaces()
    joined = _joined(spaces, data)
    draws = int(np.clip(999 * (256 / spaces.dimension) ** 3, 99, 999))
    invertible = weights.full or ridge > 0

    squared = float(misalignment_squared(spaces, nulls.regularised(weights.mean, ridge))) if invertible else math.inf
    floor = None if ridge else _floor(spaces, weights, seed)
    interval = None if ridge else interval_of(spaces, weights, floor, seed)
    basis = _random_basis(spaces, nulls.regularised(weights.mean, ridge), invertible, floor, draws, seed)
    aligned = _aligned(spaces if not joined else data.known_eigenspaces(), weights, bool(joined), ridge, draws, seed)
    isotropic = _isotropic(weights, draws, seed)
    evidence = Evidence(
        networks=len(layers),
        eigenspaces=len(spaces.multiplicity),
        reference=basis.without_noise,
        interval=interval,
        oriented=basis.pvalue,
        aligned=aligned.pvalue,
        isotropic=isotropic,
    )
    verdict, explanation = decide(evidence)
    return Check(
        dimension=spaces.dimension,
        filters=len(layers[0].vectors),
        networks=len(layers),
        rank=weights.rank,
        misalignment=math.sqrt(squared),
        misalignment_squared=squared,
        null_floor=floor,
        random_basis=basis,
        aligned=aligned,
        isotropic=isotropic,
        transfer_function=transfer_function(spaces, weights),
        interval=interval,
        shape=shape_of(weights.variances(spaces)),
        joined=joined,
        samples=data.samples,
        vectors=data.vectors,
        dropped=data.dropped,
        needed=_needed(spaces, weights, basis, isotropic),
        verdict=verdict,
        explanation=explanation,
        warnings=cautions(
            layers, data, rank=weights.rank, alive=weights.alive, joined=joined, ridge=ridge, draws=draws
        ),
    )


def _check_layers(layers: Sequence[Filters]) -> None:
    if not layers:
        raise InvalidInput("weights", (), "at least one network is needed")
    shapes = {(layer.vectors.shape, layer.kernel) for layer in layers}
    if len(shapes) > 1:
        found = ", ".join(str(layer.vectors.shape) for layer in layers[:4])
        raise InvalidInput("weights.shape", found, "independent trainings have layers of one shape")
    seen: dict[bytes, int] = {}
    for r, layer in enumerate(layers, 1):
        first = seen.setdefault(layer.vectors.tobytes(), r)
        if first != r:
            raise InvalidInput("weights", f"numbers {first} and {r}", "are the same: they are no independent trainings")


def _joined(spaces: Eigenspaces, data: DataMoment) -> tuple[tuple[float, float, int], ...]:
    """The eigenspaces that are one only because of sampling errors: lowest and highest eigenvalue, dimension."""
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


def _random_basis(
    spaces: Eigenspaces, mean: np.ndarray, invertible: bool, floor: float | None, draws: int, seed: int
) -> RandomBasis:
    if invertible:
        test = random_basis_test(spaces, mean, draws=draws, seed=seed)
        median = float(np.median(test.null_distribution))
        reference = None
        if floor is not None and math.isfinite(floor):
            reference = math.sqrt(max(without_noise(median**2, floor, spaces.dimension), 0))
        return RandomBasis(test.pvalue, test.effect, median, reference, "misalignment")
    observed, null = nulls.random_basis_energy(spaces, mean, draws=draws, seed=seed)
    median = float(np.median(null))
    alike = len(spaces.multiplicity) == 1 or median == 0
    pvalue = 1.0 if alike else (1 + int(np.count_nonzero(null <= observed * (1 + 1e-10)))) / (draws + 1)
    return RandomBasis(pvalue, None if alike else 1 - observed / median, median, None, "energy")


def _aligned(spaces: Eigenspaces, weights: Weights, joined: bool, ridge: float, draws: int, seed: int) -> Aligned:
    if len(weights.moments) == 1:
        pvalue = nulls.aligned_pvalue(
            spaces, weights.mean, weights.alive, joined=joined, ridge=ridge, draws=draws, seed=seed
        )
        return Aligned(pvalue, "parametric-null")
    if joined:
        pvalue = nulls.between_randomization_pvalue(spaces, weights.moments, draws=draws, seed=seed)
    else:
        whole = weights.full and spaces.dimension <= _MISALIGNMENT_UP_TO
        statistic: Literal["misalignment", "energy"] = "misalignment" if whole else "energy"
        group = symmetry_group(spaces)
        pvalue = randomization_test(weights.moments, group, statistic=statistic, draws=draws, seed=seed).pvalue
    return Aligned(pvalue, "randomization")


def _isotropic(weights: Weights, draws: int, seed: int) -> float:
    dimension = len(weights.mean)
    if dimension == 1:
        return 1.0
    if len(weights.moments) == 1:
        return nulls.isotropic_pvalue(weights.mean, weights.alive, draws=draws, seed=seed)
    return randomization_test(weights.moments, nulls.isotropic_group(dimension), draws=draws, seed=seed).pvalue


def _needed(spaces: Eigenspaces, weights: Weights, basis: RandomBasis, isotropic: float) -> int | None:
    """N for which noise alone, [d (d + 1) − 2 k] / (2 N) for N ≫ d, is a quarter of a random basis's M² without it.

    Where the weights are singular, so that this M² is unknown, N for which noise alone gives M = 1.
    """
    d, k = spaces.dimension, len(spaces.multiplicity)
    if basis.quantity == "energy":
        tolerated = 1.0
    elif isotropic > LEVEL or not basis.without_noise:
        return None
    else:
        tolerated = basis.without_noise**2 / 4
    needed = d + math.ceil((d * (d + 1) - 2 * k) / (2 * tolerated))
    return needed if needed > weights.alive else None
