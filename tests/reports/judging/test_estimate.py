"""Estimates are made in the data's eigenspaces, with the symmetry group that leaves the law of the data invariant."""

import numpy as np
import pytest

import simulate
from reports.judging.estimate import data_symmetry, estimate
from theory.eigenspaces import eigenspaces
from theory.setting import Data, Ensemble, Setting, Training

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
