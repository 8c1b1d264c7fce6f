"""The layout of a table: one rule for the digits of a column, and widths."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reports.findings import Column, Table
from reports.typesetting.layout import ARTICLE, GAP, lay_out
from reports.typesetting.numbers import error_digits


def test_one_digit_rule_a_column():
    assert error_digits([0.02, None, math.nan, 0.0, 0.3]) == 1
    assert error_digits([0.02, 0.0149]) == 2
    assert error_digits([0.0996]) == 2
    table = Table("t", "", (Column("x"),), (((1.234567, 0.0021),), ((0.5, 0.0131),), ((2, None),)))
    assert [cell.number.siunitx() for cell in lay_out(table).columns[0].cells] == ["1.2346(21)", "0.500(13)", "2"]


@given(st.lists(st.text("abc ", min_size=1, max_size=120), min_size=1, max_size=6))
def test_columns_fill_no_more_than_an_article(texts):
    layout = lay_out(Table("t", "", tuple(Column("h", "text") for _ in texts), (tuple(texts),)))
    total = sum(c.wrap[0] if c.wrap else c.width for c in layout.columns) + GAP * (len(texts) - 1)
    longest = max(len(word) for text in texts for word in [*text.split(), ""])
    if longest < 8:
        assert total <= ARTICLE + 1e-6
    assert all(column.wrap is None or column.wrap[0] <= column.wrap[1] for column in layout.columns)


def test_numpy_scalars_are_numbers():
    table = Table("t", "", (Column("x"),), ((np.float64(0.5),), ((np.float32(0.25), np.float64(0.1)),), (np.int64(7),)))
    assert [cell.number.siunitx() for cell in lay_out(table).columns[0].cells] == ["0.500", "0.25(10)", "7"]
