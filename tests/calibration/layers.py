"""`check` of layers whose alignment is known: how often each verdict is given, and how often it is wrong.

A layer has m filters w ~ N(0, Σ_w) (`simulate.aligned_draws`), d = 8, and 4,000 Gaussian rows. Where there are several
networks, the filters of each share a factor e^{N(0, 0.2²)} of every direction and so depend on each other. Σ_w is

- *aligned*: f(σ)² in the eigenbasis of the data, f falling by a factor of 6;
- *partly*: two fifths of that, and three fifths of the same in another basis;
- *rotated*: the same in another basis alone;
- *isotropic*: that of initial weights.

`python -m tests.calibration.layers FILE.svg [DRAWS]` prints the table of the guide, the share of all four verdicts in
200 layers or in as many as are wanted, and draws how often the verdict is the right one.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Literal

import numpy as np

import simulate
from reports.check import Check, check
from reports.check.data import samples
from reports.check.estimates import Weights
from reports.check.exact import exact_tests
from reports.check.moments import data_moment
from reports.check.orientation import Anisotropy, chance_of, directions, filter_pairs
from reports.check.weights import filters
from reports.files import write_atomically
from reports.findings import Figure, Panel, Series
from reports.testing.strategies import orthogonal, spectral
from reports.typesetting.figures import render
from simulate.aligned_draws import draw_weights
from tests.calibration.check import axes, drawn, spread
from tests.calibration.study import Study
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training
from theory.symmetry import haar

Truth = Literal["aligned", "partly", "rotated", "isotropic"]
D = 8
SIZES = {1: (1, 4, 8, 16, 40, 160), 5: (1, 4, 8, 16, 40, 160)}  # networks: m
COUNTED = 200  # layers of each kind
DEVIATIONS = 1.5 ** np.arange(D)
FALLING = 6.0 ** np.linspace(1, -1, D)  # f², by a factor of 36
WORDS = ("aligned", "partly aligned", "not aligned", "undecided")
RIGHT = {"aligned": WORDS[:1], "partly": WORDS[1:3], "rotated": WORDS[2:3]}  # a random basis may be as near as part


def covariance(generator: np.random.Generator, truth: Truth, basis: np.ndarray) -> np.ndarray:
    """Σ_w of one layer."""
    if truth == "isotropic":
        return np.eye(D)
    aligned = spectral(FALLING, basis)
    if truth == "aligned":
        return aligned
    other = spectral(FALLING, haar(generator, D, 1)[0])
    return other if truth == "rotated" else 0.4 * aligned + 0.6 * other


def checked(generator: np.random.Generator, truth: Truth, count: int, networks: int) -> Check:
    """One layer, checked."""
    basis = haar(generator, D, 1)[0]
    rows = generator.standard_normal((4000, D)) * DEVIATIONS @ basis.T
    sigma = covariance(generator, truth, basis)
    own = 0.2 if networks > 1 and truth != "isotropic" else 0.0
    values, vectors = np.linalg.eigh(sigma)
    layers = [
        draw_weights(spectral(values * np.exp(2 * generator.normal(0, own, D)), vectors), count, generator)
        for _ in range(networks)
    ]
    return check(layers, rows, seed=int(generator.integers(2**31)))


def counted(truth: Truth, count: int, networks: int, draws: int = COUNTED) -> Counter[str]:
    """The verdicts on layers of one kind."""
    seeds = np.random.SeedSequence([networks, count, len(truth)]).spawn(draws)
    return Counter(checked(np.random.default_rng(seed), truth, count, networks).verdict for seed in seeds)


def power_curves(verdicts: Mapping[tuple[int, int, Truth], Mapping[str, int]]) -> Figure:
    """How often the verdict is the right one, by filters per dimension; `verdicts` by networks, filters and truth."""
    panels = []
    for networks, sizes in SIZES.items():
        series = []
        for truth, right in RIGHT.items():
            counts = [verdicts[networks, m, truth] for m in sizes]
            draws = np.array([sum(each.values()) for each in counts])
            rates = np.array([sum(each.get(word, 0) for word in right) for each in counts]) / draws
            error = 1.96 * np.sqrt(rates * (1 - rates) / draws)
            words = " or ".join(right)
            series.append(Series(f"{truth}: called {words}", np.array(sizes) / D, rates, error, style="both"))
        title = f"{networks} networks" if networks > 1 else "one network"
        panels.append(
            Panel(title, "filters per dimension", "share of layers", tuple(series), xlog=True, from_zero=True)
        )
    return Figure("powers", "", tuple(panels))


def says(generator: np.random.Generator, words: tuple[str, ...], truth: Truth, count: int, networks: int) -> bool:
    return checked(generator, truth, count, networks).verdict in words


@cache
def trained() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, untrained and trained first layers of 200 networks on random labels, with 48 outputs each."""
    setting = Setting(
        data=Data(kind="gaussian", spectrum=tuple(np.geomspace(0.05, 2, D).tolist()), samples=512),
        labels=Labels(kind="gaussian", outputs=48),
        network=Network(kind="mlp", hidden=(64,), init_variance=(0.002, 1.0)),
        training=Training(learning_rate=0.01, steps=(0, 100)),
        ensemble=Ensemble(replicas=200, seed=0, dtype="float32"),
    )
    inputs = simulate.replica_inputs(setting, range(200))
    readings = simulate.train(setting, inputs)
    return inputs.x.numpy(), readings[0][0].numpy(), readings[100][0].numpy()


def trained_says(generator: np.random.Generator, words: tuple[str, ...], truth: Truth) -> bool:
    """Five of the 200 networks, of which there are 2.5 billion choices."""
    x, untrained, weights = trained()
    chosen = generator.choice(len(x), 5, replace=False)
    turn = haar(generator, D, 1)[0].T if truth == "rotated" else np.eye(D)
    layers = (untrained if truth == "isotropic" else weights)[chosen] @ turn
    return check(list(layers), x[chosen].reshape(-1, D), seed=int(generator.integers(2**31))).verdict in words


@cache
def turned(multiplicity: tuple[int, ...], turn: float) -> tuple[np.ndarray, float]:
    """A root of Σ_w, a share `turn` of which is in another basis, and its effect, by pairs of 100,000 filters."""
    spaces, d = axes(multiplicity), sum(multiplicity)
    deviations = spread(multiplicity, 2.0)
    root = np.linalg.cholesky((1 - turn) * np.diag(deviations**2) + turn * spectral(deviations**2, orthogonal(3, d)))
    if not turn:
        return root, 1.0
    many = directions(np.random.default_rng(0).standard_normal((100_000, d)) @ root.T)
    return root, Anisotropy(*filter_pairs(spaces, many), chance_of(spaces)).effect


def covers(
    generator: np.random.Generator,
    *,
    multiplicity: tuple[int, ...],
    count: int,
    networks: int = 1,
    turn: float = 0.0,
    tails: float = np.inf,
) -> bool:
    """Whether the interval of the effect holds that of Σ_w."""
    d, (root, true) = sum(multiplicity), turned(multiplicity, turn)
    layers = [filters(drawn(generator, np.ones(d), count, tails) @ root.T) for _ in range(networks)]
    found = Anisotropy.of(axes(multiplicity), Weights.of(layers, np.ones(d, dtype=bool))).interval
    return found is None or found[0] - 1e-9 <= true <= found[1] + 1e-9


def rejects_with_a_mean(generator: np.random.Generator, *, count: int, networks: int = 1) -> bool:
    """Weights that mix two eigenvectors of the data in both of which the mean has a component, and are aligned else."""
    rows = generator.standard_normal((4000, 6)) * 1.5 ** np.arange(6) + np.array([1.0, 0, 0, 3.0, 0, 0])
    _, vectors = np.linalg.eigh(rows.T @ rows)
    largest = np.argsort(-np.abs(vectors.T @ np.array([1.0, 0, 0, 3.0, 0, 0])))
    basis = vectors[:, largest]
    mixed = np.diag([3.0, 1.0, 2.0, 1.0, 0.5, 4.0])
    mixed[0, 1] = mixed[1, 0] = 1.0
    layers = [filters(draw_weights(basis @ mixed @ basis.T, count, generator)) for _ in range(networks)]
    data = data_moment(samples(rows, layers[0]))
    weights, seed = Weights.of(layers, np.ones(6, dtype=bool)), int(generator.integers(2**31))
    _, found = exact_tests(data, weights, draws=39, seed=seed)
    return found is not None and found.pvalue <= 0.05


FALSE = {
    "aligned": ("partly aligned", "not aligned"),
    "partly": ("aligned",),
    "rotated": ("aligned",),
    "isotropic": WORDS[:3],
}
# Two measures at 1 % each; the interval of an effect of .31 is above .5 in 2.5 % by each measure at most
DECLARED = {"aligned": 0.02, "partly": 0.05, "rotated": 0.02, "isotropic": 0.01}
LAYERS: list[tuple[Truth, int, int, int]] = [
    ("aligned", 4, 1, 200), ("aligned", 40, 1, 200), ("aligned", 16, 5, 200),
    ("partly", 40, 1, 200), ("partly", 16, 5, 200),
    ("rotated", 4, 1, 200), ("rotated", 40, 1, 200), ("rotated", 16, 5, 200),
    ("isotropic", 40, 1, 200), ("isotropic", 16, 5, 200),
]  # fmt: skip
COVERED = [
    ("4 filters, d = 8, t4", {"multiplicity": (1,) * 8, "count": 4, "tails": 4}, 2000),
    ("10 filters, d = 20, partly turned", {"multiplicity": (1,) * 20, "count": 10, "turn": 0.6}, 2000),
    ("64 filters, d = 27, random basis", {"multiplicity": (1,) * 27, "count": 64, "turn": 1.0}, 2000),
    ("64 filters, d = 27, t4, partly turned", {"multiplicity": (1,) * 27, "count": 64, "turn": 0.5, "tails": 4}, 2000),
    ("100 filters, eigenspaces of 2, 1, 3, 2", {"multiplicity": (2, 1, 3, 2), "count": 100, "turn": 0.5}, 2000),
    ("32 filters, d = 300, aligned", {"multiplicity": (1,) * 300, "count": 32}, 200),
    ("32 filters, d = 300, random basis", {"multiplicity": (1,) * 300, "count": 32, "turn": 1.0}, 200),
    (
        "3 networks of 40, d = 6, random basis",
        {"multiplicity": (1,) * 6, "count": 40, "networks": 3, "turn": 1.0},
        2000,
    ),
    (
        "5 networks of 16, d = 20, partly turned",
        {"multiplicity": (1,) * 20, "count": 16, "networks": 5, "turn": 0.6},
        2000,
    ),
]  # fmt: skip

STUDIES: tuple[Study, ...] = (
    *(
        Study(
            "check: wrong verdict",
            f"{f'{networks} networks of ' if networks > 1 else ''}{m} filters, d = 8, {truth}",
            "size",
            DECLARED[truth],
            partial(says, words=FALSE[truth], truth=truth, count=m, networks=networks),
            draws=draws,
        )
        for truth, m, networks, draws in LAYERS
    ),
    *(
        Study(
            "check: wrong verdict", f"5 trained networks of 64 filters, d = 8, {truth}", "size", DECLARED[truth],
            partial(trained_says, words=FALSE[truth], truth=truth), draws=200,
        )
        for truth in ("aligned", "rotated", "isotropic")
    ),
    *(
        Study("check: interval of the orientation", name, "coverage", 0.95, partial(covers, **drawn), draws=draws)
        for name, drawn, draws in COVERED
    ),
    *(
        Study(
            "check: exactly aligned, with a mean", name, "size", 0.05, partial(rejects_with_a_mean, **drawn), draws=1000
        )
        for name, drawn in (
            ("12 filters, d = 6", {"count": 12}),
            ("60 filters, d = 6", {"count": 60}),
            ("4 networks of 20, d = 6", {"count": 20, "networks": 4}),
        )
    ),
)  # fmt: skip

if __name__ == "__main__":
    print("| networks | m | layers | " + " | ".join(WORDS) + " |\n|" + "---|" * 7)
    found: dict[tuple[int, int, Truth], Counter[str]] = {}
    draws = int(sys.argv[2]) if len(sys.argv) > 2 else COUNTED
    truths: tuple[Truth, ...] = ("aligned", "partly", "rotated", "isotropic")
    for networks, sizes in SIZES.items():
        for count in sizes:
            for truth in truths:
                seen = found[networks, count, truth] = counted(truth, count, networks, draws)
                shares = " | ".join(f"{seen[word] / draws:.3g}" for word in WORDS)
                print(f"| {networks} | {count} | {truth} | {shares} |", flush=True)
    write_atomically(Path(sys.argv[1]), render(power_curves(found)).svg)
