"""Optimizers that are in no library, written out: Adagrad of full matrices, Adam by neurons, Muon with exact factors.

They commute with rotations of the inputs, unlike the optimizers of torch that they are made from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn, optim


class _Optimizer(optim.Optimizer):
    """One that changes every parameter by its gradient and by what it keeps of earlier ones."""

    def __init__(self, params: Iterable[nn.Parameter], **options: float) -> None:
        super().__init__(params, options)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters; `closure` computes the loss, which is returned, and the gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._change(parameter, parameter.grad, group, self.state[parameter])
        return loss

    def _change(self, parameter: Tensor, gradient: Tensor, options: dict[str, Any], kept: dict[str, Any]) -> None:
        raise NotImplementedError


class FullAdagrad(_Optimizer):
    """Adagrad of full matrices (Duchi et al. 2011): w ← w − η (δ I + S^½)⁻¹ g, with S = Σ g gᵀ of all steps.

    w and g are a parameter of p entries as one vector. With H = (g_1, …, g_t) = U s Vᵀ, S^½ is U s Uᵀ, and g lies in
    the span of U: step t takes p t² operations.

    Parameters
    ----------
    params : iterable of Parameter
    lr : float
        η.
    eps : float
        δ.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float = 0.01, eps: float = 1e-3) -> None:
        super().__init__(params, lr=lr, eps=eps)

    def _change(self, parameter: Tensor, gradient: Tensor, options: dict[str, Any], kept: dict[str, Any]) -> None:
        g = gradient.flatten()
        kept["gradients"] = [*kept.get("gradients", []), g]
        u, s, _ = torch.linalg.svd(torch.stack(kept["gradients"], dim=1), full_matrices=False)
        parameter -= options["lr"] * (u @ (u.T @ g / (options["eps"] + s))).view_as(parameter)


class NeuronAdam(_Optimizer):
    """Adam (arXiv:1412.6980) with one scale per neuron: w ← w − η m̂ / (v̂^½ + ε).

    m̂ is Adam's, the mean of gradients g over steps with its bias corrected; v̂ is that of |g|²/d of the neuron's row.

    Parameters
    ----------
    params : iterable of Parameter
        Matrices (..., m, d), of one neuron per row.
    lr : float
    betas : (float, float)
        The decay rates of the means of g and of g² over steps.
    eps : float
        What is added to the scale.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 0.01,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(params, lr=lr, first=betas[0], second=betas[1], eps=eps)

    def _change(self, parameter: Tensor, gradient: Tensor, options: dict[str, Any], kept: dict[str, Any]) -> None:
        a, b = options["first"], options["second"]
        kept["step"] = kept.get("step", 0) + 1
        kept["mean"] = a * kept.get("mean", 0) + (1 - a) * gradient
        kept["square"] = b * kept.get("square", 0) + (1 - b) * gradient.square().mean(dim=-1, keepdim=True)
        mean, square = kept["mean"] / (1 - a ** kept["step"]), kept["square"] / (1 - b ** kept["step"])
        parameter -= options["lr"] * mean / (square.sqrt() + options["eps"])


class PolarMuon(_Optimizer):
    """Muon as `torch.optim.Muon`, with the exact polar factor U Vᵀ of the momentum U S Vᵀ in place of an approximation.

    B ← μ B + (1 − μ) g, then w ← (1 − ηλ) w − η max(1, m/d)^½ polar(μ B + (1 − μ) g): Nesterov's momentum μ, decay λ.

    Parameters
    ----------
    params : iterable of Parameter
        Matrices (..., m, d).
    lr, weight_decay : float
    momentum : float
        The factor of Nesterov's momentum.
    """

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95
    ) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay, momentum=momentum)

    def _change(self, parameter: Tensor, gradient: Tensor, options: dict[str, Any], kept: dict[str, Any]) -> None:
        kept["mean"] = torch.lerp(gradient, kept.get("mean", torch.zeros_like(gradient)), options["momentum"])
        u, _, v = torch.linalg.svd(torch.lerp(gradient, kept["mean"], options["momentum"]), full_matrices=False)
        parameter *= 1 - options["lr"] * options["weight_decay"]
        parameter -= options["lr"] * max(1, parameter.shape[-2] / parameter.shape[-1]) ** 0.5 * u @ v
