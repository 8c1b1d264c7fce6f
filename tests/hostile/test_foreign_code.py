"""No code but the package's own runs: not a module in the current folder, not what a file holds or claims to be."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from reports.check.data import open_samples
from reports.check.weights import filters
from tests.paths import ROOT
from tests.processes import ENVIRONMENT
from theory.errors import InvalidInput

MODULES = ("struct", "pickle", "socket", "selectors", "msgspec", "numpy", "torch", "simulate", "theory", "reports")

POOL = """
    import os
    from reports.processes import results
    if __name__ == "__main__":
        print(list(results(os.getcwd, [()], 1)))
"""
ENSEMBLE = """
    import simulate
    from theory.setting import Data, Setting
    setting = Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples=8))
    print(simulate.run(setting, replicas=300, processes=2).replicas)
"""
EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 4 4
%%EndComments
showpage
"""


def run_among_strangers(folder, script):
    """Run a script from a folder of modules that bear well-known names, and say which of these were imported."""
    strangers = folder / "strangers"
    strangers.mkdir()
    for name in MODULES:
        text = f"open({str(folder / 'ran')!r}, 'a').write({name!r})\nraise ImportError('a stranger')\n"
        (strangers / f"{name}.py").write_text(text)
    (folder / "script.py").write_text(textwrap.dedent(script))
    done = subprocess.run(
        [sys.executable, folder / "script.py"],
        cwd=strangers,
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    ran = folder / "ran"
    return done, ran.read_text() if ran.exists() else ""


def test_pools_import_nothing_from_the_current_folder(tmp_path):
    done, ran = run_among_strangers(tmp_path, POOL)
    assert (done.returncode, done.stderr, ran) == (0, "", "")
    assert str(tmp_path / "strangers") in done.stdout


@pytest.mark.slow
def test_workers_import_nothing_from_the_current_folder(tmp_path):
    done, ran = run_among_strangers(tmp_path, ENSEMBLE)
    assert (done.stdout, done.stderr, ran) == ("300\n", "", "")


def test_images_are_opened_as_the_formats_that_are_named_only(tmp_path, monkeypatch):
    """Pillow hands an EPS to Ghostscript, whatever its file is called."""
    from PIL import EpsImagePlugin

    def started(*arguments, **options):
        pytest.fail("Ghostscript was started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", started)
    (tmp_path / "a.png").write_bytes(EPS)
    layer = filters(np.ones((2, 3, 2, 2)))
    with pytest.raises(InvalidInput, match="cannot be read as an image"):
        open_samples(str(tmp_path), layer).read(0, 1)
