"""The cheap condition on torch modules: a literal Jacobian, the networks of the settings, and modes of a module."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from reports.transfer import fresh_modules, fresh_task, fresh_task_of_modules
from reports.transfer.fresh_modules import module_kernel
from theory.errors import InvalidInput
from theory.setting import Network

MLP = Network(kind="mlp", hidden=(6, 5), bias=True)


def mlp(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).double()


def residual(seed: int) -> nn.Module:
    """Normalisation, dropout, a skip connection."""

    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.filters = nn.Conv2d(2, 2, 3, padding=1)
            self.normal = nn.BatchNorm2d(2)
            self.drop = nn.Dropout(0.5)
            self.out = nn.Linear(32, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.drop(x + torch.relu(self.normal(self.filters(x)))).flatten(1))

    torch.manual_seed(seed)
    module = Skip()
    module.train()
    module(torch.randn(16, 2, 4, 4))  # running means
    return module


def literal_kernel(module: nn.Module, rows: torch.Tensor) -> np.ndarray:
    """One backward pass for every row and output."""
    plain = copy.deepcopy(module).double().eval()
    trained = [w for w in plain.parameters() if w.requires_grad]
    gradients = [
        torch.cat([g.reshape(-1) for g in torch.autograd.grad(output, trained, retain_graph=True)])
        for row in rows.double()
        for output in plain(row[None])[0]
    ]
    flat = torch.stack(gradients)
    n, c = len(rows), len(gradients) // len(rows)
    return (flat @ flat.T).reshape(n, c, n, c).permute(0, 2, 1, 3).numpy()


@pytest.mark.parametrize("limit", [fresh_modules.GROUP, 1])
def test_the_kernel_is_that_of_all_gradients(limit, monkeypatch):
    monkeypatch.setattr(fresh_modules, "GROUP", limit)
    for module, rows in ((mlp(0), torch.randn(5, 4)), (residual(0), torch.randn(5, 2, 4, 4))):
        np.testing.assert_allclose(module_kernel(module, rows), literal_kernel(module, rows), rtol=1e-10, atol=1e-12)


def test_a_module_says_what_its_network_says():
    pairs = [(mlp(seed), mlp(seed + 10)) for seed in range(2)]
    rows = torch.randn(12, 4, dtype=torch.float64)
    found = fresh_task_of_modules(*map(list, zip(*pairs, strict=True)), rows)
    for each, (fresh, trained) in zip(found.each, pairs, strict=True):
        one = fresh_task(MLP, list(fresh.parameters()), list(trained.parameters()), rows)
        assert each == pytest.approx(one.mean, rel=1e-9)
        assert fresh_task_of_modules(fresh, trained, rows.numpy()).mean == pytest.approx(each, rel=1e-12)


def test_modules_are_left_as_they_are():
    module = residual(1)
    module.normal.eval()
    before = copy.deepcopy(module.state_dict())
    modes = [part.training for part in module.modules()]
    alike = fresh_task_of_modules(module, module, torch.randn(4, 2, 4, 4))
    assert alike.mean == 0
    assert "No prediction" in str(alike)
    assert [part.training for part in module.modules()] == modes
    assert len(set(modes)) == 2
    assert all(torch.equal(w, before[name]) for name, w in module.state_dict().items())
    assert all(w.grad is None for w in module.parameters())


def test_a_fixed_parameter_is_not_trained():
    module, rows = mlp(2), torch.randn(5, 4)
    whole = module_kernel(module, rows)
    module[0].requires_grad_(False)
    part = module_kernel(module, rows)
    np.testing.assert_allclose(part, literal_kernel(module, rows), rtol=1e-10, atol=1e-12)
    assert np.trace(whole[..., 0, 0]) > np.trace(part[..., 0, 0])
    with pytest.raises(InvalidInput, match="need a gradient"):
        module_kernel(module.requires_grad_(False), rows)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fresh_task_of_modules([mlp(0)], [mlp(1), mlp(2)], torch.randn(4, 4)), "as many as fresh modules"),
        (lambda: module_kernel(mlp(0), torch.randn(1, 4)), "two rows"),
        (lambda: module_kernel(nn.Linear(4, 1), torch.randn(4, 4)), "two outputs"),
        (lambda: module_kernel(nn.Conv2d(2, 2, 3), torch.randn(4, 2, 5, 5)), r"must be \(n, C\)"),
        (lambda: module_kernel(nn.Linear(2, 600), torch.randn(4, 2)), "take fewer"),
        (lambda: fresh_task_of_modules(mlp(0), mlp(1), torch.full((4, 4), torch.nan)), "finite"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(InvalidInput, match=words):
        call()
