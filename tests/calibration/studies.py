"""All studies, in the order of the table. A new procedure gets a module of its own here, named after what it tests."""

from __future__ import annotations

from tests.calibration import (
    agop,
    alignment,
    check,
    composition,
    judging,
    layers,
    misfit,
    plasticity,
    powers,
    stages,
    verdicts,
)
from tests.calibration.study import Study

STUDIES: tuple[Study, ...] = (
    *agop.STUDIES,
    *alignment.STUDIES,
    *check.STUDIES,
    *composition.STUDIES,
    *judging.STUDIES,
    *layers.STUDIES,
    *misfit.STUDIES,
    *plasticity.STUDIES,
    *powers.STUDIES,
    *stages.STUDIES,
    *verdicts.STUDIES,
)
