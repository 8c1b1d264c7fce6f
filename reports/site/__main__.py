"""`python -m reports.site`: build the site of this checkout."""

from __future__ import annotations

from pathlib import Path

import click

from reports.site.build import build


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("build/site"), show_default=True)
@click.option(
    "--report",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=None,
    help="A report's folder, whose figures the gallery shows; by default the published one.",
)
def main(out: Path, report: Path | None) -> None:
    """Build static pages that need no network."""
    click.echo(f"written to {build(out, report=report)}: open index.html")


if __name__ == "__main__":
    main()
