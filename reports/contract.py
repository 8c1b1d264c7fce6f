"""Predictions, simulations and verifications as the JSON values of the public contract."""

from __future__ import annotations

from typing import Any

from reports.judging.compare import Verification
from reports.judging.estimate import Estimate, estimate
from reports.judging.scaling import ScalingVerification, Surrogate
from reports.judging.verify import population_mean
from reports.record import to_builtins
from simulate.results import Simulation
from theory.prediction import Prediction


def prediction(predicted: Prediction) -> dict[str, Any]:
    """The JSON value of `eigenalign predict`."""
    return to_builtins(
        {
            "formula": predicted.formula,
            "status": predicted.status,
            "order": predicted.order,
            "error_budget": predicted.error_budget,
            "assumptions": predicted.assumptions,
            "neglected": predicted.neglected,
            "readings": [
                {
                    "step": reading.step,
                    "sigma": reading.sigma,
                    "multiplicity": reading.multiplicity,
                    "tau": reading.tau,
                    "f": reading.f,
                }
                for reading in predicted.readings
            ],
        }
    )


def simulation(simulated: Simulation, estimates: tuple[Estimate, ...] | None = None) -> dict[str, Any]:
    """The JSON value of `eigenalign simulate`."""
    if estimates is None:
        estimates = estimate(simulated, mean=population_mean(simulated.setting))
    return to_builtins(
        {
            "replicas": simulated.replicas,
            "diverged": simulated.diverged,
            "device": simulated.device,
            "seed": simulated.setting.ensemble.seed,
            "readings": [
                {
                    "step": reading.step,
                    "sigma": reading.sigma,
                    "multiplicity": reading.multiplicity,
                    "tau": reading.tau,
                    "tau_se": reading.tau_se,
                    "mean_weight_norm": reading.mean_weight_norm,
                    "misalignment": reading.misalignment,
                    "alignment_pvalue": reading.alignment_pvalue,
                }
                for reading in estimates
            ],
        }
    )


def verification(verified: Verification) -> dict[str, Any]:
    """The JSON value of `eigenalign verify`; the surrogate "scaling" adds what its own check found, and its errors."""
    record = {
        "prediction": prediction(verified.prediction),
        "simulation": simulation(verified.simulation, verified.estimates),
        "comparison": verified.comparison,
    }
    if isinstance(verified, ScalingVerification):
        record |= {"surrogate": surrogate(verified.surrogate), "errors": verified.errors}
    return to_builtins(record)


def surrogate(found: Surrogate) -> dict[str, Any]:
    """Two smaller networks: τ of each, whether they agree, what warns of them, what they save."""
    return to_builtins(
        {
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
    )
