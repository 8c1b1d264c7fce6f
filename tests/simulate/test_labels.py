"""Labels: random, of classes, of a teacher, by their moments."""

import numpy as np
import pytest

import simulate
from simulate.labels import one_hot
from tests.oracles.statistics import has_mean
from theory.setting import Data, Labels, Setting, Training

SPECTRUM = (0.5, 1.0, 1.0, 3.0)
N = 40_000


def labels_of(labels, n=N, loss="mse"):
    data = Data(kind="gaussian", spectrum=SPECTRUM, samples=n)
    setting = Setting(data=data, labels=labels, training=Training(loss=loss))
    inputs = simulate.replica_inputs(setting, [3])
    return inputs.x[0].numpy(), inputs.y[0].numpy()


@pytest.mark.parametrize("kind", ["gaussian", "rademacher"])
def test_random_labels(kind):
    x, y = labels_of(Labels(kind=kind, variance=2.5, outputs=2))
    assert y.shape == (N, 2)
    assert has_mean(y[:, :1] * y[:, 1:], 0)
    if kind == "rademacher":
        assert np.allclose(np.abs(y), np.sqrt(2.5))
    else:
        assert has_mean(y**2, 2.5)
        assert has_mean(y**4, 3 * 2.5**2)
    assert has_mean(y, 0)
    assert has_mean(np.einsum("ni,na->nia", x, y), 0)


def test_random_classes():
    x, y = labels_of(Labels(kind="classes", classes=5))
    assert np.allclose(np.sort(y, axis=1), [[-0.2] * 4 + [0.8]])
    assert has_mean(y, 0)
    # σ_y² = (C − 1)/C² for every output.
    assert has_mean(y**2, 4 / 25)
    assert has_mean(np.einsum("ni,na->nia", x, y), 0)
    _, indices = labels_of(Labels(kind="classes", classes=5), loss="cross-entropy")
    assert indices.dtype == np.int64
    # The same replica has the same classes, whatever the loss makes of them.
    assert np.array_equal(one_hot(indices, 5), y)


def test_teacher_is_linear_shared_and_of_unit_variance():
    x, y = labels_of(Labels(kind="teacher", outputs=2))
    teacher = np.linalg.lstsq(x, y, rcond=None)[0]
    assert np.allclose(x @ teacher, y)
    data = Data(kind="gaussian", spectrum=SPECTRUM)
    covariance = simulate.population(Setting(data=data)).covariance
    assert np.allclose(np.diag(teacher.T @ covariance @ teacher), 1)
    other = simulate.replica_inputs(Setting(data=data, labels=Labels(kind="teacher", outputs=2)), [11])
    assert np.allclose(other.x[0].numpy() @ teacher, other.y[0].numpy())
    x, noisy = labels_of(Labels(kind="teacher", outputs=2, noise=0.5))
    assert has_mean((noisy - x @ teacher) ** 2, 0.5)
