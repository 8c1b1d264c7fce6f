"""Laws that have their own table in a setting: of the eigenvalues, and of the radius of elliptical rows."""

from __future__ import annotations

import math
from typing import ClassVar

from theory.checked import Checked
from theory.setting.limits import require_memory


class PowerLaw(Checked, frozen=True, kw_only=True, tag_field="law", tag="power"):
    """Eigenvalues j^(−exponent), j = 1 … dimension."""

    table: ClassVar[str] = "data.spectrum"
    dimension: int
    exponent: float = 1.0

    def check(self) -> None:
        self.require(self.dimension >= 1, "dimension", "must be at least 1")
        require_memory(8 * self.dimension**2, "data.spectrum.dimension", self.dimension, "the moments of the rows")
        # the largest eigenvalue is dimension^(−exponent), or 1; a double ends at e^709
        self.require(-self.exponent * math.log(self.dimension) < 700, "exponent", "makes the eigenvalues overflow")

    def eigenvalues(self) -> tuple[float, ...]:
        return tuple(float(j) ** -self.exponent for j in range(1, self.dimension + 1))


class Student(Checked, frozen=True, kw_only=True, tag_field="law", tag="student"):
    """x = sqrt(χ) Σ^½ z with a multivariate Student law of `dof` degrees of freedom, scaled to covariance Σ."""

    table: ClassVar[str] = "data.radial"
    dof: float = 12.0

    def check(self) -> None:
        self.require(self.dof > 2, "dof", "must exceed 2, or the covariance is infinite")


class Sphere(Checked, frozen=True, kw_only=True, tag_field="law", tag="sphere"):
    """x uniform on the ellipsoid xᵀ Σ^-1 x = d."""

    table: ClassVar[str] = "data.radial"


class TwoPoint(Checked, frozen=True, kw_only=True, tag_field="law", tag="two-point"):
    """x = sqrt(χ) Σ^½ z, χ = 1 ± sqrt(k4 − 1) with probability ½ each, so that E χ = 1 and E χ² = k4."""

    table: ClassVar[str] = "data.radial"
    k4: float = 1.5

    def check(self) -> None:
        self.require(1 <= self.k4 <= 2, "k4", "must lie in [1, 2], or χ would be negative")
