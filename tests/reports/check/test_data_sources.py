"""Folders and files of data: which files are images, which array is meant, and what is said of others."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from reports.check.data import open_samples, samples
from reports.check.weights import filters
from tests.reports.check.test_moments import layer
from theory.errors import InvalidInput

RNG = np.random.default_rng(0)


def picture(path):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (6, 5), dtype=np.uint8)).save(path)


def test_other_files_and_folders_are_no_images(tmp_path):
    picture(tmp_path / "b" / "1.PNG")
    picture(tmp_path / "a.png" / "2.png")
    (tmp_path / "notes.txt").write_text("no image")
    assert open_samples(str(tmp_path), layer(4, 1, 2, 2)).count == 2


@pytest.mark.parametrize(
    ("message", "said"),
    [("one\ntwo", "one"), ("", "ValueError"), ("x" * 100, "x" * 100), ("x" * 101, "x" * 99 + "…")],
)
def test_of_a_decoders_message_the_first_line_is_said_or_its_kind(tmp_path, monkeypatch, message, said):
    picture(tmp_path / "1.png")

    def fails(*_, **__):
        raise ValueError(message)

    monkeypatch.setattr(Image, "open", fails)
    with pytest.raises(InvalidInput) as found:
        open_samples(str(tmp_path), layer(4, 1, 2, 2))
    assert str(found.value).endswith(f"cannot be read as an image ({said})")


@pytest.mark.parametrize(("kernel", "axes"), [(True, (2, 3, 4)), (False, (2, 3, 4, 5))])
def test_data_are_the_array_of_two_axes_or_of_images(tmp_path, kernel, axes):
    """The data are found beside labels and an array of more axes.

    For filters of one channel, three axes are grey images.
    """
    beside = np.ones((2, 2, 2, 2, 2, 2)[: max(axes) + 1])
    for count in axes:
        shape = {2: (6, 4), 3: (6, 2, 2), 4: (6, 1, 2, 2), 5: (6, 1, 2, 2, 1)}[count]
        rows = RNG.standard_normal(shape)
        np.savez(tmp_path / "x.npz", labels=np.arange(6), rows=rows, beside=beside)
        layer = filters(np.ones((3, 1, 2, 2))) if kernel else filters(np.ones((3, 4)))
        stream = open_samples(str(tmp_path / "x.npz"), layer)
        np.testing.assert_array_equal(stream.read(0, 6).reshape(6, 4), rows.reshape(6, 4))


def test_a_hint_is_given_where_it_fits_alone():
    """Samples in the last axis, groups of channels: not for other numbers, and not for the second half of groups."""
    with pytest.raises(InvalidInput) as found:
        samples(np.ones((7, 8)), layer(9, 5))
    assert str(found.value).endswith("must have 5 numbers per sample, as a weight vector has, not 8")
    with pytest.raises(InvalidInput) as found:
        samples(np.ones((5, 7)), layer(9, 5, 1, 1))  # as rows of filters
    assert str(found.value).endswith("not 7")
    for group in ((1, 2), (2, 2)):
        with pytest.raises(InvalidInput) as found:
            samples(np.ones((4, 8, 5, 5)), filters(np.ones((6, 2, 3, 3)), group=group))
        assert str(found.value).endswith("must have 4 channels, as the filters have, not 8")
