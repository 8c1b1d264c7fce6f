"""What is printed when numbers are pinned anew."""

from tests.pinning.kept import changes, pin, pinned


def test_rows_that_gain_as_many_entries_share_a_line():
    before = {name: [1.0, 2.0] for name in "abcdefgh"} | {"gone": [1]}
    found = before | {"new": [1], "a": [1.0, 3.0], "h": [1.0]} | {name: ["first", 1.0, 2.0] for name in "bcdef"}
    del found["gone"]
    assert list(changes(found, before, {})) == [
        "a: entry 1: 3.0 instead of 2.0",
        "gone: gone",
        "new: new",
        "-1 entry: h",
        "+1 entry: b; c; d; and 2 more",
    ]


def test_numbers_within_their_tolerance_have_not_changed():
    assert not list(changes({"a": [1.001]}, {"a": [1.0]}, {"a": 0.01}))
    assert list(changes({"a": [1.001]}, {"a": [1.0]}, {}))


def test_what_is_pinned_is_read_again_and_has_not_changed(tmp_path, capsys):
    rows = {"number": lambda: 0.1 + 0.2, "words": lambda: ["ä", None, True]}
    pin(rows, {}, tmp_path / "values.json")
    assert capsys.readouterr().out == "number: new\nwords: new\n"
    assert pinned(tmp_path / "values.json") == {"number": [0.3], "words": ["ä", None, True]}
    pin(rows, {}, tmp_path / "values.json")
    assert capsys.readouterr().out == ""
