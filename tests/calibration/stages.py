"""The share of the largest gain that early epochs give: its interval covers, and "most" is not said of a half."""

from __future__ import annotations

from functools import partial

import numpy as np

from reports.claims.transfer.c6_stages import MOST, early_verdict
from reports.claims.transfer.stage_gains import StageGains
from tests.calibration.judging import LAWS
from tests.calibration.study import Study

EPOCHS = (0, 5, 10, 40, 80)  # the early gain is that after 10
# mean gains at these epochs: the largest one by far, two that are alike, the early one itself
CURVES = {
    "one best": (0.0, 0.01, 0.05, 0.06, 0.1),
    "two best": (0.0, 0.01, 0.06, 0.1, 0.1),
    "early best": (0.0, 0.05, 0.1, 0.05, 0.02),
    "harm late": (0.0, 0.05, 0.06, 0.1, -0.3),
}
HALF = {"one best": (0.0, 0.01, 0.05, 0.05, 0.1), "three best": (0.0, 0.1, 0.05, 0.1, 0.1)}
SETTINGS = (
    ("one best", "normal", 6),
    ("one best", "normal", 20),
    ("two best", "normal", 10),
    ("two best", "uniform", 20),
    ("early best", "normal", 10),
    ("harm late", "normal", 10),
    ("two best", "Student's t of 3 degrees", 20),
)
SCATTER = 0.02  # of what stages share, and as much of each


def drawn(generator: np.random.Generator, means: tuple[float, ...], law: str, count: int) -> StageGains:
    common = LAWS[law](generator, count)
    each = np.stack([LAWS[law](generator, count) for _ in means])
    gains = np.array(means)[:, None] + SCATTER * (common + each)
    return StageGains(EPOCHS, gains, gains, count, 0)


def share_held(generator: np.random.Generator, curve: str, law: str, count: int) -> bool:
    """Nothing is said, and nothing is wrong, where the largest gain may be 0."""
    means = CURVES[curve]
    found = drawn(generator, means, law, count).early_share()
    return found is None or found.low <= means[2] / max(means) <= found.high


def most_said(generator: np.random.Generator, curve: str, law: str, count: int) -> bool:
    return early_verdict(drawn(generator, HALF[curve], law, count)) == "holds"


STUDIES: tuple[Study, ...] = (
    *(
        Study(
            "StageGains.early_share",
            f"{count} replicas, {law}, {curve}",
            "coverage",
            0.95,
            partial(share_held, curve=curve, law=law, count=count),
        )
        for curve, law, count in SETTINGS
    ),
    *(
        Study(
            "c6_stages.early_verdict",
            f"{count} replicas, {law}, early epochs give {MOST:g}, {curve}",
            "size",
            0.025,
            partial(most_said, curve=curve, law=law, count=count),
        )
        for curve, law, count in (
            ("one best", "normal", 6),
            ("one best", "normal", 20),
            ("one best", "uniform", 10),
            ("three best", "normal", 10),
            ("one best", "Student's t of 3 degrees", 20),
        )
    ),
)
