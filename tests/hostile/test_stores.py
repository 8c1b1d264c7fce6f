"""Stores and folders that are damaged in valid wrappings, shared by two commands, or the very input of a command."""

import os
import threading

import numpy as np
import pytest

import simulate
from reports.campaign.records import ENSEMBLES
from reports.campaign.run import run_campaign
from simulate.ranges import ranges
from simulate.store import ENSEMBLE, Damaged, find_store, read_file, write_file
from tests.reports.command_line import run_quietly
from tests.simulate.stores import SETTING, content, shards
from theory.errors import InvalidInput


@pytest.fixture
def store(tmp_path):
    simulate.run(SETTING, replicas=300, store=tmp_path)
    return tmp_path


def rewritten(path, change):
    """The same file with its contents changed, and a checksum that is right."""
    about, tensors = read_file(path)
    change(about, tensors)
    write_file(path, about, tensors)


CHANGES = {
    "no slots": lambda about, tensors: about.pop("slots"),
    "slots of a million": lambda about, tensors: about.update(slots=10**9),
    "slots in words": lambda about, tensors: about.update(slots="many"),
    "no replicas": lambda about, tensors: about.pop("replicas"),
    "no counts": lambda about, tensors: tensors.pop("counts"),
    "no steps": lambda about, tensors: tensors.pop("steps"),
    "other steps": lambda about, tensors: tensors.update(steps=np.array([1, 2, 3])),
    "a number of moments": lambda about, tensors: tensors.update(second_moments=np.array(1.0)),
    "moments of other rows": lambda about, tensors: tensors.update(second_moments=np.zeros((1, 9, 9, 9))),
}


@pytest.mark.parametrize("name", CHANGES)
def test_shards_with_a_right_checksum_and_wrong_contents(store, name):
    path = shards(store)[0]
    rewritten(path, CHANGES[name])
    with pytest.raises(Damaged, match="is not laid out as such files are"):
        find_store(store).read(ranges(300, 256)[0])
    with pytest.raises(InvalidInput, match="1 of 2 shards are missing"):
        simulate.merge(store)
    whole = content(simulate.run(SETTING, replicas=300))
    assert content(simulate.run(SETTING, replicas=300, store=store, resume=True)) == whole


def test_a_shard_that_is_a_pipe_is_not_waited_for(store):
    path = shards(store)[0]
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InvalidInput, match="is a pipe"):
        simulate.merge(store)


@pytest.mark.parametrize("field", ["setting", "digest", "device", "range", "replicas", "width", "data_moment"])
def test_descriptions_with_a_right_checksum_and_a_field_missing(store, field):
    path = next(store.glob(f"*/{ENSEMBLE}"))

    def without(about, tensors):
        (tensors if field == "data_moment" else about).pop(field)

    rewritten(path, without)
    with pytest.raises(InvalidInput, match="any run of its setting with --resume writes it again"):
        simulate.merge(store)


def test_a_store_says_when_its_libraries_were_others(store, caplog):
    path = next(store.glob(f"*/{ENSEMBLE}"))
    simulate.merge(store)
    assert caplog.messages == []
    rewritten(path, lambda about, tensors: about.update(versions={"numpy": "1.0", "torch": "2.0"}))
    simulate.merge(store)
    assert "was computed with numpy 1.0 and torch 2.0: the last bits may differ" in caplog.text


def test_two_commands_on_one_store(tmp_path):
    """Each removes what it takes for left by a kill, and neither loses what it writes."""
    whole = content(simulate.run(SETTING, replicas=600))
    stop, found = threading.Event(), []

    def removes():
        while not stop.is_set():
            for path in tmp_path.rglob(".*.tmp"):
                path.unlink(missing_ok=True)
                found.append(path)
                if len(found) > 3:
                    return

    thread = threading.Thread(target=removes)
    thread.start()
    try:
        runs = [simulate.run(SETTING, replicas=600, store=tmp_path, resume=True) for _ in range(2)]
    finally:
        stop.set()
        thread.join()
    assert [content(run) for run in runs] == [whole, whole]


def test_a_file_that_vanishes_while_it_is_written_is_written_again(tmp_path, monkeypatch):
    move, vanished = simulate.store.os.replace, []

    def moved(beside, path):
        if len(vanished) < 2:
            vanished.append(beside)
            beside.unlink()
        move(beside, path)

    monkeypatch.setattr(simulate.store.os, "replace", moved)
    write_file(tmp_path / "a.safetensors", {"a": 1}, {"x": np.ones(3)})
    assert len(vanished) == 2
    assert read_file(tmp_path / "a.safetensors")[0] == {"a": 1}


@pytest.mark.parametrize("by", ["name", "link", "key"])
def test_init_does_not_write_over_its_input(capfd, tmp_path, by):
    rows = tmp_path / "x.npy"
    np.save(rows, np.random.default_rng(0).standard_normal((30, 4)))
    before = rows.read_bytes()
    out = rows
    if by == "link":
        out = tmp_path / "y.npy"
        out.symlink_to(rows)
    source = f"{rows}:key" if by == "key" else str(rows)
    status, _, err = run_quietly(capfd, "init", "--data", source, "--shape", "3,4", "--out", str(out))
    assert status == 2
    assert "is read: another name keeps what it holds" in err
    assert rows.read_bytes() == before
    status, _, err = run_quietly(capfd, "check", "--data", str(rows), "--weights", str(rows), "--html", str(out))
    assert status == 2
    assert rows.read_bytes() == before


def test_a_report_does_not_delete_what_an_interrupted_one_has_left(tmp_path):
    left = tmp_path / ENSEMBLES / "0123" / "shard-000000.safetensors"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"hours of work")
    with pytest.raises(InvalidInput, match="--resume goes on from it; delete it to begin anew"):
        run_campaign(folder=tmp_path, fresh=True, only=("A5",))
    assert left.exists()


@pytest.mark.parametrize("kind", ["file", "link"])
@pytest.mark.parametrize("fresh", [False, True])
def test_ensembles_that_are_a_file_or_a_link(tmp_path, kind, fresh):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious.safetensors").write_bytes(b"1")
    folder = tmp_path / "records"
    folder.mkdir()
    if kind == "link":
        (folder / ENSEMBLES).symlink_to(elsewhere)
    else:
        (folder / ENSEMBLES).write_text("a file")
    with pytest.raises(InvalidInput, match="must be a folder, not a link or a file"):
        run_campaign(folder=folder, fresh=fresh, only=("A5",))
    assert (elsewhere / "precious.safetensors").exists()
