"""The tangent kernel from frozen gates against that of automatic differentiation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from simulate.devices import one_thread
from tests.oracles.linearised import function_of
from tests.theory.small_networks import NETWORKS, OUTPUTS, REPLICAS, ROWS, draw
from theory.network.empirical import empirical_ntk
from theory.network.frozen_gates import freeze
from theory.network.frozen_kernel import frozen_ntk


@pytest.mark.parametrize("name", NETWORKS)
def test_against_automatic_differentiation(name):
    network = NETWORKS[name]
    parameters, rows = draw(network)
    frozen = freeze(network, parameters, rows)
    with one_thread():
        found = frozen_ntk(frozen)
        assert found.shape == (REPLICAS, ROWS, ROWS, OUTPUTS, OUTPUTS)
        for r in range(REPLICAS):
            wanted = empirical_ntk(
                lambda w, x: function_of(network, x)(*w),
                tuple(w[r] for w in parameters),
                rows[r],
                among=range(frozen.trained),
                full=True,
            )
            torch.testing.assert_close(found[r], wanted, rtol=1e-10, atol=1e-10)
    plain = frozen_ntk(freeze(network, [w.numpy() for w in parameters], rows.numpy()))
    np.testing.assert_allclose(plain, found.numpy(), rtol=1e-10, atol=1e-10)


def test_it_is_what_both_products_make():
    """K r = J (Jᵀ r)."""
    network = NETWORKS["vgg, bias, ntk, erf, dense"]
    parameters, rows = draw(network)
    frozen = freeze(network, parameters, rows)
    residual = torch.from_numpy(np.random.default_rng(0).standard_normal((REPLICAS, ROWS, OUTPUTS)))
    moved = frozen.forward(frozen.backward(residual))
    torch.testing.assert_close(
        torch.einsum("rijce,rje->ric", frozen_ntk(frozen), residual), moved, rtol=1e-10, atol=1e-10
    )
