"""The exceptions of the package: bad input is an exception, a failed claim is a value."""

from __future__ import annotations


class InvalidInput(ValueError):
    """An argument breaks a rule; names the argument, the rule and the value.

    Attributes
    ----------
    key : str
        The argument, or the dotted key of a setting (``data.spectrum[1]``).
    value : object
        What was given.
    rule : str
        The rule that it breaks, in words.
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
    """No closed form covers a setting; ``rule`` says, form by form, which hypothesis is missing."""


class Diverged(InvalidInput):
    """Training left too few networks with finite numbers for anything to be said of them."""


def shown(value: object) -> str:
    """Its repr, or that it has none: of lists in lists of lists, of an integer with more digits than Python prints."""
    try:
        return repr(value)
    except (RecursionError, ValueError):
        return f"({type(value).__name__}, too large to be shown)"


def _short(value: object, width: int = 80) -> str:
    text = " ".join(shown(value).split())
    return text if len(text) <= width else text[: width - 1] + "…"
