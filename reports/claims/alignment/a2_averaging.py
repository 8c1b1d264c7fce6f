"""A2, averaging: the mean of g B gᵀ over the group that commutes with Σ_x is aligned with Σ_x."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
from scipy.stats import norm

from reports.claims.claim import Case, Claim, Context, Outcome
from reports.findings import CONTINUED, Column, Figure, Finding, Table
from reports.judging.compare import DISCREPANCY, LEVEL, POWER, exact_verdict, found
from reports.judging.estimate import data_eigenspaces
from theory.containment import Containment, containment
from theory.setting import Data, Ensemble, Network, Setting, Training
from theory.symmetry import symmetry_group, twirl

ROUNDING = 1e-12


def cases(context: Context) -> tuple[Case, ...]:
    """B is the covariance of networks whose init is anisotropic, so that it is not aligned before it is averaged."""
    spectra = {"distinct eigenvalues": (0.2, 0.5, 1.0, 1.6, 2.4), "repeated eigenvalues": (0.3, 0.3, 1.0, 1.0, 1.0)}
    return tuple(
        Case(
            name,
            Setting(
                data=Data(kind="gaussian", spectrum=spectrum, samples=24),
                network=Network(kind="mlp", hidden=(16,), init_spectrum=(0.05, 0.1, 0.2, 0.3, 0.4)),
                training=Training(learning_rate=0.2, steps=20),
                ensemble=Ensemble(replicas=context.replicas(200), seed=context.seed_of("A2", number)),
            ),
        )
        for number, (name, spectrum) in enumerate(spectra.items())
    )


@dataclass(frozen=True, eq=False)
class Measured:
    """The covariance B, its closed-form average, and its average over draws from the group.

    Attributes
    ----------
    before, after : Containment
        Of the data eigenspaces in those of B and of Π(B).
    draws : int
    max_z, pvalue : float
        The largest |entry of (Haar average − Π(B))| / SE, and its Bonferroni p-value.
    relative_error : float
        The largest such entry over ‖B‖.
    detectable : float
        What would have been found with probability .9, over ‖B‖.
    flips : float or None
        ‖average over all 2^d sign flips − Π(B)‖ / ‖B‖, where these are the whole group.
    """

    before: Containment
    after: Containment
    draws: int
    max_z: float
    pvalue: float
    relative_error: float
    detectable: float
    flips: float | None


def measure(case: Case, context: Context) -> Measured:
    """Average a trained covariance over Haar draws, and over the whole group where it is finite."""
    simulation = context.run(case.setting)
    spaces = data_eigenspaces(simulation)
    group = symmetry_group(spaces)
    matrix = simulation.readings[-1].second_moment
    averaged = twirl(group, matrix)
    size = np.linalg.norm(matrix, 2)
    draws = context.replicas(20000)
    elements = group.draw(np.random.default_rng(case.setting.ensemble.seed), draws)
    orbit = elements @ matrix @ elements.transpose(0, 2, 1)
    difference = orbit.mean(axis=0) - averaged
    # entries that the group leaves alone have no error and must not differ
    error = np.maximum(orbit.std(axis=0, ddof=1) / draws**0.5, ROUNDING * size)
    upper = np.triu_indices(len(matrix))
    z = float(np.abs(difference / error)[upper].max())
    tests = len(upper[0])
    detectable = (norm.isf(LEVEL / 2 / tests) + norm.ppf(POWER)) * float(error.max()) / size
    flips = None
    if max(spaces.multiplicity) == 1:
        signs = np.array(list(product((-1.0, 1.0), repeat=len(matrix))))
        inside = spaces.basis.T @ matrix @ spaces.basis
        whole = spaces.basis @ (np.einsum("gi,ij,gj->ij", signs, inside, signs) / len(signs)) @ spaces.basis.T
        flips = float(np.linalg.norm(whole - averaged) / np.linalg.norm(matrix))
    return Measured(
        before=containment(spaces, matrix),
        after=containment(spaces, averaged),
        draws=draws,
        max_z=z,
        pvalue=float(min(1.0, 2 * tests * norm.sf(z))),
        relative_error=float(np.abs(difference).max() / size),
        detectable=float(detectable),
        flips=flips,
    )


def decide(case: Case, prediction: str, measured: Measured) -> tuple[Finding, ...]:
    """The closed form must contain every data eigenspace; draws from the group must average to it."""
    finding = partial(Finding, claim="A2", case=case.name, kind="exact", replicas=case.setting.ensemble.replicas)
    findings = [
        finding(
            quantity=r"data eigenspaces contained in an eigenspace of $\Pi(B)$",
            prediction=prediction,
            measurement=measured.after.verdict,
            interval=(0.0, _worst(measured.after)),
            power=f"before averaging: {measured.before.verdict}, leakage or anisotropy {_worst(measured.before):.2g}",
            verdict="holds" if measured.after.verdict == "contained" else "refuted",
            note="leakage and anisotropy relative to the norm; no statistics",
        ),
        finding(
            quantity=r"largest entry of $\langle gBg^\top\rangle - \Pi(B)$, relative to $\|B\|$",
            prediction=0.0,
            measurement=measured.relative_error,
            pvalue=measured.pvalue,
            power=found(measured.detectable),
            verdict=exact_verdict(measured.pvalue, measured.detectable, 0),
            note=f"{measured.draws} Haar draws; largest z {measured.max_z:.2f}",
        ),
    ]
    if measured.flips is not None:
        findings.append(
            finding(
                quantity=r"average over all $2^d$ sign flips less $\Pi(B)$, relative to $\|B\|$",
                prediction=0.0,
                measurement=measured.flips,
                interval=(0.0, measured.flips),
                power=f"anything above {ROUNDING:g} is seen",
                verdict="holds" if measured.flips <= ROUNDING else "refuted",
                note="the whole group: no statistics",
            )
        )
    return tuple(findings)


def _worst(contained: Containment) -> float:
    return float(max(np.max(contained.leakage), np.max(contained.anisotropy)))


def _rows(outcome: Outcome) -> list[tuple[object, ...]]:
    before, after = outcome.measurement.before, outcome.measurement.after
    values = np.stack([before.leakage, before.anisotropy, after.leakage, after.anisotropy], axis=-1).tolist()
    return [(outcome.case.name if i == 0 else CONTINUED, i + 1, *row) for i, row in enumerate(values)]


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Leakage and anisotropy of every eigenspace, before and after averaging."""
    rows = [row for outcome in outcomes for row in _rows(outcome)]
    table = Table(
        name="a2-containment",
        caption="Leakage and anisotropy of each data eigenspace, relative to the norm, in the covariance $B$ of "
        "networks with an anisotropic init, and in its average $\\Pi(B)$.",
        columns=(
            Column("data", "text"),
            Column("eigenspace"),
            Column("leakage, $B$", digits=2),
            Column("anisotropy, $B$", digits=2),
            Column(r"leakage, $\Pi(B)$", digits=1),
            Column(r"anisotropy, $\Pi(B)$", digits=1),
        ),
        rows=tuple(rows),
    )
    return (table,), ()


CLAIM = Claim(
    id="A2",
    title="Averaging",
    statement="The average of $gBg^\\top$ over the orthogonal group that commutes with $\\Sigma_x$ is aligned with "
    "$\\Sigma_x$.",
    reference="arXiv:2006.10455, proof of Proposition 1",
    method=f"The closed form $\\Pi(B) = \\sum_i (\\mathrm{{tr}}(P_iB)/m_i) P_i$ against Haar averages (largest entry, "
    f"Bonferroni, $p < 10^{{-6}}$ refutes; {DISCREPANCY:.0%} must be detectable) and against the whole group of sign "
    "flips.",
    cases=cases,
    predict=lambda case: "contained",
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
