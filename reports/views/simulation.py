"""`eigenalign simulate`, `merge`: τ with standard errors, misalignment and the test of alignment at every reading."""

from __future__ import annotations

from typing import Any

from reports.counted import counted
from reports.judging.estimate import Estimate, estimate
from reports.judging.verify import population_mean
from reports.record import to_builtins
from reports.views.view import Section, View, grid, shown
from simulate.results import Simulation


def view(simulation: Simulation, estimates: tuple[Estimate, ...] | None = None) -> View:
    """The view of a simulation; its estimates are computed here if not given."""
    if estimates is None:
        estimates = estimate(simulation, mean=population_mean(simulation.setting))
    value = {
        "replicas": simulation.replicas,
        "diverged": simulation.diverged,
        "device": simulation.device,
        "seed": simulation.setting.ensemble.seed,
        "readings": [
            {
                "step": reading.step,
                **_columns(reading),
                "mean_weight_norm": reading.mean_weight_norm,
                "misalignment": reading.misalignment,
                "alignment_pvalue": reading.alignment_pvalue,
            }
            for reading in estimates
        ],
    }
    head = (
        f"{counted(simulation.replicas, 'replica')}, {simulation.diverged} diverged, "
        f"seed {simulation.setting.ensemble.seed}, {simulation.device}"
    )
    readings: list[Section] = [
        [
            f"step {reading.step}",
            grid(_columns(reading), {"tau_se": "SE"}),
            f"misalignment M {shown(reading.misalignment)}, alignment p {shown(reading.alignment_pvalue)}, "
            f"|E w| {shown(reading.mean_weight_norm)}",
        ]
        for reading in estimates
    ]
    return View(to_builtins(value), [[head], *readings])


def _columns(reading: Estimate) -> dict[str, Any]:
    return {
        "sigma": reading.sigma,
        "multiplicity": reading.multiplicity,
        "tau": reading.tau,
        "tau_se": reading.tau_se,
    }
