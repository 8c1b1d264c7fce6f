"""`eigenalign report`, `typeset` and `claims`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reports.commands.group import DEVICE, DONE, UNCONVINCED, common, eigenalign, show

if TYPE_CHECKING:
    from reports.record import ReportRecord

RECORDS = "records"  # the folder of a report that holds its records
FLOATS = click.option(
    "--floats", is_flag=True, help="Also write the tables as LaTeX floats with captions and labels, in OUT/floats."
)


@eigenalign.command(short_help="Judge every claim; write tables, figures and a report.")
@click.option(
    "--budget",
    type=click.Choice(["quick", "full", "paper"]),
    default="quick",
    show_default=True,
    help="On two cores, quick takes about three minutes, full half an hour; paper trains the paper's own networks, "
    "too, and takes days or a GPU.",
)
@click.option(
    "--only", default=None, metavar="ID,…", help="Judge these claims only, say A1,C3; `eigenalign claims` lists them."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("report"),
    show_default=True,
    help="Folder of the report.",
)
@DEVICE
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all randomness.")
@FLOATS
@click.option("--resume", is_flag=True, help="Use the records in OUT/records, and compute only the missing ones.")
@click.option(
    "--shard",
    default=None,
    metavar="i/n",
    help="Compute only share i of n of the cases; --resume completes the report.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 if a judged claim is refuted or undecided.")
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=None,
    help="Number of processes; default: one per core, and one on a GPU.",
)
@click.option(
    "--cifar10",
    type=click.Path(path_type=Path),
    default=None,
    metavar="DIR",
    help="Folder with CIFAR-10's data_batch_*.bin; --budget paper then trains the paper's networks.",
)
@common
def report(
    only: str | None,
    out: Path,
    floats: bool,
    resume: bool,
    shard: str | None,
    strict: bool,
    processes: int | None,
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> int:
    """Predict, simulate and judge every claim; write tables, figures, report.html, report.pdf.

    With --shard, or under torchrun, only a share of the cases is computed; `report --resume` completes the report.

    The claims are A1 to A9 and B4 (alignment), B1 to B3, B5 to B7, F2, F6 and F7 (shape of f), F1, F3, F4 and F9
    (closed forms), C1 to C8, F5, F8 and T1 (transfer).

    \b
    Example:
      eigenalign report
      eigenalign report --only A3,F4 --out forms
      eigenalign report --budget full --resume
    """  # noqa: D301
    from reports.campaign.run import run_campaign, run_shard
    from simulate.ranges import rank

    names = tuple(name.strip() for name in (only or "").split(",") if name.strip())
    if only is not None and not names:
        raise click.UsageError("--only names no claim")  # an empty variable of a script, which would ask for all
    asked |= {"only": names, "progress": not quiet}
    number, world = rank()
    if shard is None and world > 1:
        shard, processes = f"{number + 1}/{world}", processes or 1  # torchrun starts one process per share
    if shard is not None:
        from reports.views.shard import view

        show(view(run_shard(shard, out / RECORDS, processes=processes, **asked)), as_json)
        return DONE
    record = run_campaign(folder=out / RECORDS, fresh=not resume, processes=processes, **asked)
    return _written(record, out, as_json, floats=floats, strict=strict, processes=processes)


@eigenalign.command(short_help="Write a report again from its records.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@FLOATS
@click.option("--strict", is_flag=True, help="Exit with 1 if a judged claim is refuted or undecided.")
@common
def typeset(folder: Path, floats: bool, strict: bool, as_json: bool, quiet: bool) -> int:
    """Write tables, figures and pages again from DIR/records, in a minute or two; nothing is trained.

    \b
    Example:
      eigenalign typeset report
    """  # noqa: D301
    from reports.campaign.run import assemble

    return _written(assemble(folder / RECORDS), folder, as_json, floats=floats, strict=strict)


def _written(
    record: ReportRecord, out: Path, as_json: bool, *, floats: bool, strict: bool, processes: int | None = None
) -> int:
    """Write a report, print a summary, and return the exit status."""
    from reports.processes import cores
    from reports.typesetting.document import write

    files = write(record, out, provenance=record.provenance, floats=floats, processes=processes or cores())
    if as_json:
        click.echo(json.dumps(json.loads((out / "results.json").read_text(encoding="utf-8"))))
    else:
        from reports.views.report import sections
        from reports.views.view import as_lines

        click.echo(as_lines(sections(record)))
        click.echo(f"\nwritten to {out}: " + ", ".join(sorted(files)))
    return UNCONVINCED if strict and not record.convinced else DONE


@eigenalign.command(short_help="List the claims, with references and methods.")
@common
def claims(as_json: bool, quiet: bool) -> int:
    """List the claims at once, with references and methods.

    \b
    Example:
      eigenalign claims
    """  # noqa: D301
    from reports.claims import CLAIMS
    from reports.views.claims import view

    show(view(CLAIMS), as_json)
    return DONE
