"""`eigenalign transfer`: one transfer experiment."""

from __future__ import annotations

from pathlib import Path

import click

from reports.commands.group import DONE, common, eigenalign, show, training


@eigenalign.command()
@click.argument("experiment_file", metavar="EXPERIMENT.toml")
@training
@common
def transfer(
    experiment_file: str,
    replicas: int | None,
    device: str,
    store: Path | None,
    resume: bool,
    shard: str | None,
    processes: int,
    as_json: bool,
    quiet: bool,
) -> int:
    """Upstream training, a treatment, downstream training: paired with training from scratch.

    Under torchrun, or with --shard, a share of the replicas. Weights that are drawn from the moments of other replicas
    wait until all have been trained upstream.
    """
    from reports.experiment_file import load
    from reports.transfer import study
    from reports.views import transfer as view_of_transfer
    from reports.views import transfer_share
    from simulate import transfer as simulator
    from simulate.ranges import rank, share_of

    result = simulator.run(
        load(experiment_file),
        replicas=replicas,
        device=device,
        progress=not quiet,
        store=store,
        resume=resume,
        shard=shard,
        processes=processes,
    )
    if shard is None and rank()[0] > 0:
        return DONE
    share = share_of(shard)
    if store is not None and share[1] > 1:
        show(transfer_share.view(result, simulator.progress(result.experiment, store), share, store), as_json)
    else:
        show(view_of_transfer.view(study(result)), as_json)
    return DONE
