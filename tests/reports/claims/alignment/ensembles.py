"""Cases of these claims made small, and ensembles of weights that were never trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from reports.campaign.records import round_trip
from reports.campaign.settle import settle
from reports.claims.alignment.evidence import TrainedEnsemble
from reports.claims.claim import AnyClaim, Case, Context, Outcome, Trial
from simulate.results import SimulatedReading, Simulation
from theory.eigenspaces import eigenspaces
from theory.setting import Data, Ensemble, Setting
from theory.symmetry import symmetry_group

QUICK = Context(seed=5)


def smaller(setting: Setting, replicas: int, **training: Any) -> Setting:
    """The setting with so many replicas and another training."""
    return msgspec.structs.replace(
        setting,
        training=msgspec.structs.replace(setting.training, **training),
        ensemble=msgspec.structs.replace(setting.ensemble, replicas=replicas),
    )


def case_of(claim: AnyClaim, name: str, context: Context = QUICK) -> Case[Any]:
    """The case of that name."""
    (found,) = (case for case in claim.cases(context) if case.name == name)
    return found


def smaller_case(claim: AnyClaim, name: str, replicas: int, **training: Any) -> Case[Any]:
    """The case of that name with so many replicas and another training."""
    case = case_of(claim, name)
    return replace(case, trained=smaller(case.setting, replicas, **training))


def with_trials(claim: AnyClaim, trials: Mapping[str, Trial[Any]]) -> AnyClaim:
    """The claim with these trials and without a background."""
    return replace(claim, trials=lambda _: trials, background=lambda: ())


def outcome_of(claim: AnyClaim, case: Case[Any], context: Context = QUICK) -> Outcome[Any, Any, Any]:
    """A case predicted, measured, kept, read again and decided."""
    prediction, measurement = round_trip(settle(claim, case, context), claim).value
    return Outcome(case, prediction, measurement, claim.decide(case, prediction, measurement))


def turned(matrices: np.ndarray, seed: int = 0) -> np.ndarray:
    """The matrices in another orthonormal basis, the same for all."""
    d = matrices.shape[-1]
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]
    return basis @ matrices @ basis.T


def reading_of(spectrum: np.ndarray, networks: int = 40, width: int = 50, *, step: int = 1) -> SimulatedReading:
    """Gaussian weights with these variances along the axes."""
    w = np.random.default_rng(4).standard_normal((networks, width, len(spectrum))) * np.sqrt(spectrum)
    zeros = np.zeros(networks)
    return SimulatedReading(step, np.ones(networks, int), w.mT @ w / width, w.mean(axis=1), zeros)


def untrained_ensemble(data: np.ndarray, *readings: SimulatedReading) -> TrainedEnsemble:
    """An ensemble with these `readings`, as if trained on `data`, the second moment (d, d)."""
    last = readings[-1]
    rows = Data(kind="gaussian", spectrum=tuple(np.linalg.eigvalsh(data).tolist()), samples=24)
    setting = Setting(data=rows, ensemble=Ensemble(replicas=last.replicas))
    simulation = Simulation(setting, last.replicas, 0, "cpu", 50, data, readings)
    spaces = eigenspaces(data)
    return TrainedEnsemble(simulation, spaces, symmetry_group(spaces))
