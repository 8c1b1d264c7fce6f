"""What cannot be computed, or would take years, is refused in one line before the work; a fault of ours says so."""

import errno
import io
import json
import os
import signal
import sys
import time

import pytest

from reports import cli
from tests.processes import python
from tests.reports.command_line import run_quietly, write

DATA = '[data]\nkind = "gaussian"\nspectrum = [1.0, 2.0]\nsamples = 8\n'
FEW = "[ensemble]\nreplicas = 20\n"
DIGITS = "9" * 5000


def law(dimension):
    return f'[data]\nkind = "gaussian"\nspectrum = {{law = "power", dimension = {dimension}}}\nsamples = 8\n'


def steps(number, **more):
    lines = [f"steps = {number}", *(f"{key} = {json.dumps(value)}" for key, value in more.items())]
    return DATA + "[training]\n" + "\n".join(lines) + "\n" + FEW


@pytest.mark.parametrize(
    ("command", "text", "why"),
    [
        ("predict", DATA.replace("= 8", f"= {DIGITS}"), "Exceeds the limit (4300 digits)"),
        ("predict", DATA.replace("= 8", f"= 0x{'f' * 5000}"), "too large to be shown"),
        ("predict", "a=" + "[" * 20000 + "]" * 20000, "fewer brackets"),
        ("predict", "a=" + "{a=" * 20000, "fewer brackets"),
        ("predict", ".".join("a" * 20000) + "=1", "keys of at most 64 parts"),
        ("predict", "#" * 2**20 + "\n", "must not exceed 1048576 bytes"),
        ("predict", '"a`b\\nc\\u001b" = 1', r"a`b\nc\x1b"),
        ("predict", '[data]\nkind = "array"\npath = "a\\u0000b"', "embedded null "),
        ("simulate", f'[data]\nkind = "cifar10"\npath = "{"a" * 5000}"', "file name too long"),
        ("simulate", DATA + f"[labels]\noutputs = {2**53}\n" + FEW, "2^53"),
        ("simulate", DATA + f"[labels]\noutputs = {2**52}\n" + FEW, "EIGENALIGN_MEMORY"),
        ("simulate", DATA + f"[labels]\nkind = 'classes'\nclasses = {2**40}\n" + FEW, "EIGENALIGN_MEMORY"),
        ("simulate", DATA + "[training]\nlearning_rate = 1e39\n[ensemble]\ndtype = 'float32'", "float32"),
        ("simulate", DATA + "[training]\nlearning_rate = 1e-46\n[ensemble]\ndtype = 'float32'", "float32"),
        ("simulate", DATA.replace("= 8", "= 1000000000000") + FEW, "the rows of one replica need"),
        ("simulate", DATA.replace("= 8", f"= {2**62}") + FEW, "2^53"),
        ("simulate", DATA + "[network]\nkind = 'mlp'\nhidden = [1000000000]\n" + FEW, "the weights of a layer need"),
        ("simulate", DATA + f"[ensemble]\nreplicas = {10**12}\n", "cut the ensemble into more shares"),
        ("verify", DATA + f"[ensemble]\nreplicas = {10**12}\n", "cut the ensemble into more shares"),
        ("simulate", DATA + f"[ensemble]\nreplicas = {2**62}\n", "EIGENALIGN_OPERATIONS"),
        ("predict", steps(10**30), "2^53"),
        ("simulate", steps(10**15), "EIGENALIGN_OPERATIONS"),
        ("simulate", steps(10**12, batch_size=2), "the batches of one replica need"),
        ("predict", steps(10**12, batch_size=2, sampling="fresh"), "EIGENALIGN_UPDATES"),
        ("predict", law(10**6), "EIGENALIGN_MEMORY"),
        ("simulate", law(10**6), "EIGENALIGN_MEMORY"),
    ],
)
def test_bad_and_boundless_settings(capfd, tmp_path, command, text, why):
    began = time.process_time()
    status, out, err = run_quietly(capfd, command, write(tmp_path, text), "--json")
    assert time.process_time() - began < 10
    assert status == 2, err
    assert len(err.splitlines()) == 1
    assert why in err
    assert set(json.loads(out)) == {"error", "key", "value", "why"}


@pytest.mark.parametrize("name", ["a\0b", "a" * 5000, "/dev/null/x", ".", "/dev/zero"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "{}"),
        ("merge", "{}"),
        ("typeset", "{}"),
        ("check", "--weights", "{}", "--data", "{}"),
        ("predict", "data.toml"),
        ("init", "--data", "{}", "--shape", "4,2", "--out", "w.npy"),
        ("init", "--store", "{}", "--shape", "4,2", "--out", "w.npy"),
    ],
)
def test_names_that_no_file_can_have(capfd, tmp_path, monkeypatch, arguments, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.toml").write_text(
        f'[data]\nkind = "array"\npath = {json.dumps(name)}\nsamples = 4\nfixed = true\n'
    )
    status, out, err = run_quietly(capfd, *(argument.replace("{}", name) for argument in arguments))
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ZeroDivisionError("division by zero"), 70, "unforeseen error: ZeroDivisionError: division by zero; please"),
        (RecursionError("maximum recursion depth exceeded"), 70, "unforeseen error: RecursionError"),
        (ValueError("two\nlines\x1b[31m"), 70, r"ValueError: two lines\x1b[31m; please report the command"),
        (MemoryError(), 70, "fewer rows, readings or processes take less memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 70, "take less memory"),
        (PermissionError(errno.EACCES, "Permission denied", "x.npy"), 2, "'x.npy': permission denied"),
        (KeyboardInterrupt(), 3, "interrupted"),
        (SystemExit(1), 2, "cannot write"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_an_error_of_ours_reads_as_none_of_science(capfd, tmp_path, monkeypatch, error, status, said, as_json):
    def fails(*arguments, **options):
        raise error

    monkeypatch.setattr("reports.setting_file.load", fails)
    monkeypatch.delenv(cli.DEBUG, raising=False)
    found = cli.main(["predict", write(tmp_path, DATA), *(["--json"] if as_json else [])])
    out, err = capfd.readouterr()
    assert found == status
    assert said in err
    assert len(err.split("\n")) <= 2 + (status == 3)  # click ends the line with ^C in it
    if as_json and status == 70:
        assert json.loads(out)["error"] == "unforeseen error"


def test_a_traceback_is_shown_where_it_is_wanted(capfd, tmp_path, monkeypatch):
    def fails(*arguments, **options):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("reports.setting_file.load", fails)
    monkeypatch.setenv(cli.DEBUG, "1")
    assert cli.main(["predict", write(tmp_path, DATA)]) == 70
    assert "Traceback" in capfd.readouterr().err


def test_signals_that_end_are_as_ctrl_c(capfd, tmp_path, monkeypatch):
    def ended(*arguments, **options):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("reports.setting_file.load", ended)
    before = signal.getsignal(signal.SIGTERM)
    assert cli.main(["predict", write(tmp_path, DATA)]) == 3
    assert capfd.readouterr().err.endswith("eigenalign: interrupted\n")
    assert signal.getsignal(signal.SIGTERM) is before


class Full(io.StringIO):
    """A stream whose device is full."""

    def write(self, text):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_stdout_is_said_and_no_verdict(capfd, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Full())
    assert cli.main(["claims"]) == 2
    assert capfd.readouterr().err == "eigenalign: cannot write: no space left on device\n"


RUN = "import sys\nfrom reports.cli import main\nsys.exit(main())"


@pytest.mark.slow
@pytest.mark.parametrize("redirected", ["> /dev/full", ">&-", "| head -c 0 > /dev/null; exit ${PIPESTATUS[0]}"])
@pytest.mark.parametrize("errors", ["", "2> /dev/full", "2>&-"])
def test_what_becomes_of_the_command_where_it_cannot_write(redirected, errors):
    code = "import subprocess, sys\nsys.exit(subprocess.run(['bash', '-c', sys.argv[1]]).returncode)"
    line = f"{sys.executable} -c '{RUN}' --help {errors} {redirected}"
    done = python(code, line)
    assert done.returncode in ((0,) if redirected == ">&-" else (0, 2) if "head" in redirected else (2,))
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_terminals_with_another_alphabet(tmp_path, encoding):
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "LC_ALL": "C"}
    for arguments in (["claims"], ["claims", "--json"], ["predict", write(tmp_path, DATA)]):
        done = python(RUN, *arguments, env=environment, text=False)
        assert done.returncode == 0, done.stderr
        if "--json" in arguments:
            json.loads(done.stdout)
