import numpy as np
import pytest
import torch

from theory.arrays import like, namespace, symmetric, to_numpy
from theory.errors import InvalidInput


@pytest.mark.parametrize(
    ("matrix", "key", "rule"),
    [
        ([[1.0]], "arguments", "NumPy arrays"),
        (np.ones(3), "a.shape", "must be"),
        (np.ones((2, 3)), "a.shape", "must be"),
        (np.ones((0, 0)), "a.shape", "must be"),
        (np.array([[1.0, 2.0], [0.0, 1.0]]), "a", "symmetric"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), "a", "finite"),
        (np.array([[np.inf]]), "a", "finite"),
        (np.array([[1.0 + 1j]]), "a.dtype", "real"),
        (np.ones((2, 2), dtype=np.float16), "a.dtype", "float64"),
        (torch.ones((2, 2), dtype=torch.bfloat16), "a.dtype", "float64"),
        (torch.tensor([[1.0, 2.0], [0.0, 1.0]]), "a", "symmetric"),
    ],
)
def test_each_kind_of_bad_matrix_is_named(matrix: object, key: str, rule: str) -> None:
    with pytest.raises(InvalidInput, match=rule) as caught:
        symmetric("a", matrix)
    assert caught.value.key == key
    assert "\n" not in str(caught.value)


def test_each_matrix_of_a_batch_is_judged_on_its_own_scale() -> None:
    batch = np.stack([1e12 * np.eye(2), [[1.0, 0.5], [0.0, 1.0]]])
    with pytest.raises(InvalidInput, match="symmetric"):
        symmetric("a", batch)


def test_rounding_is_averaged_away_and_the_argument_is_not_touched() -> None:
    matrix = np.array([[1.0, 2.0 + 1e-12], [2.0, 3.0]])
    matrix.flags.writeable = False
    found = symmetric("a", matrix)
    assert np.array_equal(found, found.T)
    assert found[0, 1] == pytest.approx(2 + 5e-13, abs=1e-15)


def test_an_empty_batch_and_integers_pass() -> None:
    assert symmetric("a", np.ones((0, 2, 2))).shape == (0, 2, 2)
    assert symmetric("a", np.eye(2, dtype=int)).dtype == np.float64
    assert symmetric("a", np.array([[1e308]])) == 1e308


def test_kinds_are_not_mixed() -> None:
    with pytest.raises(InvalidInput, match="arguments = 'Tensor, ndarray'"):
        namespace(np.ones(1), torch.ones(1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_there_and_back(dtype: torch.dtype) -> None:
    reference = torch.zeros(1, dtype=dtype, requires_grad=True)
    values = np.array([1.0, 0.5])
    tensor = like(values, reference)
    assert tensor.dtype == dtype
    back = to_numpy(tensor.requires_grad_())
    assert back.dtype == np.float64
    assert np.array_equal(back, values)
