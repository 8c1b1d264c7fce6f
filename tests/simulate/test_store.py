"""The store of an ensemble: shards on disk, resumed, grown, damaged, unwritable; the same bytes every time."""

import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import simulate
from reports.cli import main
from simulate import ensemble, tiles
from simulate.moments import Sums
from simulate.ranges import Range
from simulate.store import Damaged, Description, Store, find_store
from theory.setting import Data, Ensemble, InvalidInput, Labels, Network, PowerLaw, Setting, Student, Training

ROOT = Path(__file__).parent.parent
SETTING = Setting(
    data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=9),
    network=Network(kind="mlp", hidden=(5,)),
    training=Training(steps=(1, 4), batch_size=4),
)
SHARD = 256


def content(simulation):
    """Every number of a simulation, as bytes."""
    whole = [repr((simulation.replicas, simulation.diverged, simulation.width)).encode()]
    whole.append(simulation.data_moment.tobytes())
    for reading in simulation.readings:
        whole += [array.tobytes() for array in (reading.counts, reading.second_moments, reading.means, reading.losses)]
    return whole


@pytest.fixture(autouse=True)
def warnings_are_seen(caplog):
    """Whatever level a command run by another test has left behind."""
    caplog.set_level(logging.WARNING, logger="simulate")


@pytest.fixture
def trained(monkeypatch):
    """How many replicas have been trained: a list of one number."""
    count = [0]
    add = Sums.add

    def counting(self, moments, kept):
        count[0] += len(kept)
        add(self, moments, kept)

    monkeypatch.setattr(Sums, "add", counting)
    return count


def shards(folder):
    return sorted(folder.rglob("shard-*.safetensors"))


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
    """With fewer blocks than a range has replicas, a slot of a shard adds up several of them."""
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
    assert (
        "3 of 4 shards are not there: shard-000000.safetensors (missing), shard-000002.safetensors (is cut" in message
    )
    assert "shard-000003.safetensors (belongs to another ensemble (first 256, not 768))" in message
    # An ensemble that was asked to grow, and could not.
    simulate.run(SETTING, replicas=900, store=tmp_path, resume=True)
    simulate.run(SETTING, replicas=2000, store=tmp_path, resume=True, shard="8/8")
    with pytest.raises(
        InvalidInput, match=r"4 of 8 .* shard-000003\.safetensors \(132 replicas, not 256\), shard-000004"
    ):
        simulate.merge(tmp_path)


def damaged(path, kind):
    whole = path.read_bytes()
    if kind.startswith("cut to"):
        return whole[: int(float(kind.split()[-1]) * len(whole))]
    if kind == "one bit":
        return whole[:-1000] + bytes([whole[-1000] ^ 1]) + whole[-999:]
    if kind == "header":
        return whole[:20] + bytes([whole[20] ^ 1]) + whole[21:]
    if kind == "zeros":
        return bytes(len(whole))
    return whole + b"0"


@pytest.mark.parametrize("kind", ["cut to 0.0", "cut to 0.001", "cut to 0.5", "one bit", "header", "zeros", "longer"])
def test_a_damaged_shard_is_named_and_computed_again(tmp_path, kind, trained, caplog):
    whole = content(simulate.run(SETTING, replicas=600, store=tmp_path))
    path = shards(tmp_path)[1]
    good = path.read_bytes()
    path.write_bytes(damaged(path, kind))
    trained[0] = 0
    assert content(simulate.run(SETTING, replicas=600, store=tmp_path, resume=True)) == whole
    assert trained[0] == SHARD
    assert path.read_bytes() == good
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith(f"{path}: ")
    assert record.getMessage().endswith("; it is computed again")


def test_foreign_shards_are_named_and_computed_again(tmp_path, trained, caplog):
    whole = content(simulate.run(SETTING, replicas=600, store=tmp_path / "mine"))
    other = msgspec.structs.replace(SETTING, ensemble=Ensemble(seed=1))
    simulate.run(other, replicas=600, store=tmp_path / "other")
    mine, theirs = shards(tmp_path / "mine"), shards(tmp_path / "other")
    mine[0].write_bytes(theirs[0].read_bytes())
    mine[1].write_bytes(mine[2].read_bytes())
    save_file({"means": np.zeros(3)}, mine[2])
    trained[0] = 0
    assert content(simulate.run(SETTING, replicas=600, store=tmp_path / "mine", resume=True)) == whole
    assert trained[0] == 600
    messages = [record.getMessage() for record in caplog.records]
    assert f"belongs to another ensemble (digest {simulate.digest(other)}" in messages[0]
    assert "belongs to another ensemble (first 512, not 256)" in messages[1]
    assert "was not written by this program" in messages[2]


def test_a_damaged_description_is_named_and_written_again(tmp_path, caplog):
    whole = content(simulate.run(SETTING, replicas=300, store=tmp_path))
    (path,) = tmp_path.rglob("ensemble.safetensors")
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InvalidInput, match=r"ensemble\.safetensors is cut short"):
        simulate.merge(tmp_path)
    assert content(simulate.run(SETTING, replicas=300, store=tmp_path, resume=True)) == whole
    assert f"{path}: is cut short" in caplog.text
    assert content(simulate.merge(tmp_path)) == whole


def example_store(folder):
    """A store of one small shard, without training anything."""
    sums = Sums((3,), 2, 4, 4)
    rng = np.random.default_rng(0)
    sums.add([(rng.random((3, 2, 2)), rng.random((3, 2)), rng.random(3))], np.array([True, False, True]))
    store = Store(folder, Description(SETTING, "ab" * 32, "cpu", 4, 7, 5, np.eye(2)))
    store.save(Range(1, 4, 7), sums)
    return store


@pytest.fixture(scope="module")
def small():
    with tempfile.TemporaryDirectory() as folder:
        store = example_store(Path(folder))
        yield store, store.path(1).read_bytes()


@given(data=st.data())
def test_no_flipped_bits_pass_for_sums(small, data):
    store, whole = small
    position = data.draw(st.integers(0, len(whole) - 1))
    flip = data.draw(st.integers(1, 255))
    store.path(1).write_bytes(whole[:position] + bytes([whole[position] ^ flip]) + whole[position + 1 :])
    try:
        sums = store.read(Range(1, 4, 7))
    except Damaged:
        return
    # White space of the header may change without harm.
    store.path(1).write_bytes(whole)
    for a, b in zip(sums.readings, store.read(Range(1, 4, 7)).readings, strict=True):
        assert a.second_moments.tobytes() == b.second_moments.tobytes()
        assert (sums.replicas, a.counts.tolist()) == (3, [1, 0, 1, 0])


def test_shards_of_another_kind_of_device_are_not_mixed(tmp_path):
    store = example_store(tmp_path)
    there = Store(tmp_path, replace(store.description, device="cuda"))
    with pytest.raises(Damaged, match=r"another ensemble \(device cpu, not cuda\)"):
        there.read(Range(1, 4, 7))


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


def test_a_read_only_folder():
    """Root may write anywhere, so the test is run as nobody where it is root's."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        simulate.run(SETTING, replicas=300, store=folder)
        inside = shards(folder)[0].parent
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        uid = os.geteuid()
        if uid == 0:
            os.seteuid(65534)
        try:
            whole = simulate.run(SETTING, replicas=300, store=folder, resume=True)  # nothing to write
            assert whole.replicas == 300
            with pytest.raises(InvalidInput) as grown:
                simulate.run(SETTING, replicas=600, store=folder, resume=True)
            with pytest.raises(InvalidInput) as elsewhere:
                simulate.run(SETTING, replicas=600, store=folder / "new")
        finally:
            if uid == 0:
                os.seteuid(0)
            folder.chmod(0o755)
            inside.chmod(0o755)
        assert str(elsewhere.value).startswith(f"store = '{folder / 'new'}': cannot be written (permission denied)")
        assert str(grown.value).startswith(
            f"store = '{folder}': cannot be written (permission denied); shards that are"
        )
        assert len(shards(folder)) == 2
        assert list(inside.glob(".*")) == []


def test_a_disk_that_takes_no_more(tmp_path):
    """The limit of a file's size is a real error of the system in the middle of a write."""
    simulate.run(SETTING, replicas=300, store=tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = shards(tmp_path)[0].stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, before[1]))
    try:
        with pytest.raises(
            InvalidInput, match=r"cannot be written \(file too large\); shards that are complete are kept"
        ):
            simulate.run(SETTING, replicas=600, store=tmp_path, resume=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(shards(tmp_path)) == 2
    assert shards(tmp_path)[0].stat().st_size == size
    assert list(tmp_path.rglob(".*")) == []
    whole = content(simulate.run(SETTING, replicas=600))
    assert content(simulate.run(SETTING, replicas=600, store=tmp_path, resume=True)) == whole


KILLED_WHILE_WRITING = """
    import os, signal, sys
    import simulate
    from simulate import store
    from tests.test_simulate_store import SETTING, content

    def die(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)

    def before_opening():
        store.uuid4 = die

    def before_writing():
        store.save = die

    def half_written():
        save = store.save
        def cut(tensors, metadata):
            whole = save(tensors, metadata)
            for name in os.listdir(home):
                if name.endswith(".tmp"):
                    with open(os.path.join(home, name), "wb") as file:
                        file.write(whole[: len(whole) // 2])
            die()
        store.save = cut

    def before_flushing():
        store.os.fsync = die

    def before_moving():
        store.os.replace = die

    def after_moving():
        move = os.replace
        def moved(*paths):
            move(*paths)
            die()
        store.os.replace = moved

    POINTS = before_opening, before_writing, half_written, before_flushing, before_moving, after_moving
    folder = sys.argv[1]
    simulate.run(SETTING, replicas=1, store=folder)
    home = os.path.join(folder, simulate.digest(SETTING))
    replicas = 600
    for file in ("shard", "ensemble"):
        for point in POINTS:
            replicas += 1  # so that there is always something to write
            pid = os.fork()
            if pid == 0:
                write = store.write_file
                def armed(path, *rest):
                    if path.name.startswith(file):
                        point()
                    write(path, *rest)
                store.write_file = armed
                simulate.run(SETTING, replicas=replicas, store=folder, resume=True)
                os._exit(0)
            _, status = os.waitpid(pid, 0)
            assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, (file, point, status)
            left = sorted(name for name in os.listdir(home) if name.endswith(".tmp"))
            print(file, point.__name__, sum(name.startswith(".shard") for name in left))
    resumed = simulate.run(SETTING, replicas=700, store=folder, resume=True)
    assert content(resumed) == content(simulate.run(SETTING, replicas=700))
    print("left", sum(name.startswith(".shard") for name in os.listdir(home)))
"""


def python(code, *arguments, **options):
    """A Python of its own that runs `code`."""
    options = {"capture_output": True, "text": True, "cwd": ROOT, "check": False, "timeout": 300, **options}
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], **options)


def test_killed_at_every_point_of_a_write(tmp_path):
    done = python(KILLED_WHILE_WRITING, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no shard was found damaged
    # Files half written lie about until the next run, which removes them.
    assert done.stdout.splitlines() == [
        "shard before_opening 0",
        "shard before_writing 1",
        "shard half_written 1",
        "shard before_flushing 1",
        "shard before_moving 1",
        "shard after_moving 0",
        *(f"ensemble {point} 0" for point in ("before_opening", "before_writing", "half_written")),
        *(f"ensemble {point} 0" for point in ("before_flushing", "before_moving", "after_moving")),
        "left 0",
    ]


FULL = """
    import sys
    from reports.cli import main
    sys.exit(main(["simulate", sys.argv[1], "--store", sys.argv[2], "--json"]))
"""


@pytest.mark.slow
def test_a_full_disk(tmp_path):
    """A real one: a file system of 192 KB in a mount namespace of its own."""
    if os.system("unshare -Urm true 2>/dev/null") != 0:
        pytest.skip("this system gives no mount namespace to make a small disk in")
    (tmp_path / "disk").mkdir()
    setting = tmp_path / "s.toml"
    setting.write_text(
        '[data]\nkind = "gaussian"\nspectrum = [0.5, 1.0, 2.0]\nsamples = 9\n[ensemble]\nreplicas = 9000\n'
    )
    run = f'mount -t tmpfs -o size=192k tmpfs {tmp_path}/disk && "$0" -c "$1" {setting} {tmp_path}/disk; '
    run += f"status=$?; ls {tmp_path}/disk/*/ >&2; exit $status"
    command = ["unshare", "-Urm", "sh", "-c", run, sys.executable, textwrap.dedent(FULL)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2, done.stderr
    assert "cannot be written (no space left on device); shards that are complete are kept" in done.stderr
    assert json.loads(done.stdout)["key"] == "store"
    assert "shard-000001.safetensors" in done.stderr
    assert ".tmp" not in done.stderr


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
