"""Data as a stream: rows or images from arrays, tensors, files and folders, read a few at a time."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reports.check.files import stored
from reports.check.stored_array import printable
from reports.check.weights import WeightVectors, host
from theory.errors import InvalidInput

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
# Pillow tells formats by the first bytes, not the name, and hands an EPS to Ghostscript: it may try these alone.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True, eq=False)
class ReadSamples:
    """Independent samples, rows (d,) or images (C, H, W), in order.

    Attributes
    ----------
    count : int
    shape : tuple of int, or None
        The shape of one sample; None for images of different sizes.
    kernel : (C, kh, kw), or None
        The size of the filters that slide over each sample; None if a sample is a row.
    read : callable
        (start, stop) → samples start … stop − 1, of any real dtype; one at a time where `shape` is None.
    """

    count: int
    shape: tuple[int, ...] | None
    kernel: tuple[int, int, int] | None
    read: Callable[[int, int], np.ndarray]


def open_samples(source: str, layer: WeightVectors, *, channels_last: bool = False) -> ReadSamples:
    """The data in FILE[:KEY] or in a folder of images, in the form that `layer` sees; see `samples`."""
    if Path(source).is_dir():
        return _folder(Path(source), layer)
    array = stored(source, "data", (2, 3, 4) if layer.kernel else (2, 3, 4, 5))
    return _fitted(array.shape, array.read, layer, channels_last)


def samples(rows: Any, layer: WeightVectors, *, channels_last: bool = False) -> ReadSamples:
    """An array or a tensor as samples for `layer`.

    For a dense layer: (n, d), or (n, …) with d numbers per sample. For filters: images (n, C, H, W), (n, H, W) with one
    channel, or (n, C, L) in one dimension, of which the filters see every patch of their size; or patches as rows (n,
    d).

    Raises
    ------
    InvalidInput
        If shapes do not fit; the message names shapes that would.
    """
    values = host(rows, "data")
    return _fitted(values.shape, lambda start, stop: values[start:stop], layer, channels_last)


def _fitted(
    shape: tuple[int, ...], read: Callable[[int, int], np.ndarray], layer: WeightVectors, channels_last: bool
) -> ReadSamples:
    """Samples of `shape` in the form that the layer sees; raises InvalidInput if they do not fit."""
    if len(shape) < 2:
        raise InvalidInput("data.shape", shape, "the first axis must be samples: (n, d) rows or (n, C, H, W) images")
    if not math.prod(shape):
        raise InvalidInput("data.shape", shape, "must not be empty")
    d = layer.vectors.shape[1]
    if layer.kernel is None or len(shape) == 2:
        if math.prod(shape[1:]) != d:
            raise InvalidInput("data.shape", shape, _row_rule(shape, layer))
        return ReadSamples(shape[0], (d,), None, lambda start, stop: read(start, stop).reshape(-1, d))
    channels, down, _ = layer.kernel
    one_dimensional = down == 1 and len(shape) == 3 and shape[1] == channels * layer.group[1]
    if len(shape) == 3:
        image = (shape[1], 1, shape[2]) if one_dimensional else (1, *shape[1:])
    elif len(shape) == 4:
        image = (shape[3], *shape[1:3]) if channels_last else shape[1:]
    else:
        raise InvalidInput("data.shape", shape, "must be images (n, C, H, W), or patches as rows (n, d)")

    def read_images(start: int, stop: int) -> np.ndarray:
        block = read(start, stop)
        if len(shape) == 4:
            return _group(block.transpose(0, 3, 1, 2) if channels_last else block, layer)
        return _group(block.reshape(len(block), *image), layer)

    if image[0] != channels * layer.group[1]:
        raise InvalidInput("data.shape", shape, _channel_rule(shape, image[0], layer, channels_last))
    return ReadSamples(shape[0], (channels, *image[1:]), layer.kernel, read_images)


def _group(images: np.ndarray, layer: WeightVectors) -> np.ndarray:
    """The channels that the layer's group of filters sees."""
    j, channels = layer.group[0], layer.kernel[0] if layer.kernel else 0
    return images[:, (j - 1) * channels : j * channels]


def _row_rule(shape: tuple[int, ...], layer: WeightVectors) -> str:
    d, m = layer.vectors.shape[1], len(layer.vectors)
    found = math.prod(shape[1:])
    hint = ""
    if layer.kernel is None and found == m:
        hint = f"; data with {m} numbers fit transposed weights (--transposed)"
    elif layer.kernel is None and shape[0] == d:
        hint = "; the first axis must be samples"
    return f"must have {d} numbers per sample, as a weight vector has, not {found}{hint}"


def _channel_rule(shape: tuple[int, ...], found: int, layer: WeightVectors, channels_last: bool) -> str:
    assert layer.kernel is not None
    wanted = layer.kernel[0] * layer.group[1]
    rule = f"must have {wanted} channels, as the filters have, not {found}"
    if len(shape) == 4 and not channels_last and shape[3] == wanted:
        return f"{rule}; the last axis has {wanted}: images with their channels last (--channels-last)?"
    if layer.kernel[1] == found:
        return f"{rule}; filters stored as (kh, kw, C, m) are read with --transposed"
    if layer.group[1] == 1 and found % wanted == 0:
        return f"{rule}; grouped convolutions are checked group by group (--group 1/{found // wanted})"
    return rule


def _folder(folder: Path, layer: WeightVectors) -> ReadSamples:
    """Images in a folder and its subfolders, sorted by name; grey or colour as the layer needs."""
    from PIL import Image

    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    if not paths:
        raise InvalidInput("data", str(folder), f"contains no images ({', '.join(_SUFFIXES)})")
    d = layer.vectors.shape[1]

    def opened(path: Path, *, whole: bool) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(path, formats=_FORMATS) as image:
                    return np.asarray(image.convert(_MODES[channels])) if whole else image.size
        except Exception as error:  # decoders raise anything for damaged images
            text = printable((str(error).splitlines() or [type(error).__name__])[0], 100)
            raise InvalidInput("data", str(path), f"cannot be read as an image ({text})") from None

    channels = layer.kernel[0] * layer.group[1] if layer.kernel else 0
    sizes = {opened(path, whole=False)[::-1] for path in paths}
    if layer.kernel is None:
        pixels = {math.prod(size) for size in sizes}
        channels = d // pixels.pop() if len(pixels) == 1 and len(sizes) == 1 else 0
        if channels not in _MODES or channels * math.prod(next(iter(sizes))) != d:
            raise InvalidInput(
                "data", str(folder), f"all images must have one size, with {d} numbers, for a dense layer"
            )
    elif channels not in _MODES:
        rule = f"images have 1, 3 or 4 channels, but the filters have {channels}: pass saved activations as an array"
        raise InvalidInput("data", str(folder), rule)

    def read(start: int, stop: int) -> np.ndarray:
        block = np.stack([np.atleast_3d(opened(path, whole=True)) for path in paths[start:stop]])
        images = block.transpose(0, 3, 1, 2) / 255
        return _group(images, layer) if layer.kernel else images.reshape(len(images), d)

    if layer.kernel is None:
        return ReadSamples(len(paths), (d,), None, read)
    shape = (layer.kernel[0], *sizes.pop()) if len(sizes) == 1 else None
    return ReadSamples(len(paths), shape, layer.kernel, read)


def chunks(stream: ReadSamples, at_once: int) -> Iterator[tuple[int, np.ndarray]]:
    """(index of the first sample, block of at most `at_once` samples), in order."""
    step = at_once if stream.shape is not None else 1
    for start in range(0, stream.count, step):
        yield start, stream.read(start, min(start + step, stream.count))
