"""The command line: parse, call, render. No mathematics here.

Heavy libraries are imported inside the commands, so `eigenalign --help` is fast.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import click

from reports.commands import fresh, network, report, setting, transfer
from reports.commands.group import BAD_INPUT, DONE, INTERRUPTED, UNCONVINCED, UNFORESEEN, eigenalign
from reports.foreign_text import visible

# The modules of the commands: importing one adds its commands to the group.
COMMANDS = (report, setting, network, fresh, transfer)
DEBUG = "EIGENALIGN_DEBUG"
__all__ = ["BAD_INPUT", "DONE", "INTERRUPTED", "UNCONVINCED", "UNFORESEEN", "eigenalign", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0 done, 1 not convinced, 2 bad input, 3 interrupted, 70 unforeseen.

    What is unforeseen is an error of this program: one line, and its traceback too if EIGENALIGN_DEBUG is set. A signal
    that asks for the end (SIGTERM, SIGHUP) is as Ctrl-C.
    """
    own, arguments = arguments is None, list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal's alphabet lacks is shown by its number
            stream.reconfigure(errors="backslashreplace")
    try:
        if any("\0" in argument for argument in arguments):
            return _refuse(as_json, "bad usage", None, None, "an argument contains NUL", "an argument contains NUL")
        return _run(arguments, as_json)
    except OSError as error:  # of stdout or stderr: what they lead to is full, or gone
        return _unwritten(error, own=own)


def _run(arguments: Sequence[str], as_json: bool) -> int:
    try:
        with _ends_as_ctrl_c():
            status = eigenalign.main(args=list(arguments), prog_name="eigenalign", standalone_mode=False)
            if sys.stdout is not None:  # it is None where it was closed before the start
                sys.stdout.flush()
        return status if isinstance(status, int) else DONE
    except click.ClickException as error:
        key = getattr(getattr(error, "param", None), "name", None) or getattr(error, "option_name", None)
        message = " ".join(error.format_message().split())
        return _refuse(as_json, "bad usage", key, None, message, message)
    except (KeyboardInterrupt, click.Abort):
        click.echo("eigenalign: interrupted", err=True)
        return INTERRUPTED
    except (SystemExit, Exception) as error:
        return _failed(as_json, error)


def _failed(as_json: bool, error: BaseException) -> int:
    """The exit status of a command that raised an error: the user's, the machine's, or this program's."""
    from theory.errors import InvalidInput, NoClosedForm

    if isinstance(error, InvalidInput):
        kind, line, more = "bad input", str(error), []
        if isinstance(error, NoClosedForm):
            kind = "no closed form"
            more = [f"  {reason} ({', '.join(forms)})" for reason, forms in error.reasons]
            line = f"none applies to {error.value}, since" if more else line
        return _refuse(as_json, kind, error.key, error.value, error.rule, line, more=more)
    if os.environ.get(DEBUG):
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    if isinstance(error, SystemExit):  # click's, where a pipe to `head` has been closed
        raise BrokenPipeError("its reader is gone")
    if isinstance(error, OSError) and error.filename is not None:
        why = (error.strerror or str(error)).lower()
        return _refuse(as_json, "bad input", "file", error.filename, why, f"{error.filename!r}: {why}")
    if isinstance(error, OSError) and not isinstance(error, TimeoutError | ConnectionError):
        raise error
    said = " ".join(str(error).split())[:200]
    why = f"{type(error).__name__}{f': {said}' if said else ''}"
    if isinstance(error, MemoryError) or "allocate memory" in said or "out of memory" in said:
        advice = "fewer rows, readings or processes take less memory"
    else:
        advice = f"please report the command and the traceback, which {DEBUG}=1 shows"
    return _refuse(as_json, "unforeseen error", None, None, why, f"{why}; {advice}", UNFORESEEN)


def _refuse(
    as_json: bool,
    kind: str,
    key: str | None,
    value: object,
    why: str,
    line: str,
    status: int = BAD_INPUT,
    more: Sequence[str] = (),
) -> int:
    """Say on one line what is wrong, with `more` lines below, and return the status."""
    for said in (f"eigenalign: {kind}: {line}", *more):
        click.echo(visible(said).replace("\n", r"\n"), err=True)
    if as_json:
        click.echo(json.dumps({"error": kind, "key": key, "value": _plain(value), "why": why}))
    return status


def _unwritten(error: OSError, *, own: bool) -> int:
    """The status where stdout or stderr could not be written; what is left in a process of our `own` goes nowhere."""
    if own:
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # without what click has put around them
    with suppress(OSError):
        click.echo(f"eigenalign: cannot write: {(error.strerror or str(error)).lower()}", err=True)
    if own:  # Python would try again at the exit, and end with 120
        for stream in filter(None, (sys.stdout, sys.stderr)):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
    return BAD_INPUT


@contextmanager
def _ends_as_ctrl_c() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt inside, unless they are ignored or have a handler already."""
    before = {}
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        with suppress(ValueError):  # not in the main thread
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _plain(value: object) -> Any:
    from theory.errors import shown

    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return shown(value)
    return value
