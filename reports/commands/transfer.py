"""`eigenalign transfer`: one transfer experiment."""

from __future__ import annotations

from pathlib import Path

import click

from reports.commands.group import DONE, common, eigenalign, show, training


@eigenalign.command(short_help="Test whether random-label training helps another task.")
@click.argument("experiment_file", metavar="EXPERIMENT.toml")
@click.option("--predict", is_flag=True, help="Train upstream only, and print the prediction for downstream training.")
@training
@common
def transfer(
    experiment_file: str,
    predict: bool,
    replicas: int | None,
    device: str,
    store: Path | None,
    resume: bool,
    shard: str | None,
    processes: int,
    as_json: bool,
    quiet: bool,
) -> int:
    """Test whether training on random labels helps with another task.

    Trains upstream, applies each treatment, trains downstream, and compares with training from scratch, in pairs of
    replicas. Prints for each treatment whether it helps or hurts, by how much, and what the theory predicted, and why.
    --predict prints the prediction alone.

    \b
    # a transfer that hurts; 10 seconds on one core
    eigenalign transfer reports/examples/transfer_specialised.toml
    # a transfer that helps; a minute; then its prediction alone
    eigenalign transfer reports/examples/transfer_digits.toml
    eigenalign transfer reports/examples/transfer_digits.toml --predict

    With --shard, or under torchrun, only a share of the replicas is trained. Treatments that draw weights from the
    moments of other replicas need the upstream training of all shards.
    """  # noqa: D301  # the escape tells click to keep the lines
    from reports.experiment_file import load
    from reports.transfer import answer_transfer, predict_transfer
    from reports.views import transfer as view_of_transfer
    from reports.views import transfer_prediction, transfer_share
    from simulate import transfer as simulator
    from simulate.ranges import rank, share_of
    from theory.errors import InvalidInput

    experiment, share = load(experiment_file), share_of(shard)
    if predict:
        if share[1] > 1:
            rule = "applies to downstream training only; --predict --store DIR --resume reads all shards in DIR"
            raise InvalidInput("shard", "{}/{}".format(*share), rule)
        foretold = predict_transfer(
            experiment,
            replicas=replicas,
            device=device,
            progress=not quiet,
            store=store,
            resume=resume,
            processes=processes,
        )
        show(transfer_prediction.view(*foretold), as_json)
        return DONE
    result, switched = simulator.run_with_networks(
        experiment,
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
    if store is not None and share[1] > 1:
        show(transfer_share.view(result, simulator.progress(result.experiment, store), share, store), as_json)
    else:
        found = answer_transfer(result, switched, processes=processes, progress=not quiet)
        show(view_of_transfer.view(*found), as_json)
    return DONE
