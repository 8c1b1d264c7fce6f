"""`check`: how often exact alignment, isotropy and independence are rejected where they hold, and M is covered.

Spaces and the law of the filters are drawn; the data are known but where rows are counted in the setting.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from reports.check.data import samples
from reports.check.estimates import Weights, interval_of
from reports.check.independence import relations
from reports.check.moments import data_moment
from reports.check.random_basis import random_basis_energy, regularised
from reports.check.turns import Turns, filters_pvalue, isotropic_turns, networks_pvalue
from reports.check.weights import filters
from reports.testing.strategies import orthogonal
from tests.calibration.study import Study
from theory.eigenspaces import Eigenspaces
from theory.misalignment import misalignment
from theory.testing import random_basis_test

Draw = Callable[[np.random.Generator], bool]


def axes(multiplicity: tuple[int, ...]) -> Eigenspaces:
    d = sum(multiplicity)
    return Eigenspaces(np.arange(1.0, len(multiplicity) + 1), multiplicity, np.eye(d), 0.0)


def drawn(generator: np.random.Generator, deviations: np.ndarray, count: int, tails: float = np.inf) -> np.ndarray:
    """Filters with a multivariate Student law of `tails` degrees of freedom."""
    z = generator.standard_normal((count, len(deviations)))
    return (z if np.isinf(tails) else z / np.sqrt(generator.chisquare(tails, (count, 1)) / tails)) * deviations


def spread(multiplicity: tuple[int, ...], top: float = 1.0) -> np.ndarray:
    """Standard deviations, equal in every eigenspace, from e^(−top/2) to e^(top/2)."""
    return np.repeat(np.exp(np.linspace(-top / 2, top / 2, len(multiplicity))), multiplicity)


def rejects_alignment(
    generator: np.random.Generator,
    *,
    multiplicity: tuple[int, ...],
    count: int,
    tails: float = np.inf,
    joined: bool = False,
) -> bool:
    turns = Turns(axes(multiplicity).slices, (not joined,) * len(multiplicity))
    deviations = spread((1,) * sum(multiplicity)) if joined else spread(multiplicity)
    pvalue = filters_pvalue(
        turns, drawn(generator, deviations, count, tails), draws=39, seed=int(generator.integers(2**31))
    )
    return pvalue <= 0.05


def rejects_alignment_of_networks(
    generator: np.random.Generator, *, dimension: int, count: int, networks: int, tails: float = np.inf
) -> bool:
    turns = Turns(axes((1,) * dimension).slices, (True,) * dimension)
    # units of one network share a random scale for every direction: they depend on each other
    moments = []
    for _ in range(networks):
        w = drawn(generator, spread((1,) * dimension), count, tails) * np.exp(generator.normal(0, 0.5, dimension))
        moments.append(w.T @ w)
    pvalue = networks_pvalue(turns, np.stack(moments), draws=39, seed=int(generator.integers(2**31)))
    return pvalue <= 0.05


def rejects_alignment_of_rows(generator: np.random.Generator, *, dimension: int, rows: int, count: int) -> bool:
    """f falls as 1/σ², and the eigenvectors are those of `rows` samples."""
    deviations = 1.2 ** (np.arange(dimension) / 2)
    w = generator.standard_normal((count, dimension)) / deviations**2
    data = data_moment(samples(generator.standard_normal((rows, dimension)) * deviations, filters(w)))
    spaces = data.known_eigenspaces()
    turns = Turns(spaces.slices, tuple(m == 1 for m in spaces.multiplicity))
    seed = int(generator.integers(2**31))
    return filters_pvalue(turns, w @ spaces.basis, noise=data.basis_noise(spaces), draws=39, seed=seed) <= 0.05


def rejects_isotropy(generator: np.random.Generator, *, dimension: int, count: int, law: str) -> bool:
    ones = np.ones(dimension)
    if law == "uniform":
        w = generator.uniform(-1, 1, (count, dimension))
    elif law == "coordinates":
        w = generator.standard_t(4, (count, dimension))
    else:
        w = drawn(generator, ones, count, 4 if law == "t4" else np.inf)
    return filters_pvalue(isotropic_turns(dimension), w, draws=39, seed=int(generator.integers(2**31))) <= 0.05


def accuses(
    generator: np.random.Generator, *, networks: int, count: int, dimension: int, tails: float = np.inf
) -> bool:
    w = np.stack([drawn(generator, spread((1,) * dimension), count, tails) for _ in range(networks)])
    return bool(relations(w, seed=int(generator.integers(2**31))))


def covers(
    generator: np.random.Generator,
    *,
    dimension: int,
    count: int,
    networks: int = 1,
    turn: bool = False,
    tails: float = np.inf,
) -> bool:
    spaces = axes((1,) * dimension)
    root = orthogonal(3, dimension) * spread(spaces.multiplicity) if turn else np.diag(spread(spaces.multiplicity))
    true = float(misalignment(spaces, root @ root.T))
    layers = [filters(drawn(generator, np.ones(dimension), count, tails) @ root.T) for _ in range(networks)]
    weights = Weights.of(layers, np.ones(dimension, dtype=bool))
    found = interval_of(spaces, weights, None, int(generator.integers(2**31)))
    return found is None or found[0] - 1e-9 <= true <= found[1]


def finds_an_orientation(generator: np.random.Generator, *, dimension: int, count: int, ridge: float = 0.0) -> bool:
    """Weights in a random basis, of t4 filters, are no nearer to alignment than random bases."""
    spaces, deviations = axes((1,) * dimension), spread((1,) * dimension, 2.0)
    turned = orthogonal(int(generator.integers(1, 2**31)), dimension) * deviations
    w = drawn(generator, np.ones(dimension), count, 4) @ turned.T
    seed = int(generator.integers(2**31))
    if ridge or count > dimension:
        return random_basis_test(spaces, regularised(w.T @ w / count, ridge), draws=39, seed=seed).pvalue <= 0.05
    observed, null = random_basis_energy(spaces, w, draws=39, seed=seed)
    return bool(1 + np.count_nonzero(null <= observed) <= 0.05 * 40)


def study(
    name: str, setting: str, declared: float, draw: Draw, draws: int, promise: str = "size", outside: str = ""
) -> Study:
    return Study(f"check: {name}", setting, promise, declared, draw, draws=draws, outside=outside)  # type: ignore[arg-type]


ALIGNED = [
    ("10 filters, d = 20", {"multiplicity": (1,) * 20, "count": 10}, 2000),
    ("16 filters, d = 27", {"multiplicity": (1,) * 27, "count": 16}, 2000),
    ("5 filters, d = 30, t4", {"multiplicity": (1,) * 30, "count": 5, "tails": 4}, 2000),
    ("64 filters, d = 27, t4", {"multiplicity": (1,) * 27, "count": 64, "tails": 4}, 2000),
    ("12 filters, eigenspaces of 2, 1, 3, 2", {"multiplicity": (2, 1, 3, 2), "count": 12}, 2000),
    ("12 filters, t4, joined spaces of 4, 4", {"multiplicity": (4, 4), "count": 12, "tails": 4, "joined": True}, 2000),
    ("3 filters, d = 2", {"multiplicity": (1, 1), "count": 3}, 2000),
    ("32 filters, d = 300, t4", {"multiplicity": (1,) * 300, "count": 32, "tails": 4}, 200),
]  # fmt: skip
NETWORKS = [
    ("2 networks of 8, d = 6", {"dimension": 6, "count": 8, "networks": 2}, 2000),
    ("4 networks of 3, d = 10", {"dimension": 10, "count": 3, "networks": 4}, 2000),
    ("12 networks of 20, t3, d = 6", {"dimension": 6, "count": 20, "networks": 12, "tails": 3}, 1000),
    ("3 networks of 16, d = 27", {"dimension": 27, "count": 16, "networks": 3}, 1000),
    ("3 networks of 16, d = 200", {"dimension": 200, "count": 16, "networks": 3}, 100),
]
ROWS = [
    ("400 filters, d = 8, 500 rows, f ∝ σ⁻²", {"dimension": 8, "rows": 500, "count": 400}, 200),
    ("100 filters, d = 16, 1,000 rows, f ∝ σ⁻²", {"dimension": 16, "rows": 1000, "count": 100}, 200),
    ("8 filters, d = 16, 1,000 rows, f ∝ σ⁻²", {"dimension": 16, "rows": 1000, "count": 8}, 200),
]
ISOTROPIC = [
    (f"{count} filters, d = {d}, {words}", {"dimension": d, "count": count, "law": law}, draws)
    for count, d, law, words, draws in (
        (5, 20, "gauss", "Gaussian", 2000), (60, 6, "t4", "spherical t4", 2000), (3, 2, "uniform", "uniform", 2000),
        (60, 6, "coordinates", "independent t4 coordinates", 2000), (32, 300, "t4", "spherical t4", 200),
    )
]  # fmt: skip
INDEPENDENT = [
    ("2 networks of 10, d = 27", {"networks": 2, "count": 10, "dimension": 27}, 500),
    ("2 networks of 40, d = 3", {"networks": 2, "count": 40, "dimension": 3}, 500),
    ("5 networks of 20, d = 6, t4", {"networks": 5, "count": 20, "dimension": 6, "tails": 4}, 500),
    ("2 networks of 7, d = 100", {"networks": 2, "count": 7, "dimension": 100}, 500),
    ("3 networks of 64, d = 1", {"networks": 3, "count": 64, "dimension": 1}, 500),
]
HEAVY = (
    "a sample of filters with so long tails has fewer large ones than its law: the bootstrap knows only what it holds"
)
COVERED = [
    ("10 filters, d = 8", {"dimension": 8, "count": 10}, 100, ""),
    ("24 filters, d = 8, random basis", {"dimension": 8, "count": 24, "turn": True}, 100, ""),
    ("100 filters, d = 6, random basis", {"dimension": 6, "count": 100, "turn": True}, 100, ""),
    ("100 filters, d = 6, t4", {"dimension": 6, "count": 100, "tails": 4}, 100, ""),
    ("100 filters, d = 6, t4, random basis", {"dimension": 6, "count": 100, "tails": 4, "turn": True}, 100, HEAVY),
    ("40 filters, d = 20, aligned", {"dimension": 20, "count": 40}, 30, ""),
    ("4 networks of 50, d = 6, random basis", {"dimension": 6, "count": 50, "networks": 4, "turn": True}, 1000, ""),
    ("8 networks of 50, d = 6, aligned", {"dimension": 6, "count": 50, "networks": 8}, 1000, ""),
]
RANDOM = [
    ("4 filters, d = 8, t4", {"dimension": 8, "count": 4}, 2000),
    ("4 filters, d = 8, t4, ridge", {"dimension": 8, "count": 4, "ridge": 0.1}, 2000),
    ("30 filters, d = 4, t4", {"dimension": 4, "count": 30}, 2000),
]

STUDIES: tuple[Study, ...] = (
    *(study("exactly aligned, one network", s, 0.05, partial(rejects_alignment, **k), n) for s, k, n in ALIGNED),
    *(study("exactly aligned, one network", s, 0.05, partial(rejects_alignment_of_rows, **k), n) for s, k, n in ROWS),
    *(
        study("exactly aligned, networks", s, 0.05, partial(rejects_alignment_of_networks, **k), n)
        for s, k, n in NETWORKS
    ),
    *(study("isotropic, one network", s, 0.05, partial(rejects_isotropy, **k), n) for s, k, n in ISOTROPIC),
    *(study("networks not independent", s, 0.002, partial(accuses, **k), n) for s, k, n in INDEPENDENT),
    *(study("nearer than random bases", s, 0.05, partial(finds_an_orientation, **k), n) for s, k, n in RANDOM),
    *(study("interval of M", s, 0.95, partial(covers, **k), n, "coverage", why) for s, k, n, why in COVERED),
)
