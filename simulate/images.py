"""Images that filters slide over: drawn from a finite set, with the second moment of the patches that a filter sees.

Images stay as they were read, however many crops they have, and are centred and scaled as they are drawn: every channel
loses its mean over all images and positions, so that a patch is the same wherever it lies, and one number, the root
mean square over everything, divides all; or, with data.scale = "channels", every channel is divided by its own. The
population's patches are those of all crops, each as often as it occurs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simulate.datasets import read_images
from simulate.results import Population
from theory.setting import Data, InvalidInput, Setting

# The most numbers of patches that are held at a time.
HELD = 2**22


@dataclass(frozen=True, eq=False)
class ImageSet:
    """A finite population of images, drawn without replacement: all crops of a stack of images.

    Attributes
    ----------
    images : ndarray, shape (N, C, H, W)
        The images, as they were read.
    means : ndarray, shape (C, 1, 1)
    scale : ndarray, shape (C, 1, 1)
        An image is (raw − means) / scale.
    shape : tuple of int
        (C, h, w) of a crop.
    population : Population
        The population whose moments are those of the patches, flattened C × kh × kw, and whose rows are the crops.
    """

    images: np.ndarray
    means: np.ndarray
    scale: np.ndarray
    shape: tuple[int, ...]
    population: Population

    def draw(self, generator: np.random.Generator, out: np.ndarray) -> np.ndarray:
        """Fill `out` (n, C, h, w) with distinct crops; returns their indices (n,), image by image, row by row."""
        windows = np.lib.stride_tricks.sliding_window_view(self.images, self.shape[1:], axis=(2, 3))
        count, _, down, across = windows.shape[:4]
        picked = generator.choice(count * down * across, len(out), replace=False)
        image, place = np.divmod(picked, down * across)
        row, column = np.divmod(place, across)
        np.subtract(windows[image, :, row, column], self.means, out=out)
        out /= self.scale
        return picked


def open_images(setting: Setting) -> tuple[ImageSet, np.ndarray | None]:
    """The images of a setting, and their real labels if they have any.

    Raises
    ------
    InvalidInput
        If the images cannot be read, or are smaller than a crop or a filter.
    """
    data, kernel = setting.data, setting.network.kernel
    images, labels = read_images(data, real_labels=setting.labels.kind == "real")
    sides = images.shape[2:]
    crop = data.crop if data.kind == "photographs" else sides
    _require_inside("data.crop", crop, "photographs", sides)
    _require_inside("network.kernel", kernel, "images", crop)
    means, scale = _centre_and_scale(data, images)
    shape = (images.shape[1], *crop)
    counts = [_occurrences(side, cut, filter_) for side, cut, filter_ in zip(sides, crop, kernel, strict=True)]
    weights = np.multiply.outer(*counts)
    moment, mean = _moments(images, kernel, means, scale, weights)
    places = (sides[0] - crop[0] + 1) * (sides[1] - crop[1] + 1)
    population = Population(moment, mean, len(images) * places, 0)
    return ImageSet(images, means, scale, shape, population), None if labels is None else np.repeat(labels, places, 0)


def patch_moment(images: np.ndarray, kernel: tuple[int, int]) -> np.ndarray:
    """The mean of p pᵀ over all patches p of images (n, C, h, w), shape (d, d) with d = C kh kw; about zero.

    >>> patch_moment(np.arange(4.0).reshape(1, 1, 2, 2), (1, 2))
    array([[2., 3.],
           [3., 5.]])
    """
    ones = np.ones((images.shape[2] - kernel[0] + 1, images.shape[3] - kernel[1] + 1))
    return _moments(images, kernel, np.zeros((images.shape[1], 1, 1)), np.ones((images.shape[1], 1, 1)), ones)[0]


def _moments(
    images: np.ndarray, kernel: tuple[int, int], means: np.ndarray, scale: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Second moment (d, d) and mean (d,) of patches of (images − means) / scale, weighted by place (H', W')."""
    d = images.shape[1] * math.prod(kernel)
    moment, total = np.zeros((d, d)), np.zeros(d)
    at_once = max(1, HELD // (weights.size * d))
    rows_at_once = max(1, HELD // (weights.shape[1] * d))
    for first in range(0, len(images), at_once):
        scaled = (images[first : first + at_once] - means) / scale
        windows = np.lib.stride_tricks.sliding_window_view(scaled, kernel, axis=(2, 3))
        for row in range(0, len(weights), rows_at_once):
            rows = slice(row, row + rows_at_once)
            patches = windows[:, :, rows].transpose(0, 2, 3, 1, 4, 5).reshape(len(scaled), -1, d)
            weighted = patches * weights[rows].reshape(-1, 1)
            moment += np.tensordot(weighted, patches, ((0, 1), (0, 1)))
            total += weighted.sum((0, 1))
    count = len(images) * weights.sum()
    moment = (moment + moment.T) / (2 * count)
    return moment, total / count


def _occurrences(side: int, crop: int, kernel: int) -> np.ndarray:
    """How many crops hold the stretch of length `kernel` that begins at each place of `side`."""
    begin = np.arange(side - kernel + 1)
    return np.minimum(begin, side - crop) - np.maximum(begin - (crop - kernel), 0) + 1.0


def _centre_and_scale(data: Data, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # Image by image, so that bytes need not become numbers of eight bytes all at once.
    sums = sum((image.sum((1, 2), dtype=np.float64) for image in images), np.zeros(images.shape[1]))
    squares = sum((np.square(image, dtype=np.float64).sum((1, 2)) for image in images), np.zeros(images.shape[1]))
    pixels = len(images) * math.prod(images.shape[2:])
    means = sums / pixels if data.center else np.zeros(images.shape[1])
    mean_squares = squares / pixels - (means**2 if data.center else 0.0)
    if data.scale != "channels":
        mean_squares = np.full_like(mean_squares, mean_squares.mean())
    if mean_squares.min() <= 0:
        what = "every pixel of a channel" if mean_squares.max() > 0 else "every pixel"
        raise InvalidInput("data.path", data.path, f"{what} is the same, so there is no covariance")
    scale = np.sqrt(mean_squares) if data.scale else np.ones_like(mean_squares)
    return means[:, None, None], scale[:, None, None]


def _require_inside(key: str, inner: tuple[int, ...], what: str, outer: tuple[int, ...]) -> None:
    if any(a > b for a, b in zip(inner, outer, strict=True)):
        raise InvalidInput(key, tuple(inner), f"must not exceed the {what}, {outer[0]} × {outer[1]}")
