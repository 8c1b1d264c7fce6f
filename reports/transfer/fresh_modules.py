"""Would a fresh task be learned faster than from scratch? For any two torch modules, by their Jacobians.

`fresh_task` covers the networks of settings; here a network is any map from rows to outputs. Its Jacobian is computed
by `torch.func`, in groups of parameters, so that no more than `GROUP` numbers are in memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.transfer.fresh_task import BEST, FreshTask
from theory.arrays import Array
from theory.errors import InvalidInput
from theory.transfer import KernelNumbers, kernel_change, kernel_numbers

if TYPE_CHECKING:
    from torch import Tensor

GROUP = 2**26  # the most numbers of a Jacobian at a time: half a gigabyte
LARGEST = 2000  # the largest side of the kernel: rows times outputs


def fresh_task_of_modules(scratch: Any, pretrained: Any, rows: Array) -> FreshTask:
    """Compare the tangent kernels of pretrained modules with those of fresh ones, on rows without labels.

    Computations are in double precision and in evaluation mode: no dropout, and batch normalisation with its running
    means. Modules are not changed. Parameters that require no gradient count as fixed.

    Parameters
    ----------
    scratch, pretrained : torch.nn.Module, or a sequence of them
        The network before pre-training, and where a fresh task would start; several pairs are in the same order. They
        map rows (n, …) to outputs (n, C), each row separately.
    rows : array or Tensor, shape (n, …)
        About twenty rows, as the network sees them; all pairs share them.

    Raises
    ------
    InvalidInput
        If the numbers of fresh and pretrained modules differ, if outputs are not (n, C) with at least two rows and two
        outputs or are more than `LARGEST` in all, if no parameter is trained, or if numbers are not finite.

    Examples
    --------
    A linear map has the same kernel everywhere, so the result is 0:

    >>> import torch
    >>> one, other = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)
    >>> fresh_task_of_modules(one, other, torch.randn(8, 4)).each.tolist()
    [0.0]
    """
    before, after = (list(each) if isinstance(each, Sequence) else [each] for each in (scratch, pretrained))
    if len(before) != len(after) or not before:
        raise InvalidInput("pretrained", len(after), f"must be as many as fresh modules ({len(before)}), at least one")
    numbers = [_joined([module_numbers(module, rows) for module in modules]) for modules in (before, after)]
    return FreshTask(np.asarray(getattr(kernel_change(*numbers), BEST.name)))


def module_numbers(module: Any, rows: Array) -> KernelNumbers:
    """The numbers of one module's tangent kernel; see `fresh_task_of_modules`."""
    return kernel_numbers(module_kernel(module, rows)[None])


def module_kernel(module: Any, rows: Array) -> np.ndarray:
    """The tangent kernel J Jᵀ of a module between all outputs on n rows, (n, n, C, C).

    Parameters and errors are as in `fresh_task_of_modules`.
    """
    import torch
    from torch.func import functional_call, jacrev, vmap

    trained = {name: w.detach().double() for name, w in module.named_parameters() if w.requires_grad}
    if not trained:
        raise InvalidInput("modules", type(module).__name__, "must have parameters that need a gradient")
    fixed = {
        name: w.detach().double() if w.is_floating_point() else w.detach()
        for name, w in (*module.named_parameters(), *module.named_buffers())
        if name not in trained
    }
    x = torch.as_tensor(rows, device=next(iter(trained.values())).device).double()

    def outputs(parameters: Mapping[str, Tensor], row: Tensor) -> Tensor:
        found: Tensor = functional_call(module, {**trained, **fixed, **parameters}, (row[None],))
        return found[0]

    with _evaluating(module):
        shape = _checked(outputs, x)
        kernel = torch.zeros(2 * (shape[0] * shape[1],), dtype=torch.float64, device=x.device)
        for group in _groups(trained, shape[0] * shape[1]):
            jacobian = vmap(jacrev(outputs), in_dims=(None, 0))({name: trained[name] for name in group}, x)
            for part in jacobian.values():
                flat = part.reshape(len(kernel), -1)
                kernel += flat @ flat.T
    n, c = shape
    return np.asarray(kernel.reshape(n, c, n, c).permute(0, 2, 1, 3).cpu())


def _checked(outputs: Callable[[Mapping[str, Tensor], Tensor], Tensor], x: Tensor) -> tuple[int, int]:
    """The numbers of rows and outputs, checked."""
    import torch

    if x.ndim < 2 or len(x) < 2:
        raise InvalidInput("rows.shape", tuple(x.shape), "must be (n, …), two rows at least")
    with torch.no_grad():
        found = outputs({}, x[0])
    if found.ndim != 1 or len(found) < 2:
        raise InvalidInput("outputs.shape", (len(x), *found.shape), "must be (n, C), of two outputs at least")
    if len(x) * len(found) > LARGEST:
        rule = f"times {len(found)} outputs is more than {LARGEST}: take fewer"
        raise InvalidInput("rows", len(x), rule)
    return len(x), len(found)


def _groups(trained: Mapping[str, Tensor], side: int) -> Iterator[list[str]]:
    """Groups of parameters whose Jacobians have at most `GROUP` numbers together, or of a single one that has more."""
    group: list[str] = []
    held = 0
    for name, w in trained.items():
        if group and held + side * w.numel() > GROUP:
            yield group
            group, held = [], 0
        group.append(name)
        held += side * w.numel()
    yield group


@contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """The module in evaluation mode; the mode of each part is restored afterwards."""
    before = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training


def _joined(found: Sequence[KernelNumbers]) -> KernelNumbers:
    columns = zip(*((each.trace, each.effective_rank, each.geometric_mean) for each in found), strict=True)
    return KernelNumbers(*(np.concatenate(column) for column in columns))
