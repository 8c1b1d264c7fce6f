"""Optimizers of pytorch-optimizer, where it is installed: which of them commute with rotations of the inputs."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from reports.equivariance import equivariance
from simulate.ingredient_training import train_with
from simulate.ingredients import Ingredient

optimizers = pytest.importorskip("pytorch_optimizer", reason="needs the extra optimizers")
ROWS = torch.randn(24, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "rate", "commutes"),
    [
        ("LARS", 0.05, True),
        ("Shampoo", 0.05, True),
        ("ScalableShampoo", 0.05, True),
        ("Lion", 0.01, False),
        ("SignSGD", 0.01, False),
        ("Prodigy", 1.0, False),
    ],
)
def test_what_is_made_of_inner_products_commutes_and_what_looks_at_coordinates_does_not(name, rate, commutes):
    ingredient = Ingredient("optimizer", commutes, partial(getattr(optimizers, name), lr=rate))
    found = equivariance(partial(train_with, ingredient), ROWS, (12, 6), rotations=2, precisions=("float64",))
    assert found.verdict == ("equivariant" if commutes else "broken")
    assert (found.precisions[0].symmetry < 1e-10) == commutes
    assert commutes or found.precisions[0].symmetry > 1e-6
