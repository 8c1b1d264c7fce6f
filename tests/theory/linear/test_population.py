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
from theory.setting import Data, Setting, Sphere, Student, Training, TwoPoint


@given(
    eigenvalues=st.lists(st.sampled_from([0.0, 0.25, 1.0, 1.0 + 1e-15, 2.0]), min_size=1, max_size=7).filter(any),
    seed=st.integers(0, 100),
)
def test_eigenspaces_of_the_population(eigenvalues: list[float], seed: int) -> None:
    """Without an eigensolver the same as `eigenspaces` of the diagonal matrix."""
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


def test_fourth_moments() -> None:
    """k4 by quadrature of the law of χ, or by its definition for the sphere."""
    for dof in (5.0, 12.0):
        chi2 = stats.chi2(dof)
        expected = (dof - 2) ** 2 * chi2.expect(lambda v: v**-2.0)
        assert abs(population.fourth_moment_ratio(elliptical(Student(dof=dof))) - expected) < 1e-6
    assert population.fourth_moment_ratio(elliptical(Sphere())) == 9 / 15  # |z|⁴ = d² on the sphere
    assert population.fourth_moment_ratio(elliptical(TwoPoint(k4=1.25))) == 1.25
    with pytest.raises(InvalidInput, match=r"data.radial.dof = 3.5: must exceed 4"):
        population.fourth_moment_ratio(elliptical(Student(dof=3.5)))


def elliptical(radial: Student | Sphere | TwoPoint) -> Data:
    return Data(kind="elliptical", spectrum=(1.0, 2.0, 3.0), radial=radial)
