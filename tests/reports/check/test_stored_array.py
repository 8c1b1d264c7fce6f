"""What is said of a reader that fails, and of an array without a name."""

from pathlib import Path

import numpy as np
import pytest

from reports.check.stored_array import StoredArray, readable
from theory.errors import InvalidInput


@pytest.mark.parametrize(
    ("message", "said"),
    [("", "ValueError"), ("\nmore", "ValueError"), ("one\n\n", "one"), ("one\nmore", "one"), ("one", "one")],
)
def test_of_a_readers_message_the_first_line_is_said_or_its_kind(message, said):
    with pytest.raises(InvalidInput) as found, readable(Path("w.npy"), "weights"):
        raise ValueError(message)
    assert str(found.value).endswith(f"is damaged or has the wrong type ({said})")


def test_what_was_refused_already_is_said_as_it_was():
    with pytest.raises(InvalidInput, match=r"^data = 'x': must be y$"), readable(Path("w.npy"), "weights"):
        raise InvalidInput("data", "x", "must be y")


@pytest.mark.parametrize(
    ("name", "shape", "said"), [("w", (2, 3), "w (2 × 3)"), ("", (2, 3), "2 × 3"), ("w", (), "w (one number)")]
)
def test_an_array_is_described_by_name_and_shape(name, shape, said):
    assert StoredArray(name, shape, "f", lambda start, stop: np.zeros(0)).describe() == said
