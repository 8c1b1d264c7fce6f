"""`eigenalign verify`: the prediction beside the simulation, and the verdict on every reading.

Of a surrogate it says that it is one; with "scaling" it also prints the convergence check and the errors of the smaller
networks.
"""

from __future__ import annotations

from typing import Any

from reports.counted import counted
from reports.judging import measured_order, scaling
from reports.judging.compare import ComparedReading, Verification
from reports.judging.estimate import Estimate
from reports.judging.intervals import found as words_of_power
from reports.judging.scaling import ScalingVerification, Surrogate
from reports.record import to_builtins
from reports.views import prediction, simulation
from reports.views.view import Grid, Part, View, grid, shown
from theory.prediction import PredictedReading

# The formulas that are measured in part; their assumptions, which are printed, say what they are.
SURROGATES = (scaling.NAME, measured_order.NAME)


def view(verification: Verification) -> View:
    """The view of a verification."""
    value = {
        "prediction": prediction.view(verification.prediction).value,
        "simulation": simulation.view(verification.simulation, verification.estimates).value,
        "comparison": verification.comparison,
    }
    head = [f"{verification.prediction.formula} ({verification.prediction.status})"]
    if isinstance(verification, ScalingVerification):
        value |= {"surrogate": _surrogate(verification.surrogate), "errors": verification.errors}
    if verification.prediction.formula in SURROGATES:
        head += [f"  {text}" for text in verification.prediction.assumptions]
    readings = [
        _reading(verification, *found)
        for found in zip(verification.prediction.readings, verification.estimates, verification.comparison, strict=True)
    ]
    diverged = verification.simulation.diverged
    last = [[f"{counted(diverged, 'replica')} diverged, so nothing can hold"]] if diverged else []
    return View(to_builtins(value), [head, *readings, *last])


def _reading(
    verification: Verification, predicted: PredictedReading, estimated: Estimate, compared: ComparedReading
) -> list[Part]:
    columns = {
        "sigma": predicted.sigma,
        "multiplicity": predicted.multiplicity,
        "tau predicted": predicted.tau,
        "tau measured": estimated.tau,
        "SE": estimated.tau_se,
    }
    found = "" if compared.detectable is None else f"; {words_of_power(compared.detectable)}"
    parts: list[Part] = [
        f"step {predicted.step}",
        grid(columns),
        f"{compared.verdict}: p {shown(compared.pvalue)}, max |z| {shown(compared.max_abs_z)}{found}",
    ]
    if isinstance(verification, ScalingVerification):
        parts += _scaling_errors(verification, predicted.step)
    elif compared.reason is not None and not verification.simulation.diverged:
        parts.append(compared.reason)
    return parts


def _scaling_errors(verification: ScalingVerification, step: int) -> list[Part]:
    """The error of each smaller network at one step, and whether they agree."""
    found = verification.surrogate
    agreement = next(reading.agreement for reading in found.readings if reading.step == step)
    errors = Grid(
        ("b", "worst", "rms", "SE", "if nothing moved", "of tau - tau_0", "noise"),
        tuple(
            (error.b, error.worst, error.rms, error.noise, error.moved, error.change, error.change_noise)
            for error in verification.errors_at(step)
        ),
    )
    withheld = [] if agreement == "converged" else ["the surrogate has not converged, so it gives no verdict"]
    return [
        "relative errors of tau, initial noise subtracted:",
        errors,
        f"convergence check (both sizes within {found.tolerance:.0%}): {agreement}",
        *withheld,
    ]


def _surrogate(found: Surrogate) -> dict[str, Any]:
    """The two smaller networks: τ of each, whether they agree, warnings, and the cost they save."""
    return {
        "factors": found.factors,
        "replicas": found.replicas,
        "diverged": found.diverged,
        "tolerance": found.tolerance,
        "agreement": found.agreement,
        "warnings": found.warnings,
        "saving": found.saving,
        "readings": [
            {
                "step": reading.step,
                "tau": [size.tau for size in reading.sizes],
                "tau_se": [size.change_se for size in reading.sizes],
                "difference": reading.difference,
                "half_width": reading.half_width,
                "agreement": reading.agreement,
            }
            for reading in found.readings
        ],
    }
