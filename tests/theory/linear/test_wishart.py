"""Moments of Wishart matrices, by two routes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles.two_layer import enumerated
from theory.errors import InvalidInput
from theory.linear.wishart import vector_powers, wishart_powers


@given(st.lists(st.floats(0, 2), min_size=1, max_size=5))
def test_two_routes_to_the_powers_of_one_vector(variances: list[float]) -> None:
    np.testing.assert_allclose(
        wishart_powers(np.array(variances), 1, 12), vector_powers(np.array(variances), 12), rtol=1e-11, atol=1e-300
    )


def test_wishart_powers_by_enumeration_and_quadrature() -> None:
    """E[W²] on three points; E[W^k] on a product of Gauss–Hermite points, exact to the 39th degree."""
    nu = np.array([0.5, 1.5])
    laws = [((3, 2), np.sqrt(3.0), 3)]
    square = enumerated(laws, lambda z: (z * np.sqrt(nu)).transpose(0, 2, 1) @ (z * np.sqrt(nu)))
    np.testing.assert_allclose(np.diag(square), wishart_powers(nu, 3, 2)[1], rtol=1e-13)
    nodes, weights = np.polynomial.hermite_e.hermegauss(14)
    weights = weights / weights.sum()
    z = np.stack(np.meshgrid(*[nodes] * 4, indexing="ij"), -1).reshape(-1, 2, 2) * np.sqrt(nu)
    chance = np.einsum("i,j,k,l->ijkl", *[weights] * 4).ravel()
    w = z.transpose(0, 2, 1) @ z
    power = np.broadcast_to(np.eye(2), w.shape)
    found = wishart_powers(nu, 2, 6)
    for k in range(7):
        mean = np.tensordot(chance, power, axes=1)
        np.testing.assert_allclose(mean, np.diag(found[k]), rtol=1e-10, atol=1e-10 * found[k].max())
        power = power @ w
    with pytest.raises(InvalidInput, match="order"):
        wishart_powers(nu, 2, 25)
    with pytest.raises(InvalidInput, match="order"):
        vector_powers(nu, 61)


def test_orders_on_and_beyond_their_bounds() -> None:
    """Order 0 is the identity alone; ν = 1 in one dimension has the moments (2k − 1)!! of a squared normal variable."""
    nu = np.array([0.5, 1.5])
    for powers in (lambda order: wishart_powers(nu, 2, order), lambda order: vector_powers(nu, order)):
        np.testing.assert_array_equal(powers(0), [[1.0, 1.0]])
        with pytest.raises(InvalidInput, match="order = -1"):
            powers(-1)
    one = np.ones(1)
    for found in (wishart_powers(one, 1, 24), vector_powers(one, 60)):
        expected = np.cumprod(np.maximum(2.0 * np.arange(len(found)) - 1, 1))
        np.testing.assert_allclose(found[:, 0], expected, rtol=1e-12)
