"""A table is declared column by column, each heading beside the way in which its cell is read."""

from reports.findings import CONTINUED, Column, number, table_of, text

ROWS = (("a", "x", 1.0), ("a", "x", 2.0), ("a", "y", 3.0), ("b", "y", 4.0))


def test_a_column_stands_beside_its_cell():
    table = table_of(
        "t", "caption", ROWS, text("who", lambda row: row[0]), number("$n$", "1", lambda row: (row[2], 0.1), digits=2)
    )
    assert table.columns == (Column("who", "text"), Column("$n$", digits=2))
    assert table.rows == tuple((who, (n, 0.1)) for who, _, n in ROWS)


def test_texts_that_continue_are_left_out_and_start_again_below_another():
    table = table_of(
        "t",
        "caption",
        ROWS,
        text("who", lambda row: row[0], once=True),
        text("what", lambda row: row[1], once=True),
        number("n", "count", lambda row: row[2]),
    )
    assert [row[:2] for row in table.rows] == [
        ("a", "x"),
        (CONTINUED, CONTINUED),
        (CONTINUED, "y"),
        ("b", "y"),  # the same word below another first cell is said again
    ]


def test_no_items_make_an_empty_table():
    assert table_of("t", "caption", (), text("who", str)).rows == ()
