"""One setting, predicted and simulated on the same rows, and compared: the calls behind `predict` and `verify`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from tqdm import tqdm

import simulate
import theory
from reports.judging import measured_order, scaling
from reports.judging.changes import from_start
from reports.judging.compare import Verification, compare
from theory.announce import listening
from theory.prediction import Prediction
from theory.setting import Setting


def predict(setting: Setting, *, formula: str | None = None, progress: bool = False) -> Prediction:
    """The closed form of a setting, on the rows that `simulate` would train on.

    Two surrogates are no closed forms, but train smaller networks: `scaling`, of the same proportions, see
    `reports.judging.scaling`, and `dmft-measured`, of a half and a quarter of the size, see
    `reports.judging.measured_order`.

    Raises NoClosedForm if none applies, before any row is drawn.
    """
    if formula == scaling.NAME:
        return scaling.predict(scaling.surrogate(setting, progress=progress))
    with _bar(progress):
        if formula == measured_order.NAME:
            return measured_order.predict(setting, progress=progress)
        return theory.predict(setting, rows=fixed_rows(setting), formula=formula)


@contextmanager
def _bar(shown: bool) -> Iterator[None]:
    """After a second a progress bar on stderr, where that is a terminal, of the runs that a long prediction makes."""
    with tqdm(unit=" runs", disable=None if shown else True, leave=False, delay=1) as bar:

        def heard(done: int, most: int) -> None:
            bar.total = most
            bar.update(done - bar.n)

        with listening(heard):
            yield


def verify(
    setting: Setting, *, formula: str | None = None, device: str = "cpu", progress: bool = False
) -> Verification:
    """Predict, simulate, compare. Without a closed form nothing is simulated: NoClosedForm is raised first.

    With the formula "scaling" the result is a `reports.judging.scaling.ScalingVerification`.
    """
    if formula == scaling.NAME:
        found = scaling.surrogate(setting, device=device, progress=progress)
        full = simulate.run(from_start(setting), device=device, progress=progress)
        return scaling.compare(found, full, mean=population_mean(setting))
    prediction = predict(setting, formula=formula, progress=progress)
    simulation = simulate.run(setting, device=device, progress=progress)
    return compare(prediction, simulation, mean=population_mean(setting))


def fixed_rows(setting: Setting) -> np.ndarray | None:
    """The rows that all replicas share, for a setting that has them."""
    return simulate.rows(setting) if setting.data.fixed else None


def population_mean(setting: Setting) -> np.ndarray | None:
    """E x (d,) of a synthetic law with a mean, which the symmetry group has to fix; otherwise None."""
    return simulate.population(setting).mean if setting.data.law_mean and not setting.data.fixed else None
