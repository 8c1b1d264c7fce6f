"""`python -m tests.schedule REPORT/records`: a Markdown table of the time that a report takes on many machines."""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.schedule import bound, by_queue, by_shards, measured_pieces

MACHINES = (1, 2, 4, 8, 16, 32, 100)


def main() -> None:
    """Print the table, and the longest pieces."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", type=Path)
    pieces = measured_pieces(parser.parse_args().records)
    total = sum(piece.seconds for piece in pieces)
    print("| processes | from one queue | as shards | no schedule is faster than | speed-up as shards |")
    print("|---|---|---|---|---|")
    for count in MACHINES:
        shards = by_shards(pieces, count)
        times = " | ".join(
            f"{seconds / 60:.1f} min" for seconds in (by_queue(pieces, count), shards, bound(pieces, count))
        )
        print(f"| {count} | {times} | {total / shards:.1f} |")
    print(f"\n{len(pieces)} pieces, {total / 60:.1f} core-minutes. The longest:")
    for piece in sorted(pieces, key=lambda piece: -piece.seconds)[:10]:
        print(f"- {piece.seconds:.0f} s, {piece.name}")


if __name__ == "__main__":
    main()
