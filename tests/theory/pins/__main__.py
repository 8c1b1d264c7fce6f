"""`python -m tests.theory.pins` prints which numbers have changed since they were pinned, and pins them anew."""

from __future__ import annotations

from tests.theory.pins.rows import LOOSE, ROWS
from tests.theory.pins.table import WITHIN, agree, leaves
from tests.theory.pins.values import FILE, pin, pinned


def main() -> None:
    found = {name: leaves(call()) for name, call in ROWS.items()}
    before = pinned() if FILE.exists() else {}
    for name in sorted({*found, *before}):
        if name not in found or name not in before:
            print(f"{name}: {'new' if name in found else 'gone'}")
            continue
        for line in agree(found[name], before[name], LOOSE.get(name, WITHIN)):
            print(f"{name}: {line}")
    pin(found)


if __name__ == "__main__":
    main()
