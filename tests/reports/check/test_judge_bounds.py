"""A check at its bounds: draws, one eigenspace, one and two dimensions, ties, and what is passed on."""

from __future__ import annotations

import numpy as np
import pytest

from reports.check import check, judge, measure
from reports.check.data import samples
from reports.check.judge import judge_layer
from reports.check.moments import DataMoment, data_moment
from reports.check.weights import WeightVectors, filters
from tests.reports.check.test_data import Asked
from tests.reports.check.test_judge import FALLING, X, layer
from theory.errors import InvalidInput

CUBE = np.vstack([np.eye(6), -np.eye(6)])  # whose eigenvalues are all equal


def moment(rows: np.ndarray) -> DataMoment:
    return data_moment(samples(rows, filters(np.ones((2, rows.shape[1])))))


@pytest.mark.parametrize(
    ("dimension", "draws"), [(5, 999), (255, 999), (256, 999), (257, 987), (400, 261), (551, 100), (553, 99), (700, 99)]
)
def test_draws_fall_with_the_cube_of_the_dimension_but_not_below_99(monkeypatch, dimension, draws):
    """999 (256/d)³, cut to whole numbers."""

    def asked(*_, draws, **__):
        raise Asked(draws)

    monkeypatch.setattr(judge, "random_basis_energies", asked)
    groups = np.diag(np.linspace(1, 2, dimension))[None]
    data = DataMoment(groups, np.zeros((1, dimension)), np.array([9]), 9, np.full(dimension, True))
    with pytest.raises(Asked) as found:
        judge_layer([WeightVectors(np.eye(dimension)[:3] + 0.5, None)], data)
    assert found.value.args == (draws,)


def test_by_default_there_is_no_ridge_and_seed_zero():
    w = layer(FALLING, 30)
    found, wanted = judge_layer([filters(w)], moment(X)), check(w, X, ridge=0.0, seed=0)
    assert (found.random_basis, found.aligned, found.isotropic, found.interval) == (
        wanted.random_basis, wanted.aligned, wanted.isotropic, wanted.interval,
    )  # fmt: skip
    assert found.random_basis != check(w, X, seed=1).random_basis


@pytest.mark.parametrize("count", [40, 4])
def test_in_a_single_eigenspace_every_basis_is_alike(count):
    """p is 1 and nothing is an effect, at full rank and below."""
    found = check(layer(FALLING, count), CUBE)
    assert found.transfer_function.multiplicity == (6,)
    assert (found.random_basis.pvalue, found.random_basis.effect) == (1, None)
    assert found.random_basis.median > 0
    assert (found.orientation.pvalue, found.orientation.effect, found.orientation.interval) == (1, 0, None)
    assert found.needed is None


def test_weights_of_equal_variances_in_all_directions_are_alike_in_every_basis():
    """Weights that are isotropic to the last digit have no unaligned part in any basis: p is 1, without an effect."""
    for rows in (X[:, :2], X):
        d = rows.shape[1]
        found = check(np.vstack([np.eye(d), -2 * np.eye(d)]), rows)
        assert (found.random_basis.pvalue, found.random_basis.effect) == (1, None)
        assert 0 < found.orientation.pvalue <= 1
        assert (found.misalignment, found.verdict) == (pytest.approx(0, abs=1e-7), "undecided")


@pytest.mark.parametrize("networks", [1, 3])
def test_one_dimension_decides_nothing(networks):
    rng = np.random.default_rng(0)
    found = check(list(rng.standard_normal((networks, 9, 1))), rng.standard_normal((50, 1)))
    assert (found.isotropic, found.random_basis.pvalue, found.random_basis.effect) == (1, 1, None)
    assert (found.orientation.pvalue, found.aligned.pvalue) == (1, 1)


@pytest.mark.parametrize("count", [1, 40])
def test_two_dimensions_and_two_eigenspaces_are_tested_like_more(count):
    """Forty filters along one axis and a little along the other: none of 999 draws is as anisotropic, or as near."""
    rng = np.random.default_rng(1)
    w = rng.standard_normal((count, 2)) * [1.0, 0.05]
    found = check(w if count > 1 else w * [1, 0], rng.standard_normal((500, 2)) * [1.0, 3.0])
    assert found.transfer_function.multiplicity == (1, 1)
    assert found.isotropic == (1 / 1000 if count > 1 else 1)
    assert found.random_basis.effect is not None
    assert found.random_basis.pvalue < 0.1
    assert found.orientation.pvalue < 0.1
    assert (found.orientation.effect > 0.9) == (count > 1)


@pytest.mark.parametrize(("isotropic", "alike"), [(0.01, False), (0.011, True)])
def test_filters_needed_are_those_of_anisotropic_weights_at_one_percent(monkeypatch, isotropic, alike):
    """Weights count as anisotropic up to p = 1 %.

    The check reports the smaller of the two measures' numbers of filters that exceed the twelve present, and no number
    if one measure has none.
    """
    asked = []
    monkeypatch.setattr(judge, "filters_pvalue", lambda *_, **__: isotropic)
    monkeypatch.setattr(judge, "exact_tests", lambda *_, **__: (judge.Aligned(0.5, "randomization", "filters"), None))
    w = np.random.default_rng(2).standard_normal((12, 6))
    for numbers, needed in (((12, 15), 15), ((13, 11), 13), ((20, 15), 15), ((None, 14), 14), ((12, None), None)):
        monkeypatch.setattr(judge, "orientation_needed", lambda *_, numbers=numbers: numbers[0])
        monkeypatch.setattr(judge, "filters_needed", lambda *a, numbers=numbers: asked.append(a[2]) or numbers[1])
        found = check(w, X)
        assert (found.verdict, found.needed) == ("undecided", needed)
    assert asked == [alike] * 5


def test_layers_of_different_widths_are_refused_before_the_data_are_looked_at(tmp_path):
    wide, narrow = layer(FALLING, 4), layer(FALLING, 4)[:, :5]
    np.save(tmp_path / "wide.npy", wide)
    np.save(tmp_path / "narrow.npy", narrow)
    np.save(tmp_path / "x.npy", X[:50])
    with pytest.raises(InvalidInput, match="must have the same shape"):
        check([wide, narrow], X[:50])
    with pytest.raises(InvalidInput, match="must have the same shape"):
        measure.check_files([str(tmp_path / "wide.npy"), str(tmp_path / "narrow.npy")], str(tmp_path / "x.npy"))


def test_a_random_basis_whose_m_is_all_noise_has_none_without_it():
    """Filters that are nearly isotropic: the median of M² may be less than the floor."""
    rng, seen = np.random.default_rng(3), set()
    for _ in range(12):
        found = check(np.vstack([np.eye(6)] * 3) + 0.05 * rng.standard_normal((18, 6)), X)
        median, floor = found.random_basis.median, found.null_floor
        expected = (median**2 + 6) * 6 / (floor + 6) - 6
        assert found.random_basis.without_noise == pytest.approx(np.sqrt(max(expected, 0)))
        seen.add(expected < 0)
    assert True in seen
