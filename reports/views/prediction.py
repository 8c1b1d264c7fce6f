"""`eigenalign predict`: the formula, its assumptions, what it neglects, and τ and f at each reading."""

from __future__ import annotations

from reports.record import to_builtins
from reports.views.view import Section, View, grid
from theory.prediction import Prediction


def view(prediction: Prediction) -> View:
    """The view of a prediction."""
    readings = [
        (
            reading.step,
            {
                "sigma": reading.sigma,
                "multiplicity": reading.multiplicity,
                "tau": reading.tau,
                "f": reading.f,
            },
        )
        for reading in prediction.readings
    ]
    value = {
        "formula": prediction.formula,
        "status": prediction.status,
        "order": prediction.order,
        "error_budget": prediction.error_budget,
        "assumptions": prediction.assumptions,
        "neglected": prediction.neglected,
        "readings": [{"step": step, **columns} for step, columns in readings],
    }
    status = prediction.status if prediction.order is None else f"{prediction.status}, {prediction.order}"
    head: Section = [
        f"{prediction.formula} ({status})",
        *(f"  assumes {text}" for text in prediction.assumptions),
        *(f"  neglects {text}" for text in prediction.neglected),
    ]
    tables: list[Section] = [[f"step {step}", grid(columns)] for step, columns in readings]
    return View(to_builtins(value), [head, *tables])
