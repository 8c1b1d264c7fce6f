"""Comments of constants, which the reference shows as their docstrings."""

from reports.site.comments import comments_of
from reports.site.reference import described, write_reference


def test_a_constant_has_the_comment_beside_it_and_otherwise_the_one_above():
    source = """\
# of the file, which the blank line keeps from ONE

ONE = 1
# above
TWO = 2  # beside, which counts
# above THREE,
# in three
# lines
THREE: int = 3
FOUR = [
    4,  # of an entry
]  # at the end
FIVE = "# in a string"
A = B = 6  # of two
a.b = 7  # of something else
# fmt: off
EIGHT = 8  # type: ignore
def function():
    NINE = 9  # inside
"""
    assert comments_of(source) == {
        "TWO": "beside, which counts",
        "THREE": "above THREE, in three lines",
        "FOUR": "at the end",
    }


def test_the_reference_shows_and_finds_comments_of_constants(tmp_path):
    known = write_reference(tmp_path, tmp_path / "derivations.html", ("reports.check.array_names", "theory.errors"))
    text = (tmp_path / "reports" / "check" / "array_names.html").read_text()
    said = "keys under which a checkpoint keeps its model"
    assert said in text.split('id="WRAPPERS"')[1].split("</section>")[0]
    assert any(said in section.text and section.heading == "WRAPPERS" for section in described(known))
