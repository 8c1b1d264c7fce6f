"""`eigenalign transfer`: one transfer experiment."""

from __future__ import annotations

from pathlib import Path

import click

from reports.commands.group import DONE, common, eigenalign, show


@eigenalign.command()
@click.argument("experiment_file", metavar="EXPERIMENT.toml")
@click.option("--replicas", type=click.IntRange(min=1), default=None, help="Overrides ensemble.replicas.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option(
    "--store", type=click.Path(path_type=Path), default=None, metavar="DIR", help="Keep what is computed here."
)
@click.option("--resume", is_flag=True, help="Go on from what the store holds.")
@click.option("--shard", default=None, metavar="i/n", help="Compute this share only; --resume computes what is left.")
@click.option("--processes", type=click.IntRange(min=1), default=1, show_default=True, help="Workers, one core each.")
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
