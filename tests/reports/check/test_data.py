"""Data in the form that a layer sees: groups, signals, folders of images, and how much of it is read at once."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reports.check import moments
from reports.check.data import ReadSamples, chunks, open_samples, samples
from reports.check.moments import data_moment
from reports.check.weights import filters
from tests.reports.check.test_moments import layer, patches
from theory.errors import InvalidInput

RNG = np.random.default_rng(0)


def grouped(j: int, g: int, *shape: int):
    return filters(np.ones((g, *shape)), group=(j, g))


def second_moment(rows: np.ndarray) -> np.ndarray:
    return rows.T @ rows / len(rows)


@pytest.mark.parametrize("j", [1, 2, 3])
def test_the_second_of_three_groups_sees_its_own_channels(j):
    images, signals = RNG.standard_normal((6, 6, 3, 4)), RNG.standard_normal((6, 3, 9))
    found = data_moment(samples(images, grouped(j, 3, 2, 2, 2)))
    np.testing.assert_allclose(
        found.second_moment, second_moment(patches(images[:, 2 * j - 2 : 2 * j], (2, 2))), rtol=1e-12
    )
    found = data_moment(samples(signals, grouped(j, 3, 1, 4)))
    np.testing.assert_allclose(
        found.second_moment, second_moment(patches(signals[:, j - 1 : j, None], (1, 4))), rtol=1e-12
    )
    with pytest.raises(InvalidInput, match="must have 6 channels, as the filters have, not 5") as refused:
        samples(images[:, :5], grouped(j, 3, 2, 2, 2))
    assert "group by group" not in str(refused.value)


def test_three_axes_are_signals_of_filters_that_see_a_line_and_otherwise_grey_images():
    """A line of filters sees grey images, too, where there are not as many rows as channels."""
    grey, signals = RNG.standard_normal((6, 5, 7)), RNG.standard_normal((6, 2, 9))
    for given, kernel, images in (
        (grey, (1, 2, 3), grey[:, None]),
        (grey, (1, 1, 4), grey[:, None]),
        (signals, (2, 1, 4), signals[:, :, None]),
    ):
        read = samples(given, layer(4, *kernel))
        assert (read.count, read.shape, read.kernel) == (6, images.shape[1:], kernel)
        np.testing.assert_array_equal(read.read(1, 4), images[1:4])
    with pytest.raises(InvalidInput, match="must have 2 channels, as the filters have, not 1"):
        samples(signals, layer(4, 2, 3, 3))


def test_groups_are_proposed_for_a_multiple_of_the_channels_alone():
    for channels, proposed in ((9, "(--group 1/3)"), (8, None)):
        with pytest.raises(InvalidInput, match=f"not {channels}") as refused:
            samples(np.ones((4, channels, 5, 5)), layer(2, 3, 2, 2))
        assert ("--group" in str(refused.value)) == (proposed is not None)
        assert proposed is None or proposed in str(refused.value)


def test_rows_of_as_many_numbers_as_there_are_vectors_are_transposed_weights():
    for numbers, hinted in ((9, True), (8, False)):
        with pytest.raises(
            InvalidInput, match=f"must have 5 numbers per sample, as a weight vector has, not {numbers}"
        ) as refused:
            samples(np.ones((7, numbers)), layer(9, 5))
        assert ("--transposed" in str(refused.value)) == hinted
    with pytest.raises(InvalidInput, match="not 3; the first axis must be samples"):
        samples(np.ones((5, 3)), layer(9, 5))


def pictures(folder: Path, mode: str, *sizes: tuple[int, int]) -> list[np.ndarray]:
    bands = len(mode)
    found = [RNG.integers(0, 256, (*size, bands)[: 2 + (bands > 1)], dtype=np.uint8) for size in sizes]
    for k, each in enumerate(found):
        Image.fromarray(each).save(folder / f"{k}.png")
    return [np.atleast_3d(each).transpose(2, 0, 1) / 255 for each in found]


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 4)])
def test_a_folder_is_read_in_the_channels_of_the_layer(tmp_path, mode, channels):
    """Grey, colour, and colour with transparency, by filters and by a dense layer, higher than wide."""
    images = np.stack(pictures(tmp_path, mode, (7, 5), (7, 5), (7, 5)))
    stream = open_samples(str(tmp_path), layer(4, channels, 2, 3))
    assert (stream.count, stream.shape, stream.kernel) == (3, (channels, 7, 5), (channels, 2, 3))
    np.testing.assert_array_equal(stream.read(0, 2), images[:2])
    dense = open_samples(str(tmp_path), layer(4, channels * 35))
    assert (dense.count, dense.shape, dense.kernel) == (3, (channels * 35,), None)
    np.testing.assert_array_equal(dense.read(1, 3), images[1:].reshape(2, -1))


@pytest.mark.parametrize("size", [(5, 7), (7, 6)])
def test_a_dense_layer_sees_images_of_one_size(tmp_path, size):
    """A dense layer refuses images of different sizes, even with equally many numbers; a convolution accepts them."""
    pictures(tmp_path, "L", (7, 5), size)
    with pytest.raises(InvalidInput, match="all images must have one size, with 35 numbers"):
        open_samples(str(tmp_path), layer(4, 35))
    assert open_samples(str(tmp_path), layer(4, 1, 2, 2)).shape is None


def test_filters_of_two_channels_see_no_images(tmp_path):
    pictures(tmp_path, "L", (7, 5))
    with pytest.raises(InvalidInput, match="images have 1, 3 or 4 channels, but the filters have 2"):
        open_samples(str(tmp_path), layer(4, 2, 2, 2))
    with pytest.raises(InvalidInput, match="with 70 numbers, for a dense layer"):
        open_samples(str(tmp_path), layer(4, 70))


class Asked(Exception):
    """What was asked for."""


def stream(count: int, *shape: int) -> ReadSamples:
    """Images too large to be there: reading them says which were asked for."""

    def read(start: int, stop: int) -> np.ndarray:
        raise Asked(start, stop)

    return ReadSamples(count, shape, (1, 1, 1), read)


@pytest.mark.parametrize(("count", "side", "stop"), [(1000, 1024, 2), (1000, 512, 8), (1000, 128, 16), (64, 8, 1)])
def test_blocks_are_of_sixteen_mebibytes_or_one_of_64_groups(count, side, stop):
    with pytest.raises(Asked) as asked:
        data_moment(stream(count, 1, side, side))
    assert asked.value.args == (0, stop)


def test_as_many_groups_as_memory_allows():
    """2²⁴ // 600² = 46 groups of 47 rows: two in each but one."""
    found = data_moment(samples(RNG.standard_normal((47, 600)), layer(2, 600)))
    assert found.counts.tolist() == [2] * 23 + [1]


def test_four_groups_at_least(monkeypatch):
    monkeypatch.setattr(moments, "_KEPT", 50)
    assert len(data_moment(samples(RNG.standard_normal((8, 5)), layer(2, 5))).counts) == 4
    monkeypatch.setattr(moments, "_KEPT", 150)
    assert len(data_moment(samples(RNG.standard_normal((12, 5)), layer(2, 5))).counts) == 6


def test_a_sample_that_is_not_finite_is_named_within_its_block():
    """The refusal names the sample by its number among all 200, although they are read in blocks."""
    rows = RNG.standard_normal((200, 3))
    rows[6, 1] = np.nan
    assert next(iter(chunks(samples(rows, layer(2, 3)), 4)))[1].shape == (4, 3)
    with pytest.raises(InvalidInput, match="must hold finite numbers, and sample 6 does not"):
        data_moment(samples(rows, layer(2, 3)))
    with pytest.raises(InvalidInput, match=r"data = 2e\+200: has squares that overflow"):
        data_moment(samples(np.array([[1.0, -2e200], [1.0, 3.0]]), layer(2, 2)))


class Bar:
    """A progress bar that keeps its options and the counts of its updates."""

    made: dict[str, object]
    told: list[int]

    def __init__(self, **options: object) -> None:
        type(self).made, type(self).told = options, []

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None: ...

    def update(self, count: int) -> None:
        self.told.append(count)


@pytest.mark.parametrize(("asked", "hidden"), [({}, True), ({"progress": False}, True), ({"progress": True}, None)])
def test_progress_is_shown_after_a_second_where_it_is_asked_for(monkeypatch, asked, hidden):
    monkeypatch.setattr(moments, "tqdm", Bar)
    data_moment(samples(RNG.standard_normal((130, 3)), layer(2, 3)), **asked)
    assert Bar.made == {"total": 130, "unit": " samples", "disable": hidden, "delay": 1, "leave": False}
    assert Bar.told == [3] * 43 + [1]
