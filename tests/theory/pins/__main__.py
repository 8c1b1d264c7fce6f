"""`python -m tests.theory.pins` prints which numbers have changed since they were pinned, and pins them anew."""

from __future__ import annotations

from tests.pinning.kept import pin
from tests.theory.pins.rows import FILE, LOOSE, ROWS

if __name__ == "__main__":
    pin(ROWS, LOOSE, FILE)
