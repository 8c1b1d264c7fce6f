"""The functions that exported programs may call; all others are refused.

Each computes tensors or numbers from its arguments. None opens a file, as `aten::from_file` does, and none imports a
module or runs code, as `torch.os.system` would.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch

from reports.check.stored_array import printable
from theory.errors import InvalidInput

MOST_NEW = 2**28  # the most numbers of a tensor that is made from sizes alone


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ATEN = _words("""
    _log_softmax _softmax _unsafe_view abs acos adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    adaptive_max_pool2d add addmm alias all alpha_dropout amax amin any arange argmax argmin atan avg_pool1d
    avg_pool2d avg_pool3d baddbmm batch_norm bitwise_and bitwise_not bitwise_or bmm cat ceil celu chunk clamp
    clamp_max clamp_min clone concat contiguous conv1d conv2d conv3d conv_transpose1d conv_transpose2d
    conv_transpose3d convolution cos cumsum detach div dropout einsum elu embedding empty eq erf exp expand
    expand_as expm1 feature_dropout flatten flip floor floor_divide full full_like gather ge gelu glu group_norm
    gru gt hardsigmoid hardswish hardtanh index index_select instance_norm isinf isnan layer_norm le leaky_relu
    lift_fresh_copy linear log log1p log_softmax logical_and logical_not logical_or lstm lt masked_fill matmul
    max max_pool1d max_pool2d max_pool3d maximum mean min minimum mish mm mul narrow native_batch_norm
    native_group_norm native_layer_norm ne neg new_full new_ones new_zeros numpy_T ones ones_like outer pad
    permute pixel_shuffle pixel_unshuffle pow prelu reciprocal reflection_pad1d reflection_pad2d relu relu6
    remainder repeat repeat_interleave replication_pad1d replication_pad2d reshape rms_norm rnn_relu rnn_tanh
    roll rsqrt rsub scalar_tensor scaled_dot_product_attention select selu sigmoid sign silu sin slice softmax
    softplus split split_with_sizes sqrt squeeze stack std sub sum swapaxes sym_numel sym_size t tanh threshold
    tile to topk transpose tril triu unbind unflatten unfold unsqueeze upsample_bicubic2d upsample_bilinear2d
    upsample_nearest1d upsample_nearest2d var view view_as where zeros zeros_like
""")
_FROM_SIZES = _words("""
    arange empty full full_like new_full new_ones new_zeros ones ones_like pad repeat tile zeros zeros_like
""")
_CONDITIONS = _words("_assert_scalar _assert_tensor_metadata sym_constrain_range sym_constrain_range_for_size")
_OPERATORS = _words("add eq floordiv ge getitem gt le lt mod mul ne neg sub truediv")


def function_of(target: str) -> tuple[str, Callable[..., Any] | None]:
    """The short name of what a graph calls, and the function; None for a condition, which need not be checked.

    Raises
    ------
    InvalidInput
        If the function is not on the list.

    Examples
    --------
    >>> function_of("torch.ops.aten.relu.default")[1](torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    parts = target.split(".")
    if parts[0] == "_operator" and len(parts) == 2 and parts[1] in _OPERATORS:
        return "number", getattr(operator, parts[1])
    if parts[:3] == ["torch", "ops", "aten"] and len(parts) == 5:
        name, overload = parts[3:]
        if name in _CONDITIONS:
            return name, None
        if name in _ATEN and overload in getattr(torch.ops.aten, name).overloads():
            function = getattr(getattr(torch.ops.aten, name), overload)
            return name, _bounded(function) if name in _FROM_SIZES else function
    raise InvalidInput("model", printable(target), "is called by the program, and not among the functions that are run")


def called_by_name(target: str) -> bool:
    """Whether a function takes its arguments by name, as those of `torch.ops` do."""
    return target.startswith("torch.ops.")


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which refuses to make a tensor of more than `MOST_NEW` numbers."""

    def run(**arguments: Any) -> Any:
        shapes = {
            key: value.to("meta") if isinstance(value, torch.Tensor) else value for key, value in arguments.items()
        }
        made_anew = not any(isinstance(value, torch.Tensor) for value in arguments.values())
        size = function(**{**shapes, **({"device": torch.device("meta")} if made_anew else {})}).numel()
        if size > MOST_NEW:
            raise InvalidInput("model", size, f"makes a tensor of more than {MOST_NEW} numbers")
        return function(**arguments)

    return run
