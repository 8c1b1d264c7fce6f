"""The store of an ensemble: shards on disk, resumed, grown, merged; the same bytes every time."""

import json

import msgspec
import numpy as np
import pytest
from safetensors.numpy import load_file

import simulate
from reports.cli import main
from simulate import ensemble, tiles
from simulate.store import find_store
from tests.simulate.stores import SETTING, SHARD, content, shards
from theory.setting import Data, Ensemble, InvalidInput, Labels, Network, PowerLaw, Setting, Student, Training


def test_one_shard_a_range_under_the_digest(tmp_path):
    result = simulate.run(SETTING, replicas=600, store=tmp_path)
    folder = tmp_path / simulate.digest(SETTING)
    assert [path.name for path in sorted(folder.iterdir())] == [
        "ensemble.safetensors",
        "shard-000000.safetensors",
        "shard-000001.safetensors",
        "shard-000002.safetensors",
    ]
    tensors = load_file(folder / "shard-000002.safetensors")
    assert {name: (array.dtype.name, array.shape) for name, array in tensors.items()} == {
        "steps": ("int64", (2,)),
        "counts": ("int64", (88,)),
        "second_moments": ("float64", (2, 88, 3, 3)),
        "means": ("float64", (2, 88, 3)),
        "losses": ("float64", (2, 88)),
    }
    # Replicas 512 … 599 are the second ones of blocks 0 … 87.
    first = load_file(folder / "shard-000000.safetensors")
    both = (first["second_moments"][1, :88] + tensors["second_moments"][1]) / 2
    assert np.array_equal(result.readings[1].second_moments[:88], both)
    assert content(simulate.run(SETTING, replicas=600)) == content(result)


def test_a_store_writes_the_same_files_again(tmp_path):
    for folder in ("a", "b"):
        simulate.run(SETTING, replicas=300, store=tmp_path / folder)
    for a, b in zip(sorted((tmp_path / "a").rglob("*.*")), sorted((tmp_path / "b").rglob("*.*")), strict=True):
        assert a.read_bytes() == b.read_bytes()


def test_resuming_trains_nothing_that_is_there(tmp_path, trained):
    whole = content(simulate.run(SETTING, replicas=600, store=tmp_path))
    shards(tmp_path)[1].unlink()
    trained[0] = 0
    assert content(simulate.run(SETTING, replicas=600, store=tmp_path, resume=True, chunk=7)) == whole
    assert trained[0] == SHARD
    trained[0] = 0
    assert content(simulate.run(SETTING, replicas=600, store=tmp_path, resume=True)) == whole
    assert content(simulate.merge(tmp_path)) == whole
    assert content(simulate.merge(str(shards(tmp_path)[0].parent))) == whole
    assert trained[0] == 0


@pytest.mark.parametrize("blocks", [None, 100])
def test_an_ensemble_grows_and_recomputes_nothing(tmp_path, trained, monkeypatch, blocks):
    """A larger ensemble trains the new replicas alone and equals one trained at once.

    With fewer blocks than a range has replicas, a slot of a shard adds up several of them.
    """
    if blocks:
        for module in (tiles, ensemble):
            monkeypatch.setattr(module, "block_count", lambda dimension: blocks)
    wholes = {n: content(simulate.run(SETTING, replicas=n)) for n in (10, 300, 520, 900)}
    trained[0] = done = 0
    for n in (10, 300, 520, 900):
        before = {path: path.stat().st_mtime_ns for path in shards(tmp_path)[:-1]}
        assert content(simulate.run(SETTING, replicas=n, store=tmp_path, resume=True)) == wholes[n]
        assert content(simulate.merge(tmp_path)) == wholes[n]
        assert trained[0] == n
        assert {path: path.stat().st_mtime_ns for path in before} == before
    files = {path: path.read_bytes() for path in shards(tmp_path)}
    for n in (300, 520):  # fewer again, and what is there stays
        trained[0] = done
        assert content(simulate.run(SETTING, replicas=n, store=tmp_path, resume=True)) == wholes[n]
        assert trained[0] == (0 if blocks is None else n % SHARD)
    assert {path: path.read_bytes() for path in shards(tmp_path)} == files
    assert content(simulate.merge(tmp_path)) == wholes[900]


def test_sums_do_not_depend_on_where_a_range_was_cut(tmp_path):
    """Diverged replicas keep their slots, empty."""
    wild = Setting(
        data=Data(kind="gaussian", spectrum=(1.0,), samples=2), training=Training(learning_rate=2.0, steps=(0, 3000))
    )
    whole = simulate.run(wild, replicas=600)
    assert 100 < whole.diverged < 500
    for n in (100, 301, 600):
        stored = simulate.run(wild, replicas=n, store=tmp_path, resume=True)
    assert content(stored) == content(whole)


def test_a_store_that_holds_shards_is_not_touched_unasked(tmp_path):
    simulate.run(SETTING, replicas=300, store=tmp_path)
    with pytest.raises(InvalidInput, match=r"holds 2 shards of this ensemble already: resume it \(--resume\), or"):
        simulate.run(SETTING, replicas=300, store=tmp_path)
    # Another setting, and other shards of this one, are not in its way.
    other = msgspec.structs.replace(SETTING, ensemble=Ensemble(seed=1))
    simulate.run(other, replicas=10, store=tmp_path)
    with pytest.raises(InvalidInput, match="holds 2 ensembles; name one of its folders: "):
        simulate.merge(tmp_path)


def test_merging_names_what_is_not_there(tmp_path):
    with pytest.raises(InvalidInput, match=r"holds no ensemble: there is no ensemble\.safetensors"):
        simulate.merge(tmp_path)
    simulate.run(SETTING, replicas=900, store=tmp_path)
    first, second, third, last = shards(tmp_path)
    first.unlink()
    third.write_bytes(third.read_bytes()[:-1])
    last.write_bytes(second.read_bytes())
    with pytest.raises(InvalidInput) as caught:
        simulate.merge(tmp_path)
    message = str(caught.value)
    assert "3 of 4 shards are missing: shard-000000.safetensors (missing), shard-000002.safetensors (is cut" in message
    assert "shard-000003.safetensors (belongs to another ensemble (first 256, not 768))" in message
    # An ensemble that was asked to grow, and could not.
    simulate.run(SETTING, replicas=900, store=tmp_path, resume=True)
    simulate.run(SETTING, replicas=2000, store=tmp_path, resume=True, shard="8/8")
    with pytest.raises(
        InvalidInput, match=r"4 of 8 .* shard-000003\.safetensors \(132 replicas, not 256\), shard-000004"
    ):
        simulate.merge(tmp_path)


SETTINGS = [
    SETTING,
    Setting(
        data=Data(kind="elliptical", spectrum=PowerLaw(dimension=5, exponent=0.7), radial=Student(dof=9.5), samples=7),
        labels=Labels(kind="classes", classes=3),
        network=Network(kind="mlp", hidden=(4, 3), init_variance=(0.1, 1 / 3, 2.0), bias=True),
        training=Training(loss="cross-entropy", drops=((3, 0.1), (5, 1e-17)), steps=(0, 2)),
        ensemble=Ensemble(seed=2**64 - 1, dtype="float32"),
    ),
    Setting(data=Data(kind="digits", samples=50), labels=Labels(kind="real"), training=Training(steps=0)),
]


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_store_knows_its_setting(tmp_path, setting):
    simulation = simulate.run(setting, replicas=3, store=tmp_path)
    merged = simulate.merge(tmp_path)
    assert merged.setting == setting
    assert merged.device == simulation.device == "cpu"
    assert content(merged) == content(simulation)
    assert find_store(tmp_path).description.digest == simulate.digest(setting)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"resume": True}, "store = None: is needed by resume, and by shards"),
        ({"shard": "1/2"}, "store = None: is needed by resume, and by shards"),
        ({"shard": "0/2"}, "shard = '0/2': must be 'i/n' with 1 ≤ i ≤ n"),
        ({"shard": "3/2"}, "shard = '3/2': must be"),
        ({"shard": "half"}, "shard = 'half': must be"),
        ({"processes": 0}, "processes = 0: must be at least 1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InvalidInput) as caught:
        simulate.run(SETTING, replicas=3, **arguments)
    assert str(caught.value).startswith(message)


def test_the_command_line_stores_and_merges(tmp_path, capsys):
    setting = tmp_path / "s.toml"
    setting.write_text('[data]\nkind = "gaussian"\nspectrum = [1.0, 2.0]\nsamples = 5\n[training]\nsteps = 3\n')
    assert main(["simulate", str(setting), "--replicas", "600", "--json"]) == 0
    whole = capsys.readouterr().out
    store = ["--replicas", "600", "--store", str(tmp_path / "store"), "--json"]
    assert main(["simulate", str(setting), *store, "--shard", "1/2"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["replicas"] == 344
    assert shown.err == "shard 1/2: 344 of 600 replicas; merging adds the shards up\n"
    assert main(["merge", str(tmp_path / "store"), "--json"]) == 2
    assert "shard-000001.safetensors (missing)" in json.loads(capsys.readouterr().out)["why"]
    assert main(["simulate", str(setting), *store]) == 2
    assert "resume it (--resume)" in json.loads(capsys.readouterr().out)["why"]
    assert main(["simulate", str(setting), *store, "--resume"]) == 0
    assert capsys.readouterr().out == whole
    assert main(["merge", str(tmp_path / "store"), "--json"]) == 0
    assert capsys.readouterr().out == whole
    # More shards than there is work.
    assert main(["simulate", str(setting), *store, "--shard", "9/9"]) == 0
    assert json.loads(capsys.readouterr().out)["replicas"] == 0
