"""Folders and disks that cannot be written, and death at every point of a write."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

import simulate
from tests.paths import ROOT
from tests.processes import python
from tests.simulate.stores import SETTING, content, shards
from theory.setting import InvalidInput


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
    import os, signal, sys, warnings
    import simulate
    from simulate import store
    from tests.simulate.stores import SETTING, content

    warnings.filterwarnings("ignore", ".*multi-threaded, use of fork", DeprecationWarning)  # from Python 3.12 on

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
