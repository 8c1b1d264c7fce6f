"""The shape of a claim: trials fixed beforehand, a prediction, a measurement, a rule that decides.

A claim declares its trials; a trial with its random seed is a case. The seed of a case is a hash of the user's seed,
the claim, and what the case is: its setting or experiment, so far as it departs from the defaults, its study and its
kind. Neither its name nor its place nor the number of replicas enters, so that cases may be renamed, reordered and
added, and budgets share draws. Trials that name the same `shared` draws, of one claim or of several, are trained once:
their seed is a hash of that name and of what is trained alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

import msgspec

import simulate.transfer
from reports import experiment_file, setting_file
from reports.codec import pack
from reports.findings import Exhibits, Judgement, Kind, Table
from simulate.results import Simulation
from simulate.transfer.results import TransferResult
from theory.errors import InvalidInput
from theory.setting import Experiment, Setting

BUDGETS = {"quick": 1, "full": 6, "paper": 32}
Budget = Literal["quick", "full", "paper"]

Study = TypeVar("Study")
Predicted = TypeVar("Predicted")


class Measurement(Protocol):
    """What every measurement says of the networks behind it."""

    @property
    def replicas(self) -> int: ...

    @property
    def diverged(self) -> int: ...


Measured = TypeVar("Measured", bound=Measurement)


@dataclass(frozen=True)
class Context:
    """What the user chose: how much work, which seed, which device.

    Attributes
    ----------
    budget : "quick", "full" or "paper"
        The amount of work: replicas are multiplied by 1, 6 or 32 (the quick budget takes fewer where these decide), and
        cases may be added; no case changes its setting, and all are fixed before anything runs.
    seed : int
    device : str
    store : Path or None
        The folder in which ensembles leave their sums, so that an interrupted report can resume.
    cifar10 : Path or None
        The folder of CIFAR-10's binary batches, absolute; the paper budget then trains the paper's own networks, too.
    part : "i/n" or None
        Which part of the first ensemble that a measurement asks for is trained, and left in the store; None for the
        whole.
    """

    budget: str = "quick"
    seed: int = 0
    device: str = "cpu"
    store: Path | None = None
    cifar10: Path | None = None
    part: str | None = None

    def run(self, setting: Setting) -> Simulation:
        """The ensemble of a setting; what the store holds of it already is not computed again.

        The quick budget trains ensembles of few networks in batches of their own size, and does not store them.

        Raises
        ------
        PartDone
            If only a part was to be trained.
        """
        resume = self.store is not None
        found = simulate.run(
            setting,
            device=self.device,
            store=self.store,
            resume=resume,
            shard=self.part,
            fitted=self.budget == "quick",
        )
        if self.part is not None:
            raise PartDone(self.part)
        return found

    def transfer(self, experiment: Experiment) -> TransferResult:
        """The results of a transfer experiment, without its weights; otherwise as `run`."""
        resume = self.store is not None
        found = simulate.transfer.run(
            experiment, device=self.device, store=self.store, resume=resume, shard=self.part, weights=False
        )
        if self.part is not None:
            raise PartDone(self.part)
        return found

    def replicas(self, unit: int, *, quick: int | None = None) -> int:
        """How many replicas this budget affords: a multiple of `unit`; the quick one `quick` of them, where given."""
        return quick if quick is not None and self.budget == "quick" else unit * BUDGETS[self.budget]

    def parts(self, full: int) -> int:
        """Into how many parts a case is cut that takes more than a minute of the full budget; quick ones are whole."""
        return 1 if self.budget == "quick" else full


class PartDone(Exception):
    """A part of an ensemble is trained and kept; what a measurement makes of the whole needs the other parts."""


@dataclass(frozen=True)
class Trial(Generic[Study]):
    """What a claim trains and how it is judged, before a seed is given to it.

    Attributes
    ----------
    trained : Setting or Experiment
        What is trained, with replicas and precision; its seed is ignored.
    study : Study
        What the setting does not say: a dataclass, struct, number, string, tuple of these, or None.
    kind : "exact", "asymptotic", "control" or "outside"
        Which rule decides: a control must be detected, a case outside the hypotheses gets no verdict.
    shared : str
        A name in place of the claim, the study and the kind in the seed, where several trials read the same networks;
        they have equally many replicas.
    parts : int
        Into how many parts the case may be cut, so that several processes or machines settle it: the first ensemble
        that is measured, or what the claim joins. It changes no number.
    quick : int or None
        How many replicas decide at the quick budget, if not the unit that larger budgets multiply: see `at_budget`.
    since : "quick", "full" or "paper"
        The smallest budget that has this case.
    """

    trained: Setting | Experiment
    study: Study = None  # type: ignore[assignment]  # of the claims whose settings say it all
    kind: Kind = "exact"
    shared: str = ""
    parts: int = 1
    quick: int | None = None
    since: Budget = "quick"

    @property
    def cut(self) -> tuple[str, ...]:
        """The names of its parts, if there are several."""
        return tuple(f"{i + 1}/{self.parts}" for i in range(self.parts)) if self.parts > 1 else ()


@dataclass(frozen=True)
class Case(Generic[Study]):
    """One trial of a claim, with its seed.

    Attributes
    ----------
    name : str
        What is trained, in a few words, for people; unique within its claim. Nothing is decided by its words.
    trained : Setting or Experiment
    study : Study
    kind : Kind
    parts : tuple of str
        The parts "1/n" … "n/n" into which the case is cut; none if it is whole. A part that is settled like a case has
        itself as its only part.
    """

    name: str
    trained: Setting | Experiment
    study: Study
    kind: Kind
    parts: tuple[str, ...] = ()

    @property
    def part(self) -> str | None:
        """Which part "i/n" of a case this is; None of a whole one."""
        return self.parts[0] if len(self.parts) == 1 else None

    @property
    def setting(self) -> Setting:
        """What is trained; of a transfer experiment, its upstream part."""
        return self.trained if isinstance(self.trained, Setting) else self.trained.upstream_setting

    @property
    def experiment(self) -> Experiment:
        """The transfer experiment; InvalidInput where the case is none."""
        if isinstance(self.trained, Setting):
            raise InvalidInput("case", self.name, "is not a transfer experiment")
        return self.trained


@dataclass(frozen=True)
class Outcome(Generic[Study, Predicted, Measured]):
    """A case with its prediction, its measurement, and what was judged of it."""

    case: Case[Study]
    prediction: Predicted
    measurement: Measured
    judgements: tuple[Judgement, ...]


Outcomes = tuple[Outcome[Study, Predicted, Measured], ...]


def _nothing_more(outcomes: Any) -> tuple[()]:
    return ()


def _no_tables() -> tuple[()]:
    return ()


@dataclass(frozen=True)
class Claim(Generic[Study, Predicted, Measured]):
    """A claim of the paper, and how it is judged.

    `predict` and `measure` are functions of a module whose annotations say what they return: it is kept on disk, and
    read again as these types. `decide`, `conclude` and `illustrate` are cheap, and compute nothing that they are not
    given: a report is typeset again from what is kept.

    Attributes
    ----------
    id, title, statement, reference : str
    method : str
        What is checked, and by which rule it is decided.
    trials : callable, Context → name → Trial
    predict : callable, Case → prediction
    measure : callable, (Case, Context) → measurement
        The measurement, which is not given the prediction, and takes no number from a formula that it is to test.
    decide : callable, (Case, prediction, measurement) → tuple of Judgement
    illustrate : callable, tuple of Outcome → Exhibits
        The tables and figures of the outcomes that have a measurement.
    conclude : callable, tuple of Outcome → tuple of (Judgement, tuple of Outcome)
        What is found of several cases together, with these cases; nothing by default.
    background : callable, () → tuple of Table
        Tables that depend on no case, computed once and kept; they follow those of `illustrate`.
    scaled : callable, (prediction, factor) → prediction, or None
        The prediction with its numbers wrong by a factor. With it the report gives the smallest error that each
        finding would have detected. None where no number is predicted.
    join : callable, sequence of (prediction, measurement) → (prediction, measurement), or None
        The whole of a case from its parts, in their order. `predict` and `measure` are then asked for each part by
        itself, which `Case.part` names. None where a part trains a share of the first ensemble that is measured.
    """

    id: str
    title: str
    statement: str
    reference: str
    method: str
    trials: Callable[[Context], Mapping[str, Trial[Study]]]
    predict: Callable[[Case[Study]], Predicted]
    measure: Callable[[Case[Study], Context], Measured]
    decide: Callable[[Case[Study], Predicted, Measured], tuple[Judgement, ...]]
    illustrate: Callable[[Outcomes[Study, Predicted, Measured]], Exhibits]
    conclude: Callable[
        [Outcomes[Study, Predicted, Measured]], tuple[tuple[Judgement, Outcomes[Study, Predicted, Measured]], ...]
    ] = _nothing_more
    background: Callable[[], tuple[Table, ...]] = _no_tables
    scaled: Callable[[Predicted, float], Predicted] | None = None
    join: Callable[[Sequence[tuple[Predicted, Measured]]], tuple[Predicted, Measured]] | None = None

    def cases(self, context: Context) -> tuple[Case[Study], ...]:
        """The trials of this budget with their seeds, in their order."""
        return tuple(
            Case(name, seeded(trial.trained, seed_of(trial, self.id, context.seed)), trial.study, trial.kind, trial.cut)
            for name, trial in self.trials(context).items()
            if BUDGETS[trial.since] <= BUDGETS[context.budget]
        )


def seed_of(trial: Trial[Any], claim: str, seed: int) -> int:
    """The seed of a case: 48 bits of a hash of the user's seed, the claim (or what is shared), and what it is.

    >>> from theory.setting import Data, Ensemble
    >>> one = Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0)))
    >>> more = msgspec.structs.replace(one, ensemble=Ensemble(replicas=9000))
    >>> seed_of(Trial(one), "A3", 0) == seed_of(Trial(more), "A3", 0)
    True
    >>> others = Trial(one, "a study"), Trial(one, kind="control")
    >>> len({seed_of(Trial(one), "A3", 0), seed_of(Trial(one), "A4", 0), *(seed_of(t, "A3", 0) for t in others)})
    4
    >>> len({seed_of(replace(trial, shared="forms"), "A3", 0) for trial in others})
    1
    """
    trained = trial.trained
    lines = setting_file.departures(trained) if isinstance(trained, Setting) else experiment_file.departures(trained)
    # not how many replicas there are, nor where a machine keeps its files
    kept = [
        line for line in lines if not re.match(r"ensemble\.|(upstream\.)?data\.((labels_)?path|moments_of)\b", line)
    ]
    study, _ = pack(trial.study)
    asked = [trial.shared, kept] if trial.shared else [claim, kept, study, trial.kind]
    what = json.dumps([seed, *asked])
    return int.from_bytes(blake2b(what.encode(), digest_size=6).digest())


AnyClaim = Claim[Any, Any, Any]


def at_budget(trial: Trial[Study], context: Context) -> Trial[Study]:
    """The trial with as many replicas as the budget affords, where its ensemble has the unit of them."""
    ensemble = trial.trained.ensemble
    scaled = msgspec.structs.replace(ensemble, replicas=context.replicas(ensemble.replicas, quick=trial.quick))
    return replace(trial, trained=msgspec.structs.replace(trial.trained, ensemble=scaled))


def seeded(trained: Setting | Experiment, seed: int) -> Setting | Experiment:
    """The setting or experiment, its ensemble drawn from another seed."""
    ensemble = msgspec.structs.replace(trained.ensemble, seed=seed)
    return msgspec.structs.replace(trained, ensemble=ensemble)
