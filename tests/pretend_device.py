"""A pretend accelerator for a torch without one: real numbers on the host, and the rules of a device about them.

It takes torch's PrivateUse1 backend. A tensor there wraps one of the host; operations run on the host, but only between
tensors that are on the device, or scalars: what CUDA would refuse is refused. Registering is global and for good, so
tests that use it run in a process of their own; import this module only there.
"""

import torch
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map_only

NAME = "pretend"
torch.utils.rename_privateuse1_backend(NAME)
backend_registration._setup_privateuseone_for_python_backend(NAME)
DEVICE = torch.device(NAME, 0)

aten = torch.ops.aten
COPIES = {aten._to_copy.default, aten.copy_.default, aten.copy.default}
# A tensor on the device may be indexed by one of the host; the converse is refused.
INDEXED = {
    aten.index.Tensor,
    aten.index_put_.default,
    aten.index_put.default,
    aten._index_put_impl_.default,
    aten._unsafe_index.Tensor,
}


class MixedDevicesError(RuntimeError):
    """An operation between a tensor on the device and one that is not."""


class PretendTensor(torch.Tensor):
    """A tensor on the device; `raw` holds its numbers."""

    @staticmethod
    def __new__(cls, raw, requires_grad=False):
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            raw.shape,
            strides=raw.stride(),
            storage_offset=raw.storage_offset(),
            dtype=raw.dtype,
            device=DEVICE,
            requires_grad=requires_grad,
        )
        tensor.raw = raw
        return tensor

    def __repr__(self):
        return f"PretendTensor({self.raw})"

    def numpy(self, *args, **keys):
        raise TypeError(f"can't convert {DEVICE} device type tensor to numpy. Use Tensor.cpu() first")

    __array__ = numpy

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return dispatch(func, args, kwargs or {})


class Pretend(TorchDispatchMode):
    """While it is entered, tensors can be made on the device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return dispatch(func, args, kwargs or {})


def dispatch(func, args, kwargs):
    """Run an operation on the host, after the checks of a device."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    here = [tensor for tensor in tensors if isinstance(tensor, PretendTensor)]
    device = None if kwargs.get("device") is None else torch.device(kwargs["device"])
    placed_here = device.type == NAME if device is not None else bool(here)
    if here and func not in COPIES:
        if func in INDEXED:
            mixed = not isinstance(args[0], PretendTensor)
        else:
            mixed = any(not isinstance(tensor, PretendTensor) and tensor.dim() > 0 for tensor in tensors)
        if mixed:
            raise MixedDevicesError(f"expected all tensors to be on the same device, found {DEVICE} and cpu ({func})")
    args, kwargs = tree_map_only(PretendTensor, lambda tensor: tensor.raw, (args, kwargs))
    if device is not None:
        kwargs = {**kwargs, "device": "cpu"}
    with _disable_current_modes():
        out = func(*args, **kwargs)
    if func is aten._local_scalar_dense.default or not placed_here:
        return out
    # An operation in place returns the tensor that it was given.
    known = {id(tensor.raw): tensor for tensor in here} if func._schema.is_mutable else {}
    return tree_map_only(torch.Tensor, lambda raw: known[id(raw)] if id(raw) in known else PretendTensor(raw), out)
