"""Errors in what is known of feature matrices, which claim A9 must notice."""

from __future__ import annotations

from tests.plants.plant import Plant, times

LINEAR = tuple(f"linear, {layers} layers" for layers in (2, 3, 4))
EXPONENT, FACTOR = "theory.features.ansatz:linear_exponent", "theory.features.decay:decay_factor"

PLANTS: tuple[Plant, ...] = (
    Plant("the exponent × 1.1", EXPONENT, times(1.1), "A9", LINEAR, "alpha"),
    Plant("the factor × 1.1", FACTOR, times(1.1), "A9", (*LINEAR, "tanh, decay"), "residual"),
    Plant("the factor × −1", FACTOR, times(-1.0), "A9", (*LINEAR, "tanh, decay"), "residual"),
)
