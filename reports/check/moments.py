"""The second moment of rows, or of all patches of images, streamed: patches are never all in memory at once.

A block of images is unfolded into a matrix (d, patches) of float64 in d strided copies, and its Gram matrix is summed.
Sums are kept separately for up to 64 groups of samples, whose scatter gives the sampling error of the eigenvalues: a
patch is not an independent sample, an image is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from tqdm import tqdm

from reports.check.basis_noise import BasisNoise, precision
from reports.check.data import ReadSamples, chunks
from theory.eigenspaces import Eigenspaces, eigenspaces
from theory.errors import InvalidInput

_HELD = 2**21  # float64 numbers of an unfolded block: 16 MiB
_KEPT = 2**24  # float64 numbers of all groups' moments: 128 MiB
_GROUPS = 64
_ERRORS = 3.0  # of a difference, within which eigenvalues cannot be distinguished


@dataclass(frozen=True, eq=False)
class DataMoment:
    """The moments about zero of what a weight vector sees.

    Attributes
    ----------
    groups : ndarray, shape (K, d, d)
        Mean of x xᵀ in each group of samples.
    means : ndarray, shape (K, d)
    counts : ndarray, shape (K,)
        The number of vectors x in each group.
    samples : int
        The number of independent samples: rows, or images.
    varies : ndarray of bool
        Which coordinates of a weight vector are kept (the d of them that are true): those that vary in the data.
    centred : bool
        Whether the mean has been subtracted.
    """

    groups: np.ndarray
    means: np.ndarray
    counts: np.ndarray
    samples: int
    varies: np.ndarray
    centred: bool = False

    @property
    def vectors(self) -> int:
        """How many rows or patches were seen."""
        return int(self.counts.sum())

    @property
    def dropped(self) -> int:
        """How many coordinates never vary."""
        return int((~self.varies).sum())

    @property
    def second_moment(self) -> np.ndarray:
        """The mean of x xᵀ over everything, shape (d, d)."""
        return np.einsum("k,kij->ij", self.counts / self.vectors, self.groups)

    @property
    def mean(self) -> np.ndarray:
        """The mean vector, shape (d,)."""
        return self.counts / self.vectors @ self.means

    @property
    def mean_share(self) -> float:
        """‖mean‖² / tr of the second moment: the share of the mean."""
        return float(self.mean @ self.mean / np.trace(self.second_moment))

    def centre(self) -> DataMoment:
        """The moments about the mean over everything."""
        mean = self.mean
        cross = self.means[:, :, None] * mean
        groups = self.groups - cross - cross.mT + np.outer(mean, mean)
        return replace(self, groups=groups, means=self.means - mean, centred=True)

    @cached_property
    def standard_errors(self) -> np.ndarray | None:
        """Standard errors of the eigenvalues, ascending, from the scatter between groups; None for one group.

        Var(v_jᵀ A_k v_j) = s²/c_k, so s² is estimated by Σ_k c_k (v_jᵀ A_k v_j − λ_j)² / (K − 1), and SE² = s² / Σ c_k.
        """
        scatter = self._scatter
        return None if scatter is None else np.linalg.norm(np.einsum("kii->ki", scatter).astype(np.float64), axis=0)

    @cached_property
    def _scatter(self) -> np.ndarray | None:
        """√(c_k / (n (K − 1))) Vᵀ (A_k − A) V of every group, (K, d, d): Σ_k of the squares estimates the SE².

        Single precision for many dimensions, where it is as large as the groups themselves; the entries are differences
        with no more known digits.
        """
        if len(self.counts) < 2:
            return None
        kind = precision(self.groups.shape[-1])
        basis = self.exact_eigenspaces.basis.astype(kind, copy=False)
        weights = np.sqrt(self.counts / (self.vectors * (len(self.counts) - 1)))
        mean, found = self.second_moment, np.empty(self.groups.shape, dtype=kind)
        for k, weight in enumerate(weights):
            difference = (weight * (self.groups[k] - mean)).astype(kind, copy=False)
            found[k] = basis.T @ difference @ basis
        return found

    def basis_noise(self, spaces: Eigenspaces) -> BasisNoise | None:
        """Random rotations by which the eigenvectors may be wrong, in their own basis; None for one group.

        The distance of two eigenvalues is reduced by its standard error, to be cautious. There are no rotations within
        one of the `spaces`. The errors drawn have the standard errors of the entries of A.
        """
        scatter = self._scatter
        if scatter is None or len(spaces.multiplicity) == 1:
            return None
        values = np.repeat(self.exact_eigenspaces.eigenvalues, self.exact_eigenspaces.multiplicity)
        errors = np.linalg.norm(np.einsum("kii->ki", scatter).astype(np.float64), axis=0)
        place = np.repeat(np.arange(len(spaces.multiplicity)), spaces.multiplicity)
        apart = place[:, None] != place
        distances = values - values[:, None]
        least = np.abs(distances) - np.hypot(errors, errors[:, None])
        apart &= least > 0
        inverse = np.divide(np.sign(distances), least, out=np.zeros(apart.shape), where=apart)
        return BasisNoise.of(scatter, inverse / 2)

    def mean_errors(self, directions: np.ndarray) -> np.ndarray:
        """Standard errors of the mean along the columns of `directions`, from the scatter between groups; 0 for one."""
        count = len(self.counts)
        if count < 2:
            return np.zeros(directions.shape[1])
        squares = self.counts @ ((self.means - self.mean) @ directions) ** 2
        return np.asarray(np.sqrt(squares / (self.vectors * (count - 1))))

    @cached_property
    def exact_eigenspaces(self) -> Eigenspaces:
        """The eigenspaces of the second moment as measured, including sampling errors."""
        return eigenspaces(self.second_moment)

    def eigenspaces(self) -> Eigenspaces:
        """The eigenspaces for M and f: eigenvalues that cannot be distinguished are joined.

        A run of eigenvalues is joined while its two ends lie within three standard errors of their difference, so that
        a long run of close neighbours is not taken for one eigenvalue. Equal eigenvalues repel each other in a sample:
        for a double one of Gaussian data the gap is 2 |(a, b)|, a and b the noise of half the difference of the
        diagonal and of the off-diagonal entry, of equal variance. Gap over standard error of the difference is then
        Rayleigh's: above 2 in e⁻² = 13 % of samples, above 3 in 1.1 %.
        """
        exact = self.exact_eigenspaces
        errors = self.standard_errors
        if errors is None:
            return exact
        values = np.repeat(exact.eigenvalues, exact.multiplicity)
        starts = [0]
        for space in exact.slices[1:]:
            first, last = starts[-1], space.stop - 1
            if values[last] - values[first] > _ERRORS * math.hypot(errors[first], errors[last]):
                starts.append(space.start)
        return self._merged(starts)

    def known_eigenspaces(self) -> Eigenspaces:
        """The spaces that are known: whole runs of neighbours within three standard errors of each other are joined.

        Eigenvectors on both sides of so small a gap may be mixed by chance, so exact alignment is tested only between
        these spaces (theory/derivations.md, 3.4).
        """
        exact, errors = self.exact_eigenspaces, self.standard_errors
        if errors is None:
            return exact
        values = np.repeat(exact.eigenvalues, exact.multiplicity)
        apart = np.diff(values) > np.maximum(exact.gap, _ERRORS * np.hypot(errors[:-1], errors[1:]))
        return self._merged([0, *(np.flatnonzero(apart) + 1).tolist()])

    def _merged(self, starts: list[int]) -> Eigenspaces:
        """The exact eigenspaces, joined to those that begin at `starts`."""
        exact = self.exact_eigenspaces
        values = np.repeat(exact.eigenvalues, exact.multiplicity)
        bounds = list(pairwise([*starts, len(values)]))
        means = np.array([values[a:b].mean() for a, b in bounds])
        spread = tuple(float(np.abs(values[a:b] - mean).max()) for (a, b), mean in zip(bounds, means, strict=True))
        gap = max(exact.gap, *(float(values[b - 1] - values[a]) for a, b in bounds))
        return Eigenspaces(means, tuple(b - a for a, b in bounds), exact.basis, gap, spread)


def data_moment(stream: ReadSamples, *, dilation: int = 1, progress: bool = False) -> DataMoment:
    """The moments of a stream, which is read once.

    A = (1/N) Σ x xᵀ over the N rows, or over all patches x of the images at stride 1 without padding, flattened
    C × kh × kw with `dilation` pixels between neighbours. float64 throughout, whatever the data's type.

    Raises
    ------
    InvalidInput
        If numbers are not finite, kernels are larger than the images, there are fewer than two rows, or the data never
        vary.
    """
    if dilation < 1:
        raise InvalidInput("dilation", dilation, "must be at least 1")
    if stream.kernel is None and stream.count < 2:
        raise InvalidInput("data.shape[0]", stream.count, "must be at least 2 samples: one has no covariance")
    sums = _Sums(stream, dilation)
    with tqdm(total=stream.count, unit=" samples", disable=None if progress else True, delay=1, leave=False) as bar:
        for start, block in chunks(stream, sums.at_once):
            sums.add(start, block)
            bar.update(len(block))
    return sums.result()


class _Sums:
    """Sums over a stream."""

    def __init__(self, stream: ReadSamples, dilation: int) -> None:
        self._kernel, self._dilation = stream.kernel, dilation
        self._d = math.prod(stream.kernel or stream.shape or (1,))
        most = max(4, min(_GROUPS, _KEPT // self._d**2))
        self.at_once = self._chunk(stream, most)
        groups = min(most, -(-stream.count // self.at_once))
        self._moments = np.zeros((groups, self._d, self._d))
        self._totals = np.zeros((groups, self._d))
        self._counts = np.zeros(groups)
        self._low, self._high = np.full(self._d, np.inf), np.full(self._d, -np.inf)
        self._samples = stream.count

    def _chunk(self, stream: ReadSamples, groups: int) -> int:
        """Samples per block: as many as memory allows, but few enough that every group gets some."""
        if stream.shape is None:
            return 1
        vectors = 1 if self._kernel is None else math.prod(self._places(stream.shape))
        return max(1, min(_HELD // (vectors * self._d), -(-stream.count // groups)))

    @property
    def _filter(self) -> tuple[int, int, int]:
        """The filter's shape (C, kh, kw); InvalidInput for a dense layer."""
        if self._kernel is None:
            raise InvalidInput("data.shape", (self._d,), "must be that of images: a dense layer has no filters")
        return self._kernel

    def _places(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """How many positions a filter has on an image (…, H, W), down and across."""
        sides = [self._dilation * (side - 1) + 1 for side in self._filter[1:]]
        places = shape[-2] - sides[0] + 1, shape[-1] - sides[1] + 1
        if min(places) < 1:
            rule = f"images must be at least as large as the filters, {sides[0]} × {sides[1]}"
            raise InvalidInput("data.shape", tuple(shape[-2:]), rule)
        return places

    def add(self, start: int, block: np.ndarray) -> None:
        """Add the samples from index `start` on; consecutive blocks go to different groups."""
        k = start // self.at_once % len(self._counts)
        with np.errstate(over="ignore", invalid="ignore"):
            for unfolded in self._rows(block) if self._kernel is None else self._patches(block):
                self._moments[k] += unfolded @ unfolded.T
                self._totals[k] += unfolded.sum(axis=1)
                self._counts[k] += unfolded.shape[1]
        if not np.isfinite(self._moments[k]).all():
            bad = ~np.isfinite(block.reshape(len(block), -1).astype(float)).all(axis=1)
            if not bad.any():
                raise InvalidInput("data", float(np.abs(block).max()), "has squares that overflow: scale it down")
            rule = f"must hold finite numbers, and sample {start + int(np.argmax(bad))} does not"
            raise InvalidInput("data", "nan or inf", rule)

    def _rows(self, block: np.ndarray) -> Iterator[np.ndarray]:
        rows = block.astype(np.float64)
        self._note(rows.min(axis=0), rows.max(axis=0))
        yield rows.T

    def _patches(self, block: np.ndarray) -> Iterator[np.ndarray]:
        """All patches of images (n, C, H, W) as matrices (d, patches); a large image is processed in strips."""
        height, width = self._places(block.shape)
        # the extremes over places need the extremes over images only
        extremes = (self._windows(e, slice(0, height)) for e in (block.min(axis=0), block.max(axis=0)))
        low, high = (window.reshape(self._d, -1) for window in extremes)
        self._note(low.min(axis=1), high.max(axis=1))
        strip = max(1, _HELD // (len(block) * width * self._d))
        for top in range(0, height, strip):
            yield self._windows(block, slice(top, min(top + strip, height))).reshape(self._d, -1)

    def _windows(self, images: np.ndarray, tops: slice) -> np.ndarray:
        """The inputs of each weight at positions with upper rows in `tops`, (C, kh, kw, …, rows, positions across)."""
        channels, down, across = self._filter
        width = self._places(images.shape)[1]
        seen = np.empty((channels, down, across, *images.shape[:-3], tops.stop - tops.start, width))
        for i in range(down):
            for j in range(across):
                rows = slice(tops.start + i * self._dilation, tops.stop + i * self._dilation)
                part = images[..., rows, j * self._dilation : j * self._dilation + width]
                seen[:, i, j] = np.moveaxis(part, -3, 0)
        return seen

    def _note(self, low: np.ndarray, high: np.ndarray) -> None:
        self._low, self._high = np.minimum(self._low, low), np.maximum(self._high, high)

    def result(self) -> DataMoment:
        """The moments of the coordinates that vary."""
        varies = self._high > self._low
        if not varies.any():
            raise InvalidInput("data", "constant", "never vary, so there is no covariance")
        filled, every = np.flatnonzero(self._counts), bool(varies.all())
        counts = self._counts[filled]
        kept = int(varies.sum())
        # in place where nothing is dropped: the groups are the largest arrays of a check
        groups = self._moments[: len(filled)] if every else np.empty((len(filled), kept, kept))
        for k, count in zip(filled, counts, strict=True):
            moment = self._moments[k] if every else self._moments[k][np.ix_(varies, varies)]
            groups[k] = (moment + moment.T) / (2 * count)
        means = self._totals[filled][:, varies] / counts[:, None]
        if not np.trace(groups, axis1=1, axis2=2).any():
            raise InvalidInput("data", float(self._high.max()), "has squares that underflow: scale it up")
        return DataMoment(groups, means, counts, self._samples, varies)
