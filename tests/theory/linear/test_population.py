"""The population: its eigenspaces without an eigensolver, and its fourth moments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from theory.catalogue import predict
from theory.eigenspaces import eigenspaces
from theory.errors import InvalidInput
from theory.linear import population
from theory.setting import Data, Network, Setting, Sphere, Student, Training, TwoPoint


@given(
    eigenvalues=st.lists(st.sampled_from([0.0, 0.25, 1.0, 1.0 + 1e-15, 2.0]), min_size=1, max_size=7).filter(any),
    seed=st.integers(0, 100),
)
def test_eigenspaces_of_the_population(eigenvalues: list[float], seed: int) -> None:
    """The eigenspaces, found without an eigensolver, are those that `eigenspaces` finds for the diagonal matrix."""
    values = np.array(eigenvalues)
    _, _, multiplicity = population.spaces(values)
    expected = eigenspaces(np.diag(values))
    assert multiplicity == expected.multiplicity
    setting = Setting(
        data=Data(kind="gaussian", spectrum=tuple(eigenvalues), samples="online", rotate=bool(seed % 2)),
        training=Training(batch_size=2, sampling="fresh", steps=(0, 4), learning_rate=0.01),
    )
    for reading in predict(setting).readings:
        np.testing.assert_allclose(reading.sigma**2, expected.eigenvalues, rtol=1e-12)
        assert (reading.second_moment is None) == bool(seed % 2)
        if reading.second_moment is not None:
            projected = [np.trace(p @ reading.second_moment) / np.trace(p) for p in expected.projectors]
            np.testing.assert_allclose(reading.tau, projected, rtol=1e-12)


def test_eigenvalues_join_up_to_sixty_four_roundings_a_dimension() -> None:
    """Neighbours closer than 64 d ε of the largest eigenvalue are joined, whatever their order.

    The gaps tried are 2 ε below and above that.
    """
    for d in (2, 3):
        for extra, parts in ((-2, False), (2, True)):
            gap = (64 * d + extra) * np.finfo(float).eps
            values = np.array([1.0, *[0.5] * (d - 2), 1.0 - gap])
            order, first, multiplicity = population.spaces(values)
            assert sorted(order.tolist()) == list(range(d))
            assert np.all(np.diff(values[order]) >= 0)
            assert multiplicity == ((d - 2,) if d > 2 else ()) + ((1, 1) if parts else (2,))
            assert first.tolist() == np.cumsum([0, *multiplicity[:-1]]).tolist()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data": Data(kind="digits")}, "data.kind = 'digits'"),
        ({"data": Data(kind="gaussian", spectrum=(1.0, 2.0), fixed=True)}, "data.fixed = true"),
        ({"data": Data(kind="gaussian", spectrum=(1.0, 2.0), mean=(0.0, 1e-9))}, "data.mean"),
        ({"network": Network(init_spectrum=(1.0, 2.0))}, "network.init_spectrum"),
        ({"network": Network(init_spectrum=(2.0, 2.0))}, None),
        ({"data": Data(kind="gaussian", spectrum=(1.0, 2.0), mean=(0.0, 0.0))}, None),
        ({"data": Data(kind="elliptical", spectrum=(1.0, 2.0))}, None),
    ],
)
def test_what_is_no_centred_law(changes: dict, reason: str | None) -> None:
    setting = Setting(**{"data": Data(kind="gaussian", spectrum=(1.0, 2.0)), **changes})
    answer = population.not_centred_law(setting)
    assert answer is None if reason is None else str(answer).startswith(reason)


def test_the_fourth_moment_ends_at_four_degrees_of_freedom() -> None:
    with pytest.raises(InvalidInput, match=r"data.radial.dof = 4.0: must exceed 4"):
        population.fourth_moment_ratio(elliptical(Student(dof=4.0)))
    assert population.fourth_moment_ratio(elliptical(Student(dof=4.5))) == 5.0


def test_the_spectrum_is_divided_by_the_dimension_in_ntk() -> None:
    data = Data(kind="gaussian", spectrum=(3.0, 1.0, 0.0, 2.0))
    np.testing.assert_array_equal(population.population_spectrum(Setting(data=data)), [3.0, 1.0, 0.0, 2.0])
    ntk = Setting(data=data, network=Network(parametrization="ntk"))
    np.testing.assert_array_equal(population.population_spectrum(ntk), [0.75, 0.25, 0.0, 0.5])


def test_fourth_moments() -> None:
    """k4 by quadrature of the law of χ, or by its definition for the sphere."""
    for dof in (5.0, 12.0):
        chi2 = stats.chi2(dof)
        expected = (dof - 2) ** 2 * chi2.expect(lambda v: v**-2.0)
        assert abs(population.fourth_moment_ratio(elliptical(Student(dof=dof))) - expected) < 1e-6
    assert population.fourth_moment_ratio(Data(kind="gaussian", spectrum=(1.0, 2.0))) == 1.0
    assert population.fourth_moment_ratio(elliptical(Sphere())) == 9 / 15  # |z|⁴ = d² on the sphere
    assert population.fourth_moment_ratio(elliptical(TwoPoint(k4=1.25))) == 1.25
    with pytest.raises(InvalidInput, match=r"data.radial.dof = 3.5: must exceed 4"):
        population.fourth_moment_ratio(elliptical(Student(dof=3.5)))


def elliptical(radial: Student | Sphere | TwoPoint) -> Data:
    return Data(kind="elliptical", spectrum=(1.0, 2.0, 3.0), radial=radial)
