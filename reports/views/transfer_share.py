"""`eigenalign transfer --shard`: what a share of an experiment has computed, and the progress of all shares."""

from __future__ import annotations

from pathlib import Path

from reports.views.view import View
from simulate.transfer import Progress, TransferResult


def view(result: TransferResult, progress: Progress, shard: tuple[int, int], store: Path) -> View:
    """The view of one share: the content of the store, and the next command."""
    treatments, total = [treated.treatment.name for treated in result.treated], progress.replicas
    value = {
        "shard": "{}/{}".format(*shard),
        "replicas": result.replicas,
        "diverged": result.diverged,
        "treatments": treatments,
        "store": {"replicas": total, "upstream": progress.upstream, "downstream": progress.downstream},
    }
    said = f"shard {value['shard']}: {result.replicas} of {total} replicas, {result.diverged} diverged"
    if treatments:
        said += f", after {', '.join(treatments)}"
    state = f"in {store}: {progress.upstream} of {total} replicas upstream, {progress.downstream} downstream; "
    if progress.downstream < total:
        state += f"`eigenalign transfer EXPERIMENT.toml --store {store} --resume` computes the rest"
    else:
        state += f"`eigenalign merge {store}` combines them"
    return View(value, [[said, state]])
