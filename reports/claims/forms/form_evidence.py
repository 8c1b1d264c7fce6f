"""A closed form held against an ensemble: the evidence, and the judgement that every claim about forms shows alike.

The evidence is what the ensemble says, and knows of no form: a form is held against it where it is judged. So a wrong
form changes the verdict and leaves the measurement as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from reports.claims.claim import Case
from reports.findings import Judgement
from reports.judging.compare import ComparedReading, compare
from reports.judging.estimate import Estimate, estimate
from reports.judging.intervals import detected, found, half_width
from reports.judging.needed import by_pvalue, with_need
from reports.judging.rules import control_verdict
from simulate.results import SimulatedReading, Simulation
from theory.prediction import Prediction


@dataclass(frozen=True, eq=False)
class FormEvidence:
    """The last reading of an ensemble.

    Attributes
    ----------
    ensemble : Simulation
        The ensemble, without its readings.
    step : int
    counts : ndarray of int, shape (K,)
        The number of replicas in each block.
    triangles : ndarray, shape (K, d(d + 1)/2)
        The upper triangles of the blocks' second moments, row by row.
    means : ndarray, shape (K, d)
    losses : ndarray, shape (K,)
    estimate : Estimate
        τ as measured, by eigenspace; alignment is not tested.
    """

    ensemble: Simulation
    step: int
    counts: np.ndarray
    triangles: np.ndarray
    means: np.ndarray
    losses: np.ndarray
    estimate: Estimate

    @property
    def replicas(self) -> int:
        """How many were trained."""
        return self.ensemble.replicas

    @property
    def diverged(self) -> int:
        """How many of them diverged."""
        return self.ensemble.diverged

    @property
    def degrees(self) -> int:
        """The degrees of freedom of the standard errors between blocks."""
        return len(self.counts) - 1

    @cached_property
    def simulation(self) -> Simulation:
        """The ensemble with this reading alone."""
        upper = np.triu_indices(self.means.shape[-1])
        moments = np.empty((len(self.counts), *self.ensemble.data_moment.shape))
        moments[:, *upper] = self.triangles
        moments[:, *upper[::-1]] = self.triangles
        reading = SimulatedReading(self.step, self.counts, moments, self.means, self.losses)
        return replace(self.ensemble, readings=(reading,))

    def against(self, prediction: Prediction) -> ComparedReading:
        """What comes of holding the last reading of a prediction against this one."""
        last = replace(prediction, readings=prediction.readings[-1:])
        return compare(last, self.simulation, estimates=(self.estimate,)).comparison[0]


def form_evidence(simulation: Simulation) -> FormEvidence:
    """What the last reading of a simulation says, whatever form it is held against."""
    last = replace(simulation, readings=simulation.readings[-1:])
    (reading,) = last.readings
    upper = np.triu_indices(reading.means.shape[-1])
    return FormEvidence(
        ensemble=replace(simulation, readings=()),
        step=reading.step,
        counts=reading.counts,
        triangles=reading.second_moments[:, *upper],
        means=reading.means,
        losses=reading.losses,
        estimate=estimate(last, tested=False)[0],
    )


def form_judgement(case: Case[Any], prediction: Prediction, evidence: FormEvidence, quantity: str) -> Judgement:
    """The largest relative error of τ at the last reading.

    Exact forms by their p-value, asymptotic ones by their budget; a control holds when its description is rejected. The
    interval of an asymptotic form's error is one of as many as there are eigenspaces, which hold together: which of
    them is shown has been chosen by looking.
    """
    compared, estimated, predicted = evidence.against(prediction), evidence.estimate, prediction.readings[-1]
    relative = estimated.tau / predicted.tau - 1
    worst, tests = int(np.argmax(np.abs(relative))), len(relative)
    largest, error = float(relative[worst]), float(estimated.tau_se[worst] / predicted.tau[worst])
    budget, wrong = prediction.error_budget, case.kind == "control"
    pvalue = 1.0 if compared.pvalue is None else compared.pvalue
    neglected = f": {'; '.join(prediction.neglected)}" if prediction.neglected else " nothing"
    note = f"`{prediction.formula}` neglects{neglected}"
    interval = None
    if budget is not None:
        half = float(half_width(error, tests=tests, degrees=evidence.degrees))
        interval = (largest - half, largest + half)
        note += f"; the interval is one of {tests} simultaneous 95 % intervals"
    if compared.reason is not None:
        note += f"; {compared.reason}"
    verdict = control_verdict(pvalue, evidence.diverged) if wrong else compared.verdict
    if wrong:
        note = with_need("a wrong form, to be refuted", verdict, by_pvalue(evidence.replicas, pvalue))
    return Judgement(
        quantity=quantity,
        prediction="not 0" if wrong else 0.0 if budget is None else f"within {budget:.2g}",
        measurement=largest,
        standard_error=error,
        interval=interval,
        pvalue=compared.pvalue,
        power=found(
            compared.detectable
            if budget is None
            else detected(error, tests=tests, degrees=evidence.degrees, relative=True)
        ),
        verdict=verdict,
        note=note,
    )


def scaled_form(prediction: Prediction, factor: float) -> Prediction:
    """The prediction with every τ, and Σ_w, times a factor."""
    readings = tuple(
        replace(
            reading,
            tau=factor * reading.tau,
            second_moment=None if reading.second_moment is None else factor * reading.second_moment,
        )
        for reading in prediction.readings
    )
    return replace(prediction, readings=readings)


def scaled_change(prediction: Prediction, factor: float, initial: float) -> Prediction:
    """The prediction with the change of every τ, and of Σ_w, from the `initial` variance times a factor."""
    readings = tuple(
        replace(
            reading,
            tau=initial + factor * (reading.tau - initial),
            second_moment=None if reading.second_moment is None else _moved(reading.second_moment, factor, initial),
        )
        for reading in prediction.readings
    )
    return replace(prediction, readings=readings)


def _moved(moment: np.ndarray, factor: float, initial: float) -> np.ndarray:
    start = initial * np.eye(len(moment))
    return np.asarray(start + factor * (moment - start))
