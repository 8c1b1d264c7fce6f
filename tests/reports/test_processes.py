"""Jobs in worker processes: results and errors come back, and no worker is left behind."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from multiprocessing import active_children

import numpy as np
import pytest

from reports.processes import cores, results
from tests.paths import ROOT
from tests.processes import alive
from theory.checked import require
from theory.errors import InvalidInput, NoClosedForm


def test_every_job_is_done_once_and_closing_ends_the_workers():
    clock = time.monotonic()
    jobs = results(np.linspace, [(0.0, 1.0, 3), (0.0, 9.0, 4)], 2)
    found = dict(jobs)
    np.testing.assert_array_equal(found[0], [0.0, 0.5, 1.0])
    np.testing.assert_array_equal(found[1], [0.0, 3.0, 6.0, 9.0])
    assert not active_children()
    jobs = results(time.sleep, [(0.0,), (300.0,)], 1)
    assert next(jobs) == (0, None)
    jobs.close()
    assert not active_children()
    assert time.monotonic() - clock < 200
    assert cores() >= 1


@pytest.mark.parametrize("kind", [InvalidInput, NoClosedForm])
def test_an_error_can_be_sent(kind):
    sent = pickle.loads(pickle.dumps(kind("data.spectrum", (1.0, -1.0), "must not be negative")))
    assert type(sent) is kind
    assert (sent.key, sent.value, sent.rule) == ("data.spectrum", (1.0, -1.0), "must not be negative")
    assert str(sent) == "data.spectrum = (1.0, -1.0): must not be negative"


@pytest.mark.parametrize(
    ("function", "job", "message"),
    [
        (require, (False, "key", 3, "must be 4"), "key = 3: must be 4"),
        (os._exit, (9,), "processes = 1: one of them was ended from outside"),
    ],
)
def test_what_a_job_raises_is_raised_here(function, job, message):
    with pytest.raises(InvalidInput, match=message):
        list(results(function, [job], 1))
    assert not active_children()


@pytest.mark.slow
def test_workers_do_not_outlive_a_parent_that_is_killed(tmp_path):
    """Killed, it cannot end them: they watch it."""
    script = """
        import os, time
        from reports.processes import results

        if __name__ == "__main__":
            jobs = results(eval, [("__import__('os').getpid()",), ("__import__('time').sleep(300)",)], 1)
            print(next(jobs)[1], flush=True)
            time.sleep(300)
    """
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(script))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, path], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    for _ in range(600):
        if not alive(worker):
            return
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("the worker is still there after a minute")
