"""One pass of the data through a model: hooks read the input of every layer and sum its moments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from tqdm import tqdm

from reports.models.batches import DataBatches, prepared
from reports.models.layers import Tap
from reports.models.moments import Stream, streams
from theory.errors import InvalidInput


def collect(
    model: Any,
    taps: Sequence[Tap],
    data: DataBatches,
    *,
    device: Any = None,
    forward: Callable[[Any, Any], Any] | None = None,
    shares: int = 1,
    progress: bool = False,
) -> tuple[list[Stream], int]:
    """The moments of the inputs of the layers of `taps`, and the number of samples.

    Memory is shared among `shares` models. The model runs in evaluation mode, without gradients, on the device of its
    weights or on `device`. Its mode, weights, hooks and device are restored afterwards.

    Raises
    ------
    InvalidInput
        If the data are empty, or the model cannot be run on them.
    """
    found = streams([tap.layer for tap in taps], shares)
    samples, waiting = 0, [0]  # of the batch that is run, which hooks must know before the model has returned
    dtype, home = home_of(model)
    with ExitStack() as stack:
        stack.enter_context(evaluated(model))
        stack.enter_context(placed(model, home, device))
        stack.enter_context(torch.no_grad())
        for tap, stream in zip(taps, found, strict=True):
            handle = tap.module.register_forward_pre_hook(_hook(tap, stream, waiting), with_kwargs=True)
            stack.callback(handle.remove)
        bar = stack.enter_context(
            tqdm(total=data.samples, unit=" samples", disable=None if progress else True, delay=1, leave=False)
        )
        for batch in data.batches:
            run, waiting[0] = prepared(model, batch, device or home, dtype, forward)
            try:
                run()
            except (RuntimeError, TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
                if isinstance(error, InvalidInput):
                    raise
                why = (str(error).splitlines() or [type(error).__name__])[0][:200]
                hint = _layout_hint(lambda images: prepared(model, images, device or home, dtype, forward)[0](), batch)
                raise InvalidInput("data", _shape(batch), f"the model cannot be run on it ({why}){hint}") from error
            samples += waiting[0]
            bar.update(waiting[0])
    if not samples:
        raise InvalidInput("data", 0, "must hold at least one sample")
    return found, samples


def _hook(tap: Tap, stream: Stream, waiting: list[int]) -> Callable[..., None]:
    def read(module: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        stream.add(tap.take(args, kwargs), waiting[0])

    return read


def home_of(model: Any) -> tuple[Any, Any]:
    """The dtype and device of a model's weights; None if it has none."""
    for parameter in model.parameters():
        if parameter.is_floating_point():
            return parameter.dtype, parameter.device
    return None, None


@contextmanager
def evaluated(model: Any) -> Iterator[None]:
    """Evaluation mode for every module, and for attention the implementation that hooks can see."""
    training = [module for module in model.modules() if module.training]
    fast = torch.backends.mha.get_fastpath_enabled()
    model.eval()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for module in training:
            module.training = True


@contextmanager
def placed(model: Any, home: Any, device: Any) -> Iterator[None]:
    """The model on a device, and back on its own device afterwards."""
    if device is None or home is None or torch.device(device) == home:
        yield
        return
    model.to(device)
    try:
        yield
    finally:
        model.to(home)


def _layout_hint(run: Callable[[Any], Any], batch: Any) -> str:
    """What to do about images on which the model can be run with their channels first; otherwise nothing."""
    images = _inputs(batch)
    if not (isinstance(images, torch.Tensor) and images.ndim == 4):
        return ""
    turned = images.movedim(-1, 1)
    try:
        run(turned)
    except Exception:  # of whatever kind, it is no answer to the question
        return ""
    return f"; it can be run on images with their channels first, {tuple(turned.shape)}"


def _inputs(batch: Any) -> Any:
    return batch[0] if isinstance(batch, (list, tuple)) and batch else batch


def _shape(batch: Any) -> Any:
    batch = _inputs(batch)
    return tuple(batch.shape) if hasattr(batch, "shape") else type(batch).__name__
