"""Numbers of a check, one by one: floors, draws, the random basis, and what is shown meanwhile."""

import numpy as np
import pytest

from reports.check import check, measure
from tests.reports.check.test_judge import FALLING, X, layer
from theory.eigenspaces import eigenspaces
from theory.misalignment import null_floor
from theory.testing import random_basis_test


def test_noise_alone_has_a_floor_from_one_vector_more_than_dimensions_on():
    assert check(layer(FALLING, 6), X).null_floor is None
    assert check(layer(FALLING, 7), X).null_floor == null_floor([1] * 6, 7).value


def test_m_of_a_random_basis_is_its_median_less_noise():
    """(M² + d) d / (floor + d) − d of the median M, as for the interval that is compared with it."""
    w = layer(FALLING, 60)
    found = check(w, X, seed=2)
    test = random_basis_test(eigenspaces(X.T @ X / len(X)), w.T @ w / 60, draws=999, seed=2)
    median = np.median(test.null_distribution)
    assert found.random_basis.median == pytest.approx(median, rel=1e-6)
    expected = (median**2 + 6) * 6 / (found.null_floor + 6) - 6
    assert found.random_basis.without_noise == pytest.approx(np.sqrt(expected), rel=1e-6)
    assert (found.random_basis.pvalue, found.random_basis.effect) == pytest.approx((test.pvalue, test.effect))


@pytest.mark.parametrize("shown", [False, True])
def test_arrays_are_read_without_a_progress_bar(shown, monkeypatch, tmp_path):
    asked, read = [], measure.data_moment
    monkeypatch.setattr(measure, "data_moment", lambda *a, progress, **k: asked.append(progress) or read(*a, **k))
    w, rows = layer(FALLING, 3), X[:20]
    for name, array in (("w", w), ("x", rows)):
        np.save(tmp_path / f"{name}.npy", array)
    check(w, rows)
    measure.check_files([str(tmp_path / "w.npy")], str(tmp_path / "x.npy"), progress=shown)
    measure.check_files([str(tmp_path / "w.npy")], str(tmp_path / "x.npy"))
    assert asked == [False, shown, False]


def test_draws_fall_with_the_cube_of_the_dimension():
    """999 up to 256 dimensions, 620 at 300."""
    rng = np.random.default_rng(0)
    found = check(rng.standard_normal((3, 300)), rng.standard_normal((310, 300)))
    assert any(text.startswith("620 draws per test") for text in found.warnings)
    assert found.random_basis.pvalue * 621 == pytest.approx(round(found.random_basis.pvalue * 621))
