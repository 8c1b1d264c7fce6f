"""All studies, in the order of the table. A new procedure gets a module of its own here, named after what it tests."""

from __future__ import annotations

from tests.calibration import alignment, judging, powers
from tests.calibration.study import Study

STUDIES: tuple[Study, ...] = (
    *alignment.STUDIES,
    *judging.STUDIES,
    *powers.STUDIES,
)
