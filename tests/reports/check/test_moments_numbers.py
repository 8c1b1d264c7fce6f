"""Moments at their bounds: ties, two groups, one group, and how many samples are read at once."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from reports.check import moments
from reports.check.data import ReadSamples, open_samples, samples
from reports.check.moments import DataMoment, data_moment
from tests.reports.check.test_data import Asked
from tests.reports.check.test_moments import layer
from theory.eigenspaces import eigenspaces
from theory.errors import InvalidInput

RNG = np.random.default_rng(0)


def two_groups(first: np.ndarray, second: np.ndarray) -> DataMoment:
    means = np.zeros((2, len(first)))
    return DataMoment(np.stack([first, second]), means, np.array([5, 5]), 10, np.full(len(first), True))


@pytest.mark.parametrize(("distance", "joined"), [(2.99, True), (3.0, True), (3.01, False)])
def test_eigenvalues_three_errors_apart_are_joined(distance, joined):
    """1 without an error, and one that is 1 more in one group and 1 less in the other: its error is 1."""
    data = two_groups(np.diag([1.0, 1 + distance + 1]), np.diag([1.0, 1 + distance - 1]))
    assert data.standard_errors.tolist() == [0, 1]
    for spaces in (data.eigenspaces(), data.known_eigenspaces()):
        assert spaces.multiplicity == ((2,) if joined else (1, 1))
        np.testing.assert_allclose(spaces.eigenvalues, [1 + distance / 2] if joined else [1, 1 + distance])


def test_two_groups_have_errors_and_one_has_none():
    rows = RNG.standard_normal((2, 7, 3)) + 0.5
    groups, means = rows.mT @ rows / 7, rows.mean(axis=1)
    data = DataMoment(groups, means, np.array([7, 7]), 14, np.full(3, True))
    basis = np.linalg.eigh(groups.mean(axis=0))[1]
    half = (groups[0] - groups[1]) / 2  # the mean of two has half of their difference for its error
    np.testing.assert_allclose(data.standard_errors, np.abs(np.diag(basis.T @ half @ basis)))
    np.testing.assert_allclose(data.mean_errors(np.eye(3)[:, :2]), np.abs(means[0] - means[1])[:2] / 2)
    one = DataMoment(groups[:1], means[:1], np.array([7]), 7, np.full(3, True))
    assert one.standard_errors is None
    assert one.mean_errors(np.eye(3)[:, :2]).tolist() == [0, 0]
    assert one.eigenspaces().multiplicity == one.known_eigenspaces().multiplicity == (1, 1, 1)


def test_between_two_eigenspaces_there_are_rotations():
    data = two_groups(np.diag([1.0, 1.2, 5.0]), np.diag([1.0, 0.8, 6.0]))
    spaces = data.eigenspaces()
    assert spaces.multiplicity == (2, 1)
    noise = data.basis_noise(spaces)
    assert noise is not None
    # distances 4.5 less the errors (0, .5) and (.2, .5); half of the inverse, and none within the joined space
    near, far = 1 / (4.5 - 0.5) / 2, 1 / (4.5 - np.hypot(0.2, 0.5)) / 2
    np.testing.assert_allclose(noise.half_inverse, [[0, 0, near], [0, 0, far], [-near, -far, 0]])
    assert data.basis_noise(eigenspaces(np.eye(3))) is None


def test_eigenvalues_as_far_apart_as_their_error_are_not_turned():
    """1 without an error, and 2 with an error of 1: their distance, less its error, is nothing to divide by."""
    data = two_groups(np.diag([1.0, 3.0]), np.diag([1.0, 1.0]))
    assert data.exact_eigenspaces.multiplicity == (1, 1)
    noise = data.basis_noise(data.exact_eigenspaces)
    assert noise is not None
    assert noise.half_inverse.tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(("dimension", "kind"), [(128, np.float64), (129, np.float32)])
def test_errors_of_many_dimensions_are_kept_once_in_single_precision(dimension, kind):
    """From 129 dimensions on the scatter is float32; it is never copied, even with as few as three groups."""
    groups = np.stack([np.diag(np.linspace(1, 2, dimension) * size) for size in (0.9, 1.0, 1.1)])
    data = DataMoment(groups, np.zeros((3, dimension)), np.full(3, 4), 12, np.full(dimension, True))
    first, second = (data.basis_noise(data.exact_eigenspaces) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.scatter.dtype == kind
    assert np.shares_memory(first.scatter, second.scatter)


def test_centred_moments_say_so():
    data = data_moment(samples(RNG.standard_normal((9, 3)) + 2, layer(4, 3)))
    assert (data.centred, data.centre().centred) == (False, True)
    np.testing.assert_allclose(data.centre().mean, 0, atol=1e-12)


def test_two_rows_are_the_fewest():
    rows = np.array([[1.0, 2.0], [3.0, 1.0]])
    np.testing.assert_allclose(data_moment(samples(rows, layer(4, 2))).second_moment, rows.T @ rows / 2)


def test_a_coordinate_that_is_zero_in_some_group_underflows_nowhere():
    rows = 1 - np.eye(3)
    np.testing.assert_allclose(data_moment(samples(rows, layer(4, 3))).second_moment, rows.T @ rows / 3)


@pytest.mark.parametrize("held", [96, 97, 95])
def test_rows_are_read_within_the_memory_that_may_be_held(monkeypatch, held):
    monkeypatch.setattr(moments, "_HELD", held)

    def read(start: int, stop: int) -> np.ndarray:
        raise Asked(start, stop)

    with pytest.raises(Asked) as asked:
        data_moment(ReadSamples(6400, (3,), None, read))
    assert asked.value.args == (0, held // 3)


def test_images_of_different_sizes_are_a_group_each(tmp_path):
    for k, side in enumerate((6, 7, 8)):
        Image.fromarray(RNG.integers(0, 256, (side, 6), dtype=np.uint8)).save(tmp_path / f"{k}.png")
    found = data_moment(open_samples(str(tmp_path), layer(4, 1, 2, 2)))
    assert found.counts.tolist() == [5 * 5, 6 * 5, 7 * 5]


def test_the_size_of_images_that_are_too_small_is_named():
    with pytest.raises(InvalidInput, match="at least as large as the filters, 2 × 3") as found:
        data_moment(samples(RNG.standard_normal((5, 3, 1, 6)), layer(4, 3, 2, 3)))
    assert found.value.value == (1, 6)
