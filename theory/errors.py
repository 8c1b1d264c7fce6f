"""The exceptions of the package: bad input is an exception, a failed claim is a value."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InvalidInput(ValueError):
    """An argument violates a rule; the message names the argument, the rule and the value.

    Attributes
    ----------
    key : str
        The argument, or the dotted key of a setting (``data.spectrum[1]``).
    value : object
        What was given.
    rule : str
        The rule that it violates, in words.
    """

    def __init__(self, key: str, value: object, rule: str) -> None:
        self.key = key
        self.value = value
        self.rule = rule
        super().__init__(f"{key} = {_short(value)}: {rule}")

    def __reduce__(self) -> tuple[type[InvalidInput], tuple[str, object, str]]:
        # by its message alone, the default, it could not be sent from one process to another
        return type(self), (self.key, self.value, self.rule)


class NoClosedForm(InvalidInput):
    """No closed form covers a setting; ``rule`` says, form by form, which hypothesis is missing.

    Attributes
    ----------
    reasons : tuple of (str, tuple of str)
        Each missing hypothesis with the names of the forms that need it, the forms of the same kind of network first;
        empty if one form was requested.
    """

    def __init__(
        self, key: str, value: object, rule: str, reasons: tuple[tuple[str, tuple[str, ...]], ...] = ()
    ) -> None:
        super().__init__(key, value, rule)
        self.reasons = reasons

    def __reduce__(self) -> tuple[type[NoClosedForm], tuple[object, ...]]:  # type: ignore[override]
        return type(self), (self.key, self.value, self.rule, self.reasons)


class Diverged(InvalidInput):
    """Training left too few networks with finite numbers for any statement about them."""


def shown(value: object) -> str:
    """The value's repr, or a note that it has none: deeply nested lists, integers with too many digits for Python."""
    try:
        return repr(value)
    except (RecursionError, ValueError):
        return f"({type(value).__name__}, too large to be shown)"


def _short(value: object, width: int = 80) -> str:
    text = " ".join(shown(value).split())
    return text if len(text) <= width else text[: width - 1] + "…"


def unknown(given: object, what: str, known: Iterable[str]) -> str:
    """The rule that an unknown name violates, with the nearest known one.

    >>> unknown("knd", "a key of this table", ("kind", "samples"))
    "is not a key of this table; did you mean 'kind'? There are kind, samples"
    """
    names = tuple(known)
    guess = nearest(given, names)
    return (
        f"is not {what}{guess} There are {', '.join(names)}"
        if guess
        else f"is not {what}; there are {', '.join(names)}"
    )


def nearest(given: object, known: Iterable[str]) -> str:
    """A question that proposes the known name which is most like an unknown one; empty if none is like it.

    >>> nearest("Conv1.weigth", ["conv1.weight", "fc.weight"]), nearest("x", ["fc.weight"])
    ("; did you mean 'conv1.weight'?", '')
    """
    names = {name.lower(): name for name in known}
    near = get_close_matches(str(given).lower(), names, n=1)
    return f"; did you mean {names[near[0]]!r}?" if near else ""
