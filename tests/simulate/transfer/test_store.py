"""The store of a transfer experiment: killed anywhere, resumed, grown, damaged, refused; the same bits every time."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import msgspec
import numpy as np
import pytest
from safetensors.numpy import load_file

import simulate.store
import simulate.transfer.experiment as engine
import simulate.transfer.store as files
from reports.claims.claim import Case, Context
from reports.claims.transfer.digits import Digits
from reports.claims.transfer.effects import measure_effects
from reports.claims.transfer.map_signs import measure_mapped
from reports.cli import main
from simulate.identity import experiment_digest
from simulate.transfer import TransferResult, run
from tests.test_simulate_transfer import ALL, filters, small
from theory.setting import InvalidInput, Labels, Until

ROOT = Path(__file__).parent.parent
TILE = 2
KINDS = ("scratch", "pretrained", "covariance", "recursive")


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch, caplog):
    """Ranges of one tile of two replicas; warnings are seen whatever a command of another test has left behind."""
    monkeypatch.setattr(engine, "tile_size", lambda *arguments: TILE)
    monkeypatch.setattr(engine, "MOST", {"cpu": TILE, "cuda": TILE})
    caplog.set_level(logging.WARNING, logger="simulate")


@pytest.fixture
def trained(monkeypatch):
    """How many pieces were trained: upstream, and after a treatment."""
    counted = {"upstream": 0, "downstream": 0}

    def counting(name, function):
        def call(*arguments, **options):
            counted[name] += 1
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(engine, "train_upstream", counting("upstream", engine.train_upstream))
    monkeypatch.setattr(engine, "measure", counting("downstream", engine.measure))
    return counted


def content(result: TransferResult) -> list[bytes]:
    """Every number of a result, as bytes."""
    end = result.upstream
    found = [repr((result.replicas, result.diverged, result.device, result.width)).encode(), result.data_moment]
    found += [end.steps, end.fitted, end.loss, end.accuracy]
    for treated in result.treated:
        for record in (treated.curves, treated.layers):
            found += [getattr(record, name) for name in record.__dataclass_fields__]
        for reading in treated.weights:
            found += [reading.counts, reading.second_moments, reading.means, reading.losses]
    return [b"" if array is None else array if isinstance(array, bytes) else array.tobytes() for array in found]


def shards(folder):
    return sorted(path for path in folder.rglob("*.safetensors") if path.name != files.EXPERIMENT)


def squares(**options):
    """Real labels, so that there are no accuracies, a bias, and no weights drawn from other replicas."""
    experiment = small(kinds=("scratch", "pretrained"), bias=True, until=Until(loss=0.9), **options)
    labels, loss = Labels(kind="gaussian"), "mse"
    up, down = (
        msgspec.structs.replace(side, labels=labels, training=msgspec.structs.replace(side.training, loss=loss))
        for side in (experiment.upstream, experiment.downstream)
    )
    return msgspec.structs.replace(experiment, upstream=up, downstream=down)


# ---- what is there


def test_one_file_a_range_under_the_digest(tmp_path):
    experiment = small(kinds=KINDS, replicas=5)
    result = run(experiment, store=tmp_path)
    assert content(result) == content(run(experiment))
    folder = tmp_path / experiment_digest(experiment)
    assert sorted(path.name for path in folder.iterdir()) == [
        *(f"downstream-00000{k}.safetensors" for k in range(3)),
        *(f"downstream-of-000005-00000{k}.safetensors" for k in range(3)),
        "experiment.safetensors",
        *(f"upstream-00000{k}.safetensors" for k in range(3)),
    ]
    ends = load_file(folder / "upstream-000001.safetensors")
    assert [ends[f"parameters.{i}"].shape for i in range(3)] == [(2, 8, 4), (2, 6, 8), (2, 3, 6)]
    found = load_file(folder / "downstream-of-000005-000002.safetensors")
    assert np.array_equal(found["covariance/train_loss"][0], result["covariance"].curves.train_loss[4])
    assert found["recursive/moments"].shape == (1, 3, 4, 4)


def in_single(experiment):
    return msgspec.structs.replace(experiment, ensemble=msgspec.structs.replace(experiment.ensemble, dtype="float32"))


EXPERIMENTS = {
    "single": lambda path: in_single(small(kinds=KINDS, replicas=3)),
    "filters": filters,
    "squares": lambda path: squares(replicas=3),
    "all": lambda path: small(kinds=ALL, replicas=3, until=Until(accuracy=0.8), bias=True),
    "one layer": lambda path: small(kinds=("scratch", "covariance"), replicas=3, kind="linear", hidden=()),
}


@pytest.mark.parametrize("kind", EXPERIMENTS)
def test_what_is_loaded_has_the_bits_of_what_was_trained(tmp_path, trained, kind):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((40, 2, 5, 5)))
    experiment = EXPERIMENTS[kind](str(tmp_path / "x.npy"))
    whole = content(run(experiment))
    assert content(run(experiment, store=tmp_path / "store", chunk=1)) == whole
    before = dict(trained)
    assert content(run(experiment, store=tmp_path / "store", resume=True)) == whole
    assert trained == before


def test_without_moments_all_else_is_the_same_and_files_are_small(tmp_path, trained, caplog):
    """Files without them don't serve who wants them; upstream files serve both."""
    experiment = small(kinds=KINDS, replicas=5)
    whole = run(experiment)
    bare = run(experiment, store=tmp_path, weights=False)
    assert all(treated.weights == () for treated in bare.treated)
    for mine, full in zip(bare.treated, whole.treated, strict=True):
        for name in ("train_loss", "train_accuracy"):
            assert getattr(mine.curves, name).tobytes() == getattr(full.curves, name).tobytes()
        assert mine.layers.norm.tobytes() == full.layers.norm.tobytes()
    found = load_file(tmp_path / experiment_digest(experiment) / "downstream-of-000005-000002.safetensors")
    assert found["recursive/moments"].size == found["recursive/means"].size == 0
    before = dict(trained)
    assert content(run(experiment, store=tmp_path, resume=True, weights=False)) == content(bare)
    assert trained == before
    assert not caplog.records
    assert content(run(experiment, store=tmp_path, resume=True)) == content(whole)
    assert trained["upstream"] == before["upstream"]
    assert trained["downstream"] == before["downstream"] + 3 * 4
    assert "weights False, not True" in caplog.text


def test_a_diverged_replica_stays_out(tmp_path, monkeypatch):
    experiment, train = small(kinds=KINDS, replicas=5), engine.train_upstream
    calls = count()

    def spoiled(*arguments):
        ended = train(*arguments)
        if next(calls) == 1:
            ended.parameters[1][0] = np.nan
        return ended

    monkeypatch.setattr(engine, "train_upstream", spoiled)
    found = run(experiment, store=tmp_path)
    assert found.diverged == 1
    assert content(run(experiment, store=tmp_path, resume=True)) == content(found)


# ---- killed


class Killed(BaseException):
    """As good as a kill: nothing catches it."""


def dying(function, after: int, *, first: bool):
    """`function`, which raises at call number `after`: before it does anything, or after it is done."""
    calls = count()

    def call(*arguments, **options):
        number = next(calls)
        if number == after and first:
            raise Killed
        result = function(*arguments, **options)
        if number == after:
            raise Killed
        return result

    return call


POINTS = [
    *((engine, "train_upstream", k, True) for k in (0, 1, 2)),
    *((engine, "measure", k, False) for k in (0, 4, 5, 11)),
    *((files, "write_file", k, first) for k in (0, 1, 2, 4, 6) for first in (True, False)),
    (simulate.store.os, "replace", 3, True),
    (engine, "marks", 0, True),
]


@pytest.mark.parametrize(("module", "name", "after", "first"), POINTS)
def test_killed_anywhere_and_resumed_gives_the_same_bits(tmp_path, monkeypatch, trained, module, name, after, first):
    experiment = small(kinds=KINDS, replicas=5)
    whole = content(run(experiment))
    trained.update(upstream=0, downstream=0)
    with monkeypatch.context() as patched:
        patched.setattr(module, name, dying(getattr(module, name), after, first=first))
        with pytest.raises(Killed):
            run(experiment, store=tmp_path)
    assert content(run(experiment, store=tmp_path, resume=True)) == whole
    # No more is lost than one range: a piece upstream, or one after each of four treatments.
    assert trained["upstream"] <= 3 + 1
    assert trained["downstream"] <= 4 * 3 + 4


def test_killed_again_and_again(tmp_path, monkeypatch):
    """A run that may write but one file before it dies comes to its end."""
    experiment = small(kinds=KINDS, replicas=5)
    for _ in range(6):
        with monkeypatch.context() as patched:
            patched.setattr(engine.TransferStore, "_save", dying(engine.TransferStore._save, 0, first=False))
            with pytest.raises(Killed):
                run(experiment, store=tmp_path, resume=True)
    assert content(run(experiment, store=tmp_path, resume=True)) == content(run(experiment))


EXPERIMENT = """
[upstream.data]
kind = "digits"
samples = 200
[upstream.labels]
kind = "classes"
[upstream.network]
kind = "mlp"
hidden = [64, 32]
[upstream.training]
loss = "cross-entropy"
learning_rate = 0.05
batch_size = 20
steps = 400
[treatment]
kinds = ["scratch", "pretrained", "covariance", "recursive"]
[downstream]
samples = 200
[downstream.labels]
kind = "real"
[downstream.training]
loss = "cross-entropy"
learning_rate = 0.05
batch_size = 20
steps = [0, 20, 40]
[ensemble]
replicas = 48
dtype = "float32"
"""


@pytest.mark.slow
@pytest.mark.parametrize("there", [0, 1, 3])
def test_a_real_kill(tmp_path, there):
    """SIGKILL when so many shards are there, of six; the JSON of the resumed command has the same bytes."""
    file, store = tmp_path / "experiment.toml", tmp_path / "store"
    file.write_text(EXPERIMENT)
    call = "import sys; from reports.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", call, "transfer", str(file), "--json", "--quiet"]
    keys = {"cwd": ROOT, "env": {**os.environ, "PYTHONPATH": str(ROOT)}}
    whole = subprocess.run(command, capture_output=True, check=True, timeout=300, **keys).stdout
    killed = subprocess.Popen([*command, "--store", str(store)], stdout=subprocess.DEVNULL, **keys)
    while len(shards(store)) < there or not list(store.glob("*/*")):
        assert killed.poll() is None
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert len(shards(store)) < 6
    resumed = subprocess.run([*command, "--store", str(store), "--resume"], capture_output=True, timeout=300, **keys)
    assert (resumed.returncode, resumed.stderr, resumed.stdout) == (0, b"", whole)


def test_what_a_kill_left_half_written_is_removed_when_it_is_old(tmp_path):
    experiment = small(kinds=("scratch",), replicas=2)
    run(experiment, store=tmp_path)
    old, new = (tmp_path / experiment_digest(experiment) / f".upstream-000000-{k}.tmp" for k in (1, 2))
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    run(experiment, store=tmp_path, resume=True)
    assert (old.exists(), new.exists()) == (False, True)


# ---- other numbers of replicas


def test_growing_trains_no_replica_twice_upstream(tmp_path, trained):
    experiment = small(kinds=KINDS, replicas=7)
    run(experiment, replicas=3, store=tmp_path)
    trained.update(upstream=0, downstream=0)
    assert content(run(experiment, store=tmp_path, resume=True)) == content(run(experiment))
    # Replica 3 completes its tile, then two more tiles; moments are others, so all is new after the two treatments that
    # draw from them.
    assert trained == {"upstream": 3 + 4, "downstream": 3 * 2 + 4 * 2 + 4 * 4}
    trained.update(upstream=0, downstream=0)
    assert run(experiment, replicas=3, store=tmp_path, resume=True).replicas == 3
    run(experiment, store=tmp_path, resume=True)
    assert trained == {"upstream": 0, "downstream": 0}


def test_without_drawn_weights_nothing_is_trained_twice(tmp_path, trained):
    experiment = squares(replicas=7)
    run(experiment, replicas=3, store=tmp_path)
    trained.update(upstream=0, downstream=0)
    found = run(experiment, store=tmp_path, resume=True)
    assert trained == {"upstream": 3, "downstream": 2 * 3}
    assert content(found) == content(run(experiment))
    trained.update(upstream=0, downstream=0)
    assert content(run(experiment, replicas=4, store=tmp_path, resume=True)) == content(run(experiment, replicas=4))
    assert trained == {"upstream": 2, "downstream": 2 * 2}  # those of the run without a store


# ---- files that are not what they should be


def _shorten(path, _):
    path.write_bytes(path.read_bytes()[:-5])


def _flip(path, _):
    whole = bytearray(path.read_bytes())
    whole[-3] ^= 1
    path.write_bytes(whole)


def _swap(path, other):
    path.write_bytes(other.read_bytes())


@pytest.mark.parametrize("part", ["upstream", "downstream-of-000005"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_shorten, "is cut short or not a safetensors file"),
        (_flip, "has been altered: its checksum is another"),
        (_swap, "belongs to another experiment (first 0, not 2)"),
    ],
)
def test_a_damaged_file_is_named_and_computed_again(tmp_path, caplog, part, spoil, message):
    experiment = small(kinds=KINDS, replicas=5)
    whole = content(run(experiment, store=tmp_path))
    here = tmp_path / experiment_digest(experiment)
    path = here / f"{part}-000001.safetensors"
    good = path.read_bytes()
    spoil(path, here / f"{part}-000000.safetensors")
    assert path.read_bytes() != good
    assert content(run(experiment, store=tmp_path, resume=True)) == whole
    (warning,) = caplog.messages
    assert warning.startswith(f"{path}: {message}")
    assert warning.endswith("it is computed again")
    assert path.read_bytes() == good


def test_a_file_of_another_experiment_is_foreign(tmp_path, caplog):
    one, two = small(kinds=KINDS, replicas=4), small(kinds=KINDS, replicas=4, seed=1)
    run(one, store=tmp_path)
    whole = content(run(two, store=tmp_path))
    path = tmp_path / experiment_digest(two) / "upstream-000000.safetensors"
    _swap(path, tmp_path / experiment_digest(one) / path.name)
    assert content(run(two, store=tmp_path, resume=True)) == whole
    assert f"belongs to another experiment (digest {experiment_digest(one)}, not" in caplog.text


def test_downstream_files_belong_to_the_upstream_training_that_they_continue(tmp_path, caplog, monkeypatch):
    """Networks with other last bits, as another machine would train them: what was drawn from them is drawn again."""
    experiment = small(kinds=KINDS, replicas=5)
    run(experiment, store=tmp_path)
    (tmp_path / experiment_digest(experiment) / "upstream-000002.safetensors").unlink()
    train = engine.train_upstream

    def nudged(setting, until, inputs):
        ended = train(setting, until, inputs)
        ended.parameters[0][0, 0, 0] += 1e-12
        return ended

    monkeypatch.setattr(engine, "train_upstream", nudged)
    found = content(run(experiment, store=tmp_path, resume=True))
    # All three ranges of drawn weights, and the range of the network itself.
    assert caplog.text.count("continues another upstream training") == 3 + 1
    caplog.clear()
    assert content(run(experiment, store=tmp_path, resume=True)) == found
    assert caplog.text == ""


def test_a_description_that_is_damaged_is_written_again(tmp_path, caplog):
    experiment = small(kinds=("scratch",), replicas=2)
    run(experiment, store=tmp_path)
    path = tmp_path / experiment_digest(experiment) / files.EXPERIMENT
    good = path.read_bytes()
    path.write_bytes(b"{}")
    run(experiment, store=tmp_path, resume=True)
    assert "it is written again" in caplog.text
    assert path.read_bytes() == good


# ---- which experiment


def test_the_digest_knows_everything_but_the_number_of_replicas(tmp_path):
    first = experiment_digest(small())
    assert first == experiment_digest(small(replicas=9))
    others = [small(seed=1), small(steps=31), small(kinds=("scratch",)), small(until=Until(loss=0.1)), squares()]
    assert len({first, *map(experiment_digest, others)}) == 6
    path = tmp_path / "x.npy"
    images = np.random.default_rng(0).standard_normal((40, 2, 5, 5))
    np.save(path, images)
    before = experiment_digest(filters(str(path)))
    np.save(tmp_path / "y.npy", images)
    assert experiment_digest(filters(str(tmp_path / "y.npy"))) == before
    np.save(path, images + 1)
    assert experiment_digest(filters(str(path))) != before
    path.unlink()
    with pytest.raises(InvalidInput, match=r"upstream.data.path = '.*x.npy': cannot be read"):
        experiment_digest(filters(str(path)))


# ---- refusals


def test_shards_are_not_gone_on_with_unasked(tmp_path):
    experiment = small(kinds=("scratch",), replicas=3)
    run(experiment, store=tmp_path)
    with pytest.raises(InvalidInput, match="holds 4 shards of this experiment already: resume it"):
        run(experiment, store=tmp_path)
    run(small(kinds=("scratch",), replicas=3, seed=1), store=tmp_path)  # another one has a folder of its own
    with pytest.raises(InvalidInput, match="store = None: is needed by resume"):
        run(experiment, resume=True)


def test_kinds_of_devices_are_not_mixed(tmp_path, monkeypatch):
    experiment = small(kinds=("scratch",), replicas=3)
    run(experiment, store=tmp_path)
    known = files.read_file

    def elsewhere(*arguments):
        about, tensors = known(*arguments)
        return {**about, "device": "cuda"}, tensors

    monkeypatch.setattr(files, "read_file", elsewhere)
    with pytest.raises(InvalidInput, match="was computed on cuda, whose last bits differ: go on there"):
        run(experiment, store=tmp_path, resume=True)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="cannot be written"):
        run(small(kinds=("scratch",), replicas=2), store=tmp_path / "file")


def test_an_interruption_says_what_is_kept(tmp_path, monkeypatch, caplog):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(small(kinds=("scratch",), replicas=3), store=tmp_path)
    assert "2 shards are kept in" in caplog.text
    assert "--resume goes on from them" in caplog.text


# ---- commands and claims


def test_the_command(tmp_path, capfd, trained):
    file, store = tmp_path / "experiment.toml", str(tmp_path / "store")
    file.write_text(EXPERIMENT)
    command = ["transfer", str(file), "--replicas", "3", "--json", "--quiet", "--store", store]
    assert main(command) == 0
    first = capfd.readouterr().out
    before = dict(trained)
    assert main([*command, "--resume"]) == 0
    assert trained == before
    assert capfd.readouterr().out == first
    assert json.loads(first)["replicas"] == 3
    assert main(command) == 2
    assert "holds 6 shards of this experiment already: resume it (--resume)" in capfd.readouterr().err
    assert main(["transfer", str(file), "--resume"]) == 2
    assert "is needed by resume" in capfd.readouterr().err


def test_claims_go_on_from_the_store_of_a_report(tmp_path, trained):
    tiny = Case("tiny", Digits(0.5, hidden=(8, 6), rows=40, batch=20, limit=2).experiment(3), None, "asymptotic")
    context = Context(store=tmp_path)
    for measured in (measure_effects, measure_mapped):
        found = measured(tiny, context)
        before = dict(trained)
        again = measured(tiny, context)
        assert trained == before == {"upstream": 2, "downstream": 6}  # by the first of them
        for name, value in vars(found).items():
            np.testing.assert_array_equal(value, getattr(again, name))
    plain = measure_effects(tiny, Context())
    for name, value in vars(plain).items():
        np.testing.assert_array_equal(value, getattr(found, name))
