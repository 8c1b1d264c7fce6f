"""The counted rates as the Markdown table of the guide."""

from __future__ import annotations

from collections.abc import Sequence

from tests.calibration.study import Rate

COLUMNS = ("procedure", "setting", "promise", "declared", "counted", "95 % interval", "draws", "")
HEAD = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


def markdown(rates: Sequence[Rate]) -> str:
    """A line per study."""
    return "\n".join([HEAD, *map(_line, rates)])


def _line(rate: Rate) -> str:
    study, (low, high) = rate.study, rate.interval
    verdict = f"outside: {study.outside}" if study.outside else "kept" if rate.kept else "**broken**"
    cells = (
        f"`{study.procedure}`", study.setting, study.promise, f"{study.declared:.3g}", f"{rate.share:.3g}",
        f"{low:.2g} … {high:.2g}", f"{rate.draws:,}", verdict,
    )  # fmt: skip
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"  # a bar would end the cell
