"""A7, eigenvectors: those of Σ_w look like those of Σ_x, some only after data eigenspaces are added together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np

from reports.claims import paper_networks
from reports.claims.alignment.orientation import (
    DRAWS,
    NetworkOrientation,
    judge_nearer,
    orient,
    orientation_rows,
    orientation_table,
    predict_orientation,
)
from reports.claims.claim import Case, Claim, Context, Outcomes, Trial
from reports.findings import OUTSIDE, Exhibits, Figure, Judgement, Panel, Picture, Table, number, table_of, text
from reports.judging.estimate import data_eigenspaces
from simulate.results import SimulatedReading
from theory.eigenspaces import Eigenspaces, eigenspaces
from theory.overlaps import merged, overlaps
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training
from theory.symmetry import haar

SIDE = 5
# The number of groups of networks, ten or more in each on patches: a single network has fewer neurons than a
# patch has coordinates.
GROUPS = 7
MOST = 512  # the most networks at any budget
# The number of residual networks, six per group, whose 96 filters span the 75 dimensions of a patch.
RESIDUAL_NETWORKS = 42
TOLERANCE = 0.25  # the largest mean squared sine of the angle at which an eigenvector is said to lie in a space
SHOWN = 9
PATCHES = Setting(
    data=Data(kind="photographs", patch=(SIDE, SIDE), samples=256),
    labels=Labels(kind="classes"),
    network=Network(kind="mlp", hidden=(64,), init_variance=(0.1, 1.0)),
    training=Training(loss="cross-entropy", learning_rate=0.05, momentum=0.9, batch_size=32, steps=(0, 80, 320)),
)


# A small residual network: the stem's filters are those of WRN-28-4 in Figure 3, with one residual block above
# them in place of twelve.
RESIDUAL = Setting(
    data=Data(kind="photographs", crop=(12, 12), samples=128, scale="channels"),
    labels=Labels(kind="classes"),
    network=Network(kind="resnet", kernel=(SIDE, SIDE), blocks=((16,), (16,)), init_variance=(0.1, 2.0, 2.0, 2.0)),
    training=Training(loss="cross-entropy", learning_rate=0.05, momentum=0.9, batch_size=32, steps=(0, 80)),
    ensemble=Ensemble(replicas=RESIDUAL_NETWORKS, dtype="float32"),
)


def trials(context: Context) -> Mapping[str, Trial[None]]:
    """Seventy networks on patches 5 × 5 × 3 of two photographs, random classes.

    From the full budget on also a small wide residual network on crops; where CIFAR-10 is given, WRN-28-4.
    """
    ensemble = Ensemble(replicas=min(context.replicas(70), MOST), dtype="float32")
    setting = msgspec.structs.replace(PATCHES, ensemble=ensemble)
    found: dict[str, Trial[None]] = {"photograph patches 5x5x3, random labels": Trial(setting, kind="outside")}
    found["residual network, filters 5x5x3, random labels"] = Trial(RESIDUAL, kind="outside", since="full")
    if context.cifar10 is not None:
        found["WRN-28-4, filters 5x5x3, random labels (CIFAR-10)"] = Trial(
            paper_networks.wide_residual(context), kind="outside"
        )
    return found


@dataclass(frozen=True, eq=False)
class LeadingEigenvector:
    """One eigenvector of Σ_w, and what is left of it in the sum of the data eigenspaces it belongs to, of length 1.

    Attributes
    ----------
    vector, projection : ndarray, shape (d,)
    spaces : tuple of int
        The indices of these data eigenspaces.
    """

    vector: np.ndarray
    projection: np.ndarray
    spaces: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Matching:
    """The eigenspaces of Σ_w at one reading, and where those of the data lie in them.

    Attributes
    ----------
    step : int
    eigenvalues : ndarray, shape (l,)
        The eigenvalues of the mean over networks, ascending; those within twice the error of their difference are
        joined.
    multiplicity : tuple of int, length l
    sums : tuple of tuple of int, length l
        The data eigenspaces that were added together in each weight eigenspace.
    best : float
        The mean over data eigenspaces of the largest share that lies in one weight eigenspace.
    random : ndarray, shape (draws,)
        The mean over basis vectors of the largest share, for random bases in place of the data's.
    leading : tuple of LeadingEigenvector
        The eigenvectors of the largest eigenvalues, the largest first.
    """

    step: int
    eigenvalues: np.ndarray
    multiplicity: tuple[int, ...]
    sums: tuple[tuple[int, ...], ...]
    best: float
    random: np.ndarray
    leading: tuple[LeadingEigenvector, ...]

    @property
    def placed(self) -> int:
        """How many data eigenspaces lie in one weight eigenspace."""
        return sum(map(len, self.sums))


@dataclass(frozen=True, eq=False)
class MatchedEigenvectors:
    """How the weights' eigenspaces match the data's at every reading, and the orientation of groups of networks.

    Attributes
    ----------
    dimension, data_spaces : int
        d, and how many eigenspaces the data have.
    matchings : tuple of Matching
    orientation : NetworkOrientation
    replicas, diverged : int
    """

    dimension: int
    data_spaces: int
    matchings: tuple[Matching, ...]
    orientation: NetworkOrientation
    replicas: int
    diverged: int


def measure(case: Case[None], context: Context) -> MatchedEigenvectors:
    """Train the ensemble, every block of which is one network."""
    simulation = context.run(case.setting)
    spaces, seed = data_eigenspaces(simulation), case.setting.ensemble.seed
    generator = np.random.default_rng(seed)
    groups = [np.array_split(reading.second_moments, GROUPS) for reading in simulation.readings]
    pairs = [[(spaces, group.mean(axis=0)) for group in of] for of in groups]
    vectors = simulation.width * min(len(group) for group in groups[0])
    return MatchedEigenvectors(
        dimension=spaces.dimension,
        data_spaces=len(spaces.multiplicity),
        matchings=tuple(match(spaces, reading, generator) for reading in simulation.readings),
        orientation=orient(case.setting.training.readings, pairs, vectors, seed),
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
    sums = merged(spaces, weights, tolerance=TOLERANCE)
    return Matching(
        step=reading.step,
        eigenvalues=weights.eigenvalues,
        multiplicity=weights.multiplicity,
        sums=sums,
        best=float(overlaps(spaces, weights).max(axis=1).mean()),
        random=inside.max(axis=-1).mean(axis=-1),
        leading=_leading(spaces, weights, sums),
    )


def _leading(
    data: Eigenspaces, weights: Eigenspaces, sums: tuple[tuple[int, ...], ...]
) -> tuple[LeadingEigenvector, ...]:
    columns = [(chosen, i) for chosen, s in zip(sums, weights.slices, strict=True) for i in range(s.start, s.stop)]
    found = []
    for chosen, i in reversed(columns[-SHOWN:]):
        vector = weights.basis[:, i]
        inside = data.basis[:, [c for k in chosen for c in range(data.dimension)[data.slices[k]]]]
        part = inside @ (inside.T @ vector)
        found.append(LeadingEigenvector(vector, part / (np.linalg.norm(part) or 1.0), chosen))
    return tuple(found)


def decide(case: Case[None], prediction: str, measured: MatchedEigenvectors) -> tuple[Judgement, ...]:
    """The share of a data eigenvector in one weight eigenspace, without verdict; nearer than random bases, by count."""
    found = measured.matchings[-1]
    pvalue = (1 + np.count_nonzero(found.random >= found.best)) / (DRAWS + 1)
    spaces, dimension = len(found.sums), measured.dimension
    share = Judgement(
        quantity="share of a data eigenvector within its weight eigenspace, mean over all",
        prediction="none",
        measurement=found.best,
        power=f"random bases {np.median(found.random):.2f}, at most {found.random.max():.2f}",
        verdict=OUTSIDE,
        note=f"{found.placed} of {dimension} lie in one of {spaces} weight eigenspaces; $p$ = {pvalue:.2g}",
    )
    groups = f"groups of {measured.replicas // GROUPS} networks"
    return share, judge_nearer(measured.orientation, measured.diverged, unit=groups)


def illustrate(outcomes: Outcomes[None, str, MatchedEigenvectors]) -> Exhibits:
    """The leading eigenvectors as pictures, which data eigenspaces were added, and M² of the groups."""
    found = [(kind_of(outcome.case.setting), outcome.measurement) for outcome in outcomes]
    return Exhibits(
        tables=tuple(table for kind, each in found for table in (sums_table(each, kind), groups_table(each, kind))),
        figures=tuple(
            eigenvector_figure(matching, each.data_spaces, kind)
            for kind, each in found
            for matching in each.matchings
            if matching.step
        ),
    )


@dataclass(frozen=True)
class Shown:
    """How tables and figures of one case are named, and what they say of its networks."""

    suffix: str
    networks: str


def kind_of(setting: Setting) -> Shown:
    """The networks of a setting: dense ones on patches, a small residual network, or the paper's."""
    if paper_networks.is_paper(setting):
        return Shown("-wrn", " of WRN-28-4 on CIFAR-10")
    return Shown("-resnet", " of a small residual network") if setting.network.kind == "resnet" else Shown("", "")


def eigenvector_figure(matching: Matching, data_spaces: int, kind: Shown) -> Figure:
    """The leading weight eigenvectors, and what is left of each in the sum of the data eigenspaces it belongs to."""
    above = [Picture(f"{place}", _channels(each.vector)) for place, each in enumerate(matching.leading, start=1)]
    below = [Picture(numbered(each.spaces, data_spaces), _channels(each.projection)) for each in matching.leading]
    return Figure(
        name=f"a7-eigenvectors{kind.suffix}-{matching.step}",
        caption=f"Left: the leading eigenvectors of $\\Sigma_w${kind.networks} after {matching.step} updates, largest "
        "eigenvalue first. Right, at the same places: their projections on the sum of the data eigenspaces that make "
        "up their weight eigenspace, scaled to length 1; above each, the numbers of these eigenspaces, by decreasing "
        "$\\sigma$. Each picture shows the red, green and blue of a patch side by side.",
        panels=(
            Panel("eigenvectors of $\\Sigma_w$", pictures=tuple(above)),
            Panel("in data eigenspaces", pictures=tuple(below)),
        ),
    )


@dataclass(frozen=True)
class WeightEigenspace:
    """One eigenspace of Σ_w at one reading, and the data eigenspaces that it is the sum of."""

    step: int
    eigenvalue: float
    dimension: int
    data: str


def sums_table(measured: MatchedEigenvectors, kind: Shown) -> Table:
    """Which data eigenspaces each weight eigenspace is the sum of, largest weight eigenvalue first."""
    rows = [
        WeightEigenspace(matching.step, float(value), size, numbered(chosen, measured.data_spaces))
        for matching in measured.matchings
        for value, size, chosen in reversed(
            [*zip(matching.eigenvalues, matching.multiplicity, matching.sums, strict=True)]
        )
    ]
    return table_of(
        f"a7-sums{kind.suffix}",
        f"The eigenspaces of $\\Sigma_w${kind.networks} whose eigenvalues are further apart than twice the error of "
        "their difference, and the data eigenspaces, numbered by decreasing $\\sigma$, of which at least 75 % lie in "
        "them. "
        "Before training $\\Sigma_w$ is isotropic, and one eigenspace is the sum of all.",
        rows,
        number("step", "count", lambda row: row.step),
        number("eigenvalue", "1", lambda row: row.eigenvalue),
        number("dimension", "count", lambda row: row.dimension),
        text("data eigenspaces", lambda row: row.data),
    )


def groups_table(measured: MatchedEigenvectors, kind: Shown) -> Table:
    """M² of groups of networks, as in claim A6."""
    return orientation_table(
        f"a7-groups{kind.suffix}",
        f"Misalignment of groups of networks{kind.networks} against the data eigenvectors and against random "
        "orthonormal bases (medians); means over groups with standard errors, the effect size $1 - "
        "M/\\mathrm{median}$, and how many groups are closer to the data eigenvectors than 99 % of random bases. "
        "Sampling alone gives $M^2$ = "
        f"{measured.orientation.floor:.3g}.",
        orientation_rows(f"{GROUPS} groups", measured.orientation),
    )


def numbered(chosen: tuple[int, ...], data_spaces: int) -> str:
    """Name data eigenspaces by their numbers, of which 1 has the largest σ: "2", "3 + 4", "1, 14 to 28"."""
    numbers = sorted(data_spaces - i for i in chosen)
    if len(numbers) <= 3:
        return " + ".join(map(str, numbers)) or "none"
    runs: list[list[int]] = [[numbers[0], numbers[0]]]
    for last, following in pairwise(numbers):
        if following == last + 1:
            runs[-1][1] = following
        else:
            runs.append([following, following])
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
    "close weight eigenvalues are merged.",
    reference="arXiv:2006.10455, Figure 3",
    method="Patches of photographs lie outside the hypotheses: the share of each data eigenvector that lies in one "
    "eigenspace of $\\Sigma_w$ is given beside that of random bases, without a verdict. Weight eigenvalues "
    "closer than "
    "twice the error of their difference count as one. Whether the weights are closer to the data eigenvectors than to "
    "random bases is judged as in claim A6, on independent groups of networks: three more than the rule needs to "
    "decide. From the full budget on, a small residual network with batch normalisation is trained on crops; its stem "
    "has 16 filters 5 × 5, as in the paper's WRN-28-4; "
    f"`--budget paper --cifar10 DIR` adds WRN-28-4 itself, {paper_networks.WIDE_NETWORKS} trainings.",
    trials=trials,
    predict=predict_orientation,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
