"""A panel of the paper's Figure 20 in one reading of its diagonal, and how far networks are off its values; for B5."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reports.claims.claim import Outcome, Outcomes
from reports.claims.shape.panel_networks import PanelCurves
from reports.claims.shape.published_panels import PUBLISHED
from reports.judging.misfit import Misfit, misfit
from theory.linear.paper_panels import PaperPanel, Reading

# Updates: fitted to the middle panel, read as deviations; and where the left panel is nearest, at the same rate, which
# is two and a half minutes of a network that nothing divides.
STOP, LEFT_STOP = 2340, 9360


@dataclass(frozen=True)
class ReadPanel:
    """A panel of the paper in one reading of its diagonal."""

    panel: PaperPanel
    reading: Reading

    def __str__(self) -> str:
        return f"{self.panel.name}, diagonal as {self.reading}s"


def stop(study: ReadPanel, updates: tuple[int, ...]) -> int:
    """After how many of `updates`, those that were read, a panel is compared, its diagonal as deviations."""
    return LEFT_STOP if study.panel.name == "left" and LEFT_STOP in updates else STOP


def off(study: ReadPanel, measured: PanelCurves, confidence: float = 0.95) -> tuple[Misfit, ...]:
    """The misfit to the published values at every reading."""
    beyond = PUBLISHED[study.panel.name].off(measured.sigma, measured.f)
    return tuple(misfit(each, confidence=confidence) for each in beyond)


PanelOutcome = Outcome[ReadPanel, str, PanelCurves]
PanelOutcomes = Outcomes[ReadPanel, str, PanelCurves]


def best(outcome: PanelOutcome, confidence: float = 0.95) -> tuple[Misfit, int]:
    """The misfit at the reading where it is least, and its updates."""
    found = off(outcome.case.study, outcome.measurement, confidence)
    least = int(np.argmin([each.rms for each in found]))
    return found[least], outcome.measurement.updates[least]
