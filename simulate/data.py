"""Where the rows x come from: a law, or a finite set of real rows. Both say what their population is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from simulate.datasets import load
from simulate.images import ImageSet, open_images
from simulate.results import Population
from simulate.streams import Purpose, Streams
from theory.setting import Data, InvalidInput, Setting, Sphere, Student, TwoPoint


class Source(Protocol):
    """Anything that rows can be drawn from, into a given array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(d,), or (C, H, W) of images."""

    @property
    def population(self) -> Population:
        """The moments of the law that the rows are drawn from."""

    def draw(self, generator: np.random.Generator, out: np.ndarray) -> np.ndarray | None:
        """Fill `out` (n, …) with rows; the indices (n,) of the rows where the population is a finite set."""


@dataclass(frozen=True, eq=False)
class Law:
    """x = μ + sqrt(χ) A z with z ~ N(0, 1_d): Gaussian for χ = 1, otherwise elliptical; A Aᵀ = Σ_x and E χ = 1.

    Attributes
    ----------
    scales : ndarray, shape (d,)
        Square roots of the eigenvalues.
    basis : ndarray, shape (d, d), or None
        Eigenvectors in columns; None stands for the coordinate axes.
    mean : ndarray, shape (d,)
        μ, in the coordinates of x.
    radial : Student, Sphere, TwoPoint or None
        The law of χ.
    population : Population
    """

    scales: np.ndarray
    basis: np.ndarray | None
    mean: np.ndarray
    radial: Student | Sphere | TwoPoint | None
    population: Population

    @property
    def shape(self) -> tuple[int, ...]:
        return self.scales.shape

    def draw(self, generator: np.random.Generator, out: np.ndarray) -> None:
        """Fill `out` (n, d) with independent rows."""
        generator.standard_normal(out=out)
        if self.radial is not None:
            out *= np.sqrt(_radial(generator, self.radial, out))[:, None]
        out *= self.scales
        if self.basis is not None:
            # One product per replica, on buffers of its own: a product over many replicas at once may round
            # differently depending on where a replica lies in it.
            out[...] = out @ self.basis.T
        if self.mean.any():
            out += self.mean


@dataclass(frozen=True, eq=False)
class WholeSet:
    """A finite population of rows (N, d), drawn without replacement."""

    rows: np.ndarray
    population: Population

    @property
    def shape(self) -> tuple[int, ...]:
        return self.rows.shape[1:]

    def draw(self, generator: np.random.Generator, out: np.ndarray) -> np.ndarray:
        """Fill `out` (n, d) with distinct rows of the set; returns their indices (n,)."""
        picked = generator.choice(len(self.rows), len(out), replace=False)
        np.take(self.rows, picked, axis=0, out=out)
        return picked


def open_source(setting: Setting, streams: Streams) -> tuple[Source, np.ndarray | None]:
    """The source of a setting's rows, and the real labels of a finite set where it has any.

    Raises
    ------
    InvalidInput
        If real data cannot be read, are too few, or do not fit the network.
    """
    data = setting.data
    if data.kind in ("gaussian", "elliptical"):
        return _law(data, streams), None
    source: ImageSet | WholeSet
    if setting.network.convolves:
        source, labels = open_images(setting)
    else:
        rows, labels, dropped = load(data, real_labels=setting.labels.kind == "real")
        source = WholeSet(rows, Population(rows.T @ rows / len(rows), rows.mean(axis=0), len(rows), dropped))
    known = source.population
    assert known.rows is not None
    if data.sample_count > known.rows:
        raise InvalidInput("data.samples", data.samples, f"must not exceed the {known.rows} rows of the data")
    spectrum, dimension = setting.network.init_spectrum, len(known.mean)
    if spectrum and len(spectrum) != dimension:
        rule = f"must have one entry per dimension ({dimension}; {known.dropped} constant coordinates were dropped)"
        raise InvalidInput("network.init_spectrum", spectrum, rule)
    return source, labels


def draw_fixed_rows(setting: Setting, source: Source, streams: Streams) -> tuple[np.ndarray, np.ndarray | None]:
    """The one X (n, d), or (n, C, H, W), that all replicas share, and the indices of its rows in a finite set."""
    out = np.empty((setting.data.sample_count, *source.shape))
    return out, source.draw(streams.at(Purpose.DATA), out)


def haar_orthogonal(generator: np.random.Generator, dimension: int) -> np.ndarray:
    """A uniformly distributed orthogonal matrix (d, d): QR of a Gaussian matrix with a positive diagonal in R."""
    q, r = np.linalg.qr(generator.standard_normal((dimension, dimension)))
    return q * np.where(np.diag(r) < 0, -1.0, 1.0)


def _law(data: Data, streams: Streams) -> Law:
    eigenvalues, basis = np.array(data.eigenvalues), data.law_basis
    if basis is None and data.rotate:
        basis = haar_orthogonal(streams.at(Purpose.BASIS), len(eigenvalues))
    mean = np.array(data.law_mean) if data.law_mean else np.zeros(len(eigenvalues))
    covariance = np.diag(eigenvalues)
    if basis is not None:
        mean = basis @ mean
        covariance = (basis * eigenvalues) @ basis.T
        covariance = (covariance + covariance.T) / 2
    population = Population(covariance + np.outer(mean, mean), mean, None, data.dropped)
    return Law(np.sqrt(eigenvalues), basis, mean, data.radial, population)


def _radial(generator: np.random.Generator, law: Student | Sphere | TwoPoint, z: np.ndarray) -> np.ndarray:
    """χ for every row of z (n, d), shape (n,), with E χ = 1 (χ ‖z‖² = d for the sphere)."""
    n = len(z)
    if isinstance(law, Student):
        return (law.dof - 2) / generator.chisquare(law.dof, n)
    if isinstance(law, Sphere):
        return np.asarray(z.shape[1] / np.einsum("ni,ni->n", z, z))
    return 1 + math.sqrt(law.k4 - 1) * (2.0 * generator.integers(2, size=n) - 1)
