"""One transfer experiment, run and studied: the call behind `eigenalign transfer`."""

from __future__ import annotations

from pathlib import Path

import simulate.transfer
from reports.transfer.study import TransferStudy, study
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
    """Train every replica upstream and after every treatment downstream, and compare in pairs of replicas.

    What was trained is the study's `result`; `reports.transfer.study` studies it again in another way.

    Parameters
    ----------
    experiment : Experiment
    replicas, device, progress, store, resume, processes
        Of the training: see `simulate.transfer.run`.
    gain_of, confidence
        Of the comparison: see `reports.transfer.study`.

    Raises
    ------
    InvalidInput
        What either of them refuses.
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
