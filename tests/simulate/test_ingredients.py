"""Trainings that differ in one ingredient: each does what it is called, and a break slipped into any is found."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from reports.equivariance import equivariance
from simulate.ingredient_training import train_many, train_with
from simulate.ingredients import INGREDIENTS, STEPS, Ingredient

ROWS = torch.randn(24, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
WEIGHTS = torch.randn(8, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64) / 5**0.5
COMMUTING = [name for name, ingredient in INGREDIENTS.items() if ingredient.commutes]


def trained(ingredient: Ingredient, rows: Tensor = ROWS) -> Tensor:
    torch.manual_seed(0)
    return train_with(ingredient, rows, WEIGHTS)


def test_there_are_enough_of_them_and_each_trains_another_network():
    assert len(INGREDIENTS) >= 40
    assert len(COMMUTING) >= 20
    with torch.random.fork_rng(devices=()):
        ends = {name: trained(ingredient) for name, ingredient in INGREDIENTS.items()}
    assert all(bool(torch.isfinite(w).all()) for w in ends.values())
    names = list(ends)
    for i, name in enumerate(names):
        assert not any(torch.allclose(ends[name], ends[other], rtol=1e-6) for other in names[:i]), name


def test_the_plain_one_is_a_loop_by_hand():
    """Autograd and torch.optim against the equations of a network of one hidden layer without biases."""
    with torch.random.fork_rng(devices=()):
        found = trained(INGREDIENTS["SGD"])
        torch.manual_seed(0)
        nn.Linear(5, 8, bias=False)
        a = nn.Linear(8, 1, bias=False).weight.detach().double()
        y = torch.randn(24, 1, dtype=torch.float64)
    w = WEIGHTS.clone()
    for _ in range(STEPS):
        z = ROWS @ w.T
        r = 2 / 24 * (z.relu() @ a.T - y)
        gradient, a_gradient = ((r @ a) * (z > 0)).T @ ROWS, r.T @ z.relu()
        w, a = w - 0.05 * gradient, a - 0.05 * a_gradient
    torch.testing.assert_close(found, w, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "name", [name if i % 6 == 0 else pytest.param(name, marks=pytest.mark.slow) for i, name in enumerate(INGREDIENTS)]
)
def test_many_networks_are_trained_as_each_would_be(name):
    """Three of them, each with its own rows, start and seed; one with dropout, whose masks are drawn for all."""
    ingredient = INGREDIENTS[name]
    seeds = range(1 if "dropout" in name else 3)
    rows = torch.stack([ROWS * (1 + seed) for seed in seeds])
    starts = torch.stack([WEIGHTS / (1 + seed) for seed in seeds])
    found = train_many(ingredient, rows, starts, seeds=seeds, steps=6)
    for own, start, end, seed in zip(rows, starts, found, seeds, strict=True):
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            expected = train_with(ingredient, own, start, steps=6)
        torch.testing.assert_close(end, expected, rtol=1e-9, atol=1e-11)


class Slipped(nn.Module):
    """An element-wise operation on the inputs, hardly larger than rounding in single precision."""

    def __init__(self, inner: nn.Module | None) -> None:
        super().__init__()
        self.inner = inner or nn.Identity()

    def forward(self, rows: Tensor) -> Tensor:
        found: Tensor = self.inner(rows + 1e-7 * rows.abs())
        return found


@pytest.mark.parametrize(
    "name", [name if i % 6 == 0 else pytest.param(name, marks=pytest.mark.slow) for i, name in enumerate(COMMUTING)]
)
def test_a_break_of_one_in_ten_million_is_found_in_every_exact_ingredient(name):
    ingredient = INGREDIENTS[name]
    before = ingredient.before
    broken = replace(ingredient, before=lambda d: Slipped(before(d) if before else None))
    options = {"rotations": 1, "precisions": ("float64",)}
    assert equivariance(partial(train_with, ingredient), ROWS, WEIGHTS, **options).verdict == "equivariant"
    assert equivariance(partial(train_with, broken), ROWS, WEIGHTS, **options).verdict == "broken"
