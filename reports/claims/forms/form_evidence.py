"""A closed form held against an ensemble: the evidence, and the judgement that every claim about forms shows alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.claims.claim import Case
from reports.findings import Judgement
from reports.judging.compare import ComparedReading, compare
from reports.judging.estimate import Estimate
from reports.judging.intervals import bars, detected, found, half_width
from reports.judging.needed import by_interval, by_power, by_pvalue, with_need
from reports.judging.rules import control_verdict
from simulate.results import Simulation
from theory.prediction import Prediction


@dataclass(frozen=True, eq=False)
class FormEvidence:
    """What the last reading of an ensemble says of a closed form; the moments of its blocks are left out.

    Attributes
    ----------
    compared : ComparedReading
    estimate : Estimate
        τ as measured, by eigenspace.
    replicas, diverged : int
    """

    compared: ComparedReading
    estimate: Estimate
    replicas: int
    diverged: int


def form_evidence(prediction: Prediction, simulation: Simulation) -> FormEvidence:
    """Hold the last reading of a prediction against that of a simulation."""
    held = compare(prediction, simulation)
    return FormEvidence(held.comparison[-1], held.estimates[-1], held.replicas, held.diverged)


def form_judgement(case: Case[Any], prediction: Prediction, evidence: FormEvidence, quantity: str) -> Judgement:
    """The largest relative error of τ at the last reading.

    Exact forms by their p-value, asymptotic ones by their budget; a control holds when its description is rejected.
    """
    compared, estimated, predicted = evidence.compared, evidence.estimate, prediction.readings[-1]
    relative = estimated.tau / predicted.tau - 1
    worst = int(np.argmax(np.abs(relative)))
    largest, error = float(relative[worst]), float(estimated.tau_se[worst] / predicted.tau[worst])
    budget, wrong = prediction.error_budget, case.kind == "control"
    pvalue = 1.0 if compared.pvalue is None else compared.pvalue
    neglected = "; ".join(prediction.neglected) or "nothing"
    verdict = control_verdict(pvalue, evidence.diverged) if wrong else compared.verdict
    return Judgement(
        quantity=quantity,
        prediction="not 0" if wrong else 0.0 if budget is None else f"within {budget:.2g}",
        measurement=largest,
        standard_error=error,
        interval=None if budget is None else (largest - bars(error), largest + bars(error)),
        pvalue=compared.pvalue,
        power=found(compared.detectable if budget is None else detected(error)),
        verdict=verdict,
        note=with_need(
            "a wrong description, to be refuted" if wrong else f"`{prediction.formula}` neglects {neglected}",
            verdict,
            _needed(prediction, evidence, wrong=wrong),
        ),
    )


def _needed(prediction: Prediction, evidence: FormEvidence, *, wrong: bool) -> str:
    """What decides it where it is undecided: of several eigenspaces, what the one nearest to the budget needs."""
    compared, budget, replicas = evidence.compared, prediction.error_budget, evidence.replicas
    if wrong:
        return by_pvalue(replicas, 1.0 if compared.pvalue is None else compared.pvalue)
    if budget is None:
        return by_power(replicas, compared.detectable)
    tau = prediction.readings[-1].tau
    error, half = evidence.estimate.tau / tau - 1, half_width(evidence.estimate.tau_se / tau, tests=len(tau))
    nearest = int(np.argmax(np.abs(error) + half))
    return by_interval(replicas, error[nearest] - half[nearest], error[nearest] + half[nearest], (-budget, budget))
