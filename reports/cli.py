"""The command line: parse, call, render. No mathematics here.

Heavy libraries are imported inside the commands, so that `eigenalign --help` answers at once.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from reports.record import ReportRecord
    from reports.views.view import View

DONE, UNCONVINCED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 3
RECORDS = "records"  # the folder of a report that holds what it was put together from


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0 done, 1 not convinced, 2 bad input, 3 interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in arguments
    try:
        status = eigenalign.main(args=arguments, prog_name="eigenalign", standalone_mode=False)
        return status if isinstance(status, int) else DONE
    except click.ClickException as error:
        key = getattr(getattr(error, "param", None), "name", None) or getattr(error, "option_name", None)
        message = " ".join(error.format_message().split())
        return _refuse(as_json, "bad usage", key, None, message, message)
    except (KeyboardInterrupt, click.Abort):
        click.echo("eigenalign: interrupted", err=True)
        return INTERRUPTED
    except ValueError as error:
        from theory.errors import InvalidInput, NoClosedForm

        if not isinstance(error, InvalidInput):
            raise
        kind = "no closed form" if isinstance(error, NoClosedForm) else "bad input"
        return _refuse(as_json, kind, error.key, error.value, error.rule, str(error))


def _refuse(as_json: bool, kind: str, key: str | None, value: object, why: str, line: str) -> int:
    click.echo(f"eigenalign: {kind}: {line}", err=True)
    if as_json:
        click.echo(json.dumps({"error": kind, "key": key, "value": _plain(value), "why": why}))
    return BAD_INPUT


def _plain(value: object) -> Any:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return repr(value)
    return value


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every command has: --json and --quiet."""

    @click.option("--json", "as_json", is_flag=True, help="One JSON value on stdout, nothing else there.")
    @click.option("--quiet", is_flag=True, help="No progress and no log on stderr.")
    @wraps(command)
    def with_common(*args: Any, quiet: bool, **kwargs: Any) -> Any:
        from reports.processes import LOGGERS

        logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr, force=True)
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR if quiet else logging.INFO)
        return command(*args, quiet=quiet, **kwargs)

    return with_common


@click.group(no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="eigenalign")
def eigenalign() -> None:
    """Do networks trained on random labels align with their data? Predict, simulate, compare."""


@eigenalign.command()
@click.option("--budget", type=click.Choice(["quick", "full", "paper"]), default="quick", show_default=True)
@click.option("--only", default="", metavar="ID,…", help="Judge these claims only.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("report"), show_default=True)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Keep what OUT/records holds, and compute what is missing.")
@click.option(
    "--shard", default=None, metavar="i/n", help="Compute this share of the cases only; --resume puts all together."
)
@click.option("--strict", is_flag=True, help="Exit 1 when a judged claim is refuted or undecided.")
@click.option(
    "--processes", type=click.IntRange(min=1), default=None, help="Workers; by default one per core, and one on a GPU."
)
@click.option(
    "--cifar10",
    type=click.Path(path_type=Path),
    default=None,
    metavar="DIR",
    help="CIFAR-10's data_batch_*.bin: budget paper then trains the paper's own networks on it.",
)
@_common
def report(
    only: str,
    out: Path,
    resume: bool,
    shard: str | None,
    strict: bool,
    processes: int | None,
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> int:
    """Predict, simulate and judge every claim; write tables, figures, report.html, report.pdf.

    With --shard, or under torchrun, only a share of the cases is computed; `report --resume` puts the report together.
    """
    from reports.campaign.run import run_campaign, run_shard
    from simulate.ranges import rank

    asked |= {"only": tuple(name.strip() for name in only.split(",") if name.strip()), "progress": not quiet}
    number, world = rank()
    if shard is None and world > 1:
        shard, processes = f"{number + 1}/{world}", processes or 1  # torchrun has as many processes as it was told
    if shard is not None:
        from reports.views.shard import view

        _show(view(run_shard(shard, out / RECORDS, processes=processes, **asked)), as_json)
        return DONE
    record = run_campaign(folder=out / RECORDS, fresh=not resume, processes=processes, **asked)
    return _written(record, out, as_json, strict=strict)


@eigenalign.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--strict", is_flag=True, help="Exit 1 when a judged claim is refuted or undecided.")
@_common
def typeset(folder: Path, strict: bool, as_json: bool, quiet: bool) -> int:
    """Write the tables, figures and pages of a report again from DIR/records, without computing anything."""
    from reports.campaign.run import assemble

    return _written(assemble(folder / RECORDS), folder, as_json, strict=strict)


def _written(record: ReportRecord, out: Path, as_json: bool, *, strict: bool) -> int:
    """Write a report, say what was found, and return the exit status."""
    from reports.typesetting.document import write

    files = write(record, out, provenance=record.provenance)
    if as_json:
        click.echo((out / "results.json").read_text())
    else:
        from reports.views.report import sections
        from reports.views.view import as_lines

        click.echo(as_lines(sections(record)))
        click.echo(f"\nwritten to {out}: " + ", ".join(sorted(files)))
    return UNCONVINCED if strict and not record.convinced else DONE


@eigenalign.command()
@click.argument("setting_file", metavar="SETTING.toml")
@click.option("--formula", default=None, help="Force one closed form, or a smaller network: scaling.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@_common
def verify(setting_file: str, formula: str | None, device: str, as_json: bool, quiet: bool) -> int:
    """Predict, simulate and compare one setting."""
    from reports.judging.verify import verify as run
    from reports.setting_file import load
    from reports.stability import warn_if_unstable
    from reports.views.verification import view

    setting = load(setting_file)
    warn_if_unstable(setting)
    result = run(setting, formula=formula, device=device, progress=not quiet)
    _show(view(result), as_json)
    return DONE if result.convinced else UNCONVINCED


@eigenalign.command()
@click.argument("setting_file", metavar="SETTING.toml")
@click.option("--formula", default=None, help="Force one closed form; scaling simulates a smaller network.")
@_common
def predict(setting_file: str, formula: str | None, as_json: bool, quiet: bool) -> int:
    """The closed form alone."""
    from reports.judging.verify import predict as run
    from reports.setting_file import load
    from reports.views.prediction import view

    _show(view(run(load(setting_file), formula=formula, progress=not quiet)), as_json)
    return DONE


@eigenalign.command()
@click.argument("setting_file", metavar="SETTING.toml")
@click.option("--replicas", type=click.IntRange(min=1), default=None, help="Overrides ensemble.replicas.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option(
    "--store", type=click.Path(path_type=Path), default=None, metavar="DIR", help="Keep what is computed here."
)
@click.option("--resume", is_flag=True, help="Go on from what the store holds.")
@click.option("--shard", default=None, metavar="i/n", help="Compute this share only; `merge` adds the shares up.")
@click.option("--processes", type=click.IntRange(min=1), default=1, show_default=True, help="Workers, one core each.")
@_common
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
    """The ensemble alone; under torchrun, or with --shard, a share of it."""
    import simulate as simulator
    from reports.setting_file import load
    from reports.stability import warn_if_unstable
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
    _show(view(result), as_json)
    return DONE


@eigenalign.command()
@click.argument("folder", metavar="DIR")
@_common
def merge(folder: str, as_json: bool, quiet: bool) -> int:
    """Put the shards in a store together: those of `simulate`, or those of `transfer`."""
    import simulate as simulator
    from simulate import transfer as transfers

    if transfers.holds_experiment(folder):
        from reports.transfer import study
        from reports.views import transfer as view_of_transfer

        _show(view_of_transfer.view(study(transfers.merge(folder))), as_json)
        return DONE
    from reports.views.simulation import view

    _show(view(simulator.merge(folder)), as_json)
    return DONE


@eigenalign.command()
@click.option("--weights", multiple=True, required=True, metavar="FILE[:KEY]", help="Again for every other training.")
@click.option("--data", required=True, metavar="FILE[:KEY]|DIR", help="What the layer sees: rows, images, activations.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), default=None, help="Write a page, too.")
@click.option("--transposed", is_flag=True, help="Weights are stored inputs first: (d, m), (kh, kw, C, m).")
@click.option("--channels-last", is_flag=True, help="Images are stored (n, H, W, C).")
@click.option("--dilation", type=click.IntRange(min=1), default=1, show_default=True, help="Of a convolution.")
@click.option("--group", default="1/1", metavar="J/G", show_default=True, help="One group of a grouped convolution.")
@click.option("--center", is_flag=True, help="Subtract the mean of the data.")
@click.option("--ridge", type=float, default=0.0, metavar="SHARE", help="Regularise weights of too low a rank.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the tests' random draws.")
@_common
def check(
    weights: tuple[str, ...],
    data: str,
    html: Path | None,
    group: str,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Your own network: is a trained layer aligned with its data? Several --weights are independent trainings."""
    from reports.check import check_files
    from reports.check.weights import parse_group
    from reports.views.check import view

    found = check_files(weights, data, group=parse_group(group), progress=not quiet, **options)
    if html is not None:
        from reports.files import write_atomically
        from reports.views.check_page import html as page

        try:
            write_atomically(html, page(found, [*weights, data]))
        except OSError as error:
            raise click.FileError(str(html), hint=error.strerror or "cannot be written") from None
    _show(view(found), as_json)
    return DONE


@eigenalign.command()
@click.option("--data", default=None, metavar="FILE[:KEY]|DIR", help="From what the layer will see: rows, images.")
@click.option(
    "--setting", "setting_file", default=None, metavar="FILE", help="From its closed form, or an ensemble of it."
)
@click.option("--store", default=None, metavar="DIR", help="From an ensemble that `simulate` has kept.")
@click.option("--shape", required=True, metavar="M,D|M,C,KH,KW", help="Of the weights, in PyTorch's layout.")
@click.option("--norm", type=float, default=None, metavar="X", help="Frobenius norm; torch's, sqrt(M/3), by default.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help=".npy or .safetensors.")
@click.option("--time", type=float, default=None, metavar="U", help="With --data: eta t s_max; 1.2564… by default.")
@click.option("--initial", type=float, default=None, metavar="C", help="With --data: sigma_0² n/(sigma_y² eta t); 0.")
@click.option("--center", is_flag=True, default=None, help="With --data: subtract the mean.")
@click.option("--channels-last", is_flag=True, default=None, help="With --data: images are stored (n, H, W, C).")
@click.option("--dilation", type=click.IntRange(min=1), default=None, help="With --data: of a convolution; 1.")
@click.option("--formula", default=None, help="With --setting: force one closed form.")
@click.option("--replicas", type=click.IntRange(min=1), default=None, help="With --setting: of the ensemble, if any.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the draw.")
@_common
def init(
    data: str | None,
    setting_file: str | None,
    store: str | None,
    shape: str,
    norm: float | None,
    out: Path,
    seed: int,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Draw first-layer weights whose covariance is aligned with the data, as after training on random labels."""
    from reports.init import draw, frobenius
    from reports.init_files import check_suffix, law_from, parse_shape, save
    from reports.views.init import view

    check_suffix(out)
    sizes = parse_shape(shape)
    wanted = frobenius(norm, sizes)
    sources = {"data": data, "setting": setting_file, "store": store}
    given = {name: value for name, value in options.items() if value is not None}
    law = law_from(sources, sizes, given, progress=not quiet)
    try:
        saved = save(out, draw(law, sizes, norm=wanted, seed=seed), law, seed=seed)
    except OSError as error:
        raise click.FileError(str(out), hint=error.strerror or "cannot be written") from None
    _show(view(saved), as_json)
    return DONE


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
@_common
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
        _show(transfer_share.view(result, simulator.progress(result.experiment, store), share, store), as_json)
    else:
        _show(view_of_transfer.view(study(result)), as_json)
    return DONE


@eigenalign.command()
@_common
def claims(as_json: bool, quiet: bool) -> int:
    """List the claims, their references, and what is checked."""
    from reports.claims import CLAIMS
    from reports.views.claims import view

    _show(view(CLAIMS), as_json)
    return DONE


def _show(view: View, as_json: bool) -> None:
    click.echo(view.as_json() if as_json else view.as_text())
