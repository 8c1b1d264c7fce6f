"""Numbers, digit by digit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.typesetting.numbers import pvalue, rounded


@pytest.mark.parametrize(
    ("value", "error", "digits", "expected"),
    [
        (0.12345, 0.0041, 1, "0.123(4)"),
        (0.12345, 0.0096, 1, "0.12(1)"),
        (0.12345, 0.0131, 2, "0.123(13)"),
        (-1.5, 12.0, 2, "-2(12)"),
        (12345.0, 43.0, 1, "12340(40)"),
        (12.34, 1.23, 2, "12.3(12)"),
        (1.2309e8, 4.1e5, 1, "1.231(4)e8"),
        (-2.4e-7, 3e-8, 1, "-2.4(3)e-7"),
        (1e-9, 2e-5, 1, "0(2)e-5"),
        (-1e-9, 0.02, 1, "0.00(2)"),
        (0.99996, 0.001, 1, "1.000(1)"),
    ],
)
def test_a_value_is_rounded_to_the_digits_of_its_error(value, error, digits, expected):
    assert rounded(value, error, error_digits=digits).siunitx() == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[(0.0, "0"), (5, "5"), (2000000, "2000000"), (0.0012345, "0.00123"), (99.96, "100"), (12345.6, "12346")],
        *[(123456.0, "1.23e5"), (99999.9, "1.00e5"), (0.000999999, "0.00100"), (-3.2e-15, "-3.20e-15")],
        (5e-324, "5.00e-324"),
    ],
)
def test_a_number_without_error_keeps_its_significant_digits(value, expected):
    assert rounded(value).siunitx() == expected


@given(st.floats(1e-12, 1e12), st.floats(1e-12, 1e12), st.integers(1, 2), st.booleans())
def test_what_is_printed_is_within_half_a_unit_of_the_last_digit(value, error, digits, negative):
    value = -value if negative else value
    number = rounded(value, error, error_digits=digits)
    unit = 10.0 ** ((number.exponent or 0) - len(number.fraction))
    shown = float(f"{number.sign}{number.integer}.{number.fraction or 0}e{number.exponent or 0}")
    place = max(unit, 10.0 ** (math.floor(math.log10(int(number.error) * unit)) - digits + 1))
    assert abs(shown - value) <= 0.51 * place + 1e-9 * abs(value)
    assert abs(int(number.error) * unit - error) <= 0.51 * place + 1e-9 * error


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        *[(0.4321, "$0.43$"), (1.0, "$1.00$"), (0.0431, "$0.043$"), (0.0012, "$0.0012$"), (None, ""), (math.nan, "")],
        *[(3.2e-7, r"$3\times10^{-7}$"), (2e-16, r"$2\times10^{-16}$"), (9e-17, "$<10^{-16}$"), (0.0, "$<10^{-16}$")],
    ],
)
def test_pvalues(p, expected):
    assert pvalue(p) == expected
