"""Numbers as a paper prints them: 0.123(4), 1.2×10⁻⁷, with the digits that their errors allow."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from reports import probability

_SMALLEST_FIXED, _LARGEST_FIXED = Decimal("1e-3"), Decimal("1e5")
_LARGEST_INTEGER = 10**7
UNRESOLVED = "$<10^{-16}$"  # how a p-value below `probability.SMALLEST` is printed


@dataclass(frozen=True)
class Number:
    """A rounded number in parts: sign, integer digits, decimals, digits of the error, power of ten.

    `error` counts units of the last decimal, as in 0.123(4); it is empty where there is no error.
    """

    sign: str
    integer: str
    fraction: str = ""
    error: str = ""
    exponent: int | None = None

    @property
    def mantissa(self) -> str:
        point = "." if self.fraction else ""
        error = f"({self.error})" if self.error else ""
        return f"{self.sign}{self.integer}{point}{self.fraction}{error}"

    def siunitx(self) -> str:
        """The number as an S column reads it: -1.23(4)e-7."""
        return self.mantissa + (f"e{self.exponent}" if self.exponent is not None else "")

    def math(self) -> str:
        r"""The number as LaTeX math, without the dollars: -1.23(4)\times10^{-7}."""
        return self.mantissa + (rf"\times10^{{{self.exponent}}}" if self.exponent is not None else "")


def rounded(value: float, error: float | None = None, *, digits: int = 3, error_digits: int = 1) -> Number:
    """`value` rounded to `error_digits` significant digits of its error, or without one to `digits` of its own.

    Powers of ten appear outside [0.001, 100000). Digits before the decimal point are never rounded away without an
    error, and integers below ten million are printed whole.

    >>> rounded(0.12345, 0.0041).siunitx()
    '0.123(4)'
    >>> rounded(-1.2345e-7).siunitx()
    '-1.23e-7'
    """
    exact = Decimal(repr(float(value))) if not isinstance(value, int) else Decimal(value)
    if error is not None and math.isfinite(error) and error > 0:
        return _with_error(exact, Decimal(repr(float(error))), error_digits)
    if isinstance(value, int) and abs(value) < _LARGEST_INTEGER:
        return _parts(exact, 0)
    if exact == 0:
        return Number("", "0")
    exact = _to_place(exact, _magnitude(exact) - digits + 1)
    magnitude = _magnitude(exact)
    if _SMALLEST_FIXED <= abs(exact) < _LARGEST_FIXED:
        if magnitude - digits + 1 > 0:
            exact = Decimal(repr(float(value)))
        return _parts(exact, min(magnitude - digits + 1, 0))
    return _parts(exact.scaleb(-magnitude), 1 - digits, exponent=magnitude)


def to_decimals(value: float, decimals: int) -> Number:
    """`value` in fixed notation with so many decimals."""
    return _parts(Decimal(repr(float(value))), -decimals)


def rounded_as(value: float, other: Number) -> Number:
    """`value` to the last decimal of `other`, in the same notation unless it is far larger."""
    exact = Decimal(repr(float(value)))
    magnitude = _magnitude(exact)
    if other.exponent is None:
        return _parts(exact, -len(other.fraction)) if abs(exact) < _LARGEST_FIXED else rounded(value, digits=4)
    place = other.exponent - len(other.fraction)
    exponent = max(magnitude, other.exponent)
    return _parts(exact.scaleb(-exponent), max(place - exponent, -12), exponent=exponent)


def error_digits(errors: Iterable[float | None]) -> int:
    """The digits that all errors of a column carry: two if one of them begins with a 1 (which one digit blurs by up
    to a third), otherwise one.

    >>> error_digits([0.02, 0.0311]), error_digits([0.02, 0.0131])
    (1, 2)
    """
    known = [error for error in errors if error is not None and math.isfinite(error) and error > 0]
    return 2 if any(f"{error:.1e}"[0] == "1" for error in known) else 1


def is_number(value: Any) -> bool:
    """Whether `value` is a real number, NumPy's included, and not a truth value."""
    return isinstance(plain(value), (int, float)) and not isinstance(plain(value), bool)


def is_pair(value: Any) -> bool:
    """Whether `value` is a number with its standard error, which may be None."""
    return (
        isinstance(value, (tuple, list))
        and len(value) == 2
        and is_number(value[0])
        and (value[1] is None or is_number(value[1]))
    )


def plain(value: Any) -> Any:
    """NumPy's scalars as Python's, everything else as it is."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value


def pvalue(p: float | None) -> str:
    r"""A p-value in text with math: two significant digits down to 0.001, then powers of ten.

    Below 1e-16 only this bound is shown.

    >>> pvalue(0.4321), pvalue(3.2e-7), pvalue(0.0)
    ('$0.43$', '$3\\times10^{-7}$', '$<10^{-16}$')
    """
    if p is None or math.isnan(p):
        return ""
    number = rounded_p(p)
    return UNRESOLVED if number is None else f"${number.math()}$"


def rounded_p(p: float) -> Number | None:
    """A p-value with the digits of `pvalue`; None below what tests resolve."""
    if p < probability.SMALLEST:
        return None
    return to_decimals(p, 2) if p >= 0.1 else rounded(p, digits=2 if p >= 1e-3 else 1)


def _with_error(value: Decimal, error: Decimal, digits: int) -> Number:
    error = _to_place(error, _magnitude(error) - digits + 1)
    place = _magnitude(error) - digits + 1
    value = _to_place(value, place)
    largest = max(abs(value), error)
    exponent = None if _SMALLEST_FIXED <= largest < _LARGEST_FIXED else _magnitude(largest)
    if exponent is not None:
        value, error, place = value.scaleb(-exponent), error.scaleb(-exponent), place - exponent
    number = _parts(value, min(place, 0), exponent=exponent)
    return Number(number.sign, number.integer, number.fraction, str(int(error.scaleb(-min(place, 0)))), exponent)


def _parts(value: Decimal, place: int, exponent: int | None = None) -> Number:
    text = f"{_to_place(abs(value), place):f}"
    integer, _, fraction = text.partition(".")
    sign = "-" if value < 0 and any(digit != "0" for digit in integer + fraction) else ""
    return Number(sign, integer, fraction, exponent=exponent)


def _magnitude(value: Decimal) -> int:
    """floor(log10 |value|), and 0 for zero."""
    return value.adjusted() if value else 0


def _to_place(value: Decimal, place: int) -> Decimal:
    """`value` rounded to multiples of 10^place, which stay exact however long they are."""
    return Decimal(int((value.scaleb(-place)).to_integral_value(ROUND_HALF_EVEN))).scaleb(place)
