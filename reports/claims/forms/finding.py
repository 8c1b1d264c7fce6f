"""The finding of a closed form held against an ensemble, which every claim about closed forms shows alike."""

from __future__ import annotations

import numpy as np

from reports.claims.claim import Case
from reports.findings import Finding
from reports.judging.compare import Verification, control_verdict, found
from theory.prediction import Prediction


def form_finding(claim: str, case: Case, prediction: Prediction, measured: Verification, quantity: str) -> Finding:
    """The largest relative error of τ at the last reading.

    Exact forms by their p-value, asymptotic ones by their budget; a control holds when its description is rejected.
    """
    compared = measured.comparison[-1]
    estimated, predicted = measured.estimates[-1], prediction.readings[-1]
    relative = estimated.tau / predicted.tau - 1
    worst = int(np.argmax(np.abs(relative)))
    error = float(estimated.tau_se[worst] / predicted.tau[worst])
    budget, wrong = prediction.error_budget, case.kind == "control"
    pvalue, diverged = 1.0 if compared.pvalue is None else compared.pvalue, measured.simulation.diverged
    neglected = "; ".join(prediction.neglected) or "nothing"
    return Finding(
        claim=claim,
        case=case.name,
        kind="control" if wrong else prediction.status,
        quantity=quantity,
        prediction="not 0" if wrong else 0.0 if budget is None else f"within {budget:.2g}",
        measurement=float(relative[worst]),
        standard_error=error,
        interval=None
        if budget is None
        else (float(relative[worst] - 1.96 * error), float(relative[worst] + 1.96 * error)),
        pvalue=compared.pvalue,
        power=found(compared.detectable) if budget is None else f"{3.24 * error:.1%} found with probability .9",
        verdict=control_verdict(pvalue, diverged) if wrong else compared.verdict,
        note="a wrong description, to be refuted" if wrong else f"`{prediction.formula}` neglects {neglected}",
        replicas=measured.simulation.replicas,
        diverged=diverged,
    )
