"""Gains of rescaled networks by their own tangent kernels, near what happens where networks hardly move."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from reports.claims.transfer.digits import Digits
from reports.claims.transfer.tangent_gains import kernel_experiment, tangent_gains
from theory.errors import Diverged
from theory.setting import Experiment

TINY = Digits(0.5, hidden=(12, 6), rows=40, batch=20, limit=2, until=False)


def small_experiment(factor: float = 0.5) -> Experiment:
    """Four small steps from networks of a seed of which no unit dies."""
    built = kernel_experiment(TINY.experiment(1).upstream, factor, replicas=3)
    training = msgspec.structs.replace(built.downstream.training, steps=(0, 4), learning_rate=1e-3)
    downstream = msgspec.structs.replace(built.downstream, training=training)
    return msgspec.structs.replace(
        built, downstream=downstream, ensemble=msgspec.structs.replace(built.ensemble, seed=6)
    )


def test_tangent_gains_are_those_of_networks_that_hardly_move():
    """Four small steps: predictions are near what happens, exact at the start, and differ between replicas."""
    found = tangent_gains(small_experiment())
    assert found.steps == (0, 4)
    assert (found.replicas, found.diverged) == (3, 0)
    np.testing.assert_allclose(found.predicted[:, 0], found.measured[:, 0], atol=1e-5)
    motion = found.measured[:, 1] - found.measured[:, 0]
    np.testing.assert_allclose(found.predicted[:, 1] - found.predicted[:, 0], motion, atol=0.02 * np.abs(motion).max())
    assert np.ptp(motion) > 0.1 * np.abs(motion).max()


def test_a_network_that_diverges_is_named():
    built = small_experiment()
    training = msgspec.structs.replace(built.downstream.training, learning_rate=1e6, steps=(0, 30))
    wild = msgspec.structs.replace(built, downstream=msgspec.structs.replace(built.downstream, training=training))
    with pytest.raises(Diverged, match=r"training\.learning_rate = 1000000\.0: .*diverge"):
        tangent_gains(wild)
