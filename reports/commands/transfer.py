"""`eigenalign transfer`: one transfer experiment."""

from __future__ import annotations

from pathlib import Path

import click

from reports.commands.group import DONE, common, eigenalign, show, training


@eigenalign.command()
@click.argument("experiment_file", metavar="EXPERIMENT.toml")
@click.option("--predict", is_flag=True, help="Train upstream only, and say what the theory predicts of what follows.")
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
    """Does training on random labels help with another task? Upstream training, a treatment, downstream training.

    Every treatment is paired with training from scratch, and ends in a sentence: it helps or hurts, how much, and what
    the theory predicted of these networks at the switch, and why. --predict gives the prediction alone.

    \b
    # it hurts, 10 seconds of a core
    eigenalign transfer reports/examples/transfer_specialised.toml
    # it helps, a minute; then the prediction alone
    eigenalign transfer reports/examples/transfer_digits.toml
    eigenalign transfer reports/examples/transfer_digits.toml --predict

    Under torchrun, or with --shard, a share of the replicas. Weights that are drawn from the moments of other replicas
    wait until all have been trained upstream.
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
            rule = (
                "belongs to downstream training; --predict --store DIR --resume reads what all shards have left there"
            )
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
