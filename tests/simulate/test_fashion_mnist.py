"""Fashion-MNIST: files of idx, Debian's package, one clear line for each thing that can be wrong."""

import gzip
from pathlib import Path

import numpy as np
import pytest

import simulate
import simulate.transfer
from simulate.datasets import FASHION_MNIST, IDX_FILES, load
from theory.setting import (
    Data,
    Downstream,
    Ensemble,
    Experiment,
    InvalidInput,
    Labels,
    Network,
    Setting,
    Training,
    Treatments,
    Upstream,
)


def idx(array, kind=8):
    """An idx file as its definition says it, before it is compressed."""
    lengths = b"".join(int(length).to_bytes(4, "big") for length in array.shape)
    return bytes([0, 0, kind, array.ndim]) + lengths + array.tobytes()


GARMENTS = np.random.default_rng(4).integers(1, 256, size=(20, 28, 28), dtype=np.uint8)
GARMENTS[:, 0, :3] = 0
CLASSES = (np.arange(20) % 4).astype(np.uint8)


@pytest.fixture
def garments(tmp_path):
    """Writes images and labels in the layout of Fashion-MNIST, as given or as idx files, and returns their folder."""

    def write(images=GARMENTS, labels=CLASSES, name="garments"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for file, content in zip(IDX_FILES, (images, labels), strict=True):
            (folder / file).write_bytes(content if isinstance(content, bytes) else gzip.compress(idx(content), mtime=0))
        return str(folder)

    return write


def fashion(path=None, **keys):
    keys.setdefault("samples", 3)
    return Data(kind="fashion-mnist", path=path, **keys)


def test_fashion_mnist(garments):
    """Rows are images, pixel after pixel; the three that never vary are dropped."""
    rows, labels, dropped = load(fashion(garments(), center=False, scale=False), True)
    expected = [[GARMENTS[n, i, j] for i in range(28) for j in range(28) if (i, j) > (0, 2)] for n in range(20)]
    assert rows.tolist() == expected
    assert dropped == 3
    assert labels.tolist() == CLASSES.tolist()
    assert (rows.dtype, labels.dtype) == (np.float64, np.int64)


def test_transfer_of_fashion_mnist(garments, saved):
    """Transfer with its own labels gives the same bits as with the same rows and labels from arrays."""
    real, training = Labels(kind="real"), Training(loss="cross-entropy", steps=2, learning_rate=0.01)
    rows, labels = saved(GARMENTS.reshape(20, -1)), saved(CLASSES, "y.npy")

    def losses(data):
        network = Network(kind="mlp", hidden=(5,))
        experiment = Experiment(
            upstream=Upstream(data=data, labels=real, network=network, training=training),
            treatment=Treatments(kinds=("scratch", "pretrained")),
            downstream=Downstream(samples=12, labels=real, training=training),
            ensemble=Ensemble(replicas=2),
        )
        return [treated.curves.train_loss for treated in simulate.transfer.run(experiment).treated]

    found = losses(fashion(garments(), samples=8))
    np.testing.assert_array_equal(found, losses(Data(kind="array", path=rows, labels_path=labels, samples=8)))
    assert np.isfinite(found).all()


@pytest.mark.skipif(not FASHION_MNIST.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
def test_fashion_mnist_as_debian_has_it():
    rows, labels, dropped = load(fashion(), True)
    assert rows.shape == (60_000, 784 - dropped)
    assert np.bincount(labels).tolist() == [6_000] * 10
    assert np.isclose(np.linalg.norm(rows) ** 2, rows.size)
    assert np.allclose(rows.mean(axis=0), 0)


def test_fashion_mnist_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setattr("simulate.datasets.FASHION_MNIST", tmp_path / "absent")
    for door in (simulate.run, simulate.population, simulate.digest):
        with pytest.raises(InvalidInput, match=r"data\.kind = 'fashion-mnist': needs Debian's package dataset-fashion"):
            door(Setting(data=fashion()))


def test_fashion_mnist_elsewhere(garments, tmp_path):
    (tmp_path / "garments").mkdir()
    (tmp_path / "garments" / IDX_FILES[0]).write_bytes(gzip.compress(idx(GARMENTS)))
    for path in (tmp_path / "absent", tmp_path / "garments", tmp_path / "garments" / IDX_FILES[0]):
        with pytest.raises(InvalidInput, match=r"data\.path = .*: must be a folder with train-images") as caught:
            simulate.run(Setting(data=fashion(str(path))))
        assert caught.value.value == str(path)


def test_idx_files_that_cannot_be_read(garments):
    whole = idx(GARMENTS)
    packed = gzip.compress(whole)
    damaged = bytearray(packed)
    damaged[len(packed) // 2] ^= 0xFF
    images = {
        b"": "must begin with 00 00 08 03",
        whole: "cannot be read as a gzip file",
        packed[:-20]: "cannot be read as a gzip file",
        bytes(damaged): "cannot be read as a gzip file",
        gzip.compress(b""): "must begin with 00 00 08 03 (idx, bytes, axes: 3), not with nothing",
        gzip.compress(idx(GARMENTS, kind=9)): "not with 00 00 09 03",
        gzip.compress(idx(CLASSES)): "not with 00 00 08 01",
        gzip.compress(whole[:10]): "ends within its header",
        gzip.compress(whole[:-1]): "must hold 20 × 28 × 28 bytes, as its header says, and at least one, not 15679",
        gzip.compress(whole + b"\0"): "and at least one, not 15681",
        gzip.compress(idx(GARMENTS[:0])): "must hold 0 × 28 × 28 bytes, as its header says, and at least one, not 0",
        gzip.compress(b"\0\0\x08\x03" + b"\xff" * 12 + b"x"): "4294967295 × 4294967295 × 4294967295 bytes",
        gzip.compress(idx(GARMENTS[:, :27])): "must hold images 28 × 28, not 27 × 28",
    }
    labels = {
        packed: "must begin with 00 00 08 01 (idx, bytes, axes: 1), not with 00 00 08 03",
        gzip.compress(idx(CLASSES[:19])): "must hold one label for each of the 20 images, not 19",
        gzip.compress(idx(CLASSES + 7)): "must hold classes 0 … 9, not 10",
    }
    written = [((content, CLASSES), IDX_FILES[0], message) for content, message in images.items()]
    written += [((GARMENTS, content), IDX_FILES[1], message) for content, message in labels.items()]
    for contents, name, message in written:
        with pytest.raises(InvalidInput) as caught:
            simulate.run(Setting(data=fashion(garments(*contents))))
        assert caught.value.key == "data.path"
        assert str(caught.value.value).endswith(name)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_digest_of_fashion_mnist(garments, monkeypatch):
    """The digest depends on the contents of the two files, not on their folder."""

    def of(path=None):
        return simulate.digest(Setting(data=fashion(path)))

    one, copy = garments(), garments(name="copy")
    others = [garments(images=GARMENTS + 1, name="images"), garments(labels=CLASSES[::-1], name="labels")]
    assert of(one) == of(copy)
    assert len({of(path) for path in (one, *others)}) == 3
    monkeypatch.setattr("simulate.datasets.FASHION_MNIST", Path(one))
    assert of() == of(one)
