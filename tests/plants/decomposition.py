"""Errors in the closed form of the decomposition of linear models, which claim B6 must notice."""

from __future__ import annotations

from tests.plants.plant import Plant, dropped, of_training, times

FIXED, FRESH = "linear, full batch", "linear, fresh rows, momentum"
GIVEN, ONLINE = "theory.decomposition.linear:given_rows", "theory.decomposition.linear:online"
VALUES, FALLS = "relative to", "largest rise"

PLANTS: tuple[Plant, ...] = (
    Plant("the factor × 1.1", GIVEN, times(1.1, "amplitude"), "B6", (FIXED,), VALUES),
    Plant("the factor × −1", GIVEN, times(-1.0, "amplitude"), "B6", (FIXED,), FALLS),
    Plant("nothing of the labels", GIVEN, dropped("labels"), "B6", (FIXED,), VALUES),
    Plant("the factor × 1.1", ONLINE, times(1.1, "amplitude"), "B6", (FRESH,), VALUES),
    Plant("the factor × −1", ONLINE, times(-1.0, "amplitude"), "B6", (FRESH,), FALLS),
    Plant("nothing mixed", ONLINE, dropped("mixed"), "B6", (FRESH,), VALUES),
    Plant("no momentum", "theory.linear.propagators:update", of_training(momentum=0.0), "B6", (FRESH,), VALUES),
)
