"""The points of claim C8: one network on ten random-label tasks, over width, scale of the init and learning rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from theory.setting import Data, Ensemble, Labels, Network, Remedy, Setting, TaskSequence, Training

TASKS, EPOCHS = 10, 10  # how many tasks, and how long each of them is trained
ROWS, BATCH, LOWER = 60, 20, 32  # rows of every task and of a batch, units of the first layer
WIDTHS, FACTORS, RATES = (16, 32, 96), (0.35, 0.5, 1.0, 2.0), (0.02, 0.04)
SLOWEST = (32, 0.35, 0.02)  # the width, factor and rate of the point whose expected slope is the smallest
READ = (2, 5, 10)  # the tasks whose gain over a new network is predicted; the first task is number 1
REPLICAS = 8  # the number of replicas in the quick budget at points whose slopes are large

NONE, ANEW, RESCALED, REVIVED = (Remedy(kind=kind) for kind in ("none", "anew", "rescaled", "revived"))
DECAY = Remedy(kind="decay", strength=0.03)
# What the slope of accuracy over tasks says: it falls, stays within the smallest effect, rises, or cannot be told.
Fate = Literal["lost", "kept", "gained", "undecided"]


@dataclass(frozen=True, order=True)
class TaskPoint:
    """Width of the upper layer, factor on He's standard deviation, learning rate; whether all remedies are compared."""

    width: int
    factor: float
    rate: float
    compared: bool = False

    @property
    def replicas(self) -> int:
        """How many the quick budget has: more where remedies are compared, or a slope is hardly above what counts.

        On pilot seeds differences between remedies varied by as much as they are, and the smallest slope that is judged
        was 0.007.
        """
        if self.compared:
            return 24
        return 32 if (self.width, self.factor, self.rate) == SLOWEST else REPLICAS

    @property
    def name(self) -> str:
        """The point in words."""
        where = f"width {self.width}, factor {self.factor:g}, rate {self.rate:g}"
        return f"remedies, {where}" if self.compared else where

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """No remedy and a new network per task; where all are compared, in the order in which they should help."""
        return (NONE, RESCALED, REVIVED, DECAY, ANEW) if self.compared else (NONE, ANEW)

    def task(self, replicas: int) -> Setting:
        """One task: digits with random labels, read six times in its epochs."""
        updates = EPOCHS * (ROWS // BATCH)
        return Setting(
            data=Data(kind="digits", samples=ROWS),
            labels=Labels(kind="classes"),
            network=Network(kind="mlp", hidden=(LOWER, self.width), init_variance=2 * self.factor**2),
            training=Training(
                loss="cross-entropy",
                learning_rate=self.rate,
                momentum=0.9,
                batch_size=BATCH,
                steps=tuple(k * updates // 5 for k in range(6)),
            ),
            ensemble=Ensemble(replicas=replicas, dtype="float32"),
        )

    def sequence(self, task: Setting) -> TaskSequence:
        """All tasks, on the same rows."""
        return TaskSequence(task=task, count=TASKS, remedies=self.remedies)


MAP = tuple(TaskPoint(width, factor, rate) for width in WIDTHS for factor in FACTORS for rate in RATES)
COMPARED = (TaskPoint(32, 1.0, 0.04, compared=True), TaskPoint(96, 2.0, 0.04, compared=True))


def expected_course(point: TaskPoint) -> Fate | None:
    """What should become of plasticity, by two pilot seeds; nothing where these left it open.

    >>> expected_course(TaskPoint(16, 2.0, 0.02)), expected_course(TaskPoint(96, 0.35, 0.02))
    ('lost', 'gained')
    """
    if point.factor >= 1:
        return "lost"
    return "gained" if point.factor == min(FACTORS) and point.width > min(WIDTHS) else None
