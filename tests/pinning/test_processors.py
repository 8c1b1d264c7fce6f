"""The pins hold on other processors: here on the instructions of older ones, to which the libraries can be held."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from tests import pinning

OLDER = {
    "SSE": {
        "OPENBLAS_CORETYPE": "Prescott",
        "MKL_CBWR": "COMPATIBLE",
        "ATEN_CPU_CAPABILITY": "default",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL",
    },
    "AVX": {
        "OPENBLAS_CORETYPE": "Sandybridge",
        "MKL_CBWR": "AVX",
        "ATEN_CPU_CAPABILITY": "avx2",
        "NPY_DISABLE_CPU_FEATURES": "AVX512_ICL",
    },
    "AVX2": {
        "OPENBLAS_CORETYPE": "Haswell",
        "MKL_CBWR": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL",
    },
}


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the instructions are those of x86")
@pytest.mark.parametrize("instructions", OLDER)
@pytest.mark.parametrize("table", ["tests/theory/pins", "tests/reports/check/pins"])
def test_pins_hold_on_older_processors(table: str, instructions: str) -> None:
    root = os.path.dirname(os.path.dirname(os.path.dirname(pinning.__file__)))
    command = [sys.executable, "-W", "ignore", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", table]
    run = subprocess.run(command, cwd=root, env=os.environ | OLDER[instructions], capture_output=True, check=False)
    assert run.returncode == 0, run.stdout.decode()[-3000:]
