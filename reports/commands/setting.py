"""`eigenalign new-setting`, `predict`, `simulate`, `verify` and `merge`: one setting."""

from __future__ import annotations

from pathlib import Path

import click

from reports.commands.group import DEVICE, DONE, UNCONVINCED, common, eigenalign, show, training


@eigenalign.command("new-setting", short_help="Write a setting file with every key and what it means.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default=Path("setting.toml"))
@common
def new_setting(file: Path, as_json: bool, quiet: bool) -> int:
    """Write a setting file with every key, its default and what it means, at once; by default, setting.toml.

    \b
    Example:
      eigenalign new-setting mine.toml
      eigenalign verify mine.toml
    """  # noqa: D301
    from reports.setting_template import write_template
    from reports.views.setting_template import view

    show(view(write_template(file)), as_json)
    return DONE


@eigenalign.command(short_help="Compare the prediction for a setting with a simulation.")
@click.argument("setting_file", metavar="SETTING.toml")
@click.option(
    "--formula", default=None, help="Use this closed form; scaling and dmft-measured simulate smaller networks."
)
@DEVICE
@common
def verify(setting_file: str, formula: str | None, device: str, as_json: bool, quiet: bool) -> int:
    """Predict and simulate a setting, and compare the two.

    Exits with 0 if the prediction holds, 1 if not, 2 for bad input. Linear models take seconds, networks seconds to
    minutes; the number of replicas and updates decides.

    \b
    Example:
      eigenalign verify setting.toml
    """  # noqa: D301
    from reports.judging.verify import verify as run
    from reports.setting_file import load
    from reports.stability import warn_if_unstable
    from reports.views.data import with_data
    from reports.views.verification import view

    setting = load(setting_file)
    warn_if_unstable(setting)
    result = run(setting, formula=formula, device=device, progress=not quiet)
    show(with_data(view(result), setting), as_json)
    return DONE if result.convinced else UNCONVINCED


@eigenalign.command(short_help="Print the closed-form prediction for a setting.")
@click.argument("setting_file", metavar="SETTING.toml")
@click.option(
    "--formula", default=None, help="Use this closed form; scaling and dmft-measured simulate smaller networks."
)
@common
def predict(setting_file: str, formula: str | None, as_json: bool, quiet: bool) -> int:
    """Print the closed-form prediction for a setting.

    It takes a second or two; `network-dmft`, for networks away from the kernel limit, up to some minutes.

    \b
    Example:
      eigenalign predict setting.toml
      eigenalign predict setting.toml --formula network-lazy
    """  # noqa: D301
    from reports.judging.verify import predict as run
    from reports.setting_file import load
    from reports.views.data import with_data
    from reports.views.prediction import view

    setting = load(setting_file)
    show(with_data(view(run(setting, formula=formula, progress=not quiet)), setting), as_json)
    return DONE


@eigenalign.command(short_help="Train the ensemble of a setting.")
@click.argument("setting_file", metavar="SETTING.toml")
@training
@common
def simulate(
    setting_file: str,
    replicas: int | None,
    device: str,
    store: Path | None,
    resume: bool,
    shard: str | None,
    processes: int,
    as_json: bool,
    quiet: bool,
) -> int:
    """Train the ensemble of a setting; with --shard, or under torchrun, a share of it.

    Linear models take seconds, networks seconds to minutes. With --store, results are kept as they come, and --resume
    goes on after an interruption.

    \b
    Example:
      eigenalign simulate setting.toml --replicas 2000 --store runs --processes 2
      torchrun --no-python --nproc-per-node 2 eigenalign simulate setting.toml --store runs
    """  # noqa: D301
    import simulate as simulator
    from reports.setting_file import load
    from reports.stability import warn_if_unstable
    from reports.views.data import with_data
    from reports.views.simulation import view
    from simulate.ranges import rank

    setting = load(setting_file)
    warn_if_unstable(setting)
    result = simulator.run(
        setting,
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
    show(with_data(view(result), setting), as_json)
    return DONE


@eigenalign.command(short_help="Combine the shards in a store.")
@click.argument("folder", metavar="DIR")
@common
def merge(folder: str, as_json: bool, quiet: bool) -> int:
    """Combine the shards of `simulate` or `transfer` in a store; it takes seconds, nothing is trained.

    \b
    Example:
      eigenalign simulate setting.toml --store runs --shard 1/2
      eigenalign simulate setting.toml --store runs --shard 2/2
      eigenalign merge runs
    """  # noqa: D301
    import simulate as simulator
    from simulate import transfer as transfers

    if transfers.holds_experiment(folder):
        from reports.transfer import answer_transfer
        from reports.views import transfer as view_of_transfer

        found = answer_transfer(*transfers.merge_with_networks(folder), progress=not quiet)
        show(view_of_transfer.view(*found), as_json)
        return DONE
    from reports.views.simulation import view

    show(view(simulator.merge(folder)), as_json)
    return DONE
