"""A2, averaging: the mean of g B gᵀ over the group that commutes with Σ_x is aligned with Σ_x."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from reports.claims.claim import Case, Claim, Context, Outcomes, Trial
from reports.findings import Exhibits, Judgement, number, table_of, text
from reports.judging.estimate import data_eigenspaces, data_symmetry
from reports.judging.intervals import detectable, found, largest_pvalue
from reports.judging.rules import DISCREPANCY, exact_verdict, identity_verdict, one_left_verdict
from theory.containment import ContainmentVerdict, containment
from theory.eigenspaces import Eigenspaces
from theory.setting import Data, Ensemble, Network, Setting, Training
from theory.symmetry import twirl

ROUNDING = 1e-12
SPECTRA = {"distinct eigenvalues": (0.2, 0.5, 1.0, 1.6, 2.4), "repeated eigenvalues": (0.3, 0.3, 1.0, 1.0, 1.0)}
NETWORK = Network(kind="mlp", hidden=(16,), init_spectrum=(0.05, 0.1, 0.2, 0.3, 0.4))


def trials(context: Context) -> Mapping[str, Trial[None]]:
    """B is the covariance of networks whose init is anisotropic, so that it is not aligned before it is averaged."""
    return {
        name: Trial(
            Setting(
                data=Data(kind="gaussian", spectrum=spectrum, samples=24),
                network=NETWORK,
                training=Training(learning_rate=0.2, steps=20),
                ensemble=Ensemble(replicas=context.replicas(200)),
            )
        )
        for name, spectrum in SPECTRA.items()
    }


def predict(case: Case[None]) -> ContainmentVerdict:
    """The average contains every data eigenspace."""
    return "contained"


@dataclass(frozen=True, eq=False)
class ContainedEigenspaces:
    """Whether the data eigenspaces lie in those of a matrix, and by how much each fails to; arrays have shape (k,)."""

    verdict: ContainmentVerdict
    leakage: np.ndarray
    anisotropy: np.ndarray

    @property
    def largest(self) -> float:
        """The largest leakage or anisotropy, relative to the norm."""
        return float(max(np.max(self.leakage), np.max(self.anisotropy)))


@dataclass(frozen=True, eq=False)
class DrawnAverages:
    """The covariance B of an ensemble, and its averages over what is drawn from the group, without any closed form.

    Attributes
    ----------
    spaces : Eigenspaces
        The eigenspaces of the data.
    matrix : ndarray, shape (d, d)
        B.
    draws : int
    mean, error : ndarray, shape (d, d)
        The mean of gBgᵀ over Haar draws, and its standard error.
    flipped : ndarray, shape (d, d), or None
        The average over all 2^d sign flips, where these are the whole group.
    replicas, diverged : int
    """

    spaces: Eigenspaces
    matrix: np.ndarray
    draws: int
    mean: np.ndarray
    error: np.ndarray
    flipped: np.ndarray | None
    replicas: int
    diverged: int


def measure(case: Case[None], context: Context) -> DrawnAverages:
    """Average a trained covariance over Haar draws, and over the whole group where it is finite."""
    simulation = context.run(case.setting)
    spaces, matrix = data_eigenspaces(simulation), simulation.readings[-1].second_moment
    draws = context.replicas(20000)
    elements = data_symmetry(spaces).draw(np.random.default_rng(case.setting.ensemble.seed), draws)
    orbit = elements @ matrix @ elements.transpose(0, 2, 1)
    return DrawnAverages(
        spaces=spaces,
        matrix=matrix,
        draws=draws,
        mean=orbit.mean(axis=0),
        error=orbit.std(axis=0, ddof=1) / draws**0.5,
        flipped=_flipped(spaces, matrix) if max(spaces.multiplicity) == 1 else None,
        replicas=simulation.replicas,
        diverged=simulation.diverged,
    )


def _flipped(spaces: Eigenspaces, matrix: np.ndarray) -> np.ndarray:
    """The average of B over all sign flips of its coordinates in the eigenbasis."""
    signs = np.array(list(product((-1.0, 1.0), repeat=len(matrix))))
    inside = spaces.basis.T @ matrix @ spaces.basis
    return np.asarray(spaces.basis @ (np.einsum("gi,ij,gj->ij", signs, inside, signs) / len(signs)) @ spaces.basis.T)


@dataclass(frozen=True, eq=False)
class HeldAverage:
    """The closed-form average Π(B), held against the averages that were drawn.

    Attributes
    ----------
    before, after : ContainedEigenspaces
        Whether the data eigenspaces lie in those of B, and in those of Π(B).
    max_z, pvalue : float
        The largest |entry of (Haar average − Π(B))| / SE, and its Bonferroni p-value.
    relative_error : float
        The largest such entry over ‖B‖.
    detectable : float
        The error that the test detects with 90 % power, over ‖B‖.
    flips : float or None
        ‖average over all 2^d sign flips − Π(B)‖ / ‖B‖ (Frobenius), where these are the whole group.
    """

    before: ContainedEigenspaces
    after: ContainedEigenspaces
    max_z: float
    pvalue: float
    relative_error: float
    detectable: float
    flips: float | None


def hold(measured: DrawnAverages) -> HeldAverage:
    """Π(B) of the measured B against its averages over the group."""
    spaces, matrix, flipped = measured.spaces, measured.matrix, measured.flipped
    averaged = twirl(data_symmetry(spaces), matrix)
    size = np.linalg.norm(matrix, 2)
    difference = measured.mean - averaged
    # entries that the group leaves alone have no error and must not differ
    error = np.maximum(measured.error, ROUNDING * size)
    z = np.abs(difference / error)[np.triu_indices(len(matrix))]
    return HeldAverage(
        before=_contained(spaces, matrix),
        after=_contained(spaces, averaged),
        max_z=float(z.max()),
        pvalue=largest_pvalue(z),
        relative_error=float(np.abs(difference).max() / size),
        detectable=float(detectable(float(error.max()), tests=len(z)) / size),
        flips=None if flipped is None else float(np.linalg.norm(flipped - averaged) / np.linalg.norm(matrix)),
    )


def _contained(spaces: Eigenspaces, matrix: np.ndarray) -> ContainedEigenspaces:
    found = containment(spaces, matrix)
    return ContainedEigenspaces(found.verdict, found.leakage, found.anisotropy)


def decide(case: Case[None], prediction: ContainmentVerdict, measured: DrawnAverages) -> tuple[Judgement, ...]:
    """The closed form must contain every data eigenspace; draws from the group must average to it.

    That holds of every matrix B: replicas that diverged are not in it, and forbid nothing.
    """
    return judge_average(prediction, hold(measured), measured.draws)


def judge_average(prediction: ContainmentVerdict, held: HeldAverage, draws: int) -> tuple[Judgement, ...]:
    """One judgement of Π(B) alone, one against so many draws, and one against the whole group where it is finite."""
    before, after = held.before, held.after
    left = None if after.verdict == "undecided" else after.verdict
    contained = Judgement(
        quantity=r"data eigenspaces contained in an eigenspace of $\Pi(B)$",
        prediction=prediction,
        measurement=after.verdict,
        interval=(0.0, after.largest),
        power=f"before averaging: {before.verdict}, leakage or anisotropy {before.largest:.2g}",
        verdict=one_left_verdict(left, prediction, diverged=0),
        note="in brackets: leakage and anisotropy, relative to the norm; computed, with nothing sampled",
    )
    drawn = Judgement(
        quantity=r"largest entry of $\langle gBg^\top\rangle - \Pi(B)$, relative to $\|B\|$",
        prediction=0.0,
        measurement=held.relative_error,
        pvalue=held.pvalue,
        power=found(held.detectable),
        verdict=exact_verdict(held.pvalue, held.detectable, diverged=0),
        note=f"{draws:,} Haar draws; largest z {held.max_z:.2f}",
    )
    if held.flips is None:
        return contained, drawn
    flipped = Judgement(
        quantity=r"average over all $2^d$ sign flips less $\Pi(B)$, relative to $\|B\|$",
        prediction=0.0,
        measurement=held.flips,
        interval=(0.0, held.flips),
        power=f"detects anything above {ROUNDING:g}",
        verdict=identity_verdict(held.flips, ROUNDING, diverged=0),
        note="over the whole group, with nothing sampled",
    )
    return contained, drawn, flipped


@dataclass(frozen=True)
class EigenspaceRow:
    """One data eigenspace before and after averaging."""

    data: str
    eigenspace: int
    before: tuple[float, float]
    after: tuple[float, float]


def illustrate(outcomes: Outcomes[None, ContainmentVerdict, DrawnAverages]) -> Exhibits:
    """Leakage and anisotropy of every eigenspace, before and after averaging."""
    rows = [
        EigenspaceRow(outcome.case.name, i + 1, _of_eigenspace(held.before, i), _of_eigenspace(held.after, i))
        for outcome in outcomes
        for held in (hold(outcome.measurement),)
        for i in range(len(held.before.leakage))
    ]
    table = table_of(
        "a2-containment",
        "Leakage and anisotropy of each data eigenspace, relative to the norm, in the covariance $B$ of "
        "networks with an anisotropic init, and in its average $\\Pi(B)$.",
        rows,
        text("data", lambda row: row.data, once=True),
        number("eigenspace", "count", lambda row: row.eigenspace),
        number("leakage, $B$", "1", lambda row: row.before[0], digits=2),
        number("anisotropy, $B$", "1", lambda row: row.before[1], digits=2),
        number(r"leakage, $\Pi(B)$", "1", lambda row: row.after[0], digits=1),
        number(r"anisotropy, $\Pi(B)$", "1", lambda row: row.after[1], digits=1),
    )
    return Exhibits((table,))


def _of_eigenspace(contained: ContainedEigenspaces, i: int) -> tuple[float, float]:
    return float(contained.leakage[i]), float(contained.anisotropy[i])


CLAIM = Claim(
    id="A2",
    title="Averaging",
    statement="The average of $gBg^\\top$ over the orthogonal group that commutes with $\\Sigma_x$ is aligned with "
    "$\\Sigma_x$.",
    reference="arXiv:2006.10455, proof of Proposition 1",
    method=f"The closed form $\\Pi(B) = \\sum_i (\\mathrm{{tr}}(P_iB)/m_i) P_i$ is compared with averages over random "
    f"rotations (Haar measure): the largest entry of the difference is tested with Bonferroni's correction, "
    f"$p < 10^{{-6}}$ refutes, and an error of {DISCREPANCY:.0%} must be detectable. It must also equal the average "
    "over the whole group of sign flips, up to rounding.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
