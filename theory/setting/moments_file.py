"""The second moments of a data set in a file, for a law of rows that stands in for the data set.

Under random labels, f depends on the rows mostly through their second moments. Gaussian rows with the second moments of
a data set therefore give almost the same curves, for use where the data set itself is not available. Claim B7 measures
the difference.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from theory.errors import InvalidInput
from theory.setting.array_file import read_array
from theory.setting.limits import require_memory

KEY = "data.moments_of"  # the key of the file's path in a setting, for messages
SMALLEST, LARGEST = 1e-70, 1e70  # of the largest entry of rows: squares of squares must be numbers
SYMMETRIC = 1e-10  # the largest difference between a symmetric matrix and its transpose, relative to its largest entry
NEGATIVE = 1e-10  # how far below 0 rounding may take an eigenvalue, relative to the largest one
HELD = 2**22  # the most numbers of patches that are held at a time


@dataclass(frozen=True, eq=False)
class FileMoments:
    """Mean and covariance of the rows in a file, or the second moment in it, centred and scaled as a setting says.

    Attributes
    ----------
    eigenvalues : tuple of float, length d
        The eigenvalues of the covariance, ascending, not negative.
    basis : ndarray, shape (d, d)
        Eigenvectors in columns.
    mean : tuple of float, length d
        The mean along the eigenvectors; empty where rows were centred, or a second moment was given.
    dropped : int
        The number of coordinates that never vary and were left out.
    """

    eigenvalues: tuple[float, ...]
    basis: np.ndarray
    mean: tuple[float, ...]
    dropped: int


def read_moments(path: str, *, patch: tuple[int, int] | None, center: bool, scale: bool) -> FileMoments:
    """The moments of the array in a .npy or .npz file: rows (n, d), a second moment (d, d), or images (n, C, H, W).

    A square symmetric matrix is taken for a second moment, E[x xᵀ], of rows with mean zero. For images, the moments are
    those of all patches of size `patch` (3 × 3 if None), flattened C × h × w. Centring and scaling are as for real
    data: the mean is subtracted, and everything is divided by one number, the root mean square of an entry. A file that
    has not changed is read only once.

    Raises
    ------
    InvalidInput
        If there is no such file, it holds no such array of finite numbers, or the keys of the setting do not fit it.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        why = "there is no such file" if isinstance(error, FileNotFoundError) else str(error).lower()
        raise InvalidInput(KEY, path, why) from None
    return _read(path, (status.st_mtime_ns, status.st_size, status.st_ino), patch, center, scale)


@lru_cache(maxsize=16)
def _read(path: str, state: tuple[int, ...], patch: tuple[int, int] | None, center: bool, scale: bool) -> FileMoments:
    """The moments in a file; `state` distinguishes a changed file from its earlier state."""
    array = read_array(path, KEY)
    if array.ndim not in (2, 4):
        rule = f"must hold rows (n, d), a second moment (d, d) or images (n, C, H, W), not {array.shape}"
        raise InvalidInput(KEY, path, rule)
    if array.ndim == 2 and patch is not None:
        raise InvalidInput("data.patch", patch, "belongs to images (n, C, H, W), and the file of moments_of holds rows")
    array = _in_range(array, path)
    if array.ndim == 2 and _symmetric(array):
        if not center:
            raise InvalidInput("data.center", center, "needs rows: the file of moments_of holds a second moment")
        second, mean = array, np.zeros(len(array))
    else:
        second, mean = _of_rows(array) if array.ndim == 2 else _of_patches(array, patch or (3, 3))
    return _standardised(path, second, mean, center=center, scale=scale)


def _in_range(array: np.ndarray, path: str) -> np.ndarray:
    largest = float(max(abs(array.max()), abs(array.min())))
    if not SMALLEST < largest < LARGEST:
        rule = "every row is the same, so there is no covariance"
        if largest:
            rule = f"its largest entry, {largest:.3g}, must lie between {SMALLEST:g} and {LARGEST:g}"
        raise InvalidInput(KEY, path, rule)
    return array.astype(np.float64, copy=False)


def _symmetric(array: np.ndarray) -> bool:
    """Whether rows are a matrix that equals its transpose, up to rounding errors."""
    square = array.shape[0] == array.shape[1]
    return square and bool(np.abs(array - array.T).max() <= SYMMETRIC * np.abs(array).max())


def _of_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E[x xᵀ] (d, d) and E[x] (d,)."""
    require_memory(8 * rows.shape[1] ** 2, KEY, f"rows of {rows.shape[1]} numbers", "the moments of the rows")
    return rows.T @ rows / len(rows), rows.mean(axis=0)


def _of_patches(images: np.ndarray, patch: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The same for all patches, each position in each image once."""
    if patch[0] > images.shape[2] or patch[1] > images.shape[3]:
        rule = f"must not exceed the images, {images.shape[2]} × {images.shape[3]}"
        raise InvalidInput("data.patch", patch, rule)
    d = images.shape[1] * math.prod(patch)
    require_memory(8 * d**2, KEY, f"patches of {d} numbers", "the moments of the rows")
    windows = np.lib.stride_tricks.sliding_window_view(images, patch, axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)
    places = windows.shape[1] * windows.shape[2]
    second, total = np.zeros((d, d)), np.zeros(d)
    at_once = max(1, HELD // (places * d))
    for first in range(0, len(images), at_once):
        rows = windows[first : first + at_once].reshape(-1, d)
        second += rows.T @ rows
        total += rows.sum(axis=0)
    count = len(images) * places
    return second / count, total / count


def _standardised(path: str, second: np.ndarray, mean: np.ndarray, *, center: bool, scale: bool) -> FileMoments:
    """Moments without coordinates that never vary, centred, scaled, and rotated into the eigenbasis."""
    covariance = second - np.outer(mean, mean)
    varies = np.diag(covariance) > 64 * np.finfo(float).eps * np.diag(second)
    if not varies.any():
        raise InvalidInput(KEY, path, "every row is the same, so there is no covariance")
    covariance, mean = covariance[np.ix_(varies, varies)], mean[varies]
    covariance = (covariance + covariance.T) / 2
    if center:
        mean = np.zeros_like(mean)
    if scale:
        square = float((np.trace(covariance) + mean @ mean) / len(mean))
        covariance, mean = covariance / square, mean / math.sqrt(square)
    eigenvalues, basis = np.linalg.eigh(covariance)
    if eigenvalues[0] < -NEGATIVE * eigenvalues[-1]:
        rule = f"must hold a second moment without negative eigenvalues, and one is {eigenvalues[0]:.3g}"
        raise InvalidInput(KEY, path, rule)
    along = tuple((basis.T @ mean).tolist()) if mean.any() else ()
    return FileMoments(tuple(np.maximum(eigenvalues, 0.0).tolist()), basis, along, int((~varies).sum()))
