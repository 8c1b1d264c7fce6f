"""Patches and pooling: against torch's own, and every adjoint against what it is adjoint to."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from reports.testing.strategies import seeds
from theory.network.patches import (
    FrozenFilters,
    cut_patches,
    filters_of,
    from_patches,
    over_windows,
    strongest,
    window_sums,
)
from theory.setting import Network

layers = st.builds(FrozenFilters, st.tuples(st.integers(1, 3), st.integers(1, 3)), st.integers(0, 2))
sides = st.tuples(st.integers(3, 6), st.integers(3, 6))


def drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def channels_first(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images[0]).permute(0, 3, 1, 2)


@given(seed=seeds, layer=layers, size=sides, channels=st.integers(1, 3))
def test_patches_are_what_unfold_cuts(seed: int, layer: FrozenFilters, size: tuple[int, int], channels: int) -> None:
    images = drawn(seed, 1, 2, *size, channels)
    cut = cut_patches(layer, images)
    wanted = functional.unfold(channels_first(images), layer.kernel, padding=layer.border)
    assert cut.shape[2:4] == layer.places(size)
    np.testing.assert_array_equal(cut.reshape(2, -1, cut.shape[-1]), wanted.transpose(1, 2).numpy())


@given(seed=seeds, layer=layers, size=sides, channels=st.integers(1, 3))
def test_from_patches_is_the_adjoint(seed: int, layer: FrozenFilters, size: tuple[int, int], channels: int) -> None:
    """⟨cut_patches(a), b⟩ = ⟨a, from_patches(b)⟩."""
    a = drawn(seed, 2, 2, *size, channels)
    cut = cut_patches(layer, a)
    b = drawn(seed + 1, *cut.shape)
    back = from_patches(layer, b, size)
    assert back.shape == a.shape
    assert (cut * b).sum() == pytest.approx((a * back).sum(), rel=1e-12, abs=1e-12)


@given(seed=seeds, size=st.tuples(st.integers(2, 5), st.integers(2, 5)), ties=st.booleans())
def test_the_strongest_place_holds_the_maximum(seed: int, size: tuple[int, int], ties: bool) -> None:
    """The place is that to which torch's max_pool2d sends gradients, also where several are equal."""
    h = drawn(seed, 1, 2, *size, 3)
    h = np.round(h) if ties else h
    held = strongest(h)
    leaf = channels_first(h).requires_grad_()
    pooled = functional.max_pool2d(leaf, 2)
    pooled.sum().backward()
    np.testing.assert_array_equal(channels_first(held), leaf.grad.numpy())
    np.testing.assert_array_equal(channels_first(window_sums(h * held)), pooled.detach().numpy())


@given(seed=seeds, size=st.tuples(st.integers(2, 5), st.integers(2, 5)))
def test_over_windows_is_the_adjoint(seed: int, size: tuple[int, int]) -> None:
    a = drawn(seed, 2, 1, *size, 3)
    pooled = window_sums(a)
    b = drawn(seed + 1, *pooled.shape)
    assert (pooled * b).sum() == pytest.approx((a * over_windows(b, size)).sum(), rel=1e-12, abs=1e-12)


def test_layers_of_filters_of_each_kind() -> None:
    assert filters_of(Network()) == filters_of(Network(kind="mlp")) == ()
    assert filters_of(Network(kind="conv", kernel=(2, 3))) == (FrozenFilters((2, 3)),)
    first, second, third = filters_of(Network(kind="vgg", blocks=((4, 5), (6,))))
    assert (first.pools, second.pools, third.pools) == (False, True, True)
    assert second.handed_on((7, 6)) == (3, 3)
    assert first.handed_on((7, 6)) == (7, 6)
