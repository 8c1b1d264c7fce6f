"""A second pass over the data, with gradients: how the outputs of a model depend on those of each layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch

from reports.models.batches import DataBatches, prepared
from reports.models.collect import evaluated, home_of, placed
from reports.models.layers import Tap
from theory.errors import InvalidInput

# The most outputs of a model that are differentiated one by one; of more, as many random signs of all are: the
# mean square is the same.
OUTPUTS = 16


def sensitivities(
    model: Any,
    taps: Sequence[Tap],
    data: DataBatches,
    *,
    device: Any = None,
    forward: Callable[[Any, Any], Any] | None = None,
    seed: int = 0,
) -> list[np.ndarray | None]:
    """K of every layer, (m, m): the mean over rows (positions, tokens) of Σ_c (∂f_c/∂z)(∂f_c/∂z)ᵀ, z = Wx; in batches.

    None for layers whose outputs are not z: those inside attention and recurrence, embeddings, and groups of channels.
    The gradients of parameters are not changed.

    Raises
    ------
    InvalidInput
        If the model's output is not a tensor, or cannot be differentiated.
    """
    generator = torch.Generator().manual_seed(seed)
    dtype, home = home_of(model)
    held: list[list[torch.Tensor]] = [[] for _ in taps]
    sums: list[Any] = [None] * len(taps)
    rows = [0] * len(taps)
    with ExitStack() as stack:
        stack.enter_context(evaluated(model))
        stack.enter_context(placed(model, home, device))
        stack.enter_context(torch.enable_grad())
        axes = [_channels(tap) for tap in taps]
        for tap, outputs, axis in zip(taps, held, axes, strict=True):
            if axis is not None:
                stack.callback(tap.module.register_forward_hook(_keep(outputs)).remove)
        for batch in data.batches:
            run, _ = prepared(model, batch, device or home, dtype, forward)
            found = run()
            if not isinstance(found, torch.Tensor) or not found.requires_grad:
                raise InvalidInput("against", "agop", f"needs an output to differentiate, not {type(found).__name__}")
            reached = [(i, axis) for i, (outputs, axis) in enumerate(zip(held, axes, strict=True)) if outputs and axis]
            inner = [z for i, _ in reached for z in held[i]]
            directions = _directions(found.reshape(len(found), -1), generator)
            for number, value in enumerate(directions):
                last = number + 1 == len(directions)
                of_all = iter(torch.autograd.grad(value, inner, retain_graph=not last, allow_unused=True))
                for i, axis in reached:
                    for _ in held[i]:
                        gradient = next(of_all)
                        if gradient is not None:
                            flat = gradient.movedim(axis, -1).flatten(0, -2).to(torch.float64)
                            sums[i] = flat.T @ flat + (0 if sums[i] is None else sums[i])
            for i, axis in reached:
                rows[i] += sum(z.numel() // z.shape[axis] for z in held[i])
                held[i].clear()
    return [None if total is None else (total / count).cpu().numpy() for total, count in zip(sums, rows, strict=True)]


def _channels(tap: Tap) -> int | None:
    """The axis of the layer's outputs that indexes its units; None if the module's outputs are not Wx."""
    module = tap.module
    if isinstance(module, torch.nn.Linear):
        return -1
    convolves = isinstance(module, (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d))
    return 1 if convolves and module.groups == 1 else None


def _keep(outputs: list[torch.Tensor]) -> Callable[..., torch.Tensor]:
    def keep(module: Any, args: Any, output: torch.Tensor) -> torch.Tensor:
        if not output.requires_grad:  # of weights that are frozen
            output = output.detach().requires_grad_()
        outputs.append(output)
        return output.clone()  # what follows may change it in place

    return keep


def _directions(outputs: torch.Tensor, generator: torch.Generator) -> list[torch.Tensor]:
    """Scalars whose gradients by a row, squared and summed, are Σ_c of the outputs, on average."""
    count = outputs.shape[1]
    if count <= OUTPUTS:
        return [outputs[:, c].sum() for c in range(count)]
    signs = 2.0 * torch.randint(2, (OUTPUTS, count), generator=generator) - 1
    return [(outputs @ each.to(outputs) / OUTPUTS**0.5).sum() for each in signs]
