"""Kernels of one actual network at any moment of its training, by automatic differentiation.

A network is a function (parameters, rows) → outputs, parameters a tuple of torch tensors: dense or convolutional, of
any depth, at its initial weights or trained ones. This module needs torch, and imports it only when a kernel is
computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from theory.errors import InvalidInput

if TYPE_CHECKING:
    from torch import Tensor

NetworkFunction = Callable[[tuple["Tensor", ...], "Tensor"], "Tensor"]

# The most numbers in the gradients of a chunk of rows; two chunks are held at a time, a quarter of a gigabyte each.
HELD = 2**25


def empirical_ntk(
    function: NetworkFunction,
    parameters: Sequence[Tensor],
    rows: Tensor,
    others: Tensor | None = None,
    *,
    among: Sequence[int] | None = None,
    full: bool = False,
) -> Tensor:
    """K(x, z) = Σ_θ ∂f(x)/∂θ ∂f(z)/∂θ at the parameters as they are; exact for every network, width and moment.

    With C outputs the kernel is a C × C matrix per pair of rows; contracted, it is its trace divided by C, which for
    outputs with independent weights estimates the kernel of one of them. At initial weights it tends to
    `theory.network.kernels.ntk` as the width grows, with fluctuations O(m^-½). Memory O(np C²) and chunks of gradients,
    which are computed again for every chunk of others.

    Parameters
    ----------
    function : (parameters, rows (k, …)) → outputs (k, C) or (k,)
        The outputs of a row must depend on that row only: no normalisation over the batch.
    parameters : sequence of Tensor
    rows, others : Tensor, shapes (n, …) and (p, …)
        The rows x and z of the kernel; if `others` is None, z are the rows themselves.
    among : sequence of int, optional
        The positions of the parameters that are trained; all if None. The first layer's weights are (0,).
    full : bool
        Whether to return all C × C entries.

    Returns
    -------
    Tensor, shape (n, p), or (n, p, C, C) where `full`

    Raises
    ------
    InvalidInput
        If a position has no parameter, there are no rows, outputs are not (k, C) or (k,), or gradients are not finite.

    Examples
    --------
    >>> import torch
    >>> weights = (torch.tensor([[1.0, 2.0]]), torch.tensor([3.0]))
    >>> rows = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    >>> empirical_ntk(lambda w, x: (x @ w[0].T) @ w[1], weights, rows).tolist()  # 9 x·z + (w·x)(w·z)
    [[10.0, 12.0], [12.0, 27.0]]
    """
    import torch

    chosen = tuple(range(len(parameters))) if among is None else tuple(among)
    if not chosen or len(set(chosen)) < len(chosen) or not all(0 <= i < len(parameters) for i in chosen):
        raise InvalidInput("among", chosen, f"must name some of the {len(parameters)} parameters, by their positions")
    outputs = _outputs(function, parameters, rows)
    at_once = max(1, HELD // (outputs * sum(parameters[i].numel() for i in chosen)))
    columns = rows if others is None else others
    lines = []
    for i, first in enumerate(_chunks(rows, at_once)):
        gradients = _gradients(function, parameters, chosen, first)
        blocks = []
        for j, second in enumerate(_chunks(columns, at_once)):
            same = others is None and i == j
            against = gradients if same else _gradients(function, parameters, chosen, second)
            if full:
                blocks.append(torch.einsum("icp,jdp->ijcd", gradients, against))
            else:
                blocks.append(gradients.flatten(1) @ against.flatten(1).T / outputs)
        lines.append(torch.cat(blocks, dim=1))
    kernel = torch.cat(lines)
    if not bool(torch.isfinite(kernel).all()):
        raise InvalidInput("function", "nan or inf", "must have finite gradients at these parameters and rows")
    return kernel


def _outputs(function: NetworkFunction, parameters: Sequence[Tensor], rows: Tensor) -> int:
    """C, from the outputs of one row."""
    if not rows.ndim or not len(rows):
        raise InvalidInput("rows.shape", tuple(rows.shape), "must be (n, …) with n >= 1")
    shape = tuple(function(tuple(parameters), rows[:1]).shape)
    if len(shape) not in (1, 2) or shape[0] != 1:
        raise InvalidInput("function", f"outputs of shape {shape} for one row", "must return (k, C) or (k,) for k rows")
    return shape[1] if len(shape) == 2 else 1


def _chunks(rows: Tensor, size: int) -> Iterator[Tensor]:
    return (rows[first : first + size] for first in range(0, len(rows), size))


def _gradients(
    function: NetworkFunction, parameters: Sequence[Tensor], chosen: tuple[int, ...], rows: Tensor
) -> Tensor:
    """∂f_c(x)/∂θ of the chosen parameters, shape (k, C, P)."""
    import torch
    from torch.func import jacrev, vmap

    def outputs(some: tuple[Tensor, ...], row: Tensor) -> Tensor:
        every = list(parameters)
        for position, value in zip(chosen, some, strict=True):
            every[position] = value
        return function(tuple(every), row[None]).reshape(-1)

    jacobians = vmap(jacrev(outputs), in_dims=(None, 0))(tuple(parameters[i].detach() for i in chosen), rows)
    return torch.cat([jacobian.flatten(2) for jacobian in jacobians], dim=2)
