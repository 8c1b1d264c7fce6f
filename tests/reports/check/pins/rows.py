"""What a check says of some twenty layers, and what its parts give; see `tests.theory.pins`.

The layers and the data have no symmetries, and no generator draws them. Of texts only the numbers are pinned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from reports.check import Check, check, monitor
from reports.check.data import samples
from reports.check.estimates import Weights, jackknife_interval, transfer_function, without_noise
from reports.check.independence import relations, representatives
from reports.check.moments import DataMoment, data_moment
from reports.check.needed import bounded_from, filters_needed, kurtosis, random_basis_squared
from reports.check.orientation import (
    Anisotropy,
    chance_of,
    directions,
    fieller,
    filter_pairs,
    orientation_effect,
    orientation_needed,
)
from reports.check.random_basis import random_bases, random_basis_energy, regularised
from reports.check.shape_law import shape_law
from reports.check.turns import filters_pvalue, isotropic_turns, networks_pvalue
from reports.check.weights import filters
from tests.pinning.table import Call, Leaf, leaves, numbers, outcome, outcomes
from theory.eigenspaces import Eigenspaces, eigenspaces


def wave(rows: int, columns: int, seed: int) -> np.ndarray:
    """Normal numbers that no generator draws: quantiles at the digits of sines that nobody looks at.

    Sines differ in their last digits by machine, and their digits from the fourth on after these: rounded, they do not.
    """
    place = np.arange(rows * columns, dtype=float).reshape(rows, columns)
    return np.round(ndtri(0.001 + 0.998 * np.modf(1e4 + 4e3 * np.sin(12.9898 * place + 78.233 * seed))[0]), 6)


SCALES = np.array([0.4, 0.7, 1.0, 1.5, 2.3])
ROWS_5 = wave(311, 5, 1) * SCALES
SHIFTED = np.maximum(ROWS_5 + 0.3, 0)
REPEATED = np.repeat([0.5, 2.0], [2, 3])
TIED = Eigenspaces(np.array([0.5, 2.0, 3.0]), (2, 3, 1), np.eye(6), 0.0)
IMAGES = wave(37, 48, 2).reshape(37, 3, 4, 4).cumsum(axis=3)


def layer(count: int, seed: int, scales: np.ndarray = SCALES) -> np.ndarray:
    """Filters whose variances fall along the axes of the data."""
    return wave(count, len(scales), seed) / (0.5 + scales)


def told(record: object) -> list[Leaf]:
    """A record's leaves; of a text its numbers."""
    found: list[Leaf] = []
    for leaf in leaves(record):
        if isinstance(leaf, str) and " " in leaf:
            found.extend(numbers(leaf))
        else:
            found.append(leaf)
    return found


def checked(*arguments: object, **options: object) -> Callable[[], object]:
    """A check, or the error by which it refuses; computed once for both of its rows."""
    return cache(lambda: outcome(lambda: check(*arguments, **options)))  # type: ignore[call-overload]


def without_law(found: object) -> list[Leaf]:
    """What a check says but for the laws of shape, which have rows of their own."""
    return told(replace(found, shape_law=None) if isinstance(found, Check) else found)


def law(found: object) -> list[Leaf]:
    return told(getattr(found, "shape_law", None))


def weights_of(*vectors: np.ndarray) -> Weights:
    return Weights.of([filters(each) for each in vectors], np.ones(vectors[0].shape[1], dtype=bool))


def moment(rows: np.ndarray) -> DataMoment:
    return data_moment(samples(rows, filters(np.ones((2, rows.shape[1])))))


NETWORKS = [layer(9, seed) for seed in (3, 4, 5, 6)]
EVERY = np.concatenate(NETWORKS)
SPACES = eigenspaces(ROWS_5.T @ ROWS_5 / len(ROWS_5))
INITIAL = [wave(9, 5, seed) for seed in (13, 14, 15, 16)]

CHECKS: dict[str, Callable[[], object]] = {
    "many filters": checked(layer(160, 3), ROWS_5, seed=2),
    "filters turned from the data": checked(layer(160, 3) @ np.linalg.qr(wave(5, 5, 9))[0], ROWS_5),
    "as many filters as dimensions and one": checked(layer(6, 3), ROWS_5),
    "as many filters as dimensions": checked(layer(5, 3), ROWS_5),
    "fewer filters than dimensions": checked(layer(3, 3), ROWS_5),
    "two filters": checked(layer(2, 3), ROWS_5),
    "one filter": checked(layer(1, 3), ROWS_5),
    "isotropic filters": checked(wave(80, 5, 3), ROWS_5),
    "a ridge": checked(layer(4, 3), ROWS_5, ridge=0.1),
    "two networks": checked(NETWORKS[:2], ROWS_5),
    "four networks": checked(NETWORKS, ROWS_5, seed=1),
    "four networks of few filters": checked([layer(3, seed) for seed in (3, 4, 5, 6)], ROWS_5),
    "initial weights": checked([a + b for a, b in zip(NETWORKS, INITIAL, strict=True)], ROWS_5, initial=INITIAL),
    "initial weights of one network": checked(layer(60, 3) + wave(60, 5, 8), ROWS_5, initial=wave(60, 5, 8)),
    "data with a mean": checked(layer(40, 3), SHIFTED),
    "data with a mean, few filters": checked(layer(4, 3), SHIFTED),
    "data that are centred": checked(layer(40, 3), SHIFTED, center=True),
    "few rows": checked(layer(40, 3), ROWS_5[:7]),
    "fewer rows than dimensions": checked(layer(40, 3), ROWS_5[:4]),
    "a coordinate that does not vary": checked(layer(40, 3), ROWS_5 * [1, 1, 0, 1, 1]),
    "filters on images": checked(wave(29, 12, 3).reshape(29, 3, 2, 2), IMAGES),
    "scales": checked(1e-160 * layer(40, 3), 1e140 * ROWS_5),
    "dependent networks": checked([NETWORKS[0], NETWORKS[0] + 0.3 * NETWORKS[1], NETWORKS[2]], ROWS_5),
    "many dimensions": checked(wave(31, 140, 3), wave(290, 140, 4) * np.linspace(0.3, 2, 140)),
    "equal networks": checked([NETWORKS[0], NETWORKS[0]], ROWS_5),
    "filters of zeros": checked(np.zeros((3, 5)), ROWS_5),
    "no ridge": checked(layer(4, 3), ROWS_5, ridge=1.0),
    "no seed": checked(layer(4, 3), ROWS_5, seed=-1),
}


def parts() -> dict[str, Call]:
    """Calls of single functions of the check, by name."""
    few, many, four = weights_of(layer(3, 3)), weights_of(layer(70, 3)), weights_of(*NETWORKS)
    tied = wave(11, 6, 7)
    data = moment(ROWS_5)
    moments = np.stack([each.T @ each / len(each) for each in NETWORKS])

    def anisotropy(spaces: Eigenspaces, weights: Weights) -> list[object]:
        found = Anisotropy.of(spaces, weights)
        pairs = [found.needed(number) for number in (3.0, 50.0)]
        return [*leaves(found), found.effect, found.share, found.interval, *pairs, found.beyond_margin()]

    return {
        "anisotropy": lambda: [anisotropy(SPACES, each) for each in (few, many, four)],
        "anisotropy of repeated eigenvalues": lambda: anisotropy(TIED, weights_of(tied)),
        "pairs of filters": lambda: [filter_pairs(TIED, directions(tied[:n])) for n in (1, 2, 5, 6, 11)],
        "chance": lambda: [chance_of(each) for each in (SPACES, TIED)],
        "effect of orientation": lambda: [orientation_effect(TIED, tied), orientation_effect(SPACES, EVERY)],
        "needed for an orientation": lambda: [orientation_needed(SPACES, each) for each in (few, many, four)],
        "Fieller": lambda: [fieller(*each) for each in ((1.0, 2.0, 0.1, 0.02, 0.2), (1.0, 0.3, 0.1, 0.0, 0.5))],
        "filters needed": lambda: [
            filters_needed(SPACES, each, isotropic) for each in (few, many, four) for isotropic in (False, True)
        ],
        "bounded from": lambda: outcomes(bounded_from, 1, 2, 5, 40, 300),
        "kurtosis": lambda: [kurtosis(SPACES, each) for each in (many, four)],
        "squares of random bases": lambda: [
            random_basis_squared(SPACES, each, cautious=cautious) for each in (many, four) for cautious in (False, True)
        ],
        "weights": lambda: [
            [each.mean, each.full, each.grouped(2), each.scaled(SPACES), each.variances(SPACES)]
            for each in (many, four)
        ],
        "transfer functions": lambda: [told(transfer_function(SPACES, each)) for each in (few, many, four)],
        "jackknife": lambda: [jackknife_interval(SPACES, moments, floor) for floor in (None, 0.4)],
        "without noise": lambda: [without_noise(squared, 0.3, 5) for squared in (0.1, 0.3, 2.0)],
        "shape laws": lambda: [told(shape_law(SPACES, each, 0.1)) for each in (few, many, four)],
        "relations": lambda: [
            told(found := relations(np.stack([NETWORKS[0], NETWORKS[0] + 0.3 * NETWORKS[1], NETWORKS[2]]), seed=3)),
            representatives(3, found),
        ],
        "energies": lambda: [random_basis_energy(SPACES, each, draws=9, seed=1) for each in (layer(3, 3), EVERY)],
        "bases": lambda: random_bases(
            TIED, [tied, tied[:2]], eigenvalues=np.array([0.2, 0.5, 1.0, 1.5, 2.0, 4.0]), draws=5, seed=2
        ),
        "ridge": lambda: regularised(wave(3, 3, 5) @ wave(3, 3, 5).T, 0.2),
        "turned filters": lambda: [
            filters_pvalue(isotropic_turns(5), each, draws=39, seed=seed)
            for each in (EVERY, layer(3, 3))
            for seed in (0, 1)
        ],
        "turned networks": lambda: networks_pvalue(isotropic_turns(5), moments, draws=39, seed=1),
        "moments": lambda: [
            each
            for found in (data, moment(SHIFTED), moment(ROWS_5[:7]))
            for each in (found.second_moment, found.counts, found.means, found.vectors, found.standard_errors)
        ],
        "eigenspaces that are known": lambda: told(data.known_eigenspaces()),
        "monitor": lambda: [
            function(each)
            for found in [monitor(layer(9, 3), ROWS_5)]
            for function in (found.misalignment, found.orientation)
            for each in (layer(9, 3), layer(30, 5))
        ],
        "noise of a monitor": lambda: outcomes(monitor(layer(9, 3), ROWS_5).floor, 5, 6, 7, 40),
    }


CHECKED: dict[str, Call] = {name: lambda call=call: without_law(call()) for name, call in CHECKS.items()}
LAWS: dict[str, Call] = {f"laws: {name}": lambda call=call: law(call()) for name, call in CHECKS.items()}
ROWS: dict[str, Call] = CHECKED | LAWS | parts()
# Last digits differ by machine. In fits half of all digits do, since deviances are flat where they are least. In many
# dimensions bases have single precision, and a rank among 1,000 may differ, too.
LOOSE: dict[str, float] = dict.fromkeys((*LAWS, "shape laws"), 1e-4) | {"many dimensions": 0.01}
FILE = Path(__file__).with_name("values.json")
