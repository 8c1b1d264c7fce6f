"""The store of a transfer experiment: what is there, other numbers of replicas, refusals, commands."""

from __future__ import annotations

import json
from dataclasses import is_dataclass
from itertools import count
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import simulate.transfer.experiment as engine
import simulate.transfer.store as files
from reports.claims.claim import Case, Context
from reports.claims.transfer.digits import Digits
from reports.claims.transfer.effects import measure_effects
from reports.claims.transfer.map_effects import measure_mapped
from reports.cli import main
from simulate.identity import experiment_digest
from simulate.transfer import run
from tests.simulate.transfer.experiments import (
    ALL,
    EXPERIMENT,
    KINDS,
    content,
    filters,
    in_single,
    small,
    squares,
)
from theory.setting import InvalidInput, Until

pytestmark = pytest.mark.usefixtures("small_ranges")


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


EXPERIMENTS = {
    "single": lambda path: in_single(small(kinds=KINDS, replicas=3)),
    "filters": filters,
    "squares": lambda path: squares(replicas=3),
    "all": lambda path: small(kinds=ALL, replicas=3, until=Until(accuracy=0.8), bias=True),
    "one layer": lambda path: small(kinds=("scratch", "covariance"), replicas=3, kind="linear", hidden=()),
}


@pytest.mark.parametrize("kind", EXPERIMENTS)
def test_what_is_loaded_has_the_bits_of_what_was_trained(tmp_path, trained_pieces, kind):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((40, 2, 5, 5)))
    experiment = EXPERIMENTS[kind](str(tmp_path / "x.npy"))
    whole = content(run(experiment))
    assert content(run(experiment, store=tmp_path / "store", chunk=1)) == whole
    before = dict(trained_pieces)
    assert content(run(experiment, store=tmp_path / "store", resume=True)) == whole
    assert trained_pieces == before


def test_without_moments_all_else_is_the_same_and_files_are_small(tmp_path, trained_pieces, caplog):
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
    before = dict(trained_pieces)
    assert content(run(experiment, store=tmp_path, resume=True, weights=False)) == content(bare)
    assert trained_pieces == before
    assert not caplog.records
    assert content(run(experiment, store=tmp_path, resume=True)) == content(whole)
    assert trained_pieces["upstream"] == before["upstream"]
    assert trained_pieces["downstream"] == before["downstream"] + 3 * 4
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


# ---- other numbers of replicas


def test_growing_trains_no_replica_twice_upstream(tmp_path, trained_pieces):
    experiment = small(kinds=KINDS, replicas=7)
    run(experiment, replicas=3, store=tmp_path)
    trained_pieces.update(upstream=0, downstream=0)
    assert content(run(experiment, store=tmp_path, resume=True)) == content(run(experiment))
    # Replica 3 completes its tile, then two more tiles; moments are others, so all is new after the two treatments that
    # draw from them.
    assert trained_pieces == {"upstream": 3 + 4, "downstream": 3 * 2 + 4 * 2 + 4 * 4}
    trained_pieces.update(upstream=0, downstream=0)
    assert run(experiment, replicas=3, store=tmp_path, resume=True).replicas == 3
    run(experiment, store=tmp_path, resume=True)
    assert trained_pieces == {"upstream": 0, "downstream": 0}


def test_without_drawn_weights_nothing_is_trained_twice(tmp_path, trained_pieces):
    experiment = squares(replicas=7)
    run(experiment, replicas=3, store=tmp_path)
    trained_pieces.update(upstream=0, downstream=0)
    found = run(experiment, store=tmp_path, resume=True)
    assert trained_pieces == {"upstream": 3, "downstream": 2 * 3}
    assert content(found) == content(run(experiment))
    trained_pieces.update(upstream=0, downstream=0)
    assert content(run(experiment, replicas=4, store=tmp_path, resume=True)) == content(run(experiment, replicas=4))
    assert trained_pieces == {"upstream": 2, "downstream": 2 * 2}  # those of the run without a store


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
    with pytest.raises(InvalidInput, match="was computed on cuda, whose last bits differ: continue there"):
        run(experiment, store=tmp_path, resume=True)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="cannot be written"):
        run(small(kinds=("scratch",), replicas=2), store=tmp_path / "file")


def test_an_interruption_says_what_is_kept(tmp_path, monkeypatch, caplog):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "read_replicas", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(small(kinds=("scratch",), replicas=3), store=tmp_path)
    assert "2 shards are kept in" in caplog.text
    assert "--resume goes on from them" in caplog.text


# ---- commands and claims


def test_the_command(tmp_path, capfd, trained_pieces):
    file, store = tmp_path / "experiment.toml", str(tmp_path / "store")
    file.write_text(EXPERIMENT)
    command = ["transfer", str(file), "--replicas", "3", "--json", "--quiet", "--store", store]
    assert main(command) == 0
    first = capfd.readouterr().out
    before = dict(trained_pieces)
    assert main([*command, "--resume"]) == 0
    assert trained_pieces == before
    assert capfd.readouterr().out == first
    assert json.loads(first)["replicas"] == 3
    assert main(command) == 2
    assert "holds 6 shards of this experiment already: resume it (--resume)" in capfd.readouterr().err
    assert main(["transfer", str(file), "--resume"]) == 2
    assert "is needed by resume" in capfd.readouterr().err


def assert_same(one: Any, other: Any) -> None:
    """The same numbers, in records within records."""
    for name, value in vars(one).items():
        if is_dataclass(value):
            assert_same(value, getattr(other, name))
        else:
            np.testing.assert_array_equal(value, getattr(other, name))


def test_claims_go_on_from_the_store_of_a_report(tmp_path, trained_pieces):
    tiny = Case("tiny", Digits(0.5, hidden=(8, 6), rows=40, batch=20, limit=2).experiment(3), None, "asymptotic")
    context = Context(store=tmp_path)
    found = {}
    for measured in (measure_effects, measure_mapped):
        found[measured] = measured(tiny, context)
        before = dict(trained_pieces)
        again = measured(tiny, context)
        assert trained_pieces == before == {"upstream": 2, "downstream": 6}  # by the first of them
        assert_same(found[measured], again)
    plain = measure_effects(tiny, Context())
    assert_same(found[measure_effects], plain)
    for treatment in ("scratch", "pretrained"):
        np.testing.assert_array_equal(found[measure_mapped].of(treatment), plain.of(treatment))
