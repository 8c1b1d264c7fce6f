"""What an ensemble of a training of one's own says of alignment: seen where it is broken, not where it holds."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from reports.equivariance import alignment_after
from reports.testing.strategies import orthogonal, spectral
from theory.errors import InvalidInput

MOMENT = spectral(np.array([0.1, 0.5, 2.0, 8.0]), orthogonal(2, 4))


def one_step(x: Tensor, weights: Tensor, *, signs: bool = False) -> Tensor:
    step = torch.randn(len(weights), len(x), dtype=x.dtype) @ x / len(x)
    return weights + (step.sign() if signs else step)


measure = partial(alignment_after, data_moment=MOMENT, rows=12, units=16, init_variance=0.1, networks=400)


def test_steps_of_inner_products_are_aligned_and_signs_go_to_the_axes():
    kept, broken = measure(one_step), measure(partial(one_step, signs=True))
    assert not kept.broken
    assert abs(kept.aligned - 1) < 6 * kept.aligned_error < 0.5
    assert broken.broken
    assert broken.pvalue <= 5e-5
    assert broken.aligned + 6 * broken.aligned_error < 1
    assert broken.chance == 3 / 6
    assert broken.axes - 6 * broken.axes_error > broken.chance
    assert "along the axes" in str(broken)
    assert "along the axes" not in str(kept)


def test_rows_and_initial_weights_have_the_laws_that_are_asked_for():
    """Every mean within six of its standard errors."""
    rows, weights = [], []

    def keep(x: Tensor, w: Tensor) -> Tensor:
        rows.append(x.numpy())
        weights.append(w.numpy())
        return w

    measure(keep, networks=64)
    for drawn, moment in ((rows, MOMENT), (weights, 0.1 / 4 * np.eye(4))):
        vectors = np.concatenate(drawn)
        error = np.sqrt((np.outer(np.diag(moment), np.diag(moment)) + moment**2) / len(vectors))
        assert np.all(np.abs(vectors.T @ vectors / len(vectors) - moment) < 6 * error)


def test_the_same_seed_gives_the_same_networks():
    first, again, other = (measure(one_step, networks=64, seed=seed).aligned for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"networks": 63}, "networks = 63: must be at least 64"),
        ({"rows": 0}, "rows = 0: must be at least 1"),
        ({"init_variance": -1.0}, "init_variance = -1.0: must not be negative"),
        ({"data_moment": np.diag([1.0, -1.0])}, "data_moment = -1.0: must have no negative eigenvalue"),
        ({"networks": 64, "level": 0.5}, "level = 0.5: must lie between"),
    ],
)
def test_bad_input_is_one_clear_line(changes, said):
    with pytest.raises(InvalidInput) as caught:
        measure(one_step, **changes)
    assert str(caught.value).startswith(said)
