"""Estimates are made in the data's eigenspaces, with the symmetry group that leaves the law of the data invariant."""

from dataclasses import replace

import numpy as np
import pytest

import simulate
from reports.judging.estimate import data_eigenspaces, data_symmetry, estimate
from reports.judging.shape import mean_shape, simulated_shape
from theory.eigenspaces import eigenspaces, weight_variances
from theory.misalignment import misalignment
from theory.setting import Data, Ensemble, Setting, Training
from theory.shape import PANELS, classify_interval
from theory.testing import randomization_test

SPACES = eigenspaces(np.diag([0.5, 0.5, 1.5, 1.5]))


@pytest.mark.parametrize("mean", [None, np.zeros(4)])
def test_without_a_mean_every_rotation_of_an_eigenspace_is_a_symmetry(mean):
    group = data_symmetry(SPACES, mean)
    assert (group.fixed, group.sizes) == (0, (2, 2))


def test_a_mean_is_fixed_by_the_symmetries_of_the_data():
    mean = np.array([1.0, 0.0, 2.0, 0.0])
    group = data_symmetry(SPACES, mean)
    assert (group.fixed, group.sizes) == (2, (1, 1))
    for element in group.draw(np.random.default_rng(0), 5):
        np.testing.assert_allclose(element @ mean, mean, atol=1e-12)


def test_without_the_test_of_alignment_all_else_is_the_same():
    data = Data(kind="gaussian", spectrum=(0.5, 0.5, 1.5), samples=8)
    setting = Setting(data=data, training=Training(learning_rate=0.1, steps=(0, 3)), ensemble=Ensemble(replicas=40))
    simulation = simulate.run(setting)
    tested, plain = estimate(simulation), estimate(simulation, tested=False)
    assert len(tested) == len(plain) == 2
    for one, other in zip(tested, plain, strict=True):
        assert one.alignment_pvalue is not None
        assert other.alignment_pvalue is None
        np.testing.assert_array_equal(one.tau, other.tau)
        np.testing.assert_array_equal(one.tau_se, other.tau_se)
        assert (one.step, one.multiplicity, one.misalignment) == (other.step, other.multiplicity, other.misalignment)


def test_one_weight_vector_has_no_misalignment_and_no_test():
    data = Data(kind="gaussian", spectrum=(0.5, 0.5, 1.5), samples=8)
    simulation = simulate.run(Setting(data=data, training=Training(learning_rate=0.1, steps=3)), replicas=1)
    (found,) = estimate(simulation)
    assert (found.misalignment, found.alignment_pvalue) == (None, None)
    assert np.isnan(found.tau_se).all()
    assert np.isfinite(found.tau).all()


def test_estimates_are_those_of_theory():
    """M, the norm of the mean weights and the test of alignment of every reading, whose step is the seed."""
    data = Data(kind="gaussian", spectrum=(0.5, 0.5, 1.5), samples=8)
    setting = Setting(data=data, training=Training(learning_rate=0.1, steps=(0, 3)), ensemble=Ensemble(replicas=300))
    simulation = simulate.run(setting)
    spaces, group = data_eigenspaces(simulation), data_symmetry(data_eigenspaces(simulation))
    for found, reading in zip(estimate(simulation), simulation.readings, strict=True):
        np.testing.assert_allclose(found.sigma, np.sqrt([0.5, 1.5]))
        assert (found.step, found.multiplicity) == (reading.step, (2, 1))
        assert found.misalignment == pytest.approx(float(misalignment(spaces, reading.second_moment)))
        assert found.mean_weight_norm == pytest.approx(np.sqrt(np.sum(np.square(reading.mean))))
        test = randomization_test(reading.second_moments, group, counts=reading.counts, seed=reading.step)
        assert found.alignment_pvalue == test.pvalue


def test_eigenvalues_are_joined_if_they_are_equal_but_for_rounding():
    for gap, together in ((1e-10, True), (1e-8, False)):
        data = Data(kind="gaussian", spectrum=(0.5, 0.5 * (1 + gap), 1.5), samples=8, rotate=False)
        simulation = simulate.run(Setting(data=data, training=Training(learning_rate=0.1, steps=1)), replicas=2)
        assert data_eigenspaces(simulation).multiplicity == ((2, 1) if together else (1, 1, 1))


def test_shapes_are_read_from_the_last_reading_with_99_per_cent():
    data = Data(kind="gaussian", spectrum=(0.2, 0.7, 1.5), samples=60)
    setting = Setting(data=data, training=Training(learning_rate=0.2, steps=(0, 2, 40)))
    simulation = simulate.run(setting, replicas=700)
    last = simulation.readings[-1]
    tau = weight_variances(data_eigenspaces(simulation), last.second_moments)
    mean = np.einsum("b,bk->k", last.counts, tau) / 700
    wanted = classify_interval(mean, blocks=tau, confidence=0.99, alternatives=PANELS)
    assert wanted is not None
    assert simulated_shape(simulation) == wanted


@pytest.mark.parametrize(("off", "seen"), [(0.0315, "rises"), (0.0323, None)])
def test_the_shape_of_two_curves_is_that_of_students_interval(off, seen):
    """1 + ε/2 ± t ε/2 for the mean of differences 1 and 1 + ε, with t = 63.66 for one degree of freedom."""
    assert mean_shape(np.array([[1.0, 2.0], [1.0, 2.0 + off]])) == seen
    assert mean_shape(np.array([[2.0, 1.0], [2.0 + off, 1.0]])) == (None if seen is None else "falls")


def test_an_eigenvalue_that_is_0_but_for_rounding_has_a_sigma():
    data = Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=8)
    simulation = simulate.run(Setting(data=data, training=Training(learning_rate=0.1, steps=1)), replicas=3)
    (found,) = estimate(replace(simulation, data_moment=np.diag([-1e-18, 1.0, 2.0])))
    np.testing.assert_allclose(found.sigma, np.sqrt([0.0, 1.0, 2.0]))
    (lost,) = estimate(replace(simulation, readings=tuple(map(nothing_left, simulation.readings))))
    assert np.isnan(lost.mean_weight_norm)
    assert np.isnan(lost.tau).all()
    assert (lost.misalignment, lost.alignment_pvalue) == (None, None)


def nothing_left(reading):
    """The reading of an ensemble all of whose replicas have diverged."""
    empty = {name: getattr(reading, name)[:0] for name in ("counts", "second_moments", "means", "losses")}
    return replace(reading, **empty)
