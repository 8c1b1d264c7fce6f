"""Alignment as numbers to log while a model trains: for plain loops, PyTorch Lightning and the Hugging Face Trainer.

The inputs of the layers are measured when a watch is made, and again by `refresh`; a call then reads weights only, so
it takes a small share of a training step. Neither library is imported: a callback has the methods that they call, and
derives from their class if the program has imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reports.check.monitor import Monitor
from reports.models.batches import batches_of
from reports.models.collect import collect
from reports.models.layers import Tap, chosen, taps
from reports.models.model import LARGEST, unwrapped
from theory.errors import InvalidInput

_LIGHTNING = ("lightning.pytorch.callbacks", "pytorch_lightning.callbacks")


class Watch:
    """The orientation of a model's layers relative to their inputs when the watch was made; see `watch`."""

    def __init__(self, model: Any, measured: Sequence[tuple[Tap, Monitor]], again: Callable[[], Any]) -> None:
        self._model, self._measured, self._again = model, list(measured), again

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers that are watched."""
        return tuple(tap.layer.name for tap, _ in self._measured)

    def __call__(self) -> dict[str, float]:
        """The orientation of every layer's weights as they are now, "alignment/NAME": 1 is alignment, 0 chance."""
        return {
            f"alignment/{tap.layer.name}": monitor.orientation(tap.layer.weights().detach().contiguous())
            for tap, monitor in self._measured
        }

    def refresh(self) -> None:
        """Measure the layers' inputs again, which change while earlier layers train."""
        self._measured = self._again()


def watch(
    model: Any,
    data: Any,
    *,
    layers: str | Sequence[str] | None = None,
    largest: int = LARGEST,
    forward: Callable[[Any, Any], Any] | None = None,
    center: bool = False,
) -> Watch:
    """A `Watch` of a model's layers on data, of which a few hundred samples are enough.

    Arguments as in `check_model`. `refresh` needs data that can be read again, not a generator.

    Raises
    ------
    InvalidInput
        If no layer can be watched, and for everything that `check_model` refuses.

    Examples
    --------
    >>> import torch
    >>> rows = torch.randn(256, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 2.0, 4.0, 8.0])
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
    >>> seen = watch(model, rows, layers="0")
    >>> _ = model[0].weight.data.mul_(torch.tensor([8.0, 4.0, 2.0, 1.0]))
    >>> seen()["alignment/0"] > 0.9
    True
    """
    inner = unwrapped(model)

    def measure() -> list[tuple[Tap, Monitor]]:
        found, _ = taps(inner)
        names = set(chosen([tap.layer.name for tap in found], layers))
        kept = [
            tap for tap in found if tap.layer.name in names and (layers is not None or tap.layer.dimension <= largest)
        ]
        streams, _ = collect(inner, kept, batches_of(data, kept[0].module if kept else None), forward=forward)
        measured = []
        for tap, stream in zip(kept, streams, strict=True):
            if stream.failure or not stream.reached:
                continue
            try:
                moment = stream.moment()
            except InvalidInput:  # inputs that never vary, or are not finite yet
                continue
            spaces = (moment.centre() if center else moment).eigenspaces()
            measured.append((tap, Monitor(spaces, moment.varies, "orientation")))
        if not measured:
            raise InvalidInput("layers", layers, "no layer of the model can be watched on these data")
        return measured

    return Watch(inner, measure(), measure)


def lightning_callback(seen: Watch, every: int = 100) -> Any:
    """A callback for `Trainer(callbacks=[…])`: logs the numbers every `every` training batches, by `log_dict`."""
    _check_every(every)
    base = _imported(_LIGHTNING, "Callback")

    def on_train_batch_end(self: Any, trainer: Any, module: Any, *args: Any, **kwargs: Any) -> None:
        if trainer.global_step % every == 0:
            module.log_dict(seen())

    return _made("AlignmentCallback", base, {"on_train_batch_end": on_train_batch_end})


def trainer_callback(seen: Watch, every: int = 100) -> Any:
    """A callback for the Hugging Face Trainer: adds the numbers to `logs` and to the history of its state.

    They are written every `every` steps. The callbacks of W&B and TensorBoard write what is in `logs` when their turn
    comes, so this one must come first: `trainer.callback_handler.callbacks.insert(0, trainer_callback(seen))`. A
    Trainer calls those of its argument `callbacks` last, and the numbers are then printed and kept in the history only.
    """
    _check_every(every)
    base = _imported(("transformers",), "TrainerCallback")
    waiting: dict[str, float] = {}

    def on_step_end(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step % every == 0:
            waiting.clear()
            waiting.update(seen())
            control.should_log = True

    def on_log(self: Any, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if logs is not None and waiting:
            logs.update(waiting)
            if state.log_history:
                state.log_history[-1].update(waiting)
            waiting.clear()

    return _made("AlignmentCallback", base, {"on_step_end": on_step_end, "on_log": on_log})


def _check_every(every: int) -> None:
    if every < 1:
        raise InvalidInput("every", every, "must be at least 1")


def _imported(modules: Sequence[str], name: str) -> type:
    """The class of a library if the program has imported it, otherwise object."""
    for module in modules:
        if module in sys.modules:
            return getattr(sys.modules[module], name, object)
    return object


def _made(name: str, base: type, methods: Mapping[str, Any]) -> Any:
    """An object with these methods; without a library's class, every other hook does nothing."""

    def ignored(self: Any, hook: str) -> Any:
        if not hook.startswith(("on_", "setup", "teardown")):
            raise AttributeError(hook)
        return lambda *args, **kwargs: None

    extra = {"__getattr__": ignored} if base is object else {}
    return type(name, (base,), {**methods, **extra})()
