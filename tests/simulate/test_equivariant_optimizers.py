"""Optimizers that are in no library, against their equations and against those of torch that they come near."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn, optim

from simulate.equivariant_optimizers import FullAdagrad, NeuronAdam, PolarMuon

GRADIENTS = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def run(make, start: Tensor) -> Tensor:
    parameter = nn.Parameter(start.clone())
    optimizer = make([parameter])
    for gradient in GRADIENTS:
        parameter.grad = gradient.clone()
        optimizer.step()
    return parameter.detach()


def test_full_adagrad_is_the_inverse_root_of_all_outer_products():
    w, total = torch.ones(15, dtype=torch.float64), torch.zeros(15, 15, dtype=torch.float64)
    for gradient in GRADIENTS:
        g = gradient.flatten()
        total += torch.outer(g, g)
        values, vectors = torch.linalg.eigh(total)
        root = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
        w -= 0.1 * torch.linalg.solve(root + 1e-2 * torch.eye(15), g)
    found = run(lambda p: FullAdagrad(p, lr=0.1, eps=1e-2), torch.ones(3, 5, dtype=torch.float64))
    torch.testing.assert_close(found, w.view(3, 5), rtol=1e-6, atol=1e-8)


def test_adam_by_neurons_is_adam_where_a_neuron_has_one_weight():
    start = torch.ones(3, 5, dtype=torch.float64)
    found = run(lambda p: optim.Adam(p, lr=0.1), start)
    parameter = nn.Parameter(start[..., None].clone())
    optimizer = NeuronAdam([parameter], lr=0.1)
    for gradient in GRADIENTS:
        parameter.grad = gradient[..., None].clone()
        optimizer.step()
    torch.testing.assert_close(parameter.detach()[..., 0], found, rtol=1e-12, atol=0)


def test_adam_by_neurons_changes_rows_by_their_own_scale():
    """After one step every row has moved by lr √d g/|g|."""
    start = torch.zeros(3, 5, dtype=torch.float64)
    parameter = nn.Parameter(start)
    parameter.grad = GRADIENTS[0].clone()
    NeuronAdam([parameter], lr=0.1).step()
    lengths = GRADIENTS[0].norm(dim=1, keepdim=True)
    torch.testing.assert_close(parameter.detach(), -0.1 * 5**0.5 * GRADIENTS[0] / lengths, rtol=1e-6, atol=0)


def test_exact_factors_are_what_torch_approximates():
    """Newton and Schulz's singular values lie between .7 and 1.2, so that steps agree to about 30 %."""
    start = torch.ones(3, 5, dtype=torch.float64)
    exact, approximate = (run(lambda p, make=make: make(p, lr=0.1), start) for make in (PolarMuon, optim.Muon))
    assert 1e-3 < float((exact - approximate).norm() / (exact - start).norm()) < 0.35
    parameter = nn.Parameter(start.clone())
    parameter.grad = GRADIENTS[0].clone()
    PolarMuon([parameter], lr=0.1, weight_decay=0.0).step()
    values = torch.linalg.svdvals((parameter.detach() - start) / 0.1)
    torch.testing.assert_close(values, torch.ones(3, dtype=torch.float64), rtol=1e-12, atol=0)


@pytest.mark.parametrize("make", [NeuronAdam, PolarMuon])
def test_a_stack_of_matrices_is_changed_as_each_would_be(make):
    stack = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for given in (stack, stack.mT):
        parameters = [nn.Parameter(part.clone()) for part in (given, *given)]
        optimizer = make(parameters, lr=0.1)
        for step in range(3):
            whole = (
                torch.stack([GRADIENTS[step], GRADIENTS[step + 1]])
                if given is stack
                else torch.stack([GRADIENTS[step].T, GRADIENTS[step + 1].T])
            )
            for parameter, gradient in zip(parameters, (whole, *whole), strict=True):
                parameter.grad = gradient.clone()
            optimizer.step()
        torch.testing.assert_close(parameters[0], torch.stack(parameters[1:]), rtol=1e-10, atol=1e-12)


def test_a_closure_gives_gradients_and_the_loss():
    parameter = nn.Parameter(torch.ones(2, 2))
    optimizer = PolarMuon([parameter], lr=0.1)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = parameter.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) == 4
    assert not torch.equal(parameter, torch.ones(2, 2))
