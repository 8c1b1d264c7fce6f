"""Shares by the command line: shards, ranks and processes, ended and interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from reports.cli import main
from tests.paths import ROOT
from tests.processes import ENVIRONMENT, alive, children, eigenalign, started, wait_until
from tests.simulate.transfer.experiments import (
    MANY,
    shards,
)

TOML = """
[upstream.data]
kind = "gaussian"
spectrum = [0.5, 1.0, 2.0]
samples = 20
[upstream.labels]
kind = "classes"
classes = 3
[upstream.network]
kind = "mlp"
hidden = [8]
[upstream.training]
loss = "cross-entropy"
steps = {steps}
batch_size = 4
[treatment]
kinds = ["scratch", "pretrained", "covariance"]
[downstream]
samples = 20
[downstream.labels]
kind = "classes"
classes = 3
[downstream.training]
loss = "cross-entropy"
steps = [0, 5]
[ensemble]
replicas = {replicas}
"""


def experiment_file(tmp_path, *, replicas, steps=4):
    path = tmp_path / "experiment.toml"
    path.write_text(TOML.format(replicas=replicas, steps=steps))
    return path


def test_the_commands(tmp_path, capfd):
    file, store = str(experiment_file(tmp_path, replicas=MANY)), str(tmp_path / "store")
    whole = ["transfer", file, "--json", "--quiet"]

    def told(*arguments):
        status = main([*arguments])
        out, err = capfd.readouterr()
        assert (status, err) == (0, "")
        return out

    alone = told(*whole)
    first = json.loads(told(*whole, "--store", store, "--shard", "2/2"))
    assert first == {
        "shard": "2/2",
        "replicas": 12,
        "diverged": 0,
        "treatments": ["scratch", "pretrained"],
        "store": {"replicas": MANY, "upstream": 12, "downstream": 0},
    }
    assert told("transfer", file, "--store", store, "--shard", "1/2", "--quiet") == (
        f"shard 1/2: 14 of 26 replicas, 0 diverged, after scratch, pretrained, covariance\n"
        f"in {store}: 26 of 26 replicas upstream, 14 downstream; "
        f"`eigenalign transfer EXPERIMENT.toml --store {store} --resume` computes the rest\n"
    )
    assert main(["merge", store, "--json"]) == 2
    refused = json.loads(capfd.readouterr().out)
    assert "1 of 3 downstream shards are missing: downstream-of-000026-000001.safetensors" in refused["why"]
    assert told("transfer", file, "--store", store, "--shard", "2/2", "--resume", "--quiet").endswith(
        f"26 of 26 replicas upstream, 26 downstream; `eigenalign merge {store}` combines them\n"
    )
    assert told("merge", store, "--json", "--quiet") == alone
    assert told(*whole, "--store", store, "--resume") == alone
    assert told("merge", store, "--quiet") == told("transfer", file, "--quiet")


@pytest.mark.slow
def test_torchrun_with_two_ranks(tmp_path):
    store, file = tmp_path / "store", experiment_file(tmp_path, replicas=MANY)
    alone = eigenalign("transfer", file, "--json")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    torchrun += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "--no-python"]
    torchrun += [sys.executable, "-c", "import sys; from reports.cli import main; sys.exit(main(sys.argv[1:]))"]
    done = subprocess.run(
        [*torchrun, "transfer", str(file), "--store", str(store), "--json"],
        cwd=ROOT,
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)  # one value, of rank 0
    assert (record["shard"], record["replicas"]) == ("1/2", 14)
    assert eigenalign("transfer", file, "--store", store, "--resume", "--json").stdout == alone.stdout
    assert eigenalign("merge", store, "--json").stdout == alone.stdout


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["upstream", "downstream-of"])
def test_a_worker_that_is_ended_from_outside(tmp_path, phase):
    store, file = tmp_path / "store", experiment_file(tmp_path, replicas=1500, steps=200)
    command = ["transfer", file, "--store", store, "--processes", 2, "--json"]
    with started(*command) as process:
        wait_until(lambda: len(list(store.rglob(f"{phase}-*.safetensors"))) >= 2)
        first, second = children(process.pid)
        os.kill(first, signal.SIGKILL)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 2, err
    assert "one of them ended with signal 9; shards that are complete are kept in" in json.loads(out)["why"]
    assert not alive(second)
    there = len(shards(store))
    assert there < 3 * 125
    resumed, alone = eigenalign(*command, "--resume"), eigenalign("transfer", file, "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout == alone.stdout
    assert len(shards(store)) == 3 * 125


@pytest.mark.slow
def test_ctrl_c_ends_workers_too(tmp_path):
    store, file = tmp_path / "store", experiment_file(tmp_path, replicas=20_000, steps=200)
    with started("transfer", file, "--store", store, "--processes", 2) as process:
        wait_until(lambda: len(shards(store)) >= 2)
        workers_of_it = children(process.pid)
        assert len(workers_of_it) == 2
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    kept = shards(store)
    assert f"{len(kept)} shards are kept in {kept[0].parent}; --resume goes on from them" in err
    assert "Traceback" not in err
    assert not any(map(alive, workers_of_it))
