"""`eigenalign report --shard`: how many cases are done, and how to complete the report."""

from __future__ import annotations

from reports.campaign.run import Shared
from reports.record import to_builtins
from reports.views.view import View


def view(done: Shared) -> View:
    """The view of one share of a report."""
    said = f"shard {done.shard}: {done.kept} of {done.cases} cases are done, in {done.folder}"
    return View(to_builtins(done), [[said, "`eigenalign report --resume` with the same options completes the report"]])
