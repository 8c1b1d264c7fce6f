"""Tests of alignment reject what is true as rarely as they say, and intervals of the misalignment hold it.

Ensembles: K replicas of m weight vectors, whose covariance commutes with the group; "heavy tails": vectors of Student's
law with 3 degrees of freedom, with scales between replicas that are lognormal.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import scipy.linalg

from tests.calibration.study import Study
from theory.eigenspaces import Eigenspaces
from theory.misalignment import misalignment_squared
from theory.symmetry import SymmetryGroup, haar
from theory.testing import (
    escalating_mean_randomization_test,
    escalating_randomization_test,
    mean_randomization_test,
    misalignment_interval,
    random_basis_test,
    randomization_test,
)

Draw = Callable[[np.random.Generator], bool]

LEVEL = 0.05
DRAWS = 99  # with which p ≤ .05 has a probability of exactly .05 where there are no ties


def group(sizes: tuple[int, ...], fixed: int = 0) -> SymmetryGroup:
    """The symmetry group of `fixed` fixed directions and blocks of these `sizes`, along the coordinate axes."""
    return SymmetryGroup(np.eye(fixed + sum(sizes)), fixed, sizes)


def weights(
    generator: np.random.Generator, sizes: tuple[int, ...], fixed: int, replicas: int, width: int, heavy: bool = False
) -> np.ndarray:
    """Weight vectors (K, m, d) whose law the group of these sizes leaves invariant."""
    variances = np.repeat(np.arange(1.0, 1 + len(sizes)), sizes)
    scale = np.sqrt(np.concatenate([np.full(fixed, 0.5), variances]))
    vectors = generator.standard_normal((replicas, width, len(scale)))
    if heavy:
        vectors /= np.sqrt(generator.chisquare(3, (replicas, width, 1)) / 3)
        vectors *= np.exp(generator.standard_normal((replicas, 1, 1)))
    return vectors * scale


def moments(vectors: np.ndarray) -> np.ndarray:
    """Second moments (K, d, d) of replicas."""
    return vectors.mT @ vectors / vectors.shape[1]


# name: sizes, fixed directions, replicas, width, heavy tails
ENSEMBLES = {
    "2 replicas, d=4": ((1, 1, 1, 1), 0, 2, 5, False),
    "3 replicas, repeated 2, 1, 3": ((2, 1, 3), 0, 3, 5, False),
    "8 replicas, 2 fixed, repeated 1, 3": ((1, 3), 2, 8, 5, False),
    "10 replicas of 2 vectors in d=6": ((1,) * 6, 0, 10, 2, False),
    "10 replicas, d=20": ((1,) * 20, 0, 10, 20, False),
    "6 replicas, heavy tails, repeated 1, 2, 1": ((1, 2, 1), 0, 6, 5, True),
}


def second_moments_reject(
    generator: np.random.Generator, ensemble: str, test: Callable[..., object], level: float = LEVEL
) -> bool:
    """Whether the test of a second moment rejects invariance, which is true."""
    sizes, fixed, *drawn = ENSEMBLES[ensemble]
    found = test(
        moments(weights(generator, sizes, fixed, *drawn)), group(sizes, fixed), seed=int(generator.integers(2**31))
    )
    return bool(found.pvalue <= level)  # type: ignore[attr-defined]


def means_reject(
    generator: np.random.Generator, ensemble: str, test: Callable[..., object], level: float = LEVEL
) -> bool:
    """Whether the test of a mean rejects that it lies in the fixed directions, as it does."""
    sizes, fixed, *drawn = ENSEMBLES[ensemble]
    vectors = weights(generator, sizes, fixed, *drawn)
    vectors[..., :fixed] += 2
    found = test(vectors.mean(axis=1), group(sizes, fixed), seed=int(generator.integers(2**31)))
    return bool(found.pvalue <= level)  # type: ignore[attr-defined]


def random_basis_rejects(generator: np.random.Generator, spectrum: np.ndarray, multiplicity: tuple[int, ...]) -> bool:
    """Whether a matrix in a random basis is called nearer to the eigenspaces than a random one."""
    d = len(spectrum)
    basis = haar(generator, d, 1)[0]
    spaces = Eigenspaces(np.arange(len(multiplicity)) + 1.0, multiplicity, np.eye(d), 0.0)
    matrix = (basis * spectrum) @ basis.T
    return random_basis_test(spaces, matrix, draws=DRAWS, seed=int(generator.integers(2**31))).pvalue <= LEVEL


def misalignment_held(
    generator: np.random.Generator,
    multiplicity: tuple[int, ...],
    angle: float,
    replicas: int,
    width: int,
    law: str = "normal",
) -> bool:
    """Whether the interval holds M² of a covariance that is turned by a random rotation of this Frobenius size."""
    d = sum(multiplicity)
    spaces = Eigenspaces(np.arange(len(multiplicity)) + 1.0, multiplicity, np.eye(d), 0.0)
    skew = generator.standard_normal((d, d))
    turn = scipy.linalg.expm(angle * (skew - skew.T) / np.linalg.norm(skew - skew.T))
    root = turn * np.sqrt(np.repeat(np.arange(len(multiplicity)) + 1.0, multiplicity))
    truth = float(misalignment_squared(spaces, root @ root.T)) if angle else 0.0
    vectors = generator.standard_normal((replicas, width, d))
    if law == "t5":
        vectors *= np.sqrt(3 / generator.chisquare(5, (replicas, width, 1)))
    vectors = vectors @ root.T
    seed = int(generator.integers(2**31))
    if replicas > 1:
        found = misalignment_interval(spaces, moments(vectors), resamples=199, seed=seed)
    else:
        found = misalignment_interval(spaces, vectors=vectors[0], resamples=199, seed=seed)
    return found.squared_low <= truth <= found.squared_high


def _tests() -> list[Study]:
    energy, misalignment = (
        partial(randomization_test, statistic=statistic, draws=DRAWS) for statistic in ("energy", "misalignment")
    )
    mean = partial(mean_randomization_test, draws=DRAWS)
    # 1,999 draws first, then 200 fresh ones on at most 8 blocks
    escalating = partial(escalating_randomization_test, level=0.01, screen=0.05, blocks=8)
    escalating_mean = partial(escalating_mean_randomization_test, level=0.01, screen=0.05, blocks=8)
    found = []
    for name in ENSEMBLES:
        for label, reject, test in (
            ("randomization_test", second_moments_reject, energy),
            ("mean_randomization_test", means_reject, mean),
        ):
            found.append(Study(label, name, "size", LEVEL, partial(reject, ensemble=name, test=test)))
        label, draw = (
            "randomization_test (misalignment)",
            partial(second_moments_reject, ensemble=name, test=misalignment),
        )
        found.append(Study(label, name, "size", LEVEL, draw, draws=1000))
        for label, reject, test in (
            ("escalating_randomization_test", second_moments_reject, escalating),
            ("escalating_mean_randomization_test", means_reject, escalating_mean),
        ):
            draw = partial(reject, ensemble=name, test=test, level=0.01)
            found.append(Study(label, name, "size", 0.01, draw, draws=1000))
    return found


SPECTRA = {
    "d=2": (np.array([1.0, 2.0]), (1, 1)),
    "d=5": (np.arange(1.0, 6.0), (1, 1, 1, 1, 1)),
    "repeated 2, 1, 3 in the data, 3, 3 in the weights": (np.repeat([1.0, 5.0], 3), (2, 1, 3)),
    "d=20": (np.linspace(1, 4, 20), (1,) * 20),
    "d=6, a spectrum over 8 decades": (np.logspace(-8, 0, 6), (1,) * 6),
}
# name: multiplicities, angle, replicas, width, law of the vectors
MISALIGNED: dict[str, tuple[tuple[int, ...], float, int, int, str]] = {
    "5 replicas, d=2, aligned": ((1, 1), 0.0, 5, 10, "normal"),
    "5 replicas, d=2, turned by .2": ((1, 1), 0.2, 5, 10, "normal"),
    "5 replicas, d=6, turned by .8": ((1,) * 6, 0.8, 5, 10, "normal"),
    "10 replicas, d=2, turned by .8": ((1, 1), 0.8, 10, 10, "normal"),
    "30 replicas, d=2, aligned": ((1, 1), 0.0, 30, 10, "normal"),
    "30 replicas, repeated 2, 1, 3, turned by .2": ((2, 1, 3), 0.2, 30, 10, "normal"),
    "200 replicas, repeated 2, 1, 3, turned by .8": ((2, 1, 3), 0.8, 200, 10, "normal"),
    "30 replicas of 2 vectors in d=6, turned by .8": ((1,) * 6, 0.8, 30, 2, "normal"),
    "30 replicas, heavy tails, turned by .8": ((1,) * 4, 0.8, 30, 10, "t5"),
    "30 replicas, d=12, turned by .8": ((1,) * 12, 0.8, 30, 10, "normal"),
    "one network of 40 independent vectors, d=4, aligned": ((1,) * 4, 0.0, 1, 40, "normal"),
    "one network of 40 independent vectors, d=4, turned by .8": ((1,) * 4, 0.8, 1, 40, "normal"),
    "one network of 8 independent vectors in d=6, turned by .8": ((1,) * 6, 0.8, 1, 8, "normal"),
    "one network of 300 independent vectors, d=6, turned by .2": ((1,) * 6, 0.2, 1, 300, "normal"),
}

STUDIES: tuple[Study, ...] = (
    *_tests(),
    *(
        Study(
            "random_basis_test", name, "size", LEVEL,
            partial(random_basis_rejects, spectrum=spectrum, multiplicity=multiplicity),
        )
        for name, (spectrum, multiplicity) in SPECTRA.items()
    ),
    *(
        Study(
            "misalignment_interval", name, "coverage", 0.95,
            lambda generator, drawn=drawn: misalignment_held(generator, *drawn),
            draws=300,
        )
        for name, drawn in MISALIGNED.items()
    ),
)  # fmt: skip
