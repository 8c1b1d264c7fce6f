"""A hundred kills at random moments, by four signals, of four commands: no byte is lost that was complete.

One process imports everything, and its forks are the commands, so that a kill costs no start of Python. What workers
do when their parent is killed is tested with the commands themselves, in tests/simulate and tests/reports/campaign.
"""

import json

import pytest

from tests.processes import python
from tests.simulate.stores import setting_file
from tests.simulate.transfer.experiments import EXPERIMENT

SEED = 20061101

VICTIMS = """
    import json, os, random, shutil, signal, sys, threading, time
    from pathlib import Path
    import torch
    import reports.campaign.run, reports.check, simulate.transfer  # what commands import when they are called
    from reports.cli import main
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())  # by default forks share one, and who is killed with it keeps it for ever
    os.environ["PATH"] = "/nowhere"  # no LaTeX: its processes are not what is tested
    folder, seed, kills = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    command, whole, products = json.loads(sys.argv[4]), json.loads(sys.argv[5]), json.loads(sys.argv[6])
    SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGKILL, signal.SIGHUP]

    def fork(arguments, printed):
        pid = os.fork()
        if pid == 0:
            os.setsid()
            for name in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(name, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for stream, path in ((1, printed), (2, folder / "errors")):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
            os._exit(main(arguments))
        return pid

    def ended(pid):
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def contents(name):
        found = {}
        for product in products:
            for path in sorted((folder / name).glob(product)):
                found[str(path.relative_to(folder / name))] = path.read_bytes()
        return found

    began = time.monotonic()
    assert ended(fork(whole, folder / "whole.txt")) == 0, (folder / "errors").read_text()
    took = time.monotonic() - began
    moments, killed, statuses = random.Random(seed), 0, {}
    while killed < kills:
        number = SIGNALS[killed % len(SIGNALS)]
        pid = fork(command, folder / "killed.txt")
        time.sleep(moments.uniform(0, 4 * took / kills))  # each goes on where the last one was
        os.kill(pid, number)
        status = ended(pid)
        said = (folder / "errors").read_text()
        assert "Traceback" not in said, said
        if status == 0:  # it was faster than ever before: some of the work is to be done again
            for path in sorted((folder / "killed").rglob("*.safetensors"))[::2]:
                path.unlink()
            continue
        # SIGKILL ends it; before Python has begun to listen a signal ends it too; afterwards the command says so
        assert status in ((-number,) if number == signal.SIGKILL else (-number, 3)), (status, number, said)
        statuses[status] = statuses.get(status, 0) + 1
        killed += 1
    assert ended(fork(command, folder / "killed.txt")) == 0, (folder / "errors").read_text()
    assert (folder / "errors").read_text() == ""  # nothing was found damaged
    if products:
        assert contents("whole") and contents("whole") == contents("killed")
    else:
        assert (folder / "whole.txt").read_bytes() == (folder / "killed.txt").read_bytes() != b""
    assert not list((folder / "killed").rglob(".ensembles"))
    print(json.dumps(statuses))
"""


def kill(tmp_path, command, whole, *, products=(), kills=25, seed=SEED):
    """How often each exit status was seen."""
    done = python(
        VICTIMS, tmp_path, seed, kills, *(json.dumps([*map(str, each)]) for each in (command, whole, products)),
        timeout=1500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    statuses = json.loads(done.stdout)
    assert sum(statuses.values()) == kills
    assert {"-9", "3"} <= set(statuses)
    return statuses


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_simulate(tmp_path):
    setting = setting_file(tmp_path, replicas=20_000, steps=20)
    command = ["simulate", setting, "--json", "--quiet"]
    kill(tmp_path, [*command, "--store", tmp_path / "killed", "--resume"], command)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_transfer(tmp_path):
    file = tmp_path / "experiment.toml"
    file.write_text(EXPERIMENT)
    command = ["transfer", file, "--json", "--quiet", "--replicas", "40"]
    kill(tmp_path, [*command, "--store", tmp_path / "killed", "--resume"], command)


REPORT = ["report", "--only", "A2,T1", "--quiet", "--processes", "1", "--resume"]
PRODUCTS = ("results.csv", "tables/*", "figures/*")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_report(tmp_path):
    kill(
        tmp_path,
        [*REPORT, "--out", tmp_path / "killed"],
        [*REPORT, "--out", tmp_path / "whole"],
        products=PRODUCTS,
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_typeset(tmp_path):
    """The killed report is typeset anew from its records alone, whatever the kill has left half written."""
    done = python(
        "import sys; from reports.cli import main; sys.exit(main(sys.argv[1:]))", *REPORT, "--out", tmp_path / "whole"
    )
    assert done.returncode == 0, done.stderr
    copied = tmp_path / "killed" / "records"
    copied.parent.mkdir()
    (tmp_path / "whole" / "records").rename(copied)
    again = tmp_path / "whole" / "records"
    python("import shutil, sys; shutil.copytree(*sys.argv[1:])", copied, again)
    command = ["typeset", "--quiet"]
    kill(tmp_path, [*command, tmp_path / "killed"], [*command, tmp_path / "whole"], products=PRODUCTS)
