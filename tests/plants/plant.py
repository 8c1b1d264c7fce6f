"""What a planted error is, how it is put in the place of the right formula, and how wrong formulas are made."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass, replace
from functools import wraps
from importlib import import_module
from inspect import signature
from typing import Any

import msgspec
import numpy as np

import theory
from theory.prediction import Form

Wrong = Callable[[Any], Any]


@dataclass(frozen=True)
class Plant:
    """An error in a formula, and where it must be noticed.

    Attributes
    ----------
    words : str
        What is wrong.
    target : str
        A function, property or constant of `theory`: "theory.linear.propagators:update".
    wrong : callable
        From what is right to what stands in its place.
    claim : str
    cases : tuple of str
        Each of which must notice: a finding that holds by the right formula must not hold.
    quantity : str
        Words of the quantity of these findings; any finding will do if empty.
    """

    words: str
    target: str
    wrong: Wrong
    claim: str
    cases: tuple[str, ...]
    quantity: str = ""

    def __str__(self) -> str:
        return f"{self.claim}: {self.words}"


@contextmanager
def planted(plant: Plant) -> Iterator[None]:
    """The wrong formula in place of the right one, under whatever name theory and claims have imported it."""
    module, path = plant.target.split(":")
    owner: Any = import_module(module)
    *outer, name = path.split(".")
    for each in outer:
        owner = getattr(owner, each)
    right = vars(owner)[name] if isinstance(owner, type) else getattr(owner, name)
    wrong = property(plant.wrong(right.fget)) if isinstance(right, property) else plant.wrong(right)
    places = list(_places(owner, name, right))
    for holder, key in places:
        _put(holder, key, wrong)
    try:
        yield
    finally:
        for holder, key in places:
            _put(holder, key, right)


def _places(owner: Any, name: str, right: Any) -> Iterator[tuple[Any, str]]:
    """Where the right formula is held: by its owner, by modules that import it, by forms of the catalogue."""
    yield owner, name
    if isinstance(right, (int, float, property)):  # numbers are equal by chance; a property has one owner
        return
    for title, module in sorted(sys.modules.items()):
        if title.split(".")[0] in ("theory", "reports"):
            yield from ((module, key) for key, value in list(vars(module).items()) if value is right and key != name)
            if getattr(module, name, None) is right and module is not owner:
                yield module, name
    for form in theory.FORMS:
        if form is not owner:
            yield from ((form, key) for key in ("predict", "refusal") if getattr(form, key) is right)


def _put(holder: Any, key: str, value: Any) -> None:
    if isinstance(holder, Form):
        object.__setattr__(holder, key, value)
    else:
        setattr(holder, key, value)


def times(factor: float, *names: str) -> Wrong:
    """The result times a factor; of a record only the fields of these names, all of its arrays if there are none."""

    def wrong(right: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(right)
        def call(*args: Any, **keys: Any) -> Any:
            return _scaled(right(*args, **keys), factor, names)

        return call

    return wrong


def dropped(*names: str) -> Wrong:
    """The result without its fields of these names."""
    return times(0.0, *names)


def with_arguments(**changes: Callable[[Any], Any] | Any) -> Wrong:
    """The function of other arguments: each by a value, or by a function of the right one."""

    def wrong(right: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(right)
        def call(*args: Any, **keys: Any) -> Any:
            bound = signature(right).bind(*args, **keys)
            bound.apply_defaults()
            for name, change in changes.items():
                bound.arguments[name] = change(bound.arguments[name]) if callable(change) else change
            return right(*bound.args, **bound.kwargs)

        return call

    return wrong


def of_training(**changes: Any) -> Wrong:
    """The function of a training that differs in these keys: momentum = 0 for "none"."""
    return with_arguments(training=lambda training: msgspec.structs.replace(training, **changes))


def always(value: Any) -> Wrong:
    """The same value, whatever is asked."""
    return lambda right: lambda *args, **keys: value


def instead(other: Any) -> Wrong:
    """Something else in its place."""
    return lambda right: other


def number(factor: float) -> Wrong:
    """A constant times a factor."""
    return lambda right: factor * right


def _scaled(value: Any, factor: float, names: tuple[str, ...]) -> Any:
    if isinstance(value, (float, int, np.ndarray)):
        return factor * value
    if isinstance(value, (tuple, list)):
        return type(value)(_scaled(each, factor, names) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        arrays = names or tuple(key for key, each in vars(value).items() if isinstance(each, np.ndarray))
        return replace(value, **{key: _scaled(getattr(value, key), factor, ()) for key in arrays})
    raise TypeError(f"{type(value).__name__} cannot be scaled")
