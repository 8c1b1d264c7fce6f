"""Real processes: however many there are, and however often they are killed, a report has the same bytes."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reports.campaign.run import run_campaign
from reports.record import to_builtins

COMMAND = Path(sys.executable).parent / "eigenalign"
SEED = 20061045  # of the moments at which processes are killed


def claims(report):
    """Every finding, table, figure and setting, but not the time that they took."""
    found = to_builtins(report)["claims"]
    for claim in found:
        assert claim.pop("seconds") >= 0
    return found


def test_a_report_knows_nothing_of_its_processes():
    alone, shared = (claims(run_campaign(only=["A2"], seed=5, processes=processes)) for processes in (1, 2))
    assert [claim["id"] for claim in shared] == ["A2"]
    assert alone == shared


def contents(folder):
    """Findings, tables and figures of a report."""
    files = [folder / "results.csv", *(folder / "tables").iterdir(), *(folder / "figures").iterdir()]
    return {path.relative_to(folder): path.read_bytes() for path in files}


def records(folder):
    return list((folder / "records").glob("*/*.safetensors"))


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_complete(tmp_path):
    """Exit status 3, and records or shards that --resume goes on from."""

    def heeding():
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background processes ignore Ctrl-C

    command = [COMMAND, "report", "--only", "B2", "--processes", "2", "--out", tmp_path]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heeding) as report:
        while not list((tmp_path / "records").rglob("*.safetensors")):
            assert report.poll() is None
            time.sleep(0.1)
        report.send_signal(signal.SIGINT)
        _, printed = report.communicate()
    assert report.returncode == 3
    assert "--resume goes on" in printed
    assert "Traceback" not in printed
    assert list((tmp_path / "records").rglob("*.safetensors"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Claims C1 and C4 in one process, without interruption."""
    out = tmp_path_factory.mktemp("whole")
    subprocess.run([COMMAND, "report", "--only", "C1,C4", "--processes", "1", "--quiet", "--out", out], check=True)
    return contents(out)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_kills_change_no_byte(whole, tmp_path):
    """SIGKILL at ten moments, two worker processes included; every start goes on where the last one was."""
    command = [COMMAND, "report", "--only", "C1,C4", "--processes", "2", "--quiet", "--resume", "--out", tmp_path]
    moments, kept = random.Random(SEED), 0
    for _ in range(10):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as report:
            time.sleep(moments.uniform(4.0, 9.0))
            os.killpg(report.pid, signal.SIGKILL)
        assert len(records(tmp_path)) >= kept
        kept = len(records(tmp_path))
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert contents(tmp_path) == whole


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_three_shards_make_the_whole(whole, tmp_path):
    command = [COMMAND, "report", "--only", "C1,C4", "--processes", "1", "--quiet", "--out", tmp_path]
    for i in (1, 2, 3):
        subprocess.run([*command, "--shard", f"{i}/3"], check=True, stdout=subprocess.DEVNULL)
    there = {path: path.stat().st_mtime_ns for path in records(tmp_path)}
    subprocess.run([*command, "--resume"], check=True, stdout=subprocess.DEVNULL)
    assert {path: path.stat().st_mtime_ns for path in records(tmp_path)} == there  # the last call computed nothing
    assert contents(tmp_path) == whole


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_ranks_of_torchrun_make_the_whole_and_typeset_makes_it_again(whole, tmp_path):
    ranks = [Path(sys.executable).parent / "torchrun", "--nproc-per-node", "2", "--no-python"]
    command = [COMMAND, "report", "--only", "C1,C4", "--quiet", "--out", tmp_path / "ranks"]
    subprocess.run([*ranks, *command], check=True, capture_output=True)
    subprocess.run([*command, "--resume"], check=True, stdout=subprocess.DEVNULL)
    assert contents(tmp_path / "ranks") == whole
    shutil.copytree(tmp_path / "ranks" / "records", tmp_path / "again" / "records")
    subprocess.run([COMMAND, "typeset", "--quiet", tmp_path / "again"], check=True, stdout=subprocess.DEVNULL)
    assert contents(tmp_path / "again") == whole
