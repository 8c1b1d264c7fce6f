"""Weights from files with several arrays, defaults, and what is no layer."""

import warnings

import numpy as np
import pytest
import torch

from reports.check.data import samples
from reports.check.weights import WeightVectors, filters, parse_group, read_filters
from theory.errors import InvalidInput

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("axes", [2, 3, 4])
def test_weights_are_the_array_of_two_to_four_axes(tmp_path, axes):
    """The weights are found beside a bias and an array of five axes."""
    layer = RNG.standard_normal((4, 3, 2, 2)[:axes])
    np.savez(tmp_path / "w.npz", bias=np.ones(4), layer=layer, other=np.ones((2, 2, 2, 2, 2)))
    np.testing.assert_array_equal(read_filters(str(tmp_path / "w.npz")).vectors, layer.reshape(4, -1))


def test_by_default_there_is_one_group_and_no_integers():
    layer = WeightVectors(np.ones((2, 12)), (3, 2, 2))
    assert layer.integers is False
    images = RNG.standard_normal((5, 3, 4, 4))
    np.testing.assert_array_equal(samples(images, layer).read(0, 5), images)


@pytest.mark.parametrize("text", ["1/x", "x/4", "1", "/4", "1/", "-1/4", ""])
def test_a_group_is_two_numbers(text):
    with pytest.raises(InvalidInput, match="must be J/G, such as 1/4"):
        parse_group(text)
    assert parse_group("2/4") == (2, 4)


def test_the_first_entry_that_is_not_finite_is_named():
    w = RNG.standard_normal((4, 3, 2))
    w[1, 2, 0], w[1, 2, 1], w[3, 0, 0] = np.nan, np.inf, np.nan
    with pytest.raises(InvalidInput, match=r"entry \(1, 2, 0\) is not"):
        filters(w)


@pytest.mark.parametrize("kind", ["sparse", "quantized"])
def test_a_tensor_that_is_not_plain_is_refused(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # new versions of torch are about to drop quantized tensors
        plain = torch.eye(3)
        tensor = plain.to_sparse() if kind == "sparse" else torch.quantize_per_tensor(plain, 0.1, 0, torch.qint8)
    with pytest.raises(InvalidInput, match="must be a plain tensor of real numbers"):
        filters(tensor)


def test_tensors_keep_their_precision_and_integers_are_known():
    for dtype, integers in ((torch.float64, False), (torch.float32, False), (torch.int8, True), (torch.int64, True)):
        tensor = torch.tensor([[3, 1], [2, 100]], dtype=dtype) / (1 if integers else 3)
        tensor = tensor.to(dtype)
        found = filters(tensor)
        np.testing.assert_array_equal(found.vectors, tensor.double().numpy())
        assert found.integers == integers
