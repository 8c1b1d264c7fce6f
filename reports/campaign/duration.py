"""About how long the paper's own networks will take, said before they are trained: a few updates of each are timed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
import torch

import simulate
from reports.claims.claim import Case
from simulate.devices import resolve
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

ROWS = 16  # the number of rows of an update that is timed: its time is taken to grow with the rows
UPDATES = 2


def expected_seconds(cases: Iterable[Case[Any]], device: str) -> float:
    """The time of these cases on images 32 × 32 × 3, one after the other, without what is read and measured."""
    known: dict[Network, float] = {}
    total = 0.0
    for case in cases:
        network = case.setting.network
        alike = msgspec.structs.replace(network, init_variance=1.0)  # the scale of the init takes no time
        if alike not in known:
            known[alike] = _seconds_of_a_row(alike, device)
        total += known[alike] * rows_seen(case)
    return total


def rows_seen(case: Case[Any]) -> int:
    """Rows over all updates and replicas of a case: those of a transfer experiment under every treatment."""
    seen = case.setting.training.readings[-1] * case.setting.batch_rows
    if not isinstance(case.trained, Setting):
        after = case.experiment.downstream_setting
        seen += len(case.experiment.treatment.each) * after.training.readings[-1] * after.batch_rows
    return seen * case.trained.ensemble.replicas


def duration_in_words(seconds: float) -> str:
    """A time in the unit that suits it.

    >>> duration_in_words(50.0), duration_in_words(4000.0), duration_in_words(2e6)
    ('1 minute', '1.1 hours', '23 days')
    """
    for unit, size in (("days", 86400.0), ("hours", 3600.0)):
        if seconds >= size:
            return f"{seconds / size:.{0 if seconds >= 10 * size else 1}f} {unit}"
    minutes = max(round(seconds / 60), 1)
    return f"{minutes} minute{'s' if minutes > 1 else ''}"


def _seconds_of_a_row(network: Network, device: str) -> float:
    """What one row of one update takes, by updates of a few rows of noise."""
    place = resolve(device)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        np.save(path, np.random.default_rng(0).standard_normal((ROWS, 3, 32, 32)))
        setting = Setting(
            data=Data(kind="array", path=str(path), samples=ROWS),
            labels=Labels(kind="classes"),
            network=network,
            training=Training(loss="cross-entropy", learning_rate=1e-6, momentum=0.9, steps=UPDATES),
            ensemble=Ensemble(replicas=1, dtype="float32"),
        )
        inputs = simulate.replica_inputs(setting, [0]).to(place, torch.float32)
    once = msgspec.structs.replace(setting, training=msgspec.structs.replace(setting.training, steps=1))
    simulate.train(once, inputs)  # the first update prepares libraries
    began = time.perf_counter()
    found = simulate.train(setting, inputs)
    float(found[UPDATES][0].sum())  # a GPU is waited for
    return (time.perf_counter() - began) / (UPDATES * ROWS)
