"""A7, eigenvectors: those of Σ_w look like those of Σ_x, some only after data eigenspaces are added together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from reports.claims.alignment.orientation import (
    DRAWS,
    ORIENTATION_COLUMNS,
    Orientation,
    nearer_finding,
    orientation,
    orientation_rows,
)
from reports.claims.claim import Case, Claim, Context, Outcome
from reports.findings import Column, Figure, Finding, Panel, Picture, Table
from reports.judging.estimate import data_eigenspaces
from simulate.results import SimulatedReading
from theory.eigenspaces import Eigenspaces, eigenspaces
from theory.overlaps import merged, overlaps
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training
from theory.symmetry import haar

SIDE = 5
GROUPS = 7  # of ten networks and more: a single one has fewer neurons than a patch has coordinates
TOLERANCE = 0.25  # mean squared sine of the angle up to which an eigenvector is said to lie in a space
SHOWN = 9


def cases(context: Context) -> tuple[Case, ...]:
    """Seventy networks on patches 5 × 5 × 3 of two photographs, random classes."""
    setting = Setting(
        data=Data(kind="photographs", patch=(SIDE, SIDE), samples=256),
        labels=Labels(kind="classes"),
        network=Network(kind="mlp", hidden=(64,), init_variance=(0.1, 1.0)),
        training=Training(loss="cross-entropy", learning_rate=0.05, momentum=0.9, batch_size=32, steps=(0, 80, 320)),
        ensemble=Ensemble(replicas=min(context.replicas(70), 512), seed=context.seed_of("A7", 0), dtype="float32"),
    )
    return (Case("photograph patches 5x5x3, random labels", setting, kind="outside"),)


@dataclass(frozen=True, eq=False)
class Matching:
    """The eigenspaces of Σ_w at one reading, and where those of the data lie in them.

    Attributes
    ----------
    step : int
    weights : Eigenspaces
        Of the mean over networks; eigenvalues within twice the error of their difference are joined.
    shares : ndarray, shape (k, l)
        How much of each data eigenspace lies in each weight eigenspace.
    sums : tuple of tuple of int, length l
        The data eigenspaces that were added together in each weight eigenspace.
    random : ndarray, shape (draws,)
        For random bases in place of the data's, the mean over basis vectors of the largest share.
    """

    step: int
    weights: Eigenspaces
    shares: np.ndarray
    sums: tuple[tuple[int, ...], ...]
    random: np.ndarray

    @property
    def best(self) -> float:
        """The mean over data eigenspaces of the largest share."""
        return float(self.shares.max(axis=1).mean())

    @property
    def placed(self) -> int:
        """How many data eigenspaces lie in one weight eigenspace."""
        return sum(map(len, self.sums))


@dataclass(frozen=True, eq=False)
class Measured:
    """The data eigenspaces, how the weights' match them at every reading, and the orientation of groups of networks."""

    data: Eigenspaces
    matchings: tuple[Matching, ...]
    orientation: Orientation
    replicas: int
    diverged: int


def measure(case: Case, context: Context) -> Measured:
    """Train the ensemble, every block of which is one network."""
    simulation = context.run(case.setting)
    spaces, seed = data_eigenspaces(simulation), case.setting.ensemble.seed
    generator = np.random.default_rng(seed)
    groups = [np.array_split(reading.second_moments, GROUPS) for reading in simulation.readings]
    pairs = [[(spaces, group.mean(axis=0)) for group in of] for of in groups]
    vectors = simulation.width * min(len(group) for group in groups[0])
    return Measured(
        data=spaces,
        matchings=tuple(match(spaces, reading, generator) for reading in simulation.readings),
        orientation=orientation(case.setting.training.readings, pairs, vectors, seed),
        replicas=simulation.replicas,
        diverged=simulation.diverged,
    )


def match(spaces: Eigenspaces, reading: SimulatedReading, generator: np.random.Generator) -> Matching:
    """The weight eigenspaces that sampling can tell apart, and what they are sums of."""
    moments = reading.second_moments
    _, vectors = np.linalg.eigh(reading.second_moment)
    # to first order an eigenvalue's error is that of v'Sv between networks
    variances = np.einsum("ji,kjl,li->ki", vectors, moments, vectors, optimize=True)
    errors = variances.std(axis=0, ddof=1) / len(moments) ** 0.5
    weights = eigenspaces(reading.second_moment, standard_errors=errors.tolist())
    turned = haar(generator, spaces.dimension, DRAWS)
    squares = (turned @ weights.basis) ** 2
    inside = np.stack([squares[..., s].sum(axis=-1) for s in weights.slices], axis=-1)
    return Matching(
        step=reading.step,
        weights=weights,
        shares=overlaps(spaces, weights),
        sums=merged(spaces, weights, tolerance=TOLERANCE),
        random=inside.max(axis=-1).mean(axis=-1),
    )


def decide(case: Case, prediction: str, measured: Measured) -> tuple[Finding, ...]:
    """The share of a data eigenvector in one weight eigenspace, without verdict; nearer than random bases, by count."""
    keys: dict[str, Any] = {
        "claim": "A7",
        "case": case.name,
        "replicas": measured.replicas,
        "diverged": measured.diverged,
    }
    found = measured.matchings[-1]
    pvalue = (1 + np.count_nonzero(found.random >= found.best)) / (DRAWS + 1)
    spaces, dimension = len(found.sums), measured.data.dimension
    return (
        Finding(
            kind="outside",
            quantity="share of a data eigenvector within its weight eigenspace, mean over all",
            prediction="none",
            measurement=found.best,
            power=f"random bases {np.median(found.random):.2f}, at most {found.random.max():.2f}",
            verdict="outside the hypotheses",
            note=f"{found.placed} of {dimension} lie in one of {spaces} weight eigenspaces; $p$ = {pvalue:.2g}",
            **keys,
        ),
        nearer_finding(measured.orientation, unit=f"groups of {measured.replicas // GROUPS} networks", **keys),
    )


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """The leading eigenvectors as pictures, which data eigenspaces were added, and M² of the groups."""
    measured: Measured = outcomes[0].measurement
    return (sums_table(measured), distances_table(measured)), tuple(
        pictures(measured.data, matching) for matching in measured.matchings if matching.step
    )


def pictures(data: Eigenspaces, matching: Matching) -> Figure:
    """The leading weight eigenvectors, and what is left of each in the sum of the data eigenspaces it belongs to."""
    columns = [(j, i) for j, s in enumerate(matching.weights.slices) for i in range(s.start, s.stop)]
    above, below = [], []
    for number, (j, i) in enumerate(reversed(columns[-SHOWN:]), start=1):
        vector, chosen = matching.weights.basis[:, i], matching.sums[j]
        inside = data.basis[:, [c for k in chosen for c in range(data.dimension)[data.slices[k]]]]
        part = inside @ (inside.T @ vector)
        above.append(Picture(f"{number}", _channels(vector)))
        below.append(Picture(names(data, chosen), _channels(part / (np.linalg.norm(part) or 1.0))))
    return Figure(
        name=f"a7-eigenvectors-{matching.step}",
        caption=f"Leading eigenvectors of $\\Sigma_w$ after {matching.step} updates, largest eigenvalue first "
        "(left), and at the same places (right) their projections on the sum of the data eigenspaces that make up "
        "their weight eigenspace, scaled to length 1; these are numbered by decreasing $\\sigma$. In each picture the "
        "red, green and blue of a patch stand beside each other.",
        panels=(
            Panel("eigenvectors of $\\Sigma_w$", pictures=tuple(above)),
            Panel("in data eigenspaces", pictures=tuple(below)),
        ),
    )


def sums_table(measured: Measured) -> Table:
    """Which data eigenspaces each weight eigenspace is the sum of, largest weight eigenvalue first."""
    rows = []
    for matching in measured.matchings:
        values, sizes = matching.weights.eigenvalues[::-1], matching.weights.multiplicity[::-1]
        for value, size, chosen in zip(values, sizes, matching.sums[::-1], strict=True):
            rows.append((matching.step, float(value), size, names(measured.data, chosen)))
    return Table(
        name="a7-sums",
        caption="The eigenspaces of $\\Sigma_w$ whose eigenvalues are further apart than twice the error of their "
        "difference, and the data eigenspaces, numbered by decreasing $\\sigma$, of which at least 75 % lie in them. "
        "Before training $\\Sigma_w$ is isotropic, and one eigenspace is the sum of all.",
        columns=(Column("step"), Column("eigenvalue"), Column("dimension"), Column("data eigenspaces", "text")),
        rows=tuple(rows),
    )


def distances_table(measured: Measured) -> Table:
    """M² of groups of networks, as in claim A6."""
    return Table(
        name="a7-groups",
        caption="Misalignment of groups of networks against the data eigenvectors and against random orthonormal bases "
        "(medians); means over groups with standard errors, the effect size $1 - M/\\mathrm{median}$, and how many "
        "groups are nearer to the data eigenvectors than 99 % of random bases. Sampling alone gives $M^2$ = "
        f"{measured.orientation.floor:.3g}.",
        columns=ORIENTATION_COLUMNS,
        rows=orientation_rows(f"{GROUPS} groups", measured.orientation),
    )


def names(data: Eigenspaces, chosen: tuple[int, ...]) -> str:
    """Data eigenspaces by their numbers, the largest σ being 1: "2", "3 + 4", "1, 14 to 28"."""
    numbers = sorted(len(data.multiplicity) - i for i in chosen)
    if len(numbers) <= 3:
        return " + ".join(map(str, numbers)) or "none"
    runs: list[list[int]] = [[numbers[0], numbers[0]]]
    for last, number in pairwise(numbers):
        if number == last + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in runs)


def _channels(vector: np.ndarray) -> np.ndarray:
    """A patch C × h × w as one picture, its channels beside each other with a column left free between them."""
    gap = np.full((SIDE, 1), np.nan)
    red, green, blue = vector.reshape(3, SIDE, SIDE)
    return np.concatenate((red, gap, green, gap, blue), axis=1)


CLAIM = Claim(
    id="A7",
    title="Eigenvectors",
    statement="The eigenvectors of $\\Sigma_w$ look like those of $\\Sigma_x$, some only after data eigenspaces with "
    "close weight eigenvalues are added together.",
    reference="arXiv:2006.10455, Figure 3",
    method="Patches of photographs lie outside the hypotheses: the share of each data eigenvector that lies in one "
    "eigenspace of $\\Sigma_w$ is given beside that of random bases, without verdict. Weight eigenvalues closer than "
    "twice the error of their difference count as one. That the weights are nearer to the data eigenvectors than to "
    "random bases is judged as in claim A6, on independent groups of networks.",
    cases=cases,
    predict=lambda case: "nearer than a random basis",
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
