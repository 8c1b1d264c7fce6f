"""The random-basis test: literal statistic, exact size, planted alignment, degenerate and bad input."""

import numpy as np
import pytest
from scipy import stats

from tests.theory.testing.ensembles import generator, spaces_of
from theory.eigenspaces import eigenspaces
from theory.errors import InvalidInput
from theory.misalignment import misalignment, misalignment_squared
from theory.symmetry import haar
from theory.testing import random_basis_test


@pytest.mark.parametrize("multiplicity", [(1, 1, 1, 1, 1), (2, 3), (1, 3, 1)])
def test_statistic_and_null_are_misalignments(multiplicity):
    rng = generator(1)
    spaces = spaces_of(multiplicity, haar(rng, 5, 1)[0])
    vectors = rng.standard_normal((9, 5)) * [1, 2, 3, 4, 5]
    b = vectors.T @ vectors
    found = random_basis_test(spaces, b, draws=1500, seed=2)
    assert found.misalignment_squared == pytest.approx(float(misalignment_squared(spaces, b)), rel=1e-10)
    assert found.misalignment == pytest.approx(float(misalignment(spaces, b)), rel=1e-10)
    literal = [float(misalignment(spaces_of(multiplicity, u), b)) for u in haar(rng, 5, 1500)]
    assert stats.ks_2samp(found.null_distribution, literal).pvalue > 1e-6
    assert found.effect == pytest.approx(1 - found.misalignment / np.median(found.null_distribution))
    assert found.pvalue == (1 + np.sum(found.null_distribution <= found.misalignment)) / 1501


def test_size_is_exact_where_the_orientation_is_random():
    rng, spaces, pvalues = generator(3), spaces_of((1, 2, 1, 2), np.eye(6)), []
    for e in range(1500):
        u = haar(rng, 6, 1)[0]
        spectrum = np.exp(rng.standard_normal(6))
        pvalues.append(random_basis_test(spaces, (u * spectrum) @ u.T, draws=199, seed=e).pvalue)
    for alpha in (0.01, 0.05, 0.10):
        rejected = int(np.sum(np.array(pvalues) <= alpha + 1e-12))
        assert stats.binomtest(rejected, len(pvalues), alpha).pvalue > 1e-6 / 3


def test_alignment_is_found_also_through_noise():
    rng = generator(4)
    u = haar(rng, 8, 1)[0]
    vectors = rng.standard_normal((60, 8)) * np.sqrt(np.geomspace(1, 20, 8)) @ u.T
    found = random_basis_test(spaces_of((1,) * 8, u), vectors.T @ vectors / 60)
    assert found.pvalue == 0.001
    assert 0.3 < found.effect < 1


def test_a_basis_worse_than_random_is_not_called_aligned():
    """B is turned by 45 degrees against A in both planes: no basis is much worse."""
    turn = np.array([[1, -1], [1, 1]]) / np.sqrt(2)
    u = np.kron(np.eye(2), turn)
    found = random_basis_test(spaces_of((1, 1, 1, 1), np.eye(4)), (u * [1.0, 50.0, 1.0, 50.0]) @ u.T)
    assert found.pvalue > 0.9
    assert found.effect < 0


@pytest.mark.parametrize(("a", "b"), [(np.eye(3), np.diag([1.0, 2.0, 3.0])), (np.diag([1.0, 2.0, 3.0]), 4 * np.eye(3))])
def test_one_eigenspace_says_nothing(a, b):
    found = random_basis_test(eigenspaces(a), b, draws=5)
    assert (found.pvalue, found.effect, len(found.null_distribution)) == (1.0, None, 5)


SPACES = eigenspaces(np.diag([1.0, 2.0, 3.0]))


@pytest.mark.parametrize(
    ("matrix", "options", "key"),
    [
        (np.diag([1.0, 1.0, 0.0]), {}, "second_moment"),
        (np.diag([1.0, 1.0, -1.0]), {}, "second_moment"),
        (np.eye(2), {}, "second_moment.shape"),
        (np.eye(3)[None], {}, "second_moment.shape"),
        (np.eye(3) * np.nan, {}, "second_moment"),
        (np.eye(3), {"draws": 0}, "draws"),
        (np.eye(3), {"seed": -1}, "seed"),
    ],
)
def test_bad_calls_name_the_argument(matrix, options, key):
    with pytest.raises(InvalidInput) as caught:
        random_basis_test(SPACES, matrix, **options)
    assert caught.value.key == key


def test_what_is_left_out_of_a_call_is_what_is_documented():
    w = generator(9).standard_normal((9, 3))
    plain, said = (
        random_basis_test(spaces_of((1, 2)), w.T @ w, **options) for options in ({}, {"draws": 999, "seed": 0})
    )
    np.testing.assert_array_equal(plain.null_distribution, said.null_distribution)
