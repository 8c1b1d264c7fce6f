"""Shared by all commands: the group, the options --json and --quiet, exit statuses, printing."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from reports.views.view import View

DONE, UNCONVINCED, BAD_INPUT, INTERRUPTED, UNFORESEEN = 0, 1, 2, 3, 70

DEVICE = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where networks are trained; auto: on a GPU where there is one.",
)
TRAINING = (
    click.option(
        "--replicas",
        type=click.IntRange(min=1),
        default=None,
        help="Number of replicas, in place of ensemble.replicas.",
    ),
    DEVICE,
    click.option(
        "--store",
        type=click.Path(path_type=Path),
        default=None,
        metavar="DIR",
        help="Folder in which results are kept.",
    ),
    click.option("--resume", is_flag=True, help="Continue from the results in the store."),
    click.option("--shard", default=None, metavar="i/n", help="Compute only share i of n; `merge` joins them."),
    click.option(
        "--processes",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Number of processes, one core each.",
    ),
)


@click.group(no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="eigenalign")
def eigenalign() -> None:
    """Test the theory of training with random labels: predict, simulate, compare."""


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every command has: --json and --quiet."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON value on stdout, and nothing else.")
    @click.option("--quiet", is_flag=True, help="No progress and no log on stderr.")
    @wraps(command)
    def with_common(*args: Any, quiet: bool, **kwargs: Any) -> Any:
        from reports.processes import LOGGERS

        logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr, force=True)
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR if quiet else logging.INFO)
        return command(*args, quiet=quiet, **kwargs)

    return with_common


def training(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of commands that train an ensemble: number of replicas, device, store, shares."""
    for option in reversed(TRAINING):
        command = option(command)
    return command


def show(view: View, as_json: bool) -> None:
    """Print a view, as one JSON value or as text."""
    click.echo(view.as_json() if as_json else view.as_text())
