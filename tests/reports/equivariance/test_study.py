"""Which trainings commute with a group: verdicts, rounding as the yardstick, and a user's mistakes."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reports.equivariance import assert_equivariant, equivariance
from reports.equivariance.groups import Action, draw_action
from theory.errors import InvalidInput

X = torch.randn(16, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
IMAGES = torch.randn(8, 4, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
TOKENS = torch.randint(7, (12, 3), generator=torch.Generator().manual_seed(2))


def descend(model: nn.Module, inputs: Tensor, *, steps: int = 5, rate: float = 0.05, power: float = 1.0) -> None:
    """Gradient descent on random labels; a power other than 1 acts on every coordinate of the gradient."""
    dtype = next(model.parameters()).dtype
    labels = torch.randn(len(inputs), 1, dtype=torch.float64).to(dtype)
    for _ in range(steps):
        loss = (model(inputs) - labels).square().mean()
        for w, g in zip(model.parameters(), torch.autograd.grad(loss, list(model.parameters())), strict=True):
            w.data -= rate * g.sign() * g.abs() ** power


def dense(x: Tensor, weights: Tensor, **options: float) -> Tensor:
    model = nn.Sequential(nn.Linear(5, 6, bias=False), nn.Tanh(), nn.Linear(6, 1)).to(x.dtype)
    model[0].weight.data.copy_(weights)
    descend(model, x, **options)
    return model[0].weight


def filters(x: Tensor, weights: Tensor, **options: float) -> Tensor:
    model = nn.Sequential(nn.Conv2d(4, 5, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.LazyLinear(1)).to(x.dtype)
    model(x)
    model[0].weight.data.copy_(weights)
    descend(model, x, **options)
    return model[0].weight


def embedding(tokens: Tensor, weights: Tensor, *, favour: int | None = None) -> Tensor:
    model = nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(12, 1)).to(weights.dtype)
    model[0].weight.data.copy_(weights)
    descend(model, tokens)
    if favour is not None:
        model[0].weight.data[favour] *= 1.01
    return model[0].weight


@pytest.mark.parametrize(
    ("train", "inputs", "shape", "group"),
    [
        (dense, X, (6, 5), "rotations"),
        (filters, IMAGES, (5, 4, 3, 3), "channels"),
        (embedding, TOKENS, (7, 4), "tokens"),
    ],
)
def test_gradient_descent_commutes_with_the_group_that_fits(train, inputs, shape, group):
    found = equivariance(train, inputs, shape, rotations=2)
    assert (found.group, found.verdict, found.repeated) == (group, "equivariant", 0.0)
    double, single = found.precisions
    assert double.symmetry < 1e-13 < 1e-7 < single.symmetry < 1e-4 or group == "tokens"
    assert found.detectable < 1e-9
    assert_equivariant(train, inputs, shape, rotations=1)


@pytest.mark.parametrize(
    ("train", "inputs", "shape"),
    [
        (lambda x, w: dense(x, w, power=0.9), X, (6, 5)),
        (lambda x, w: filters(x, w, power=0.9), IMAGES, (5, 4, 3, 3)),
        (lambda x, w: embedding(x, w, favour=3), TOKENS, (7, 4)),
    ],
)
def test_what_looks_at_single_coordinates_is_broken_by_as_much_in_both_precisions(train, inputs, shape):
    found = equivariance(train, inputs, shape, rotations=2)
    double, single = found.precisions
    assert found.verdict == "broken"
    assert double.symmetry == pytest.approx(single.symmetry, rel=0.1)
    with pytest.raises(AssertionError, match="broken: training does not commute"):
        assert_equivariant(train, inputs, shape, rotations=1)


@pytest.mark.parametrize("size", [1e-9, 1e-7])
def test_the_size_of_a_break_is_measured_relative_to_what_is_learned(size):
    def train(x: Tensor, w: Tensor) -> Tensor:
        moved = dense(x, w).detach()
        moved[:, 0] += size * (moved - w).norm() / len(w) ** 0.5  # of one coordinate
        return moved

    found = equivariance(train, X, (6, 5), rotations=9)
    assert found.verdict == "broken"
    assert size / 5 < found.precisions[0].symmetry < 3 * size  # a rotation takes it elsewhere: up to twice its size
    assert found.detectable < size


def test_rounding_that_training_amplifies_is_no_break():
    def train(x: Tensor, w: Tensor) -> Tensor:
        learned = dense(x, w)
        state = learned.norm() % 1  # invariant under rotations, and chaotic
        for _ in range(80):
            state = 3.99 * state * (1 - state)
        return learned * (1 + state)

    found = equivariance(train, X, (6, 5), rotations=2)
    assert found.verdict == "undecided"
    assert "rounding alone changes what is learned" in found.explanation


def test_randomness_that_is_not_seeded_is_noticed():
    source = np.random.default_rng(0)
    found = equivariance(lambda x, w: dense(x, w) + float(source.random()), X, (6, 5), rotations=1)
    assert found.verdict == "undecided"
    assert "two runs on the same inputs differ" in found.explanation


def test_the_users_generators_are_as_they_were():
    before = (random.getstate(), torch.get_rng_state())
    numpy = np.random.get_state()[1].copy()  # noqa: NPY002
    equivariance(lambda x, w: dense(x, w) * (1 + random.random() + np.random.rand()), X, (6, 5), rotations=1)  # noqa: NPY002
    assert random.getstate() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    np.testing.assert_array_equal(np.random.get_state()[1], numpy)  # noqa: NPY002


def test_arrays_are_given_as_arrays():
    def train(x, w):
        assert isinstance(x, np.ndarray)
        assert isinstance(w, np.ndarray)
        y = np.random.standard_normal(len(x))  # noqa: NPY002
        return w - 0.1 * (x @ w.T - y[:, None]).T @ x / len(x)

    assert equivariance(train, X.numpy(), (1, 5)).verdict == "equivariant"


@pytest.mark.parametrize("kind", ["rotations", "channels", "tokens"])
def test_an_element_keeps_what_the_first_layer_computes(kind):
    generator = np.random.default_rng(4)
    inputs, shape = {"rotations": (X, (6, 5)), "channels": (IMAGES, (5, 4, 3, 3)), "tokens": (TOKENS, (7, 4))}[kind]
    weights = torch.from_numpy(generator.standard_normal(shape))
    action = draw_action(kind, weights, generator)

    def seen(x: Tensor, w: Tensor) -> Tensor:
        if kind == "tokens":
            return w[x]
        return x @ w.T if kind == "rotations" else nn.functional.conv2d(x, w)

    moved = action.on_inputs(inputs), action.on_weights(weights)
    assert not torch.equal(moved[0], inputs)
    torch.testing.assert_close(seen(*moved), seen(inputs, weights), rtol=1e-12, atol=1e-12)
    back: Action = action.inverse
    torch.testing.assert_close(back.on_weights(moved[1]), weights, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(back.on_inputs(moved[0]), inputs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "options", "line"),
    [
        ((dense, X, (6, 4)), {}, "weights.shape = (6, 4): does not fit inputs of shape (16, 5) on axis -1"),
        ((dense, X, (6,)), {}, "weights = (6,): must be a shape of at least two positive sides"),
        ((dense, X, (6, 5)), {"group": "turns"}, "group = 'turns': must be one of"),
        ((dense, X, (6, 5)), {"group": "tokens"}, "inputs.dtype = 'torch.float64': does not fit"),
        ((dense, X, (6, 5)), {"rotations": 0}, "rotations = 0: must be at least 1"),
        ((dense, X, (6, 5)), {"precisions": ()}, "precisions = (): must name"),
        ((embedding, TOKENS, (5, 4)), {}, "inputs = '0 to 6': must lie in [0, 5)"),
        ((embedding, TOKENS, (7, 4, 2)), {}, "weights.shape = (7, 4, 2): must be (tokens, features)"),
        ((lambda x, w: w, X, (6, 5)), {}, "train = 'weights as they were': must change"),
        ((lambda x, w: w[:2] + 1, X, (6, 5)), {}, "trained weights.shape = (2, 5): must be (6, 5)"),
        ((lambda x, w: w * torch.inf, X, (6, 5)), {}, "trained weights = 'nan or inf': must be finite"),
        ((lambda x, w: "none", X, (6, 5)), {}, "trained weights = 'str': must be a tensor"),
        ((dense, "rows", (6, 5)), {}, "inputs = 'str': must be a tensor"),
    ],
)
def test_bad_input_is_one_clear_line(arguments, options, line):
    with pytest.raises(InvalidInput) as caught:
        equivariance(*arguments, **options)
    assert str(caught.value).startswith(line)
