"""Predictions, simulations and verifications as the JSON values of the public contract."""

from __future__ import annotations

from typing import Any

from reports.compare import Verification
from reports.estimate import Estimate, estimate
from reports.record import to_builtins
from reports.verify import population_mean
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
    """The JSON value of `eigenalign verify`."""
    return to_builtins(
        {
            "prediction": prediction(verified.prediction),
            "simulation": simulation(verified.simulation, verified.estimates),
            "comparison": verified.comparison,
        }
    )
