"""The eigenbasis of fixed rows: its paths step by step, and what it keeps of the rows."""

from __future__ import annotations

import numpy as np
import pytest

from tests.oracles.linear import fixed_setting
from theory.linear.eigenbasis import in_eigenbasis
from theory.setting import Labels, Network, Training

ROWS = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, -2.0, 0.0]])  # S = diag(½, 2, 0)


def basis_of(rows: np.ndarray = ROWS, parametrization: str = "standard", **training: object):
    setting = fixed_setting(
        rows,
        Training(learning_rate=0.125, **training),
        network=Network(init_variance=0.75, parametrization=parametrization),
        labels=Labels(variance=1.5),
    )
    return in_eigenbasis(setting, rows)


@pytest.mark.parametrize(
    ("start", "stop", "stride"),
    [(0, 0, 1), (0, 1, 1), (5, 1029, 1), (0, 1025, 1), (3, 2060, 1), (1, 3100, 3), (2, 2051, 1024)],
)
def test_a_path_skips_no_step_and_repeats_none(start: int, stop: int, stride: int) -> None:
    """p_t = (1 − ηh)^t and q_t = (1 − p_t)/h at every t of the range, also where a thousand of them end."""
    basis = basis_of(weight_decay=0.25)
    h = np.array([0.25, 0.75, 2.25])  # directions that no row has come first
    path = list(basis.full_batch_path(start, stop, stride))
    steps = list(range(start, stop, stride))
    assert len(path) == len(steps)
    for t, (p, q, labels) in zip(steps, path, strict=True):
        expected = (1 - 0.125 * h) ** t
        np.testing.assert_allclose(p, expected, rtol=1e-11, atol=1e-200)
        np.testing.assert_allclose(q, (1 - expected) / h, rtol=1e-11, atol=1e-15)
        np.testing.assert_allclose(labels, 1.5 / 4 * np.array([0, 0.5, 2.0]) * q**2, rtol=1e-11)


def test_a_path_takes_every_step_unless_told_otherwise() -> None:
    found = [p for p, _, _ in basis_of().full_batch_path(3, 6)]
    np.testing.assert_allclose(found, [(1 - 0.125 * np.array([0, 0.5, 2.0])) ** t for t in (3, 4, 5)], rtol=1e-13)


@pytest.mark.parametrize(("parametrization", "factor"), [("standard", 1.0), ("ntk", 1 / 3)])
def test_what_is_kept_of_the_rows(parametrization: str, factor: float) -> None:
    """sigma is of the rows as given, s and the rows as the raw weights feel them."""
    basis = basis_of(parametrization=parametrization, weight_decay=0.5)
    np.testing.assert_allclose(basis.sigma, np.sqrt([0, 0.5, 2.0]), rtol=1e-14)
    np.testing.assert_allclose(basis.s, factor * np.array([0, 0.5, 2.0]), rtol=1e-14)
    np.testing.assert_allclose(basis.h, basis.s + 0.5, rtol=1e-14)
    assert basis.samples == 4
    assert basis.reached == slice(1, 3)
    np.testing.assert_allclose(np.abs(basis.rows), np.sqrt(factor) * np.abs(ROWS[:, :2]), atol=1e-15)
    np.testing.assert_allclose(basis.rows.T @ basis.rows / 4, np.diag(basis.s[1:]), atol=1e-15)
    initial = 0.75 if parametrization == "ntk" else 0.25
    np.testing.assert_array_equal(basis.initial, initial * np.eye(3))


def test_readings_go_back_to_the_coordinates_of_the_data() -> None:
    """τ is the mean over an eigenspace, of the diagonal alone or of the matrix, which is turned and made symmetric."""
    generator = np.random.default_rng(4)
    rows = np.linalg.qr(generator.standard_normal((5, 3)))[0] * np.sqrt(5)  # S = 1
    basis = basis_of(rows)
    assert basis.spaces.multiplicity == (3,)
    moment = generator.standard_normal((3, 3))
    reading = basis.reading(7, moment)
    turned = basis.spaces.basis @ moment @ basis.spaces.basis.T
    np.testing.assert_allclose(reading.second_moment, (turned + turned.T) / 2, atol=1e-15)
    np.testing.assert_allclose(reading.tau, [np.trace(moment) / 3], rtol=1e-14)
    alone = basis.diagonal_reading(7, moment.diagonal())
    assert (reading.step, alone.step, alone.second_moment) == (7, 7, None)
    np.testing.assert_array_equal(alone.tau, reading.tau)
    for given in (reading, alone):
        np.testing.assert_array_equal(given.mean, np.zeros(3))
        np.testing.assert_allclose(given.sigma, [1.0], rtol=1e-14)
