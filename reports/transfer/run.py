"""One transfer experiment, run and studied, or predicted: the functions behind `eigenalign transfer`."""

from __future__ import annotations

from pathlib import Path

import simulate.transfer
from reports.transfer.answer import Answer, PredictedEffect, answers, predict_effect
from reports.transfer.condition import conditions, require_others
from reports.transfer.study import TransferStudy, study
from simulate.transfer import Switched, TransferResult
from theory.setting import Experiment


def transfer(
    experiment: Experiment,
    *,
    replicas: int | None = None,
    device: str = "cpu",
    progress: bool = False,
    store: str | Path | None = None,
    resume: bool = False,
    processes: int = 1,
    gain_of: str | None = None,
    confidence: float = 0.95,
) -> TransferStudy:
    """Train every replica upstream, and downstream after every treatment; compare in pairs of replicas.

    The study's `result` holds the trainings; `reports.transfer.study` can study it again with other options.

    Parameters
    ----------
    experiment : Experiment
    replicas, device, progress, store, resume, processes
        Options of the training: see `simulate.transfer.run`.
    gain_of, confidence
        Options of the comparison: see `reports.transfer.study`.

    Raises
    ------
    InvalidInput
        If the training or the comparison refuses what it is given.
    """
    result = simulate.transfer.run(
        experiment,
        replicas=replicas,
        device=device,
        progress=progress,
        store=store,
        resume=resume,
        processes=processes,
    )
    return study(result, gain_of=gain_of, confidence=confidence)


def predict_transfer(
    experiment: Experiment,
    *,
    replicas: int | None = None,
    device: str = "cpu",
    progress: bool = False,
    store: str | Path | None = None,
    resume: bool = False,
    processes: int = 1,
) -> tuple[Switched, tuple[PredictedEffect, ...]]:
    """Train every replica upstream and predict the gain of every treatment; nothing is trained downstream.

    Parameters
    ----------
    experiment : Experiment
    replicas, device, progress, store, resume, processes
        Options of upstream training: see `simulate.transfer.run`. The processes also share the predictions.

    Returns
    -------
    Switched, tuple of PredictedEffect
        The networks at the switch, and a prediction for every treatment but scratch.

    Raises
    ------
    InvalidInput
        If "scratch" is the only treatment, and for everything that upstream training refuses.
    """
    require_others(experiment)
    switched = simulate.transfer.train_upstream_alone(
        experiment,
        replicas=replicas,
        device=device,
        progress=progress,
        store=store,
        resume=resume,
        processes=processes,
    )
    return switched, _predictions(switched, processes, progress)


def answer_transfer(
    result: TransferResult, switched: Switched | None, *, processes: int = 1, progress: bool = False
) -> tuple[TransferStudy, tuple[Answer, ...]]:
    """Study a result and answer for every treatment; predictions are made if networks at the switch are given.

    Raises
    ------
    InvalidInput
        If every replica has diverged.
    """
    found = study(result)
    compared = switched is not None and len(result.treated) > 1
    foretold = _predictions(switched, processes, progress) if switched is not None and compared else None
    return found, answers(found, foretold)


def _predictions(switched: Switched, processes: int, progress: bool) -> tuple[PredictedEffect, ...]:
    found = conditions(switched, processes=processes, progress=progress)
    return tuple(predict_effect(switched.experiment, each) for each in found)
