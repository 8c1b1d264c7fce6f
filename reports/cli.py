"""The command line: parse, call, render. No mathematics here.

Heavy libraries are imported inside the commands, so `eigenalign --help` is fast.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from reports.commands import fresh, network, report, setting, transfer
from reports.commands.group import BAD_INPUT, DONE, INTERRUPTED, UNCONVINCED, eigenalign

COMMANDS = (report, setting, network, fresh, transfer)  # importing a module adds its commands to the group
__all__ = ["BAD_INPUT", "DONE", "INTERRUPTED", "UNCONVINCED", "eigenalign", "main"]


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
        kind, line = "bad input", str(error)
        if isinstance(error, NoClosedForm):
            kind = "no closed form"
            if error.reasons:
                line = f"none applies to {error.value}, since"
                line += "".join(f"\n  {reason} ({', '.join(forms)})" for reason, forms in error.reasons)
        return _refuse(as_json, kind, error.key, error.value, error.rule, line)


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
