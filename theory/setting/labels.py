"""The law of the labels y."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from theory.checked import Checked, any_of


class Labels(Checked, frozen=True, kw_only=True):
    """The law of the labels y; all kinds but `real` and `teacher` are independent of x."""

    table: ClassVar[str] = "labels"
    kind: Literal["gaussian", "rademacher", "classes", "real", "teacher"] = "gaussian"
    variance: float = 1.0
    outputs: int = 1
    classes: int = 10
    noise: float = 0.0

    belongs: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "variance": ("gaussian", "rademacher"),
        "outputs": ("gaussian", "rademacher", "teacher"),
        "classes": ("classes",),
        "noise": ("teacher",),
    }

    def check(self) -> None:
        for key, kinds in self.belongs.items():
            known = self.kind in kinds or not self.departs(key)
            self.require(known, key, f"belongs to labels.kind {any_of(kinds)}, not to {self.kind!r}")
        self.require(self.variance >= 0, "variance", "must not be negative")
        self.require(self.outputs >= 1, "outputs", "must be at least 1")
        self.require(self.classes >= 2, "classes", "must be at least 2")
        self.require(self.noise >= 0, "noise", "must not be negative")
