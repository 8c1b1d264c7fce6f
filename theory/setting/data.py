"""The law of the rows x, or where real rows come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import msgspec
import numpy as np

from theory.checked import Checked, any_of
from theory.errors import InvalidInput
from theory.setting.laws import PowerLaw, Sphere, Student, TwoPoint
from theory.setting.limits import require_memory
from theory.setting.moments_file import FileMoments, read_moments

SYNTHETIC = ("gaussian", "elliptical")  # the kinds of data that are drawn from a law
# The kinds of real data, which may have labels of their own.
LABELLED = ("array", "digits", "mnist", "fashion-mnist", "photographs", "cifar10")
IMAGES = ("array", "photographs", "cifar10")  # the kinds of data that filters can slide over
# The kinds of data that are read from files of your own; other real data come with packages, but fashion-mnist
# may lie elsewhere, too.
OWN_FILES = ("array", "cifar10")


class Data(Checked, frozen=True, kw_only=True):
    """The law of the rows x, and how many of them a replica sees.

    If `moments_of` names a file, the law has the second moments of the data set in this file, or the moments stored in
    it: see `theory.setting.moments_file`. The eigenvectors are then those of the data set: neither the axes nor drawn.
    """

    table: ClassVar[str] = "data"
    kind: Literal["gaussian", "elliptical", "array", "digits", "mnist", "fashion-mnist", "photographs", "cifar10"]
    spectrum: tuple[float, ...] | PowerLaw = ()
    moments_of: str | None = None
    mean: tuple[float, ...] = ()
    rotate: bool = True
    radial: Student | Sphere | TwoPoint | None = None
    path: str | None = None
    labels_path: str | None = None
    patch: tuple[int, int] = (3, 3)
    crop: tuple[int, int] = (16, 16)
    center: bool = True
    scale: bool | Literal["channels"] = True  # "channels": each by its own root mean square
    samples: int | Literal["online"] = 256
    fixed: bool = False

    # Which kinds a key belongs to: a key that would be ignored is an error, not a surprise.
    belongs: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "spectrum": SYNTHETIC,
        "moments_of": SYNTHETIC,
        "mean": SYNTHETIC,
        "rotate": SYNTHETIC,
        "radial": ("elliptical",),
        "path": (*OWN_FILES, "fashion-mnist"),
        "labels_path": ("array",),
        "patch": ("photographs", "cifar10"),
        "crop": ("photographs",),
        "center": LABELLED,
        "scale": LABELLED,
    }

    def check(self) -> None:
        of_file = ("patch", "center", "scale") if self.moments_of is not None else ()
        for key, kinds in self.belongs.items():
            known = self.kind in kinds or key in of_file or not self.departs(key)
            self.require(known, key, f"belongs to data.kind {any_of(kinds)}, not to {self.kind!r}")
        self.require(min(self.patch) >= 1, "patch", "sides must be at least 1")
        self.require(min(self.crop) >= 1, "crop", "sides must be at least 1")
        if self.kind in SYNTHETIC:
            self._check_law()
        if self.kind == "elliptical" and self.radial is None:
            msgspec.structs.force_setattr(self, "radial", Student())
        for key in ("path", "labels_path", "moments_of"):
            self.require("\0" not in (getattr(self, key) or ""), key, "the name of a file must not contain NUL")
        if self.kind in OWN_FILES:
            self.require(bool(self.path), "path", f"is needed by data.kind = {self.kind!r}")
        if self.samples == "online":
            self.require(self.kind in SYNTHETIC, "samples", f'"online" needs data.kind {any_of(SYNTHETIC)}')
            self.require(not self.fixed, "fixed", 'must be false when data.samples = "online"')
        else:
            self.require(self.samples >= 1, "samples", "must be at least 1")

    def _check_law(self) -> None:
        if self.moments_of is not None:
            for key in ("spectrum", "mean", "rotate"):
                self.require(not self.departs(key), key, "must be left out: data.moments_of determines it")
            self.require(self.scale != "channels", "scale", "must be true or false: a file of moments_of has rows")
            self._moments()
            return
        eigenvalues = self.eigenvalues
        d = len(eigenvalues)
        require_memory(8 * d**2, "data.spectrum", f"{d} eigenvalues", "the moments of the rows")
        self.require(len(eigenvalues) > 0, "spectrum", f"or data.moments_of is needed by data.kind = {self.kind!r}")
        for i, value in enumerate(eigenvalues):
            self.require(value >= 0, f"spectrum[{i}]", "an eigenvalue of a covariance is not negative", value)
        self.require(max(eigenvalues) > 0, "spectrum", "at least one eigenvalue must be positive")
        fits = len(self.mean) in (0, len(eigenvalues))
        self.require(fits, "mean", f"must have one entry per eigenvalue ({len(eigenvalues)})")

    @property
    def eigenvalues(self) -> tuple[float, ...]:
        """The eigenvalues of Σ_x as listed, or ascending if a file gives them, (d,); empty for real data."""
        if (known := self._moments()) is not None:
            return known.eigenvalues
        return self.spectrum.eigenvalues() if isinstance(self.spectrum, PowerLaw) else self.spectrum

    @property
    def law_mean(self) -> tuple[float, ...]:
        """E x of a synthetic law along the eigenvectors, (d,); empty where it is zero by its definition."""
        return self.mean if (known := self._moments()) is None else known.mean

    @property
    def law_basis(self) -> np.ndarray | None:
        """The eigenvectors that a file gives, in columns, (d, d); None without a file."""
        return None if (known := self._moments()) is None else known.basis

    @property
    def dropped(self) -> int:
        """How many coordinates in a file of moments never vary and were left out; 0 without a file."""
        return 0 if (known := self._moments()) is None else known.dropped

    def _moments(self) -> FileMoments | None:
        """The moments in the file; None without a file."""
        if self.moments_of is None:
            return None
        patch = self.patch if self.departs("patch") else None
        return read_moments(self.moments_of, patch=patch, center=self.center, scale=bool(self.scale))

    @property
    def file(self) -> str:
        """The path of the rows.

        Raises
        ------
        InvalidInput
            If the kind of data needs no file.
        """
        if self.path is None:
            raise InvalidInput("data.path", None, f"must be given; data.kind = {self.kind!r} needs no file")
        return self.path

    @property
    def sample_count(self) -> int:
        """n, where it is a number.

        Raises
        ------
        InvalidInput
            If `samples` is "online".
        """
        if self.samples == "online":
            raise InvalidInput("data.samples", "online", "must be a number: online training has no set of n rows")
        return self.samples

    @property
    def dimension(self) -> int | None:
        """d for a synthetic law; None where only the data can tell."""
        return len(self.eigenvalues) or None
