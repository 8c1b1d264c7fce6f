"""The laws of rows: moments within their standard errors, at a false alarm below 1e-6 a test."""

import numpy as np
import pytest

import simulate
from simulate.data import haar_orthogonal, open_source
from simulate.streams import Purpose, Streams
from tests.oracles.statistics import has_mean
from theory.setting import Data, Setting, Sphere, Student, TwoPoint

SPECTRUM = (0.5, 1.0, 1.0, 3.0)
N = 40_000
LAWS = {
    "gaussian": {"kind": "gaussian"},
    "gaussian, axes": {"kind": "gaussian", "rotate": False},
    "gaussian, mean": {"kind": "gaussian", "mean": (1.0, 0.0, 0.5, -2.0)},
    "student": {"kind": "elliptical", "radial": Student(dof=30)},
    "sphere": {"kind": "elliptical", "radial": Sphere()},
    "two-point": {"kind": "elliptical", "radial": TwoPoint(k4=1.4), "mean": (0.0, 0.0, 1.0, 0.0)},
}


def drawn(setting, n=N, replica=0):
    streams = Streams(setting.ensemble.seed)
    source, _ = open_source(setting, streams)
    out = np.empty((n, setting.data.dimension))
    assert source.draw(streams.at(Purpose.DATA, replica), out) is None
    return out, source.population


@pytest.mark.parametrize("name", LAWS)
def test_moments_of_a_law(name):
    setting = Setting(data=Data(spectrum=SPECTRUM, **LAWS[name]))
    x, population = drawn(setting)
    assert np.allclose(np.linalg.eigvalsh(population.covariance), SPECTRUM)
    products = np.einsum("ni,nj->nij", x, x)
    assert has_mean(x, population.mean)
    assert has_mean(products, population.second_moment)
    # The test can fail: a covariance that is 8 % too large is seen.
    assert not has_mean(products, 1.08 * population.second_moment)


@pytest.mark.parametrize(
    ("radial", "k4"), [(None, 1.0), (Student(dof=30), 28 / 26), (TwoPoint(k4=1.4), 1.4), (Sphere(), None)]
)
def test_radial_laws(radial, k4):
    """The squared radius q = xᵀ Σ⁻¹ x has E q = d and E q² = E χ² · d(d + 2), or q = d on the sphere."""
    kind = "gaussian" if radial is None else "elliptical"
    x, population = drawn(Setting(data=Data(kind=kind, spectrum=SPECTRUM, radial=radial)))
    q = np.einsum("ni,ij,nj->n", x, np.linalg.inv(population.covariance), x)
    if k4 is None:
        assert np.allclose(q, 4)
    else:
        assert has_mean(q[:, None], 4)
        assert has_mean(q[:, None] ** 2, 24 * k4)


def test_singular_spectrum_stays_in_its_range():
    x, population = drawn(Setting(data=Data(kind="gaussian", spectrum=(0.0, 0.0, 1.0))), n=50)
    assert np.linalg.matrix_rank(x) == 1
    assert np.linalg.matrix_rank(population.second_moment, tol=1e-12) == 1


def test_one_basis_for_a_setting():
    setting = Setting(data=Data(kind="gaussian", spectrum=SPECTRUM))
    first, again = simulate.population(setting), simulate.population(setting)
    assert np.array_equal(first.second_moment, again.second_moment)
    axes = simulate.population(Setting(data=Data(kind="gaussian", spectrum=SPECTRUM, rotate=False)))
    assert np.array_equal(axes.second_moment, np.diag(SPECTRUM))
    assert np.abs(first.second_moment - np.diag(np.diag(first.second_moment))).max() > 0.1


def test_mean_is_given_in_the_eigenbasis():
    mean = (1.0, 0.0, 0.0, 0.0)
    population = simulate.population(Setting(data=Data(kind="gaussian", spectrum=SPECTRUM, mean=mean)))
    assert np.allclose(population.covariance @ population.mean, SPECTRUM[0] * population.mean)
    assert np.isclose(np.linalg.norm(population.mean), 1)


def test_haar_orthogonal():
    rng = np.random.default_rng(0)
    draws = np.array([haar_orthogonal(rng, 3) for _ in range(4000)])
    assert np.allclose(draws @ draws.transpose(0, 2, 1), np.eye(3))
    # E q_ij = 0 and E q_ij² = 1/d; QR without the sign correction has a negative diagonal on average.
    assert has_mean(draws, 0)
    assert has_mean(draws**2, 1 / 3)
    raw = np.array([np.linalg.qr(rng.standard_normal((3, 3)))[0] for _ in range(4000)])
    assert not has_mean(raw, 0)
