"""Tests of whole matrices and of predicted variances, and the verdicts of `verify` that follow from them.

Block means are drawn from the law that replicas have, instead of training them, where that is the same: Wishart for
Gaussian vectors; means of squares of Gaussian numbers of a random scale for online training, whose weights are Gaussian
given the rows. `verify` judges a form without a matrix by `variances_test`, which is called here with the blocks and
directions that it would have. An error that is called too large would be found more often were it too small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

import msgspec
import numpy as np

import simulate
import theory
from reports.judging.compare import compare
from simulate.moments import block_count
from tests.calibration.study import Study
from theory.eigenspaces import Eigenspaces
from theory.prediction import Prediction
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training
from theory.testing import tau_zscores, variances_test, whole_matrix_test
from theory.testing.whole_matrix import detectable_variance

Generator = np.random.Generator
Scale = Callable[[Generator, tuple[int, ...]], np.ndarray]


def equal(rng: Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Replicas of one scale."""
    return np.ones(shape)


def unequal(rng: Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Squared scales of mean 1 and variance 1."""
    return rng.standard_exponential(shape)


def extreme(rng: Generator, shape: tuple[int, ...]) -> np.ndarray:
    """What is left of a square after 60 steps at learning rate .6, its mean kept: rare replicas carry it."""
    total = np.ones(shape)
    for _ in range(60):
        total *= (1 - 0.6 * rng.standard_normal(shape) ** 2) ** 2 / (1 - 1.2 + 3 * 0.36)
    return total


def wishart(rng: Generator, rank: int, vectors: int, root: np.ndarray | None = None) -> np.ndarray:
    """The mean of w wᵀ over Gaussian vectors, by Bartlett's decomposition."""
    lower = np.tril(rng.standard_normal((rank, rank)), -1)
    lower += np.diag(np.sqrt(rng.chisquare(vectors - np.arange(rank))))
    lower = lower if root is None else root @ lower
    return lower @ lower.T / vectors


def blocks(
    rng: Generator, dimension: int, replicas: int, scale: Scale, most: int = 512
) -> tuple[np.ndarray, np.ndarray]:
    """Block means (K, d) of squares of d Gaussian numbers with a common scale per replica, and the counts."""
    count = min(most, replicas)
    counts = np.bincount(np.arange(replicas) % count)
    if scale is equal:
        return rng.chisquare(counts[:, None] * np.ones(dimension)) / counts[:, None], counts
    squares = scale(rng, (replicas, 1)) * rng.standard_normal((replicas, dimension)) ** 2
    return np.stack([squares[b::count].mean(axis=0) for b in range(count)]), counts


def gaussian_rejects(rng: Generator, *, rank: int, vectors: int, dimension: int | None = None) -> bool:
    """Whether the test of a whole matrix from Gaussian vectors rejects a true prediction at 5 %."""
    d = rank if dimension is None else dimension
    root = np.eye(d)[:, :rank]
    sample = wishart(rng, rank, vectors)
    predicted, found = root @ root.T, root @ sample @ root.T
    return whole_matrix_test(predicted, found, vectors, gaussian=True).pvalue <= 0.05


def gaussian_finds(rng: Generator, *, rank: int, vectors: int, sign: int) -> bool:
    """Whether the error of one variance that is declared detectable at 1e-6 is found."""
    error = detectable_variance(vectors, rank, 1e-6, 0.9)
    root = np.eye(rank)
    root[0, 0] = np.sqrt(1 + sign * error)
    found = whole_matrix_test(np.eye(rank), wishart(rng, rank, vectors, root), vectors, gaussian=True)
    return found.pvalue <= 1e-6


def estimated(rng: Generator, dimension: int, replicas: int, scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """Block means (K, d, d) of w wᵀ for Gaussian w of a random scale per replica, and the counts."""
    count = min(512, replicas)
    w = np.sqrt(scale(rng, (replicas, 1))) * rng.standard_normal((replicas, dimension))
    counts = np.bincount(np.arange(replicas) % count)
    return np.stack([w[b::count].T @ w[b::count] / c for b, c in enumerate(counts)]), counts


def estimated_rejects(rng: Generator, *, dimension: int, replicas: int, scale: Scale) -> bool:
    """Whether the test of a whole matrix with estimated variances rejects a true prediction at 5 %."""
    moments, counts = estimated(rng, dimension, replicas, scale)
    return whole_matrix_test(np.eye(dimension), moments, gaussian=False, counts=counts).pvalue <= 0.05


def estimated_finds(rng: Generator, *, replicas: int, sign: int) -> bool:
    """Whether the error of one variance that the same sample declares detectable at 1e-6 is found."""
    counts = np.full(512, replicas // 512)
    moments = np.stack([wishart(rng, 3, int(c)) for c in counts])
    error = whole_matrix_test(np.eye(3), moments, gaussian=False, counts=counts).detectable
    stretch = np.diag([np.sqrt(1 + sign * error), 1.0, 1.0])
    return whole_matrix_test(np.eye(3), stretch @ moments @ stretch, gaussian=False, counts=counts).pvalue <= 1e-6


def variances_reject(rng: Generator, *, dimension: int, replicas: int, scale: Scale, level: float) -> bool:
    """Whether the test of variances rejects true ones at `level`, with a simulation's number of blocks."""
    values, counts = blocks(rng, dimension, replicas, scale, block_count(dimension))
    return variances_test(np.ones(dimension), values, counts=counts).pvalue <= level


def variances_find(rng: Generator, *, dimension: int, replicas: int, sign: int) -> bool:
    """Whether the error of one variance that the same sample declares detectable at 1e-6 is found."""
    values, counts = blocks(rng, dimension, replicas, equal, block_count(dimension))
    values[:, 0] *= 1 + sign * variances_test(np.ones(dimension), values, counts=counts).detectable
    return variances_test(np.ones(dimension), values, counts=counts).pvalue <= 1e-6


def scores_leave(rng: Generator, *, multiplicity: tuple[int, ...], replicas: int, scale: Scale) -> bool:
    """Whether the first z leaves ±1.96."""
    d = sum(multiplicity)
    values, counts = blocks(rng, d, replicas, scale)
    spaces = Eigenspaces(np.arange(len(multiplicity)) + 1.0, multiplicity, np.eye(d), 0.0)
    moments = np.einsum("kd,de->kde", values, np.eye(d))
    return bool(abs(tau_zscores(spaces, np.ones(len(multiplicity)), moments, counts=counts)[0]) > 1.96)


LINEAR = Setting(
    data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples="online"),
    training=Training(learning_rate=0.1, batch_size=2, sampling="fresh", steps=20),
)
FIXED = Setting(
    data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=12, fixed=True),
    labels=Labels(kind="rademacher"),
    training=Training(learning_rate=0.1, steps=8),
)
AVERAGED = Setting(
    data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=40), training=Training(learning_rate=0.1, steps=20)
)
HIDDEN = msgspec.structs.replace(
    FIXED, network=Network(kind="mlp", hidden=(8,)), training=Training(learning_rate=0.1, steps=1)
)
HEAVY = Setting(
    data=Data(kind="gaussian", spectrum=(0.5, 1.0), samples="online"),
    training=Training(learning_rate=0.6, batch_size=1, sampling="fresh", steps=60),
)


@cache
def predicted(setting: Setting) -> Prediction:
    return theory.predict(setting, rows=simulate.rows(setting) if setting.data.fixed else None)


def verify_refutes(rng: Generator, *, setting: Setting, replicas: int) -> bool:
    """A whole training. Rows that a form is conditional on stay; other replicas are drawn by their numbers."""
    if not setting.data.fixed:
        seed = int(rng.integers(2**31))
        chosen = msgspec.structs.replace(setting, ensemble=Ensemble(replicas=replicas, seed=seed))
        return compare(predicted(setting), simulate.run(chosen)).comparison[-1].verdict == "refuted"
    one = simulate.run(setting, replicas=2)
    first = int(rng.integers(2**31))
    weights = simulate.train(setting, simulate.replica_inputs(setting, list(range(first, first + replicas))))
    w = weights[setting.training.readings[-1]][0].double().numpy()
    reading = replace(
        one.readings[-1],
        counts=np.ones(replicas, dtype=int),
        second_moments=w.transpose(0, 2, 1) @ w / w.shape[1],
        means=w.mean(axis=1),
        losses=np.zeros(replicas),
    )
    ensemble = replace(one, replicas=replicas, readings=(reading,))
    return compare(predicted(setting), ensemble).comparison[-1].verdict == "refuted"


def _matrix() -> list[Study]:
    gaussian = [
        ("2 vectors of dimension 1", {"rank": 1, "vectors": 2}, 2000),
        ("21 vectors of dimension 20", {"rank": 20, "vectors": 21}, 2000),
        ("120 vectors of dimension 100", {"rank": 100, "vectors": 120}, 500),
        ("30 vectors, rank 3 in dimension 6", {"rank": 3, "vectors": 30, "dimension": 6}, 2000),
        ("2,048 vectors of dimension 8", {"rank": 8, "vectors": 2048}, 2000),
        ("1,000 vectors of dimension 784", {"rank": 784, "vectors": 1000}, 40),
    ]
    other = [
        ("2 replicas", {"dimension": 3, "replicas": 2, "scale": equal}, 1000),
        ("10 replicas", {"dimension": 3, "replicas": 10, "scale": equal}, 1000),
        ("100 replicas of unequal scale", {"dimension": 3, "replicas": 100, "scale": unequal}, 1000),
        ("1,000 replicas", {"dimension": 3, "replicas": 1000, "scale": equal}, 1000),
        ("8,192 replicas of unequal scale", {"dimension": 3, "replicas": 8192, "scale": unequal}, 400),
        ("4,096 replicas, rare ones carry the mean", {"dimension": 2, "replicas": 4096, "scale": extreme}, 200),
        ("1,024 replicas, dimension 64", {"dimension": 64, "replicas": 1024, "scale": equal}, 200),
    ]
    name = "whole_matrix_test(gaussian={})"
    sizes = [
        Study(name.format(True), text, "size", 0.05, partial(gaussian_rejects, **values), draws)
        for text, values, draws in gaussian
    ] + [
        Study(name.format(False), text, "size", 0.05, partial(estimated_rejects, **values), draws)
        for text, values, draws in other
    ]
    powers = [
        Study(
            name.format(True),
            f"its `detectable`, too large, {vectors:,} vectors, rank {rank}",
            "power",
            0.9,
            partial(gaussian_finds, rank=rank, vectors=vectors, sign=1),
        )
        for rank, vectors in ((1, 100), (1, 2048), (3, 2048), (8, 2048), (3, 50_000))
    ] + [
        Study(
            name.format(False),
            "its `detectable`, too large, 51,200 replicas",
            "power",
            0.9,
            partial(estimated_finds, replicas=51_200, sign=1),
            500,
        )
    ]
    return sizes + powers


def _variances() -> list[Study]:
    few = [(f"{n} replicas", {"dimension": 3, "replicas": n, "scale": unequal}) for n in (2, 3, 5, 10, 30, 100)]
    more = [
        ("1,000 replicas", {"dimension": 3, "replicas": 1000, "scale": equal}),
        ("20,000 replicas of unequal scale", {"dimension": 3, "replicas": 20_000, "scale": unequal}),
        ("4,096 replicas, rare ones carry the mean", {"dimension": 2, "replicas": 4096, "scale": extreme}),
        ("20,000 replicas, dimension 784", {"dimension": 784, "replicas": 20_000, "scale": equal}),
        ("20,000 replicas, dimension 1,024", {"dimension": 1024, "replicas": 20_000, "scale": equal}),
    ]
    sizes = [
        Study(
            "variances_test",
            text,
            "size",
            0.05,
            partial(variances_reject, level=0.05, **values),
            300 if values["scale"] is extreme or values["dimension"] > 100 else 1000,
        )
        for text, values in few + more
    ]
    exact = [
        Study("verify", f"exact forms, {text}", "size", 1e-6, partial(variances_reject, level=1e-6, **values), 1500)
        for text, values in more[2:]
    ]
    powers = [
        Study(
            "variances_test",
            f"its `detectable`, too large, 40,960 replicas, dimension {d}",
            "power",
            0.9,
            partial(variances_find, dimension=d, replicas=40_960, sign=1),
            1000 if d == 3 else 500,
        )
        for d in (3, 784)
    ]
    return sizes + exact + powers


def _scores() -> list[Study]:
    cases: list[tuple[str, tuple[int, ...], int, Scale, str]] = [
        ("1,024 replicas", (1, 1, 1), 1024, equal, ""),
        ("100 replicas, an eigenspace of 8", (8, 2), 100, equal, ""),
        ("100 replicas, an eigenspace of 40", (40,), 100, equal, ""),
        ("20,480 replicas of unequal scale", (1, 1), 20_480, unequal, ""),
        ("10 replicas", (1, 1), 10, equal, "block means are far from a gamma law's first order"),
        ("100 replicas of unequal scale", (1, 1), 100, unequal, "heavier than a gamma law"),
    ]
    return [
        Study(
            "tau_zscores", f"|z| > 1.96, {text}", "size", 0.05,
            partial(scores_leave, multiplicity=multiplicity, replicas=replicas, scale=scale), 1000, outside=outside,
        )
        for text, multiplicity, replicas, scale, outside in cases
    ]  # fmt: skip


def _verify() -> list[Study]:
    exact = {"linear-online": LINEAR, "linear-online, η = .6": HEAVY, "linear-full-batch, signs": FIXED,
             "network-first-step": HIDDEN}  # fmt: skip
    studies = [
        Study("verify", f"{name}, {n} replicas", "size", 1e-6, partial(verify_refutes, setting=s, replicas=n), 60)
        for name, s in exact.items()
        for n in (3, 10, 100)
    ]
    return studies + [
        Study(
            "verify", f"linear-averaged-second-order, {n} replicas", "size", 0.05,
            partial(verify_refutes, setting=AVERAGED, replicas=n), 200,
        )
        for n in (2, 3, 10, 30, 100)
    ]  # fmt: skip


STUDIES: tuple[Study, ...] = (*_matrix(), *_variances(), *_scores(), *_verify())
