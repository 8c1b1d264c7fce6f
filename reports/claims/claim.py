"""The shape of a claim: cases fixed beforehand, a prediction, a measurement, a rule that decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import simulate
from reports.findings import Figure, Finding, Table
from simulate.results import Simulation
from theory.setting import Experiment, Setting

BUDGETS = {"quick": 1, "full": 8, "paper": 32}


@dataclass(frozen=True)
class Context:
    """What the user chose: how much work, which seed, which device.

    Attributes
    ----------
    budget : "quick", "full" or "paper"
        Multiplies replicas by 1, 8 or 32, and may add cases, as C3 and F7 do, or train larger networks, as B5 does; the
        others keep their settings, and all are fixed before anything runs.
    seed : int
    device : str
    store : Path or None
        Where ensembles leave their sums, so that an interrupted report goes on where it was.
    cifar10 : Path or None
        The folder of CIFAR-10's binary batches, absolute; the paper budget then trains the paper's own networks, too.
    """

    budget: str = "quick"
    seed: int = 0
    device: str = "cpu"
    store: Path | None = None
    cifar10: Path | None = None

    def run(self, setting: Setting) -> Simulation:
        """The ensemble of a setting; what the store holds of it already is not computed again."""
        return simulate.run(setting, device=self.device, store=self.store, resume=self.store is not None)

    def replicas(self, quick: int) -> int:
        """How many replicas this budget affords where the quick one affords `quick`."""
        return quick * BUDGETS[self.budget]

    def seed_of(self, claim: str, case: int) -> int:
        """48 bits of a hash of the user's seed, the claim and the case, so that no two cases share draws."""
        return int.from_bytes(blake2b(f"{self.seed} {claim} {case}".encode(), digest_size=6).digest())


@dataclass(frozen=True)
class Case:
    """One setting of a claim.

    Attributes
    ----------
    name : str
        What is trained, in a few words; unique within its claim.
    setting : Setting
    kind : "exact", "asymptotic", "control" or "outside"
        Which rule decides: a control must be detected, a case outside the hypotheses gets no verdict.
    formula : str or None
        The closed form to hold against the simulation, where not the preferred one.
    experiment : Experiment or None
        Of a claim on transfer, whose `setting` is the upstream part.
    """

    name: str
    setting: Setting
    kind: Literal["exact", "asymptotic", "control", "outside"] = "exact"
    formula: str | None = None
    experiment: Experiment | None = None


@dataclass(frozen=True)
class Outcome:
    """A case with its prediction, its measurement (None where training diverged) and its findings."""

    case: Case
    prediction: Any
    measurement: Any
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, and how it is judged.

    Attributes
    ----------
    id, title, statement, reference : str
    method : str
        What is checked, and by which rule it is decided.
    cases : callable, Context → tuple of Case
    predict : callable, Case → prediction
    measure : callable, (Case, Context) → measurement
    decide : callable, (Case, prediction, measurement) → tuple of Finding
    illustrate : callable, tuple of Outcome → (tables, figures)
        Of the outcomes that have a measurement.
    conclude : callable, tuple of Outcome → tuple of Finding
        What is found of all cases together; nothing unless given.
    """

    id: str
    title: str
    statement: str
    reference: str
    method: str
    cases: Callable[[Context], tuple[Case, ...]]
    predict: Callable[[Case], Any]
    measure: Callable[[Case, Context], Any]
    decide: Callable[[Case, Any, Any], tuple[Finding, ...]]
    illustrate: Callable[[tuple[Outcome, ...]], tuple[tuple[Table, ...], tuple[Figure, ...]]]
    conclude: Callable[[tuple[Outcome, ...]], tuple[Finding, ...]] = lambda outcomes: ()
