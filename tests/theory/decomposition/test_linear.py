"""The parts of linear models: against enumeration, one step by hand, and in agreement with τ of the forms."""

from __future__ import annotations

import numpy as np
import pytest

import theory
from tests.oracles.decomposition import enumerated_parts
from tests.oracles.linear import fixed_setting
from theory.decomposition import decompose
from theory.errors import InvalidInput, NoClosedForm
from theory.setting import Data, Labels, Network, Setting, Student, Training

SPECTRUM = (0.5, 1.0, 1.0, 2.0)
LABELS = Labels(kind="rademacher", variance=2.25)


@pytest.mark.parametrize(
    ("keys", "steps"),
    [
        ({}, 4),
        ({"momentum": 0.5, "weight_decay": 0.125}, 4),
        ({"batch_size": 1, "sampling": "fresh"}, 2),
        ({"batch_size": 2, "sampling": "fresh", "momentum": 0.5}, 2),
    ],
)
def test_every_label_and_batch_enumerated(keys: dict, steps: int) -> None:
    """Columns of X are orthogonal, so that the axes are the eigendirections."""
    rows = np.array([[1.0, 1.0], [1.0, -1.0], [1.0, 0.0]]) * [1.0, 2.0]
    training = Training(learning_rate=0.125, steps=steps, **keys)
    setting = fixed_setting(rows, training, labels=LABELS, network=Network(init_variance=1.5))
    parts = decompose(setting, rows=rows).readings[0]
    amplitude, written = enumerated_parts(rows, 1.5, np.sqrt(0.75), training, steps)
    np.testing.assert_allclose(parts.sigma, np.sqrt(np.sum(rows**2, axis=0) / 3), rtol=1e-12)
    np.testing.assert_allclose(parts.amplitude, amplitude, rtol=1e-12)
    np.testing.assert_allclose(parts.written, written, rtol=1e-11)
    assert np.all(parts.mixed >= -1e-15)
    assert (parts.mixed.max() < 1e-15) == ("batch_size" not in keys)


def setting(training: Training, *, samples: int | str = 40, radial: Student | None = None) -> Setting:
    kind = "gaussian" if radial is None else "elliptical"
    data = Data(kind=kind, spectrum=SPECTRUM, samples=samples, rotate=False, radial=radial)
    return Setting(data=data, labels=LABELS, training=training)


@pytest.mark.parametrize(("radial", "k4"), [(None, 1.0), (Student(dof=8.0), 1.5)])
def test_one_online_step(radial: Student | None, k4: float) -> None:
    """A = 1 − η s; mixed η² σ_0² [(2 k_4 − 1) s² + k_4 s tr Σ]/B; labels η² σ_y² s/B."""
    training = Training(learning_rate=0.1, batch_size=5, sampling="fresh", steps=1)
    found = decompose(setting(training, samples="online", radial=radial))
    parts, s = found.readings[0], np.array([0.5, 1.0, 2.0])
    assert found.formula == "linear-online"
    np.testing.assert_allclose(parts.amplitude, 1 - 0.1 * s, rtol=1e-12)
    mixed = 0.01 * 0.25 * ((2 * k4 - 1) * s**2 + k4 * s * sum(SPECTRUM)) / 5
    np.testing.assert_allclose(parts.mixed, mixed, rtol=1e-10)
    np.testing.assert_allclose(parts.labels, 0.01 * 2.25 * s / 5, rtol=1e-10)


def test_one_step_averaged_over_rows() -> None:
    """A = 1 − η s; mixed η² σ_0² [s² + s tr Σ]/n; labels η² σ_y² s/n: exact at this step, see section 1.5."""
    found = decompose(setting(Training(learning_rate=0.1, steps=1)), formula="linear-averaged-second-order")
    parts, s = found.readings[0], np.array([0.5, 1.0, 2.0])
    online = decompose(setting(Training(learning_rate=0.1, steps=1)))
    assert online.formula == "linear-online"
    np.testing.assert_allclose(parts.mixed, online.readings[0].mixed, rtol=1e-6)
    np.testing.assert_allclose(parts.amplitude, 1 - 0.1 * s, rtol=1e-9)
    np.testing.assert_allclose(parts.mixed, 0.01 * 0.25 * (s**2 + s * sum(SPECTRUM)) / 40, rtol=1e-6)
    np.testing.assert_allclose(parts.labels, 0.01 * 2.25 * s / 40, rtol=1e-9)


@pytest.mark.parametrize(
    ("keys", "samples"),
    [
        ({"learning_rate": 0.1, "weight_decay": 0.05}, 40),
        ({"learning_rate": 0.05, "momentum": 0.5, "batch_size": 4, "sampling": "fresh"}, "online"),
    ],
)
def test_the_parts_are_those_of_the_form(keys: dict, samples: int | str) -> None:
    given = setting(Training(steps=(0, 3, 9), **keys), samples=samples)
    found = decompose(given)
    predicted = theory.predict(given, formula=found.formula)
    assert found.error_budget == predicted.error_budget
    start = found.readings[0]
    np.testing.assert_allclose(start.amplitude, 1)
    np.testing.assert_allclose(start.written, 0, atol=1e-12)
    for parts, reading in zip(found.readings, predicted.readings, strict=True):
        assert (parts.step, parts.multiplicity) == (reading.step, reading.multiplicity) == (reading.step, (1, 2, 1))
        np.testing.assert_allclose(parts.tau, reading.tau, rtol=1e-8)
        np.testing.assert_allclose(parts.sigma, reading.sigma, rtol=1e-12)


def test_the_factor_only_falls() -> None:
    """The factor falls in time, averaged over rows and given the rows; given the rows it also falls along σ."""
    times = tuple(range(0, 60, 4))
    averaged = np.array(
        [parts.amplitude for parts in decompose(setting(Training(learning_rate=0.1, steps=times))).readings]
    )
    assert np.all(np.diff(averaged, axis=0) < 0)
    rows = np.random.default_rng(0).standard_normal((12, 4)) * np.sqrt(SPECTRUM)
    fixed = fixed_setting(rows, Training(learning_rate=0.1, steps=times))
    given = np.array([parts.amplitude for parts in decompose(fixed, rows=rows).readings])
    assert np.all(np.diff(given, axis=0) < 0)
    assert np.all(np.diff(given[1:], axis=1) < 0)


def test_what_cannot_be_taken_apart() -> None:
    rows = np.ones((4, 2))
    epochs = fixed_setting(rows, Training(learning_rate=0.1, batch_size=2, steps=20))
    with pytest.raises(
        NoClosedForm, match=r"formula = 'linear-shuffled': only linear-full-batch, .* can be taken apart"
    ):
        decompose(epochs, rows=rows)
    with pytest.raises(InvalidInput, match="not a closed form; there are"):
        decompose(epochs, rows=rows, formula="none")
    with pytest.raises(InvalidInput, match="overflow"):
        decompose(fixed_setting(rows, Training(learning_rate=100.0, steps=900)), rows=rows)
