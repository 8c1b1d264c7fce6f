"""Assertions for other test suites: they pass what is right, and say what is wrong."""

import numpy as np
import pytest

from reports.testing import assert_aligned, assert_contained, assert_holds
from theory.errors import NoClosedForm
from theory.setting import Data, Ensemble, Network, Setting, Training

SCALES = np.array([0.5, 1.0, 2.0, 4.0])


def samples(seed, vectors=500):
    generator = np.random.default_rng(seed)
    return generator.standard_normal((vectors, 4)), generator.standard_normal((2000, 4)) * SCALES


def test_aligned_weights_pass_and_turned_ones_do_not():
    white, rows = samples(0)
    assert_aligned(white / SCALES, rows)
    turned = np.linalg.qr(np.random.default_rng(1).standard_normal((4, 4)))[0]
    with pytest.raises(AssertionError, match="aligned"):
        assert_aligned(white / SCALES @ turned, rows)


def test_weights_that_say_nothing_do_not_pass():
    white, rows = samples(0, vectors=3)
    with pytest.raises(AssertionError, match="undecided"):
        assert_aligned(white / SCALES, rows)


def test_options_reach_the_check():
    white, rows = samples(0)
    assert_aligned((white / SCALES).T, rows + 10, transposed=True, center=True)


def test_what_is_not_contained_is_named():
    a, b = np.diag([1.0, 2.0, 2.0]), np.diag([5.0, 3.0, 4.0])
    with pytest.raises(AssertionError, match=r"^eigenvalue 2 \(multiplicity 2\): not contained"):
        assert_contained(a, b)
    assert_contained(a, b, tolerance=0.11)
    with pytest.raises(AssertionError, match="undecided"):
        assert_contained(np.diag([1.0, 2.0]), np.diag([5.0, 3.0]), error_a=0.6)


def setting(**ensemble):
    return Setting(
        data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=40, fixed=True),
        training=Training(learning_rate=0.1, steps=(0, 20)),
        ensemble=Ensemble(**ensemble),
    )


def test_too_few_replicas_do_not_hold():
    with pytest.raises(AssertionError, match=r"linear-full-batch on 20 replicas\n.*\nstep 20: undecided.*replicas"):
        assert_holds(setting(replicas=20))


def test_without_a_closed_form_nothing_is_asserted():
    given = setting(replicas=20)
    with pytest.raises(NoClosedForm):
        assert_holds(Setting(data=given.data, training=given.training, network=Network(kind="mlp", hidden=(3, 3))))


def test_a_wrong_formula_is_refuted(monkeypatch):
    """The prediction for half the learning rate."""
    from reports.judging import verify as module

    predict = module.predict
    half = Setting(data=setting().data, training=Training(learning_rate=0.05, steps=(0, 20)))
    monkeypatch.setattr(module, "predict", lambda given, **options: predict(half, **options))
    with pytest.raises(AssertionError, match="step 20: refuted"):
        assert_holds(setting(replicas=5_000))
