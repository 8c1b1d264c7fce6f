"""How pre-training changes tangent kernels: against Jacobians, and where kernels vanish."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
import torch
from torch.func import jacrev

from tests.oracles.linearised import function_of
from tests.theory.small_networks import NETWORKS, OUTPUTS, REPLICAS, ROWS, draw
from theory.errors import InvalidInput
from theory.transfer import KernelNumbers, kernel_change, kernel_change_of

NAMES = ("trace", "effective_rank", "geometric_mean")
LARGEST = import_module("theory.transfer.kernel_change").LARGEST


def literal(network, parameters, rows):
    """The three numbers of one network's centred kernel, by its Jacobian."""
    function = function_of(network, rows)
    jacobian = jacrev(lambda *w: function(*w).flatten(), argnums=tuple(range(len(parameters))))(*parameters)
    flat = torch.cat([part.flatten(1) for part in jacobian], 1).numpy()
    centre = np.kron(np.eye(ROWS) - 1 / ROWS, np.eye(OUTPUTS) - 1 / OUTPUTS)
    kernel = centre @ flat @ flat.T @ centre
    values = np.linalg.eigvalsh(kernel)[-(ROWS - 1) * (OUTPUTS - 1) :]
    floored = np.maximum(values, 1e-6 * values.sum() / len(values))
    return np.trace(kernel), np.trace(kernel) ** 2 / np.sum(kernel**2), np.exp(np.log(floored).mean())


@pytest.mark.parametrize("name", ["tanh, bias", "four relu", "conv"])
def test_against_jacobians(name):
    network = NETWORKS[name]
    (fresh, rows), (trained, _) = draw(network), draw(network, 9)
    trained = [1.3 * w for w in trained]
    found = kernel_change_of(network, fresh, trained, rows)
    for r in range(REPLICAS):
        before, after = (literal(network, [w[r] for w in each], rows[r]) for each in (fresh, trained))
        for name, a, b in zip(NAMES, after, before, strict=True):
            assert getattr(found, name)[r] == pytest.approx(np.log(a / b), rel=1e-6, abs=1e-8)


def test_a_kernel_that_vanishes_has_the_largest_logarithm():
    some, none = (KernelNumbers(*np.full((3, 1), value)) for value in (2.0, 0.0))
    for before, after, expected in ((some, none, -LARGEST), (none, some, LARGEST), (none, none, 0.0)):
        found = kernel_change(before, after)
        assert [getattr(found, name).item() for name in NAMES] == [expected] * 3


def test_pairs_are_needed():
    with pytest.raises(InvalidInput, match="must be as many kernels as before"):
        kernel_change(KernelNumbers(*np.ones((3, 1))), KernelNumbers(*np.ones((3, 2))))
