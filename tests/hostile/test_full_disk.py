"""A disk that is full: a word that says so, nothing half written, and the same bytes once there is room."""

import os
import subprocess

import pytest

from tests.reports.command_line import run
from tests.simulate.stores import setting_file
from tests.simulate.transfer.experiments import EXPERIMENT

KINDS = ("simulate", "transfer", "report")


@pytest.fixture
def disk(tmp_path):
    """A folder that is a disk of its own, of 100 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", folder]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a disk can be mounted by root alone, where the system allows it")
    yield folder
    subprocess.run(["umount", folder], check=True)


def command(tmp_path, kind):
    """A command that leaves more than 100 KiB, and its option of where."""
    if kind == "simulate":
        return ["simulate", setting_file(tmp_path, replicas=20_000), "--json"], "--store"
    if kind == "transfer":
        file = tmp_path / "experiment.toml"
        file.write_text(EXPERIMENT)
        return ["transfer", file, "--json"], "--store"
    return ["report", "--only", "A2,T1", "--processes", "1"], "--out"


def products(folder):
    return {path.name: path.read_bytes() for path in [folder / "results.csv", *folder.glob("tables/*")]}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_is_said_and_a_larger_one_resumed(tmp_path, disk, capfd, monkeypatch, kind):
    monkeypatch.setenv("PATH", "/nowhere")  # no LaTeX: the disk is not full for its sake
    arguments, where = command(tmp_path, kind)
    whole_out = [where, tmp_path / "whole"] if kind == "report" else []
    status, whole, _ = run(capfd, *arguments, *whole_out, "--quiet")
    assert status == 0
    status, out, err = run(capfd, *arguments, where, disk / "kept", "--quiet")
    assert status == 2, (out, err)
    assert "no space left on device" in (out + err).lower()
    assert "Traceback" not in out + err
    assert not list(disk.rglob("*.tmp"))
    kept = {path: path.stat().st_mtime_ns for path in disk.rglob("*.safetensors")}
    assert kept
    monkeypatch.undo()
    subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
    monkeypatch.setenv("PATH", "/nowhere")
    status, resumed, err = run(capfd, *arguments, where, disk / "kept", "--resume", "--quiet")
    assert (status, err) == (0, "")
    if kind == "report":
        assert products(disk / "kept") == products(tmp_path / "whole")
    else:
        assert resumed == whole
    assert {path: path.stat().st_mtime_ns for path in kept if path.exists() and ".ensembles" not in path.parts} == {
        path: when for path, when in kept.items() if ".ensembles" not in path.parts
    }
