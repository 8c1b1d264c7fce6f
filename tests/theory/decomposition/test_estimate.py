"""Estimated parts: literal loops, the expectation of products of different groups, totals, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from tests.oracles.decomposition import literal_jackknife
from theory.decomposition import estimated_parts
from theory.errors import InvalidInput


def drawn(
    seed: int, groups: int, units: int, *, amplitude: float = 1.3, noise: float = 0.5, directions: int = 3
) -> tuple[np.ndarray, ...]:
    """Means over units of w_0², w_0 w, w² for w = A w_0 + noise, along a few directions."""
    generator = np.random.default_rng(seed)
    start = generator.standard_normal((groups, units, directions))
    end = amplitude * start + noise * generator.standard_normal(start.shape)
    return (start**2).mean(axis=1), (start * end).mean(axis=1), (end**2).mean(axis=1)


@pytest.mark.parametrize("groups", [3, 7])
def test_literal_loops_give_the_same(groups: int) -> None:
    moments = drawn(groups, groups, 5)
    parts = estimated_parts(*moments)
    carried, written, carried_error, written_error = literal_jackknife(*moments)
    np.testing.assert_allclose(parts.carried, carried, rtol=1e-12)
    np.testing.assert_allclose(parts.written, written, rtol=1e-12)
    bent = np.sqrt(2) * parts.errors["amplitude"] ** 2 * moments[0].mean(axis=0)
    np.testing.assert_allclose(parts.errors["carried"], np.hypot(carried_error, bent), rtol=1e-9)
    np.testing.assert_allclose(parts.errors["written"], np.hypot(written_error, bent), rtol=1e-9)
    np.testing.assert_allclose(parts.carried + parts.written, parts.tau, rtol=1e-12)
    ratios = np.array([np.delete(moments[1], r, 0).sum(0) / np.delete(moments[0], r, 0).sum(0) for r in range(groups)])
    error = np.sqrt((groups - 1) * ratios.var(axis=0))
    np.testing.assert_allclose(parts.errors["amplitude"], error, rtol=1e-9)
    np.testing.assert_allclose(parts.amplitude, moments[1].sum(axis=0) / moments[0].sum(axis=0))


def test_products_of_different_groups_carry_no_noise() -> None:
    """A = 0 and five weights in each of three groups: the square of an estimated A has the mean F/15; products have 0.

    The mean over 10,000 directions within 5.5 standard errors, a false alarm in 4e-8.
    """
    parts = estimated_parts(*drawn(0, 3, 5, amplitude=0.0, noise=1.0, directions=10_000))
    naive = parts.amplitude**2 * parts.initial
    error = parts.carried.std() / 100
    assert abs(parts.carried.mean()) < 5.5 * error
    assert naive.mean() > 20 * error
    assert naive.mean() == pytest.approx(1 / 15, rel=0.1)


def test_totals_are_over_all_directions() -> None:
    moments = drawn(1, 6, 40)
    sizes = (1, 2, 5)
    parts = estimated_parts(*moments, multiplicity=sizes)
    assert parts.share == pytest.approx(parts.written @ sizes / (parts.tau @ sizes))
    assert parts.gain == pytest.approx(parts.carried @ sizes / (parts.initial @ sizes))
    fewer = [estimated_parts(*(np.delete(each, r, 0) for each in moments), multiplicity=sizes) for r in range(6)]
    bent = np.linalg.norm(np.sqrt(2) * parts.errors["amplitude"] ** 2 * parts.initial * sizes)
    jackknife = [np.sqrt(5 * np.var([getattr(each, name) for each in fewer])) for name in ("share", "gain")]
    assert parts.share_error == pytest.approx(np.hypot(jackknife[0], bent / (parts.tau @ sizes)))
    assert parts.gain_error == pytest.approx(np.hypot(jackknife[1], bent / (parts.initial @ sizes)))
    assert parts.half_width(1.0) == pytest.approx(2.5705818)
    assert parts.half_width(1.0, tests=5) == pytest.approx(4.0321429)


def test_two_groups_have_no_errors() -> None:
    parts = estimated_parts(*drawn(0, 2, 5))
    assert np.isnan(parts.errors["carried"]).all()
    assert np.isnan(parts.share_error)
    assert np.isfinite(parts.carried).all()


def test_two_groups_with_initial_weights_have_no_errors_either() -> None:
    """Leaving out one of two groups with initial weights leaves no product of different groups, only rounding."""
    z, c, t = drawn(0, 4, 5)
    z[2:, 0] = 0.0
    parts = estimated_parts(z, c, t)
    assert np.isfinite(parts.carried).all()
    assert (
        np.isnan(parts.errors["carried"]).tolist() == np.isnan(parts.errors["written"]).tolist() == [True, False, False]
    )
    assert np.isnan([parts.share_error, parts.gain_error]).all()
    assert np.isfinite(parts.errors["tau"]).all()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda z, c, t: (z[:, :2], c, t), "must have one shape"),
        (lambda z, c, t: (z[:1], c[:1], t[:1]), "groups = 1: must be at least 2"),
        (lambda z, c, t: (z, c * np.nan, t), "must be finite"),
        (lambda z, c, t: (z * [1, 1, 0], c, t), "must be positive in two groups"),
    ],
)
def test_what_is_refused(change, why: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidInput, match=why):
        estimated_parts(*change(*drawn(0, 4, 5)))
    with pytest.raises(InvalidInput, match="one entry for each of 3"):
        estimated_parts(*drawn(0, 4, 5), multiplicity=(1, 2))
